"""Detectors as values: the rows of a model YAML with their sources, channels and strides. No torch at import.

The stock YAMLs are read as files of the installed package. What their rows give out is read from Ultralytics
(`parser.shapes`), once per YAML and scale.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gamsearch.attention.spec import INNER_ROW
from gamsearch.errors import ModelError, SpaceError
from gamsearch.space.heads import plain_name, why_not_searched
from gamsearch.space.layers import Row, read_rows
from gamsearch.space.stock import locate, read_mapping, scale_in, searched_names, stock_files, with_scale
from gamsearch.tasks import Task, task_of

SHALLOWEST_BLOCK, SHALLOWEST_STAGE = 2, 8
"""Fewest convolutions of a block that keeps its input's stride, and of one that does not; a stem has up to 5."""


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
        path, stem, scale = locate(str(name_or_path))
        mapping = read_mapping(path)
        scale = scale or str(mapping.get("scale") or "")
        detector = cls.from_yaml(stem, {**mapping, "scale": scale})
        if path not in stock_files().values() or scale or len(mapping.get("scales") or {}) < 2:
            return detector
        return cls(with_scale(stem, detector.scale), detector.scale, detector.yaml, detector.rows)

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
        _check_head(name, mapping)
        return cls(name, yaml["scale"], yaml, read_rows(name, yaml))

    @property
    def task(self) -> Task:
        """What it is for, by its head."""
        return task_of(self.yaml)

    @cached_property
    def sites(self) -> tuple[int, ...]:
        """Rows that attention may follow: one feature map out, not the image itself, not the head."""
        return tuple(row.index for row in self.rows if self.why_no_site(row.index) is None)

    @cached_property
    def stage_sites(self) -> tuple[int, ...]:
        """The block rows of backbone and neck, where attention is usually placed: 2, 4, 6, 8, 9, ... for yolov8n.

        A detector without blocks (yolov3-tiny) has its single convolutions that keep their input's stride.
        """
        blocks = tuple(i for i in self.sites if self._is_block(self.rows[i]))
        return blocks or tuple(i for i in self.sites if self.rows[i].convolutions and self._keeps_stride(self.rows[i]))

    def _is_block(self, row: Row) -> bool:
        """Whether a row is more than one layer: a block that is no stem and no downsampling."""
        return row.convolutions >= (SHALLOWEST_BLOCK if self._keeps_stride(row) else SHALLOWEST_STAGE)

    def _keeps_stride(self, row: Row) -> bool:
        return row.stride == (self.rows[row.sources[0]].stride if row.sources[0] >= 0 else 1)

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

    def channels(self, site: int, semantics: str = "inline") -> int:
        """Look up the width of the map that attention reads.

        Args:
            site: The row.
            semantics: How attention is placed there.

        Returns:
            The channels of the row's output; of its bottlenecks for `inner`.
        """
        return self.rows[site].inner if semantics == "inner" else self.rows[site].channels

    def why_not(self, site: int, semantics: str) -> str | None:
        """Explain why a space cannot place attention at a site in this way.

        Args:
            site: A row that attention may follow.
            semantics: How attention is to be placed there.

        Returns:
            One sentence, or None if it can be.
        """
        row, head = self.rows[site], self.rows[-1]
        if semantics == "inner" and not row.inner:
            taken = row.module == INNER_ROW
            has = "attention inside it already" if taken else "no bottlenecks that attention inside it could follow"
            return f"row {site} is {row.module}, which has {has}"
        if semantics == "branch" and site not in head.sources:
            return f"with semantics branch only {head.module} reads the attended map, and it does not read row {site}"
        return None

    def check_inner(self, site: int) -> None:
        """Check that attention can be inside a block.

        Args:
            site: The block's row.

        Raises:
            SpaceError: It cannot; the message lists the blocks where it can.
        """
        if reason := self.why_not(site, "inner"):
            offered = [row.index for row in self.rows if row.inner]
            blocks = f"it has them in rows {', '.join(map(str, offered))}" if offered else "none of its rows has any"
            raise SpaceError(f"{self.name}: {reason}; {blocks}")

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
        if not row.is_map:
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


def _check_head(name: str, mapping: Mapping[str, Any]) -> None:
    """Refuse a YAML that cannot be searched, with its reason and the stock detector that can be."""
    reason, plain = why_not_searched(mapping), plain_name(name)
    if reason:
        raise ModelError(f"{name} {reason}{f'; {plain} can be searched' if plain in searched_names() else ''}")


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
