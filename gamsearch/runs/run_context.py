"""Options of a run that are not settings."""

from dataclasses import dataclass

from gamsearch.runs.callbacks import Callback
from gamsearch.runs.failed_start import NewFiles
from gamsearch.runs.processes import Slot


@dataclass(frozen=True)
class RunContext:
    """Options of `run` that are not settings: they are not recorded, or only without their passwords.

    Attributes:
        trust: Whether a `--model` that cannot be opened otherwise may run the code it holds.
        slots: Where the workers run, this process first.
        storage: URL of a storage other than the journal file.
        artifacts: Folder or `s3://bucket` through which machines that do not share the folder exchange files.
        new_files: What the start has added to the folder; by default what this call adds.
        track: Names of the trackers that log the search.
        callbacks: What is called as trials end.
    """

    trust: bool = False
    slots: tuple[Slot, ...] = ()
    storage: str = ""
    artifacts: str = ""
    new_files: NewFiles | None = None
    track: tuple[str, ...] = ()
    callbacks: tuple[Callback, ...] = ()
