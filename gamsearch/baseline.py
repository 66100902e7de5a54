"""The baseline stage: the stock detector on the user's data, the source of all inherited weights.

Its checkpoint `baseline/baseline.pt` is an ordinary Ultralytics checkpoint. The stage writes `last.pt` after each epoch
and goes on from there when it was interrupted.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer

from gamsearch import publish
from gamsearch.detectors import Detector
from gamsearch.errors import CandidateFailed, ModelError, RunError
from gamsearch.evaluation import Budget
from gamsearch.evaluators.recipe import FINE_TUNE, FROM_SCRATCH, arguments
from gamsearch.evaluators.trainer import LeanTrainer
from gamsearch.model import Model

OnEpoch = Callable[[int, dict[str, float]], None]


class BaselineTrainer(LeanTrainer):
    """A lean trainer that writes a checkpoint per epoch, so that the stage can go on where it was stopped.

    It validates four times in all: what counts is where it ends.
    """

    _handle_nan_recovery = DetectionTrainer._handle_nan_recovery

    def save_model(self) -> bool:
        """Write `last.pt` as Ultralytics does, but in one step: a kill leaves the old one or the new one."""
        last, self.last = self.last, self.last.with_suffix(".partial")
        try:
            DetectionTrainer.save_model(self)
            self.last.replace(last)
        finally:
            self.last = last
        return True

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Validate every quarter of the stage and at its end; no metrics in between."""
        every = max(1, self.epochs // 4)
        if (self.epoch + 1) % every and self.epoch + 1 < self.epochs:
            return {}, None
        return super().validate()


def read_model(text: str) -> tuple[Detector, Model | None]:
    """Turn `--model` into a detector and, for a `.pt`, the checkpoint's model (fp32)."""
    if not text.endswith(".pt"):
        return Detector.load(text), None
    weights: Model = publish.load_checkpoint(_fetched(text))
    name = Path(text).stem
    if not isinstance(getattr(weights, "yaml", None), dict):
        raise ModelError(f"{text} holds no model YAML, so its layers cannot be counted; give an Ultralytics .pt")
    return Detector.from_yaml(name, weights.yaml), weights


def _fetched(text: str) -> Path:
    """The checkpoint's path; a released one (`yolov8n.pt`) that is not there is downloaded if there is a network."""
    path = Path(text)
    if path.exists():
        return path
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    mend = f"give --model the path of a .pt that is there, or {path.stem}.yaml to train the baseline from scratch"
    if text not in GITHUB_ASSETS_NAMES:
        raise ModelError(f"the checkpoint {text} does not exist; {mend}")
    try:
        return Path(attempt_download_asset(text))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{text} is not here and could not be downloaded (no network?); {mend}") from error


def start_model(detector: Detector, weights: Model | None, names: dict[int, str], seed: int) -> Model:
    """The stock detector for the data's classes, with a checkpoint's weights loaded as Ultralytics loads them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Model = publish.build(detector.yaml, nc=len(names))
        model.names = dict(names)
        if weights is not None:
            model.load(deepcopy(weights), verbose=False)
    model.names = dict(names)
    return model


def train_baseline(
    model: Model,
    budget: Budget,
    data: Path,
    device: torch.device,
    folder: Path,
    *,
    from_scratch: bool,
    user_arguments: Mapping[str, Any],
    on_epoch: OnEpoch = lambda epoch, results: None,
) -> Path:
    """Train `model` for the budget (nothing for 0 epochs) and return the path of `baseline.pt` in `folder`.

    A finished stage is returned as it is; an interrupted one goes on after its last finished epoch.
    """
    target, last = folder / "baseline.pt", folder / "weights" / "last.pt"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    if budget.epochs > 0:
        done = _finished_epochs(last)
        if done >= budget.epochs:
            write_checkpoint(publish.load_checkpoint(last), target, {"epochs": done, "imgsz": budget.imgsz})
            return target
        recipe = {**(FROM_SCRATCH if from_scratch else FINE_TUNE), "save": True}
        train_arguments = arguments(recipe, budget, data, device, folder, dict(user_arguments))
        if done:
            train_arguments |= {"resume": str(last), "model": str(last)}
        trainer = BaselineTrainer(model, train_arguments, on_epoch)
        if done:
            trainer.model = str(last)
        try:
            trainer.train()
        except CandidateFailed as failure:
            raise RunError(f"the baseline could not be trained ({failure.detail})") from failure
        except RuntimeError as error:
            raise RunError(f"the baseline could not be trained: {str(error).splitlines()[0]}") from error
        model = trainer.validated.cpu()
    write_checkpoint(model, target, {"epochs": budget.epochs, "imgsz": budget.imgsz, "data": str(data)})
    return target


def _finished_epochs(last: Path) -> int:
    """How many epochs an interrupted stage had finished; a checkpoint that cannot be read counts as none and goes."""
    if not last.exists():
        return 0
    try:
        return int(torch.load(last, map_location="cpu", weights_only=False)["epoch"]) + 1  # our own file
    except Exception:  # unpickling a damaged file can raise anything
        last.unlink()
        return 0


def validated(results: Mapping[str, float]) -> bool:
    """Whether an epoch's results hold a validation's metrics."""
    return "metrics/mAP50-95(B)" in results


def write_checkpoint(model: Model, path: Path, train_arguments: Mapping[str, Any]) -> None:
    """Write an ordinary Ultralytics checkpoint (fp16) in one step, so that no half-written file is ever found."""
    from ultralytics import __version__

    shipped = deepcopy(model).cpu().eval().to(memory_format=torch.contiguous_format)  # training on CUDA leaves NHWC
    shipped = _halved(shipped)
    shipped.args = {"task": "detect", **train_arguments}
    shipped.criterion = None
    for parameter in shipped.parameters():
        parameter.requires_grad = False
    partial = path.with_suffix(".partial")
    content = {"epoch": -1, "model": shipped, "ema": None, "train_args": shipped.args, "version": __version__}
    torch.save({**content, "license": "AGPL-3.0 (https://ultralytics.com/license)"}, partial)
    partial.replace(path)


def _halved(model: Model) -> Model:
    """The model in fp16, or as it is where fp16 could not hold a value (a variance above 65504)."""
    halved = deepcopy(model).half()
    finite = all(torch.isfinite(t).all() for t in halved.state_dict().values() if t.is_floating_point())
    return halved if finite else model


def read_baseline(path: Path) -> Model:
    """The baseline's model in fp32 and in train-ready form."""
    model: Model = publish.load_checkpoint(path)
    model.to(memory_format=torch.contiguous_format)
    for parameter in model.parameters():
        parameter.requires_grad = parameter.dtype.is_floating_point
    return model
