"""Where a run's study is kept: in a journal in its folder, or in an Optuna storage that several machines reach.

A folder whose study is elsewhere says so in `storage.json`, without the password. That comes from `--storage`, from the
environment variable GAMSEARCH_STORAGE (the whole URL), or from what PostgreSQL's library reads (PGPASSWORD, .pgpass).
"""

import json
import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import optuna
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage, get_storage
from optuna.trial import TrialState

from gamsearch.errors import OptionError, RunError, one_line
from gamsearch.files import refuse_links
from gamsearch.study.journal import Journal
from gamsearch.study.masking import USER, masked

JOURNAL = "study.journal"
STUDY_NAME = "gamsearch"
"""Name of the study in a journal, which holds no other."""
FILE = "storage.json"
VARIABLE = "GAMSEARCH_STORAGE"
FORM = re.compile(r"(grpc|sqlite|postgresql|mysql|mariadb)(\+\w+)?://\S+")
ENCLOSED = re.compile(rf"({USER}:)(\S+)@")
"""A password may hold characters that part a URL; in the URL of a database they must be percent-encoded."""
RETRY_S = 600.0
"""So long a storage that went away is waited for."""
OPENINGS = 3
CONNECT_S = 20.0
"""So long one is waited for when it is first opened."""


_GIVEN: list[str] = []
"""The URLs that this process was given, passwords and all."""


