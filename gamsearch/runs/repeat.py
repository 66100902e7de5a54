"""`run --from manifest.yaml`: the same run again, in a new folder, and what differs from the original.

On the same machine and CPU trial 0 and the first trials give the same mAP bit for bit. Latency is measured anew and is
never quite the same, so a sampler may propose other architectures later on; a replay is the same to the end.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gamsearch.errors import GamsearchError, RunError, one_line
from gamsearch.runs.manifest import FILE, Manifest, write_yaml
from gamsearch.runs.settings import NAME, Settings, resolve
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace

GIVEN = ("name", "out", "data", "device")
"""Options that go with `--from`; every other setting is the original's."""

REFUSED = {
    "data": "the data set is not that",
    "table": "the table is not that",
    "model weights": "the weights of --model are not those",
    "space": "the search space is not that",
}


def repeated(
    origin: Manifest, given: Mapping[str, Any], recorded_of: Callable[[Path], dict[str, Any] | None]
) -> tuple[Settings, list[str]]:
    """The settings of a repetition and what was put in the place of lost files.

    `given` are the options besides `--from` (None: not given), `recorded_of(folder)` the settings of a run that is
    there already or None. `RunError` if the folder is the original's or holds another run.
    """
    given = {name: given.get(name) for name in GIVEN}
    name = given["name"] or f"{origin.name}-again"
    if not NAME.fullmatch(name):
        raise RunError(f"--name must be letters, digits, dots, dashes and underscores (100 at most), not '{name}'")
    folder = Path(given["out"] or "results") / name
    _refuse_taken(origin, folder)
    table = Path(origin.settings["table"])
    if table.exists() and not (table.is_file() or table.is_dir()):
        raise RunError(f"{origin.path}, key 'settings.table': must name a file or a shipped table, not {table}")
    recorded = recorded_of(folder)
    defaults = dict(origin.settings)
    said: list[str] = []
    if recorded is None:
        restored, said = _restored(origin, folder)
        defaults |= {**restored, "train": _checked(defaults["train"])}
    data = given["data"] or _drawn(origin, folder)
    return resolve({**given, "data": data, "name": name, "out": str(folder.parent)}, recorded, defaults), said


def differences(origin: Manifest, now: Mapping[str, Any]) -> list[str]:
    """Say line by line what differs from the original in versions, machine, commit and inputs; `now` as `facts`."""
    lines = []
    for name, before, after in _pairs(origin.content, now):
        if before != after:
            lines.append(f"{name}: {one_line(before or 'not recorded')} then, {one_line(after or 'not known')} now")
    if str(now.get("commit", "")).endswith("-dirty"):
        lines.append("commit: the checkout has uncommitted changes, which may differ although the commit is the same")
    return lines


def refuse_other_inputs(origin: Manifest, now: Mapping[str, str]) -> None:
    """Raise `RunError` if data, table, weights or space have other fingerprints `now` than the original's.

    The demonstration data is drawn anew, the same pictures; where its files differ (another version of Pillow) that is
    a difference like any other and no reason to refuse.
    """
    drawn = bool(origin.content.get("data", {}).get("drawn"))
    for what, value in origin.fingerprints.items():
        if what in REFUSED and now.get(what, value) != value and not (what == "data" and drawn):
            mend = "give --data the one it was run with" if what == "data" else "restore the one it was run with"
            raise RunError(
                f"{REFUSED[what]} of {origin.path} (fingerprint {one_line(value)} then, {now[what]} "
                f"now), so the run would not be repeated; {mend}, or start a run of its own without --from"
            )


