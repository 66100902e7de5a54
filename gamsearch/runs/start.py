"""From what a caller gives to a run that can begin: defaults, the run's name, the demonstration, worker slots."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gamsearch.errors import OptionError, nearest
from gamsearch.runs import demonstration
from gamsearch.runs.failed_start import NewFiles
from gamsearch.runs.manifest import Manifest, write_yaml
from gamsearch.runs.processes import Slot, slots
from gamsearch.runs.repeat import GIVEN, folder_of, repeated
from gamsearch.runs.run import recorded_settings
from gamsearch.runs.run_context import RunContext
from gamsearch.runs.settings import SMALL_BATCH, SMALL_DATA, Settings, default_epochs, flag, resolve
from gamsearch.runs.space_content import recorded_content, space_content
from gamsearch.space.loader import model_of
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.artifacts import check_place
from gamsearch.study.storages import configure_storage

CONTEXT_OPTIONS = ("trust_checkpoint", "storage", "artifacts", "workers", "track", "callbacks")
"""Options that are not settings: they are recorded nowhere, or without their secrets."""
MOST_WORKERS = 256
COMMON_STEMS = ("data", "dataset")
"""A data YAML of this name gives a run the name of its folder."""
LONGEST_NAME = 100


@dataclass(frozen=True)
class Start:
    """A run that is about to begin or to resume.

    Attributes:
        settings: All its settings.
        context: Where its workers run and its study is kept.
        resumed: Whether the run exists already.
        notes: Lines to print first.
        origin: The manifest that it repeats, if it does.
    """

    settings: Settings
    context: RunContext
    resumed: bool
    notes: tuple[str, ...] = ()
    origin: Manifest | None = None


def start(given: Mapping[str, Any]) -> Start:
    """Resolve the settings of a new or resumed run.

    Args:
        given: Settings and context options by name; None where one was not given. `space` may be a `SearchSpace`.

    Returns:
        The run, ready to be carried out.

    Raises:
        OptionError: An option is unknown or has a value that it cannot have.
        RunError: The run exists with other settings.
    """
    _refuse_unknown(given)
    known = {f.name for f in fields(Settings)} | set(CONTEXT_OPTIONS)
    given = {**dict.fromkeys(known), **given}
    if given["table"] and not given["evaluator"]:
        given["evaluator"] = "replay"
    given |= {"data": _absolute(given["data"]), "imports": _files(given["imports"])}
    wanted = demonstration.is_wanted(given)
    model = given["model"] or _model_of(given)
    name = given["name"] or (demonstration.FIRST if wanted else _name_from({**given, "model": model}))
    folder = Path(given["out"] or "results") / name
    new_files = NewFiles(folder)
    with new_files.removed_on_failure():
        context = _context(given, folder, new_files)
        given |= {"device": context.slots[0].device or None, "space": _space_name(given["space"], folder)}
        recorded = recorded_settings(folder)
        if wanted and recorded is None:
            given, defaults = demonstration.options(given, folder)
        else:
            defaults = {**_defaults(given), **({"model": model} if model else {})}
        settings = resolve({**given, "name": name, "out": str(folder.parent)}, recorded, defaults)
    return Start(settings, context, recorded is not None)


def repetition(manifest: Path, given: Mapping[str, Any]) -> Start:
    """Resolve the settings of a run that repeats another one.

    Args:
        manifest: The original's `manifest.yaml`, or its folder.
        given: Options by name; None where one was not given. Only `repeat.GIVEN` and context options may be.

    Returns:
        The run, ready to be carried out in a folder of its own.

    Raises:
        OptionError: Another option was given.
        RunError: The manifest cannot be used, or the folder holds another run.
    """
    others = [name for name, value in given.items() if value is not None and name not in (*GIVEN, *CONTEXT_OPTIONS)]
    if others:
        raise OptionError(
            f"--from repeats a run with its own settings, so {flag(others[0])} cannot be combined with it; "
            f"only {', '.join(f'--{name}' for name in GIVEN)} can"
        )
    given = {**dict.fromkeys((*GIVEN, *CONTEXT_OPTIONS)), **given}
    origin = Manifest.read(manifest)
    given["data"] = _absolute(given["data"])
    folder = folder_of(origin, given)
    new_files = NewFiles(folder)
    with new_files.removed_on_failure():
        context = _context(given, folder, new_files)
        device = context.slots[0].device or None
        settings, notes = repeated(origin, {**given, "device": device}, recorded_settings)
    return Start(settings, context, recorded_settings(settings.folder) is not None, tuple(notes), origin)


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    known = [*(f.name for f in fields(Settings)), *CONTEXT_OPTIONS]
    for name in given:
        if name not in known:
            raise OptionError(f"there is no option '{name}'{nearest(name, known)}; there are {', '.join(known)}")


def _context(given: Mapping[str, Any], folder: Path, new_files: NewFiles) -> RunContext:
    """Where the study is kept and the workers run; the environment of this process becomes that of the first slot."""
    check_place(given["artifacts"] or "")
    found = _slots(given)
    os.environ.update(found[0].environment)
    url = configure_storage(folder, given["storage"] or "", folder.name)
    return RunContext(
        trust=bool(given["trust_checkpoint"]),
        slots=tuple(found),
        storage=url,
        artifacts=given["artifacts"] or "",
        new_files=new_files,
        track=_names(given["track"]),
        callbacks=tuple(given["callbacks"] or ()),
    )


def _absolute(data: Any) -> str | None:
    """Return the data YAML as an absolute path, so that the run can be resumed from anywhere; a stock name as it is."""
    return os.path.abspath(data) if data and Path(data).exists() else data


def _names(given: Any) -> tuple[str, ...]:
    """Names that may be given as one text."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _model_of(given: Mapping[str, Any]) -> str:
    """The model that the space is written for, where a space is given; empty in a replay, whose table says it."""
    space = given["space"]
    if space is None or given["evaluator"] == "replay":
        return ""
    return f"{space.detector.name}.yaml" if isinstance(space, SearchSpace) else model_of(str(space))


