"""The report: CSV, HTML, PNG and terminal table from one record."""

import io
import math
import re
import shlex
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from support.pages import Elements
from support.records import HOSTILE, OBJECTIVES, STOCK, confirmed, gam, record, rich_record, trial, unmeasured
from support.verified_records import all_worse, complete, incomplete, single

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import RunError
from gamsearch.metrics import METRICS
from gamsearch.reporting import (
    effects,
    figures,
    formatting,
    learning_curves,
    plain_table,
    plot_data,
    read_csv,
    terminal_table,
    write,
)
from gamsearch.reporting.architecture_svg import descriptions, drawing
from gamsearch.reporting.html_page import page
from gamsearch.reporting.label_placement import View, along, around, box_of, place
from gamsearch.reporting.label_placement import overlap as label_overlap
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT


@pytest.fixture(scope="module")
def rich() -> Record:
    return rich_record()


@pytest.fixture(scope="module")
def rich_page(rich: Record) -> str:
    return page(rich)


# -- the record ---------------------------------------------------------------------------------------------------


def test_the_note_of_a_retried_trial_states_what_was_changed():
    made = record([trial(0, gam(), 0.2), trial(1, gam((4, 4)), 0.21, retried="batch halved to 4, not paired")])
    assert formatting.note(made.trials.iloc[1]) == "batch halved to 4, not paired"
    assert formatting.note(made.trials.iloc[0]) == ""


def test_the_noise_of_a_record_is_that_of_all_repeated_trainings_else_of_the_baseline_alone():
    alone = record([trial(0, gam(), 0.2)], baseline_seeds=tuple({"map50_95": v} for v in (0.20, 0.22, 0.21))).noise
    assert alone.sd == pytest.approx(0.01 * math.sqrt(2)) and alone.freedom == 2
    pooled = confirmed([0.010, 0.012]).noise
    assert pooled.sd == pytest.approx(np.std([0.030, 0.010, 0.012], ddof=1)) and pooled.architectures == 2


@pytest.mark.parametrize("values", [[], [0.2], [0.2, math.nan], [0.2, 0.2, 0.2], [0.2, 0.3]])
def test_there_is_no_noise_where_the_seeds_show_none_or_more_than_any_gain(values: list[float]):
    made = record([trial(0, gam(), 0.2)], baseline_seeds=tuple({"map50_95": v} for v in values))
    assert made.noise is None and plot_data.noise_band(made) is None


def test_a_gain_at_one_seed_claims_nothing_however_large():
    rows = [trial(0, gam(), 0.2), *(trial(n, gam((9, n)), 0.2 + 0.3 * (n == 1)) for n in range(1, 24))]
    answer = record(rows, baseline_seeds=tuple({"map50_95": v} for v in (0.200, 0.204))).answer()
    assert answer.headline == "Unclear: the best candidate was trained at one seed only."
    assert answer.next_command == "python -m gamsearch run --name bccd-yolov8n"
    assert "0.4117" not in answer.detail and answer.trial is None


def test_with_one_baseline_seed_full_trainings_are_to_decide():
    rows = [trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3)]
    answer = record(rows, baseline_seeds=({"map50_95": 0.2},)).answer()
    assert answer.headline == "Unclear: one seed is too few to judge."
    assert answer.next == "Let full trainings over five seeds decide: python -m gamsearch verify results/bccd-yolov8n"


def test_where_nothing_gains_the_baseline_is_to_be_kept():
    answer = record([trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.15)]).answer()
    assert (
        answer.text == "No: keep yolov8n. No candidate gained: GAM@9 r8 differs from the baseline by -0.0500 mAP50-95."
    )


def test_a_baseline_that_is_not_trained_enough_is_compared_with_nothing():
    made = record(
        [trial(0, gam(), 0.009), trial(1, gam((9, 8)), 0.15)], baseline_stage={"still_rising": "it still rises"}
    )
    assert made.answer().text == "The baseline is not trained enough to tell. It still rises."
    assert made.answer().trial is None


def test_a_replay_suggests_only_commands_that_need_no_weights():
    replayed = {"evaluator": "replay", "out": "results"}
    for made in (confirmed([0.01, 0.012, 0.011]), confirmed([0.01, -0.02, 0.02]), confirmed([0.02]), rich_record()):
        command = replace(made, settings=replayed).answer().next_command
        assert not {"verify", "export"} & set(command.split())


