"""Reports of other tasks: every text names the task's own metric, and what only detection has is left out."""

import re

import pytest
from support.records import rich_record
from support.tasks import OTHERS, record_of
from support.verified_records import complete

from gamsearch.errors import RunError
from gamsearch.reporting import comparison_page, tables, terminal
from gamsearch.reporting.compared_run import ComparedRun
from gamsearch.reporting.comparison import compare
from gamsearch.reporting.html_page import page
from gamsearch.reporting.snippets import latex, markdown
from gamsearch.tasks import task_named

RECORDS = {"search": rich_record, "verification": complete}


def words(html: str) -> str:
    """The text of a page, of its tables' heads and of its figures."""
    text = re.sub(r"<br>", " ", html)
    return re.sub(r"<(?!script)[^>]*>", "", text)


def unnamed(text: str) -> list[str]:
    """Where mAP is said without what it is of."""
    return re.findall(r".{30}(?<!mask )(?<!pose )(?<!box )\bmAP.{10}", text)


@pytest.mark.parametrize("made", RECORDS)
@pytest.mark.parametrize("task", OTHERS)
def test_a_report_names_the_metric_of_its_task_and_no_other(made, task):
    record = record_of(RECORDS[made](), task)
    title = task_named(task).primary_title
    texts = {"page": words(page(record)), "terminal": terminal.plain_table(record, width=200)}
    if record.verification.finalists:
        texts |= {"markdown": markdown(record), "latex": latex(record)}
    for name, text in texts.items():
        assert title in text, name
        if task != "obb":
            assert unnamed(text) == [], name
        if task == "classify":
            assert "mAP" not in text, name
        assert "nan" not in text.split(), name
    headings = ["by object size"]
    if task == "classify":
        headings += ["Predictions, baseline", "depends on the validation images"]
    for heading in headings:
        assert heading not in texts["page"]


@pytest.mark.parametrize("task", OTHERS)
def test_the_table_of_trials_has_no_column_of_another_task(task, tmp_path):
    known = task_named(task)
    header = tables.write_csv(record_of(rich_record(), task), tmp_path / "trials.csv").read_text().splitlines()[0]
    columns = header.split(",")
    others = {name for other in OTHERS for name in task_named(other).metrics} - set(known.metrics)
    assert set(known.gains) <= set(columns) and not others & set(columns)


def test_runs_of_the_same_task_are_compared_in_its_metric_and_runs_of_two_are_refused():
    found = [ComparedRun("a", record_of(make(), "classify")) for make in (rich_record, complete)]
    html = words(comparison_page.comparison_page(compare(found)))
    assert "top-1 accuracy gain over own baseline" in html and "mAP" not in html
    mixed = [ComparedRun("a", rich_record()), ComparedRun("b", record_of(rich_record(), "obb"))]
    with pytest.raises(RunError, match="object detection and .* oriented boxes; only runs of the same task"):
        compare(mixed)
