"""Energy: read from folders as the kernel has them, with figures as they were read on such machines."""

from pathlib import Path

import pytest
import torch

from gamsearch.errors import OptionError
from gamsearch.metrics import METRICS, Metric
from gamsearch.models.energy import LAPS, energy_of, meters
from gamsearch.runs.prepared import check_measurable

METRICS._entries.pop("energy_mj")  # a space asks for it; in other tests it must not be registered
CPU = torch.device("cpu")
RANGE = 262143328850
"""Microjoules after which the counters of many processors begin again."""


def rapl(root: Path, **packages: int) -> Path:
    """RAPL's folders: packages, each with a part whose energy is counted in the package as well."""
    for number, (name, energy) in enumerate(packages.items()):
        for folder, label in ((f"intel-rapl:{number}", name), (f"intel-rapl:{number}:0", "core")):
            path = root / "class/powercap" / folder
            path.mkdir(parents=True)
            for file, text in (("name", label), ("energy_uj", energy), ("max_energy_range_uj", RANGE)):
                (path / file).write_text(f"{text}\n")
    return root / "class/powercap/intel-rapl:0/energy_uj"


def test_packages_are_added_up_and_their_parts_and_the_whole_system_are_not(tmp_path):
    rapl(tmp_path, package_0=1_000_000, package_1=5_000_000, psys=9)
    found, lacking = meters(CPU, tmp_path)
    assert [meter.folder.name for meter in found] == ["intel-rapl:0", "intel-rapl:1"] and lacking == ""
    assert sum(meter.spent(1.0) for meter in found) == 0


def test_a_counter_that_begins_again_at_zero_loses_nothing(tmp_path):
    file = rapl(tmp_path, package=RANGE - 3_000)
    (counter,), _ = meters(CPU, tmp_path)
    for now, spent in ((RANGE - 1_000, 2.0), (4_000, 5.0), (4_500, 0.5)):
        file.write_text(str(now))
        assert counter.spent(1.0) == pytest.approx(spent)


def test_the_board_of_a_jetson_is_measured_by_volts_times_amperes(tmp_path):
    sensor = tmp_path / "class/hwmon/hwmon3"
    sensor.mkdir(parents=True)
    labels = {"in1_label": "VDD_IN", "in2_label": "VDD_CPU_GPU_CV"}
    figures = {"in1_input": 5032, "curr1_input": 1200, "in2_input": 5000, "curr2_input": 300}
    for name, text in {**labels, **figures}.items():
        (sensor / name).write_text(f"{text}\n")
    (board,), _ = meters(CPU, tmp_path)
    assert board.spent(0.5) == pytest.approx(5.032 * 1.2 * 500)


def test_the_energy_of_a_call_is_the_median_of_readings_after_the_first(tmp_path):
    file = rapl(tmp_path, package=0)
    found, _ = meters(CPU, tmp_path)
    calls = []

    def run() -> None:
        calls.append(1)
        file.write_text(str(int(file.read_text()) + (900_000 if len(calls) in (1, 5) else 7_000)))

    assert energy_of(run, found, lambda: None, lap_s=0.0) == pytest.approx(7.0) and len(calls) == LAPS + 1


def test_a_machine_that_does_not_tell_is_refused_before_the_search_in_one_sentence(tmp_path):
    silent = Metric("told", "mJ", "minimize", "built", lambda c: 0.0, lacking=lambda d: meters(d, tmp_path)[1])
    with METRICS.temporarily("told", silent), pytest.raises(OptionError) as error:
        check_measurable(CPU)
    assert str(error.value) == (
        "the metric 'told' needs a device that tells its energy: RAPL (/sys/class/powercap), or a Jetson's VDD_IN "
        "sensor; leave it and its plug-in out of the space"
    )
    rapl(tmp_path, package=0)
    with METRICS.temporarily("told", silent):
        check_measurable(CPU)
