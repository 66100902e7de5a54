"""What a latency backend must do, on the devices that this machine has."""

from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from gamsearch.errors import OptionError
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, backend_named

OTHERS = ("cpu", "cuda", "mps")
IMGSZ = 64


@dataclass(frozen=True)
class Case:
    """A backend, and a device of this machine that it measures on, if there is one."""

    backend: LatencyBackend
    device: torch.device | None


def cases(name: str) -> dict[str, Case]:
    """The backend on the first device that it can use here, if the package that it needs is installed."""
    backend = BACKENDS.named(name)
    present = [torch.device("cuda", 0)] * torch.cuda.is_available() + [torch.device("cpu")]
    if backend.requires and find_spec(backend.requires) is None:
        present = []
    return {"": Case(backend, next((device for device in present if backend.device in ("", device.type)), None))}


def _stock() -> Any:
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    return start_model(Detector.load("yolov8n"), None, {0: "object"}, seed=0)


def states_what_it_measures(case: Case) -> None:
    assert case.backend.summary, "the function has no docstring, which lists show"


def is_refused_on_other_devices(case: Case) -> None:
    if not case.backend.device:
        return
    for other in OTHERS:
        if other != case.backend.device:
            try:
                backend_named(case.backend.name, torch.device(other))
            except OptionError:
                continue
            raise AssertionError(f"it measures on {case.backend.device} only but is accepted on {other}")


def runs_the_network_again_and_again_without_changing_the_model(case: Case) -> None:
    if case.device is None:
        return
    model = _stock().train().to(case.device)
    before = deepcopy(model.state_dict())
    network = case.backend.prepare(model, IMGSZ, case.device)
    for _ in range(3):
        network.run()
    assert model.training, "the model was left in another mode"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), f"{name} of the model was changed"


def tells_a_heavier_network_from_a_lighter_one(case: Case) -> None:
    from gamsearch.models.latency.measure import measure
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    if case.device is None:
        return
    heavier = start_model(Detector.load("yolov8s"), None, {0: "object"}, seed=0).to(case.device)
    found = measure(heavier, _stock().to(case.device), IMGSZ, case.device, backend=case.backend.name, seconds=0.5)
    assert found.paired_ratio > 1.1, f"yolov8s took {found.paired_ratio:.2f} times as long as yolov8n"


CHECKS = (
    states_what_it_measures,
    is_refused_on_other_devices,
    runs_the_network_again_and_again_without_changing_the_model,
    tells_a_heavier_network_from_a_lighter_one,
)
