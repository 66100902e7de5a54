"""Everything that differs between a CPU and an accelerator.

The CUDA branches have been run on an H200 (`tests/training/test_cuda.py`); the MPS branches follow the PyTorch
documentation only.
"""

import gc
import os
import platform

import torch

from gamsearch.errors import OptionError


def select(text: str) -> torch.device:
    """Turn the text of `--device` into a device; a CUDA device also becomes the current one.

    Args:
        text: `cpu`, an index such as `0`, `cuda:1`, `mps`, or empty for the best available device.

    Returns:
        The device.

    Raises:
        OptionError: The text is not one device, or the device is not available.
    """
    if text == "":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if "," in text:
        raise OptionError(f"--device takes one device, not '{text}'; give a single index such as 0, or cpu")
    name = f"cuda:{text}" if text.isdigit() else text
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"--device '{text}' is unknown; use cpu, an index such as 0, or mps") from error
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(device.type, False):
        raise OptionError(f"--device '{text}' is not available: PyTorch sees no {device.type} device; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"--device '{text}' is not available: PyTorch sees {torch.cuda.device_count()} CUDA device(s)"
        )
    if device.type != "cuda" and device.index:
        raise OptionError(f"--device '{text}' is not available: there is one {device.type} device; use {device.type}")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # events are recorded on the current device
    return device


def ultralytics_name(device: torch.device) -> str:
    """Convert a device to the form that Ultralytics' `device` argument takes.

    Args:
        device: A device.

    Returns:
        The index of a CUDA device, else the device's type.
    """
    return str(device.index or 0) if device.type == "cuda" else device.type


def describe(device: torch.device) -> str:
    """Name the hardware for the record.

    Args:
        device: A device.

    Returns:
        E.g. `NVIDIA H100 80GB HBM3` or `CPU x86_64, 2 cores`.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()} {platform.machine()}, {os.cpu_count()} cores"


def half_precision(device: torch.device) -> bool:
    """Whether latency is measured in fp16.

    Args:
        device: Where it is measured.

    Returns:
        True on CUDA, False on CPU and MPS.
    """
    return device.type == "cuda"


def precision(device: torch.device) -> str:
    """Name the precision in which latency is measured.

    Args:
        device: Where it is measured.

    Returns:
        `fp16` or `fp32`.
    """
    return "fp16" if half_precision(device) else "fp32"


def release_memory(device: torch.device) -> None:
    """Free the memory of a finished or failed trial, so that the next one starts like the first.

    Args:
        device: The device that the trial ran on.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def synchronize(device: torch.device) -> None:
    """Wait until an accelerator has finished all queued work; a no-op on a CPU.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


OUT_OF_MEMORY = (
    "out of memory",
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",  # the same on Windows
    "failed to allocate memory",  # ONNX Runtime
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)
"""Texts of failed allocations, in lower case; most are raised as a plain `RuntimeError`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Recognise that the device or the host ran out of memory.

    Args:
        error: Any exception.

    Returns:
        True if its type or its text says so.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    message = str(error).lower()
    return any(words in message for words in OUT_OF_MEMORY)
