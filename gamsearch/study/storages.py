"""Where a run keeps its study: a journal in its folder, or an Optuna storage that several machines can reach.

A folder whose study is elsewhere records the address, without the password, in `storage.json`. The password comes from
`--storage`, from the environment variable GAMSEARCH_STORAGE (the whole URL), or from what PostgreSQL's client library
reads (PGPASSWORD, .pgpass).
"""

import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage

from gamsearch.errors import OptionError, RunError, one_line
from gamsearch.files import UnreadableError, read_json, refuse_links
from gamsearch.study import proxy
from gamsearch.study.journal import Journal
from gamsearch.study.outage import StorageUnreachable, is_temporary
from gamsearch.study.proxy_listener import Listener
from gamsearch.study.retrying import RetryingStorage
from gamsearch.study.urls import check_url, masked, percent_encoded

JOURNAL = "study.journal"
STUDY_NAME = "gamsearch"
"""Name of the study in a journal, which holds only one."""
FILE = "storage.json"
VARIABLE = "GAMSEARCH_STORAGE"
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
ATTEMPTS = 3
"""Attempts to open a database."""
RACE_ERRORS = ("IntegrityError", "ProgrammingError", "OperationalError", "UniqueViolation")
"""What database drivers raise when two processes create the tables of a new database at the same time."""

_GIVEN: list[str] = []
"""The URLs that the user gave to this process, with their passwords."""


@dataclass(frozen=True)
class Address:
    """Where a study is stored.

    Attributes:
        folder: The run's folder.
        url: URL of the storage; empty for the journal in `folder`.
        study: Name of the study in the storage.
    """

    folder: Path
    url: str = ""
    study: str = STUDY_NAME

    @classmethod
    def of(cls, folder: Path) -> "Address":
        """Read the address that a run's folder records.

        Args:
            folder: The run's folder.

        Returns:
            The address, with the password if the user gave it to this process.

        Raises:
            RunError: If `storage.json` is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return cls(folder)
        try:
            content = read_json(path)
            recorded, study = str(content["storage"]), str(content["study"])
        except (OSError, UnreadableError, KeyError, TypeError) as error:
            raise RunError(f"{path} must hold JSON with 'storage' and 'study'; fix it or delete it") from error
        url = next((url for url in _trusted_urls() if masked(url) == recorded), recorded.replace(":***@", "@"))
        return cls(folder, url, study)

    def save(self) -> None:
        """Write the address into the folder for later commands; a journal needs no file."""
        if self.url:
            content = {"storage": masked(self.url), "study": self.study}
            (self.folder / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")

    @property
    def location(self) -> str:
        """The journal's path, or the URL without its password."""
        return masked(self.url) if self.url else str(self.folder / JOURNAL)

    def open(self) -> BaseStorage:
        """Open the storage.

        Raises:
            RunError: If the storage cannot be reached, or if only the folder, not the user, names its URL.
        """
        if self.url:
            _refuse_untrusted(self)
            return _connect(self.url)
        try:
            return cast(BaseStorage, RetryingStorage(JournalStorage(Journal(self.folder / JOURNAL)), self.location))
        except OSError as error:
            raise RunError(
                f"{self.location} cannot be opened ({error.strerror}); make the folder readable and writable"
            ) from error

    def exists(self) -> bool:
        """Whether the storage holds the study."""
        if not self.url:
            return (self.folder / JOURNAL).exists()
        return self.study in optuna.get_all_study_names(self.open())


def _trusted_urls() -> tuple[str, ...]:
    return (*_GIVEN, os.environ.get(VARIABLE, ""))


def _refuse_untrusted(address: Address) -> None:
    """Refuse a URL that only the folder names: a folder from elsewhere could have the password sent anywhere."""
    if address.url not in _trusted_urls():
        raise RunError(
            f"{address.folder / FILE} says that the study is in {address.location}; if that storage is yours, set the "
            f"environment variable {VARIABLE} to its URL (the password may be left to PGPASSWORD or .pgpass)"
        )


def configure_storage(folder: Path, url: str, study: str) -> str:
    """Connect to the storage that the user gave and record its address in the run's folder.

    Args:
        folder: The run's folder; it is created if the storage can be reached.
        url: URL of the storage (`--storage`); empty to use what the folder records.
        study: Name of the study in the storage.

    Returns:
        URL of the storage that is used, or an empty string for the journal in the folder.

    Raises:
        OptionError: If `url` is not a valid storage URL.
        RunError: If the storage cannot be reached, or if the folder already keeps its study elsewhere.
    """
    if not url:
        return Address.of(folder).url
    check_url(url)
    refuse_links(folder)
    if (folder / JOURNAL).exists():
        raise RunError(f"{folder} keeps its study in {JOURNAL}; leave out --storage or give another --name")
    _GIVEN.append(url)
    address = Address(folder, url, study)
    if (folder / FILE).exists() and masked((address := Address.of(folder)).url) != masked(url):
        raise RunError(f"the study of {folder} is in {address.location}, not in {masked(url)}; leave out --storage")
    address.open()  # fails before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    address.save()
    return address.url


def serve(url: str, listener: Listener) -> None:
    """Serve a database through Optuna's gRPC proxy until interrupted.

    Args:
        url: URL of the database.
        listener: Where to listen.

    Raises:
        OptionError: If `url` is not the URL of a database, or the listener is not safe.
        RunError: If the database cannot be reached, the port is not available or gRPC is not installed.
    """
    check_url(url)
    if url.startswith("grpc"):
        raise OptionError("--storage of `serve` must be the database itself, not another proxy")
    listener.check()
    proxy.serve(_connect(url), masked(url), listener)


@cache
def _connect(url: str) -> BaseStorage:
    """The storage at a URL; one per process, since each has its own connections."""
    check_url(url)
    connect: Callable[[str], BaseStorage] = proxy.connect if url.startswith("grpc") else _rdb
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return cast(BaseStorage, RetryingStorage(connect(url), masked(url)))
        except ImportError as error:
            package = error.name or one_line(error)
            raise RunError(
                f"{masked(url)} needs the package {package}, which is not installed: pip install 'gamsearch[storage]'"
            ) from error
        except (OptionError, RunError):
            raise
        except Exception as error:  # every database driver raises its own
            kind = StorageUnreachable if is_temporary(error) else RunError
            raise kind(
                f"the storage {masked(url)} cannot be reached ({masked(one_line(error))[:300]}); "
                "check that it is running, and its address, user and password"
            ) from error


def _rdb(url: str) -> BaseStorage:
    """A database."""
    scheme, rest = percent_encoded(url).split("://", 1)
    for _ in range(ATTEMPTS - 1):
        try:
            return _database(f"{DRIVERS.get(scheme, scheme)}://{rest}")
        except Exception as error:
            if type(error).__name__ not in RACE_ERRORS:
                raise
            time.sleep(1.0)
    return _database(f"{DRIVERS.get(scheme, scheme)}://{rest}")


def _database(url: str) -> BaseStorage:
    """A database whose dead connections are replaced (`pool_pre_ping`)."""
    return get_storage(RDBStorage(url, engine_kwargs={"pool_pre_ping": True}))