FAILED = [unmeasured(n, gam((9, n + 1)), "failed", r) for n, r in enumerate(["nan: x", "nan: y", "build: z"])]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "Nothing has been evaluated yet."),
        ([trial(0, gam(), 0.2)], "Only the baseline has been completed, so"),
        (FAILED, "No trial was completed (3 candidates: 3 failed (2 nan, 1 build))"),
        ([trial(0, gam(), 0.2), FAILED[1]], "Only the baseline has been completed (1 candidate: 1 failed (1 nan)), so"),
        ([FAILED[0], trial(1, gam((9, 8)), 0.2, map50_95_gain=math.nan)], "The baseline was not completed"),
        ([unmeasured(0, gam(), "running", "")], "No trial was completed, so"),
    ],
)
def test_the_verdict_claims_nothing_without_a_comparison(rows: list[dict[str, Any]], said: str, tmp_path: Path):
    made = record(rows)
    assert made.answer().detail.startswith(said)
    assert [path.name for path in write(made, tmp_path)] == ["trials.csv", "report.html", "pareto.png"]
    assert said[:20] in plain_table(made)


def test_repeats_neither_count_nor_appear_on_the_front(rich: Record):
    assert len(rich.complete) == 19
    assert len(rich.candidates) == 18
    assert rich.counts.text.startswith("22 candidates: 18 complete, 1 stopped, 2 failed (1 nan, 1 out_of_memory), ")
    assert rich.counts.besides == "1 refused before training, 2 repeats answered from the record"


def test_the_front_is_sorted_by_the_first_objective_and_its_first_member_is_the_best(rich: Record):
    assert list(rich.front["number"]) == [10, 12, 6, 9, 0]
    assert rich.best is not None
    assert rich.best["number"] == 10


def test_the_hypervolume_never_falls_and_starts_with_the_baseline(rich: Record):
    volumes = rich.hypervolumes()
    assert volumes is not None
    assert volumes[0] == pytest.approx(0.2762 * (10.2 - 5.1))
    assert np.all(np.diff(volumes) >= 0)
    assert volumes[-1] > volumes[0]


def test_missing_columns_of_the_trials_are_unknown_and_not_an_error():
    bare = Record(
        "x", {}, OBJECTIVES, None, {}, "yolov8n", trials=pd.DataFrame({"state": ["complete"], "label": ["baseline"]})
    )
    assert bare.baseline is not None
    assert math.isnan(bare.baseline["map50_95"])
    assert "<h2>All trials</h2>" in page(bare)


# -- effects ------------------------------------------------------------------------------------------------------


def test_the_linear_model_recovers_additive_effects_of_sites():
    true = {4: 0.010, 9: 0.020, 15: -0.005}
    sites = [(4,), (9,), (15,), (4, 9), (4, 15), (9, 15), (4, 9, 15)]
    rows = [trial(0, gam(), 0.2)]
    rows += [trial(n, gam(*((s, 8) for s in c)), 0.2 + sum(true[s] for s in c)) for n, c in enumerate(sites, 1)]
    found = effects.site_effects(record(rows))
    assert {e.levels[0]: e.effect for e in found} == pytest.approx(true)
    assert [e.half_width for e in found] == pytest.approx([0, 0, 0], abs=1e-9)
    assert [(e.count, e.count_without) for e in found] == [(4, 4)] * 3


def test_sites_that_no_trial_tells_apart_share_one_dot():
    rows = [trial(0, gam(), 0.2), trial(1, gam((2, 8)), 0.21), trial(2, gam((2, 4)), 0.22)]
    rows += [trial(n, gam((4, n), (9, n)), 0.2 + 0.001 * n) for n in range(3, 7)]
    found = {e.levels: e for e in effects.site_effects(record(rows))}
    assert set(found) == {(2,), (4, 9)}
    assert found[4, 9].count == 4
    assert found[4, 9].effect == pytest.approx(0.0045)


def test_one_trial_with_four_sites_is_one_dot():
    made = record(
        [trial(0, gam(), 0.2), trial(1, gam((12, 4), (15, 4), (18, 4), (21, 4)), 0.21), trial(2, gam((2, 8)), 0.2)]
    )
    figure = figures.effects_figure(effects.site_effects(made), str, (-1, 1), DETECT)
    assert figure is not None
    assert list(figure.data[0].y) == ["2 (1)", "12<br>+ 15<br>+ 18<br>+ 21 (1)"]


