"""Comparison of several runs: values, page, image and command."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support.pages import Elements
from support.records import HOSTILE, SETTINGS, gam, record, rich_record, trial

from gamsearch.cli.main import main
from gamsearch.errors import OptionError, RunError
from gamsearch.metrics import METRICS, metric_named
from gamsearch.reporting import comparison_figures, comparison_page
from gamsearch.reporting.compared_run import ComparedRun
from gamsearch.reporting.comparison import Comparison, compare
from gamsearch.reporting.formatting import axis_title
from gamsearch.reporting.theme import POLICY
from gamsearch.study import store
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT


def run(name: str, made: Record | None = None, data: str = "data", clock: str = "cpu", **more: Any) -> ComparedRun:
    return ComparedRun(name, made or rich_record(), data, clock, **more)


def simple(baseline: float, latency: float, *candidates: tuple[float, float], **more: Any) -> Record:
    """A record of a baseline and candidates, each `(map50_95, latency_ms)`, with the reference point of a run."""
    rows = [trial(0, gam(), baseline, latency_ms=latency)]
    rows += [trial(n, gam((4, 2**n)), m, latency_ms=ms) for n, (m, ms) in enumerate(candidates, 2)]
    return record(rows, **({"reference_point": (0.0, 2 * latency)} | more))


# -- the values ---------------------------------------------------------------------------------------------------


def test_the_common_reference_point_is_the_worst_of_all_and_the_hypervolumes_use_it():
    # a: two rectangles up to latency 12; b: one
    first, second = simple(0.2, 5.0, (0.3, 6.0)), simple(0.2, 6.0)
    held = compare([run("a", first), run("b", second)])
    assert not held.relative and held.reference_point == (0.0, 12.0)
    assert held.hypervolume(held.runs[0]) == pytest.approx(0.2 * 7 + 0.1 * 6)
    assert held.hypervolume(held.runs[1]) == held.baseline_hypervolume(held.runs[1]) == pytest.approx(0.2 * 6)
    assert held.baseline_hypervolume(held.runs[0]) == pytest.approx(0.2 * 7)
    assert held.verdict().startswith("The front of a has the largest hypervolume: 2.000, against 1.200 for b (-40.00")


def test_runs_on_different_data_are_measured_relative_to_their_own_baselines():
    held = compare([run("a", simple(0.2, 5.0, (0.3, 6.0)), "x"), run("b", simple(0.5, 10.0, (0.55, 11.0)), "y")])
    assert held.relative and "different data" in held.why
    assert held.front(held.runs[0]) == pytest.approx(np.array([[0.1, 1.2], [0.0, 1.0]]))
    assert held.front(held.runs[1]) == pytest.approx(np.array([[0.05, 1.1], [0.0, 1.0]]))
    assert held.reference_point == pytest.approx((-0.5, 2.0))
    assert held.hypervolume(held.runs[0]) == pytest.approx(0.5 * 1.0 + 0.1 * 0.8)
    assert held.verdict() == "No winner: the runs used different data, and mAPs on different data are not comparable."


def test_no_winner_is_named_on_the_page_the_picture_and_in_the_terminal_where_the_data_differ_or_are_unknown():
    better, worse = simple(0.2, 5.0, (0.9, 5.0)), simple(0.5, 10.0)
    for other in ("y", ""):
        held = compare([run("a", better, "x"), run("b", worse, other)])
        assert not held.same_data and held.verdict().startswith("No winner: ")
        assert "largest hypervolume" not in " ".join(Elements(comparison_page.comparison_page(held)).words)
    assert "of a has the largest" in compare([run("a", better, "x"), run("b", worse, "x")]).verdict()
    clocks = compare([run("a", better, clock="cpu"), run("b", worse, clock="gpu")])
    assert clocks.same_data and "largest hypervolume relative to its own baseline" in clocks.verdict()


def test_the_repr_of_a_comparison_is_one_short_line():
    shown = repr(compare([run("a"), run("b", simple(0.2, 5.0, (0.3, 6.0)))]))
    assert shown.startswith("<Comparison of a, b: The front of") and len(shown) < 300 and "\n" not in shown
    assert len(repr(run("a"))) < 100


def test_words_of_the_terminal_tables_header_are_not_split():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(comparison_page.terminal_table(compare([run("a-rather-long-name-of-a-run"), run("b")])))
    words = console.export_text().split()
    assert {"hypervolume", "candidates", "complete", "baseline"} <= set(words)


@pytest.mark.parametrize(
    ("others", "why"),
    [({"clock": "gpu"}, "Latency was measured in different ways (cpu; gpu)"), ({"data": ""}, "not recorded")],
)
def test_different_clocks_or_unknown_data_prevent_an_absolute_comparison(others: dict[str, str], why: str):
    assert why in compare([run("a"), run("b", **others)]).why


def test_different_objectives_are_refused_but_a_different_order_is_not():
    by_size = (METRICS["map50_95"], METRICS["params_m"])
    with pytest.raises(RunError, match="a was optimised for map50_95, latency_ms and b for map50_95, params_m"):
        compare([run("a"), run("b", rich_record(objectives=by_size))])
    turned = (METRICS["latency_ms"], METRICS["map50_95"])
    other = rich_record(objectives=turned, reference_point=(12.0, 0.0))
    held = compare([run("a"), run("b", other)])
    assert held.reference_point == (0.0, 12.0)
    assert held.hypervolume(held.runs[0]) == pytest.approx(held.hypervolume(held.runs[1]))


def test_one_run_is_not_enough():
    with pytest.raises(OptionError, match="two or more"):
        compare([run("a")])


def test_runs_with_the_same_name_get_numbers():
    assert [r.name for r in compare([run("a"), run("a"), run("a")]).runs] == ["a", "a (2)", "a (3)"]


def test_only_differing_settings_are_listed_and_passwords_are_masked():
    other = {**SETTINGS, "train": {"lr0": 0.001, "mosaic": 0.0}, "storage": "postgresql://bob:secret@db/gamsearch"}
    held = compare([run("a"), run("b", rich_record(settings=other), facts={"versions": {"torch": "1", "scipy": "2"}})])
    rows = dict(held.differing())
    assert rows["train.lr0"] == ("0.0002", "0.001") and rows["versions.torch"] == ("2.14.1", "1")
    assert "train.mosaic" not in rows and "command" not in rows
    assert "versions.scipy" not in rows  # a fact that is not recorded does not differ
    assert rows["storage"] == ("postgresql://ada:***@db/gamsearch", "postgresql://bob:***@db/gamsearch")


def test_the_backend_that_auto_selected_is_compared_and_a_replay_has_none():
    auto = {**SETTINGS, "latency": "auto", "latency_backend": "torch"}
    rows = dict(compare([run("a"), run("b", rich_record(settings=auto))]).differing())
    assert not {"latency", "latency_backend"} & set(rows)
    graph = {**auto, "latency_backend": "cudagraph"}
    rows = dict(compare([run("a"), run("b", rich_record(settings=graph))]).differing())
    assert rows["latency"] == ("torch", "cudagraph")
    replays = [{**SETTINGS, "evaluator": "replay", "latency": latency} for latency in ("torch", "auto")]
    held = compare([run(name, rich_record(settings=made)) for name, made in zip("ab", replays, strict=True)])
    assert held.differing() == []
    measured, replayed = (
        axis_title(METRICS["latency_ms"], made, DETECT) for made in (graph, {**graph, "evaluator": "replay"})
    )
    assert "cudagraph" in measured and "cudagraph" not in replayed


def test_a_run_without_a_baseline_has_no_hypervolume_and_does_not_affect_the_others():
    held = compare([run("a"), run("b"), run("empty", record([]))])
    assert held.hypervolume(held.runs[2]) is None and held.reference_point == (0.0, 10.2)
    assert "The fronts of a and b have the same hypervolume" in held.verdict()
    nothing = compare([run("a", record([])), run("b", record([]), data="x")])
    assert nothing.reference_point is None and "nothing to compare yet" in nothing.verdict()


# -- the page and the image -------------------------------------------------------------------------------------


def cases() -> dict[str, Comparison]:
    three = (METRICS["map50_95"], METRICS["latency_ms"], METRICS["params_m"])
    deep = rich_record(objectives=three, reference_point=(0.0, 10.2, 6.0))
    one = rich_record(objectives=(METRICS["map50_95"],), reference_point=(0.0,))
    gains = (METRICS["map50_95"], METRICS["map50"])
    return {
        "two": compare([run("a"), run("b", simple(0.2, 5.0, (0.3, 6.0)))]),
        "other data": compare([run("a"), run("b", data="x")]),
        "three objectives": compare([run("a", deep), run("b", deep)]),
        "one objective": compare([run("a", one), run("b", one)]),
        "two gains": compare([run("a", rich_record(objectives=gains, reference_point=(0.0, 0.0)))] * 2),
        "only baselines": compare([run("a", simple(0.2, 5.0)), run("b", simple(0.3, 5.0))]),
        "empty": compare([run("a", record([])), run("b", record([]))]),
        "many": compare([run(f"run {n}") for n in range(14)]),
    }


@pytest.mark.parametrize("name", cases())
def test_every_comparison_gives_a_page_a_picture_and_a_table(name: str, tmp_path: Path):
    held = cases()[name]
    assert [path.name for path in comparison_page.write(held, tmp_path)] == ["compare.html", "compare.png"]
    assert (tmp_path / "compare.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(comparison_page.terminal_table(held))
    console.file.close()
    text = " ".join(console.export_text().split())
    assert " ".join(held.verdict().split()) in text


def test_the_figure_has_a_line_and_a_star_for_every_run_and_all_look_different():
    held = cases()["many"]
    figure = comparison_figures.fronts_figure(held)
    assert figure is not None
    lines = [trace for trace in figure.data if trace.showlegend is None and trace.mode == "lines+markers"]
    assert len(lines) == 14 and len({(t.line.color, t.line.dash, t.marker.symbol) for t in lines}) == 14
    assert sum(trace.marker.symbol == "star" and len(trace.x) == 1 for trace in figure.data) == 14 + 1
    for kind in ("dash", "symbol"):  # distinct without colours
        looks = [t.line.dash if kind == "dash" else t.marker.symbol for t in lines[:6]]
        assert len(set(looks)) == 6


def test_the_step_line_touches_every_member_of_a_front_of_two_objectives():
    held = cases()["two"]
    drawn = comparison_figures.plotted(held)[1]
    assert drawn.line.tolist() == [[5.0, 0.2], [6.0, 0.3]]
    (left, right), (low, high) = comparison_figures.ranges(comparison_figures.plotted(held))
    tails = comparison_figures.tails(held, drawn, comparison_figures.plotted(held))
    assert tails[0].tolist() == [[5.0, low], [5.0, 0.2]] and tails[1].tolist() == [[6.0, 0.3], [right, 0.3]]


def test_the_page_states_what_is_compared_and_is_self_contained():
    page = comparison_page.comparison_page(cases()["other data"])
    seen = " ".join(" ".join(Elements(page).words).split())
    assert "mAPs on different data are not comparable" in seen
    assert "one reference point (mAP50-95 gain over own baseline \N{MINUS SIGN}0.2762" in seen
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Pareto fronts",
        "Each run's verdict",
        "What differs",
        "How to reproduce",
    ]
    assert f'content="{POLICY}"' in page
    tags = Elements(page).tags
    assert not [attrs for _, attrs in tags if "src" in attrs or ("href" in attrs)]
    assert not [name for name, _ in tags if name in ("link", "iframe", "img")]


def test_everything_from_the_studies_is_escaped():
    rows = [trial(0, gam(), 0.2), trial(1, gam((4, 8)), 0.3, label=HOSTILE)]
    made = record(rows, settings={"command": HOSTILE, HOSTILE: HOSTILE, "hardware": HOSTILE}, detector_name=HOSTILE)
    held = compare([run(HOSTILE, made), run("b", rich_record())])
    clean = Elements(comparison_page.comparison_page(compare([run("a"), run("b", simple(0.2, 5.0, (0.3, 6.0)))])))
    page = comparison_page.comparison_page(held)
    elements = Elements(page)
    assert {name for name, _ in elements.tags} == {name for name, _ in clean.tags}
    assert len(elements.named("script")) == len(clean.named("script")) and "<script>alert" not in page
    assert "".join(elements.words).count("<script>alert(1)</script>") >= 8
    drawn = repr(comparison_figures.fronts_figure(held).to_dict())
    assert "<script" not in drawn and "&lt;script" in drawn


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_of_two_replays_writes_page_and_image(here: Path, capsys):
    words = ["run", "--evaluator", "replay", "--trials", "4"]
    assert main([*words, "--sampler", "tpe", "--name", "a"]) == 0
    assert main([*words, "--sampler", "random", "--name", "b", "--epochs", "10"]) == 0
    capsys.readouterr()
    assert main(["compare", "results/a", "results/b"]) == 0
    said = capsys.readouterr().out
    assert "one reference point" in said and re.search(r"sampler +tpe +random", said)
    assert "wrote results/compare-a-b/compare.html" in said
    assert (here / "results" / "compare-a-b" / "compare.png").is_file()
    assert main(["compare", "results/a", "results/b", "--out", "elsewhere"]) == 0
    assert (here / "elsewhere" / "compare.html").is_file()


def test_replays_of_different_tables_are_measured_relative_to_their_own_baselines(here: Path):
    from gamsearch.training.replay import table_file

    table = json.loads(table_file("bccd").read_text(encoding="utf-8"))
    table["seeds"] = table["seeds"][::-1]
    (here / "other.json").write_text(json.dumps(table))
    words = ["run", "--evaluator", "replay", "--trials", "2", "--sampler", "random"]
    assert main([*words, "--name", "a"]) == 0
    assert main([*words, "--table", "other.json", "--name", "b"]) == 0
    assert compare([ComparedRun.read(here / "results" / name) for name in "ab"]).relative


@pytest.mark.parametrize(
    ("folders", "said"),
    [(["a"], "two or more"), (["a", "none"], "holds no run"), (["a", "b"], "with the same objectives can be compared")],
)
def test_runs_that_are_not_comparable_are_refused(here: Path, capsys, folders: list[str], said: str):
    for name, second in (("a", "latency_ms"), ("b", "params_m")):
        (here / name).mkdir()
        store.create(here / name, [metric_named("map50_95"), metric_named(second)], {})
    assert main(["compare", *folders]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_a_folder_that_cannot_be_written_is_refused(here: Path, capsys):
    for name in ("a", "b"):
        (here / name).mkdir()
        store.create(here / name, [metric_named("map50_95"), metric_named("latency_ms")], {})
    (here / "file").write_text("")
    assert main(["compare", "a", "b", "--out", "file"]) == 2
    assert "choose another --out" in capsys.readouterr().err
