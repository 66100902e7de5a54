"""`run --from manifest.yaml`: the same run again, in a new folder, and how it differs from the original.

On the same machine and CPU, trial 0 and the first trials give the same metrics bit for bit. Latency is measured again
and never exactly the same, so a sampler may propose other architectures later; a replay is identical to the end.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gamsearch.errors import GamsearchError, RunError, one_line
from gamsearch.runs.manifest import FILE, Manifest, write_yaml
from gamsearch.runs.settings import NAME, Settings, resolve
from gamsearch.runs.space_content import recorded_content
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store

GIVEN = ("name", "out", "data", "device")
"""Options that may be combined with `--from`; every other setting is the original's."""

REFUSED = {
    "data": "the data set is not that",
    "table": "the table is not that",
    "model weights": "the weights of --model are not those",
    "space": "the search space is not that",
}


def repeated(
    origin: Manifest, given: Mapping[str, Any], recorded_of: Callable[[Path], dict[str, Any] | None]
) -> tuple[Settings, list[str]]:
    """Return the settings of a repetition and report which lost files were restored.

    Args:
        origin: The manifest of the original run.
        given: The options besides `--from`; None for one that was not given.
        recorded_of: Returns the settings recorded in a folder, or None if the folder holds no run.

    Returns:
        The settings, and one line for each input that was restored from the manifest.

    Raises:
        RunError: The folder is the original's or holds another run, or a setting cannot be used.
    """
    given = {name: given.get(name) for name in GIVEN}
    folder = folder_of(origin, given)
    name = folder.name
    if not NAME.fullmatch(name):
        raise RunError(f"--name must be letters, digits, dots, dashes and underscores (100 at most), not '{name}'")
    _refuse_taken(origin, folder)
    table = Path(origin.settings["table"])
    if table.exists() and not (table.is_file() or table.is_dir()):
        raise RunError(f"{origin.path}, key 'settings.table': must name a file or a shipped table, not {table}")
    recorded = recorded_of(folder)
    defaults = dict(origin.settings)
    restored_inputs: list[str] = []
    if recorded is None:
        restored, restored_inputs = _restored(origin, folder)
        defaults |= {**restored, "train": _checked(defaults["train"])}
    data = given["data"] or _generated(origin, folder)
    return resolve(
        {**given, "data": data, "name": name, "out": str(folder.parent)}, recorded, defaults
    ), restored_inputs


def folder_of(origin: Manifest, given: Mapping[str, Any]) -> Path:
    """The folder of a repetition.

    Args:
        origin: The manifest of the original run.
        given: The options besides `--from`.

    Returns:
        The folder, which need not exist.
    """
    return Path(given.get("out") or "results") / (given.get("name") or f"{origin.name}-again")


def differences(origin: Manifest, now: Mapping[str, Any]) -> list[str]:
    """Compare a repetition with its original.

    Args:
        origin: The manifest of the original run.
        now: The manifest content of the repetition.

    Returns:
        One line for each difference in versions, machine, commit and inputs.
    """
    lines = []
    for name, before, after in _pairs(origin.content, now):
        if before != after:
            lines.append(f"{name}: {one_line(before or 'not recorded')} then, {one_line(after or 'not known')} now")
    if str(now.get("commit", "")).endswith("-dirty"):
        lines.append("commit: the checkout has uncommitted changes, which may differ although the commit is the same")
    return lines


def refuse_other_inputs(origin: Manifest, now: Mapping[str, str], changes: Callable[[], str] = str) -> None:
    """Refuse to repeat a run with other inputs than it had.

    The demonstration data is generated again with the same content. If its files differ, for example because of another
    version of Pillow, that is reported as a difference and not refused.

    Args:
        origin: The manifest of the original run.
        now: Fingerprints of the repetition's inputs.
        changes: Names the files of the data that differ; gives an empty string where that is not known.

    Raises:
        RunError: Data, table, weights or space have another fingerprint than the original's.
    """
    generated = bool(origin.content.get("data", {}).get("drawn"))
    for what, value in origin.fingerprints.items():
        if what in REFUSED and now.get(what, value) != value and not (what == "data" and generated):
            remedy = "give --data the original data set" if what == "data" else "restore the original"
            named = f"; {text}" if what == "data" and (text := changes()) else ""
            raise RunError(
                f"{REFUSED[what]} of {origin.path} (fingerprint {one_line(value)} then, {now[what]} "
                f"now{named}), so this would not repeat the run; {remedy}, or start an independent run without --from"
            )