def test_too_few_trials_give_no_interval():
    rows = [trial(0, gam(), 0.2), trial(1, gam((4, 8)), 0.21), trial(2, gam((9, 8)), 0.19)]
    assert [e.half_width for e in effects.site_effects(record(rows))] == [None, None]


def test_rates_are_distinguished_by_module_and_value(rich: Record):
    assert [effects.strength_name(e.levels[0]) for e in effects.strength_effects(rich)] == [
        "GAM r4",
        "GAM r8",
        "GAM r16",
        "GAM r32",
    ]


# -- the page -----------------------------------------------------------------------------------------------------


def test_the_page_begins_with_the_verdict_and_has_every_section(rich: Record, rich_page: str):
    seen = " ".join(Elements(rich_page).words)
    assert seen.index("Unclear: the best candidate was trained at one seed only.") < seen.index("Pareto front")
    headings = re.findall(r"<h2>(.*?)</h2>", rich_page)
    assert headings == [
        "Pareto front",
        "Where attention helps",
        "The largest gain, not shown to be beyond chance",
        "Predictions, baseline and best candidate",
        "Learning curves",
        "Hypervolume",
        "All trials",
        "How to reproduce",
    ]
    assert all(f'id="figure-{n}"' in rich_page for n in ("pareto", "site", "rate", "curves", "hypervolume"))


def test_the_page_loads_nothing(rich_page: str):
    elements = Elements(rich_page)
    assert not elements.named("link") + elements.named("img") + elements.named("iframe") + elements.named("a")
    assert not [a for _, a in elements.tags if {"src", "href", "srcset", "data", "action"} & a.keys()]
    styles = re.findall(r"<style>(.*?)</style>", rich_page, re.DOTALL)
    assert styles
    assert not re.search(r"url\(|@import", " ".join(styles))
    assert "default-src 'none'" in rich_page


def test_plotly_is_in_the_page_once(rich_page: str):
    assert rich_page.count("plotly.js v") == 1


def test_hostile_text_is_escaped(tmp_path: Path, rich_page: str):
    rows = [trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3, label=HOSTILE), trial(2, gam((4, 8)), 0.1, label=HOSTILE)]
    rows += [unmeasured(3, gam((4, 4)), "failed", HOSTILE, label=HOSTILE)]
    settings = {"command": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}, "device": HOSTILE}
    seeds = ({"map50_95": 0.2, HOSTILE: 1.0}, {"map50_95": 0.21})
    made = record(rows, name=HOSTILE, settings=settings, baseline_seeds=seeds, baseline_stage={HOSTILE: HOSTILE})
    write(made, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    elements = Elements(text)
    assert not elements.named("img")
    assert "<script>alert" not in text
    assert len(elements.named("script")) == len(Elements(page(record(rows[:3]))).named("script"))
    assert "".join(elements.words).count("<script>alert(1)</script>") >= 8


def test_no_figure_shows_markup_of_the_study():
    rows = [trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3, label=HOSTILE), trial(2, gam((4, 8)), 0.1, label=HOSTILE)]
    made = record(rows, settings={"device": HOSTILE, "latency": HOSTILE})
    drawn = [figures.pareto_figure(made), learning_curves.curves_figure(made)]
    drawn.append(figures.effects_figure(effects.site_effects(made), lambda level: HOSTILE, (-1, 1), DETECT))
    for figure in drawn:
        assert figure is not None
        assert "<script" not in repr(figure.to_dict())
        assert "&lt;script" in repr(figure.to_dict())


def test_the_steps_of_the_front_never_show_more_than_a_trial_achieved():
    """With accuracy maximised and latency minimised, the line goes right from a trial and up only at the next one."""
    made = record([trial(0, gam(), 0.2, latency_ms=5.0), trial(1, gam((9, 8)), 0.3, latency_ms=6.0)])
    xs, ys = plot_data.front_line(made)
    assert list(zip(xs, ys, strict=True))[2:-1] == [(5.0, 0.2), (6.0, 0.2), (6.0, 0.3), (xs[-1], 0.3)]
    flipped = record(
        [trial(0, gam(), 0.2, latency_ms=5.0), trial(1, gam((9, 8)), 0.3, latency_ms=6.0)], objectives=OBJECTIVES[::-1]
    )
    xs, ys = plot_data.front_line(flipped)
    assert (0.2, 6.0) in zip(xs, ys, strict=True)
    assert (0.3, 5.0) not in zip(xs, ys, strict=True)


