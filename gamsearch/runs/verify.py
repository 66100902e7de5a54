"""The verification of a run: finalists and baseline at full budget from the original weights, paired by seed.

All of it is recorded in the run's own study, training by training, so an interrupted verification goes on where it was.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from gamsearch.analysis.verification import SCALE_UP
from gamsearch.architecture import BASELINE, Architecture
from gamsearch.errors import CandidateFailed, OptionError, RunError
from gamsearch.evaluation import TrialBudget
from gamsearch.models.register import quiet_ultralytics
from gamsearch.runs.folder_lock import held
from gamsearch.runs.provenance import command_line, commit, versions
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import SCALE_IN_NAME, Detector
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.study.urls import masked
from gamsearch.training.dataset import DataSet

ATTRIBUTE = "verification"
SCALES = "nsmlx"

Say = Callable[[str], None]
OnEpoch = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class VerifyOptions:
    """What `verify` is asked for: how many finalists, seeds and epochs; `scale_up` names a larger detector or is empty.

    `train` holds Ultralytics training arguments on top of the run's own. An empty `device` is the run's.
    `trust` lets a `.pt` that cannot be opened otherwise run the code that it holds.
    """

    top: int = 3
    seeds: int = 5
    epochs: int = 100
    scale_up: str = ""
    train: Mapping[str, Any] = field(default_factory=dict)
    device: str = ""
    trust: bool = False

    def check(self) -> None:
        """Raise `OptionError` for a number that is none."""
        for name, lowest in {"top": 1, "seeds": 2, "epochs": 1}.items():
            if getattr(self, name) < lowest:
                raise OptionError(f"--{name} must be at least {lowest}, not {getattr(self, name)}")


@dataclass(frozen=True)
class Arm:
    """One side of the comparison: what it is recorded under, its detector, its start weights and its placements."""

    key: str
    label: str
    detector: Detector
    weights: Any
    architecture: Architecture


def verify(folder: Path, options: VerifyOptions, say: Say, on_epoch: OnEpoch) -> optuna.Study:
    """Train what is not trained yet and return the study; `RunError` if the run cannot be verified."""
    options.check()
    store.snapshot(folder)  # a folder without a run is refused before anything is made in it
    with held(folder, "verification"):
        store.repair_torn_line(folder)
        study = store.load(folder)
        settings = _settings_of(study, folder)
        finalists = _finalists(read_record(study, folder.name), options.top)
        _Verification(study, folder, settings, options, say, on_epoch).run(finalists)
    return study


def _settings_of(study: optuna.Study, folder: Path) -> Settings:
    """The settings that the run was made with."""
    known = Settings.__dataclass_fields__
    recorded = {k: v for k, v in study.user_attrs.get("settings", {}).items() if k in known}
    settings = Settings(**recorded)
    if settings.evaluator != "training":
        raise RunError(f"{folder} replays a table, so there is nothing to train; verify a run on your own data")
    return settings


def _finalists(record: Record, top: int) -> list[pd.Series]:
    """The members of the front with the largest gains, the baseline left out; the best candidate if there is none."""
    best = record.candidates
    if best.empty:
        raise RunError(f"{record.name} has no completed candidate, so there is nothing to verify; let it search first")
    chosen = best[best["on_front"]] if best["on_front"].any() else best.head(1)
    return [row for _, row in chosen.head(top).iterrows()]


class _Verification:
    """The state of one call: what is recorded, and how an entrant is trained at a seed."""

    def __init__(
        self, study: optuna.Study, folder: Path, settings: Settings, options: VerifyOptions, say: Say, on_epoch: OnEpoch
    ):
        quiet_ultralytics()
        from gamsearch.models import device as devices
        from gamsearch.models.latency.backends import AUTO, resolved
        from gamsearch.training.baseline import read_model

        self.study, self.folder, self.options, self.say, self.on_epoch = study, folder, options, say, on_epoch
        self.settings = settings
        self.device = devices.select(options.device or settings.device)
        self.data = DataSet.read(settings.data)
        recorded = study.user_attrs["settings"].get("data_fingerprint", self.data.fingerprint)
        if recorded != self.data.fingerprint:
            raise RunError(f"the data in {settings.data} changed since {folder} searched them; restore them to verify")
        self.detector, self.weights = read_model(settings.model, options.trust)
        hardware = devices.describe(self.device)
        same = hardware == study.user_attrs["settings"].get("hardware")
        self.backend = resolved(settings.latency if same else AUTO, self.device)
        self.state = self._opened(hardware)

    def _opened(self, hardware: str) -> dict[str, Any]:
        """What is recorded so far; a verification of other epochs or on another device is refused."""
        asked = {
            "epochs": self.options.epochs,
            "imgsz": self.settings.imgsz,
            "batch": self.settings.batch,
            "model": self.settings.model,
            "train": {**self.settings.train, **self.options.train},
            "hardware": hardware,
            "data_fingerprint": self.data.fingerprint,
        }
        state: dict[str, Any] = self.study.user_attrs.get(ATTRIBUTE) or {"settings": asked, "finalists": []}
        for name, value in asked.items():
            if state["settings"].get(name) != value:
                raise RunError(
                    f"this run was verified with {name} {state['settings'].get(name)}, not {value}, and the two do not "
                    "compare; give the same again, or search under another --name"
                )
        seeds = max(self.options.seeds, state["settings"].get("seeds", 0))
        state["settings"] |= {
            "seeds": seeds,
            "latency": self.backend,
            "versions": versions(),
            "command": masked(command_line()),
            "commit": commit(),
        }
        for name in ("trainings", "bootstrap"):
            state.setdefault(name, {})
        return state

    def run(self, finalists: Sequence[pd.Series]) -> None:
        """Seed by seed, so that whatever is there at any moment is paired."""
        known = {one["key"] for one in self.state["finalists"]}
        self.state["finalists"] += [_described(row) for row in finalists if row["key"] not in known]
        arms = self._arms()
        self._record()
        for seed in range(self.settings.seed, self.settings.seed + self.state["settings"]["seeds"]):
            for arm in arms:
                self._train(arm, seed)
            if seed == self.settings.seed:
                self._bootstrap(seed)

    def _arms(self) -> list[Arm]:
        stock = Architecture.of(self.detector.name, [])
        arms = [Arm(BASELINE, BASELINE, self.detector, self.weights, stock)]
        for one in self.state["finalists"]:
            placed = Architecture.from_dict(one["architecture"])
            arms.append(Arm(one["key"], one["label"], self.detector, self.weights, placed))
        if self.options.scale_up or self.state.get("scale_up"):
            arms.append(self._larger())
        return arms

    def _larger(self) -> Arm:
        """The detector without attention that growth alone would give."""
        from gamsearch.training.baseline import read_model

        known = (self.state.get("scale_up") or {}).get("model")
        model = known or (self.options.scale_up if self.options.scale_up != "next" else next_scale(self.settings.model))
        detector, weights = read_model(model, self.options.trust)
        self.state["scale_up"] = {"name": detector.name, "model": model}
        return Arm(SCALE_UP, detector.name, detector, weights, Architecture.of(detector.name, []))

    def _train(self, arm: Arm, seed: int) -> None:
        """Train one entrant at one seed unless that is recorded already."""
        done = self.state["trainings"].setdefault(arm.key, [])
        if any(one["seed"] == seed for one in done):
            return
        from gamsearch.training.baseline import start_model
        from gamsearch.training.details import DetailedTrainer
        from gamsearch.training.evaluator import TrainingEvaluator
        from gamsearch.training.recipe import FINE_TUNE, FROM_SCRATCH
        from gamsearch.training.setup import CostSettings, Folders, Recipe

        self.say(f"verify: {arm.label}, seed {seed}, {self.options.epochs} epochs")
        start = start_model(arm.detector, arm.weights, self.data.names, seed)
        scratch, place = self.folder / "verify" / "scratch", self.folder / "verify"
        evaluator = TrainingEvaluator(
            arm.detector,
            start,
            self.data.yaml.resolve(),
            self.device,
            Folders(scratch, place / "weights", place / "paused"),
            Recipe(
                arguments=FROM_SCRATCH if arm.weights is None else FINE_TUNE,
                user=self.state["settings"]["train"],
                fresh_lr_factor=1.0,
                trainer=DetailedTrainer,
                halve_batch=False,
            ),
            CostSettings(backend=self.backend),
        )
        budget = TrialBudget(self.options.epochs, self.settings.imgsz, self.settings.batch, seed, curve=False)

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            if epoch:
                self.on_epoch(epoch, budget.epochs, metrics)

        try:
            measured = evaluator.evaluate(arm.architecture, budget, report)
        except CandidateFailed as failure:
            raise RunError(f"{arm.label} could not be verified at seed {seed} ({failure})") from failure
        shutil.move(scratch / "images.npz", self._images(arm.key, seed))
        done.append(self._entry(arm, seed, measured, start))
        self._record()

    def _entry(self, arm: Arm, seed: int, measured: Any, start: Any) -> dict[str, Any]:
        """What is recorded of a training; the latency of a larger detector is its ratio to the baseline's."""
        metrics, provenance = measured.metrics, measured.provenance
        latency = provenance["latency"]
        ratio, interval = metrics["latency_ratio"], [latency["ratio_low"], latency["ratio_high"]]
        if arm.key == SCALE_UP:
            ratio, interval = self._ratio_to_baseline(start)
        return {
            "seed": seed,
            **{name: metrics[name] for name in ("map50_95", "map50", "params_m", "gflops", "latency_ms")},
            "latency_ratio": ratio,
            "latency_interval": interval,
            "per_class": provenance["per_class"],
            "per_size": provenance["per_size"],
            "seconds": provenance["seconds"],
        }

    def _ratio_to_baseline(self, larger: Any) -> tuple[float, list[float]]:
        """Whole passes in turns: networks of other widths share no rows."""
        from gamsearch.models.latency.measure import measure
        from gamsearch.training.baseline import start_model

        small = start_model(self.detector, self.weights, self.data.names, self.settings.seed)
        latency = measure(larger, small, self.settings.imgsz, self.device, backend=self.backend)
        return latency.paired_ratio, [latency.paired_low, latency.paired_high]

    def _images(self, key: str, seed: int) -> Path:
        return self.folder / "verify" / f"{key}-seed{seed}.npz"

    def _bootstrap(self, seed: int) -> None:
        """Per finalist the paired difference over resampled validation images, at the first seed."""
        from gamsearch.analysis.image_bootstrap import Detections, paired_bootstrap

        for one in self.state["finalists"]:
            files = [self._images(key, seed) for key in (BASELINE, one["key"])]
            if one["key"] in self.state["bootstrap"] or not all(file.exists() for file in files):
                continue
            baseline, finalist = map(Detections.load, files)
            if len(baseline.target_cls):
                self.state["bootstrap"][one["key"]] = {"seed": seed, **paired_bootstrap(finalist, baseline)}
        self._record()

    def _record(self) -> None:
        self.study.set_user_attr(ATTRIBUTE, self.state)


def _described(row: pd.Series) -> dict[str, Any]:
    return {
        "key": row["key"],
        "number": int(row["number"]),
        "label": row["label"],
        "architecture": row["architecture"],
        "brief_gain": float(row["map50_95_gain"]),
    }


def next_scale(model: str) -> str:
    """The next larger scale of a stock detector, e.g. `yolov8s.yaml` for `yolov8n.yaml`; `OptionError` if unknown."""
    name = Path(model).name
    found = SCALE_IN_NAME.search(name)
    if found is None or found.group(1) == SCALES[-1]:
        raise OptionError(f"the next scale after {model} is not known; name it, e.g. --scale-up yolov8s.yaml")
    larger = SCALES[SCALES.index(found.group(1)) + 1]
    return f"{name[: found.start(1)]}{larger}{name[found.end(1) :]}"
