"""The page in a real browser without network: figures have the record's numbers, nothing fails, nothing overflows.

A browser window cannot be as narrow as a phone, so the page is displayed in two frames, one as wide as a phone. In the
frames a script is added that sends its observations to the outer page, whose document the browser prints.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.predictions import content, finalist, stored
from support.verified_records import EXAMPLES

from gamsearch.analysis.verification import SCALE_UP
from gamsearch.reporting import predictions_section, verification_figures
from gamsearch.reporting.html_page import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome is installed")

DESKTOP, PHONE = (1280, 2000), (390, 844)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--proxy-server=127.0.0.1:9"),
    *("--virtual-time-budget=10000", "--dump-dom"),
)
LISTEN = """<script>
  const failures = [];
  addEventListener("error", event => failures.push("error: " + event.message), true);
  addEventListener("unhandledrejection", event => failures.push("rejection: " + event.reason));
  addEventListener("securitypolicyviolation", event => failures.push("refused: " + event.blockedURI));
  for (const name of ["error", "warn"]) {
    const before = console[name];
    console[name] = (...words) => { failures.push(name + ": " + words.join(" ")); before(...words); };
  }
</script>"""
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const list = values => Array.from(values || [], value => value);
  const trace = one => ({name: one.name, x: list(one.x), y: list(one.y), text: list(one.hovertext), mode: one.mode,
    symbols: [].concat((one.marker || {}).symbol || []),
    error_x: one.error_x && one.error_x.visible ? list(one.error_x.array) : [],
    error_y: one.error_y && one.error_y.visible ? list(one.error_y.array) : []});
  const figures = {};
  for (const plot of document.querySelectorAll(".js-plotly-plot"))
    figures[plot.id] = {traces: plot._fullData.map(trace), drawn: plot.querySelectorAll(".main-svg").length,
      ticks: list(plot.querySelectorAll("g[class$=tick]")).map(one => [one.getAttribute("class"), one.textContent]),
      right: plot.getBoundingClientRect().right, shapes: plot.layout.shapes || []};
  parent.postMessage(JSON.stringify({figures, failures, width: innerWidth,
    overflow: document.documentElement.scrollWidth,
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    focusable: [...document.querySelectorAll("[tabindex], summary")].map(one => one.tagName),
    trials: used(document.getElementById("trials")),
  }), "*");
  function used(box) {
    const rows = () => [...box.querySelectorAll("tbody tr")].filter(row => !row.hidden);
    const column = n => rows().map(row => row.cells[n].textContent);
    const form = box.querySelector("form"), set = (name, value) => {
      form[name].value = value;
      form.dispatchEvent(new Event("input", {bubbles: true}));
      return [column(1), form.querySelector("output").textContent];
    };
    const head = [...box.querySelectorAll("th")].find(one => one.textContent.startsWith("gain"));
    const click = () => { head.querySelector("button").click(); return [column(3), head.getAttribute("aria-sort")]; };
    const found = {all: column(1), words: set("words", "gam@9 r8"), front: (set("words", ""), set("rows", "marked"))};
    set("rows", "");
    return {...found, down: click(), up: click()};
  }
}, 1500));</script>"""
AROUND = """<!DOCTYPE html><body style="margin:0;display:flex">
<iframe src="framed.html" style="border:0;width:{}px;height:{}px;flex:none"></iframe>
<iframe src="framed.html" style="border:0;width:{}px;height:{}px;flex:none"></iframe><pre id="probe"></pre>
<script>
  const seen = [];
  addEventListener("message", event => {{
    seen.push(JSON.parse(event.data));
    document.getElementById("probe").textContent = JSON.stringify(seen);
  }});
</script>"""


