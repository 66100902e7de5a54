"""The search space: all architectures that may be proposed, and the one static encoding of them. No torch, no Optuna.

Every parameter is always asked for: per site an ordinal `site4.strength` (0: nothing there, then weak to strong), one
ordinal per further option with several values (`site4.groups`), and `site4.module` where several modules are offered.
Strengths that a site's channels do not allow are not counted there; another option's value that cannot be built gives
way to the first that can, so several encodings may mean one architecture; architectures themselves are canonical.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

from gamsearch.architecture import Architecture, Option, Placement
from gamsearch.errors import SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.loader import (
    DEFAULT_OBJECTIVES,
    Limit,
    at,
    read_detector,
    read_limits,
    read_modules,
    read_objectives,
    read_plugins,
    read_rules,
    read_sites,
    read_space_file,
    shipped_spaces,
)
from gamsearch.space.options import ModuleOptions
from gamsearch.space.rules import Rule, admissible_subsets, count_admissible, first_refusal

__all__ = ["Choose", "Limit", "ModuleOptions", "SearchSpace", "shipped_spaces"]

Choose = Callable[[str, int, int], int]
"""Asked with a parameter's name, its lowest and its highest value; answers with an integer between them."""

TRIES = 1000
TYPICAL_MODULES = 1.5


