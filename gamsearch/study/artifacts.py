"""Files that workers on several machines share, in Optuna's artifact store: a folder or an S3 bucket.

The study records under `artifact:NAME` which artifact is the latest file of that name. boto3 finds the credentials and
the endpoint of S3 itself (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...); none of them is recorded.
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
ARTIFACT_ID = re.compile(r"[0-9a-f-]{36}")
WEIGHTS = re.compile(r"weights/[0-9a-f]{12}-seed\d{1,10}\.pt")
S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})/?")


def trusted_place(recorded: str, given: str, needed: bool) -> str:
    """Return the artifact store to use: only one that the user gave, never one that only the study names.

    Files would be written there, or sent there with the user's credentials.

    Args:
        recorded: Artifact store that the study records; empty if none.
        given: Artifact store that the user gave (`--artifacts`); empty if none.
        needed: Whether the worker cannot do without an artifact store.

    Returns:
        `given`.

    Raises:
        RunError: If an artifact store is needed and only the study names one.
    """
    if recorded and not given and needed:
        raise RunError(
            f"this study shares files through {one_line(recorded)[:200]}; give --artifacts with that value if you "
            "trust the place"
        )
    return given


class Artifacts:
    """The shared files of one study.

    Without a `place`, nothing is uploaded or downloaded, since all workers share the run's folder.
    """

    def __init__(self, study: optuna.Study, place: str = ""):
        self.study, self.place = study, place
        self.store = _store(place) if place else None

    def upload(self, path: Path, name: str) -> None:
        """Upload a file under a name; it replaces an earlier file of that name.

        Args:
            path: The file.
            name: Name under which workers download it.

        Raises:
            RunError: If the artifact store cannot be used.
        """
        if self.store is None:
            return
        with _store_errors(self.place):
            artifact_id = upload_artifact(artifact_store=self.store, file_path=str(path), study_or_trial=self.study)
        replaced = self._artifact_id(name)
        self.study.set_user_attr(PREFIX + name, artifact_id)
        if replaced is not None:
            with suppress(Exception):  # another worker may be reading it; a leftover only takes up space
                self.store.remove(replaced)

    def download(self, name: str, path: Path) -> bool:
        """Download the latest file of a name atomically.

        Args:
            name: Name under which it was uploaded.
            path: File to write.

        Returns:
            Whether there was such a file.

        Raises:
            RunError: If the artifact store cannot be used.
        """
        artifact_id = self._artifact_id(name)
        if self.store is None or artifact_id is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.fetched")
        with _store_errors(self.place):
            try:
                with self.store.open_reader(artifact_id) as source, partial.open("wb") as target:
                    shutil.copyfileobj(source, target)
            except optuna.artifacts.exceptions.ArtifactNotFound:
                return False
            partial.replace(path)
        return True

    def _artifact_id(self, name: str) -> str | None:
        """The recorded artifact, if its ID has the right form: it becomes part of a path."""
        found = self.study.user_attrs.get(PREFIX + name)
        return found if isinstance(found, str) and ARTIFACT_ID.fullmatch(found) else None


@contextmanager
def _store_errors(place: str) -> Iterator[None]:
    """Turn whatever the store raises into a `RunError`."""
    try:
        yield
    except Exception as error:  # every store raises its own
        raise RunError(
            f"the artifact store {place} cannot be used ({one_line(error)[:200]}); check that it exists and that this "
            "machine may read and write it"
        ) from error


def check_place(place: str) -> None:
    """Check that `--artifacts` is a folder or a bucket.

    Args:
        place: The option's value.

    Raises:
        OptionError: If it is neither.
    """
    if place.startswith("s3://") and not S3.fullmatch(place):
        raise OptionError(
            f"--artifacts must be a folder or a bucket such as s3://my-bucket, not {one_line(place)[:200]}"
        )


def _store(place: str) -> Any:
    """The artifact store at a folder or at `s3://bucket`."""
    check_place(place)
    if not place.startswith("s3://"):
        folder = Path(place)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise RunError(
                f"--artifacts {one_line(folder)} cannot be created ({error}); give another folder"
            ) from error
        return FileSystemArtifactStore(base_path=folder)
    try:
        import boto3  # noqa: F401  (Optuna imports it only when it is used)
    except ImportError as error:
        raise RunError(f"{place} needs boto3, which is not installed: pip install 'gamsearch[s3]'") from error
    return Boto3ArtifactStore(place.removeprefix("s3://").rstrip("/"))


def uploaded_weights(attributes: Mapping[str, Any]) -> list[str]:
    """Return the names of all trained weights that were uploaded.

    Args:
        attributes: User attributes of the study.

    Returns:
        Sorted names, which are also paths in a run's folder.
    """
    names = (name.removeprefix(PREFIX) for name in attributes if name.startswith(PREFIX))
    return sorted(name for name in names if WEIGHTS.fullmatch(name))