@dataclass(frozen=True)
class Address:
    """Where a study is: `url` (empty for the journal in `folder`) and its name there."""

    folder: Path
    url: str = ""
    study: str = STUDY_NAME

    @classmethod
    def of(cls, folder: Path) -> "Address":
        """The address that a run's folder notes, with the password if this process was given it."""
        path = folder / FILE
        if not path.is_file():
            return cls(folder)
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            known, study = str(noted["storage"]), str(noted["study"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} must hold JSON with 'storage' and 'study'; mend it or delete it") from error
        given = (*_GIVEN, os.environ.get(VARIABLE, ""))
        return cls(folder, next((url for url in given if masked(url) == known), known.replace(":***@", "@")), study)

    def note(self) -> None:
        """Write the address into the folder, for whoever opens it later; a journal needs no note."""
        if self.url:
            content = {"storage": masked(self.url), "study": self.study}
            (self.folder / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")

    @property
    def shown(self) -> str:
        """The journal's path or the URL without its password."""
        return masked(self.url) if self.url else str(self.folder / JOURNAL)

    def open(self) -> BaseStorage:
        """The storage; `RunError` in one sentence if it cannot be reached."""
        if self.url:
            _refuse_unasked(self)
            return _reached(self.url)
        try:
            return JournalStorage(Journal(self.folder / JOURNAL))
        except OSError as error:
            raise RunError(
                f"{self.shown} cannot be opened ({error.strerror}); make the folder readable and writable"
            ) from error

    def exists(self) -> bool:
        """Whether the study is there."""
        if not self.url:
            return (self.folder / JOURNAL).exists()
        return self.study in optuna.get_all_study_names(self.open())


def _refuse_unasked(address: Address) -> None:
    """A folder from elsewhere must not have us connect, and send a password, to wherever it says."""
    if address.url not in (*_GIVEN, os.environ.get(VARIABLE, "")):
        raise RunError(
            f"{address.folder / FILE} says that the study is in {address.shown}; if that storage is yours, set the "
            f"environment variable {VARIABLE} to its URL (the password may be left to PGPASSWORD or .pgpass)"
        )


def configure_storage(folder: Path, url: str, study: str) -> str:
    """Note in a run's folder that its study `study` is at `url`, if one is given, and return the URL that is used."""
    if not url:
        return Address.of(folder).url
    check_url(url)
    refuse_links(folder)
    if (folder / JOURNAL).exists():
        raise RunError(f"{folder} keeps its study in {JOURNAL}; leave --storage out, or give another --name")
    _GIVEN.append(url)
    address = Address(folder, url, study)
    if (folder / FILE).exists() and masked((address := Address.of(folder)).url) != masked(url):
        raise RunError(f"the study of {folder} is in {address.shown}, not in {masked(url)}; leave --storage out")
    address.open()  # before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    address.note()
    return address.url


def serve(url: str, host: str, port: int) -> None:
    """Serve a database by Optuna's gRPC proxy until it is stopped."""
    check_url(url)
    if url.startswith("grpc"):
        raise OptionError("--storage of `serve` must be the database itself, not another proxy")
    storage = _reached(url)
    print(f"serving {masked(url)} at grpc://{host}:{port} to whoever can reach it; Ctrl-C ends it", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            optuna.storages.run_grpc_proxy_server(storage, host=host, port=port)
        except ImportError as error:
            raise RunError(f"`serve` needs the package {error.name}: pip install 'gamsearch[storage]'") from error
        except (RuntimeError, OverflowError) as error:
            raise RunError(
                f"{host}:{port} cannot be listened at ({one_line(error)[:200]}); give another port"
            ) from error


def check_url(url: str) -> None:
    """Raise `OptionError` for a `--storage` that is no URL of a storage."""
    if not FORM.fullmatch(url):
        raise OptionError(
            "--storage must be the URL of an Optuna storage, such as postgresql://user@host/database, sqlite:///a.db "
            "or grpc://host:13000; what was given is not shown, since it may hold a password"
        )
    if re.search(r"[?&]\w*(pass|pwd)\w*=", url, re.IGNORECASE):
        raise OptionError(
            "a password in --storage goes before the host, as in postgresql://user:password@host/database"
        )
    if url.startswith("grpc") and "@" in url:
        raise OptionError("--storage grpc:// takes host and port alone, such as grpc://host:13000")
    if not url.startswith("sqlite") and re.match(r"[^:]+://[^@/?]*/[^?]*:[^?]*@", url):
        raise OptionError("a / in the user of --storage must be written %2F")


@cache
def _reached(url: str) -> BaseStorage:
    """The storage at a URL, one for the whole process: each has connections of its own."""
    check_url(url)
    make: Callable[[str], BaseStorage] = _grpc if url.startswith("grpc://") else _rdb
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return cast(BaseStorage, RetryingStorage(make(url), masked(url)))
        except ImportError as error:
            package = error.name or one_line(error)
            raise RunError(
                f"{masked(url)} needs the package {package}, not installed here: pip install 'gamsearch[storage]'"
            ) from error
        except (OptionError, RunError):
            raise
        except Exception as error:  # each engine has its own
            raise RunError(
                f"the storage {masked(url)} cannot be reached ({masked(one_line(error))[:300]}); "
                "check that it runs, and its address, user and password"
            ) from error


def _rdb(url: str) -> BaseStorage:
    """A database; connections that died meanwhile are replaced."""
    scheme, rest = ENCLOSED.sub(lambda found: f"{found[1]}{quote(found[2], safe='%')}@", url).split("://", 1)
    driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
    for _ in range(OPENINGS - 1):
        try:
            return _database(f"{driver.get(scheme, scheme)}://{rest}")
        except Exception as error:  # each engine has its own
            if type(error).__name__ not in (
                "IntegrityError",
                "ProgrammingError",
                "OperationalError",
                "UniqueViolation",
            ):
                raise
            time.sleep(1.0)  # two processes that make the tables of a new database at once get in each other's way
    return _database(f"{driver.get(scheme, scheme)}://{rest}")


def _database(url: str) -> BaseStorage:
    return get_storage(RDBStorage(url, engine_kwargs={"pool_pre_ping": True}))


def _grpc(url: str) -> BaseStorage:
    host, _, port = url.removeprefix("grpc://").strip("/").rpartition(":")
    if not host or not port.isdigit():
        raise OptionError(f"--storage {masked(url)} must name host and port, such as grpc://host:13000")
    import google.protobuf  # noqa: F401  (Optuna imports both only when they are used)
    import grpc  # noqa: F401

    proxy = GrpcStorageProxy(host=host, port=int(port))
    proxy.wait_server_ready(timeout=CONNECT_S)
    return proxy


class RetryingStorage:
    """A storage whose calls are repeated while it is away, for up to `RETRY_S`; it has all methods of `storage`."""

    def __init__(self, storage: BaseStorage, shown: str, patience_s: float = RETRY_S):
        self._storage, self._shown, self._patience_s = storage, shown, patience_s

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return getattr(self._storage, name)(*arguments, **named)
            except optuna.exceptions.UpdateFinishedTrialError:
                popping = any(value is TrialState.RUNNING for value in (*arguments, *named.values()))
                ending = name == "set_trial_state_values" and not popping
                if tries and ending:
                    return True  # the answer to the first try was lost, its effect was not
                raise
            except Exception as error:
                if not _is_unreachable(error):
                    raise
                if time.monotonic() - begun > self._patience_s:
                    raise RunError(
                        f"the storage {self._shown} has not answered for {self._patience_s:.0f} s "
                        f"({masked(one_line(error))[:200]}); everything recorded is kept, start again when it is back"
                    ) from error
            tries += 1
            time.sleep(min(0.2 * 2**tries, 5.0))


def _retrying(name: str) -> Callable[..., Any]:
    def call(self: RetryingStorage, *arguments: Any, **named: Any) -> Any:
        return self._call(name, *arguments, **named)

    return call


for _name, _value in vars(BaseStorage).items():
    if callable(_value) and not _name.startswith("_"):
        setattr(RetryingStorage, _name, _retrying(_name))
BaseStorage.register(RetryingStorage)


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether an error says that a server cannot be reached just now, rather than that it was asked wrongly."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__name__ in (
            *("OperationalError", "InterfaceError", "DisconnectionError", "AdminShutdown"),
        ):
            return True
        code = getattr(error, "code", None)
        if callable(code) and getattr(code(), "name", "") in ("UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED"):
            return True
        error = error.__cause__
    return False
