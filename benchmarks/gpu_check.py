"""Everything that needs a GPU, in one script of under eight minutes.

    python benchmarks/gpu_check.py --out gpu
    python benchmarks/gpu_check.py --device cpu --quick --out gpu-quick

The parts, in order; what does not begin before `--minutes` have passed is recorded as not reached:

speed         images per second of training: a trial of the search (lean) and `yolo train` (stock), at 320 and 640 px,
              with the utilisation of the GPU. Both train two epochs on drawn images; the set-up is counted.
latency       latency of every attention module, one at the P3 input of the head of yolov8n, relative to the stock
              detector: the default backend, on CUDA a graph, at 640 px
step          images per second of training steps alone: as they are, in channels_last, and with torch.compile
side by side  images per second of 1, 2 and 4 trials at a time on the device, each in a process of its own
search        two workers on the device; interrupted by Ctrl-C as candidates are trained, then resumed to the end
tests         the tests of CUDA and of memory that runs out

`gpu.json` holds all figures and is written after each part, `gpu.md` the same as tables with card, versions and commit.
`--quick` checks the script itself where there is no GPU. The exit code is 1 if a part failed.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import lean
import torch
import ultralytics
from zoo_table import _space as space_of

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.models.candidate import build_candidate
from gamsearch.models.device import select
from gamsearch.models.latency.measure_table import measure_table
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs import demo
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model

ROOT = Path(__file__).parent.parent
TESTS = ("tests/training/test_cuda.py", "tests/training/test_out_of_memory.py", "tests/models/latency/test_backends.py")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """What all parts share.

    Attributes:
        device: The device as `--device` names it.
        quick: Whether only the script is checked.
        folder: Where data and trainings go.
    """

    device: str
    quick: bool
    folder: Path

    @property
    def images(self) -> int:
        return 16 if self.quick else 512

    @property
    def batch(self) -> int:
        return 8 if self.quick else 16

    @property
    def sizes(self) -> tuple[int, ...]:
        return (64,) if self.quick else (320, 640)

    @property
    def torch_device(self) -> torch.device:
        return select(self.device)

    def data(self, imgsz: int) -> Path:
        """The data YAML of drawn images of this size."""
        folder = self.folder / f"digits-{imgsz}"
        yaml = folder / "data.yaml"
        return yaml if yaml.exists() else demo.make(folder, train=self.images, val=8, imgsz=imgsz)


def speed(check: Check) -> Figures:
    """Images per second of lean and stock training by image size."""
    found: Figures = {}
    for imgsz in check.sizes:
        setting = _setting(check, imgsz)
        for name in ("lean", "stock"):
            lean.ARMS[name](setting)  # imports, label caches, images in memory
            with _utilisation() as used:
                begun = time.perf_counter()
                lean.ARMS[name](setting)
                seconds = time.perf_counter() - begun
            rate = setting.budget.epochs * check.images / seconds
            found[f"{imgsz} px, {name}"] = {"images_per_s": rate, "gpu_percent": mean(used) if used else None}
    return found


def _setting(check: Check, imgsz: int) -> lean.Setting:
    options = argparse.Namespace(
        data=str(check.data(imgsz)), device=check.device, out=check.folder / "lean", fork_epochs=1, epochs=2,
        batch=check.batch, recipe="stock", sites=[4],
    )  # fmt: skip
    return lean.prepared(options, imgsz)[0]


@contextmanager
def _utilisation() -> Iterator[list[float]]:
    """Collect the percentage of time in which the first GPU had a kernel running; nothing without nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-i", "0", "-lms", "200"]
    values: list[float] = []
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield values
        return

    def collect() -> None:
        for line in process.stdout or ():
            if line.strip().isdigit():
                values.append(float(line))

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    try:
        yield values
    finally:
        process.terminate()
        reader.join(timeout=5)


def latency(check: Check) -> Figures:
    """Latency ratio of every module at the P3 input of the head."""
    detector = Detector.load("yolov8n")
    site = next(row for row in detector.rows[-1].sources if detector.rows[row].stride == 8)
    modules = list(CATALOGUE)[:2] if check.quick else list(CATALOGUE)
    baseline = start_model(detector, None, {0: "a"}, seed=0).eval()
    seconds = 0.3 if check.quick else 2.0
    space = space_of(detector.name, [site], modules)
    table = measure_table(space, baseline, 64 if check.quick else 640, check.torch_device, 1.0, seconds=seconds)
    rows = {p.label: {"ratio": 1 + i.share, "error": i.error} for p, i in table.increments.items()}
    return {"conditions": dict(table.conditions), **rows}


