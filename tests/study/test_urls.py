"""Passwords in URLs are hidden whole, and nothing else is."""

import pytest

from gamsearch.study.urls import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ada:secret@db/gamsearch", "postgresql://ada:***@db/gamsearch"),
        ("--storage postgresql://ada:s@cr/et@db:5432/g --seed 0", "--storage postgresql://ada:***@db:5432/g --seed 0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("a://u:one@x b://u:two@y", "a://u:***@x b://u:***@y"),
        ("run --storage postgresql://ada@corp:secret@h/db", "run --storage postgresql://ada@corp:***@h/db"),
        ("postgresql://me@db:5432/g", "postgresql://me@db:5432/g"),
        ("http://host:8080/page", "http://host:8080/page"),
        ("ada@db and C:/data", "ada@db and C:/data"),
    ],
)
def test_a_password_is_hidden_whole_and_nothing_else(text, shown):
    assert masked(text) == shown == masked(shown)
