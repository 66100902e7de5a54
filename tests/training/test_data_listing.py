"""The listing of a run's data names what differs later, and never stands in the way."""

from pathlib import Path

import pytest

from gamsearch.training.data_listing import LISTING, changes, keep
from gamsearch.training.dataset import DataSet


@pytest.fixture
def listed(tiny_data: Path, tmp_path: Path) -> tuple[DataSet, Path]:
    data = DataSet.read(tiny_data)
    keep(data, tmp_path)
    return data, tmp_path / LISTING


def test_the_same_data_differ_in_nothing_and_other_class_names_are_named(listed):
    data, path = listed
    assert changes(data.lines, path) == ""
    name = data.names[1]
    other = [line.replace(f"name 1 {name}", "name 1 other") for line in data.lines]
    assert changes(other, path) == f"1 differs: class 1 was {name}, is other"


def test_only_the_first_few_of_many_differences_are_named(listed):
    data, path = listed
    said = changes([line for line in data.lines if not line.startswith("train")], path)
    assert said.startswith("12 differ: train images/train/") and said.endswith(" and 7 more")
    assert said.count("is missing") == 5


@pytest.mark.parametrize("content", [None, b"", b"not gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0" + b"x" * 99])
def test_a_lost_or_damaged_listing_names_nothing(listed, content):
    data, path = listed
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert changes(data.lines[1:], path) == ""
