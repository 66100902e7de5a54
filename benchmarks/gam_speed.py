"""Speed of the fused form of GAM against its reference form on a CPU: one thread, paired, interleaved.

    python benchmarks/gam_speed.py
    python benchmarks/gam_speed.py --channels 64 --rounds 500

Both forms have the same weights and run in eval mode without gradients. The reference form is the published one:
permute, two linear layers, permute, 7x7 convolutions that pad by replication, batch norms as layers of their own.
Each round times both in random order, in CPU time of this thread. The result is the median over rounds of the ratio
reference / fused (larger is faster), with quartiles. Wall time is not used since it depends on the load of the machine.
Before each call eight megabytes are written and the input is copied, so that the caches are in the state they have
inside a network. The process keeps freed memory (glibc); otherwise page faults would affect one form at random.
The exit code is 1 if a target is missed.
"""

import argparse
import copy
import ctypes
import platform
import random
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from gamsearch.attention.gam import GAM

SIDES = {32: 80, 64: 40, 128: 20, 256: 10}  # yolov8n at 320 px: channels -> height and width of the map
TARGETS = {32: 1.05, 64: 1.05, 256: 1.0}  # of the plain folded form, which exports have


def trained_like(channels: int, rate: int) -> GAM:
    """A GAM in eval mode with the reference initialisation and batch-norm statistics like those after training."""
    gam = GAM(channels, rate, init="reference")
    for norm in (gam.norm1, gam.norm2):
        norm.eps = 1e-3
        nn.init.normal_(norm.get_buffer("running_mean"), std=0.3)
        nn.init.uniform_(norm.get_buffer("running_var"), 0.2, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    return gam.eval()


def thread_ms(module: nn.Module, x: torch.Tensor, scratch: torch.Tensor) -> float:
    """CPU milliseconds of this thread for one forward pass of a fresh copy of `x`."""
    scratch.add_(1)  # evicts the caches
    x = x.clone()
    start = time.thread_time_ns()
    module(x)
    return (time.thread_time_ns() - start) / 1e6


def paired(channels: int, side: int, rate: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Milliseconds per round of the reference and of the fused form, and the largest difference of their outputs."""
    reference = trained_like(channels, rate)
    forms = {"reference": reference, "fused": copy.deepcopy(reference).fuse()}
    x = torch.randn(1, channels, side, side)
    difference = (forms["reference"](x) - forms["fused"](x)).abs().max().item()
    scratch = torch.zeros(2 << 20)
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds + 3):
        for name in random.sample(sorted(forms), len(forms)):
            times[name].append(thread_ms(forms[name], x, scratch))
    times = {name: values[3:] for name, values in times.items()}
    return times["reference"], times["fused"], difference


def keep_freed_memory() -> None:
    """Make glibc, if present, return no memory to the system (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD)."""
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 1 << 30)
        libc.mallopt(-3, 1 << 30)


def processor() -> str:
    """The name of the processor as the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure(channels: int, rate: int, rounds: int) -> bool:
    """Measure one width, print its line and return whether the target is met."""
    side = SIDES[channels]
    reference, fused, difference = paired(channels, side, rate, rounds)
    low, middle, high = statistics.quantiles([r / f for r, f in zip(reference, fused, strict=True)], n=4)
    target = TARGETS.get(channels)
    verdict = "" if target is None else f"{target:.2f} {'met' if middle >= target else 'MISSED'}"
    print(
        f"{channels:4d} @ {side:2d}x{side:<2d} {statistics.median(reference):10.2f} {statistics.median(fused):8.2f} "
        f"{middle:7.2f}  [{low:.2f}, {high:.2f}] {difference:10.1e}   {verdict}"
    )
    return target is None or middle >= target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", choices=sorted(SIDES), default=sorted(SIDES))
    parser.add_argument("--rate", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{processor()}, {capability}; torch {torch.__version__}, 1 thread, {platform.system()}; rate {args.rate}")
    print(f"{args.rounds} rounds, CPU milliseconds of the thread, batch 1, float32\n")
    print("  C @ map    reference    fused   ratio  [quartiles]  max diff   target")
    with torch.inference_mode():
        met = [measure(channels, args.rate, args.rounds) for channels in args.channels]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
