"""What attention does in the finalists: pictures, distances and gains, or nothing where a run kept nothing."""

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs
from support.pages import Elements, words
from support.predictions import content, finalist, stored
from support.records import HOSTILE, rich_record
from support.verified_records import complete

from gamsearch.reporting import gates_section, predictions_section, write
from gamsearch.reporting.html_page import page
from gamsearch.study.record import Record

TITLE = "What attention does in the finalists"
PLACED = finalist()["placements"][0]


def shown(folder: Path, record: Record, *finalists: Any) -> str:
    form = {**content(), "finalists": list(finalists)}
    return page(record, predictions=predictions_section.read(stored(folder, form)))


def test_the_mean_and_three_images_are_shown_with_their_figures_as_alternative_text(tmp_path: Path):
    text = shown(tmp_path, rich_record(), finalist())
    gates = [one for one in Elements(text).named("svg") if one.get("class") == "gate"]
    assert [one["role"] for one in gates] == ["img"] * 4
    alternative = [str(one["aria-label"]) for one in gates]
    assert alternative[0].startswith("GAM@9 r8, mean of all images: mean 3.2 %, full colour 21 %")
    assert all(one.endswith("largest at the top left") for one in alternative)
    assert text.count("data:image/jpeg;base64,") == 6  # the images are in the page once
    pictures = [one["href"] for one in Elements(text).named("image") if "image/png" in str(one["href"])]
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(str(pictures[0]).partition(",")[2]))))
    assert pixels.shape == (9, 12, 4) and pixels[:3, :4, 3].min() > 10 * pixels[4:, :, 3].max()


def test_each_placement_and_each_gain_is_a_sentence(tmp_path: Path):
    text = words(shown(tmp_path, rich_record(), finalist()))
    assert (
        "GAM@9 r8 has moved a little from the identity: it changes its map by 6.5 % (from 5.1 % to 7.8 % in "
        "90 % of the images), mostly by position; at labelled objects" in text
    )
    assert (
        "in one training (seed 1): \N{MINUS SIGN}0.0100. By class: RBC +0.0200, GAM@9 r8 \N{MINUS SIGN}0.0400." in text
    )
    assert "By object size: small +0.0100." in text and "of one training each and may not repeat" in text


def test_verified_finalists_have_the_intervals_of_their_seeds(tmp_path: Path):
    record = complete()
    best = max(record.verification.finalists, key=lambda one: one.gain.mean)
    text = words(shown(tmp_path, record, finalist(best.label, key=best.key, verified=True)))
    part = text.partition(TITLE)[2]
    found = best.per_class["Platelets"]["map50_95"]
    assert "Change in mAP50-95 over 5 seeds" in part and "may not repeat" not in part
    assert f"By class: Platelets {found.mean:+.4f} ± {found.half_width:.4f}, WBC " in part
    assert "By object size: large +" in part and "not corrected" in part


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"distance": 0.0, "mean": None, "maps": []}, "still the identity: it returns what it receives"),
        ({"distance": 0.004}, "has hardly moved from the identity: it changes its map by 0.40 %"),
        ({"distance": 0.2}, "has moved clearly"),
        ({"distance": 0.7}, "has moved far from the identity: it changes its map by 70 %"),
        ({"distance": 182.0}, "drowns its map by a change of 182 times (from 5.1 % to 7.8 % in"),
        ({"shares": [0.95, 0.97, 0.96]}, "almost only by one factor for the whole map (1.02)"),
        ({"shares": [0.6, 0.95, 0.65]}, "in part by one factor for the whole map (1.02), otherwise mostly by channel"),
        ({"shares": [0.1, 0.7, 0.68]}, "by channel as much as by position"),
        ({"shares": [0.1, 0.3, 0.2]}, "not by factors of whole channels or positions"),
        ({"objects": [1.4, 0.9, 2.1]}, "about as much as elsewhere (1.40 times"),
        ({"objects": [0.4, 0.3, 0.5]}, "at labelled objects 0.40 times as much as elsewhere"),
        ({"objects": None}, "mostly by position."),
    ],
)
def test_the_sentence_says_what_the_figures_say(change, expected):
    assert expected in gates_section.sentence({**PLACED, **change})


def test_a_page_with_three_finalists_of_many_placements_stays_small(tmp_path: Path):
    many = [finalist(placements=[PLACED] * 9) for _ in range(3)]
    write(rich_record(), stored(tmp_path, {**content(), "finalists": many}))
    assert (tmp_path / "report.html").stat().st_size - len(get_plotlyjs().encode()) < 2_000_000


def test_a_run_of_an_earlier_version_has_the_rest_of_the_page(tmp_path: Path):
    text = words(page(rich_record(), predictions=predictions_section.read(stored(tmp_path, content()))))
    assert TITLE not in text and "Precision and recall" in text


def placement(**changes: Any) -> dict[str, Any]:
    return finalist(placements=[{**PLACED, **changes}])


@pytest.mark.parametrize(
    "damage",
    [
        "text",
        [3],
        [{}],
        [finalist(placements=None)],
        [finalist(placements=[[]])],
        [finalist(per_class=[1])],
        [finalist(per_class={"a": "b"})],
        [finalist(seed="x")],
        [placement(distance=float("nan"))],
        [placement(distance=10**400)],
        [placement(shares=[0.1])],
        [placement(range=5)],
        [placement(mean={**PLACED["mean"], "cells": "A" * 5_000_000})],
        [placement(mean={**PLACED["mean"], "size": [10**9, 10**9]})],
        [placement(mean={**PLACED["mean"], "top": float("inf")})],
        [placement(maps={"a": 1})],
    ],
)
def test_damaged_figures_cost_one_sentence(damage):
    record, form = rich_record(), json.loads(json.dumps({**content(), "finalists": damage}))
    text = gates_section.section(record, form)
    assert words(text).count("is damaged") == 1 and len(text) < 400


def test_names_from_elsewhere_are_escaped(tmp_path: Path):
    text = shown(tmp_path, rich_record(), finalist(HOSTILE))
    assert TITLE in text and "<script>alert" not in text and "<img src=https" not in text