def labels_of(figure: Any) -> list[str]:
    return [note.text for note in figure.layout.annotations if note.text.startswith("#")]


def test_labels_cover_neither_points_nor_lines_nor_each_other_at_any_width(rich: Record):
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform((0, 0), (900, 370), (12, 2))
        line = list(points[np.argsort(points[:, 0])])
        views = [
            View(points * (k, 1), np.vstack([around(points * (k, 1), 8), along([p * (k, 1) for p in line], 2)]), frame)
            for k, frame in ((1.0, (0, 0, 900, 370)), (0.3, (0, 0, 270, 370)))
        ]
        offsets = place([(25, 14)] * 12, views)
        assert offsets[0] is not None and sum(o is not None for o in offsets) > 3
        for view in views:
            boxes = [box_of(p, (25, 14), o) for p, o in zip(view.points, offsets, strict=True) if o is not None]
            for i, box in enumerate(boxes[1:], 1):
                assert label_overlap(box, np.vstack([view.obstacles, *boxes[:i], *boxes[i + 1 :]])) == 0


def test_the_best_point_has_its_label_wherever_it_is_and_numbers_that_coincide_do_not_cover_each_other():
    measured = [(1, 4, 0.38, 7.0), *((n, 6, 0.30 + n / 1e6, 5.0 + n / 1e6) for n in range(2, 60))]
    rows = [trial(n, gam((site, n)), map50_95, latency_ms=ms) for n, site, map50_95, ms in measured]
    made = record([trial(0, gam(), 0.20, latency_ms=4.0), *rows])
    shown = labels_of(figures.pareto_figure(made))
    assert shown[0] == "#1" and len(shown) < len(made.front)  # the others appear on hovering
    dominated = record([trial(0, gam(), 0.4), trial(1, gam((9, 8)), 0.3), trial(2, gam((4, 8)), 0.1)])
    assert labels_of(figures.pareto_figure(dominated)) == ["#1"]  # the best candidate, although not on the front


def test_the_axis_reaches_beyond_the_noise_band_which_is_drawn_with_its_edges():
    rows = [trial(0, gam(), 0.40), trial(1, gam((9, 8)), 0.401), trial(2, gam((4, 8)), 0.399)]
    made = record(rows, baseline_seeds=tuple({"map50_95": v} for v in (0.40, 0.44, 0.36)))
    band = plot_data.noise_band(made)
    low, high = plot_data.ranges(made)[1]
    assert band is not None and low < band[0] < 0.36 and high > band[1] > 0.44
    figure = figures.pareto_figure(made)
    assert {shape.y0 for shape in figure.layout.shapes if shape.type == "line"} == {*band, 0.40}


def test_text_with_dollars_backslashes_and_other_scripts_can_be_plotted(tmp_path: Path):
    rows = [trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3, label=r"$\frac{$ 漢字 ☃")]
    assert write(record(rows, name="$x_{$", settings={"data": "caf\udce9.yaml"}), tmp_path)


def test_passwords_in_urls_are_masked(rich_page: str):
    assert "secret" not in rich_page
    assert "postgresql://ada:***@db/gamsearch" in rich_page


def test_the_same_record_gives_the_same_page(rich: Record, rich_page: str):
    assert page(rich) == rich_page


def test_all_trials_are_in_the_page_with_their_reasons(rich_page: str):
    seen = " ".join(Elements(rich_page).words)
    assert "failed: nan: loss is NaN at epoch 2, also in fp32" in seen
    assert "pruned, exceeds a limit: params_m 3.69 is above the limit 3.61 (+20%)" in seen
    assert "repeat of #6" in seen


def test_one_objective_and_three_objectives_can_be_plotted(tmp_path: Path):
    one = rich_record(objectives=OBJECTIVES[:1], reference_point=(0.0,))
    three = rich_record(objectives=(*OBJECTIVES, METRICS["params_m"]), reference_point=(0.0, 10.2, 6.0))
    swapped = rich_record(objectives=OBJECTIVES[::-1], reference_point=(10.2, 0.0))
    for number, made in enumerate((one, three, swapped)):
        assert len(write(made, tmp_path / str(number))) == 3
    assert "Larger markers mean more params" in (tmp_path / "1" / "report.html").read_text(encoding="utf-8")


# -- the drawing --------------------------------------------------------------------------------------------------


