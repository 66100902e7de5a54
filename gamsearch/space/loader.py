"""Search space files: where they are and what their keys mean. Each fault is one sentence that names file and key."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gamsearch.architecture import SEMANTICS, Option
from gamsearch.attention.catalogue import AttentionSpec, spec_named
from gamsearch.errors import GamsearchError, SpaceError, nearest
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.metrics import METRICS, metric_named
from gamsearch.plugins.loading import import_plugins
from gamsearch.space.detector import Detector
from gamsearch.space.options import PRESENT, ModuleOptions
from gamsearch.space.rules import Rule
from gamsearch.space.selectors import select

KEYS = ("detector", "sites", "semantics", "attention", "illegal", "rules", "limits", "objectives", "plugins")
ILLEGAL = ("refuse", "skip")
DEFAULT_OBJECTIVES = ("map50_95", "latency_ms")


@dataclass(frozen=True)
class Limit:
    """An upper bound on a built metric: relative to the baseline (`+20%`) or absolute in the metric's unit."""

    metric: str
    text: str

    def bound(self, baseline_value: float) -> float:
        """The largest value allowed, in the metric's unit."""
        if self.text.endswith("%"):
            return baseline_value * (1 + float(self.text[:-1]) / 100)
        return float(self.text)


def shipped_spaces() -> list[str]:
    """Names of the search spaces that come with the package."""
    return sorted(path.stem for path in _shipped_folder().glob("*.yaml"))


def read_space_file(name_or_path: str | Path) -> tuple[Path, str, dict[str, Any]]:
    """Find a space by path or shipped name; return its file, what to call it in messages, and its mapping."""
    path = Path(name_or_path)
    if not path.is_file():
        path = _shipped_folder() / f"{path.name.removesuffix('.yaml')}.yaml" if path.parent == Path(".") else path
    if not path.is_file():
        known = shipped_spaces()
        raise SpaceError(
            f"there is no search space '{name_or_path}'{nearest(str(name_or_path), known)}; "
            f"give the path of a YAML file or one of {', '.join(known)}"
        )
    source = path.name if path.parent == _shipped_folder() else str(path)
    try:
        mapping = read_yaml(path)
    except (OSError, UnreadableError) as error:
        raise SpaceError(f"{source} cannot be read as YAML ({error})") from error
    if not isinstance(mapping, dict):
        raise SpaceError(f"{source} must hold a mapping with the keys {', '.join(KEYS)}, not {mapping!r}")
    for key in mapping:
        if key not in KEYS:
            raise SpaceError(f"{source}, key '{key}': unknown{nearest(key, KEYS)}; there are {', '.join(KEYS)}")
    return path, source, mapping


