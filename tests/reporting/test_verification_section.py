"""The verification in the report: position, table, figures, Markdown and LaTeX, and the command to reproduce it."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.pages import Elements
from support.records import HOSTILE, confirmed, rich_record
from support.verified_records import EXAMPLES, SETTINGS, all_worse, barely_begun, complete, incomplete, single

from gamsearch.analysis.verification import SCALE_UP, Verification
from gamsearch.reporting import plain_table, snippets, verification_figures, verification_rows, write
from gamsearch.reporting.html_page import page
from gamsearch.reporting.provenance_section import verify_command
from gamsearch.study.record import Record
from gamsearch.tasks import DETECT

SEARCHED = "Search result, from short trainings only: Unclear: the best candidate was trained at one seed only."


def words(record: Record) -> str:
    """The text of the page with ordinary spaces and hyphens."""
    text = " ".join(" ".join(Elements(page(record)).words).split())
    return text.replace("\N{MINUS SIGN}", "-")


def changed(record: Record, **more: Any) -> Record:
    """The record with other fields of its verification."""
    return replace(record, verification=replace(record.verification, **more))


@pytest.mark.parametrize("make", [complete, incomplete, single, all_worse])
def test_the_verdict_of_the_verification_precedes_that_of_the_search(make):
    record = make()
    seen = words(record)
    answer = record.answer()
    assert answer.detail == record.verification.verdict() != record.search_answer().detail
    assert (
        seen.index(answer.headline)
        < seen.index(answer.detail)
        < seen.index(SEARCHED)
        < seen.index("Verified at full budget")
    )
    assert re.findall(r"<h2>(.*?)</h2>", page(record))[:2] == ["Verified at full budget", "Pareto front"]
    text = " ".join(plain_table(record).split())
    assert text.startswith(record.verdict()) and SEARCHED in text and answer.next in text


@pytest.mark.parametrize("verification", [None, {}, {"finalists": [], "settings": {}}])
def test_a_record_without_a_verification_is_reported_as_before(verification, tmp_path: Path):
    record = replace(rich_record(), verification=Verification.from_dict(verification))
    assert page(record) == page(rich_record()) and "Verified at full budget" not in page(record)
    assert record.verdict() == record.search_verdict()
    assert [path.name for path in write(record, tmp_path)] == ["trials.csv", "report.html", "pareto.png"]


def test_with_one_pair_of_seeds_the_verdict_is_that_of_the_search():
    record = barely_begun()
    assert not record.verified and record.verdict() == record.search_verdict()
    seen = words(record)
    assert "Still missing" in seen and "#12 GAM@9 r8 + GAM@18 r32: 5 of 5 seeds" in seen


def test_missing_trainings_are_listed_only_if_there_are_any():
    seen = words(incomplete())
    assert "#12 GAM@9 r8 + GAM@18 r32: 4 of 5 seeds" in seen and "yolov8s, no attention: 4 of 5 seeds" in seen
    assert "Still missing: #12" in " ".join(plain_table(incomplete(), width=200).split())
    assert "Incomplete." not in words(complete()) and "Still missing" not in plain_table(complete())


def test_the_table_has_the_test_results_with_the_best_gain_first():
    rows = verification_rows.rows(complete().verification)
    texts = {column.title: [column.text(row) for row in rows] for column in verification_rows.columns(DETECT)}
    best = rows[1].compared
    assert texts["finalist"] == [
        "baseline",
        "#10 GAM@6 r8 + GAM@9 r16",
        "#12 GAM@9 r8 + GAM@18 r32",
        "#6 GAM@9 r8",
        "yolov8s, no attention",
    ]
    assert texts["claim"] == ["", "better", "not distinguishable", "worse", "better"]
    assert texts["mAP50-95 difference"][1] == f"{best.gain.mean:+.4f} ± {best.gain.half_width:.4f}"
    assert texts["latency ratio"][1] == f"{best.latency.mean:.3f} [{best.latency.low:.3f}, {best.latency.high:.3f}]"
    assert texts["p (Holm)"][2] == f"{rows[2].compared.gain.p_holm:.4f}" and texts["p (Holm)"][4] == "<0.0001"
    assert texts["seeds needed"][1] == f"{best.gain.seeds_needed}"
    assert texts["mAP50-95"][0] == "0.3997" and texts["seeds"] == ["5"] * 5


def test_a_finalist_with_one_seed_has_neither_interval_nor_claim():
    row = verification_rows.rows(incomplete().verification)[2]
    texts = {column.title: column.text(row) for column in verification_rows.columns(DETECT)}
    assert "±" not in texts["mAP50-95 difference"] and texts["p (Holm)"] == texts["seeds needed"] == ""
    assert texts["claim"] == "fewer than two paired seeds"


def test_classes_and_sizes_are_folded_and_marked_as_exploratory():
    record = complete()
    text = page(record)
    folded = re.search(r"<details><summary>By class.*?</details>", text, re.DOTALL)[0]
    seen = " ".join(Elements(folded).words).replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
    best = record.verification.finalists[0]
    for found in (best.per_class["Platelets"]["map50_95"], best.per_size["large"]):
        assert verification_rows.spread(found) in seen
    assert "not corrected for multiple comparisons" in seen and "small" not in seen
    assert "1000 resamples" in text


def test_kendalls_tau_is_reported_with_three_or_more_finalists():
    record = complete()
    assert (
        f"Kendall's tau between short-training and verified gains is {record.verification.agreement.tau:+.2f}"
        in words(record)
    )
    assert "needs three verified finalists; there are 2 so far" in words(incomplete())
    assert "needs three verified finalists; there is 1 so far" in words(single())
    assert verification_figures.agreement_figure(single().verification) is None
    assert verification_figures.agreement_figure(incomplete().verification) is not None


def test_the_winner_is_drawn_and_can_be_exported():
    seen = words(complete())
    assert "The recommended architecture" in seen and "Largest verified gain in mAP50-95 (+0.0" in seen
    assert complete().answer().next_command == "python -m gamsearch export results/bccd-yolov8n --trial 10"
    assert "Largest gain in mAP50-95 in the search: trial 10" in words(barely_begun())


def test_figures_have_alternative_text_with_their_content():
    labels = [attributes["aria-label"] for attributes in Elements(page(complete())).named("figure")]
    assert all(labels) and len(set(labels)) == len(labels)
    (forest,) = [label for label in labels if label.startswith("Forest plot")]
    for one in complete().verification.finalists:
        assert f"{verification_rows.name(one)} {verification_rows.spread(one.gain)}, {one.gain.claim}" in forest


# -- verdict.md and verdict.tex --------------------------------------------------------------------------------------


def test_the_verdict_files_are_written_and_have_the_same_text_in_the_page(tmp_path: Path):
    record = complete()
    written = {path.name: path for path in write(record, tmp_path)}
    assert list(written) == ["trials.csv", "report.html", "pareto.png", "verdict.md", "verdict.tex"]
    blocks = "".join(Elements(written["report.html"].read_text(encoding="utf-8")).words)
    for name in ("verdict.md", "verdict.tex"):
        assert written[name].read_text(encoding="utf-8") in blocks


@pytest.mark.parametrize("make", EXAMPLES.values())
def test_every_row_of_the_markdown_table_has_as_many_cells_as_its_head(make):
    lines = [line for line in snippets.markdown(make()).splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == 2 + len(verification_rows.rows(make().verification))


@pytest.mark.parametrize("make", EXAMPLES.values())
def test_every_row_of_the_latex_table_has_as_many_cells_as_its_columns(make):
    text = snippets.latex(make())
    letters = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(letters)}
    assert len(rows) == 1 + len(verification_rows.rows(make().verification))


def test_the_caption_states_seeds_epochs_size_data_and_correction():
    for text in (snippets.markdown(complete()), snippets.latex(complete()).replace(r"\%", "%")):
        for fact in ("5 paired seeds (0 to 4)", "100 epochs", "160 px", "bccd/data.yaml", "5e0d3a07c1b9"):
            assert fact in text
        assert "Holm-corrected for 3 finalists" in text and "yolov8s is a separate control and not corrected" in text
    assert "1 of 5 paired seeds" in snippets.markdown(incomplete())


def test_latex_specials_are_escaped():
    bad = r"a_b & 50% $x$ #1 {y} \cmd ~ ^ <|>"
    record = complete()
    text = snippets.latex(changed(record, chosen=tuple({**one, "label": bad} for one in record.verification.chosen)))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textbackslash{}cmd \textasciitilde{} \textasciicircum{} "
        r"\textless{}\textbar{}\textgreater{} &"
    ) in body
    half = record.verification.best.gain.half_width
    assert rf"$+0.0118 \pm {half:.4f}$" in body and r"$<0.0001$" in body


def test_markdown_of_hostile_labels_stays_a_table():
    record = complete()
    bad = "a|b `c` *d* _e_ <script>alert(1)</script> [x](http://evil.example)\nnew & line"
    text = snippets.markdown(changed(record, chosen=tuple({**one, "label": bad} for one in record.verification.chosen)))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1 and len(lines) == 7
    assert not re.search(r"(?<!\\)[<\[]", text.replace(" [1.", "").replace("[1.", "")) or r"\<script\>" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_accepts_the_table(tmp_path: Path):
    head, tail = r"\documentclass{article}\usepackage{booktabs}\begin{document}", r"\end{document}"
    (tmp_path / "x.tex").write_text(f"{head}\n{snippets.latex(complete())}\n{tail}", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


# -- hostile and broken records -----------------------------------------------------------------------------------


def test_hostile_text_in_a_verification_is_escaped():
    record = complete()
    chosen = tuple({**one, "label": HOSTILE} for one in record.verification.chosen)
    trainings = {
        key: {seed: done | {"per_class": {HOSTILE: {"map50_95": 0.1}}} for seed, done in listed.items()}
        for key, listed in record.verification.trainings.items()
    }
    settings = dict.fromkeys(SETTINGS, HOSTILE) | {"seeds": 5, "train": {HOSTILE: HOSTILE}}
    control = {"name": HOSTILE, "model": HOSTILE}
    bad = changed(record, chosen=chosen, trainings=trainings, settings=settings, control=control)
    text = page(bad, {"commit": HOSTILE, "machine": {HOSTILE: HOSTILE}})
    elements = Elements(text)
    assert not elements.named("img") and "<script>alert" not in text
    assert len(elements.named("script")) == len(Elements(page(record)).named("script"))
    drawn = [make(bad.verification) for make in FIGURES]
    assert all("<script" not in repr(figure.to_dict()) for figure in drawn)


FIGURES = (verification_figures.forest_figure, verification_figures.front_figure, verification_figures.agreement_figure)


@pytest.mark.parametrize("missing", ["latency_ratio", "latency_interval", "per_class", "per_size", "map50", "map50_95"])
def test_a_metric_that_no_training_has_is_left_out(missing, tmp_path: Path):
    record = complete()
    trainings = {
        key: {seed: {k: v for k, v in done.items() if k != missing} for seed, done in listed.items()}
        for key, listed in record.verification.trainings.items()
    }
    bare = changed(record, trainings=trainings, bootstrap={})
    write(bare, tmp_path)
    assert "nan" not in (snippets.markdown(bare) + snippets.latex(bare) + plain_table(bare)).replace("(1 nan", "")
    assert "nan" not in words(bare).replace("nan: loss is NaN", "").replace("(1 nan", "").lower().replace("nan:", "")


def test_a_verification_without_trainings_can_be_reported(tmp_path: Path):
    record = changed(complete(), trainings={}, bootstrap={})
    assert len(write(record, tmp_path)) == 5
    assert "figure-forest" not in page(record) and "baseline: 5 of 5 seeds" in words(record)


def test_a_confirmed_search_keeps_its_own_sentence_below():
    record = replace(confirmed([0.010, 0.012, 0.011, 0.013]), verification=complete().verification)
    assert "Yes: GAM@4 r4 gains 0.012 ± 0.002 mAP" in words(record)
    assert record.verdict() == complete().verdict()


# -- how to reproduce ---------------------------------------------------------------------------------------------


def test_the_command_of_the_verification_has_all_chosen_options():
    assert verify_command(complete()) == (
        "python -m gamsearch verify results/bccd-yolov8n --top 3 --seeds 5 --epochs 100 --scale-up yolov8s.yaml "
        "--train mosaic=0.5"
    )
    recorded = changed(complete(), settings={**SETTINGS, "command": "verify it postgresql://a:secret@b/c"})
    assert verify_command(recorded) == "verify it postgresql://a:***@b/c"
    assert verify_command(complete()) in words(complete())


def test_the_page_shows_the_environment_of_the_run(tmp_path: Path):
    manifest = {
        "commit": "2809c91e0b6e",
        "machine": {"cpu": "AMD EPYC", "threads": 1},
        "fingerprints": {"data": "eaed65b5637a"},
        "seeds": {"search": 0, "baseline": [0, 1]},
        "settings": {"data": "left out, as the record has it"},
    }
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    write(complete(), tmp_path)
    seen = " ".join(Elements((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    for fact in ("2809c91e0b6e", "AMD EPYC", "eaed65b5637a", "0, 1", "NVIDIA H100", "2.14.1"):
        assert fact in seen
    assert "python -m gamsearch run --from results/bccd-yolov8n/manifest.yaml" in seen
    assert "left out" not in seen


@pytest.mark.parametrize("content", [None, "[", "- a list", "\x00", "", "machine: " + "[" * 5000])
def test_without_a_readable_manifest_the_page_does_not_mention_one(content, tmp_path: Path):
    if content is not None:
        (tmp_path / "manifest.yaml").write_text(content, encoding="utf-8")
    write(complete(), tmp_path)
    assert "manifest.yaml" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_scale_up_has_a_look_of_its_own():
    symbols = [look["symbol"] for look in verification_figures.LOOKS.values()]
    assert len(set(symbols)) == len(symbols)
    (control,) = [
        trace
        for trace in verification_figures.forest_figure(complete().verification).data
        if trace.name.startswith("scale")
    ]
    assert control.marker.symbol == verification_figures.LOOKS[SCALE_UP]["symbol"]