def rectangles(svg: ElementTree.Element) -> list[tuple[float, ...]]:
    return [tuple(float(r.get(k, "0")) for k in ("x", "y", "width", "height")) for r in svg.iter("rect")]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@pytest.mark.parametrize("name", ["yolov8n", "yolov8s-p2", "yolov8m-p6", "yolov8l-ghost", "yolov5n", "yolo11n"])
def test_a_drawing_has_a_box_for_every_row_an_arrow_for_every_source_and_no_boxes_overlap(name: str):
    stock = Detector.load(name)
    sites = (stock.stage_sites[0], stock.stage_sites[-1])
    architecture = Architecture.of(stock.name, [Placement(s, "GAM", (("rate", 4),)) for s in sites])
    rows = Detector.from_yaml(stock.name, graft(stock, architecture).yaml).rows
    svg = ElementTree.fromstring(drawing(stock, architecture))
    boxes = rectangles(svg)
    assert len(boxes) == len(rows)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b)]
    for (_, y, _, _), row in zip(boxes[:-1], rows[:-1], strict=True):
        assert all(y < other[1] for other, r in zip(boxes[:-1], rows[:-1], strict=True) if r.stride > row.stride)
    arrows = [p for p in svg.iter("path") if p.get("marker-end")]
    assert len(arrows) == sum(source >= 0 for row in rows for source in row.sources)
    attended = [t.text for t in svg.iter("text") if t.get("class") == "attention"]
    assert attended == ["GAM r4", "GAM r4"]


@pytest.mark.parametrize(
    ("module", "options", "shown"),
    [
        ("GAM", {"rate": 16, "groups": 4}, "GAM r16 g4"),
        ("LSKA", {"kernel": 11}, "LSKA"),
        ("ShuffleAttention", {}, "ShuffleAtt…"),
    ],
)
def test_the_text_of_an_attention_box_leaves_room_for_its_channels(module: str, options: dict, shown: str):
    placement = Placement(4, module, tuple(options.items()))
    svg = ElementTree.fromstring(drawing(STOCK, Architecture.of("yolov8n", [placement])))
    assert [t.text for t in svg.iter("text") if t.get("class") == "attention"] == [shown]


def test_every_arrow_from_an_attention_row_is_coloured():
    svg = ElementTree.fromstring(drawing(STOCK, gam((9, 16))))  # rows 10 and 20 read SPPF
    assert len([p for p in svg.iter("path") if p.get("marker-end") == "url(#attended)"]) == 2


def test_a_branch_keeps_the_raw_map_for_the_other_readers():
    placement = Placement(15, "GAM", (("rate", 8),), "branch", (22,))
    svg = ElementTree.fromstring(drawing(STOCK, Architecture.of("yolov8n", [placement])))
    assert len([p for p in svg.iter("path") if p.get("marker-end") == "url(#attended)"]) == 1


def test_a_block_with_attention_inside_is_one_coloured_box_and_is_described():
    architecture = Architecture.of("yolov8n", [Placement(4, "SE", (("rate", 8),), "inner")])
    svg = ElementTree.fromstring(drawing(STOCK, architecture))
    assert [t.text for t in svg.iter("text") if t.get("class") == "attention"] == ["C2f+SE"]
    assert len(rectangles(svg)) == len(STOCK.rows)
    assert not [p for p in svg.iter("path") if p.get("marker-end") == "url(#attended)"]  # readers see the block
    (line,) = descriptions(STOCK, architecture)
    assert line.startswith("SE after the last bottleneck of row 4 (C2f, backbone, P3, 32 channels): rate 8. Squeeze")


# -- files and terminal -------------------------------------------------------------------------------------------


def test_trials_csv_reads_back_as_it_was_written(tmp_path: Path):
    made = rich_record()
    made.trials["key"] = [f"0{n:010d}e" if n % 2 else f"1234567{n:03d}e5" for n in made.trials["number"]]
    made.trials["key"] = made.trials["key"].str.replace("e$", "1", regex=True)  # keys that all look like numbers
    write(made, tmp_path)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "trials.csv"), made.trials, check_dtype=False)


def test_the_image_is_sixteen_hundred_by_a_thousand(rich: Record, tmp_path: Path):
    png = write(rich, tmp_path)[2].read_bytes()
    assert struct.unpack(">II", png[16:24]) == (1600, 1000)


