"""What latency is measured of: a registry of functions that make a detector ready to run on a device.

Batch 1, fused, network only (no NMS), fp16 on CUDA. `auto` is a CUDA graph on CUDA and plain PyTorch elsewhere.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gamsearch.errors import OptionError, nearest, one_line
from gamsearch.models import device as devices


@dataclass(frozen=True)
class Network:
    """What a backend prepares: a call that runs the network once, and its rows if they can be timed one by one.

    `reads` is what must live as long, as the call reads its memory without holding it.
    """

    run: Callable[[], object]
    rows: Sequence[nn.Module] = ()
    reads: object = None


Backend = Callable[[Any, int, torch.device], Network]
BACKENDS: dict[str, Backend] = {}
ONLY_ON = {"onnxruntime": "cpu", "cudagraph": "cuda"}
"""The type of device that a backend is bound to."""
AUTO = "auto"
"""What measures on a device what a deployment there would need: `cudagraph` on CUDA, elsewhere `torch`."""


def latency_backend(name: str) -> Callable[[Backend], Backend]:
    """Register a function that prepares a model for an image size (px) and a device."""

    def register(prepare: Backend) -> Backend:
        BACKENDS[name] = prepare
        return prepare

    return register


def backend_named(name: str, device: torch.device | None = None) -> Backend:
    """Return the latency backend called `name`, or say which there are; refuse one that cannot measure on `device`."""
    if name not in BACKENDS:
        there = ", ".join([AUTO, *BACKENDS])
        raise OptionError(f"no latency backend '{name}'{nearest(name, BACKENDS)}; there are {there}")
    needed = ONLY_ON.get(name)
    if needed is not None and device is not None and device.type != needed:
        raise OptionError(f"--latency {name} measures on {needed.upper()} alone, not on {device}; use --latency torch")
    return BACKENDS[name]


def resolved(name: str, device: torch.device) -> str:
    """The backend that `name` (perhaps `auto`) stands for on `device`; `OptionError` if it cannot measure there."""
    chosen = name if name != AUTO else "cudagraph" if device.type == "cuda" else "torch"
    backend_named(chosen, device)
    return chosen


@latency_backend("torch")
def torch_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """PyTorch eager, fused copy, fp16 on CUDA and fp32 elsewhere, one fixed random image."""
    channels = getattr(model, "yaml", {}).get("channels", 3)
    fused = deployed(deepcopy(model).float().eval().fuse(verbose=False), device)
    image = torch.rand(1, channels, imgsz, imgsz, generator=torch.Generator().manual_seed(0)).to(device)
    image = image.half() if devices.half_precision(device) else image

    def run() -> object:
        with torch.inference_mode():
            return fused(image)

    return Network(run, list(fused.model))


def deployed(fused: Any, device: torch.device) -> Any:
    """A fused module as it is timed there: without gradients, on the device, in its precision; changed in place."""
    fused = fused.requires_grad_(False).to(device)
    return fused.half() if devices.half_precision(device) else fused


@latency_backend("cudagraph")
def cuda_graph_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """The `torch` backend's pass, captured once as a CUDA graph and replayed: what its kernels need on the device.

    Of an eager pass at batch 1 a fast GPU spends most waiting for Python to launch the next kernel, so that its latency
    counts kernels. A replay launches them all at once, as a deployment (TensorRT, a compiled graph) does; that one
    launch is part of what is measured. `OptionError` if the network cannot be captured.
    """
    eager = torch_backend(model, imgsz, device)
    aside, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):  # what the first passes set up must not be captured
        for _ in range(3):
            eager.run()
    torch.cuda.current_stream(device).wait_stream(aside)
    try:
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
            output = eager.run()
    except RuntimeError as error:
        if devices.is_out_of_memory(error):
            raise
        # the end of the run: a capture that was broken off leaves an allocator that no later one can use
        raise OptionError(
            f"this network cannot be captured as a CUDA graph ({one_line(error)[:200]}); use --latency torch"
        ) from error

    def run() -> object:
        graph.replay()
        return output

    return Network(run, reads=eager)


@latency_backend("onnxruntime")
def onnxruntime_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """ONNX Runtime on the CPU, fp32, one thread, static shape: what an exported `best.onnx` costs there."""
    import onnxruntime

    fused = deepcopy(model).float().cpu().eval().fuse(verbose=False).requires_grad_(False)
    fused.model[-1].export, fused.model[-1].format = True, "onnx"
    image, file = torch.rand(1, getattr(model, "yaml", {}).get("channels", 3), imgsz, imgsz), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants
        torch.onnx.export(fused, (image,), file, input_names=["images"], opset_version=17, dynamo=False)  # type: ignore[arg-type]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    pixels = image.numpy()
    return Network(lambda: session.run(None, {"images": pixels}))
