"""Export a trial: model YAML, weights, formats to deploy, and a module that works without gamsearch.

Every file is compared with the trial's own model, which is rebuilt from the record and the saved weights.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml as pyyaml

from gamsearch.architecture import Architecture
from gamsearch.parser.build import Model, build, classes_of, with_key_points
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs import export_folder
from gamsearch.runs.export_choice import Choice, Weights, advice, chosen, weights_of
from gamsearch.runs.export_formats import FP32, INT8, USUAL, Format, formats_named
from gamsearch.runs.export_header import header, not_verified, training_line
from gamsearch.runs.exported_files import Exported, compare, modules_file, write_weights_files
from gamsearch.runs.searched_data import searched_data
from gamsearch.runs.settings import NAME
from gamsearch.runs.space_content import import_recorded_plugins
from gamsearch.runs.trial_model import trial_model
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.space.stock import scale_in
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.training.dataset import DataSet


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        trial: Number of the trial.
        label: Its architecture in words.
        notes: Why this trial, where its weights are from, and what is left to do.
        files: The files.
    """

    trial: int
    label: str
    notes: tuple[str, ...]
    files: tuple[Exported, ...]

    @property
    def lines(self) -> list[str]:
        """All of it, a line each."""
        return [line for line in (*self.notes, *(file.line for file in self.files)) if line]

    @property
    def values(self) -> dict[str, Any]:
        """The same as plain values, for `--json`."""
        files = [
            {"path": one.path, "difference": one.difference, "how": one.how, "metrics": dict(one.metrics)}
            for one in self.files
        ]
        return {
            "trial": self.trial,
            "label": self.label,
            "notes": [note for note in self.notes if note],
            "files": files,
        }


def export(
    folder: Path,
    pick: str = "",
    trial: int | None = None,
    out: Path | None = None,
    formats: str | Sequence[str] = USUAL,
    precision: str | Sequence[str] = FP32,
    validate: bool = False,
    data: str = "",
) -> Export:
    """Export one trial of a run, with its verified weights where it was verified.

    Args:
        folder: The run's folder.
        pick: `knee`, or the name of an objective, for the best trial of the Pareto front in it; empty for the trial
            that the run recommends, which is the baseline unless a candidate is shown to be better.
        trial: Number of the trial to export instead.
        out: Folder to write to; the run's subfolder `export` if left out.
        formats: Names of the formats besides the model YAML and the checkpoint.
        precision: `fp32`, `fp16`, `int8`, or several of them.
        validate: Whether to validate every file on the run's validation images.
        data: Where the run's data set is now, for int8 and a validation; empty for where it was.

    Returns:
        What was exported, and what is left to do.

    Raises:
        OptionError: There is no such pick, trial or format, or this machine lacks what the format needs.
        RunError: The weights are missing, or the files cannot be written.
        ModelError: An exported file differs from the trial's model, or a format cannot hold it.
    """
    quiet_ultralytics()
    forms = formats_named(formats, precision)
    study = store.snapshot(folder)
    import_recorded_plugins(folder, study.user_attrs)
    record = read_record(study, folder.name, str(folder))
    choice = chosen(record, pick, trial)
    weights = weights_of(folder, record, choice.row)
    model, architecture = trial_model(folder, record, choice.row, weights.path)
    needed = validate or any(form.precision == INT8 for form in forms)
    images = _data(folder, record, data) if needed else None
    target = export_folder.create(folder / "export" if out is None else out)
    if out is not None:  # in a run's own folder all is from exports
        export_folder.refuse_foreign(target, _names(record, choice, forms))
    files = _write(target, record, choice, weights, (model, architecture), (forms, images, validate))
    trained = weights.verified or choice.is_baseline
    lines = [f"weights: {weights.origin}"] if trained else _untrained(record, choice, target)
    number, label = int(choice.row["number"]), str(choice.row["label"])
    head = (f"trial {number}: {label} ({choice.reason})", advice(record, choice))
    return Export(number, label, (*head, *lines), tuple(files))


def _untrained(record: Record, choice: Choice, target: Path) -> list[str]:
    return [not_verified(choice), training_line(record, target / f"{choice.stem}.pt")]


def _data(folder: Path, record: Record, place: str) -> DataSet:
    where = place or str(record.settings.get("data") or "")
    return searched_data(folder, where, record.settings, record.task, "export")


