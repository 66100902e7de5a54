"""Latency backends: functions that make a detector ready to run on a device, so that it can be timed.

Batch 1, fused, network only (no NMS), fp16 on CUDA. `auto` is a CUDA graph on CUDA, ONNX Runtime on a CPU and plain
PyTorch elsewhere.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from gamsearch.errors import OptionError, one_line
from gamsearch.models import device as devices
from gamsearch.models.latency.command import Command, is_command
from gamsearch.models.latency.exporting import channels_of, exportable, onnx_of
from gamsearch.models.latency.litert import in_litert
from gamsearch.models.latency.runtimes import in_ncnn, in_onnxruntime, in_openvino
from gamsearch.plugins.registry import Registry, first_line, origin_of


@dataclass(frozen=True)
class Network:
    """A detector that is ready to run.

    Attributes:
        run: Runs the network once on a fixed image.
        rows: Its rows, if they can be timed one by one.
        reads: What must live as long as `run`, which reads its memory without holding a reference.
    """

    run: Callable[[], object]
    rows: Sequence[nn.Module] = ()
    reads: object = None


Prepare = Callable[[Any, int, torch.device], Network]
"""`(model, image size in px, device)` to a network that is ready to run; the model is not changed."""


@dataclass(frozen=True)
class LatencyBackend:
    """A way to run a detector.

    Attributes:
        name: What `--latency` calls it.
        prepare: Makes a detector ready to run.
        device: The only type of device that it measures on (`cpu`, `cuda`, ...); empty for any.
        requires: The module that it imports besides those of gamsearch; empty for none.
    """

    name: str
    prepare: Prepare
    device: str = ""
    requires: str = ""

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return first_line(self.prepare)


AUTO = "auto"
"""What measures a form that is deployed on such a device: see `USUAL`; `torch` on any other."""

USUAL = {"cuda": "cudagraph", "cpu": "onnxruntime"}
"""Backends by type of device."""

BACKENDS: Registry[LatencyBackend] = Registry("latency backend", OptionError, also=(AUTO,))


def latency_backend(name: str, device: str = "", requires: str = "") -> Callable[[Prepare], Prepare]:
    """Register a function that prepares a detector for timing: `@gamsearch.register.latency_backend`.

    Args:
        name: What `--latency` calls it.
        device: The only type of device that it measures on (`cpu`, `cuda`, ...); empty for any.
        requires: The module that it imports; a run without it is refused before anything is trained. Empty for none.

    Returns:
        A decorator for `prepare(model, imgsz, device) -> Network`, with `imgsz` in px. It must not change the model and
        runs at batch 1 without NMS.

    Raises:
        OptionError: The name is taken.
    """

    def register(prepare: Prepare) -> Prepare:
        BACKENDS.add(name, LatencyBackend(name, prepare, device, requires), origin_of(prepare))
        return prepare

    return register


def backend_named(name: str, device: torch.device | None = None) -> Prepare:
    """Look up a latency backend.

    Args:
        name: Its name.
        device: Where it is to measure; not checked if left out.

    Returns:
        The function that makes a detector ready to run.

    Raises:
        OptionError: There is no such backend, it cannot measure on `device`, or a package that it needs is missing.
    """
    backend = BACKENDS.named(name)
    if backend.device and device is not None and device.type != backend.device:
        raise OptionError(
            f"--latency {name} measures on {backend.device.upper()} only, not on {device}; use --latency torch"
        )
    if backend.requires and find_spec(backend.requires) is None:
        raise OptionError(
            f"--latency {name} needs the package {backend.requires}, which is not installed: "
            f"pip install {backend.requires}, or use --latency torch"
        )
    return backend.prepare


def resolved(name: str, device: torch.device) -> str:
    """Resolve `auto`, and check what measures.

    Args:
        name: A backend's name, a command, or `auto`.
        device: Where latency is to be measured; a command measures where it pleases.

    Returns:
        The name of the backend that measures there, or the command.

    Raises:
        OptionError: There is no such backend, it cannot measure on `device`, a package that it needs is missing, or the
            command cannot be run.
    """
    if is_command(name):
        Command.parse(name)
        return name
    chosen = name if name != AUTO else USUAL.get(device.type, "torch")
    backend_named(chosen, device)
    return chosen


@latency_backend("torch")
def torch_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """PyTorch eager, fused copy, fp16 on CUDA and fp32 elsewhere, one fixed random image."""
    fused = deployed(deepcopy(model).float().eval().fuse(verbose=False), device)
    image = torch.rand(1, channels_of(model), imgsz, imgsz, generator=torch.Generator().manual_seed(0)).to(device)
    image = image.half() if devices.half_precision(device) else image

    def run() -> object:
        with torch.inference_mode():
            return fused(image)

    return Network(run, list(fused.model))


def deployed(fused: Any, device: torch.device) -> Any:
    """Put a fused module into the state in which it is timed: no gradients, on the device, in its precision.

    Args:
        fused: The module; it is changed in place.
        device: Where it is timed.

    Returns:
        The same module.
    """
    fused = fused.requires_grad_(False).to(device)
    return fused.half() if devices.half_precision(device) else fused


@latency_backend("cudagraph", device="cuda")
def cuda_graph_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """The `torch` backend's pass captured as a CUDA graph and replayed: the time that its kernels take.

    At batch 1 a fast GPU spends most of an eager pass waiting for Python to launch the next kernel, so eager latency
    counts kernels. A replay launches all of them at once, as a deployment (TensorRT, a compiled graph) does; that one
    launch is part of the measurement. `OptionError` if the network cannot be captured.
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
        # ends the run: an aborted capture leaves the allocator in a state that no later capture can use
        raise OptionError(
            f"this network cannot be captured as a CUDA graph ({one_line(error)[:200]}); use --latency torch"
        ) from error

    def run() -> object:
        graph.replay()
        return output

    return Network(run, reads=eager)


@latency_backend("onnxruntime", device="cpu", requires="onnxruntime")
def onnxruntime_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """ONNX Runtime on the CPU, fp32, one thread, static shape: the latency of an exported `best.onnx`."""
    return Network(in_onnxruntime(onnx_of(model, imgsz), (1, channels_of(model), imgsz, imgsz)))


@latency_backend("openvino", device="cpu", requires="openvino")
def openvino_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """OpenVINO on the CPU, fp32, one thread, static shape: the latency of an exported OpenVINO model."""
    return Network(in_openvino(onnx_of(model, imgsz), (1, channels_of(model), imgsz, imgsz)))


@latency_backend("ncnn", device="cpu", requires="ncnn")
def ncnn_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """NCNN on the CPU, fp32, one thread: the latency of an exported NCNN model; converts with the package `pnnx`."""
    return Network(in_ncnn(exportable(model, "ncnn"), (1, channels_of(model), imgsz, imgsz)))


@latency_backend("litert", device="cpu", requires="litert_torch")
def litert_backend(model: Any, imgsz: int, device: torch.device) -> Network:
    """LiteRT on the CPU, fp32, one thread: the latency of an exported `.tflite`; needs `litert-torch`."""
    return Network(in_litert(exportable(model, "litert"), (1, channels_of(model), imgsz, imgsz)))