def _pairs(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, value then and value now of all that is compared; fingerprints only where both are known."""
    for section in ("versions", "machine"):
        before, after = then.get(section, {}), now.get(section, {})
        for name in dict.fromkeys([*before, *after]):
            yield name, before.get(name), after.get(name)
    yield "commit", then.get("commit"), now.get("commit")
    for name, value in then["fingerprints"].items():
        if name in now["fingerprints"] and name != "device":
            yield f"{name} (fingerprint)", value, now["fingerprints"][name]


def _refuse_taken(origin: Manifest, folder: Path) -> None:
    """The folder must be new, or hold an earlier part of this repetition."""
    if folder.resolve() == origin.path.resolve().parent or folder.exists() and folder.samefile(origin.path.parent):
        raise RunError(f"{folder} is the original's folder, where nothing is written again; give another --name")
    if (folder / FILE).exists():
        known = Manifest.read(folder / FILE).content.get("repeats")
        if known != origin.identity:
            raise RunError(f"{folder} holds another run than a repetition of {origin.path}; give another --name")
    elif (folder / "study.journal").exists():
        raise RunError(f"{folder} holds another run than a repetition of {origin.path}; give another --name")


def _drawn(origin: Manifest, folder: Path) -> str | None:
    """The demonstration data drawn again into the new folder, or None if the original had data of its own."""
    size = origin.content.get("data", {}).get("drawn")
    if not size:
        return None
    from gamsearch.runs import demo

    bounds = {"form": (demo.FORM, demo.FORM), "train": (1, 10**5), "val": (1, 10**5), "imgsz": (32, 4096)}
    bounds["seed"] = (0, 2**32)
    if not isinstance(size, dict) or set(size) != set(bounds):
        raise RunError(f"{origin.path}, key 'data.drawn': must have {', '.join(bounds)}; give --data instead")
    for name, (low, high) in bounds.items():
        if type(size[name]) is not int or not low <= size[name] <= high:
            raise RunError(f"{origin.path}, key 'data.drawn.{name}': must be a whole number from {low} to {high}")
    return str(demo.make(folder / "data", size["train"], size["val"], size["imgsz"], size["seed"]))


def _checked(train: dict[str, Any]) -> dict[str, Any]:
    """Training arguments under the rules of the command line."""
    if not train:
        return {}
    from gamsearch.training.recipe import parse_overrides

    return parse_overrides([f"{key}={value}" for key, value in train.items()])


def _restored(origin: Manifest, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Settings for a model YAML and a space that are gone or not what they were: files written from the manifest."""
    settings, into = origin.settings, folder / "space"
    detector, space = origin.content["detector"], origin.content["space"]
    beside = f"detectors/{detector['name']}.yaml"
    restored: dict[str, str] = {}
    lines = []
    if settings["evaluator"] == "training" and not settings["model"].endswith(".pt") and not _same_detector(origin):
        restored["model"] = str(into / beside)
        lines.append(f"the model {settings['model']} is not what it was; taken from the manifest instead")
    if not _same_space(origin):
        restored["space"] = str(into / f"{space['name']}.yaml")
        lines.append(f"the search space {settings['space']} is not what it was; taken from the manifest instead")
    if restored:
        write_yaml(into / beside, detector["yaml"])
        write_yaml(into / f"{space['name']}.yaml", {**space["content"], "detector": beside})
    return restored, lines


def _same_detector(origin: Manifest) -> bool:
    try:
        found = Detector.load(origin.settings["model"])
    except GamsearchError:
        return False
    recorded = origin.content["detector"]
    return found.name == recorded["name"] and json.loads(json.dumps(found.yaml)) == recorded["yaml"]


def _same_space(origin: Manifest) -> bool:
    """Whether the space of that name is still the recorded one, for the detector that it is resolved for."""
    settings, recorded = origin.settings, origin.content["detector"]
    try:
        replayed = settings["evaluator"] == "replay"
        detector = None if replayed else Detector.from_yaml(recorded["name"], recorded["yaml"])
        space = SearchSpace.load(settings["space"], detector, not_below=origin.path.parent)
        space = space.with_objectives(settings["objectives"]) if settings["objectives"] else space
    except GamsearchError:
        return False
    return space.fingerprint == origin.fingerprints.get("space")
