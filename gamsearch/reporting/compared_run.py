"""A run as a comparison sees it: its record and the facts that decide whether its values are comparable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gamsearch.errors import GamsearchError
from gamsearch.files import printable
from gamsearch.study.record import Record, latency_backend

IGNORED = ("name", "out", "command", "latency_backend")
"""Settings that always differ, and the backend, which is displayed as `latency`."""

ENVIRONMENT = ("versions", "machine", "commit")


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run in a comparison.

    Attributes:
        name: Its name, unique within the comparison.
        record: Its record.
        data: Fingerprint of the data that it was measured on; empty if not recorded.
        clock: Device and backend that latency was measured with; empty if not recorded.
        facts: Detector, search space and environment: what the record's settings lack.
    """

    name: str
    record: Record = field(repr=False)
    data: str = ""
    clock: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, folder: Path) -> "ComparedRun":
        """Read a run from its folder.

        Args:
            folder: The run's folder.

        Returns:
            The run.

        Raises:
            RunError: The folder holds no run.
        """
        from gamsearch.study import store
        from gamsearch.study.table import read_record

        study = store.load(folder)
        record, own = read_record(study, folder.resolve().name, str(folder)), printable(study.user_attrs)
        fingerprints = own.get("fingerprints", {})
        data = fingerprints.get("data") or record.settings.get("data_fingerprint") or fingerprints.get("table")
        clock = (fingerprints.get("device") or record.settings.get("hardware"), latency_backend(record.settings))
        facts = {"detector": record.detector_name, "space fingerprint": own.get("space", {}).get("fingerprint", "")}
        measured = ", ".join(str(word) for word in clock if word)
        return cls(record.name, record, str(data or ""), measured, {**facts, **_environment(folder)})

    @property
    def settings(self) -> dict[str, Any]:
        """The settings and facts to compare with those of other runs."""
        kept = {name: value for name, value in self.record.settings.items() if name not in IGNORED}
        return {**kept, "latency": latency_backend(self.record.settings), **self.facts}


def _environment(folder: Path) -> dict[str, Any]:
    """Versions, machine and commit from the run's manifest; empty if that cannot be read."""
    from gamsearch.runs.manifest import FILE, Manifest

    try:
        content = printable(Manifest.read(folder / FILE).content)
    except GamsearchError:
        return {}
    return {name: content[name] for name in ENVIRONMENT if name in content}
