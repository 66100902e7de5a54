"""A study is created whole, opened checked, and read without a trace."""

from dataclasses import replace

import pytest
from optuna.trial import TrialState

from gamsearch.errors import OptionError, RunError
from gamsearch.metrics import METRICS, Metric, metric_named, metrics_of, plugin_forms
from gamsearch.study import store
from gamsearch.study.journal import Journal

OBJECTIVES = [metric_named("map50_95"), metric_named("latency_ms")]


def test_what_is_created_is_loaded(tmp_path):
    assert not store.exists(tmp_path)
    store.create(tmp_path, OBJECTIVES, {"settings": {"epochs": 3}})
    study = store.load(tmp_path)
    assert store.exists(tmp_path) and study.user_attrs["settings"] == {"epochs": 3}
    assert store.objectives_of(study) == tuple(OBJECTIVES) and study.metric_names == ["map50_95", "latency_ms"]


@pytest.mark.parametrize("reads", [store.load, store.snapshot])
def test_a_folder_without_a_run_is_refused(tmp_path, reads):
    with pytest.raises(RunError, match="holds no run"):
        reads(tmp_path)


def test_a_snapshot_neither_sees_nor_cuts_a_torn_line(tmp_path, study):
    path = tmp_path / store.JOURNAL
    torn = path.read_bytes() + b'{"op_code": 4, "trial'
    path.write_bytes(torn)
    seen = store.snapshot(tmp_path)
    assert seen.user_attrs == study.user_attrs and path.read_bytes() == torn
    with pytest.raises(RunError, match="read-only"):
        seen.set_user_attr("open", True)
    assert store.repair_torn_line(tmp_path) and not Journal(path).repair()


def test_a_study_of_another_schema_is_refused(tmp_path, study):
    study.set_user_attr("schema", store.SCHEMA + 1)
    with pytest.raises(RunError, match=f"was recorded with schema {store.SCHEMA + 1}"):
        store.load(tmp_path)


def test_a_complete_trial_without_its_metrics_is_reported(tmp_path, study):
    study.tell(study.ask(), [0.4, 5.0])
    with pytest.raises(RunError, match="is damaged: trial 0 is complete without latency_ms, map50, map50_95"):
        store.load(tmp_path)


def test_the_baseline_is_the_first_evaluated_trial_of_that_label(study):
    for attributes in ({"label": "GAM(4)"}, {"label": "baseline", "recalled_from": 2}, {"label": "baseline"}):
        assert store.baseline_trial(study) is None
        trial = study.ask()
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        study.tell(trial, [0.4, 5.0])
    found = store.baseline_trial(study)
    assert found is not None and found.number == 2
    assert [t.number for t in store.trials(study, TrialState.COMPLETE)] == [0, 1, 2]


def test_a_run_with_a_metric_of_a_plug_in_is_read_where_the_plug_in_is_not(tmp_path):
    rows = Metric("rows_of_yaml", "rows", "minimize", "built", lambda candidate: 1.0, "rows")
    with METRICS.temporarily(rows.name, rows):
        study = store.create(tmp_path, [metric_named("map50_95"), rows], {"settings": {}})
        assert study.user_attrs["metrics"] == {
            "rows_of_yaml": {"unit": "rows", "direction": "minimize", "stage": "built", "title": "rows"}
        }
    assert "rows_of_yaml" not in METRICS
    with METRICS.temporarily(
        "another", replace(rows, name="another")
    ):  # what is added meanwhile is forgotten at the end
        _, read = store.objectives_of(store.snapshot(tmp_path))
        assert (read.title, read.unit, read.maximise) == ("rows", "rows", False)
        with pytest.raises(OptionError, match="defined by a plug-in that is not imported here"):
            read.compute(None)
        assert read not in metrics_of("built") and "rows_of_yaml" not in plugin_forms()  # a new run cannot compute it
        METRICS.add("rows_of_yaml", rows, "my_plugin:rows")  # whoever defines it replaces what was read
        assert METRICS["rows_of_yaml"] is rows and rows in metrics_of("built") and "rows_of_yaml" in plugin_forms()


@pytest.mark.parametrize(
    "form",
    [{"unit": "rows"}, {"unit": "rows", "direction": "up", "stage": "built", "title": ""}, ["unit"]],
)
def test_a_damaged_description_of_a_metric_is_refused(tmp_path, form):
    study = store.create(tmp_path, [metric_named("map50_95")], {"settings": {}})
    study.set_user_attr("metrics", {"rows_of_yaml": form})
    with pytest.raises(RunError, match=r"is damaged: (metrics|its metrics)"):
        store.snapshot(tmp_path)
    assert "rows_of_yaml" not in METRICS


@pytest.mark.parametrize("name", ["state", "map50_95_gain", "misplaced", "two words", "\x1b[2J"])
def test_a_metric_of_a_record_cannot_have_the_name_of_another_column(tmp_path, name):
    study = store.create(tmp_path, [metric_named("map50_95")], {"settings": {}})
    study.set_user_attr("metrics", {name: {"unit": "", "direction": "minimize", "stage": "built", "title": ""}})
    with pytest.raises(RunError, match="is damaged: a metric cannot be called") as refused:
        store.snapshot(tmp_path)
    assert name not in METRICS and "\x1b" not in str(refused.value)
