"""The predictions in the report: pictures and curves of what a run kept, one sentence where it kept nothing."""

import json
from dataclasses import replace
from pathlib import Path

from plotly.offline import get_plotlyjs
from support.pages import words
from support.predictions import content, stored
from support.records import HOSTILE, gam, record, rich_record, trial

from gamsearch.analysis.prediction_comparison import FILE
from gamsearch.reporting import predictions_section, write
from gamsearch.reporting.html_page import page


def test_both_models_are_shown_on_each_image_which_is_in_the_page_once(tmp_path: Path):
    text = page(rich_record(), predictions=predictions_section.read(stored(tmp_path, content())))
    assert text.count("data:image/jpeg;base64,") == 6 and text.count('<use href="#validation-') == 6
    assert text.count('class="wrong"') == 6 and text.count('class="shared"') == 12
    assert "GAM@9 r8: 2 boxes, 1 without a counterpart (0 right, 1 wrong)" in words(text)
    assert "at full budget with seed 1 and ran on all 87 validation images" in words(text)
    assert "figure-precision" in text


def test_the_page_stays_below_two_megabytes_beside_plotly(tmp_path: Path):
    write(rich_record(), stored(tmp_path, content()))
    assert (tmp_path / "report.html").stat().st_size - len(get_plotlyjs().encode()) < 2_000_000


def test_a_replay_and_an_old_record_say_in_one_sentence_why_there_are_no_predictions():
    assert "were not kept with this record" in words(page(rich_record()))
    replayed = record([trial(0, gam(), 0.2), trial(1, gam((9, 8)), 0.3)], settings={"evaluator": "replay"})
    assert "replayed a table and trained nothing" in words(page(replayed))
    assert "Predictions" not in words(page(replace(replayed, trials=replayed.trials.head(1))))


def test_a_damaged_comparison_costs_only_its_section(tmp_path: Path):
    damaged = [b"", b"[]", b'{"shown": 3}', json.dumps({**content(), "curves": []}).encode()]
    for number, data in enumerate([*damaged, json.dumps({**content(), "shown": [{"file": "../../etc"}]}).encode()]):
        folder = stored(tmp_path / str(number), content())
        (folder / FILE).write_bytes(data)
        text = words(page(rich_record(), predictions=predictions_section.read(folder)))
        assert "is damaged" in text or "were not kept" in text
        assert "All trials" in text


def test_names_from_the_data_are_escaped(tmp_path: Path):
    text = page(rich_record(), predictions=predictions_section.read(stored(tmp_path, content(HOSTILE))))
    assert "<script>alert" not in text and "<img src=https" not in text
