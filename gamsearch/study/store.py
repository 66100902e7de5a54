"""The Optuna study as the one record of a run: opened, resumed, read back as a table. All else is derived from it.

Values are the objectives; what else was measured stands in the trial's user attributes. COMPLETE means trained for the
whole brief budget, PRUNED refused before training, stopped or paused, FAIL not evaluable or interrupted.
"""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gamsearch.analysis import pareto
from gamsearch.analysis.verification import Verification
from gamsearch.architecture import BASELINE
from gamsearch.errors import RunError, one_line
from gamsearch.files import refuse_links
from gamsearch.metrics import METRICS, Metric, metric_named
from gamsearch.study import schema
from gamsearch.study.history import INTERRUPTED, interrupted, is_lost
from gamsearch.study.journal import Journal
from gamsearch.study.record import Record
from gamsearch.study.snapshot import Snapshot
from gamsearch.study.storages import JOURNAL, Address

NO_RUN = f"{{folder}} holds no run (no {JOURNAL}); give the folder of a run, such as results/my-search"
SCHEMA = 1
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
EXTRA_COLUMNS = ("latency_ratio", "latency_iqr_ms", "latency_ratio_foreseen")
AUDIT_COLUMNS = ("tensors_inherited", "tensors_expected", "tensors_fresh", "misplaced")


def repair_torn_line(folder: Path) -> bool:
    """Cut the journal back to its last newline after a kill in the middle of a write; return whether it was cut.

    Only for who holds the folder's lock: a reader could cut what a writer is writing.
    """
    path = folder / JOURNAL
    if not path.exists():
        return False
    return Journal(path).repair()


def create(folder: Path, objectives: Sequence[Metric], attributes: Mapping[str, Any]) -> optuna.Study:
    """Create the study of a new run; `attributes` say how it was made and are compared when it is resumed."""
    _quiet()
    address = Address.of(folder)
    new = folder / f"{JOURNAL}.new"
    new.unlink(missing_ok=True)
    try:
        study = optuna.create_study(
            study_name=address.study,
            storage=address.open() if address.url else JournalStorage(Journal(new)),
            directions=[StudyDirection[m.direction.upper()] for m in objectives],
        )
    except optuna.exceptions.DuplicatedStudyError as error:
        raise RunError(
            f"another run began the study '{address.study}' just now; take part in it with `worker`, or give another "
            "--name"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([m.name for m in objectives])
    study.set_user_attr("schema", SCHEMA)
    study.set_user_attr("objectives", [m.name for m in objectives])
    for name, value in attributes.items():
        study.set_user_attr(name, value)
    if not address.url:  # a journal that is there is whole
        new.replace(folder / JOURNAL)
        return optuna.load_study(study_name=address.study, storage=address.open())
    return study


def load(folder: Path) -> optuna.Study:
    """Open the study of an existing run; `RunError` if there is none or it was made by another schema."""
    _quiet()
    address = Address.of(folder)
    if not address.url and not (folder / JOURNAL).is_file():
        raise RunError(NO_RUN.format(folder=folder))
    return _opened(address, address.open)


def exists(folder: Path) -> bool:
    """Whether there is a study of the run in `folder`, here or in the storage that it names."""
    address = Address.of(folder)
    if not address.url:
        return address.exists()
    _quiet()
    return (
        address.exists()
        and "settings" in optuna.load_study(study_name=address.study, storage=address.open()).user_attrs
    )


def forget_half_made(folder: Path) -> None:
    """Delete a study that a run was killed at the making of, in a storage where that takes several steps."""
    address = Address.of(folder)
    if address.url and address.exists() and not exists(folder):
        study = optuna.load_study(study_name=address.study, storage=address.open())
        if not study.get_trials(deepcopy=False):
            optuna.delete_study(study_name=address.study, storage=address.open())


def snapshot(folder: Path) -> optuna.Study:
    """The study as it is now, for reading alone: nothing is locked, repaired or written, a torn last line is left out.

    `RunError` as `load`.
    """
    _quiet()
    address = Address.of(folder)
    if address.url:
        return _opened(address, address.open)
    path = folder / JOURNAL
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError as error:
        raise RunError(NO_RUN.format(folder=folder)) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); make it readable") from error
    whole = [line for line in lines if line.endswith(b"\n")]
    return _opened(address, lambda: JournalStorage(Snapshot([json.loads(line) for line in whole])))


