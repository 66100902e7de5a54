"""Detectors as values: the rows of a model YAML with their sources, scaled widths and strides. Nothing is built.

Widths and sources follow Ultralytics' YAML parser (`parse_model`), strides follow the modules' arithmetic. The stock
YAMLs are read as files of the installed package.
"""

import copy
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from gamsearch.errors import ModelError, SpaceError, nearest
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.space.layers import LIST_OR_TEXT, STAGES, Row, read_rows

SCALE_IN_NAME = re.compile(r"yolo(?:e-)?v?\d+([nslmx])")
DETECTION_HEADS = ("Detect", "v10Detect")


@dataclass(frozen=True)
class Detector:
    """A model YAML at one scale.

    Attributes:
        name: E.g. `yolov8n`.
        scale: Its scale letter, or an empty string.
        yaml: A private copy of the YAML that states its `scale`; do not edit it.
        rows: The rows of backbone and head in order.
    """

    name: str
    scale: str
    yaml: dict[str, Any] = field(compare=False, repr=False)
    rows: tuple[Row, ...] = field(repr=False)

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Detector":
        """Read a stock detector or a YAML file.

        Args:
            name_or_path: `yolov8n`, `yolov8s-p2.yaml`, or the path of a model YAML. A scale letter in the name takes
                precedence over the file's own.

        Returns:
            The detector.

        Raises:
            ModelError: There is no such detector, or the YAML is not one of a detector.
        """
        path, stem = _locate(str(name_or_path))
        mapping = _read(path)
        scale = scale_in(stem) or str(mapping.get("scale") or "")
        detector = cls.from_yaml(stem, {**mapping, "scale": scale})
        if path not in _stock_files().values() or scale or len(mapping.get("scales") or {}) < 2:
            return detector
        return cls(_with_scale(stem, detector.scale), detector.scale, detector.yaml, detector.rows)

    @classmethod
    def from_yaml(cls, name: str, mapping: Mapping[str, Any]) -> "Detector":
        """Read a mapping such as a checkpoint's `model.yaml`.

        Args:
            name: A name for the detector.
            mapping: The YAML; its own `scale` takes precedence over the one in its name.

        Returns:
            The detector.

        Raises:
            ModelError: The mapping is not the YAML of a detector.
        """
        _check_shape(name, mapping)
        yaml = copy.deepcopy(dict(mapping))
        yaml["scale"] = _choose_scale(name, mapping)
        rows = read_rows(name, yaml)
        if "detect" not in rows[-1].module.lower():
            raise ModelError(f"{name} ends in {rows[-1].module}; the last row must be a detection head such as Detect")
        return cls(name, yaml["scale"], yaml, rows)

    @cached_property
    def sites(self) -> tuple[int, ...]:
        """Rows that attention may follow: one feature map out, not the image itself, not the head."""
        return tuple(row.index for row in self.rows if self.why_no_site(row.index) is None)

    @cached_property
    def stage_sites(self) -> tuple[int, ...]:
        """The block rows of backbone and neck, where attention is usually placed: 2, 4, 6, 8, 9, ... for yolov8n."""
        return tuple(i for i in self.sites if self.rows[i].module in STAGES or self.rows[i].repeats > 1)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the head reads, in its order: 8, 16, 32 for yolov8n."""
        return tuple(self.rows[source].stride for source in self.rows[-1].sources)

    def readers(self, site: int) -> tuple[int, ...]:
        """Find the consumers of a row.

        Args:
            site: The row.

        Returns:
            Numbers of the rows that read its output.
        """
        return tuple(row.index for row in self.rows if site in row.sources)

    def why_no_site(self, site: int) -> str | None:
        """Explain why attention cannot follow a row.

        Args:
            site: The row.

        Returns:
            One sentence, or None if it can.
        """
        if not 0 <= site < len(self.rows):
            return f"site {site} does not exist, the rows of {self.name} go from 0 to {len(self.rows) - 1}"
        row = self.rows[site]
        if site == len(self.rows) - 1:
            return f"site {site} is {row.module}, which nothing can follow"
        if row.module in LIST_OR_TEXT:
            return f"site {site} is {row.module}, whose output is not a single feature map"
        if row.module == "nn.Identity" and row.sources == (-1,):
            return f"site {site} is {row.module}, which passes the image through"
        return None

    def check_site(self, site: int) -> None:
        """Check that attention can follow a row.

        Args:
            site: The row.

        Raises:
            SpaceError: It cannot; the message lists the rows that it can follow.
        """
        reason = self.why_no_site(site)
        if reason:
            raise SpaceError(f"{reason}; {self.name} offers {', '.join(map(str, self.stage_sites or self.sites))}")


def stock_detectors() -> list[str]:
    """Names of the stock detectors that can be searched, each at its first scale."""
    names = []
    for stem, path in _stock_files().items():
        mapping = _read(path)
        if mapping["head"][-1][2] in DETECTION_HEADS and "yoloe" not in stem:
            scales = list(mapping.get("scales") or {})
            names.append(_with_scale(stem, scales[0]) if len(scales) > 1 else stem)
    return names


def scale_in(name: str) -> str:
    """Read the scale letter in a name as Ultralytics infers it.

    Args:
        name: Name of a detector, such as `yolov8s-p2`.

    Returns:
        The letter (`s`), or an empty string.
    """
    found = SCALE_IN_NAME.search(name)
    return found.group(1) if found else ""


def _without_scale(stem: str) -> str:
    return re.sub(r"(\d+)[nslmx](?=\D|$)", r"\1", stem, count=1)


def _with_scale(stem: str, scale: str) -> str:
    return re.sub(r"(\d+)", rf"\g<1>{scale}", stem, count=1)


def _check_shape(name: str, mapping: Mapping[str, Any]) -> None:
    """Check the top level of a model YAML: two lists of rows, and scales as triples."""
    for part in ("backbone", "head"):
        if not isinstance(mapping.get(part), list) or not mapping[part]:
            raise ModelError(f"{name} must have a list '{part}:' of rows, as Ultralytics' model YAMLs have")
    if type(mapping.get("channels", 3)) is not int:
        raise ModelError(f"{name} must give 'channels:' of the image as a whole number, not {mapping['channels']!r}")
    scales = mapping.get("scales") or {}
    if not isinstance(scales, dict) or any(not isinstance(v, list) or len(v) != 3 for v in scales.values()):
        raise ModelError(f"{name} must give each of its 'scales:' as [depth, width, max_channels], not {scales}")


def _choose_scale(name: str, mapping: Mapping[str, Any]) -> str:
    """The mapping's own scale, else the one in its name or file name, else its first."""
    scales = mapping.get("scales") or {}
    guess = mapping.get("scale") or scale_in(name) or scale_in(Path(str(mapping.get("yaml_file", ""))).stem)
    scale = str(guess or next(iter(scales), ""))
    if scales and scale not in scales:
        raise ModelError(f"{name} has no scale '{scale}'; its 'scales:' are {', '.join(map(str, scales))}")
    return scale


