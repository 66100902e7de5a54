"""Spaces whose modules, rules and metrics come from a plug-in that the file names."""

import random
from pathlib import Path

import pytest

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.errors import OptionError, SpaceError
from gamsearch.metrics import METRICS, Metric, metric
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.space.rules import RULES
from gamsearch.space.search_space import SearchSpace

PLUGIN = '''
from torch import nn
import gamsearch


@gamsearch.register.attention
class PlainGate(nn.Module):
    """A module without options."""

    def __init__(self, channels: int = 0):
        super().__init__()

    def forward(self, x):
        return x


@gamsearch.register.rule(problem=lambda sites, value: None if type(value) is int else "must be a number")
def fewest_modules_never(sites, value):
    """Fewer than `value` modules."""
    return "too many" if len(sites) >= value else None


@gamsearch.register.metric("depth", unit="rows", direction="minimize", stage="built")
def depth(candidate):
    """Rows of the detector."""
    return float(len(candidate.model.model))
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch):
    """An importable module `gates_for_spaces`, forgotten afterwards."""
    import sys

    (tmp_path / "gates_for_spaces.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "gates_for_spaces"
    sys.modules.pop("gates_for_spaces", None)
    for registry, name in ((CATALOGUE, "PlainGate"), (RULES, "fewest_modules_never"), (METRICS, "depth")):
        registry._entries.pop(name, None)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text("detector: yolov8n\nsites: [4, 9]\n" + text)
    return path


def test_what_a_plugin_registers_can_be_used_in_the_rest_of_the_file(plugin, tmp_path):
    text = f"plugins: {plugin}\nattention: {{PlainGate: , GAM: {{rate: [4, 8]}}}}\nrules: {{fewest_modules_never: 3}}\n"
    space = SearchSpace.load(written(tmp_path, text + "objectives: [map50_95, depth]\n"))
    assert space.plugins == (plugin,) and space.objectives == ("map50_95", "depth")
    assert {p.label for p in space.choices[4]} == {"PlainGate@4", "GAM@4 r8", "GAM@4 r4"}
    assert space.size == 4 * 4


def test_a_module_without_a_strength_is_present_or_absent(plugin, tmp_path):
    space = SearchSpace.load(written(tmp_path, f"plugins: [{plugin}]\nattention: {{PlainGate: }}\n"))
    assert space.parameters == {"site4.strength": (0, 1), "site9.strength": (0, 1)} and space.size == 4
    every = list(space.enumerate())
    assert sorted(a.label for a in every) == ["PlainGate@4", "PlainGate@4 + PlainGate@9", "PlainGate@9", "baseline"]
    assert all(space.decode(space.encode(a)) == a for a in every)
    rows = [row for row in graft(space.detector, every[-1]).yaml["backbone"] if row[2] == "PlainGate"]
    assert rows == [[-1, 1, "PlainGate", ["c2"]]] * 2
    assert space.anchors() and not space.sample_random(random.Random(0)).is_baseline


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("plugins: [nothing_of_that_name]\n", "key 'plugins': there is no module 'nothing_of_that_name'"),
        ("plugins: [../evil.py]\n", "key 'plugins': must name importable modules"),
        ("plugins: {a: b}\n", "key 'plugins': must name importable modules"),
    ],
)
def test_a_plugin_that_cannot_be_imported_names_the_key(tmp_path, text, sentence):
    with pytest.raises(SpaceError, match=sentence):
        SearchSpace.load(written(tmp_path, text + "attention: {GAM: {rate: 4}}\n"))


def test_a_plugin_in_the_folder_that_the_file_was_received_in_is_not_run(plugin, tmp_path):
    path = written(tmp_path, f"plugins: {plugin}\nattention: {{GAM: {{rate: 4}}}}\n")
    with pytest.raises(SpaceError, match="from which no code is run"):
        SearchSpace.load(path, not_below=tmp_path)
    assert "PlainGate" not in CATALOGUE


def test_a_metric_of_boxes_is_an_objective_where_boxes_are_judged_and_refused_elsewhere(tmp_path):
    recall = Metric("recall", "", "maximize", "trained", lambda results: results["metrics/recall(B)"])
    loss = Metric("box_loss", "", "minimize", "trained", lambda results: results["val/box_loss"])
    path = tmp_path / "mine.yaml"
    path.write_text("detector: yolov8n\nsites: [4]\nattention: {SE: {}}\nobjectives: [recall, box_loss]\n")
    with METRICS.temporarily("recall", recall), METRICS.temporarily("box_loss", loss):
        assert SearchSpace.load(path, Detector.load("yolov8n-pose")).objectives == ("recall", "box_loss")
        classifier = Detector.load("yolov8n-cls")
        with pytest.raises(SpaceError, match=r"recall is not measured in .*, whose .* no 'metrics/recall\(B\)'; there"):
            SearchSpace.load(path, classifier)
        assert recall not in classifier.task.trained_metrics  # nor computed where a plug-in adds it


@pytest.mark.parametrize("name", ["label", "epoch", "latency_ratio", "top1_gain"])
def test_a_metric_with_the_name_of_another_column_is_refused_when_it_is_registered(name):
    with pytest.raises(OptionError, match=f"a metric cannot be called '{name}', which the table of trials uses"):
        metric(name, unit="", direction="minimize", stage="built")
    assert name not in METRICS
