"""The schema of a record: what fits, and where a value that does not fit is reported."""

import math

import pytest

from gamsearch.study import schema
from gamsearch.study.record_check import trial_schema
from gamsearch.study.schema import mismatch

TRIAL = trial_schema("map50_95")
PLACED = {"detector": "yolov8n", "placements": [{"site": 4, "module": "GAM", "options": {"rate": 4}}]}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"key": "0123456789ab", "label": "GAM(4)", "seed": 0, "feasible": True, "architecture": PLACED},
        {"built": {"params_m": math.nan}, "curve": [{"epoch": 1, "map50_95": 0.1}], "stop": {"bound": None}},
        {"of_a_later_version": object()},
    ],
)
def test_what_fits_has_no_mismatch(value):
    assert mismatch(value, TRIAL) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"seed": "0"}, "trial 3.seed is a str ('0')"),
        ({"seed": True}, "trial 3.seed is a bool (True)"),
        ({"seed": -1}, "trial 3.seed is a int (-1)"),
        ({"built": {"gflops": math.inf}}, "trial 3.built.gflops is a float"),
        ({"key": "../../x"}, "trial 3.key is a str ('../../x')"),
        ({"curve": [{"epoch": 1, "map50_95": 0.1}, {"epoch": 2}]}, "trial 3.curve[1] is a dict"),
        ({"measurement": []}, "trial 3.measurement is a list"),
        ({"architecture": {**PLACED, "placements": [{"site": 4}]}}, "trial 3.architecture is a dict"),
        ({"label": "x" * (schema.LONGEST + 1)}, "trial 3.label is a str"),
    ],
)
def test_a_mismatch_names_the_place_and_the_value(value, message):
    assert mismatch(value, TRIAL, "trial 3") == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"screening": []}, "screening is a list"),
        ({"screening": {"values": {"0": ["many"]}}}, "screening.values.0[0] is a str ('many')"),
        ({"screening": {"architectures": [3]}}, "screening.architectures[0] is a int (3)"),
        ({"screening_answer": {"effects": [[4, {}]]}}, "screening_answer.effects[0][1] is a dict"),
        ({"settings": {"screen_seeds": "two"}}, "settings.screen_seeds is a str ('two')"),
    ],
)
def test_a_damaged_screening_is_named(value, message):
    assert mismatch(value, schema.STUDY) == message
