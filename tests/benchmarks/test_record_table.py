"""Recording of tables: the settings of the planted worlds, and what is assembled. Nothing is trained."""

import json
from argparse import Namespace

import pytest
import record_table
from planted import WORLDS
from support.paths import ROOT

from gamsearch.space.search_space import SearchSpace
from gamsearch.training.replay import ReplayTable


@pytest.mark.parametrize("name", ["planted", "planted-signs-modules"])
def test_every_world_is_recorded_in_the_settings_of_the_shipped_table(name):
    shipped = json.loads((ROOT / "results/tables/planted.json").read_text())
    options = record_table.world_options(record_table.read_options(["world", name]))
    kept = ("epochs", "seeds", "imgsz", "batch", "fork_epochs", "fresh_lr_factor")
    assert {key: getattr(options, key) for key in kept} == {key: shipped[key] for key in kept}
    assert options.data in WORLDS and options.train == ["lr0=0.001", "workers=0"]
    assert (
        SearchSpace.load(ROOT / options.space if "/" in options.space else options.space).detector.name == "nearsighted"
    )


def test_the_space_with_several_modules_offers_each_at_every_site_beside_the_rates():
    space = SearchSpace.load(ROOT / "benchmarks/planted-modules.yaml")
    placed = [p for a in space.enumerate() if len(a.placements) == 1 for p in a.placements]
    for site in (2, 4, 6):
        own = [p for p in placed if p.site == site]
        assert len({p.module for p in own}) >= 4 and len({p.label for p in own}) > len({p.module for p in own})


def test_a_training_that_is_missing_leaves_its_architecture_out_of_the_table(tmp_path, capsys):
    space, trained = SearchSpace.load("planted"), tmp_path / "trainings"
    trained.mkdir()
    chosen = [space.baseline, *[a for a in space.enumerate() if len(a.placements) == 1][:2]]
    for seed, architectures in ((0, chosen), (1, chosen[:2])):
        for architecture in architectures:
            content = {
                "architecture": architecture.to_dict(),
                "seed": seed,
                "metrics": {"latency_ms": 2.0, "latency_ratio": 1.1, "map50": 0.5, "map50_95": 0.4},
                "curve": [{"epoch": 1, "map50": 0.5, "map50_95": 0.4}],
                "provenance": {"seconds": 3.0},
            }
            (trained / f"{architecture.key}-seed{seed}.json").write_text(json.dumps(content))
    (tmp_path / "table.json").write_text(json.dumps({"detector": "nearsighted", "epochs": 1}))
    record_table.assemble(Namespace(out=tmp_path, to=tmp_path / "table-of-two.json"))
    table = ReplayTable.read(tmp_path / "table-of-two.json")
    assert set(table.rows) == {a.key for a in chosen[:2]} and table.seeds == (0, 1)
    assert "2 architectures at seeds [0, 1]" in capsys.readouterr().out


def test_the_metrics_of_an_epoch_of_a_detector_are_shown_if_it_was_validated():
    found = {"metrics/mAP50(B)": 0.61234, "metrics/mAP50-95(B)": 0.4, "train/box_loss": 1.0}
    assert record_table._trained(found) == {"map50_95": 0.4, "map50": 0.6123}
    assert record_table._trained({"train/box_loss": 1.0}) == {}
