"""The settings of a run: their precedence, their bounds, and what a resumed run may change."""

from dataclasses import fields

import pytest

from gamsearch.errors import OptionError, RunError
from gamsearch.runs.settings import Settings, check, resolve

RECORDED = Settings(name="a", epochs=3, trials=7, objectives=("map50",)).to_dict()


def test_given_settings_precede_recorded_ones_and_those_precede_defaults():
    settings = resolve({"trials": 9, "name": "a", "epochs": None}, RECORDED, {"epochs": 8, "sampler": "tpe"})
    assert (settings.trials, settings.epochs, settings.sampler) == (9, 3, "auto")
    assert settings.objectives == ("map50",)
    assert resolve({"name": "b"}, None, {"epochs": 8}).epochs == 8


@pytest.mark.parametrize("name", [f.name for f in fields(Settings) if f.metadata.get("decisive")])
def test_a_resumed_run_keeps_every_decisive_setting(name):
    other = {"objectives": ("latency_ms",), "imports": ("a.yaml",), "train": {"lr0": 0.1}, "stopping": "off"}.get(name)
    changed = other or (RECORDED[name] + (32 if name == "imgsz" else 1 if isinstance(RECORDED[name], int) else "x"))
    flag = "--import" if name == "imports" else "--" + name.replace("_", "-")
    with pytest.raises(RunError, match=f"was made with {flag} .*, not .*; leave {flag} out to resume it"):
        resolve({name: changed, "name": "a"}, RECORDED, {})
    assert resolve({name: getattr(resolve({"name": "a"}, RECORDED, {}), name)}, RECORDED, {}).name == "a"


def test_a_resumed_run_keeps_the_latency_backend_that_auto_was_when_it_began():
    recorded = {**RECORDED, "latency_backend": "torch"}
    for given in {"name": "a"}, {"name": "a", "latency": "auto"}:
        assert resolve(given, recorded, {}).latency == "torch"
    assert resolve({"name": "a"}, RECORDED, {}).latency == "auto"


@pytest.mark.parametrize("name", ["trials", "device", "sampler", "out"])
def test_a_resumed_run_may_change_what_decides_no_figure(name):
    value = {"trials": 50, "device": "cpu", "sampler": "tpe", "out": "elsewhere"}[name]
    assert getattr(resolve({name: value}, RECORDED, {}), name) == value


@pytest.mark.parametrize("setting", [f for f in fields(Settings) if "bounds" in f.metadata], ids=lambda f: f.name)
def test_numbers_must_lie_within_their_bounds(setting):
    lowest, highest = setting.metadata["bounds"]
    for value in (lowest, highest):
        check(Settings(**{"name": "a", setting.name: value}))
    with pytest.raises(OptionError, match=f"must be at least {lowest}, not {lowest - 1}"):
        check(Settings(**{"name": "a", setting.name: lowest - 1}))
    with pytest.raises(OptionError, match=f"must be at most {highest}, not {highest + 1}"):
        check(Settings(**{"name": "a", setting.name: highest + 1}))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"imgsz": 100}, "multiple of 32, not 100; use 96"),
        ({"name": "../a"}, "--name must be letters"),
        ({"name": ""}, "--name must be letters"),
        ({"stopping": "never"}, "never"),
        ({"budget": "soon"}, "--budget must be"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(OptionError, match=sentence):
        check(Settings(**{"name": "a", **settings}))


def test_trials_and_budget_exclude_each_other_and_trials_replace_a_recorded_budget():
    with pytest.raises(OptionError, match="give one of them"):
        resolve({"trials": 3, "budget": "3h", "name": "a"}, None, {})
    recorded = {**RECORDED, "budget": "3h"}
    assert resolve({}, recorded, {}).search_budget.unit == "hours"
    assert resolve({"trials": 3}, recorded, {}).search_budget.amount == 3
