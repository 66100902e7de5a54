"""What a run's folder holds that can be deleted: checkpoints, leftovers, and weights, but never the record."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gamsearch.errors import RunError, plural
from gamsearch.files import refuse_links
from gamsearch.runs.folder_lock import held, is_locked
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.study.worker_entries import FOLDER, lock_held, workers

MB = 1e6


@dataclass(frozen=True)
class Freed:
    """Files of one kind that are deleted.

    Attributes:
        what: What they are, and what is no longer possible without them.
        files: Number of files.
        size: Their size in bytes.
    """

    what: str
    files: int
    size: int

    @property
    def amount(self) -> str:
        """E.g. `325.0 MB in 6 files`."""
        return f"{self.size / MB:.1f} MB in {plural(self.files, 'file')}"

    @property
    def text(self) -> str:
        """E.g. `325.0 MB in 6 files: checkpoints of ...`."""
        return f"{self.amount}: {self.what}"


def clean(folder: Path, weights: bool = False, dry_run: bool = False) -> list[Freed]:
    """Delete what a run that is not running no longer needs.

    The record, reports, exports, per-image results and the baseline always remain.

    Args:
        folder: The run's folder.
        weights: Whether to delete trained weights as well, which `export` needs.
        dry_run: Whether only to list what would be deleted.

    Returns:
        What was deleted, by kind; kinds without files are left out.

    Raises:
        RunError: The folder holds no run, or a search, a verification or a worker runs there.
    """
    study = store.snapshot(folder)
    refuse_links(folder)
    here = (name for name, entry in workers(study).items() if entry.get("host") == platform.node())
    if is_locked(folder) or any(lock_held(folder / FOLDER, name) for name in here):
        raise RunError(f"{folder} is in use by a running search, verification or worker; wait until it has ended")
    kinds = _kinds(folder, read_record(study, folder.resolve().name), weights)
    if dry_run:
        return _totals(kinds)
    with held(folder, "cleaning"):
        return _delete(kinds)


def delete_checkpoints(folder: Path) -> Freed | None:
    """Delete the checkpoints of paused trainings once a search has ended.

    A later search with more trials trains those that it resumes from their first epoch, with the same result.

    Args:
        folder: The run's folder.

    Returns:
        What was deleted; None if there was nothing.
    """
    return next(iter(_delete({"checkpoints of paused trainings": _files(folder / "paused")})), None)


def _kinds(folder: Path, record: Record, weights: bool) -> dict[str, list[Path]]:
    """The files that can be deleted, by what they are."""
    trained, rows = _files(folder / "weights"), record.complete
    named = {f"{key}-seed{seed:.0f}.pt" for key, seed in zip(rows["key"], rows["seed"], strict=True) if seed == seed}
    verify = folder / "verify"
    kinds = {
        "checkpoints of paused or interrupted trainings, which start over if they are resumed": [
            *_files(folder / "paused"),
            *_files(verify / "paused"),
            *(path for path in _files(folder / "baseline") if path.name == "kept.pt"),
        ],
        "shared networks of a screening under way, which are trained again if it is resumed": _files(
            folder / "screening"
        ),
        "leftovers of trainings": [
            *_files(verify / "scratch"),
            *(path for place in sorted((folder / "baseline").glob("scratch*")) for path in _files(place)),
        ],
        "weights of extra seeds, which nothing reads": [path for path in trained if path.name not in named],
    }
    if weights:
        kinds["weights of the search, without which `export` has only verified ones"] = [
            path for path in trained if path.name in named
        ]
        kinds["weights of the verification, without which `export` has only those of the search"] = _files(
            verify / "weights"
        )
        kinds["shared network, which is trained again if the search of it is resumed"] = _files(folder / "supernet")
    return kinds


def _files(place: Path) -> list[Path]:
    """All regular files below a folder, without following links."""
    return [] if place.is_symlink() else sorted(_walk(place))


def _walk(place: Path) -> Iterator[Path]:
    for path in place.iterdir() if place.is_dir() else ():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _totals(kinds: dict[str, list[Path]]) -> list[Freed]:
    totals = [Freed(what, len(paths), sum(path.stat().st_size for path in paths)) for what, paths in kinds.items()]
    return [freed for freed in totals if freed.files]


def _delete(kinds: dict[str, list[Path]]) -> list[Freed]:
    totals = _totals(kinds)
    for path in (path for paths in kinds.values() for path in paths):
        path.unlink()
    return totals
