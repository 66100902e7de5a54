"""The genotype: a detector and the placements of attention in it. Frozen, hashable, canonical; no torch, no optuna."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Option = int | float | str | bool

SEMANTICS = ("inline", "branch", "inner")
BASELINE = "baseline"
"""The label of the architecture without attention."""


def option_label(name: str, value: Option) -> str:
    """Write an option as labels of placements do.

    Args:
        name: The option.
        value: Its value.

    Returns:
        `r8` for the rate 8, `g4` for 4 groups, `kernel=7` for an option that is not abbreviated.
    """
    short = {"rate": "r", "groups": "g"}
    return f"{short[name]}{value}" if name in short else f"{name}={value}"


@dataclass(frozen=True)
class Placement:
    """One attention module after one row of the stock YAML, or inside the block of that row.

    Attributes:
        site: The row's number in the *stock* YAML, which grafting does not change.
        module: The module's name in the catalogue.
        options: Sorted pairs of the options that differ from the module's defaults, plus its strength, so that equal
            placements compare equal. A mapping is accepted and converted.
        semantics: `inline`: every consumer of the site reads the attended map; `branch`: only `consumers` do; `inner`:
            the block of the site itself does, which has attention after its last bottleneck.
        consumers: Stock rows that read the attended map under `branch`.
    """

    site: int
    module: str
    options: tuple[tuple[str, Option], ...] = ()
    semantics: str = "inline"
    consumers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        pairs = self.options.items() if isinstance(self.options, Mapping) else self.options
        object.__setattr__(self, "options", tuple(sorted((str(k), v) for k, v in pairs)))
        object.__setattr__(self, "consumers", tuple(sorted(self.consumers)))

    @property
    def label(self) -> str:
        """Short text for tables and plots, e.g. `GAM@4 r8 g4`."""
        words = [option_label(name, value) for name, value in self._rate_first()]
        if self.semantics != "inline":
            words.append("→".join(word for word in (self.semantics, ",".join(map(str, self.consumers))) if word))
        return " ".join([f"{self.module}@{self.site}", *words])

    def _rate_first(self) -> list[tuple[str, Option]]:
        return sorted(self.options, key=lambda pair: (pair[0] != "rate", pair[0]))


@dataclass(frozen=True)
class Architecture:
    """A detector and the attention in it; without placements it is the baseline.

    Attributes:
        detector: Stock YAML and scale, e.g. `yolov8n`.
        placements: Sorted by site.
    """

    detector: str
    placements: tuple[Placement, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "placements", tuple(sorted(self.placements, key=lambda p: (p.site, p.module))))

    @classmethod
    def of(cls, detector: str, placements: Iterable[Placement] = ()) -> "Architecture":
        """Build an architecture from placements in any order.

        Args:
            detector: Stock YAML and scale, e.g. `yolov8n`.
            placements: The placements.

        Returns:
            The architecture.
        """
        return cls(detector, tuple(placements))

    @property
    def is_baseline(self) -> bool:
        """Whether there is no attention at all."""
        return not self.placements

    @property
    def label(self) -> str:
        """`baseline`, or the labels of the placements joined by ` + `."""
        return " + ".join(p.label for p in self.placements) or BASELINE

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that two architectures share exactly when they are equal."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form that records hold."""
        placements = []
        for p in self.placements:
            row: dict[str, Any] = {"site": p.site, "module": p.module, "options": dict(p.options)}
            if p.semantics != "inline":
                row |= {"semantics": p.semantics, "consumers": list(p.consumers)}
            placements.append(row)
        return {"detector": self.detector, "placements": placements}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> "Architecture":
        """Rebuild an architecture from `to_dict`.

        Args:
            form: The JSON-ready form.

        Returns:
            The architecture.
        """
        placements = [
            Placement(
                p["site"],
                p["module"],
                tuple(p["options"].items()),
                p.get("semantics", "inline"),
                tuple(p.get("consumers", ())),
            )
            for p in form["placements"]
        ]
        return cls.of(form["detector"], placements)
