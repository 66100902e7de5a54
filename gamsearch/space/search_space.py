"""The search space: all architectures that may be proposed. No torch, no Optuna."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import SpaceError
from gamsearch.space import loader
from gamsearch.space.anchors import published
from gamsearch.space.attention_keys import read_modules
from gamsearch.space.detector import Detector
from gamsearch.space.encoding import Choose, Encoding
from gamsearch.space.file_errors import at
from gamsearch.space.loader import Limit, shipped_spaces
from gamsearch.space.options import ModuleOptions, Semantics, placed_by
from gamsearch.space.rules import Rule, admissible_subsets, count_admissible, first_refusal
from gamsearch.space.sparse_choice import TYPICAL_MODULES, sparse

__all__ = ["TYPICAL_MODULES", "Choose", "Limit", "ModuleOptions", "SearchSpace", "shipped_spaces"]

TRIES = 1000


@dataclass(frozen=True)
class SearchSpace:
    """All architectures that may be proposed for one detector.

    Attributes:
        name: The name of its file.
        detector: The stock detector.
        sites: Rows of the stock YAML that attention may follow.
        semantics: `inline`: all consumers of a site read the attended map; `branch`: only the head does; `inner`: the
            block has attention after its last bottleneck. Several: each placement has one of them.
        modules: The attention modules with the values of their options.
        rules: Sets of sites or modules that are refused.
        limits: Upper bounds on metrics that are known before training.
        objectives: Names of the metrics that are optimised; by default the task's primary metric and latency.
        plugins: Plug-in modules that it imports.
    """

    name: str
    detector: Detector
    sites: tuple[int, ...]
    semantics: Semantics
    modules: tuple[ModuleOptions, ...]
    rules: tuple[Rule, ...] = ()
    limits: tuple[Limit, ...] = ()
    objectives: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", self.objectives or loader.default_objectives(self.detector.task))

    @classmethod
    def load(
        cls, name_or_path: str | Path, detector: Detector | None = None, not_below: Path | None = None
    ) -> "SearchSpace":
        """Read a search space.

        Args:
            name_or_path: The name of a shipped space, or the path of a space file.
            detector: Replaces the file's own.
            not_below: A folder that may come from someone else; plug-ins in it are refused.

        Returns:
            The space.

        Raises:
            SpaceError: The file cannot be read, or a value in it is invalid; the message names file and key.
        """
        path, source, written = loader.read_space_file(name_or_path)
        plugins = loader.read_plugins(source, written.get("plugins"), not_below)
        detector = detector or loader.read_detector(source, path, written.get("detector"))
        semantics = loader.read_semantics(source, written.get("semantics", "inline"))
        sites = loader.read_sites(source, written, semantics, detector)
        modules = read_modules(source, written, sites, semantics, detector)
        rules = loader.read_rules(source, written.get("rules"), sites, [m.name for m in modules], detector)
        limits = loader.read_limits(source, written.get("limits"))
        with at(source, "objectives"):
            default = loader.default_objectives(detector.task)
            objectives = loader.read_objectives(written.get("objectives", default), detector.task)
        return cls(path.stem, detector, sites, semantics, modules, rules, limits, objectives, plugins)

    def with_objectives(self, names: Sequence[str]) -> "SearchSpace":
        """Replace the objectives.

        Args:
            names: Names of one or more different metrics.

        Returns:
            The same space with these objectives.

        Raises:
            GamsearchError: A metric is unknown, repeated or not measured in this task.
        """
        return replace(self, objectives=loader.read_objectives(list(names), self.detector.task))

    @property
    def baseline(self) -> Architecture:
        """The detector without any attention."""
        return Architecture.of(self.detector.name)

    # the encoding ----------------------------------------------------------------------------------------------------
    @cached_property
    def encoding(self) -> Encoding:
        """Architectures as ordinal parameters."""
        return Encoding(self.detector, self.sites, placed_by(self.modules, self.semantics))

    @property
    def parameters(self) -> dict[str, tuple[int, int]]:
        """Every parameter with its lowest and highest value, both included."""
        return self.encoding.parameters

    @property
    def choices(self) -> dict[int, tuple[Placement, ...]]:
        """All distinct placements at each site, weak to strong within each module."""
        return self.encoding.placements

    def sample(self, choose: Choose) -> Architecture:
        """Build an architecture by choosing every parameter, in a fixed order.

        Args:
            choose: Called with a parameter's name, its lowest and its highest value; returns an integer between them.

        Returns:
            The architecture that the chosen values encode.
        """
        return self.decode({name: choose(name, low, high) for name, (low, high) in self.parameters.items()})

    def decode(self, values: Mapping[str, int]) -> Architecture:
        """Decode parameter values.

        Args:
            values: A value for every parameter.

        Returns:
            The canonical architecture that they encode.
        """
        return self.encoding.decode(values)

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """Encode an architecture.

        Args:
            architecture: An architecture of this space.

        Returns:
            Parameter values that decode to it.

        Raises:
            SpaceError: The space cannot express it.
        """
        try:
            return self.encoding.encode(architecture)
        except SpaceError as error:
            raise SpaceError(str(error).replace("in the space", f"in the space '{self.name}'", 1)) from error

    def __contains__(self, architecture: Architecture) -> bool:
        """Whether the space can express an architecture, whatever its rules say."""
        return architecture.detector == self.detector.name and self.encoding.part_of(architecture) == architecture

    # what is admissible ----------------------------------------------------------------------------------------------
    def refusal(self, architecture: Architecture) -> str | None:
        """Check the rules.

        Args:
            architecture: Any architecture.

        Returns:
            The message of the first rule that refuses it, or None.
        """
        refused = self._refused(architecture.placements)
        return refused[1] if refused else None

    def _refused(self, placements: Sequence[Placement]) -> tuple[str, str] | None:
        """Name and message of the first rule that refuses the placements, or None."""
        return first_refusal([p.site for p in placements], [p.module for p in placements], self.rules)

    def sample_random(self, rng: random.Random) -> Architecture:
        """Sample a random admissible architecture, typically with one or two modules, never the baseline.

        Args:
            rng: The source of random numbers.

        Returns:
            The architecture.

        Raises:
            SpaceError: None was found in `TRIES` attempts; the message names the rule that refused the most.
        """
        refusals: Counter[str] = Counter()
        ruled = any(rule.sees_modules for rule in self.rules)
        for _ in range(TRIES):
            architecture = self.sample(sparse(rng, self.encoding, ruled))
            refused = self._refused(architecture.placements)
            if refused is None and not architecture.is_baseline:
                return architecture
            refusals[refused[0] if refused else "no module"] += 1
        name, count = refusals.most_common(1)[0]
        raise SpaceError(f"none of {TRIES} random architectures was admissible; '{name}' refused {count}; loosen it")

    def enumerate(self) -> Iterator[Architecture]:
        """Every admissible architecture once: the baseline, then by number of modules."""
        for subset in admissible_subsets(self.sites, self.rules):
            for placements in self._filled(subset):
                yield Architecture.of(self.detector.name, placements)

    def _filled(self, sites: Sequence[int], chosen: tuple[Placement, ...] = ()) -> Iterator[tuple[Placement, ...]]:
        """Every admissible choice of a placement at each of the sites that follow those `chosen`."""
        if len(chosen) == len(sites):
            yield chosen
            return
        for placement in self.choices[sites[len(chosen)]]:
            if self._refused((*chosen, placement)) is None:
                yield from self._filled(sites, (*chosen, placement))

    @cached_property
    def size(self) -> int:
        """The exact number of admissible architectures, the baseline included."""
        choices = {site: Counter(p.module for p in placements) for site, placements in self.choices.items()}
        return count_admissible(choices, self.rules)

    def anchors(self) -> list[Architecture]:
        """List the published placements that the space contains, with its modules in turn."""
        return published(self.encoding, lambda architecture: self.refusal(architecture) is None)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that identify the space, whatever its name."""
        resolved = {  # the keys are those of the first recorded runs
            "name": "",
            "detector": [self.detector.name, [row.recorded for row in self.detector.rows]],
            "sites": self.sites,
            "semantics": self.semantics,
            "offers": [
                {"module": m.name, "strengths": m.strengths, "dials": m.options}
                | ({"sites": m.sites} if m.sites else {})
                for m in self.modules
            ],
            "rules": [asdict(rule) for rule in self.rules],
            "limits": [asdict(limit) for limit in self.limits],
            "objectives": self.objectives,
        }
        return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()[:12]
