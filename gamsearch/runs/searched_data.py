"""The data set that a run searched, read again and compared with what was recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gamsearch.errors import RunError
from gamsearch.tasks import Task
from gamsearch.training.data_listing import LISTING, changes
from gamsearch.training.dataset import DataSet


def searched_data(folder: Path, place: str, recorded: Mapping[str, Any], task: Task, purpose: str) -> DataSet:
    """Read the data set of a run.

    Args:
        folder: The run's folder.
        place: Where the data are now.
        recorded: The settings that the run recorded.
        task: Its task.
        purpose: What the data are for, as `verify`.

    Returns:
        The checked data.

    Raises:
        DataError: They cannot be read.
        RunError: They are not those that the run searched, or the run replayed a table.
    """
    if not place or recorded.get("evaluator") == "replay":
        raise RunError(f"{folder} replays a table and names no data, so there is nothing to {purpose} with")
    data = DataSet.read(place, task).checked()
    if recorded.get("data_fingerprint", data.fingerprint) != data.fingerprint:
        named = changes(data.lines, folder / LISTING)
        raise RunError(
            f"the data in {place} changed since {folder} searched them{f' ({named})' if named else ''}; "
            f"restore them to {purpose}"
        )
    return data