@dataclass(frozen=True)
class SearchSpace:
    """A detector, the sites and modules on offer, the rules that architectures obey, and what is to be optimised."""

    name: str
    detector: Detector
    sites: tuple[int, ...]
    semantics: str
    modules: tuple[ModuleOptions, ...]
    rules: tuple[Rule, ...] = ()
    limits: tuple[Limit, ...] = ()
    objectives: tuple[str, ...] = DEFAULT_OBJECTIVES
    plugins: tuple[str, ...] = ()

    @classmethod
    def load(
        cls, name_or_path: str | Path, detector: Detector | None = None, not_below: Path | None = None
    ) -> "SearchSpace":
        """Read a search space.

        Args:
            name_or_path: The name of a shipped space, or the path of a space file.
            detector: Takes the place of the file's own.
            not_below: A folder that may come from somebody else; plug-ins in it are not imported.

        Returns:
            The space.

        Raises:
            SpaceError: The file cannot be read, or something in it cannot be; the message names the key.
        """
        path, source, written = read_space_file(name_or_path)
        plugins = read_plugins(source, written.get("plugins"), not_below)
        detector = detector or read_detector(source, path, written.get("detector"))
        semantics = written.get("semantics", "inline")
        sites = read_sites(source, written.get("sites", "stages"), semantics, detector)
        modules = read_modules(source, written.get("attention"), written.get("illegal", "refuse"), sites, detector)
        rules = read_rules(source, written.get("rules"), sites)
        limits = read_limits(source, written.get("limits"))
        with at(source, "objectives"):
            objectives = read_objectives(written.get("objectives", DEFAULT_OBJECTIVES))
        return cls(path.stem, detector, sites, semantics, modules, rules, limits, objectives, plugins)

    def with_objectives(self, names: Sequence[str]) -> "SearchSpace":
        """The same space with other objectives; an unknown or repeated metric is refused."""
        return replace(self, objectives=read_objectives(list(names)))

    @property
    def baseline(self) -> Architecture:
        """The detector without any attention."""
        return Architecture.of(self.detector.name)

    @cached_property
    def parameters(self) -> dict[str, tuple[int, int]]:
        """Every parameter with its lowest and highest value, both included."""
        return {
            f"site{site}.{dial}": (0, high) for site in self.sites for dial, high in self._parameters_at(site).items()
        }

    def _parameters_at(self, site: int) -> dict[str, int]:
        """What is asked at a site, with its highest answer: strength, module if several, options if several."""
        return self._parameters_by_site.get(site, {})

    @cached_property
    def _parameters_by_site(self) -> dict[int, dict[str, int]]:
        return {site: self._read_parameters(site) for site in self.sites}

    def _read_parameters(self, site: int) -> dict[str, int]:
        options = {"strength": max(len(self._strengths(site, module)) for module in self.modules)}
        if len(self.modules) > 1:
            options["module"] = len(self.modules) - 1
        for module in self.modules:
            for name, values in module.options:
                if len(values) > 1:
                    options[name] = max(options.get(name, 0), len(values) - 1)
        return options

    def _strengths(self, site: int, module: ModuleOptions) -> tuple[Option, ...]:
        """The strengths that the channels of a site allow, weak to strong."""
        return module.strengths_on(self.detector.rows[site].channels)

    def sample(self, choose: Choose) -> Architecture:
        """Ask `choose` for every parameter in a fixed order and return the architecture that the answers mean."""
        answers = {name: choose(name, low, high) for name, (low, high) in self.parameters.items()}
        return self.decode(answers)

    def decode(self, answers: Mapping[str, int]) -> Architecture:
        """The canonical architecture that parameter values mean."""
        placements = []
        for site in self.sites:
            asked = {dial: answers[f"site{site}.{dial}"] for dial in self._parameters_at(site)}
            if asked["strength"] > 0:
                placements.append(self._decode_site(site, asked))
        return Architecture.of(self.detector.name, placements)

    def _decode_site(self, site: int, asked: Mapping[str, int]) -> Placement:
        module = self.modules[asked.get("module", 0)]
        strength = _clamped(self._strengths(site, module), asked["strength"] - 1)
        wanted = {name: _clamped(values, asked.get(name, 0)) for name, values in module.options}
        return self._place(site, module, next(module.legal(self.detector.rows[site].channels, strength, wanted)))

    def _place(self, site: int, module: ModuleOptions, options: Mapping[str, Option]) -> Placement:
        """The canonical placement; where the head is the only reader of a site, `branch` is `inline`."""
        canonical, head = module.spec.canonical(options), len(self.detector.rows) - 1
        if self.semantics == "inline" or self.detector.readers(site) == (head,):
            return Placement(site, module.name, canonical)
        return Placement(site, module.name, canonical, "branch", (head,))

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """Parameter values that mean the architecture; `SpaceError` if the space cannot express it."""
        answers = dict.fromkeys(self.parameters, 0)
        for placement in architecture.placements:
            for dial, value in self._encode_site(placement).items():
                answers[f"site{placement.site}.{dial}"] = value
        if self.decode(answers) != architecture:
            raise SpaceError(f"{architecture.label} on {architecture.detector} is not in the space '{self.name}'")
        return answers

    def _encode_site(self, placement: Placement) -> dict[str, int]:
        """The first parameter values that mean this placement at its site."""
        if placement in self._answers:
            return self._answers[placement]
        raise SpaceError(f"{placement.label} is not in the space '{self.name}' on {self.detector.name}")

    @cached_property
    def _answers(self) -> dict[Placement, dict[str, int]]:
        """For every placement of the space the first parameter values that mean it."""
        found: dict[Placement, dict[str, int]] = {}
        for site in self.sites:
            highest = self._parameters_at(site)
            for values in product(*(range(high + 1) for high in highest.values())):
                asked = dict(zip(highest, values, strict=True))
                if asked["strength"]:
                    found.setdefault(self._decode_site(site, asked), asked)
        return found

    @cached_property
    def choices(self) -> dict[int, tuple[Placement, ...]]:
        """All distinct placements at each site, weak to strong within each module."""
        return {site: tuple(dict.fromkeys(self._placements_at(site))) for site in self.sites}

    def _placements_at(self, site: int) -> Iterator[Placement]:
        channels = self.detector.rows[site].channels
        for module in self.modules:
            for strength in self._strengths(site, module):
                for options in module.legal(channels, strength):
                    yield self._place(site, module, options)

    def refusal(self, architecture: Architecture) -> str | None:
        """The sentence of the first rule that refuses the architecture, or None."""
        refused = first_refusal([p.site for p in architecture.placements], self.rules)
        return refused[1] if refused else None

    def draw(self, rng: random.Random) -> Architecture:
        """A random admissible architecture with typically one or two modules, never the baseline."""
        occupied = min(0.5, TYPICAL_MODULES / len(self.sites))
        refusals: Counter[str] = Counter()

        def choose(name: str, low: int, high: int) -> int:
            if name.endswith(".strength"):
                return rng.randint(1, high) if rng.random() < occupied else 0
            return rng.randint(low, high)

        for _ in range(TRIES):
            architecture = self.sample(choose)
            refused = first_refusal([p.site for p in architecture.placements], self.rules)
            if refused is None and not architecture.is_baseline:
                return architecture
            refusals[refused[0] if refused else "no module"] += 1
        name, count = refusals.most_common(1)[0]
        raise SpaceError(f"none of {TRIES} random architectures was admissible; '{name}' refused {count}; loosen it")

    def neighbour(self, architecture: Architecture, rng: random.Random) -> Architecture:
        """A random one of `neighbours`: as often one that is changed or removed as one that is added."""
        here = len(architecture.placements)
        found = self.neighbours(architecture)
        added = [a for a in found if len(a.placements) > here]
        changed = [a for a in found if len(a.placements) <= here]
        kinds = [kind for kind in (changed, added) if kind]
        if not kinds:
            raise SpaceError(f"{architecture.label} has no admissible neighbour in the space '{self.name}'")
        return rng.choice(rng.choice(kinds))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Every admissible architecture that differs at one site: changed, removed or added; never the baseline."""
        here = {p.site: p for p in architecture.placements}
        found = []
        for site, placements in self.choices.items():
            others = [p for s, p in here.items() if s != site]
            for new in (*placements, None):
                candidate = Architecture.of(self.detector.name, [*others, new] if new else others)
                if candidate != architecture and not candidate.is_baseline and self.refusal(candidate) is None:
                    found.append(candidate)
        return found

    def enumerate(self) -> Iterator[Architecture]:
        """Every admissible architecture once: the baseline, then by number of modules."""
        for subset in admissible_subsets(self.sites, self.rules):
            for placements in product(*(self.choices[site] for site in subset)):
                yield Architecture.of(self.detector.name, placements)

    @cached_property
    def size(self) -> int:
        """The number of admissible architectures, the baseline included; exact, without listing them."""
        return count_admissible({site: len(placements) for site, placements in self.choices.items()}, self.rules)

    def anchors(self) -> list[Architecture]:
        """Published hand placements in this space: each backbone stage alone, all neck blocks together (YOLOv8-AM)."""
        stages = [s for s in self.detector.stage_sites if self.detector.rows[s].part == "backbone"]
        neck = [s for s in self.detector.stage_sites if self.detector.rows[s].part == "neck"]
        anchors = []
        for module in self.modules:
            for sites in (*([s] for s in stages), neck):
                if sites and set(sites) <= set(self.sites) and first_refusal(sites, self.rules) is None:
                    placements = [self._usual(site, module) for site in sites]
                    anchors.append(Architecture.of(self.detector.name, placements))
        return anchors

    def _usual(self, site: int, module: ModuleOptions) -> Placement:
        """The module with the legal strength nearest to its default and the first other options that go with it."""
        strengths = self._strengths(site, module)
        default = module.spec.options.get(module.spec.strength, strengths[-1])
        strength = min(strengths, key=lambda s: abs(float(s) - float(default)))
        return self._place(site, module, next(module.legal(self.detector.rows[site].channels, strength)))

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of all but the name: detector rows, sites, options, rules, limits, objectives."""
        resolved = {  # the names that were used when the first runs were recorded
            "name": "",
            "detector": [self.detector.name, [asdict(row) for row in self.detector.rows]],
            "sites": self.sites,
            "semantics": self.semantics,
            "offers": [{"module": m.name, "strengths": m.strengths, "dials": m.options} for m in self.modules],
            "rules": [asdict(rule) for rule in self.rules],
            "limits": [asdict(limit) for limit in self.limits],
            "objectives": self.objectives,
        }
        return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()[:12]


def _clamped(values: Sequence[Option], index: int) -> Option:
    """The value at `index`, or the last where another module has more values than this one."""
    return values[min(index, len(values) - 1)]
