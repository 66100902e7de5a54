"""The arms of a verification: the baseline, each finalist, and a larger detector; how each is trained at a seed."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gamsearch.analysis.verification import SCALE_UP
from gamsearch.architecture import BASELINE, Architecture
from gamsearch.errors import CandidateFailed, OptionError, RunError
from gamsearch.evaluation import TrialBudget
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs.searched_data import searched_data
from gamsearch.runs.settings import Settings
from gamsearch.signals import stop_request
from gamsearch.space.detector import Detector
from gamsearch.space.stock import searched_names
from gamsearch.study.record import latency_backend
from gamsearch.training.dataset import DataSet

SCALES = "tnsmbclex"
"""Letters of all scales, from the smallest."""
RECORDED_METRICS = ("params_m", "gflops", "latency_ms")
"""What is recorded of a training besides the metrics of its task."""

OnEpoch = Callable[[int, int, Mapping[str, float]], None]
"""Called with `(epoch, epochs, metrics)` after each epoch."""


@dataclass(frozen=True)
class VerifyOptions:
    """The options of `verify`.

    Attributes:
        top: Largest number of finalists.
        seeds: Paired seeds.
        epochs: Epochs of each training.
        scale_up: A larger detector, `next` for the next scale, or empty for none.
        train: Ultralytics training arguments on top of the run's own.
        device: Empty for the run's.
        data: Where the run's data set is now; empty for where it was.
        trust: Whether a `.pt` that cannot be opened otherwise may run the code that it holds.
    """

    top: int = 3
    seeds: int = 5
    epochs: int = 100
    scale_up: str = ""
    train: Mapping[str, Any] = field(default_factory=dict)
    device: str = ""
    data: str = ""
    trust: bool = False

    def check(self) -> None:
        """Raise `OptionError` for a number that is too small."""
        for name, lowest in {"top": 1, "seeds": 2, "epochs": 1}.items():
            if getattr(self, name) < lowest:
                raise OptionError(f"--{name} must be at least {lowest}, not {getattr(self, name)}")


@dataclass(frozen=True)
class Arm:
    """One side of the comparison.

    Attributes:
        key: What it is recorded under.
        label: Its name in messages.
        detector: The stock detector.
        weights: A checkpoint's model to start from; None: random weights.
        architecture: Its placements.
    """

    key: str
    label: str
    detector: Detector
    weights: Any
    architecture: Architecture


@dataclass(frozen=True)
class Inputs:
    """What all trainings of a verification share: the run's folder and settings, data, device and start weights."""

    folder: Path
    settings: Settings
    options: VerifyOptions
    data: DataSet
    device: Any
    backend: str
    detector: Detector
    weights: Any

    @property
    def hardware(self) -> str:
        """The device in words."""
        from gamsearch.models import device as devices

        return devices.describe(self.device)

    def images(self, key: str, seed: int) -> Path:
        """Where the per-image matches of a training are kept."""
        return self.folder / "verify" / f"{key}-seed{seed}.npz"


def read_inputs(folder: Path, settings: Settings, recorded: Mapping[str, Any], options: VerifyOptions) -> Inputs:
    """Read data and model, and choose device and latency backend.

    Raises `RunError` if the data are not those that the run searched.
    """
    quiet_ultralytics()
    from gamsearch.models import device as devices
    from gamsearch.models.latency.backends import AUTO, resolved
    from gamsearch.training.baseline import read_model

    detector, weights = read_model(settings.model, options.trust)
    place, device = options.data or settings.data, devices.select(options.device or settings.device)
    data = searched_data(folder, place, recorded, detector.task, "verify")
    same = devices.describe(device) == recorded.get("hardware")
    backend = resolved((latency_backend(recorded) or settings.latency) if same else AUTO, device)
    return Inputs(folder, settings, options, data, device, backend, detector, weights)


def arms_of(inputs: Inputs, finalists: Sequence[Mapping[str, Any]], larger: str) -> list[Arm]:
    """The baseline, the recorded finalists, and the detector `larger` unless that is empty."""
    stock = Architecture.of(inputs.detector.name)
    arms = [Arm(BASELINE, BASELINE, inputs.detector, inputs.weights, stock)]
    for one in finalists:
        placed = Architecture.from_dict(one["architecture"])
        arms.append(Arm(one["key"], one["label"], inputs.detector, inputs.weights, placed))
    if larger:
        from gamsearch.training.baseline import read_model

        detector, weights = read_model(larger, inputs.options.trust)
        arms.append(Arm(SCALE_UP, detector.name, detector, weights, Architecture.of(detector.name)))
    return arms


