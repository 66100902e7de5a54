"""Hand-written model YAMLs with attention in them as architectures. No torch.

The rows that somebody inserted become placements, so that the graft of these is the file again, up to its numbering.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.row_options import copied, names_of, read_options
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import ModelError, SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.encoding import canonical_module
from gamsearch.space.graft import graft
from gamsearch.space.layers import absolute_sources, checked_sources
from gamsearch.space.published_rows import Inserted, RowError, find_inserted
from gamsearch.space.stock import read_mapping, scale_in, stock_files, with_scale

Rows = list[list[Any]]


@dataclass(frozen=True)
class Imported:
    """The architecture of a file.

    Attributes:
        name: The file's name.
        architecture: Its placements on the detector.
        notes: What of the file is not taken over, one sentence each.
    """

    name: str
    architecture: Architecture
    notes: tuple[str, ...] = ()


def read_imported(path: Path, detector: Detector) -> Imported:
    """Read the architecture of a model YAML in which somebody inserted attention.

    Args:
        path: The file.
        detector: The stock detector that it begins with; its scale decides, and so do the classes of the data.

    Returns:
        The architecture, whose graft has the rows of the file.

    Raises:
        ModelError: The file is no model YAML.
        SpaceError: It is not this detector with attention; the message names the row and what was expected.
    """
    mapping, rows = _read(path)
    modules = known_modules()
    try:
        found = find_inserted(detector.name, _rows_of(detector.yaml), rows, modules)
        if not found:
            raise SpaceError(f"{path} has the rows of {detector.name} and no attention, so there is nothing to import")
        placements = [_placement(detector, one, modules[one.module]) for one in found]
        architecture = Architecture.of(detector.name, placements)
        graft(detector, architecture)
    except RowError as error:
        raise _explained(path, rows, detector, error) from error
    remarks = {one.module: copied(modules[one.module], one.module).remark for one in found}
    said = [f"{module} is {remark}" for module, remark in remarks.items() if remark]
    return Imported(path.name, architecture, (*_scale_notes(mapping, path, detector), *said))


def detector_of(path: Path) -> Detector:
    """Find the stock detector whose rows a model YAML has beside its attention.

    Args:
        path: The file.

    Returns:
        The detector, at the scale that the file's name or content says, else at its first.

    Raises:
        ModelError: The file is no model YAML.
        SpaceError: There is no such stock detector.
    """
    mapping, rows = _read(path)
    stems = _matching(rows)
    if not stems:
        raise _unknown(path, rows)
    return Detector.load(_at_scale(stems[0], str(mapping.get("scale") or scale_in(path.stem))))


def known_modules() -> dict[str, AttentionSpec]:
    """Every name by which rows may call an attention module, those of plug-ins included."""
    CATALOGUE.names()  # loads installed plug-ins
    found: dict[str, AttentionSpec] = {}
    for spec in CATALOGUE.values():
        for name in names_of(spec):
            found.setdefault(name, spec)
    return found


def _read(path: Path) -> tuple[dict[str, Any], Rows]:
    """The mapping and the rows of a file; `ModelError` unless every row has its form."""
    mapping = read_mapping(path)
    for part in ("backbone", "head"):
        if not isinstance(mapping.get(part), list):
            raise ModelError(f"{path} must have a list '{part}:' of rows, as Ultralytics' model YAMLs have")
    rows = _rows_of(mapping)
    for number, row in enumerate(rows):
        checked_sources(str(path), number, row)
    return mapping, rows


def _rows_of(mapping: Mapping[str, Any]) -> Rows:
    return [*mapping["backbone"], *mapping["head"]]


def _placement(detector: Detector, row: Inserted, spec: AttentionSpec) -> Placement:
    """The placement that an inserted row is; all readers attended is `inline`, some is `branch`, none is `inner`."""
    semantics = "inline" if row.readers else "inner"
    reason = detector.why_no_site(row.site) or detector.why_not(row.site, semantics)
    if reason:
        raise RowError(row.number, f"cannot be placed: {reason}")
    channels = detector.channels(row.site, semantics)
    widths = (channels, _written_width(_rows_of(detector.yaml), row.site))
    try:
        options = read_options(spec, row.module, row.arguments, channels, widths)
    except SpaceError as error:
        raise RowError(row.number, f"cannot be read as {spec.name} after row {row.site}: {error}") from error
    module, canonical = canonical_module(spec.name, channels, options)
    if not row.readers or set(row.readers) == set(detector.readers(row.site)):
        return Placement(row.site, module, canonical, semantics)
    return Placement(row.site, module, canonical, "branch", row.readers)


def _written_width(rows: Rows, number: int) -> int:
    """The width of a row as the YAML writes it, before it is scaled; 0 for the image."""
    if number < 0:
        return 0
    source, _, module, arguments = rows[number]
    sources = absolute_sources(number, source)
    if module == "Concat":
        return sum(_written_width(rows, one) for one in sources)
    if not module.startswith("nn.") and arguments and type(arguments[0]) is int:
        return int(arguments[0])
    return _written_width(rows, sources[0])


def _explained(path: Path, rows: Rows, detector: Detector, error: RowError) -> SpaceError:
    """The sentence for a row: another stock detector if the file has that one's rows, else what is wrong with it."""
    stems = _matching(rows)
    others = [name for name in (_at_scale(stem, detector.scale) for stem in stems) if name != detector.name]
    if others and len(others) == len(stems):
        return SpaceError(f"{path}: its base is {others[0]}, not {detector.name}: give --model {others[0]}.yaml")
    return SpaceError(f"{path}: row {error.number}, {rows[error.number]}, {error}")


