"""What a site selector must do, on detectors of several families."""

from dataclasses import dataclass

from gamsearch.space.detector import Detector
from gamsearch.space.selectors import SELECTORS, Selector, select

DETECTORS = ("yolov8n", "yolov8n-p2", "yolov8n-p6", "yolov5n", "yolo11n", "yolo12n")


@dataclass(frozen=True)
class Case:
    """A selector and a detector."""

    name: str
    find: Selector
    detector: Detector


def cases(name: str) -> dict[str, Case]:
    """The selector on each detector that is installed."""
    from gamsearch.space.stock import stock_detectors

    find, known = SELECTORS.named(name), stock_detectors()
    return {d: Case(name, find, Detector.load(d)) for d in DETECTORS if d in known or d == "yolov8n"}


def finds_only_rows_that_attention_can_follow(case: Case) -> None:
    for site in case.find(case.detector):
        reason = case.detector.why_no_site(site)
        assert reason is None, reason


def finds_each_row_once_in_ascending_order(case: Case) -> None:
    found = case.find(case.detector)
    assert list(found) == sorted(set(found)), f"{found} is not ascending"


def finds_something_as_a_word_of_a_space_file(case: Case) -> None:
    found = [name for name, other in cases(case.name).items() if other.find(other.detector)]
    assert found, f"it finds no row in any of {', '.join(DETECTORS)}"
    assert select(Detector.load(found[0]), case.name), "it finds no row"


def states_what_it_is(case: Case) -> None:
    assert case.find.__doc__, "the function has no docstring, which lists show"


CHECKS = (
    states_what_it_is,
    finds_only_rows_that_attention_can_follow,
    finds_each_row_once_in_ascending_order,
    finds_something_as_a_word_of_a_space_file,
)
