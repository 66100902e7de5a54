"""YAML files from anywhere are read as plain values or refused with a reason."""

from pathlib import Path

import pytest

from gamsearch.files import LARGEST, UnreadableError, printable, read_yaml


def written(folder: Path, content: bytes) -> Path:
    path = folder / "some.yaml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"a: [1, 2.5, yes, text]\n", {"a": [1, 2.5, True, "text"]}),
        (b"\xef\xbb\xbfa: 1\n", {"a": 1}),  # with a byte-order mark
        (b"", None),
    ],
)
def test_plain_values_are_read(tmp_path: Path, content: bytes, value: object):
    assert read_yaml(written(tmp_path, content)) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: &x [1]\nb: *x\n", r"it holds an alias \(\*name\); write the value out at line 2"),
        (b"a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor .* at line 1"),
        (b"a: [1\n", "at line 2"),
        (b"a: \xff\n", "it is not text in UTF-8"),
        (b"[" * 5000, "it is nested too deeply"),
        (b"# " + b"x" * LARGEST, "it is larger than 1 MiB"),
    ],
)
def test_anything_else_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str):
    with pytest.raises(UnreadableError, match=reason):
        read_yaml(written(tmp_path, content))


def test_a_missing_file_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "missing.yaml")


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 1, 'b': 2}\n", "- {1: a, 1: b}\n"])
def test_a_key_that_is_there_twice_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UnreadableError, match="is there twice at line"):
        read_yaml(tmp_path / "a.yaml")


def test_equal_keys_in_different_mappings_are_no_repetition(tmp_path):
    (tmp_path / "a.yaml").write_text("a: {b: 1}\nc: {b: 2}\n1: x\n'1': y\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"b": 1}, "c": {"b": 2}, 1: "x", "1": "y"}


def test_texts_of_a_record_keep_their_lines_and_lose_what_a_terminal_obeys():
    assert printable({"a\x1b[2J": ["one\n\x1b[31mtwo\x1b[0m", "\a", 3]}) == {"a": ["one\ntwo", "?", 3]}
