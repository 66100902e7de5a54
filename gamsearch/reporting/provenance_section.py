"""The section of the page on reproducing a run: commands, settings, versions, hardware, data, seeds, commit."""

import math
import shlex
from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from gamsearch.files import UnreadableError, read_yaml
from gamsearch.metrics import METRICS
from gamsearch.reporting import formatting
from gamsearch.reporting.tables import Column, html_table
from gamsearch.study.record import Record
from gamsearch.study.urls import masked
from gamsearch.tasks import Task

MANIFEST = "manifest.yaml"
PAIR = [
    Column("setting", lambda pair: pair[0], numeric=False),
    Column("value", lambda pair: pair[1], numeric=False),
]
FROM_MANIFEST = ("commit", "written", "seeds", "fingerprints", "machine", "versions", "repeats")


def environment(folder: Path) -> dict[str, Any]:
    """Machine, software, data and seeds of the run in `folder`, from its manifest; empty if that cannot be read."""
    try:
        content = read_yaml(folder / MANIFEST)
    except (OSError, UnreadableError):
        return {}
    return {name: content[name] for name in FROM_MANIFEST if name in content} if isinstance(content, dict) else {}


def section(record: Record, manifest: Mapping[str, Any]) -> str:
    """The commands, the settings of search and verification, the environment, the baseline at each seed."""
    settings = dict(record.settings)
    commands = [masked(str(settings.pop("command", "")))]
    if manifest:
        commands.append(shlex.join(["python", "-m", "gamsearch", "run", "--from", f"{place(record)}/{MANIFEST}"]))
    if record.verification.finalists:
        commands.append(verify_command(record))
    parts = ["<h2>How to reproduce</h2>"]
    if any(commands):
        parts.append(f'<pre tabindex="0"><code>{escape(chr(10).join(filter(None, commands)))}</code></pre>')
    if manifest:
        parts.append(
            '<p class="note">The command with <code>--from</code> repeats this run from its manifest, with the same '
            "settings and seeds, and reports every difference in software or hardware.</p>"
        )
    pairs = [*formatting.flat(settings), *formatting.flat(record.baseline_stage, "baseline training: ")]
    parts.append(_settings(pairs, "Settings of this run"))
    parts.append(_settings([*formatting.flat(record.verification.settings)], "Settings of the verification"))
    parts.append(_settings([*formatting.flat(manifest)], "Environment of this run"))
    return "".join([*parts, _seeds(record)])


def _settings(pairs: list[tuple[str, str]], caption: str) -> str:
    return html_table(PAIR, pairs, caption, name="settings") if pairs else ""


def place(record: Record) -> str:
    """The run's folder as it appears in commands."""
    return f"{record.settings.get('out') or 'results'}/{record.name}"


def verify_command(record: Record) -> str:
    """The command of the verification as recorded, else reconstructed from its settings."""
    settings = record.verification.settings
    if settings.get("command"):
        return masked(str(settings["command"]))
    words = ["python", "-m", "gamsearch", "verify", place(record), "--top", len(record.verification.finalists)]
    for name in ("seeds", "epochs"):
        words += [f"--{name}", settings[name]] if name in settings else []
    control = record.verification.control
    words += ["--scale-up", control.get("model") or control.get("name", "next")] if control else []
    searched = record.settings.get("train") or {}
    for key, value in (settings.get("train") or {}).items():
        words += ["--train", f"{key}={value}"] if searched.get(key) != value else []
    return masked(shlex.join(map(str, words)))


def _seeds(record: Record) -> str:
    """The table of the baseline at each seed of the search."""
    if not record.baseline_seeds:
        return ""
    names = list(dict.fromkeys(name for seed in record.baseline_seeds for name in seed))
    columns = [Column(_seed_title(n, record.task), partial(_seed_cell, n)) for n in names]
    return html_table(columns, record.baseline_seeds, "The baseline at each seed, after the same short training")


def _seed_title(name: str, task: Task) -> str:
    return formatting.heading(METRICS[name], task) if name in METRICS else name.replace("_", " ")


def _seed_cell(name: str, seed: Mapping[str, Any]) -> str:
    """One number of one baseline training, with the decimals of its metric."""
    number = seed.get(name, math.nan)
    return formatting.value(METRICS[name], number) if name in METRICS else f"{number:.6g}"