def _names(record: Record, choice: Choice, forms: Sequence[Format]) -> list[str]:
    """The names of all files and folders that an export writes."""
    yaml = yaml_name(choice.stem, record.detector_name, record.detector_yaml)
    suffixes = (".pt", *(form.suffix for form in forms))
    return [yaml, *(f"{choice.stem}{suffix}" for suffix in suffixes), modules_file(Path(choice.stem)).name]


def _write(
    target: Path,
    record: Record,
    choice: Choice,
    weights: Weights,
    trained: tuple[Model, Architecture],
    wanted: tuple[Sequence[Format], DataSet | None, bool],
) -> list[Exported]:
    """Write and check all files elsewhere, then move them to where they belong; return them."""
    yaml = yaml_name(choice.stem, record.detector_name, record.detector_yaml)
    comments = header(record, choice, weights, (target / yaml, target / f"{choice.stem}.pt"))
    model, architecture = trained
    with tempfile.TemporaryDirectory(prefix="gamsearch-") as made:
        place, imgsz = Path(made).resolve(), int(record.settings.get("imgsz", 640))
        files = [
            write_yaml(place / yaml, record, architecture, model, comments),
            *write_weights_files(place / choice.stem, model, architecture, imgsz, *wanted),
        ]
        facts = {"run": record.name, "trial": int(choice.row["number"]), "label": choice.row["label"]}
        export_folder.put(place, target, [file.path.name for file in files], facts)
    return [replace(file, path=target / file.path.name) for file in files]


def yaml_name(stem: str, detector: str, form: Mapping[str, Any]) -> str:
    """Name a model YAML so that Ultralytics, which reads the scale from the name, finds the right one.

    Args:
        stem: The name without the scale.
        detector: Name of the stock detector.
        form: Its YAML.

    Returns:
        E.g. `best-yolov8n.yaml`; without the detector where no name tells the scale, as the file holds only that one.
        The command `yolo` knows an RT-DETR by its name.
    """
    names = (detector, Path(str(form.get("yaml_file") or "")).stem)
    scale = form.get("scale") or ""
    telling = [n for n in names if NAME.fullmatch(n) and (scale_in(n) == scale or n.startswith("rtdetr"))]
    return f"{stem}-{telling[0]}.yaml" if telling and form.get("scales") else f"{stem}.yaml"


def write_yaml(
    path: Path, record: Record, architecture: Architecture, model: Model, comments: Sequence[str]
) -> Exported:
    """Write the model YAML for one scale, with its origin and its measurements as comments.

    Args:
        path: The file to write.
        record: The run's record.
        architecture: The trial's architecture.
        model: The trial's model, with which the file is compared.
        comments: The lines at its top, without the comment sign.

    Returns:
        The written file.

    Raises:
        ModelError: The model built from the file differs from the trial's.
    """
    detector = Detector.from_yaml(record.detector_name, record.detector_yaml)
    form = graft(detector, architecture).yaml
    form = {**with_key_points(form, model.yaml.get("kpt_shape")), "nc": classes_of(model)}
    if form.get("scales"):
        form["scales"] = {detector.scale: form["scales"][detector.scale]}
    text = "".join(f"# {line}\n" for line in comments) + _dump(form)
    built: Model = build(pyyaml.safe_load(text), nc=form["nc"])  # checked before there is a file to open
    path.write_text(text, encoding="utf-8")
    if _shapes(built) != _shapes(model):
        return Exported(path, None, "builds; the class branch of the weights is wider than this YAML gives")
    built.load_state_dict(model.state_dict())
    return Exported(path, compare(model, built.eval(), (64,), path), "rebuilt with the same weights")


def _dump(form: dict[str, Any]) -> str:
    """Return a model YAML with one row per line, as Ultralytics writes them."""
    rest = {k: v for k, v in form.items() if k not in ("backbone", "head")}
    text = pyyaml.safe_dump(rest, sort_keys=False)
    for part in ("backbone", "head"):
        text += f"\n{part}:\n"
        for row in form[part]:
            text += "  - " + pyyaml.safe_dump(row, default_flow_style=True, width=10_000).strip() + "\n"
    return text


def _shapes(model: Model) -> dict[str, torch.Size]:
    return {n: t.shape for n, t in model.state_dict().items()}
