"""Shapes of rows are kept between processes, as long as they can be trusted."""

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import torch

from gamsearch.errors import ModelError
from gamsearch.parser import shapes

YAML = {
    "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "C2f", [16, True]]],
    "head": [[[1], 1, "Detect", ["nc"]]],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shapes._shapes.cache_clear()
    yield tmp_path / "gamsearch" / "shapes"
    shapes._shapes.cache_clear()


def read(yaml: dict[str, Any] = YAML) -> list[tuple[int, int, bool, int, int]]:
    shapes._shapes.cache_clear()
    return [astuple(shape) for shape in shapes.shapes_of(yaml)]


def test_shapes_are_kept_and_a_damaged_entry_is_read_anew(folder: Path) -> None:
    first = read()
    assert first == [(16, 2, True, 1, 0), (16, 2, True, 4, 8)]
    (entry,) = folder.glob("*.json")
    entry.write_text(entry.read_text().replace("16", "24"))
    assert read() == [(24, 2, True, 1, 0), (24, 2, True, 4, 8)]  # it is read from there
    for damaged in ("", "[]", '[[16, 2, true, 4, "8"]]', "{}", "[[16, 2, true, 1, 0]]"):
        entry.write_text(damaged)
        assert read() == first


def test_a_module_of_the_user_is_not_kept_as_its_code_may_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(torch.nn.Identity):
        pass

    monkeypatch.setattr("ultralytics.nn.tasks.Mine", Mine, raising=False)
    read({**YAML, "backbone": [*YAML["backbone"], [-1, 1, "Mine", []]]})
    assert not folder.exists()


def test_a_class_of_the_user_in_place_of_a_stock_one_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(torch.nn.Identity):
        pass

    stock = read()
    monkeypatch.setattr("ultralytics.nn.tasks.C2f", Mine)
    assert read() == [stock[0], (16, 2, True, 0, 0)]


@pytest.mark.parametrize("broken", range(4))
def test_the_first_of_several_rows_that_cannot_be_built_is_named(broken: int) -> None:
    rows = [[-1, 1, "Conv", [16, 3, 2]] for _ in range(4)]
    for row in rows[broken:]:
        row[3] = [16, "wide", 2]
    with pytest.raises(ModelError, match=f"row {broken}, "):
        read({**YAML, "backbone": rows})


def test_a_folder_that_cannot_be_written_to_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(read()) == 2


def test_a_map_without_pixels_has_a_shape_like_any_other() -> None:
    assert read({**YAML, "backbone": [*YAML["backbone"], [-1, 1, "nn.AdaptiveAvgPool2d", [0]]]})[-1][0] == 16