def _unknown(path: Path, rows: Rows) -> SpaceError:
    """The sentence for the rows of no stock detector: the row at which the one that they follow furthest ends."""
    errors: list[tuple[int, float, RowError]] = []
    for stem, stock in _stock_rows().items():
        try:
            find_inserted(stem, stock, rows, known_modules())
        except RowError as error:
            alike = SequenceMatcher(None, [str(row[2]) for row in rows], [str(row[2]) for row in stock]).ratio()
            errors.append((error.number, alike, error))
        except (SpaceError, KeyError, TypeError, ValueError):
            continue
    furthest = max(errors, key=lambda one: one[:2], default=None)
    if furthest is None or not 0 < furthest[0] < len(rows):
        return SpaceError(f"{path} has the rows of no stock detector; give --model, the YAML that it was made from")
    number, _, reason = furthest
    return SpaceError(f"{path}: row {number}, {rows[number]}, {reason}; if its base is not stock, give --model")


@cache
def _stock_rows() -> dict[str, Rows]:
    return {stem: _rows_of(read_mapping(path)) for stem, path in stock_files().items()}


def _matching(rows: Rows) -> list[str]:
    """The stems of the stock YAMLs whose rows a file has beside its attention."""
    known, found = known_modules(), []
    for stem, stock in _stock_rows().items():
        try:
            find_inserted(stem, stock, rows, known)
        except (SpaceError, KeyError, TypeError, ValueError):
            continue
        found.append(stem)
    return found


def _at_scale(stem: str, scale: str) -> str:
    """The name of a stock detector at a scale, if it has that one, else at its first."""
    scales: Sequence[str] = list(read_mapping(stock_files()[stem]).get("scales") or ())
    if len(scales) < 2:
        return stem
    return with_scale(stem, scale if scale in scales else scales[0])


def _scale_notes(mapping: Mapping[str, Any], path: Path, detector: Detector) -> list[str]:
    """What the file says of scales that the detector does not have."""
    scale = str(mapping.get("scale") or scale_in(path.stem))
    if scale and detector.scale and scale != detector.scale:
        return [f"it is for scale {scale}; imported at scale {detector.scale}, that of --model"]
    scales, own = mapping.get("scales"), (detector.yaml.get("scales") or {}).get(detector.scale)
    written = scales.get(detector.scale) if isinstance(scales, dict) else None
    if written is not None and own is not None and list(written) != list(own):
        return [f"its scale {detector.scale} is {written}; imported with {own}, that of {detector.name}"]
    return []
