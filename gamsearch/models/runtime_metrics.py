"""Metrics of a network at work: how many images per second it takes in batches, and the memory that it occupies.

They take some seconds for each candidate, so a space has them only where it asks: `plugins:
gamsearch.models.runtime_metrics`.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from gamsearch.errors import CandidateFailed, one_line
from gamsearch.metrics import metric
from gamsearch.models.device import half_precision
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import deployed
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.exporting import channels_of, onnx_of
from gamsearch.models.latency.runtimes import onnxruntime_session

BATCH = 8
WARM_UP, SECONDS, FEWEST = 2, 4.0, 20
"""Passes before those that are timed; the shortest time for which these last, and their least number."""
MB = 1e6
HIGH_WATER = Path("/proc/self/status")
STARTS = 3
"""Processes that a network is loaded in to measure its memory."""
LOADED = """
import sys, numpy, onnxruntime
def highest():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
before = highest()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
for _ in range(3):
    session.run(None, {image.name: numpy.zeros(image.shape, dtype="float32")})
print(highest() - before)
"""


@metric("throughput_ratio", unit="x baseline", direction="maximize", stage="built", title="throughput")
def throughput_ratio(candidate: Any) -> float:
    """Images per second at batch 8 as a multiple of the baseline's: ONNX Runtime on one CPU thread, PyTorch on CUDA.

    fp32 on a CPU, fp16 on CUDA. The best of 20 passes or more of each, in turns: on a busy machine it repeats best.
    """
    return candidate.once("throughput_ratio", _measured_ratio)


def _measured_ratio(candidate: Any) -> float:
    models, clock = (candidate.baseline, candidate.model), Clock(candidate.device)
    runs = [_batch(model, candidate.imgsz, candidate.device) for model in models]
    with lock_of(candidate.device).exclusively():
        for _ in range(WARM_UP):
            [run() for run in runs]
        stamps, end = [clock.stamp()], time.monotonic() + SECONDS
        while len(stamps) <= 2 * FEWEST or time.monotonic() < end:
            for run in runs:
                run()
                stamps.append(clock.stamp())
        times = clock.between(stamps)
    return float(times[::2].min() / times[1::2].min())


def _batch(model: Any, imgsz: int, device: torch.device) -> Callable[[], object]:
    """A function that runs a fused detector on a batch of random images."""
    shape = (BATCH, channels_of(model), imgsz, imgsz)
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    if device.type == "cpu":
        session = onnxruntime_session(onnx_of(model, imgsz, BATCH))
        return lambda: session.run(None, {"images": images})
    fused, batch = _fused(model, device), torch.from_numpy(images).to(device)
    batch = batch.half() if half_precision(device) else batch

    def run() -> object:
        with torch.inference_mode():
            return fused(batch)

    return run


def _fused(model: Any, device: torch.device) -> Any:
    return deployed(deepcopy(model).float().eval().fuse(verbose=False), device)


def _untold(device: torch.device) -> str:
    told = device.type == "cuda" or (device.type == "cpu" and HIGH_WATER.exists())
    return "" if told else "CUDA, or Linux, which tells how much memory a process had"


@metric("peak_memory_mb", unit="MB", direction="minimize", stage="built", title="peak memory", lacking=_untold)
def peak_memory_mb(candidate: Any) -> float:
    """Most memory of a fused network at batch 1, weights included, in millions of bytes.

    On CUDA what PyTorch allocates for it in fp16. On a CPU what a fresh process with ONNX Runtime alone (fp32, one
    thread) occupies more after its passes than before it has loaded the file; the median of three processes.
    """
    return candidate.once("peak_memory_mb", _allocated if candidate.device.type == "cuda" else _resident)


def _allocated(candidate: Any) -> float:
    device = candidate.device
    with lock_of(device).exclusively(), torch.inference_mode():
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        fused = _fused(candidate.model, device)
        image = torch.zeros(1, channels_of(candidate.model), candidate.imgsz, candidate.imgsz).to(device).half()
        fused(image)  # the first pass may choose algorithms, which needs more
        torch.cuda.reset_peak_memory_stats(device)
        fused(image)
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / MB


def _resident(candidate: Any) -> float:
    with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(onnx_of(candidate.model, candidate.imgsz))
        return median(_occupied(file) for _ in range(STARTS)) / MB


def _occupied(file: Path) -> int:
    words = [sys.executable, "-c", LOADED, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CandidateFailed("error", f"ONNX Runtime cannot run this network: {one_line(done.stderr)[-200:]}")
    return int(done.stdout)