def _opened(address: Address, storage: Callable[[], BaseStorage]) -> optuna.Study:
    """The study in a storage if it has the form that this gamsearch reads; run folders may come from anywhere."""
    folder, path = address.folder, address.shown
    refuse_links(folder)
    try:
        study = optuna.load_study(study_name=address.study, storage=storage())
        schema = study.user_attrs.get("schema")
        problem = _problem(study) if schema == SCHEMA else None
    except RunError:
        raise
    except Exception as error:  # replaying a damaged journal can raise anything
        raise RunError(f"{path} is no readable gamsearch record; restore it or use a new --name") from error
    if schema != SCHEMA:
        raise RunError(f"{folder} was recorded in form {schema}, this gamsearch reads form {SCHEMA}; use a new --name")
    if problem:
        raise RunError(f"{path} is damaged: {problem}; restore it or use a new --name")
    return study


def _problem(study: optuna.Study) -> str | None:
    """Where the record does not hold what the rest of gamsearch relies on, or None."""
    problem = schema.mismatch(study.user_attrs, schema.STUDY)
    if problem or not study.user_attrs.get("objectives"):
        return problem or "it names no objectives"
    corner, objectives = study.user_attrs.get("reference_point"), study.user_attrs["objectives"]
    if corner is not None and len(corner) != len(objectives) or len(study.directions) != len(objectives):
        return "its reference point or its directions are not as many as its objectives"
    needed = {*objectives, "map50_95", "map50"}
    for trial in trials(study):
        own = trial.user_attrs
        problem = schema.mismatch(own, schema.TRIAL, f"trial {trial.number}")
        if problem:
            return problem
        metrics = own.get("measurement", {}).get("metrics", {})
        if trial.state == TrialState.COMPLETE and not metrics.keys() >= needed:
            return f"trial {trial.number} is complete without {', '.join(sorted(needed - metrics.keys()))}"
    return None


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objectives_of(study: optuna.Study) -> tuple[Metric, ...]:
    return tuple(metric_named(name) for name in study.user_attrs["objectives"])


def trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Trials in `states` (all if none is given), not copied: do not change them."""
    return study.get_trials(deepcopy=False, states=states or None)


def baseline_trial(study: optuna.Study) -> FrozenTrial | None:
    """The completed trial 0, or None."""
    done = trials(study, TrialState.COMPLETE)
    own = (t for t in done if "recalled_from" not in t.user_attrs)
    return next((t for t in own if t.user_attrs.get("label") == BASELINE), None)


def table(study: optuna.Study) -> pd.DataFrame:
    """One row per trial in order; the columns are those that `Record` documents."""
    rows = [_row(t) for t in trials(study)]
    frame = pd.DataFrame(rows, columns=_columns())
    resumes = {t.user_attrs["resumes"]: t.number for t in trials(study) if "resumes" in t.user_attrs}
    frame["resumed_by"] = frame["number"].map(resumes).astype(float)
    for name in METRICS:
        if name in ("map50", "map50_95"):
            frame[f"{name}_gain"] = _gain(study, frame, name)
    frame["on_front"] = _on_front(frame, objectives_of(study))
    return frame


def _columns() -> list[str]:
    fixed = ["number", "state", "key", "label", "architecture"]
    rest = [
        "reason",
        "retried",
        "recalled_from",
        "resumed_by",
        "paused",
        "bound",
        "epochs",
        "epochs_trained",
        "seconds",
        "seed",
    ]
    rest += ["curve", "feasible", "anchor"]
    return [*fixed, *METRICS, *EXTRA_COLUMNS, *rest, *AUDIT_COLUMNS]


def _row(trial: FrozenTrial) -> dict[str, Any]:
    own = trial.user_attrs
    measurement = own.get("measurement", {})
    provenance = measurement.get("provenance", {})
    metrics = {**own.get("built", {}), **measurement.get("metrics", {})}
    metrics["latency_ratio_foreseen"] = own.get("foreseen", {}).get("latency_ratio", math.nan)
    curve = measurement.get("curve", own.get("curve", []))
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "key": own.get("key", ""),
        "label": _shown(own.get("label", "")),
        "architecture": own.get("architecture", {}),
        **{name: metrics.get(name, math.nan) for name in (*METRICS, *EXTRA_COLUMNS)},
        "reason": INTERRUPTED if interrupted(trial) and not is_lost(trial) else _shown(own.get("reason", "")),
        "retried": _shown(_retried(provenance.get("notes", []))),
        "recalled_from": own.get("recalled_from", math.nan),
        "paused": bool(own.get("stop", {}).get("paused", False)),
        "bound": own.get("stop", {}).get("bound"),
        "epochs": len(curve),
        "epochs_trained": own.get("epochs_trained", 0 if "recalled_from" in own else len(curve)),
        "seconds": provenance.get("seconds", math.nan),
        "seed": own.get("seed", math.nan),
        "curve": curve,
        "feasible": bool(own.get("feasible", trial.state == TrialState.COMPLETE)),
        "anchor": bool(own.get("anchor", False)),
        **{name: provenance.get("audit", {}).get(name, math.nan) for name in AUDIT_COLUMNS},
    }


def _retried(notes: Sequence[str]) -> str:
    """How a training differs from the others because it was tried again; half a batch draws other augmentations."""
    told = [note.partition(" after:")[0] for note in notes if not note.startswith("went on")]
    return ", ".join(f"{what}, not paired" if what.startswith("batch halved") else what for what in told)


def _shown(text: str) -> str:
    """A text of the record on one line, which neither a terminal nor a spreadsheet takes for a command."""
    line = one_line(text)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line


def _gain(study: optuna.Study, frame: pd.DataFrame, metric: str) -> pd.Series:
    """Paired difference to the baseline control: same seed, same extra epochs."""
    control = baseline_trial(study)
    if control is None:
        return pd.Series(math.nan, index=frame.index)
    return frame[metric] - control.user_attrs["measurement"]["metrics"][metric]


def _on_front(frame: pd.DataFrame, objectives: Sequence[Metric]) -> pd.Series:
    marks = pd.Series(False, index=frame.index)
    chosen = frame[(frame["state"] == "complete") & frame["feasible"] & frame["recalled_from"].isna()]
    if len(chosen):
        marks.loc[chosen.index] = pareto.front(chosen[[m.name for m in objectives]].to_numpy(float), objectives)
    return marks


def record(study: optuna.Study, name: str) -> Record:
    """Everything that a report is drawn from, as one frozen value."""
    own = study.user_attrs
    return Record(
        name=name,
        settings=own.get("settings", {}),
        objectives=objectives_of(study),
        reference_point=tuple(own["reference_point"]) if "reference_point" in own else None,
        detector_yaml=own.get("detector", {}).get("yaml", {}),
        detector_name=own.get("detector", {}).get("name", ""),
        baseline_seeds=tuple(own.get("baseline_seeds", [])),
        baseline_stage=own.get("baseline_stage", {}),
        confirmations={key: tuple(seeds) for key, seeds in own.get("confirmations", {}).items()},
        trials=_without_waiting(table(study)),
        verification=Verification.from_dict(own.get("verification")),
    )


def _without_waiting(frame: pd.DataFrame) -> pd.DataFrame:
    """Proposals that nobody has taken up yet say nothing to a reader."""
    return frame[frame["state"] != "waiting"].reset_index(drop=True)
