"""The Optuna study, the only record of a run: created, opened, checked. Everything else is derived from it.

The values of a trial are the objectives; its user attributes hold all other measurements. COMPLETE means trained for
the whole trial budget; PRUNED refused before training, stopped or paused; FAIL not evaluable or interrupted.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gamsearch.architecture import BASELINE
from gamsearch.errors import RunError
from gamsearch.files import UnreadableError, read_regular, refuse_links
from gamsearch.metrics import Metric, metric_named, plugin_forms
from gamsearch.study import record_check
from gamsearch.study.journal import LARGEST, Journal, Snapshot, unreadable
from gamsearch.study.storages import JOURNAL, Address
from gamsearch.tasks import Task, task_of

NO_RUN = f"{{folder}} holds no run (no {JOURNAL}); give the folder of a run, such as results/my-search"
SCHEMA = 1
"""Version of the record's schema."""


def repair_torn_line(folder: Path) -> bool:
    """Cut the journal back to its last newline after a kill during a write.

    Args:
        folder: The run's folder; the caller must hold its lock.

    Returns:
        Whether the journal was cut.
    """
    path = folder / JOURNAL
    return path.exists() and Journal(path).repair()


def create(folder: Path, objectives: Sequence[Metric], attributes: Mapping[str, Any]) -> optuna.Study:
    """Create the study of a new run.

    Args:
        folder: The run's folder.
        objectives: What the search optimises, in the order of a trial's values.
        attributes: User attributes of the study: the settings and everything else that describes the run.

    Returns:
        The study.

    Raises:
        RunError: If another run has just created the study, or if the storage cannot be reached.
    """
    _silence_optuna()
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
            f"another run has just created the study '{address.study}'; join it with `worker`, or give another --name"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([m.name for m in objectives])
    study.set_user_attr("schema", SCHEMA)
    study.set_user_attr("objectives", [m.name for m in objectives])
    if forms := plugin_forms():
        study.set_user_attr("metrics", forms)
    for name, value in attributes.items():
        study.set_user_attr(name, value)
    if not address.url:  # renamed last, so that an existing journal is never half written
        new.replace(folder / JOURNAL)
        return _study_at(address)
    return study


def load(folder: Path) -> optuna.Study:
    """Open the study of an existing run.

    Args:
        folder: The run's folder.

    Returns:
        The study, checked against the schema.

    Raises:
        RunError: If there is no study, if it is damaged, or if its schema has another version.
    """
    _silence_optuna()
    address = Address.of(folder)
    if not address.url and not (folder / JOURNAL).exists():
        raise RunError(NO_RUN.format(folder=folder))
    return _open(address, address.open)


def exists(folder: Path) -> bool:
    """Check whether a run has a study.

    Args:
        folder: The run's folder.

    Returns:
        Whether there is a complete study in the folder or in the storage that it names.

    Raises:
        RunError: If the storage cannot be reached.
    """
    address = Address.of(folder)
    if not address.url:
        return address.exists()
    _silence_optuna()
    return address.exists() and "settings" in _study_at(address).user_attrs


def delete_incomplete(folder: Path) -> None:
    """Delete a study whose run was killed while creating it, which takes several steps in a database.

    Args:
        folder: The run's folder.

    Raises:
        RunError: If the storage cannot be reached.
    """
    address = Address.of(folder)
    if address.url and address.exists() and not exists(folder) and not _study_at(address).get_trials(deepcopy=False):
        optuna.delete_study(study_name=address.study, storage=address.open())


def snapshot(folder: Path) -> optuna.Study:
    """Open the study as it is now, read-only: nothing is locked, repaired or written.

    Args:
        folder: The run's folder.

    Returns:
        The study, checked against the schema; a torn last line of the journal is left out.

    Raises:
        RunError: If there is no study, if it is damaged, or if its schema has another version.
    """
    _silence_optuna()
    address = Address.of(folder)
    if address.url:
        return _open(address, address.open)
    path = folder / JOURNAL
    try:
        content = read_regular(path, LARGEST)
    except FileNotFoundError as error:
        raise RunError(NO_RUN.format(folder=folder)) from error
    except UnreadableError as error:
        raise unreadable(path, error) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); make it readable") from error
    return _open(address, lambda: JournalStorage(Snapshot(content)))


def objectives_of(study: optuna.Study) -> tuple[Metric, ...]:
    """Return what a study optimises.

    Args:
        study: A study of gamsearch.

    Returns:
        The metrics, in the order of a trial's values.
    """
    return tuple(metric_named(name) for name in study.user_attrs["objectives"])


def task(study: optuna.Study) -> Task:
    """Return the task of a study.

    Args:
        study: A study of gamsearch.

    Returns:
        What the recorded detector is for.
    """
    return task_of(study.user_attrs.get("detector", {}).get("yaml", {}))


def trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Return the trials of a study without copying them; do not change them.

    Args:
        study: A study of gamsearch.
        *states: States of the trials to return; all trials if none is given.

    Returns:
        The trials in order of their numbers.
    """
    return study.get_trials(deepcopy=False, states=states or None)


def baseline_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the completed trial of the baseline.

    Args:
        study: A study of gamsearch.

    Returns:
        The trial (trial 0, unless that was interrupted), or None if it is not complete yet.
    """
    evaluated = (t for t in trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs)
    return next((t for t in evaluated if t.user_attrs.get("label") == BASELINE), None)


def _silence_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _study_at(address: Address) -> optuna.Study:
    return optuna.load_study(study_name=address.study, storage=address.open())


def _open(address: Address, storage: Callable[[], BaseStorage]) -> optuna.Study:
    """The study in a storage, if it fits the schema; run folders may come from anywhere."""
    folder, path = address.folder, address.location
    refuse_links(folder)
    try:
        study = optuna.load_study(study_name=address.study, storage=storage())
        version = study.user_attrs.get("schema")
        found = record_check.problem(study) if version == SCHEMA else None
    except RunError:
        raise
    except Exception as error:  # replaying a damaged journal can raise anything
        raise RunError(f"{path} is not a readable gamsearch record; restore it or use a new --name") from error
    if version != SCHEMA:
        raise RunError(
            f"{folder} was recorded with schema {version}, this gamsearch reads schema {SCHEMA}; use a new --name"
        )
    if found:
        raise RunError(f"{path} is damaged: {found}; restore it or use a new --name")
    return study
