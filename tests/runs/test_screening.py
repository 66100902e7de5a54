"""The screening stage of a run: trained, measured, interrupted, resumed, and followed or not by a search."""

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

import gamsearch as gs
from gamsearch.errors import CandidateFailed, OptionError, RunError
from gamsearch.runs import screening as stage
from gamsearch.runs.settings import Settings, check
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.supernet.trainer import TrainedNetwork

SMALL = {"epochs": 1, "imgsz": 64, "batch": 4, "baseline_epochs": 1, "noise_seeds": 1, "trials": 2}


@pytest.fixture
def options(tiny_data: Path, tmp_path: Path, monkeypatch) -> dict:
    """Two sites with one rate of GAM each; the pictures are too few for any effect."""
    monkeypatch.chdir(tmp_path)
    space = tmp_path / "tiny.yaml"
    space.write_text("detector: yolov8n.yaml\nsites: [4, 15]\nattention: {GAM: {rate: [16]}}\n")
    return {"data": str(tiny_data), "space": str(space), "screen": "supernet", "screen_steps": 2, **SMALL}


class Interrupted(Exception):
    """Raised by a test to stop a run."""


def test_a_screening_that_stops_while_measuring_goes_on_there_and_ends_the_search_where_nothing_pays(
    options, monkeypatch
):
    original, measured, trained = TrainedNetwork.measure, [], []

    def measure(self, architecture, budget):
        if len(measured) == 5:
            raise Interrupted
        measured.append((budget.seed, architecture.label))
        return original(self, architecture, budget)

    with monkeypatch.context() as patch:
        patch.setattr(TrainedNetwork, "measure", measure)
        patch.setattr(stage, "ROUND", 2)
        with pytest.raises(Interrupted):
            gs.search(**options, name="a")
    networks = sorted(Path("results/a/screening").glob("*/supernet.pt"))
    assert len(networks) == 2
    recorded = store.load(Path("results/a")).user_attrs[stage.SCREENING]
    assert len(recorded["architectures"]) == 2 and not recorded["complete"]

    known = set(measured[:4])
    measured[:] = []
    with monkeypatch.context() as patch:
        patch.setattr(TrainedNetwork, "_built", spied(TrainedNetwork._built, trained))
        patch.setattr(TrainedNetwork, "measure", spied(original, measured))
        run = gs.search(**options, name="a")
    assert len(trained) == 2 and not Path("results/a/screening").exists()  # set up for measuring alone
    assert {(budget.seed, a.label) for a, budget in measured}.isdisjoint(known) and len(measured) == 4
    assert run.trials["label"].tolist() == ["baseline"]
    assert str(store.load(run.folder).user_attrs["ended"]).startswith("Nothing pays: ")
    text = next(path for path in gs.report(run) if path.suffix == ".html").read_text()
    assert "Before the search: shared networks" in text and "not shown to pay" in text
    again = gs.search(**options, name="a", search_anyway=True)
    assert len(again.trials) == 3 and again.settings["search_anyway"]  # which workers and later calls follow


def asked(tiny_data: Path, tmp_path: Path, monkeypatch, measure):
    """What the stage says of a space of four sites where `measure` gives the readings."""
    monkeypatch.setattr(TrainedNetwork, "train", lambda self, budget, on_epoch: None)
    monkeypatch.setattr(TrainedNetwork, "measure", lambda self, one, budget: {"map50_95": measure(one, budget.seed)})
    settings = Settings(data=str(tiny_data), out=str(tmp_path), name="a", screen="supernet")
    nothing = SimpleNamespace(baseline=None, data=None, device=None)
    progress = SimpleNamespace(say=lambda text: None)
    return stage.screen(settings, SearchSpace.load("gam-small"), nothing, optuna.create_study(), progress)


def test_two_sites_that_pay_only_together_are_measured_together(tiny_data, tmp_path, monkeypatch):
    rng = random.Random(0)

    def measure(architecture, seed: int) -> float:
        both = {4, 9} <= {placement.site for placement in architecture.placements}
        return 0.3 + 0.02 * both + rng.gauss(0, 0.001)

    found = asked(tiny_data, tmp_path, monkeypatch, measure)
    assert found.pays and not found.nothing_pays
    assert found.sentence == "No placement is shown to pay alone, but some pay together."


def test_an_architecture_that_cannot_be_measured_is_one_sentence(tiny_data, tmp_path, monkeypatch):
    def measure(architecture, seed: int) -> float:
        raise CandidateFailed("out_of_memory", "the memory is full")

    sentence = r"baseline cannot be measured in the shared network of seed 0 \(the memory is full\)"
    with pytest.raises(RunError, match=sentence):
        asked(tiny_data, tmp_path, monkeypatch, measure)


def spied(method, calls: list):
    """The method, with its arguments noted."""

    def noted(self, *arguments):
        calls.append(arguments)
        return method(self, *arguments)

    return noted


def test_where_there_is_no_screening_the_report_has_no_section_of_it(options):
    run = gs.search(**{**options, "screen": "off", "trials": 1}, name="b")
    text = next(path for path in gs.report(run) if path.suffix == ".html").read_text()
    assert "shared networks" not in text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"screen": "darts"}, "--screen must be off or supernet, not 'darts'"),
        ({"screen": "supernet", "evaluator": "replay"}, "which a replayed table cannot"),
        ({"screen_seeds": 0}, "--screen-seeds must be at least 1, not 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence):
    with pytest.raises(OptionError, match=sentence):
        check(Settings(name="a", **settings))


def test_a_search_that_cannot_try_every_placement_names_the_screening_before_it_trains_candidates(options):
    settings = Settings(name="a", data=options["data"], space=options["space"], batch=4, trials=1)
    space = SearchSpace.load(options["space"])
    said = stage.hint(settings, space)
    assert "has 2 placements, more than 1 training can try: --screen supernet looks at all of them first" in said
    assert f"in 2 networks of {stage.network_epochs(settings, space)} epochs" in said
    told, study = [], optuna.create_study()
    progress = SimpleNamespace(say=told.append)
    assert stage.screen(settings, space, None, study, progress) is None and told == [said]
    study.set_user_attr("open", True)  # the run is resumed
    assert stage.screen(settings, space, None, study, progress) is None and told == [said]
    assert not stage.hint(replace(settings, trials=2), space) and not stage.hint(replace(settings, budget="3h"), space)