def opened(text: str, folder: Path) -> dict[int, dict[str, Any]]:
    """The observations of the probe on this page, by width of the frame."""
    listening = text.replace("<title>", LISTEN + "<title>", 1)
    (folder / "framed.html").write_text(listening.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    (folder / "around.html").write_text(AROUND.format(*DESKTOP, *PHONE), encoding="utf-8")
    window = f"--window-size={DESKTOP[0] + PHONE[0]},{DESKTOP[1]}"
    command = [str(BROWSER), *FLAGS, window, f"--user-data-dir={folder / 'profile'}", (folder / "around.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=180)
    found = re.search(r'<pre id="probe">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page did not report: {done.stdout[-500:]} {done.stderr[-2000:]}"
    return {seen["width"]: seen for seen in json.loads(html.unescape(found[1]))}


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, dict[str, Any]]]:
    """All examples at desktop and phone width."""
    form = {**content(), "finalists": [finalist()]}
    kept = predictions_section.read(stored(tmp_path_factory.mktemp("kept"), form))
    pages = {name: page(make(), predictions=kept) for name, make in EXAMPLES.items()}
    return {name: opened(text, tmp_path_factory.mktemp(name)) for name, text in pages.items()}


CASES = pytest.mark.parametrize("width", [DESKTOP[0], PHONE[0]], ids=["desktop", "phone"])
NAMES = pytest.mark.parametrize("name", EXAMPLES)


@NAMES
@CASES
def test_nothing_fails_and_nothing_is_requested(looks, name, width):
    seen = looks[name][width]
    assert seen["failures"] == []
    assert seen["requests"] == []


@NAMES
@CASES
def test_every_figure_fits_the_window_and_nothing_scrolls_sideways(looks, name, width):
    seen = looks[name][width]
    assert seen["overflow"] <= width
    assert {"figure-forest", "figure-verified", "figure-pareto", "figure-curves"} <= seen["figures"].keys()
    for figure in seen["figures"].values():
        assert figure["drawn"] and figure["right"] <= width


@NAMES
@CASES
def test_no_two_ticks_of_an_axis_have_the_same_label(looks, name, width):
    for figure in looks[name][width]["figures"].values():
        ticks = [tuple(one) for one in figure["ticks"]]  # the axis and the text of each
        assert ticks
        assert len(ticks) == len(set(ticks)), ticks


@NAMES
@CASES
def test_the_forest_plot_has_the_gains_and_intervals_of_the_record(looks, name, width):
    shown = verification_figures.entries(EXAMPLES[name]().verification)
    drawn = points(looks[name][width]["figures"]["figure-forest"], "x")
    half_widths = [one.gain.half_width if one.gain.count > 1 else 0.0 for one in shown]
    expected = sorted(zip([one.gain.mean for one in shown], half_widths, strict=True))
    assert [value for pair in drawn for value in pair] == pytest.approx([v for pair in expected for v in pair])


@NAMES
def test_the_verified_front_has_latency_and_level(looks, name):
    verification = EXAMPLES[name]().verification
    traces = looks[name][DESKTOP[0]]["figures"]["figure-verified"]["traces"]
    (baseline,) = [trace for trace in traces if trace["name"] == "baseline"]
    dots = sorted(
        (x, y - baseline["y"][0])
        for trace in traces
        if trace["name"] not in ("baseline", "scaling up")
        for x, y in zip(trace["x"], trace["y"], strict=True)
    )
    expected = sorted((one.latency.mean, one.gain.mean) for one in verification_figures.entries(verification))
    assert [v for dot in dots for v in dot] == pytest.approx([v for pair in expected for v in pair])
    assert baseline["x"] == [1]


def test_short_versus_full_training_is_plotted_for_two_or_more_finalists(looks):
    for name, make in EXAMPLES.items():
        shown = [one for one in verification_figures.entries(make().verification) if one.key != SCALE_UP]
        figures = looks[name][DESKTOP[0]]["figures"]
        assert ("figure-agreement" in figures) == (len(shown) > 1)
        if len(shown) > 1:
            traces = [trace for trace in figures["figure-agreement"]["traces"] if "markers" in trace["mode"]]
            pairs = sorted(pair for trace in traces for pair in zip(trace["x"], trace["y"], strict=True))
            expected = sorted((one.search_gain, one.gain.mean) for one in shown)
            assert [v for pair in pairs for v in pair] == pytest.approx([v for pair in expected for v in pair])


def test_the_band_is_the_noise_floor_and_claims_differ_in_more_than_colour(looks):
    seen = looks["complete"][DESKTOP[0]]["figures"]["figure-forest"]
    floor = EXAMPLES["complete"]().verification.noise_floor
    (band,) = [shape for shape in seen["shapes"] if shape.get("name") == "noise floor"]
    assert (band["x0"], band["x1"]) == pytest.approx((-floor.sd, floor.sd))
    symbols = [symbol for trace in seen["traces"] for symbol in trace["symbols"]]
    assert len(symbols) == len(set(symbols)) == 4


@CASES
def test_the_table_of_trials_filters_and_sorts(looks, width):
    trials, seen = EXAMPLES["complete"]().trainings, looks["complete"][width]["trials"]
    assert len(seen["all"]) == len(trials)
    labels, count = seen["words"]
    assert labels and all("GAM@9" in label and "r8" in label for label in labels)
    assert count == f"{len(labels)} of {len(trials)} rows"
    assert len(seen["front"][0]) == trials["on_front"].sum()
    for (texts, order), step in ((seen["down"], -1), (seen["up"], 1)):
        gains = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts if text]
        assert gains[::step] == sorted(gains) and order == {-1: "descending", 1: "ascending"}[step]
        assert texts[-1] == ""  # rows without a gain come last in both orders


def test_tables_and_blocks_can_be_reached_by_keyboard(looks):
    tags = looks["complete"][PHONE[0]]["focusable"]
    assert tags.count("SUMMARY") >= 4 and "PRE" in tags and "DIV" in tags


def points(figure: dict[str, Any], along: str) -> list[tuple[float, float]]:
    """Value and error of every point of a figure along one axis, by value."""
    return sorted(
        (value, error)
        for trace in figure["traces"]
        for value, error in zip(trace[along], trace[f"error_{along}"], strict=True)
    )
