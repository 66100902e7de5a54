"""Messages suggest the nearest name and stay on one printable line."""

import pytest

from gamsearch.errors import LONGEST, CandidateFailed, GamsearchError, OptionError, nearest, one_line


def test_the_nearest_name_is_suggested_if_one_is_close():
    assert nearest("latencyms", ["latency_ms", "params_m"]) == " (did you mean 'latency_ms'?)"
    assert nearest("colour", ["latency_ms", "params_m"]) == "" == nearest("latency_ms", [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\n  two\tthree", "one two three"),
        ("\x1b[1;31mred\x1b[0m \a", "red ?"),
        ("\x1b]0;title\x07a\x9b2Jb\x1bc", "ab?c"),
        (ValueError("no"), "no"),
        ("", ""),
    ],
)
def test_any_text_becomes_one_printable_line(text: object, line: str):
    assert one_line(text) == line


def test_a_long_text_is_cut():
    assert one_line("x" * (LONGEST + 1)) == "x" * LONGEST + "…"


def test_a_failed_candidate_is_not_an_error_of_the_user():
    failed = CandidateFailed("nan", "the loss was not finite")
    assert str(failed) == "nan: the loss was not finite" and failed.reason in CandidateFailed.REASONS
    assert not isinstance(failed, GamsearchError) and issubclass(OptionError, GamsearchError)