def step(check: Check) -> Figures:
    """Images per second of forward, loss, backward and optimiser, in mixed precision on CUDA."""
    found: Figures = {}
    imgsz, rounds = (64, 2) if check.quick else (640, 30)
    for name in ("as it is", "channels_last", *(() if check.quick else ("compiled",))):
        found[name] = {"images_per_s": check.batch / _step_seconds(check, name, imgsz, rounds)}
    return found


def _step_seconds(check: Check, form: str, imgsz: int, rounds: int) -> float:
    from ultralytics.utils import DEFAULT_CFG

    device, detector = check.torch_device, Detector.load("yolov8n")
    architecture = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
    model = build_candidate(detector, architecture, start_model(detector, None, {0: "a"}, seed=0), 64).model
    model = model.to(device).train().requires_grad_(True)
    model.args = DEFAULT_CFG
    images = torch.rand(check.batch, 3, imgsz, imgsz, device=device)
    if form == "channels_last":
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    index = torch.arange(check.batch, device=device, dtype=torch.float32)
    boxes = torch.tensor([[0.5, 0.5, 0.3, 0.3]], device=device).repeat(check.batch, 1)
    batch = {"img": images, "batch_idx": index, "cls": torch.zeros(check.batch, 1, device=device), "bboxes": boxes}
    forward = torch.compile(model) if form == "compiled" else model
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4)
    criterion = model.init_criterion()

    def one() -> None:
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            loss = criterion(forward(images), batch)[0].sum()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    for _ in range(3):
        one()
    _synchronise(device)
    begun = time.perf_counter()
    for _ in range(rounds):
        one()
    _synchronise(device)
    return (time.perf_counter() - begun) / rounds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def side_by_side(check: Check) -> Figures:
    """Images per second of several trials at a time, all of them together."""
    imgsz, found = check.sizes[0], {}
    check.data(imgsz)
    for count in (1, 2) if check.quick else (1, 2, 4):
        ready = [check.folder / f"ready-{count}-{index}" for index in range(count)]
        go = check.folder / f"go-{count}"
        processes = [_trial_process(check, imgsz, file, go) for file in ready]
        try:
            while not all(file.exists() for file in ready):
                if any(process.poll() for process in processes):
                    raise RuntimeError(f"one of {count} trials at a time failed")
                time.sleep(0.1)
            begun = time.perf_counter()
            go.touch()
            codes = [process.wait() for process in processes]
        finally:
            for process in processes:
                process.kill()
        if any(codes):
            raise RuntimeError(f"one of {count} trials at a time failed")
        found[f"{count} at a time"] = {"images_per_s": 2 * count * check.images / (time.perf_counter() - begun)}
    return found