def _files(given: Any) -> tuple[str, ...] | None:
    """The files to import as texts; one may be given alone in Python."""
    if given is None:
        return None
    return tuple(map(str, [given] if isinstance(given, str | Path) else given))


def _slots(given: Mapping[str, Any]) -> list[Slot]:
    workers = given["workers"]
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise OptionError(f"--workers must be between 1 and {MOST_WORKERS}, not {workers}")
    device = given["device"]
    text = "" if device is None else str(device)
    return slots(text, workers or 1, os.environ, os.cpu_count() or 1)


def _space_name(space: Any, folder: Path) -> str | None:
    """A space that was built in Python is written into the run's folder, so that the run can be resumed."""
    if not isinstance(space, SearchSpace):
        return None if space is None else str(space)
    into = folder / "space"
    beside = f"detectors/{space.detector.name}.yaml"
    write_yaml(into / beside, space.detector.yaml)
    write_yaml(into / f"{space.name}.yaml", {**recorded_content(space_content(space)), "detector": beside})
    return str(into / f"{space.name}.yaml")


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that depend on other options: those of a table, batch and epochs for the size of the data."""
    if given["evaluator"] == "replay":
        return _table_defaults(given["table"])
    defaults: dict[str, Any] = {}
    if given["data"]:
        from gamsearch.training.dataset import training_images

        images = training_images(given["data"])
        if images < SMALL_DATA:
            defaults["batch"] = SMALL_BATCH
        share = (given["train"] or {}).get("fraction", 1.0)
        seen = int(images * share) if isinstance(share, float) else images  # another value is refused later
        defaults["epochs"] = default_epochs(seen, given["batch"] or defaults.get("batch", Settings.batch))
    return {**defaults, "epochs": 1} if given["evaluator"] == "supernet" else defaults


def _table_defaults(name: str | None) -> dict[str, Any]:
    """Return the settings that a table was recorded with, as far as it says."""
    from gamsearch.training.replay import DEFAULT_TABLE, ReplayTable, table_file

    name = name or DEFAULT_TABLE
    table = ReplayTable.read(table_file(name))
    seeds = {"noise_seeds": min(len(table.seeds), Settings.noise_seeds)}
    return {"table": name, **seeds, **table.settings}


def _name_from(given: Mapping[str, Any]) -> str:
    """Return a run's default name: data set or its folder, model and space, e.g. `bccd-yolov8n-gam`."""
    if given["evaluator"] == "replay":
        return f"replay-{Path(given['table'] or 'default').stem}"
    space = given["space"].name if isinstance(given["space"], SearchSpace) else given["space"]
    data = Path(given["data"] or "run")
    name = data.absolute().parent.name if data.stem.lower() in COMMON_STEMS else data.stem
    words = (name, Path(given["model"] or "yolov8n").stem, Path(space or "gam").stem)
    return re.sub("[^A-Za-z0-9._]+", "-", "-".join(words)).strip("-._")[:LONGEST_NAME] or "run"


def call_of(function: str, given: Mapping[str, Any]) -> str:
    """Write the Python call that made a run, for its record.

    Args:
        function: A function of `gamsearch`.
        given: Its arguments.

    Returns:
        E.g. `gamsearch.search(data='my.yaml')`; arguments that are None are left out.
    """
    words = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return f"gamsearch.{function}({words})"
