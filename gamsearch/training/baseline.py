"""The baseline stage: the stock detector on the user's data, the source of all inherited weights.

Its checkpoint `baseline/baseline.pt` is an ordinary Ultralytics checkpoint. The stage writes `baseline/kept.pt` after
each epoch and resumes from there after an interruption, bit for bit on CPU. Run folders are shared, so neither file is
unpickled.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from gamsearch.errors import CandidateFailed, ModelError, RunError, one_line
from gamsearch.evaluation import TrialBudget
from gamsearch.models.checkpoint import open_checkpoint
from gamsearch.models.saving import save
from gamsearch.parser.build import Model, build, with_key_points
from gamsearch.space.detector import Detector
from gamsearch.tasks import task_of
from gamsearch.training.baseline_trainer import BaselineTrainer, kept, kept_in
from gamsearch.training.recipe import FINE_TUNE, FROM_SCRATCH, arguments
from gamsearch.training.task_parts import trainer_for
from gamsearch.training.trainer import OnEpoch


def read_model(text: str, trust: bool = False) -> tuple[Detector, Model | None]:
    """Read `--model`.

    Args:
        text: A stock name, the path of a model YAML, or that of a `.pt`.
        trust: Let a checkpoint that cannot be opened otherwise run the code that it holds.

    Returns:
        The detector and, for a `.pt`, the checkpoint's model in fp32.

    Raises:
        ModelError: The file is missing or damaged, or does not hold a detector.
    """
    if not text.endswith(".pt"):
        return Detector.load(text), None
    weights: Model = open_checkpoint(_fetched(text), trust)
    return Detector.from_yaml(Path(text).stem, weights.yaml), weights


def _fetched(text: str) -> Path:
    """The checkpoint's path; a released one (`yolov8n.pt`) that is missing is downloaded if there is a network."""
    path = Path(text)
    if path.exists():
        return path
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    fix = f"give --model the path of an existing .pt, or {path.stem}.yaml to train the baseline from scratch"
    if text not in GITHUB_ASSETS_NAMES:
        raise ModelError(f"the checkpoint {text} does not exist; {fix}")
    try:
        return Path(attempt_download_asset(text))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{text} does not exist and could not be downloaded (no network?); {fix}") from error


def start_model(
    detector: Detector, weights: Model | None, names: dict[int, str], seed: int, kpt_shape: Sequence[int] = ()
) -> Model:
    """Build the stock model for the data's classes and key points.

    Args:
        detector: The stock detector.
        weights: A checkpoint's model, loaded as Ultralytics loads it; None for random weights.
        names: Class names by number.
        seed: Seed of the random weights.
        kpt_shape: Number of key points and of values for each in the data; empty where there are none.

    Returns:
        The model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Model = build(with_key_points(detector.yaml, kpt_shape), nc=len(names))
        model.names = dict(names)
        if weights is not None:
            model.load(deepcopy(weights), verbose=False)
    model.names = dict(names)
    return model


def train_baseline(
    model: Model,
    budget: TrialBudget,
    data: Path,
    device: torch.device,
    folder: Path,
    *,
    from_scratch: bool,
    user_arguments: Mapping[str, Any],
    on_epoch: OnEpoch = lambda epoch, results: None,
) -> Path:
    """Train the baseline; a finished stage is returned as it is, an interrupted one resumes after its last epoch.

    Args:
        model: The model to start from.
        budget: Epochs (0: no training), image size, batch and seed; an `AutoBudget` where the curve decides.
        data: The data YAML.
        device: Where to train.
        folder: Where to keep the stage.
        from_scratch: Whether the weights are random, which needs a larger learning rate.
        user_arguments: Ultralytics training arguments that the user gave.
        on_epoch: Called with `(epoch, results)` after each epoch.

    Returns:
        The path of `baseline.pt` in `folder`.

    Raises:
        RunError: The baseline cannot be trained.
    """
    target = folder / "baseline.pt"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    if budget.epochs > 0:
        recipe = {**(FROM_SCRATCH if from_scratch else FINE_TUNE), "save": True}
        chosen = arguments(recipe, budget, data, device, folder, dict(user_arguments))
        model = _trained(model, chosen, on_epoch, budget)
    write_checkpoint(model, target, {"epochs": budget.epochs, "imgsz": budget.imgsz, "data": str(data)})
    kept_in(folder).unlink(missing_ok=True)
    return target


def _trained(model: Model, train_arguments: dict[str, Any], on_epoch: OnEpoch, budget: TrialBudget) -> Model:
    """The model after its training, which resumes where it was; after a NaN under AMP it is retried in fp32."""
    paused = kept(Path(train_arguments["save_dir"]), train_arguments["epochs"])
    amp = train_arguments.get("amp", True) and str(train_arguments["device"]) not in ("cpu", "mps")
    trainer = None
    try:
        trainer = trainer_for(model, BaselineTrainer)(deepcopy(model), train_arguments, on_epoch, budget, paused=paused)
        trainer.train()
        return trainer.validated.cpu()
    except CandidateFailed as failure:
        if failure.reason == "nan" and amp:
            return _trained(model, {**train_arguments, "amp": False}, on_epoch, budget)
        raise RunError(f"the baseline could not be trained ({failure.detail})") from failure
    except RuntimeError as error:
        raise RunError(f"the baseline could not be trained: {one_line(error)[:300]}") from error
    finally:
        if trainer is not None:
            trainer.close()


def validated(results: Mapping[str, float]) -> bool:
    """Whether an epoch was validated.

    Args:
        results: An epoch's results.

    Returns:
        Whether they hold the metrics of a validation.
    """
    return any(name.startswith("metrics/") for name in results)


def write_checkpoint(model: Model, path: Path, train_arguments: Mapping[str, Any]) -> None:
    """Write an ordinary Ultralytics checkpoint (fp16) in one step, so that a half-written file is never found.

    Args:
        model: The model; it is not changed.
        path: The file.
        train_arguments: Training arguments to record in it.
    """
    from ultralytics import __version__

    contiguous = torch.contiguous_format  # training on CUDA leaves NHWC
    shipped = _halved(deepcopy(model).cpu().eval().to(memory_format=contiguous))
    shipped.args = {"task": task_of(model.yaml).name, **train_arguments}
    shipped.criterion = None
    for parameter in shipped.parameters():
        parameter.requires_grad = False
    content = {"epoch": -1, "model": shipped, "ema": None, "train_args": shipped.args, "version": __version__}
    save({**content, "license": "AGPL-3.0 (https://ultralytics.com/license)"}, path)


def _halved(model: Model) -> Model:
    """The model in fp16, or as it is where fp16 could not hold a value (a variance above 65504)."""
    halved = deepcopy(model).half()
    finite = all(torch.isfinite(t).all() for t in halved.state_dict().values() if t.is_floating_point())
    return halved if finite else model


def read_baseline(path: Path) -> Model:
    """Read the baseline.

    Args:
        path: `baseline.pt`.

    Returns:
        The model in fp32, ready for training.

    Raises:
        ModelError: The file is missing or damaged.
    """
    model: Model = open_checkpoint(path)
    model.to(memory_format=torch.contiguous_format)
    for parameter in model.parameters():
        parameter.requires_grad = parameter.dtype.is_floating_point
    return model
