"""The runs of the demonstration, which `run` carries out without data: a small search for each half of `demo`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gamsearch.runs import demo
from gamsearch.runs.manifest import write_yaml
from gamsearch.runs.run import recorded_settings
from gamsearch.space.search_space import SearchSpace

NAME = "demo"
FIRST = f"{NAME}-{demo.CONTEXT}"
"""What the names of both runs begin with by default, and the one that `search` of the Python interface carries out."""


@dataclass(frozen=True)
class Size:
    """Size of the data set (images, px) and of the training (epochs, images per batch) of a half."""

    train: int = 352
    val: int = 100
    imgsz: int = 64
    epochs: int = 14
    trials: int = 6
    trial_epochs: int = 5
    batch: int = 8
    noise_seeds: int = 3


SIZE = Size()
TRAINING: dict[str, float] = {
    "lr0": 0.01,  # a small network, and a few hundred steps
    "lrf": 0.2,
    **demo.AUGMENTATION,
}
"""Ultralytics training arguments that suit the pictures; everything else is the recipe of every other run."""


def is_wanted(given: Mapping[str, Any]) -> bool:
    """Return whether options ask for the demonstration: a search that trains, without data."""
    return not given["data"] and not given["table"] and given["evaluator"] in (None, "training")


def each(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split the options of `run` into those of its runs.

    Args:
        given: Options by name; None where one was not given.

    Returns:
        One mapping; without data two, those of the halves of the demonstration, `NAME-context` and `NAME-control`.
        Where `--name` is that of one half, or of a run that exists, it is that run alone.
    """
    name, folder = given["name"] or NAME, Path(given["out"] or "results")
    half = name.endswith(tuple(f"-{half}" for half in demo.HALVES))
    alone = half or (given["name"] and recorded_settings(folder / name) is not None)
    if alone or not is_wanted(given):
        return [dict(given)]
    return [{**given, "name": f"{name}-{half}"} for half in demo.HALVES]


def half_of(name: str) -> str:
    """Return which half a run is: that with which its name ends, else the first."""
    return next((half for half in demo.HALVES if name == half or name.endswith(f"-{half}")), next(iter(demo.HALVES)))


def options(given: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the data set of a half in its run's folder.

    Args:
        given: The options of the run by name.
        folder: The run's folder, whose name says which half it is.

    Returns:
        The options with the data set, and defaults for the others, which suit two CPU cores.

    Raises:
        DataError: The folder of the data set holds something else.
    """
    data = demo.make(folder / "data", SIZE.train, SIZE.val, SIZE.imgsz, given["seed"] or 0, half_of(folder.name))
    defaults = {
        "space": "demo",
        "trials": SIZE.trials,
        "epochs": SIZE.trial_epochs,
        "baseline_epochs": SIZE.epochs,
        "imgsz": SIZE.imgsz,
        "batch": SIZE.batch,
        "noise_seeds": SIZE.noise_seeds,
        "sampler": "brute",
        "stopping": "off",
    }
    if not given["model"]:
        defaults["model"] = str(_detector_file(folder))
    return {**given, "data": os.path.abspath(data), "train": {**TRAINING, **(given["train"] or {})}}, defaults


def _detector_file(folder: Path) -> Path:
    """The detector of the space in the run's folder, where it stays the same when the package is moved or updated."""
    detector = SearchSpace.load("demo").detector
    path = folder / "space" / "detectors" / f"{detector.name}.yaml"
    write_yaml(path, detector.yaml)
    return path