def _pairs(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, original value and present value of everything compared; fingerprints only where both are known."""
    for section in ("versions", "machine"):
        before, after = then.get(section, {}), now.get(section, {})
        for name in dict.fromkeys([*before, *after]):
            yield name, before.get(name), after.get(name)
    yield "commit", then.get("commit"), now.get("commit")
    for name, value in then["fingerprints"].items():
        if name in now["fingerprints"] and name != "device":
            yield f"{name} (fingerprint)", value, now["fingerprints"][name]


def _refuse_taken(origin: Manifest, folder: Path) -> None:
    """Refuse a folder unless it is new or holds an earlier part of this repetition."""
    if folder.resolve() == origin.path.resolve().parent or folder.exists() and folder.samefile(origin.path.parent):
        raise RunError(f"{folder} is the original's folder, which is never written to again; give another --name")
    if (folder / FILE).exists():
        known = Manifest.read(folder / FILE).content.get("repeats")
        if known != origin.identity:
            raise RunError(f"{folder} holds a run that does not repeat {origin.path}; give another --name")
    elif (folder / store.JOURNAL).exists():
        raise RunError(f"{folder} holds a run that does not repeat {origin.path}; give another --name")


def _generated(origin: Manifest, folder: Path) -> str | None:
    """Generate the demonstration data again in the new folder; return None if the original had other data."""
    size = origin.content.get("data", {}).get("drawn")
    if not size:
        return None
    from gamsearch.runs import demo

    bounds = {"form": (demo.FORM, demo.FORM), "train": (1, 10**5), "val": (1, 10**5), "imgsz": (32, 4096)}
    bounds |= {"seed": (0, 2**32), "half": (0, len(demo.HALVES) - 1)}
    if not isinstance(size, dict) or set(size) != set(bounds):
        raise RunError(f"{origin.path}, key 'data.drawn': must have {', '.join(bounds)}; give --data instead")
    for name, (low, high) in bounds.items():
        if type(size[name]) is not int or not low <= size[name] <= high:
            raise RunError(f"{origin.path}, key 'data.drawn.{name}': must be a whole number from {low} to {high}")
    half = list(demo.HALVES)[size["half"]]
    return os.path.abspath(demo.make(folder / "data", size["train"], size["val"], size["imgsz"], size["seed"], half))


def _checked(train: dict[str, Any]) -> dict[str, Any]:
    """Return training arguments after the checks of the command line."""
    if not train:
        return {}
    from gamsearch.training.recipe import parse_overrides

    return parse_overrides([f"{key}={value}" for key, value in train.items()])


def _restored(origin: Manifest, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Write a model YAML and a space that are lost or changed from the manifest; return settings that name them."""
    settings, into = origin.settings, folder / "space"
    detector, space = origin.content["detector"], origin.content["space"]
    beside = f"detectors/{detector['name']}.yaml"
    restored: dict[str, str] = {}
    lines = []
    if settings["evaluator"] == "training" and not settings["model"].endswith(".pt") and not _same_detector(origin):
        restored["model"] = str(into / beside)
        lines.append(f"the model {settings['model']} is lost or has changed; taken from the manifest instead")
    if not _same_space(origin):
        restored["space"] = str(into / f"{space['name']}.yaml")
        lines.append(f"the search space {settings['space']} is lost or has changed; taken from the manifest instead")
    if restored:
        write_yaml(into / beside, detector["yaml"])
        write_yaml(into / f"{space['name']}.yaml", {**recorded_content(space["content"]), "detector": beside})
    return restored, lines


def _same_detector(origin: Manifest) -> bool:
    try:
        found = Detector.load(origin.settings["model"])
    except GamsearchError:
        return False
    recorded = origin.content["detector"]
    return found.name == recorded["name"] and json.loads(json.dumps(found.yaml)) == recorded["yaml"]


def _same_space(origin: Manifest) -> bool:
    """Return whether the space of that name is still the recorded one for the recorded detector."""
    settings, recorded = origin.settings, origin.content["detector"]
    try:
        replayed = settings["evaluator"] == "replay"
        detector = None if replayed else Detector.from_yaml(recorded["name"], recorded["yaml"])
        space = SearchSpace.load(settings["space"], detector, not_below=origin.path.parent)
        space = space.with_objectives(settings["objectives"]) if settings["objectives"] else space
    except GamsearchError:
        return False
    return space.fingerprint == origin.fingerprints.get("space")