def train_arm(inputs: Inputs, arm: Arm, seed: int, arguments: Mapping[str, Any], on_epoch: OnEpoch) -> dict[str, Any]:
    """Train one arm at one seed with these Ultralytics arguments; return what the study records of it."""
    from gamsearch.training.baseline import start_model
    from gamsearch.training.details import DetailedTrainer
    from gamsearch.training.evaluator import TrainingEvaluator
    from gamsearch.training.recipe import FINE_TUNE, FROM_SCRATCH
    from gamsearch.training.setup import CostSettings, Folders, Recipe

    start = start_model(arm.detector, arm.weights, inputs.data.names, seed, inputs.data.kpt_shape)
    place = inputs.folder / "verify"
    folders = Folders(place / "scratch", place / "weights", place / "paused")
    recipe = Recipe(
        arguments=FROM_SCRATCH if arm.weights is None else FINE_TUNE,
        user=arguments,
        trainer=DetailedTrainer,
        halve_batch=False,
    )
    data, costs = inputs.data.yaml.resolve(), CostSettings(backend=inputs.backend)
    evaluator = TrainingEvaluator(arm.detector, start, data, inputs.device, folders, recipe, costs)
    settings, epochs = inputs.settings, inputs.options.epochs
    budget = TrialBudget(epochs, settings.imgsz, settings.batch, seed, curve=False)

    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch:
            on_epoch(epoch, epochs, metrics)

    try:
        with stop_request.precedence():
            measured = evaluator.evaluate(arm.architecture, budget, report)
    except CandidateFailed as failure:
        raise RunError(f"{arm.label} could not be verified at seed {seed} ({failure})") from failure
    if arm.detector.task.name != "classify":  # its images have no matches
        shutil.move(folders.scratch / "images.npz", inputs.images(arm.key, seed))
    return _entry(inputs, arm, seed, measured, start)


def _entry(inputs: Inputs, arm: Arm, seed: int, measured: Any, start: Any) -> dict[str, Any]:
    """What is recorded of a training; the latency of a larger detector is its ratio to the baseline's."""
    metrics, provenance = measured.metrics, measured.provenance
    latency = provenance["latency"]
    ratio, interval = metrics["latency_ratio"], [latency["ratio_low"], latency["ratio_high"]]
    if arm.key == SCALE_UP:
        ratio, interval = _ratio_to_baseline(inputs, start)
    return {
        "seed": seed,
        **{name: metrics[name] for name in (*inputs.detector.task.metrics, *RECORDED_METRICS)},
        "latency_ratio": ratio,
        "latency_interval": interval,
        **{name: provenance[name] for name in ("per_class", "per_size") if name in provenance},
        "seconds": provenance["seconds"],
    }


def _ratio_to_baseline(inputs: Inputs, larger: Any) -> tuple[float, list[float]]:
    """Time whole passes in turns, since networks of different widths share no rows."""
    from gamsearch.models.latency.measure import measure
    from gamsearch.training.baseline import start_model

    data, seed = inputs.data, inputs.settings.seed
    small = start_model(inputs.detector, inputs.weights, data.names, seed, data.kpt_shape)
    latency = measure(larger, small, inputs.settings.imgsz, inputs.device, backend=inputs.backend)
    return latency.paired_ratio, [latency.paired_low, latency.paired_high]


def next_scale(model: str) -> str:
    """The next larger scale of a stock detector, e.g. `yolov8s.yaml` for `yolov8n.yaml`; `OptionError` if unknown."""
    name = Path(model).name
    found = re.match(r"(yolov?\d+)([a-z])", name)
    family, own = found.groups() if found else ("", "")
    for scale in SCALES.partition(own)[2] if own else "":
        if f"{family}{scale}" in searched_names():
            return f"{family}{scale}{name[len(family) + 1 :]}"
    raise OptionError(f"the next scale after {model} is not known; name it, e.g. --scale-up yolov8s.yaml")