def _shipped_folder() -> Path:
    """In an installed package the spaces lie inside it, in a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


@contextmanager
def at(source: str, key: str) -> Iterator[None]:
    """Name file and key in whatever the user can mend."""
    try:
        yield
    except GamsearchError as error:
        raise SpaceError(f"{source}, key '{key}': {error}") from error


def read_plugins(source: str, written: Any, not_below: Path | None) -> tuple[str, ...]:
    """Import the modules that `plugins:` names, so that their names can be used in the rest of the file.

    Args:
        source: What to call the file in messages.
        written: The value of the key: a module name or a list of them.
        not_below: A folder that may come from somebody else; modules in it are refused.

    Returns:
        The module names.

    Raises:
        SpaceError: A module cannot be imported.
    """
    names = tuple(written if isinstance(written, list) else [written] if written else ())
    with at(source, "plugins"):
        import_plugins(names, not_below)
    return names


def read_detector(source: str, path: Path, written: Any) -> Detector:
    """Load the `detector:` of a space file; a YAML beside the space file is found by its relative path."""
    with at(source, "detector"):
        if not isinstance(written, str):
            raise SpaceError(f"must be a name such as yolov8n or the path of a model YAML, not {written!r}")
        beside = path.parent / written
        return Detector.load(beside if beside.is_file() else written)


def read_sites(source: str, written: Any, semantics: Any, detector: Detector) -> tuple[int, ...]:
    """Resolve `sites:`; under `semantics: branch` each of them must be read by the head."""
    with at(source, "semantics"):
        if semantics not in SEMANTICS:
            raise SpaceError(f"must be {' or '.join(SEMANTICS)}, not {semantics!r}{nearest(str(semantics), SEMANTICS)}")
    with at(source, "sites"):
        sites = select(detector, written)
        head = detector.rows[-1]
        unread = [s for s in sites if s not in head.sources]
        if semantics == "branch" and unread:
            raise SpaceError(
                f"with semantics branch only {head.module} reads the attended map, and it does not read "
                f"{', '.join(map(str, unread))}; write sites: {list(head.sources)}"
            )
    return sites


def read_modules(
    source: str, written: Any, illegal: Any, sites: Sequence[int], detector: Detector
) -> tuple[ModuleOptions, ...]:
    """Read `attention:` and check what can be built: with `illegal: refuse` every strength at every site."""
    with at(source, "illegal"):
        if illegal not in ILLEGAL:
            raise SpaceError(f"must be {' or '.join(ILLEGAL)}, not {illegal!r}{nearest(str(illegal), ILLEGAL)}")
    with at(source, "attention"):
        if not isinstance(written, dict) or not written:
            raise SpaceError(f"must map module names to their options, e.g. GAM: {{rate: [4, 8]}}, not {written!r}")
        for name in written:
            spec_named(name)
    modules = tuple(_read_module(source, name, options) for name, options in written.items())
    for module in modules:
        _check_strengths(source, module, illegal, sites, detector)
        _check_options(source, module, sites, detector)
    return modules


def _read_module(source: str, name: str, written: Any) -> ModuleOptions:
    spec, key = spec_named(name), f"attention.{name}"
    with at(source, key):
        if not isinstance(written, dict | None):
            example = f"{{{spec.strength}: [4, 8]}}" if spec.strength else "{}"
            raise SpaceError(f"must map options to lists of values, e.g. {example}, not {written!r}")
    given = dict(written or {})
    with at(source, f"{key}.preset"):
        preset = _read_preset(spec, given)
    options: dict[str, tuple[Option, ...]] = {option: (value,) for option, value in preset.items()}
    for option, values in given.items():
        with at(source, f"{key}.{option}"):
            options[option] = _read_values(spec, option, values)
    if not spec.strength:
        return ModuleOptions(name, (PRESENT,), tuple(options.items()))
    strengths = sorted(options.pop(spec.strength, (spec.options[spec.strength],)), reverse=spec.stronger_is_smaller)
    return ModuleOptions(name, tuple(strengths), tuple(options.items()))


def _read_preset(spec: AttentionSpec, given: dict[str, Any]) -> dict[str, Option]:
    """Take `preset:` out of the options given and return what it sets; no option may be set by both."""
    if "preset" not in given:
        return {}
    name = given.pop("preset")
    if not isinstance(name, str) or name not in spec.presets:
        raise SpaceError(f"must be one of {', '.join(spec.presets)}, not {name!r}{nearest(str(name), spec.presets)}")
    preset = dict(spec.presets[name])
    both = [option for option in preset if option in given]
    if both:
        raise SpaceError(f"'{name}' sets {both[0]} to {preset[both[0]]}, and {both[0]} is given as well; leave out one")
    return preset


def _read_values(spec: AttentionSpec, name: str, written: Any) -> tuple[Option, ...]:
    """Read the value or list of values of one option, each once and of the right type."""
    values = written if isinstance(written, list) else [written]
    if not values:
        raise SpaceError("must offer at least one value; leave the key out for the default")
    for i, value in enumerate(values):
        spec.complete({name: value})
        if value in values[:i]:
            raise SpaceError(f"{value} is given twice; give it once")
    return tuple(values)


def _check_strengths(
    source: str, module: ModuleOptions, illegal: str, sites: Sequence[int], detector: Detector
) -> None:
    """Each strength must be legal at each site; where illegal ones are skipped, at one, and each site must have one."""
    name = module.spec.strength
    legal = {site: module.strengths_on(detector.rows[site].channels) for site in sites}
    for strength, site in product(module.strengths, sites):
        tolerated = illegal == "skip" and legal[site] and any(strength in values for values in legal.values())
        if strength not in legal[site] and not tolerated:
            options = module.spec.complete(next(module.combinations(strength)))
            reason = module.spec.refuse(detector.rows[site].channels, options)
            with at(source, f"attention.{module.name}{f'.{name}' if name else ''}"):
                what = strength if name else module.name
                raise SpaceError(f"{what} cannot be built at site {site} of {detector.name}: {reason}")


def _check_options(source: str, module: ModuleOptions, sites: Sequence[int], detector: Detector) -> None:
    """Every value of the other options must be legal somewhere."""
    built = [o for site in sites for s in module.strengths for o in module.legal(detector.rows[site].channels, s)]
    for name, values in module.options:
        for value in values:
            if not any(options[name] == value for options in built):
                with at(source, f"attention.{module.name}.{name}"):
                    level = f" with any {module.spec.strength} given" if module.spec.strength else ""
                    raise SpaceError(f"{value} can be built at none of the sites{level}")


def read_rules(source: str, written: Any, sites: Sequence[int]) -> tuple[Rule, ...]:
    """Read `rules:`, a mapping from rule names to their values."""
    _check_mapping(source, "rules", written, "max_modules: 4")
    rules = []
    for name, value in (written or {}).items():
        with at(source, f"rules.{name}"):
            rules.append(Rule.read(name, value, sites))
    return tuple(rules)


def read_limits(source: str, written: Any) -> tuple[Limit, ...]:
    """Read `limits:`, a mapping from built metrics to `+20%` or an absolute number."""
    _check_mapping(source, "limits", written, "params_m: +20%")
    limits = []
    for name, value in (written or {}).items():
        with at(source, f"limits.{name}"):
            if metric_named(name).stage != "built":
                built = ", ".join(m.name for m in METRICS.values() if m.stage == "built")
                raise SpaceError(
                    f"{name} is known only after training and cannot be limited before; limit one of {built}"
                )
            limits.append(Limit(name, _limit_text(value)))
    return tuple(limits)


def _limit_text(value: Any) -> str:
    """Accept `+20%` (of the baseline and above it) or a positive number."""
    text = str(value).strip()
    relative = text.startswith("+") and text.endswith("%")
    try:
        number = math.nan if isinstance(value, bool) else float(text.removesuffix("%") if relative else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (number < 0 if relative else number <= 0):
        raise SpaceError(f"must be relative to the baseline such as +20% or a number above 0, not {value!r}")
    return text


def read_objectives(written: Any) -> tuple[str, ...]:
    """Check a list of one or more different metric names."""
    names = written if isinstance(written, list | tuple) else [written]
    if not names:
        raise SpaceError(f"at least one metric must be given; there are {', '.join(METRICS)}")
    for i, name in enumerate(names):
        metric_named(str(name))
        if name in names[:i]:
            raise SpaceError(f"{name} is given twice; give it once")
    return tuple(names)


def _check_mapping(source: str, key: str, written: Any, example: str) -> None:
    with at(source, key):
        if not isinstance(written, dict | None):
            raise SpaceError(f"must be a mapping such as {{{example}}}, not {written!r}")
