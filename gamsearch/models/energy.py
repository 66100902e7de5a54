"""The metric `energy_mj`, where the machine tells: `plugins: gamsearch.models.energy`.

Counters are read from RAPL (Intel and AMD, `/sys/class/powercap`) and NVML (NVIDIA, `pip install nvidia-ml-py`), power
from the INA sensor of a Jetson. They count everything that the processor or the board does meanwhile, idling included.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import torch

from gamsearch.metrics import metric
from gamsearch.models.device import synchronize
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import backend_named

SYS = Path("/sys")
LAPS, LAP_S = 10, 0.5
"""Readings, whose median counts, and the shortest time between two: NVML counts ten times a second."""
BOARD = "VDD_IN"
"""The label of the sensor that measures the whole board of a Jetson."""


class Meter(Protocol):
    """Something that tells energy."""

    def spent(self, seconds: float) -> float:
        """Millijoules since the last call, which was `seconds` ago."""


class Counter:
    """A counter of microjoules in a folder of RAPL, which begins again at zero beyond `max_energy_range_uj`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._last = self._read("energy_uj")

    def _read(self, name: str) -> int:
        return int((self.folder / name).read_text())

    def spent(self, seconds: float) -> float:
        now = self._read("energy_uj")
        passed = now - self._last + (self._read("max_energy_range_uj") if now < self._last else 0)
        self._last = now
        return passed / 1000


class Power:
    """A sensor of millivolts and milliamperes, channel `number` of a folder of `hwmon`."""

    def __init__(self, folder: Path, number: str):
        self._files = [folder / f"{kind}{number}_input" for kind in ("in", "curr")]
        self.spent(0.0)

    def spent(self, seconds: float) -> float:
        volts, amperes = (int(file.read_text()) / 1000 for file in self._files)
        return volts * amperes * seconds * 1000


class Card:
    """The counter of an NVIDIA GPU since its driver was loaded."""

    def __init__(self, device: torch.device):
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        self._read: Callable[[], int] = lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        self._last = self._read()

    def spent(self, seconds: float) -> float:
        now = self._read()
        passed, self._last = now - self._last, now
        return float(passed)


def meters(device: torch.device, root: Path = SYS) -> tuple[list[Meter], str]:
    """Find what tells the energy of a device.

    Args:
        device: The device.
        root: The folder that is `/sys` elsewhere than in tests.

    Returns:
        What is to be added up, and what is lacking, empty for nothing.
    """
    try:
        if device.type == "cuda" and find_spec("pynvml"):
            return [Card(device)], ""
        packages = sorted((root / "class/powercap").glob("intel-rapl:*"))
        packages = [p for p in packages if (p / "name").read_text().startswith("package")]
        if device.type == "cpu" and packages:
            return [Counter(package) for package in packages], ""
        for label in sorted((root / "class/hwmon").glob("hwmon*/in*_label")):
            if label.read_text().strip() == BOARD:
                return [Power(label.parent, label.name.removeprefix("in").removesuffix("_label"))], ""
    except PermissionError as error:
        return [], f"permission to read {error.filename} (sudo chmod a+r {error.filename})"
    except Exception as error:  # NVML has errors of its own
        return [], f"a device that tells its energy ({error})"
    gpu = "an NVIDIA GPU with the package nvidia-ml-py" if device.type == "cuda" else "RAPL (/sys/class/powercap)"
    return [], f"a device that tells its energy: {gpu}, or a Jetson's {BOARD} sensor"


@metric("energy_mj", unit="mJ", direction="minimize", stage="built", title="energy", lacking=lambda d: meters(d)[1])
def energy_mj(candidate: Any) -> float:
    """Energy of one pass at batch 1 in millijoules: PyTorch in fp16 on CUDA, ONNX Runtime on one CPU thread."""
    return candidate.once("energy_mj", _measured)


def _measured(candidate: Any) -> float:
    device = candidate.device
    network = backend_named("torch" if device.type == "cuda" else "onnxruntime")(
        candidate.model, candidate.imgsz, device
    )
    with lock_of(device).exclusively():
        return energy_of(network.run, meters(device)[0], lambda: synchronize(device))


def energy_of(
    run: Callable[[], object], sources: list[Meter], finish: Callable[[], object], lap_s: float = LAP_S
) -> float:
    """Measure the energy of one call.

    Args:
        run: What is called again and again.
        sources: What tells energy.
        finish: Waits until the calls have had their effect.
        lap_s: Seconds between two readings.

    Returns:
        Millijoules per call: the median of `LAPS` readings, after one that only warms up.
    """
    found = []
    for _ in range(LAPS + 1):
        calls, start = 0, time.monotonic()
        while not calls or time.monotonic() - start < lap_s:
            run()
            finish()
            calls += 1
        found.append(sum(source.spent(time.monotonic() - start) for source in sources) / calls)
    return median(found[1:])
