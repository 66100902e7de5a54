"""Latency that survives a drifting machine: candidate and baseline are timed in turns, and their ratio is what counts.

Batch 1, fused, network only (no NMS), fp16 on CUDA. In every round both models run once, in an order that alternates;
the recorded latency is the median of the per-round ratios times the baseline's reference latency of this study, so that
a machine that slows down during a search does not punish the later trials.
"""

import io
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from gamsearch import device as devices
from gamsearch.errors import OptionError, nearest


@dataclass(frozen=True)
class Latency:
    """One paired measurement. All times in ms; `iqr_ms` is the interquartile range of the candidate's rounds.

    `ratio` is the median of candidate/baseline over the rounds, `ratio_low` and `ratio_high` its 95 % bootstrap
    interval. `latency_ms` is `ratio` times the study's reference latency of the baseline.
    """

    latency_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    iqr_ms: float
    measured_ms: float
    baseline_ms: float
    rounds: int
    backend: str
    device: str
    precision: str
    threads: int
    imgsz: int

    def to_dict(self) -> dict[str, float | int | str]:
        return asdict(self)


ROUNDS = (20, 200)
Runner = Callable[[], object]
Backend = Callable[[Any, int, torch.device], Runner]
BACKENDS: dict[str, Backend] = {}


def latency_backend(name: str) -> Callable[[Backend], Backend]:
    """Register a function that turns a model, an image size (px) and a device into a call that runs it once."""

    def register(prepare: Backend) -> Backend:
        BACKENDS[name] = prepare
        return prepare

    return register


def backend_named(name: str, device: torch.device | None = None) -> Backend:
    """Return the latency backend called `name`, or say which there are; refuse one that cannot measure on `device`."""
    if name not in BACKENDS:
        raise OptionError(f"no latency backend '{name}'{nearest(name, BACKENDS)}; there are {', '.join(BACKENDS)}")
    if name == "onnxruntime" and device is not None and device.type != "cpu":
        raise OptionError(f"--latency onnxruntime measures on the CPU, not on {device}; use --latency torch")
    return BACKENDS[name]


@latency_backend("torch")
def torch_backend(model: Any, imgsz: int, device: torch.device) -> Runner:
    """PyTorch eager, fused copy, fp16 on CUDA and fp32 elsewhere, one fixed random image."""
    half = devices.half_precision(device)
    channels = getattr(model, "yaml", {}).get("channels", 3)
    fused = deepcopy(model).float().eval().fuse(verbose=False).requires_grad_(False).to(device)
    image = torch.rand(1, channels, imgsz, imgsz, generator=torch.Generator().manual_seed(0)).to(device)
    fused, image = (fused.half(), image.half()) if half else (fused, image)

    def run() -> object:
        with torch.inference_mode():
            return fused(image)

    return run


@latency_backend("onnxruntime")
def onnxruntime_backend(model: Any, imgsz: int, device: torch.device) -> Runner:
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
    return lambda: session.run(None, {"images": pixels})


def measure(
    model: Any,
    baseline: Any,
    imgsz: int,
    device: torch.device,
    *,
    reference_ms: float | None = None,
    backend: str = "torch",
    seconds: float = 6.0,
    threads: int = 1,
) -> Latency:
    """Time `model` and `baseline` in turns; without `reference_ms` this block's own baseline median is the reference.

    It takes about `seconds` (at least 20 and at most 200 rounds). On a CPU it uses `threads` threads (restored
    afterwards): one thread is what a loaded machine disturbs least.
    """
    prepare = backend_named(backend, device)
    ours, theirs = prepare(model, imgsz, device), prepare(baseline, imgsz, device)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        times = _interleave(ours, theirs, device, seconds)
    finally:
        torch.set_num_threads(before)
    return _summary(times, reference_ms, backend, device, threads, imgsz)


def _interleave(ours: Runner, theirs: Runner, device: torch.device, seconds: float) -> np.ndarray:
    """Return `rounds x 2` milliseconds (ours, theirs); the order within a round alternates."""
    for _ in range(50 if device.type == "cuda" else 5):
        ours()
        theirs()
    round_ms = devices.time_ms(ours, device) + devices.time_ms(theirs, device)
    rounds = int(np.clip(1e3 * seconds / max(round_ms, 1e-3), *ROUNDS))
    times = np.empty((rounds, 2))
    for i in range(rounds):
        for column in (0, 1) if i % 2 else (1, 0):
            times[i, column] = devices.time_ms((ours, theirs)[column], device)
    return times


def _summary(
    times: np.ndarray, reference_ms: float | None, backend: str, device: torch.device, threads: int, imgsz: int
) -> Latency:
    ratios = times[:, 0] / times[:, 1]
    ratio, (low, high) = float(np.median(ratios)), _bootstrap_median(ratios)
    baseline_ms = float(np.median(times[:, 1]))
    q1, q3 = np.percentile(times[:, 0], [25, 75])
    return Latency(
        latency_ms=ratio * (reference_ms if reference_ms is not None else baseline_ms),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        iqr_ms=float(q3 - q1),
        measured_ms=float(np.median(times[:, 0])),
        baseline_ms=baseline_ms,
        rounds=len(times),
        backend=backend,
        device=devices.describe(device),
        precision="fp16" if devices.half_precision(device) else "fp32",
        threads=threads if device.type == "cpu" else 0,
        imgsz=imgsz,
    )


def _bootstrap_median(values: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of the median, from a fixed seed."""
    picks = np.random.default_rng(0).choice(values, size=(draws, len(values)))
    low, high = np.percentile(np.median(picks, axis=1), [2.5, 97.5])
    return float(low), float(high)
