"""The comments at the top of an exported model YAML: origin, result, how certain it is, and how to use the files."""

import shlex
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gamsearch.analysis.answer import UNTRAINED
from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.significance import UNKNOWN
from gamsearch.analysis.verification_verdict import basis, spread
from gamsearch.architecture import Architecture
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.spec import START_WORDS
from gamsearch.errors import one_line
from gamsearch.parser.build import is_rtdetr
from gamsearch.runs.export_choice import Choice, Weights
from gamsearch.runs.exported_files import modules_file
from gamsearch.study.record import Record
from gamsearch.study.urls import masked
from gamsearch.tasks import Task

FULL_EPOCHS = 100


def header(record: Record, choice: Choice, weights: Weights, files: tuple[Path, Path]) -> list[str]:
    """Write the comments; each line stays a comment whatever the record contains.

    Args:
        record: The run's record.
        choice: The trial.
        weights: Its weights.
        files: Paths of the YAML and of the checkpoint.

    Returns:
        Lines of at most 116 characters, without the comment sign; the commands are longer where their paths are.
    """
    row, settings = choice.row, record.settings
    versions = ", ".join(f"{name} {version}" for name, version in settings.get("versions", {}).items())
    figures = ", ".join(f"{name} {value:.4f}" for name, value in weights.metrics.items())
    lines = [
        f"{row['label']} in {record.detector_name}{_scale(record)}, found by gamsearch.",
        f"Run {record.name}, trial {int(row['number'])}: {choice.reason}.",
        f"Weights of {weights.origin}, {settings.get('imgsz')} px: {figures}.",
        *([] if choice.is_baseline else [_own_result(record, choice, weights)]),
        *_modules(row["architecture"]),
        _answer(record, choice),
        f"Data: {settings.get('data_summary', '')} (fingerprint {settings.get('data_fingerprint', '')}).",
        f"Hardware: {settings.get('hardware', '')}. Versions: {versions}.",
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(one_line(line), 116)]
    return wrapped + [one_line(line) for line in _use(record, choice, weights, *files)]


def _modules(architecture: Mapping[str, Any]) -> list[str]:
    """What each module is and how it starts when it is built from the YAML without weights."""
    options = {p.module: dict(p.options) for p in Architecture.from_dict(architecture).placements}
    specs = [spec_named(name) for name in options]
    return [f"{s.row_name}: {s.origin}; {START_WORDS[s.start_of(options[s.name])]}." for s in specs]


def _scale(record: Record) -> str:
    scale = record.detector_yaml.get("scale")
    return f" (scale {scale})" if scale else ""


def not_verified(choice: Choice) -> str:
    """Say that a trial was not verified."""
    return f"NOT VERIFIED: trial {int(choice.row['number'])} was trained briefly only; train it in full before use."


def training_line(record: Record, checkpoint: Path) -> str:
    """The command that trains the exported checkpoint in full with the stock `yolo`, which needs no hook for a `.pt`.

    Args:
        record: The run's record.
        checkpoint: Path of the exported checkpoint.

    Returns:
        The command.
    """
    settings = record.settings
    given = {name: settings[name] for name in ("imgsz", "batch") if name in settings}
    train = {k: v for k, v in (settings.get("train") or {}).items() if k != "attention_lr"}  # not Ultralytics' own
    data = masked(str(settings.get("data", "")))
    arguments = {"model": checkpoint, "data": data, "epochs": FULL_EPOCHS, **given, **train}
    return " ".join(["yolo train", *(shlex.quote(one_line(f"{name}={value}")) for name, value in arguments.items())])


def _own_result(record: Record, choice: Choice, weights: Weights) -> str:
    """What is known about this trial's difference to the baseline, and about no other trial's."""
    row, task = choice.row, record.task
    searched = f"Difference to the baseline with the same short training: {task.primary} {row[task.gain]:+.4f}."
    if not weights.verified:
        return f"{not_verified(choice)} {searched}"
    found = next((one for one in record.verification.finalists if one.key == row["key"]), None)
    return f"{_verified(found, task)} {searched}" if found else searched


def _verified(found: Compared, task: Task) -> str:
    gain = found.gain
    if gain.claim == UNKNOWN:
        return f"Verified without a conclusion: {gain.reason}."
    return f"Verified: {task.primary} {spread(gain)} against the baseline, {gain.claim} ({basis([gain])}){found.price}."


def _answer(record: Record, choice: Choice) -> str:
    """The answer of the whole run; its grounds only where they are about this trial, the baseline or its training."""
    answer, number = record.answer(), int(choice.row["number"])
    text = f"The run's answer: {answer.headline}"
    if answer.trial not in (None, number):
        return f"{text} It recommends trial {answer.trial}, not this one."
    about = answer.trial == number or choice.is_baseline or answer.kind == UNTRAINED
    return f"{text} {answer.detail}" if about else text


def _use(record: Record, choice: Choice, weights: Weights, yaml: Path, checkpoint: Path) -> list[str]:
    """How to use and to train the files."""
    lines, kind = [], "RTDETR" if is_rtdetr(record.detector_yaml) else "YOLO"
    if choice.is_baseline:
        lines.append(f"Use: yolo train model={yaml.name}; the stock Ultralytics knows all of its modules.")
    else:
        lines += [
            f'Use in Python: import gamsearch; from ultralytics import {kind}; {kind}("{yaml.name}").',
            f"Without gamsearch, import {modules_file(checkpoint.with_suffix('')).name} beside this file instead.",
            f"The stock command `yolo train model={yaml.name}` does not know these modules and ends in a KeyError:",
            "run `gamsearch install-hook` once in that environment, or train the .pt, which needs no hook.",
        ]
    if not weights.verified:
        lines += ["To train it in full, from the weights of the search:", training_line(record, checkpoint)]
    return lines
