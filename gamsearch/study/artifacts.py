"""Files that workers on several machines need from each other, in Optuna's artifact store: a folder or an S3 bucket.

The study notes under `artifact:NAME` which artifact is the latest file of that name. Credentials and endpoint of S3 are
those that boto3 finds by itself (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...); none of them is recorded.
"""

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import Boto3ArtifactStore, FileSystemArtifactStore, upload_artifact

from gamsearch.errors import OptionError, RunError, one_line

PREFIX = "artifact:"
IDENTITY = re.compile(r"[0-9a-f-]{36}")
WEIGHTS = re.compile(r"weights/[0-9a-f]{12}-seed\d{1,10}\.pt")
S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})/?")


def asked_for(noted: str, given: str, needed: bool) -> str:
    """The place that the user gave; `RunError` if it is `needed` and only the study `noted` one, maybe anybody's.

    Files would be written there, or sent there with the user's credentials.
    """
    if noted and not given and needed:
        raise RunError(
            f"this study hands files on at {one_line(noted)[:200]}; give --artifacts with that if you trust the place"
        )
    return given


class Artifacts:
    """The files of one study; without a `place` nothing is handed on, since all workers share the run's folder."""

    def __init__(self, study: optuna.Study, place: str = ""):
        self.study, self.place = study, place
        self.store = _store(place) if place else None

    def upload(self, path: Path, name: str) -> None:
        """Hand on a file under a name; a later one of the same name replaces it."""
        if self.store is None:
            return
        with _sentence(self.place):
            identity = upload_artifact(artifact_store=self.store, file_path=str(path), study_or_trial=self.study)
        before = self._identity(name)
        self.study.set_user_attr(PREFIX + name, identity)
        if before is not None:
            with suppress(Exception):  # somebody may be reading it; it only takes up room
                self.store.remove(before)

    def download(self, name: str, path: Path) -> bool:
        """Copy the latest file of that name to `path`, in one step; False if there is none."""
        identity = self._identity(name)
        if self.store is None or identity is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.fetched")
        with _sentence(self.place):
            try:
                with self.store.open_reader(identity) as source, partial.open("wb") as target:
                    shutil.copyfileobj(source, target)
            except optuna.artifacts.exceptions.ArtifactNotFound:
                return False
            partial.replace(path)
        return True

    def _identity(self, name: str) -> str | None:
        found = self.study.user_attrs.get(PREFIX + name)
        return found if isinstance(found, str) and IDENTITY.fullmatch(found) else None


@contextmanager
def _sentence(place: str) -> Iterator[None]:
    """Whatever the store raises, as one sentence."""
    try:
        yield
    except Exception as error:  # each store has its own
        raise RunError(
            f"the artifact store {place} cannot be used ({one_line(error)[:200]}); check that it is there, "
            "and that this machine may read and write it"
        ) from error


def check_place(place: str) -> None:
    """Raise `OptionError` for an `--artifacts` that is neither a folder nor a bucket."""
    if place.startswith("s3://") and not S3.fullmatch(place):
        raise OptionError(
            f"--artifacts must be a folder or a bucket such as s3://my-bucket, not {one_line(place)[:200]}"
        )


def _store(place: str) -> Any:
    """The store at a folder or at `s3://bucket`."""
    check_place(place)
    if not place.startswith("s3://"):
        folder = Path(place)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise RunError(f"--artifacts {one_line(folder)} cannot be made ({error}); give another folder") from error
        return FileSystemArtifactStore(base_path=folder)
    try:
        import boto3  # noqa: F401  (Optuna imports it only when it is used)
    except ImportError as error:
        raise RunError(f"{place} needs boto3, which is not installed: pip install 'gamsearch[s3]'") from error
    return Boto3ArtifactStore(place.removeprefix("s3://").rstrip("/"))


def weights(attributes: Mapping[str, Any]) -> list[str]:
    """The names of all trained weights that were handed on."""
    found = (name.removeprefix(PREFIX) for name in attributes if name.startswith(PREFIX))
    return sorted(name for name in found if WEIGHTS.fullmatch(name))
