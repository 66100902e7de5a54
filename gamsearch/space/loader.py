"""Search space files: where they are and what their keys mean. Each error is one sentence that names file and key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gamsearch.architecture import SEMANTICS
from gamsearch.errors import SpaceError, nearest
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.metrics import METRICS, metric_named
from gamsearch.plugins.loading import import_plugins
from gamsearch.space.detector import Detector
from gamsearch.space.file_errors import at, check_mapping
from gamsearch.space.options import Semantics, listed
from gamsearch.space.rules import RULES, SITES, Rule
from gamsearch.space.selectors import names_sites, select
from gamsearch.tasks import Task

KEYS = ("detector", "sites", "semantics", "attention", "illegal", "rules", "limits", "objectives", "plugins")


@dataclass(frozen=True)
class Limit:
    """An upper bound on a metric that is known before training.

    Attributes:
        metric: The metric's name.
        text: `+20%`: relative to the baseline; `3.5`: in the metric's unit.
    """

    metric: str
    text: str

    def bound(self, baseline_value: float) -> float:
        """Resolve the bound.

        Args:
            baseline_value: The baseline's value, in the metric's unit.

        Returns:
            The largest value allowed, in the metric's unit.
        """
        if self.text.endswith("%"):
            return baseline_value * (1 + float(self.text[:-1]) / 100)
        return float(self.text)


def shipped_spaces() -> list[str]:
    """Names of the search spaces that come with the package."""
    return sorted(path.stem for path in _shipped_folder().glob("*.yaml"))


def read_space_file(name_or_path: str | Path) -> tuple[Path, str, dict[str, Any]]:
    """Find a space by path or shipped name; return its file, its name for messages, and its mapping."""
    path = Path(name_or_path)
    if not path.is_file():
        path = _shipped_folder() / f"{path.name.removesuffix('.yaml')}.yaml" if path.parent == Path(".") else path
    if not path.is_file():
        shipped = shipped_spaces()
        raise SpaceError(
            f"there is no search space '{name_or_path}'{nearest(str(name_or_path), shipped)}; "
            f"give the path of a YAML file or one of {', '.join(shipped)}"
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


def model_of(name_or_path: str | Path) -> str:
    """Find the model that a space is written for.

    Args:
        name_or_path: The name of a shipped space, or the path of a space file.

    Returns:
        What `--model` would be: the name of a stock YAML, or the absolute path of the file's own; empty where it names
        none.

    Raises:
        SpaceError: The file cannot be read.
    """
    path, source, written = read_space_file(name_or_path)
    if "detector" not in written:
        return ""
    detector = read_detector(source, path, written.get("detector"))
    beside = path.parent / written["detector"]
    return str(beside.absolute()) if beside.is_file() else f"{detector.name}.yaml"


def _shipped_folder() -> Path:
    """The spaces are inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def read_plugins(source: str, written: Any, not_below: Path | None) -> tuple[str, ...]:
    """Import the modules that `plugins:` names, so that their names can be used in the rest of the file.

    Args:
        source: The file's name for messages.
        written: The value of the key: a module name or a list of them.
        not_below: A folder that may come from someone else; modules in it are refused.

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


def read_semantics(source: str, written: Any) -> Semantics:
    """Read `semantics:`, one of them or a list of several."""
    ways = written if isinstance(written, list) else [written]
    with at(source, "semantics"):
        for i, one in enumerate(ways):
            if one not in SEMANTICS:
                offered = f"{', '.join(SEMANTICS)} or a list of them"
                raise SpaceError(f"must be {offered}, not {one!r}{nearest(str(one), SEMANTICS)}")
            if one in ways[:i]:
                raise SpaceError(f"{one} is given twice; give it once")
        if not ways:
            raise SpaceError(f"at least one of {', '.join(SEMANTICS)} must be given")
    return ways[0] if len(ways) == 1 else tuple(ways)


def read_sites(source: str, written: Mapping[str, Any], semantics: Semantics, detector: Detector) -> tuple[int, ...]:
    """Resolve `sites:`; attention must be possible at each of them with one of the semantics."""
    default = "bottlenecks" if semantics == "inner" else "stages"
    with at(source, "sites"):
        sites = select(detector, written.get("sites", default))
        possible = {s: [one for one in listed(semantics) if detector.why_not(s, one) is None] for s in detector.sites}
        for site in sites:
            if not possible[site]:
                reasons = " and ".join(str(detector.why_not(site, one)) for one in listed(semantics))
                raise SpaceError(f"{reasons}; write sites: {[s for s, ways in possible.items() if ways]}")
    return sites


def read_rules(
    source: str, written: Any, sites: Sequence[int], modules: Sequence[str], detector: Detector
) -> tuple[Rule, ...]:
    """Read `rules:`, a mapping from rule names to their values; selectors in lists of sites stand for theirs."""
    check_mapping(source, "rules", written, "max_modules: 4")
    rules = []
    for name, value in (written or {}).items():
        with at(source, f"rules.{name}"):
            if RULES.named(name).of == SITES:
                value = _with_sites(value, sites, detector)
            rules.append(Rule.read(name, value, sites, modules))
    return tuple(rules)


def _with_sites(value: Any, sites: Sequence[int], detector: Detector) -> Any:
    """The value of a rule with those sites of the space in place of selectors in lists."""
    if not isinstance(value, list):
        return value
    found: list[Any] = []
    for one in value:
        if names_sites(one):
            found += [site for site in select(detector, one) if site in sites and site not in found]
        else:
            found.append(_with_sites(one, sites, detector))
    return found


def read_limits(source: str, written: Any) -> tuple[Limit, ...]:
    """Read `limits:`, a mapping from built metrics to `+20%` or an absolute number."""
    check_mapping(source, "limits", written, "params_m: +20%")
    limits = []
    for name, value in (written or {}).items():
        with at(source, f"limits.{name}"):
            if metric_named(name).stage != "built":
                built = ", ".join(m.name for m in METRICS.values() if m.stage == "built")
                raise SpaceError(f"{name} is known only after training and cannot be limited; limit one of {built}")
            if metric_named(name).maximise:
                raise SpaceError(
                    f"{name} is the better the higher, and a limit is an upper bound; make it an objective"
                )
            limits.append(Limit(name, _limit_text(value)))
    return tuple(limits)


def _limit_text(value: Any) -> str:
    """Accept `+20%` (above the baseline) or a positive number."""
    text = str(value).strip()
    relative = text.startswith("+") and text.endswith("%")
    try:
        number = math.nan if isinstance(value, bool) else float(text.removesuffix("%") if relative else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (number < 0 if relative else number <= 0):
        raise SpaceError(f"must be relative to the baseline such as +20% or a number above 0, not {value!r}")
    return text


def default_objectives(task: Task) -> tuple[str, ...]:
    """What a space optimises that does not say: the primary metric of its detector's task, and latency."""
    return task.primary, "latency_ms"


def read_objectives(written: Any, task: Task) -> tuple[str, ...]:
    """Check a list of one or more different names of metrics that the task measures."""
    names = written if isinstance(written, list | tuple) else [written]
    measured = [metric.name for metric in task.all_metrics]
    if not names:
        raise SpaceError(f"at least one metric must be given; there are {', '.join(measured)}")
    for i, name in enumerate(names):
        if metric_named(str(name)).name not in measured:
            lacking = task.lacks(metric_named(name))
            why = f", whose validation yields no '{lacking}'" if lacking else ""
            raise SpaceError(f"{name} is not measured in {task.noun}{why}; there are {', '.join(measured)}")
        if name in names[:i]:
            raise SpaceError(f"{name} is given twice; give it once")
    return tuple(names)
