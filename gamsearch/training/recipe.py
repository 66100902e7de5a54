"""Training arguments for short trainings, chosen by measurement; Ultralytics' defaults are made for 300 epochs.

An optimiser step per batch (`nbs` = batch), half a warm-up epoch from scratch and none after a fork, AdamW, no mosaic,
and a learning rate that does not decay after a fork. The measurements are in the documentation (Explanation, Recipe).
"""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import OptionError, nearest
from gamsearch.evaluation import TrialBudget
from gamsearch.models import device as devices
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.training.images import random_share

LEAN = {
    "plots": False,
    "save": False,
    "verbose": False,
    "cache": "ram",
    "exist_ok": True,
    "deterministic": True,
    "patience": 0,
    "mosaic": 0.0,
    "close_mosaic": 0,
}
FROM_SCRATCH = {"optimizer": "AdamW", "lr0": 0.003, "momentum": 0.9, "warmup_epochs": 0.5, "warmup_bias_lr": 0.0}
FINE_TUNE = {"optimizer": "AdamW", "lr0": 0.001, "momentum": 0.9, "warmup_epochs": 0.5, "warmup_bias_lr": 0.0}
ATTENTION_LR = "attention_lr"
"""The one training argument that is not Ultralytics' own: it replaces the learning-rate factors of the catalogue."""
LARGEST_FACTOR = 1000
SHORT_TRAINING = {**FINE_TUNE, "lrf": 1.0, "warmup_epochs": 0.0}
"""After a fork. The learning rate does not decay, so the epochs of a short training equal those of a longer one."""

RESERVED = {
    **{key: f"use --{key}" for key in ("data", "model", "epochs", "imgsz", "batch", "device", "seed", "name")},
    "project": "use --out",
    "save_dir": "use --out",
    "resume": "the same --name resumes",
    "task": "it follows from --model",
    "mode": "gamsearch trains",
    **dict.fromkeys(("plots", "save_json", "visualize", "profile"), "a search writes its own report"),
    "val": "the search decides which epochs it needs validated",
    "freeze": "it counts rows, and an inserted row shifts them, so every candidate would freeze other layers",
    "time": "it depends on the machine's load, so candidates would get different budgets",
    "patience": "it would give candidates different budgets",
    "single_cls": "it changes the classes; change the data instead",
    "classes": "it changes the classes; change the data instead",
    "distill_model": "candidates and baseline are compared without a teacher",
    "pretrained": "use --model with a .pt",
    "cfg": "give the arguments themselves",
}


def arguments(
    recipe: dict[str, Any], budget: TrialBudget, data: Path, device: torch.device, folder: Path, user: dict[str, Any]
) -> dict[str, Any]:
    """Ultralytics training arguments for one training: lean defaults, the recipe, then what the user overrides.

    The overrides may come from the record of a run that somebody else made, so they are checked too.

    Args:
        recipe: Arguments of the recipe.
        budget: Epochs, image size, batch and seed.
        data: The data YAML.
        device: Where to train.
        folder: Ultralytics' own folder of the training.
        user: The user's own arguments.

    Returns:
        The arguments.

    Raises:
        OptionError: An argument of the user is unknown, reserved or invalid.
    """
    check_overrides(user)
    return {
        **LEAN,
        "nbs": budget.batch,
        **recipe,
        **{key: value for key, value in user.items() if key != ATTENTION_LR},
        "data": str(data),
        "epochs": budget.epochs,
        "imgsz": budget.imgsz,
        "batch": budget.batch,
        "seed": budget.seed,
        "device": devices.ultralytics_name(device),
        "project": str(folder.resolve().parent),
        "name": folder.name,
        "save_dir": str(folder.resolve()),  # newer releases' name for project and name together
        "val": budget.curve,  # the last epoch is validated in any case
    }


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """Read `--train key=value` texts.

    Args:
        pairs: The texts.

    Returns:
        Typed Ultralytics training arguments.

    Raises:
        OptionError: A key is unknown or reserved, or a value has the wrong type.
    """
    chosen: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not text.strip():
            raise OptionError(f"--train takes key=value, not '{pair}'; for example --train lr0=0.001")
        chosen[key] = _typed(text.strip())
    check_overrides(chosen)
    return chosen


def check_overrides(chosen: dict[str, Any]) -> None:
    """Raise `OptionError` for an argument that is unknown, reserved, or has an invalid value.

    Reserved are, among others, all arguments that name files which Ultralytics would unpickle.
    """
    quiet_ultralytics()
    from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg

    _check_factor(chosen.get(ATTENTION_LR, 1))
    chosen = {key: value for key, value in chosen.items() if key != ATTENTION_LR}
    for key in chosen:
        if key in RESERVED:
            raise OptionError(f"--train {key}=... is not accepted: {RESERVED[key]}")
        if key not in DEFAULT_CFG_DICT:
            close = nearest(key, [*DEFAULT_CFG_DICT, ATTENTION_LR])
            raise OptionError(f"--train '{key}' is not an Ultralytics training argument{close}")
    if chosen.get("cache") not in (None, True, False, "ram"):
        raise OptionError("--train cache=... must be True, ram or False; on disk it would write beside your images")
    random_share([], chosen.get("fraction", 1.0))  # raises for an invalid share
    try:
        get_cfg(overrides=dict(chosen))
    except (TypeError, ValueError, SyntaxError, AssertionError, AttributeError) as error:
        given = " ".join(f"{key}={value}" for key, value in chosen.items())
        raise OptionError(f"--train {given}: {str(error).splitlines()[0]}") from error


def _check_factor(factor: Any) -> None:
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor <= LARGEST_FACTOR:
        raise OptionError(
            f"--train {ATTENTION_LR}=... must be a factor above 0, at most {LARGEST_FACTOR}, not {factor}"
        )


def factors_of(modules: Iterable[str], user: Mapping[str, Any]) -> str:
    """Name the learning-rate factors of attention.

    Args:
        modules: Names of the modules of a space.
        user: The training arguments that the user gave.

    Returns:
        E.g. `3.0`, or `GAM 3.0 SimAM 10.0` where modules differ.
    """
    found = {name: float(user.get(ATTENTION_LR, spec_named(name).lr_factor)) for name in modules}
    same = set(found.values())
    return str(same.pop()) if len(same) == 1 else " ".join(f"{name} {factor}" for name, factor in found.items())


def _typed(text: str) -> Any:
    """`0.001` -> float, `True` or `true` -> bool, `None` -> None, anything else stays text; nothing is evaluated."""
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        return text