def test_the_terminal_table_is_plain_text_where_there_is_no_terminal(rich: Record):
    text = plain_table(rich, limit=4)
    assert "\x1b" not in text
    assert text.startswith("Unclear: the best candidate was trained at one seed only.\n")
    lines = [line.split()[0] for line in text.splitlines() if line.strip()[:2].strip().isdigit()]
    assert lines[-4:] == ["10", "12", "6", "9"]
    assert "... and 22 more in trials.csv" in text


def test_markup_in_labels_is_printed_and_not_interpreted():
    rows = [trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3, label="[red]x[/nothing]")]
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal_table(record(rows)))
    assert "[red]x[/nothing]" in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_unwritable_folder_gives_a_one_line_error(rich: Record, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="the report cannot be written to .*; make it writable"):
        write(rich, tmp_path / "file")


def test_the_report_needs_neither_torch_nor_optuna():
    code = "import gamsearch.reporting, sys; print(sorted({'torch', 'optuna', 'ultralytics'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the confirmation of the best candidate ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gains", "headline", "after"),
    [
        ([0.010, 0.012, 0.011, 0.013], "Yes: GAM@4 r4 gains 0.012 ± 0.002 mAP for 1.09 x latency.", "verify"),
        ([0.010, -0.008, 0.011, -0.008], "Unclear: the best gain may be chance.", "verify"),
        ([-0.010, -0.012, -0.011, -0.013], "No: keep yolov8n.", "list"),
        ([0.02], "Unclear: two seeds are too few to judge.", "verify"),
    ],
)
def test_gains_at_seeds_that_did_not_select_the_candidate_decide(gains, headline, after):
    answer = confirmed(gains).answer()
    assert answer.headline == headline and answer.next_command.split()[3] == after
    assert answer.trial == (1 if headline.startswith("Yes") else None)


@pytest.mark.parametrize(
    "gains", [[0.010, 0.012, 0.011, 0.013], [0.010, -0.008, 0.011, -0.008], [-0.01, -0.012, -0.011]]
)
def test_page_and_terminal_open_with_the_answer_its_grounds_and_what_to_do_next(gains):
    made, answer = confirmed(gains), confirmed(gains).answer()
    seen = " ".join(Elements(page(made)).words).replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ")
    assert seen.index(answer.headline) < seen.index(answer.detail) < seen.index(answer.next_command)
    lines = plain_table(made, width=400).splitlines()
    assert lines[:3] == [answer.headline, answer.detail, answer.next]
    assert ("The recommended architecture" in seen) == (answer.kind == "yes")
    assert "best architecture" not in seen


def test_the_page_shows_the_gain_at_the_other_seeds_only_with_an_interval():
    assert "Its gain at held-out seeds" in page(confirmed([0.010, 0.012, 0.011])) and "3 seeds" in page(
        confirmed([0.01, 0.02, 0.01])
    )
    assert "Its gain at held-out seeds" not in page(confirmed([]))


def test_commands_name_the_folder_as_it_was_given_and_quote_it():
    made = replace(confirmed([0.010, 0.012, 0.011, 0.013]), folder="my runs/a")
    assert made.answer().next_command == "python -m gamsearch verify 'my runs/a'"


def test_every_suggested_command_is_one_that_the_command_line_takes():
    from gamsearch.cli.main import parser

    verified = [complete(), incomplete(), single(), all_worse()]
    searched = [confirmed([0.01, 0.012, 0.011]), confirmed([0.01, -0.02, 0.02]), confirmed([0.02]), rich_record()]
    replayed = [replace(made, settings={"evaluator": "replay", "out": "results"}) for made in searched]
    commands = {made.answer().next_command for made in [*verified, *searched, *replayed, record([])]} - {""}
    assert len({command.split()[3] for command in commands}) == 4  # run, verify, export, list
    for command in commands:
        python, flag, package, *arguments = shlex.split(command)
        assert (python, flag, package) == ("python", "-m", "gamsearch")
        parser().parse_args(arguments)


def test_a_hard_link_to_a_report_keeps_its_content(rich: Record, tmp_path: Path):
    write(rich, tmp_path / "run")
    (tmp_path / "copy.csv").hardlink_to(tmp_path / "run" / "trials.csv")
    (tmp_path / "copy.csv").write_text("kept")
    write(rich, tmp_path / "run")
    assert (tmp_path / "copy.csv").read_text() == "kept"
    assert (tmp_path / "run" / "trials.csv").read_text() != "kept"
