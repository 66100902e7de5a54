"""The Python interface: `gamsearch.search`, `load`, `repeat`, `verify`, `export`, and the `Run` that they work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gamsearch import __version__
from gamsearch.analysis.answer import Answer
from gamsearch.errors import OptionError, nearest
from gamsearch.runs.export_formats import USUAL
from gamsearch.runs.start import Start, call_of, repetition, start
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record


@dataclass(frozen=True)
class Run:
    """One run on disk. Everything is read from its record when it is asked for, also while the run is being searched.

    Attributes:
        folder: The run's folder.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def record(self) -> Record:
        """All that was recorded, as one frozen value."""
        return read_record(store.snapshot(self.folder), self.name, str(self.folder))

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, in order; the task's metrics are fractions, units are in the other names."""
        return self.record.trials

    @property
    def front(self) -> pd.DataFrame:
        """The trials on the Pareto front, sorted by the first objective, best first."""
        return self.record.front

    @property
    def best(self) -> pd.Series | None:
        """The member of the front with the best first objective, else the baseline; None before anything completed."""
        return self.record.best

    @property
    def verdict(self) -> str:
        """The answer with its grounds in one text, by the verification if there is one."""
        return self.answer.text

    @property
    def answer(self) -> Answer:
        """Whether attention pays: `kind`, `headline`, `detail`, what to do next, and the recommended `trial`."""
        return self.record.answer()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the run was made with."""
        return dict(self.record.settings)

    def __fspath__(self) -> str:
        return str(self.folder)


def search(
    data: str | Path | None = None,
    model: str | Path | None = None,
    space: str | Path | SearchSpace | None = None,
    *,
    name: str | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    device: str | int | None = None,
    **options: Any,
) -> "Run":
    """Search a space for the placements that pay for themselves; a run of the same name is resumed.

    Args:
        data: Data YAML, or the folder of class folders; without it one half of the demonstration: `name` says which,
            `demo-context` (the default) or `demo-control`.
        model: A stock YAML such as `yolov8n.yaml` (baseline from scratch) or a `.pt` (fine-tuned).
        space: Name of a shipped space, path of a space file, or a `SearchSpace`.
        name: Name of the run, below `out` (`results`).
        trials: Search budget in full short trainings.
        epochs: Epochs of the short training of each candidate.
        device: `cpu`, `mps`, an index, or several such as `0,1`.
        **options: Every other option of `python -m gamsearch run`, with underscores: `baseline_epochs`, `imgsz` (px),
            `batch`, `budget`, `sampler`, `stopping`, `objectives`, `noise_seeds`, `seed`, `latency`, `train` (mapping),
            `evaluator`, `table`, `imports` (a list of model YAMLs, `--import`), `out`, `workers`, `storage`,
            `artifacts`, `track` (names of trackers), `trust_checkpoint`; and `callbacks` (of `gamsearch.Callback`).

    Returns:
        The run.

    Raises:
        GamsearchError: Something in the input cannot be used; the message says what, where and how to fix it.
    """
    given = {
        "data": data,
        "model": model,
        "name": name,
        "trials": trials,
        "epochs": epochs,
        "device": device,
        **options,
    }
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
    command = call_of("search", {**plain, "callbacks": None, "space": getattr(space, "name", space)})
    return carry_out(start({**plain, "space": space}), command)


def repeat(manifest: str | Path, **options: Any) -> "Run":
    """Repeat a run in a folder of its own; what differs in versions, machine or commit is printed first.

    Args:
        manifest: The original's `manifest.yaml`, or its folder.
        **options: `name`, `out`, `data` and `device` where they are not the original's; `workers`, `storage`,
            `artifacts`, `trust_checkpoint`.

    Returns:
        The new run.

    Raises:
        GamsearchError: The inputs are not those of the original, or something else cannot be used.
    """
    return carry_out(repetition(Path(manifest), options), call_of("repeat", {"manifest": str(manifest), **options}))


def carry_out(beginning: Start, command: str) -> Run:
    """Carry out a run that is ready to begin, with a live view of its progress.

    Args:
        beginning: The resolved run.
        command: How it was called, for the record.

    Returns:
        The run.

    Raises:
        GamsearchError: See `search`.
    """
    from gamsearch.runs.progress import RunProgress
    from gamsearch.runs.run import run

    settings = beginning.settings
    with RunProgress() as progress:
        resumed = " (resumed)" if beginning.resumed else ""
        progress.say(f"gamsearch {__version__}: run '{settings.name}' in {settings.folder}{resumed}")
        for line in beginning.notes:
            progress.say(line)
        run(settings, progress, command, beginning.origin, beginning.context)
    return Run(settings.folder)


def load(folder: str | Path) -> Run:
    """Open a run that is on disk.

    Args:
        folder: The run's folder, e.g. `results/mine`.

    Returns:
        The run.

    Raises:
        RunError: The folder holds no run that can be read.
    """
    store.snapshot(Path(folder))
    return Run(Path(folder))


def verify(run: Run | str | Path, *, seeds: int = 5, epochs: int = 100, top: int = 3, **options: Any) -> Run:
    """Train the finalists of the front and the baseline at full budget, paired by seed.

    What is recorded already is not trained again; more `seeds` add to those that are there.

    Args:
        run: The run, or its folder.
        seeds: Paired seeds.
        epochs: Epochs of each training, from the original weights.
        top: Largest number of finalists.
        **options: `scale_up`, `train`, `device`, `data` (where it is now), `trust_checkpoint`, as of the command.

    Returns:
        The run, whose verdict now rests on the verification.

    Raises:
        GamsearchError: The run cannot be verified, or an option has a value that it cannot have.
    """
    from gamsearch.runs import verify as verification
    from gamsearch.runs.progress import RunProgress

    known = ("scale_up", "train", "device", "data", "trust_checkpoint")
    for option in options:
        if option not in known:
            raise OptionError(f"verify has no option '{option}'{nearest(option, known)}; it has {', '.join(known)}")
    chosen = verification.VerifyOptions(
        top=top,
        seeds=seeds,
        epochs=epochs,
        scale_up=options.get("scale_up") or "",
        train=options.get("train") or {},
        device=str(options.get("device") or ""),
        data=str(options.get("data") or ""),
        trust=bool(options.get("trust_checkpoint")),
    )
    found = run if isinstance(run, Run) else load(run)
    with RunProgress() as progress:
        verification.verify(found.folder, chosen, progress.say, progress.epoch)
    return found


def export(
    run: Run | str | Path,
    pick: str = "",
    trial: int | None = None,
    out: str | Path | None = None,
    formats: str | Sequence[str] = USUAL,
    **options: Any,
) -> list[str]:
    """Write YAML, weights (of the median seed, if verified), formats to deploy and a stand-alone module of a trial.

    Args:
        run: The run, or its folder.
        pick: `knee`, or an objective for its best on the front; empty for what the run recommends.
        trial: A trial's number instead.
        out: Folder to write to; the run's `export/` if left out.
        formats: What `python -m gamsearch export --help` lists.
        **options: `precision` (`fp32`, `fp16`, `int8`), `validate` (on the run's images), `data` (where they are now).

    Returns:
        What was exported and one line per file, with its largest relative difference to the trial's model.

    Raises:
        OptionError: There is no such trial, objective or format, or a package that the format needs is missing.
        RunError: Weights or data are missing, or the folder cannot be written to.
        ModelError: A file differs from the trial's model, or a format cannot hold it.
    """
    from gamsearch.runs.export import export as exported

    return exported(Path(run), pick, trial, None if out is None else Path(out), formats, **options).lines
