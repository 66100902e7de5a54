"""The data YAML of a YOLO data set: found and read as Ultralytics does, never downloaded. No torch."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

from gamsearch.errors import DataError
from gamsearch.files import UnreadableError, read_yaml

MOST_KEY_POINTS = 1000


def find_data_yaml(path: Path) -> Path:
    """Resolve `path` to a data YAML: a file, or the name of a stock data set that is already downloaded."""
    if path.is_dir():
        raise DataError(
            f"--data must name a YAML file, but {path} is a folder: name the YAML in it that has train, val and names, "
            "or for class folders a classifier as --model"
        )
    stock = None if path.exists() else _stock(path)
    if stock and _is_fetched(stock):
        return stock
    if stock:
        raise DataError(
            f"{path} is a data set of Ultralytics, and gamsearch downloads no data: download it once with "
            f"`python -c \"import ultralytics.data.utils as u; u.check_det_dataset('{stock.name}')\"` and run again"
        )
    if not path.exists():
        raise DataError(
            f"the data YAML {path} does not exist (looked in {path.absolute().parent}): give --data where it is"
        )
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise DataError(
            f"the data file must end in .yaml or .yml for Ultralytics to read it, but it is {path}: rename it"
        )
    return path.absolute()


def _stock(path: Path) -> Path | None:
    """Return the data YAML of that name in the Ultralytics package, which is not imported."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None or path.parent != Path("."):
        return None
    file = Path(spec.origin).parent / "cfg" / "datasets" / (path.name if path.suffix else f"{path.name}.yaml")
    return file if file.is_file() else None


def _is_fetched(stock: Path) -> bool:
    form = read_mapping(stock)
    root = root_of(stock, form)
    return all((root / entry).exists() for split in ("train", "val") for entry in entries_of(stock, form, split))


def read_mapping(file: Path) -> dict[str, Any]:
    """Read a data YAML as a mapping; the text `None` means null, as in Ultralytics."""
    try:
        form = read_yaml(file)
    except OSError as error:
        raise DataError(f"the data YAML {file} cannot be read: {error.strerror}") from error
    except UnreadableError as error:
        raise DataError(f"the data YAML {file} is not valid YAML: {error}") from error
    if not isinstance(form, dict):
        kind = "nothing" if form is None else f"a {type(form).__name__}"
        raise DataError(f"the data YAML {file} must be a mapping with train, val and names, but holds {kind}")
    return {key: None if value == "None" else value for key, value in form.items()}


def read_names(file: Path, form: dict[str, Any]) -> dict[int, str]:
    """Return the class names by number, 0 to nc - 1, from a list or a mapping."""
    names = form.get("names")
    if not names:
        raise DataError(f"{file} has no `names`: add the class names, e.g. `names: [cat, dog]`")
    if not isinstance(names, (list, dict)):
        raise DataError(f"`names` in {file} must be a list or a mapping from number to name, but is {names!r}")
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    try:
        numbered = {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"`names` in {file} must map class numbers to names, but its keys are {list(names)[:5]}"
        ) from None
    if sorted(numbered) != list(range(len(names))):
        raise DataError(
            f"`names` in {file} must number its {len(names)} classes 0 to {len(names) - 1}, but has {sorted(numbered)}"
        )
    _check_nc(file, form, len(names))
    _check_channels(file, form)
    return dict(sorted(numbered.items()))


def _check_nc(file: Path, form: dict[str, Any], count: int) -> None:
    if "nc" in form and str(form["nc"]) not in (str(count), f"{count}.0"):
        raise DataError(
            f"`nc: {form['nc']}` in {file} must equal the number of `names`, {count}: correct it or leave it out"
        )


def _check_channels(file: Path, form: dict[str, Any]) -> None:
    if (channels := form.get("channels", 3)) != 3:
        raise DataError(
            f"`channels: {channels}` in {file} is not supported: gamsearch trains on images of 3 channels, into which "
            "greyscale is converted; leave it out"
        )


def read_key_points(file: Path, form: dict[str, Any]) -> tuple[int, ...]:
    """Return `kpt_shape`: the number of key points, and 2 (x, y) or 3 (with visibility) values for each."""
    shape = form.get("kpt_shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(v) is int for v in shape)):
        raise DataError(
            f"`kpt_shape` of {file} must be [number of key points, 2 or 3], e.g. `kpt_shape: [17, 3]` for x, y and "
            f"visibility of 17, but is {shape}: add it, or give a detector as --model"
        )
    points, values = shape
    if not (1 <= points <= MOST_KEY_POINTS and values in (2, 3)):
        raise DataError(f"`kpt_shape` of {file} must be [1 to {MOST_KEY_POINTS}, 2 or 3], but is {shape}: correct it")
    flip, sigmas = form.get("flip_idx"), form.get("kpt_oks_sigmas")
    if flip and (not isinstance(flip, list) or sorted(map(str, flip)) != sorted(map(str, range(points)))):
        raise DataError(f"`flip_idx` of {file} must name each of the {points} key points once, but is {flip}")
    if sigmas and not (
        isinstance(sigmas, list)
        and len(sigmas) == points
        and all(isinstance(v, (int, float)) and 0 < v < float("inf") for v in sigmas)
    ):
        raise DataError(f"`kpt_oks_sigmas` of {file} must be {points} numbers above 0, but is {sigmas}")
    return points, values


def root_of(file: Path, form: dict[str, Any]) -> Path:
    """Return the folder that train and val start from.

    As in Ultralytics: the folder of the YAML where there is no `path`; a relative `path` is tried from the working
    directory, then from the `datasets_dir` of the Ultralytics settings.
    """
    given = form.get("path")
    if not given:
        return file.parent.resolve()
    if not isinstance(given, str) or "\0" in given:
        raise DataError(f"`path` in {file} must be a folder, but is {given!r}")
    path = Path(given)
    return Path(os.path.realpath(path if path.exists() or path.is_absolute() else datasets_dir() / path))


def datasets_dir() -> Path:
    settings = _config_dir() / "Ultralytics" / "settings.json"
    try:
        return Path(json.loads(settings.read_text(encoding="utf-8"))["datasets_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return Path("datasets").absolute()


def _config_dir() -> Path:
    """Return the folder of the Ultralytics settings, by its own rule."""
    home = {"win32": Path.home() / "AppData" / "Roaming", "darwin": Path.home() / "Library" / "Application Support"}
    fallback = home.get(sys.platform) or Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("YOLO_CONFIG_DIR") or fallback).expanduser()


def entries_of(file: Path, form: dict[str, Any], split: str) -> list[str]:
    """Return what a split lists: folders and text files."""
    entries = form.get(split) or (form.get("validation") if split == "val" else None)
    if not entries:
        raise DataError(f"{file} has no `{split}`: add the folder (or the .txt list) of its {split} images")
    listed = entries if isinstance(entries, list) else [entries]
    if not all(isinstance(entry, str) and "\0" not in entry for entry in listed):
        raise DataError(f"`{split}` in {file} must be a folder, a .txt file or a list of these, but is {entries!r}")
    return listed