def _trial_process(check: Check, imgsz: int, ready: Path, go: Path) -> subprocess.Popen[bytes]:
    words = ["--device", check.device, "--trial", imgsz, ready, go]
    command = [sys.executable, __file__, *map(str, words), *(["--quick"] if check.quick else [])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def one_trial(check: Check, imgsz: int, ready: Path, go: Path) -> None:
    """Train once to warm up, wait until all others are ready, train again."""
    setting = _setting(Check(check.device, check.quick, ready.with_name(f"of-{ready.name}")), imgsz)
    lean.lean(setting)
    ready.touch()
    while not go.exists():
        time.sleep(0.02)
    lean.lean(setting)


def search(check: Check) -> Figures:
    """Interrupt a search of two workers once candidates are trained, and resume it to its end."""
    imgsz = check.sizes[0]
    name, trials = "gpu-check", 2 if check.quick else 6
    options = ["--data", check.data(imgsz), "--model", "yolov8n.yaml", "--space", "gam-small", "--imgsz", imgsz]
    options += ["--epochs", 2, "--baseline-epochs", 2, "--trials", trials, "--noise-seeds", 2, "--batch", check.batch]
    options += ["--workers", 2, "--device", check.device, "--out", check.folder, "--name", name]
    command, begun = [sys.executable, "-m", "gamsearch", "run", *map(str, options)], time.perf_counter()
    log = check.folder / "search.log"
    with log.open("w") as file:
        first = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        while first.poll() is None and "trial 1:" not in log.read_text():
            time.sleep(0.2)
        first.send_signal(signal.SIGINT)
        first.wait()
    if first.returncode != 130:
        raise RuntimeError(f"Ctrl-C ended the search with {first.returncode}, not 130; see {log}")
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    counts = json.loads(again.stdout)["counts"]
    if counts["complete"] + counts["stopped"] + counts["paused"] < trials:
        raise RuntimeError(f"the resumed search has {counts}")
    known = {key: counts[key] for key in ("complete", "stopped", "paused", "failed")}
    return {"two workers, interrupted and resumed": {"seconds": time.perf_counter() - begun, **known}}


def tests(check: Check) -> Figures:
    """Run the tests that need a GPU."""
    device = "cpu" if check.device == "cpu" else f"cuda:{check.device}"
    environment = {**os.environ, "GAMSEARCH_TEST_DEVICE": device}
    chosen = TESTS[:1] if check.quick else TESTS
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *chosen]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    summary = (done.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    if done.returncode:
        raise RuntimeError(f"{summary}; {[line for line in done.stdout.splitlines() if line.startswith('FAILED')]}")
    return {"pytest": {"summary": summary}}


PARTS: dict[str, Callable[[Check], Figures]] = {
    "speed": speed,
    "latency": latency,
    "step": step,
    "side by side": side_by_side,
    "search": search,
    "tests": tests,
}


def machine(check: Check) -> Figures:
    """Card, versions and commit."""
    device = check.torch_device
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU {platform.machine()}",
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "ultralytics": ultralytics.__version__,
    }


def as_markdown(found: Figures) -> str:
    """All figures as one table for each part."""
    lines = ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in found["machine"].items())]
    for part, content in found["parts"].items():
        lines += ["", f"## {part[0].upper()}{part[1:]}", ""]
        rows = {key: value for key, value in content.get("figures", {}).items() if key != "conditions"}
        if "problem" in content:
            lines.append(content["problem"])
        elif rows:
            columns = list(dict.fromkeys(name for row in rows.values() for name in row))
            lines += ["| | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
            lines += [
                f"| {key} | " + " | ".join(_cell(row.get(c)) for c in columns) + " |" for key, row in rows.items()
            ]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    options = read_options()
    quiet_ultralytics()
    if options.trial:
        imgsz, ready, go = options.trial
        one_trial(Check(options.device, options.quick, Path(ready).parent), int(imgsz), Path(ready), Path(go))
        return 0
    if options.device != "cpu" and not torch.cuda.is_available():
        print("gpu_check: PyTorch sees no GPU here; --device cpu --quick checks the script only", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    check = Check(options.device, options.quick, Path(tempfile.mkdtemp(prefix="work-", dir=options.out)).resolve())
    begun, found = time.monotonic(), {"machine": machine(check), "parts": {}}
    for name in options.parts:
        found["parts"][name] = carried_out(PARTS[name], check, begun + 60 * options.minutes)
        print(name, json.dumps(found["parts"][name]), flush=True)
        (options.out / "gpu.json").write_text(json.dumps(found, indent=1))
        (options.out / "gpu.md").write_text(as_markdown(found))
    return int(any("traceback" in part for part in found["parts"].values()))


def carried_out(part: Callable[[Check], Figures], check: Check, end: float) -> Figures:
    """The figures of a part with its seconds, or why there are none."""
    begun = time.monotonic()
    if begun > end:
        return {"problem": "Not reached in the time that was given."}
    try:
        figures = part(check)
    except Exception as error:  # whatever it is, the other parts are worth their figures
        return {"problem": f"Failed: {type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"figures": figures, "seconds": time.monotonic() - begun}


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="0", help="index of the GPU, or cpu")
    parser.add_argument("--minutes", type=float, default=7.0, help="no part begins later than this")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="check the script: tiny images, few modules")
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    parser.add_argument("--trial", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
