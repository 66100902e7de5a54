"""The settings of a run: read once, frozen, recorded, and compared when a run is resumed."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gamsearch.errors import OptionError, RunError, one_line
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import stopping_named
from gamsearch.study.record import latency_backend

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run or a study may be called."""
SCREENS = ("off", "supernet")
"""What may say before the search where attention pays."""
AUTO = "auto"
"""`baseline_epochs` of a baseline that trains until its curve is flat."""
SMALL_BATCH, SMALL_DATA = 8, 1000
"""The default batch of a data set with fewer training images than this."""
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 500, 3, 30
"""Optimiser steps that a new layer gets by default, and bounds on the epochs that this makes."""


def _decisive(default: Any) -> Any:
    """Declare a setting that the results of trials depend on, so that a resumed run must keep it."""
    return field(default=default, metadata={"decisive": True})


def _number(default: int, lowest: int, highest: int, decisive: bool = True) -> Any:
    """Declare a setting that is a whole number from `lowest` to `highest`."""
    return field(default=default, metadata={"bounds": (lowest, highest), "decisive": decisive})


@dataclass(frozen=True)
class Settings:
    """All settings of a run, which are the options of `run`. The decisive ones cannot change when it is resumed.

    Attributes:
        data: Data YAML, or the folder of class folders; where it lies decides nothing, its content does.
        model: Stock YAML (baseline from scratch) or `.pt` (fine-tuned).
        space: Space file, or name of a shipped space.
        trials: Search budget in full short trainings.
        budget: Search budget as a time or a number of epochs, e.g. `3h`; replaces `trials`.
        epochs: Epochs of each candidate's short training; by default `default_epochs`.
        baseline_epochs: Epochs of the baseline stage, or `auto`: until its curve is flat; 0 takes a `.pt` as it is.
        imgsz: Image size in px, a multiple of 32.
        batch: Images per batch.
        device: `cpu`, `mps` or an index; empty for the best available.
        seed: Seed of data order, augmentation and sampler.
        sampler: Name of the sampler.
        stopping: `off`, `default` or `aggressive`: how early trainings stop.
        objectives: Names of metrics; empty for the space's.
        evaluator: `training`, `replay`, or `supernet`: measure candidates in a shared network instead.
        imports: Model YAMLs whose architectures are trained beside the search.
        table: Table to replay: a JSON file, or name of a shipped one.
        latency: Name of the latency backend.
        noise_seeds: Number of seeds at which the baseline is measured.
        screen: `supernet`: a shared network says first where attention pays; `off`.
        screen_steps: Steps that train attention after each site in the shared network.
        screen_seeds: Number of shared networks.
        search_anyway: Search even where the shared networks say that nothing pays.
        train: Ultralytics training arguments.
        out: Folder of all runs.
        name: Name of the run.
    """

    data: str = ""
    model: str = _decisive("yolov8n.yaml")
    space: str = _decisive("gam")
    trials: int = _number(40, 1, 10**6, decisive=False)
    budget: str = ""
    epochs: int = _number(5, 1, 10**5)
    baseline_epochs: int | str = field(default=AUTO, metadata={"bounds": (0, 10**5), "decisive": True, "auto": True})
    imgsz: int = _number(640, 32, 8192)
    batch: int = _number(16, 2, 2**16)
    device: str = ""
    seed: int = _number(0, 0, 2**31 - 1)
    sampler: str = "auto"
    stopping: str = _decisive("default")
    objectives: tuple[str, ...] = _decisive(())
    evaluator: str = _decisive("training")
    imports: tuple[str, ...] = _decisive(())
    table: str = _decisive("")
    latency: str = _decisive("auto")
    noise_seeds: int = _number(5, 1, 1000)
    screen: str = _decisive("off")
    screen_steps: int = _number(750, 1, 10**7)
    screen_seeds: int = _number(2, 1, 20)
    search_anyway: bool = False
    train: dict[str, Any] = field(default_factory=dict, metadata={"decisive": True})
    out: str = "results"
    name: str = ""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.out) / self.name

    @property
    def search_budget(self) -> SearchBudget:
        """The search budget: `budget` if it is given, else `trials` full trainings."""
        return SearchBudget.parse(self.budget) if self.budget else SearchBudget(self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def default_epochs(images: int, batch: int) -> int:
    """Compute the epochs after which a new layer has had about `STEPS` steps.

    On recorded trainings, rankings after fewer steps say little of those after many (Results, The planted data set).

    Args:
        images: Training images.
        batch: Images per batch.

    Returns:
        The epochs, from `FEWEST_EPOCHS` to `MOST_EPOCHS`.
    """
    batches = max(1, -(-images // batch))
    return min(max(-(-STEPS // batches), FEWEST_EPOCHS), MOST_EPOCHS)


def resolve(given: Mapping[str, Any], recorded: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> Settings:
    """Merge settings: the given ones first, then those that a resumed run recorded, then `defaults`.

    Args:
        given: Settings by name; None means not given. Other keys are ignored.
        recorded: Settings of the run that is resumed, or None for a new run.
        defaults: Defaults that depend on the other options.

    Returns:
        The checked settings.

    Raises:
        RunError: A given decisive setting differs from the recorded one.
        OptionError: A value is out of range, or `trials` and `budget` are both given.
    """
    known = {f.name for f in fields(Settings)}
    explicit = {k: v for k, v in given.items() if v is not None and k in known}
    if recorded is not None:
        _refuse_changes(explicit, recorded)
    if explicit.get("budget") and explicit.get("trials"):
        raise OptionError("--trials and --budget both limit the search; give one of them")
    if explicit.get("trials"):
        explicit["budget"] = ""
    merged = {**defaults, **{k: v for k, v in (recorded or {}).items() if k in known}, **explicit}
    merged |= {name: tuple(merged.get(name, ())) for name in ("objectives", "imports")}
    if backend := latency_backend(recorded or {}):
        merged["latency"] = backend  # what `auto` was where the run began
    settings = Settings(**merged)
    check(settings)
    return settings


def _refuse_changes(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
    """Refuse a decisive setting that is not the recorded one."""
    later = ("screen", "screen_steps", "screen_seeds", "imports")  # older runs did not record them
    before = {**{name: getattr(Settings, name) for name in later}, **recorded}
    for name in (f.name for f in fields(Settings) if f.metadata.get("decisive")):
        if name in given and _plain(given[name]) != _plain(before.get(name)):
            then, now = _display(name, before.get(name)), _display(name, given[name])
            raise RunError(
                f"this run was made with {flag(name)} {then}, not {now}; "
                f"leave {flag(name)} out to resume it, or give another --name"
            )


def check(settings: Settings) -> None:
    """Raise `OptionError` for a number out of range, an unknown stopping policy or an invalid name."""
    for setting in fields(Settings):
        if "bounds" not in setting.metadata:
            continue
        (lowest, highest), value = setting.metadata["bounds"], getattr(settings, setting.name)
        if setting.metadata.get("auto") and isinstance(value, str):
            if value != AUTO:
                raise OptionError(f"{flag(setting.name)} must be a whole number or {AUTO}, not '{one_line(value)}'")
            continue
        if value < lowest:
            raise OptionError(f"{flag(setting.name)} must be at least {lowest}, not {value}")
        if value > highest:
            raise OptionError(f"{flag(setting.name)} must be at most {highest}, not {value}")
    if settings.imgsz % 32:
        nearest_size = max(32, round(settings.imgsz / 32) * 32)
        raise OptionError(f"--imgsz must be a multiple of 32, not {settings.imgsz}; use {nearest_size}")
    if settings.search_budget.amount <= 0:
        raise OptionError(f"--budget must be above zero, not {settings.budget}")
    stopping_named(settings.stopping)
    _check_shared(settings)
    if not settings.out.isprintable():
        raise OptionError(f"--out must be a folder's path without control characters, not '{one_line(settings.out)}'")
    if not NAME.fullmatch(settings.name):
        raise OptionError(f"--name must be letters, digits, dots, dashes and underscores, not '{settings.name}'")


def _check_shared(settings: Settings) -> None:
    """Refuse what makes no sense with shared networks."""
    if settings.screen not in SCREENS:
        raise OptionError(f"--screen must be {' or '.join(SCREENS)}, not '{one_line(settings.screen)}'")
    if settings.screen != "off" and settings.evaluator == "replay":
        raise OptionError("--screen trains a network, which a replayed table cannot; leave --screen out")
    if settings.screen != "off" and settings.evaluator == "supernet":
        raise OptionError("--evaluator supernet measures all candidates in a shared network; leave --screen out")
    if settings.imports and settings.evaluator != "training":
        raise OptionError(
            f"--import trains what it imports, which --evaluator {settings.evaluator} does not; leave it out"
        )
    if not settings.budget and (count := len(settings.imports)) > settings.trials:
        raise OptionError(f"--import trains {count} files, which count as trials: give --trials {count} or more")
    if settings.evaluator == "supernet" and settings.epochs != 1:
        raise OptionError("--evaluator supernet trains no candidate on its own; leave --epochs out")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def flag(name: str) -> str:
    """Name the option of a setting.

    Args:
        name: The setting.

    Returns:
        What the command line calls it.
    """
    return "--import" if name == "imports" else "--" + name.replace("_", "-")


def _display(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or ("(the space's)" if name == "objectives" else "(none)")
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "(none)"
    return str(value) if value != "" else "(none)"