@lru_cache(maxsize=1)
def _stock_files() -> dict[str, Path]:
    """The model YAMLs of the installed Ultralytics by stem, found without importing it."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("Ultralytics must be installed to read its stock detectors; run pip install ultralytics")
    folder = Path(next(iter(spec.submodule_search_locations))) / "cfg" / "models"
    return {path.stem: path for path in sorted(folder.rglob("*.yaml"))}


def _locate(name: str) -> tuple[Path, str]:
    """Return the YAML file that `name` refers to (with or without its scale letter) and the given stem."""
    path = Path(name)
    is_yaml = path.suffix in (".yaml", ".yml")
    stem = path.stem if is_yaml else path.name
    if path.is_file() or (is_yaml and path.with_stem(_without_scale(stem)).is_file()):
        return (path if path.is_file() else path.with_stem(_without_scale(stem))), path.stem
    stock = _stock_files()
    for candidate in (stem, _without_scale(stem)):
        if candidate in stock and path.parent == Path("."):
            return stock[candidate], stem
    hint = nearest(stem, [*stock_detectors(), *(_with_scale(_without_scale(n), s) for n in stock for s in "nsmlx")])
    raise ModelError(
        f"there is no detector '{name}'{hint}; give a stock name (see `python -m gamsearch list detectors`) "
        "or the path of a model YAML"
    )


def _read(path: Path) -> dict[str, Any]:
    """Read a model YAML file as a mapping; `ModelError` if that fails."""
    try:
        mapping = read_yaml(path)
    except (OSError, UnreadableError) as error:
        raise ModelError(f"{path} cannot be read as YAML ({error})") from error
    if not isinstance(mapping, dict):
        raise ModelError(f"{path} must hold a mapping with 'backbone:' and 'head:', not {type(mapping).__name__}")
    return mapping
