"""The model YAMLs of the installed Ultralytics and the user's own: found by name and scale, read as plain data.

Ultralytics itself is not imported.
"""

import importlib.util
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from gamsearch.errors import ModelError, nearest
from gamsearch.files import UnreadableError, read_yaml
from gamsearch.space.heads import why_not_searched

SCALE_IN_NAME = re.compile(r"yolo(?:e-)?v?\d+([nslmx])")
LETTERS = re.compile(r"(\d)([a-z]+)(?=[^a-z]|$)")
"""A scale in the name of a detector: `t` in `yolov8t-custom`, where Ultralytics' own pattern knows five letters."""


def scale_in(name: str) -> str:
    """Read the scale letter in a name as Ultralytics infers it.

    Args:
        name: Name of a detector, such as `yolov8s-p2`.

    Returns:
        The letter (`s`), or an empty string.
    """
    found = SCALE_IN_NAME.search(name)
    return found.group(1) if found else ""


def with_scale(stem: str, scale: str) -> str:
    """The name of a detector at a scale: `yolov8n-p2` for `yolov8-p2` and `n`."""
    return re.sub(r"(\d+)", rf"\g<1>{scale}", stem, count=1)


@lru_cache(maxsize=1)
def stock_files() -> dict[str, Path]:
    """The model YAMLs of the installed Ultralytics by stem, found without importing it."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("Ultralytics must be installed to read its stock detectors; run pip install ultralytics")
    folder = Path(next(iter(spec.submodule_search_locations))) / "cfg" / "models"
    return {path.stem: path for path in sorted(folder.rglob("*.yaml"))}


@lru_cache(maxsize=1)
def stock_models() -> dict[str, tuple[tuple[str, ...], str | None]]:
    """List the stock model YAMLs.

    Returns:
        By stem, the scales of the YAML (none in some) and why it cannot be searched (None if it can).
    """
    found = {stem: read_mapping(path) for stem, path in stock_files().items()}
    return {stem: (tuple(yaml.get("scales") or ()), why_not_searched(yaml)) for stem, yaml in found.items()}


def stock_detectors() -> list[str]:
    """Names of the stock detectors that can be searched, each at its first scale."""
    return [_names(stem)[0] for stem, (_, reason) in stock_models().items() if reason is None]


def searched_names() -> list[str]:
    """Names of the stock detectors that can be searched, each at every scale."""
    return [name for stem, (_, reason) in stock_models().items() if reason is None for name in _names(stem)]


def _names(stem: str) -> list[str]:
    """The names of a stock model at each of its scales; a single scale is part of the stem."""
    scales = stock_models()[stem][0]
    return [with_scale(stem, scale) for scale in scales] if len(scales) > 1 else [stem]


def locate(name: str) -> tuple[Path, str, str]:
    """Find a model YAML.

    Args:
        name: A stock name or a path, with or without a scale letter.

    Returns:
        The file, the stem as given, and the scale that it names (empty if it names none).

    Raises:
        ModelError: There is no such file.
    """
    path = Path(name)
    is_yaml = path.suffix in (".yaml", ".yml")
    stem, stock = path.stem if is_yaml else path.name, stock_files()
    for plain, letters in _splits(stem):
        places = [path.with_stem(plain)] if is_yaml else [] if letters else [path]
        places += [stock[plain]] if plain in stock and path.parent == Path(".") else []
        for file in filter(Path.is_file, places):
            if not letters or letters in (read_mapping(file).get("scales") or {}):
                return file, file.stem if file == path else stem, letters or scale_in(stem)
    hint = nearest(stem, searched_names())
    raise ModelError(
        f"there is no detector '{name}'{hint}; give a stock name (see `python -m gamsearch list detectors`) "
        "or the path of a model YAML"
    )


def _splits(stem: str) -> Iterator[tuple[str, str]]:
    """The stem as it is, and without the scale that it may name."""
    yield stem, ""
    found = LETTERS.search(stem)
    if found:
        yield stem[: found.start(2)] + stem[found.end(2) :], found.group(2)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a model YAML file.

    Args:
        path: The file.

    Returns:
        Its mapping, not checked any further.

    Raises:
        ModelError: It cannot be read, or holds something else.
    """
    try:
        mapping = read_yaml(path)
    except (OSError, UnreadableError) as error:
        raise ModelError(f"{path} cannot be read as YAML ({error})") from error
    if not isinstance(mapping, dict):
        raise ModelError(f"{path} must hold a mapping with 'backbone:' and 'head:', not {type(mapping).__name__}")
    return mapping
