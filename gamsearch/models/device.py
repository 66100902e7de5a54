"""Everything that differs between a CPU and an accelerator, in one small place.

The CUDA branches ran on an H200 (`tests/test_cuda.py`); MPS follows the PyTorch documentation alone.
"""

import gc
import os
import platform

import torch

from gamsearch.errors import OptionError


def select(text: str) -> torch.device:
    """Turn `cpu`, `0`, `cuda:1`, `mps` or an empty text (the best there is) into a device; one device, not several."""
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
        raise OptionError(f"--device '{text}' is not there: PyTorch sees no {device.type} device; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(f"--device '{text}' is not there: PyTorch sees {torch.cuda.device_count()} CUDA device(s)")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # events are recorded on the current device
    return device


def ultralytics_name(device: torch.device) -> str:
    """The device in the form that Ultralytics' `device` argument takes."""
    return str(device.index or 0) if device.type == "cuda" else device.type


def describe(device: torch.device) -> str:
    """Name of the hardware for the record, e.g. `NVIDIA H100 80GB HBM3` or `CPU x86_64, 2 cores`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()} {platform.machine()}, {os.cpu_count()} cores"


def half_precision(device: torch.device) -> bool:
    """Whether latency is measured in fp16 there: yes on CUDA, no on CPU and MPS."""
    return device.type == "cuda"


def release_memory(device: torch.device) -> None:
    """Give back what a finished or failed trial held, so that the next one starts like the first."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def synchronize(device: torch.device) -> None:
    """Wait until an accelerator has done all that was given to it; a CPU has."""
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
"""What messages say where an allocation failed, in lower case; most of them come as a plain `RuntimeError`."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device (or the host) ran out of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return any(words in said for words in OUT_OF_MEMORY)
