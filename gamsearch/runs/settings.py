"""The settings of a run: read once, frozen, recorded, and compared when a run is resumed."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gamsearch.errors import OptionError, RunError
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import stopping_named

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Settings:
    """All options of `run`. What decides a trial's figures (`DECISIVE`) cannot change when a run is resumed."""

    data: str = ""
    model: str = "yolov8n.yaml"
    space: str = "gam"
    trials: int = 40
    budget: str = ""
    epochs: int = 5
    baseline_epochs: int = 25
    imgsz: int = 640
    batch: int = 16
    device: str = ""
    seed: int = 0
    sampler: str = "auto"
    stopping: str = "default"
    objectives: tuple[str, ...] = ()
    evaluator: str = "training"
    table: str = ""
    latency: str = "auto"
    noise_seeds: int = 5
    train: dict[str, Any] = field(default_factory=dict)
    out: str = "results"
    name: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.out) / self.name

    @property
    def search_budget(self) -> SearchBudget:
        """What the search may use up: `--budget` if it was given, else `--trials` full trainings."""
        return SearchBudget.parse(self.budget) if self.budget else SearchBudget(self.trials)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "objectives": list(self.objectives)}


DECISIVE = (
    "data",
    "model",
    "space",
    "epochs",
    "baseline_epochs",
    "imgsz",
    "batch",
    "seed",
    "objectives",
    "evaluator",
    "table",
    "latency",
    "noise_seeds",
    "train",
    "stopping",
)
LOWEST = {"trials": 1, "epochs": 1, "baseline_epochs": 0, "imgsz": 32, "batch": 2, "seed": 0, "noise_seeds": 1}
HIGHEST = {
    "trials": 10**6,
    "epochs": 10**5,
    "baseline_epochs": 10**5,
    "imgsz": 8192,
    "batch": 2**16,
    "seed": 2**31 - 1,
    "noise_seeds": 1000,
}
SMALL_BATCH, SMALL_DATA = 8, 1000


def resolve(given: Mapping[str, Any], recorded: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> Settings:
    """Settings from what was given, then what a resumed run recorded, then `defaults`; None means not given.

    A given decisive setting that differs from the recorded one raises `RunError` naming it.
    """
    known = {f.name for f in fields(Settings)}
    explicit = {k: v for k, v in given.items() if v is not None and k in known}
    if recorded is not None:
        for name in DECISIVE:
            if name in explicit and _plain(explicit[name]) != _plain(recorded.get(name)):
                raise RunError(
                    f"this run was made with {_flag(name)} {_shown(recorded.get(name))}, not {_shown(explicit[name])}; "
                    f"leave {_flag(name)} out to resume it, or give another --name"
                )
    if explicit.get("budget") and explicit.get("trials"):
        raise OptionError("--trials and --budget both say when the search ends; give one of them")
    if explicit.get("trials"):
        explicit["budget"] = ""
    merged = {**defaults, **{k: v for k, v in (recorded or {}).items() if k in known}, **explicit}
    merged["objectives"] = tuple(merged.get("objectives", ()))
    settings = Settings(**merged)
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise `OptionError` for a number out of range, an image size off the grid or a name that is no folder name."""
    for name, lowest in LOWEST.items():
        value = getattr(settings, name)
        if value < lowest:
            raise OptionError(f"{_flag(name)} must be at least {lowest}, not {value}")
        if value > HIGHEST[name]:
            raise OptionError(f"{_flag(name)} must be at most {HIGHEST[name]}, not {value}")
    if settings.imgsz % 32:
        nearest_size = max(32, round(settings.imgsz / 32) * 32)
        raise OptionError(f"--imgsz must be a multiple of 32, not {settings.imgsz}; use {nearest_size}")
    if settings.search_budget.amount <= 0:
        raise OptionError(f"--budget must be above zero, not {settings.budget}")
    stopping_named(settings.stopping)
    if not NAME.fullmatch(settings.name):
        raise OptionError(f"--name must be letters, digits, dots, dashes and underscores, not '{settings.name}'")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "(the space's)"
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "(none)"
    return str(value) if value != "" else "(none)"
