"""Accuracy and latency of what is deployed: files of the baseline and of finalists, validated and timed in turns.

`benchmark/benchmark.json` in the run's folder holds a row per trial, format and precision. A row that was measured
under the same conditions, with the same file, is kept.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.analysis.deployed import FILE, read_rows
from gamsearch.errors import OptionError, one_line
from gamsearch.models import device as devices
from gamsearch.models.latency.in_turns import conditions, time_in_turns
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs import benchmark_file as files
from gamsearch.runs.benchmark_choice import subjects
from gamsearch.runs.benchmark_file import Trained
from gamsearch.runs.conversion import opened
from gamsearch.runs.export_formats import Format, formats_named
from gamsearch.runs.folder_lock import held
from gamsearch.runs.provenance import versions
from gamsearch.runs.searched_data import searched_data
from gamsearch.runs.space_content import import_recorded_plugins
from gamsearch.signals import stop_request
from gamsearch.study import store
from gamsearch.study.table import read_record

TIMED = ("onnx", "torchscript", "openvino", "ncnn", "engine")
"""Formats whose runtime computes on one thread of the CPU, or on the GPU."""
PACKAGES = ("onnxruntime", "openvino", "nncf", "ncnn", "pnnx", "tensorrt")

Row = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to benchmark.

    Attributes:
        formats: Names of formats.
        precisions: Names of precisions.
        trials: Numbers of trials; none for the run's own choice.
        data: Where the run's data set is now; empty for where it was.
    """

    formats: Sequence[str] = ("onnx",)
    precisions: Sequence[str] = ("fp32", "int8")
    trials: Sequence[int] = ()
    data: str = ""

    @property
    def forms(self) -> list[Format]:
        """The formats in each precision; `OptionError` if one cannot be written or timed here."""
        forms = formats_named(self.formats, self.precisions)
        if others := [form.name for form in forms if form.name not in TIMED]:
            raise OptionError(f"benchmark does not time {others[0]}; --formats takes {', '.join(TIMED)}")
        return forms


def benchmark(folder: Path, wanted: Wanted, say: Say) -> list[Row]:
    """Write, validate and time what is not measured yet.

    Args:
        folder: The run's folder.
        wanted: Formats, precisions and trials.
        say: Called with one line per file.

    Returns:
        The rows, the baseline first in each format and precision. A file that fails has a row with the reason.

    Raises:
        OptionError: There is no such trial, format or precision, or a package is missing.
        RunError: Weights are missing, or the data changed.
    """
    quiet_ultralytics()
    forms, study = wanted.forms, store.snapshot(folder)
    import_recorded_plugins(folder, study.user_attrs)
    record = read_record(study, folder.name, str(folder))
    place = wanted.data or str(record.settings.get("data") or "")
    data = searched_data(folder, place, record.settings, record.task, "benchmark")
    chosen = subjects(folder, record, wanted.trials)
    models = [Trained(folder, record, subject, data) for subject in chosen]
    found: list[Row] = []
    with held(folder, "benchmark"):
        for form in forms:
            first: Row | None = None
            for trained in models:
                stop_request.check()
                row = _row(trained, form, first, say)
                first = first or row
                found.append(row)
                _keep(folder, row)
    return found


def _row(trained: Trained, form: Format, baseline: Row | None, say: Say) -> Row:
    """The recorded row, where it was measured under the same conditions; else a new one."""
    known = {**_identity(trained, form), "against": (baseline or {}).get("sha256", "")}
    for row in read_rows(trained.folder):
        if all(row.get(name) == value for name, value in known.items()) and _unchanged(trained.folder, row):
            return row
    say(f"benchmark: {trained.subject.stem} as {form.title}")
    try:
        return {**known, **_measured(trained, form, baseline)}
    except Exception as error:  # an exporter or a runtime can raise anything; the other files do not depend on it
        say(f"{trained.subject.stem} as {form.title} failed: {one_line(error)[:200]}")
        return {**known, "failed": one_line(error)[:300]}


def _identity(trained: Trained, form: Format) -> Row:
    """What a row is about, and the conditions that it was measured under."""
    subject, known = trained.subject, versions()
    for name in PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "trial": subject.number,
        "label": str(subject.row["label"]),
        "format": form.name,
        "precision": form.precision,
        "metric": trained.record.task.primary,
        "conditions": {
            "weights": files.digest(subject.weights.path),
            "origin": subject.weights.origin,
            "data": trained.data.fingerprint,
            "imgsz": int(trained.record.settings.get("imgsz", 640)),
            "machine": conditions(_device(form)),
            "versions": known,
        },
    }


def _device(form: Format) -> torch.device:
    return devices.select("0" if form.name == "engine" else "cpu")


def _unchanged(folder: Path, row: Row) -> bool:
    file = folder / str(row.get("file"))
    return "failed" not in row and file.exists() and files.digest(file) == row["sha256"] and files.kept(file).exists()


def _measured(trained: Trained, form: Format, baseline: Row | None) -> Row:
    folder, task = trained.folder, trained.record.task
    file, accuracy, largest = trained.write(form, folder / "benchmark" / trained.subject.stem)
    if baseline is not None and "failed" in baseline:
        raise OptionError(f"the baseline's file failed, with which it is compared: {baseline['failed']}")
    other = file if baseline is None else folder / baseline["file"]
    return {
        "file": file.relative_to(folder).as_posix(),
        "sha256": files.digest(file),
        "size_mb": files.size_mb(file),
        "side": trained.sides[1],
        "images": len(trained.data.val),
        "largest_difference": largest,
        **accuracy.metrics,
        "checkpoint": trained.accuracy.metrics[task.primary],
        "from_checkpoint": files.difference(accuracy.images, trained.accuracy.images, task),
        "from_baseline": None if baseline is None else files.difference(accuracy.images, files.images_of(other), task),
        "latency": _latency(file, other, form, trained.sides[1], baseline),
    }


def _latency(file: Path, other: Path, form: Format, side: int, baseline: Row | None) -> dict[str, float]:
    """The ratio of a file's latency to the baseline's, and that times the baseline's own in ms, which is its median.

    The baseline's own ratio is that to a second copy of itself.
    """
    passes = time_in_turns(opened(file, form), opened(other, form), side, _device(form))
    low, high = passes.interval
    return {
        "ms": passes.ratio * baseline["latency"]["ms"] if baseline else float(np.median(passes.baseline)),
        "ratio": passes.ratio,
        "low": low,
        "high": high,
        "rounds": len(passes.candidate),
    }


def _keep(folder: Path, row: Row) -> None:
    """Replace the row of the same trial, format and precision."""
    names = ("trial", "format", "precision")
    others = [one for one in read_rows(folder) if [one.get(name) for name in names] != [row[name] for name in names]]
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"rows": [*others, row]}, indent=1), encoding="utf-8")
    partial.replace(file)
