"""The section of the page with all trials: a table that filters and sorts, plain where there is no JavaScript."""

from html import escape

import pandas as pd

from gamsearch.reporting import formatting, limits, plot_data
from gamsearch.reporting.tables import html_table, rows_of, trial_columns
from gamsearch.study import summaries
from gamsearch.study.record import Record

CONTROLS = """<form class="controls" hidden><label>Search <input type="search" name="words" autocomplete="off"
placeholder="e.g. GAM@8 r4"></label><label>Show <select name="rows"><option value="">all</option>
<option value="marked">Pareto front</option><option value="plain">evaluated</option>
<option value="faint">stopped, failed, repeated</option></select></label><output aria-live="polite"></output></form>"""

SCRIPT = r"""<script>(() => {
  const box = document.getElementById("trials"), form = box.querySelector("form"), body = box.querySelector("tbody");
  const rows = [...body.rows], units = {s: 1, min: 60, h: 3600};
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = words => {
    const found = words.replace("\u2212", "-").match(/^([+-]?[\d.]+(?:e[+-]?\d+)?)\s*(\S*)/);
    return found ? parseFloat(found[1]) * (units[found[2]] || 1) : NaN;
  };
  const show = () => {
    const words = form.words.value.toLowerCase().replace(/\u00a0/g, " ").split(/\s+/).filter(Boolean);
    const kinds = {"": () => true, marked: row => row.className === "marked", faint: row => row.className === "faint",
      plain: row => row.className !== "faint"};
    let count = 0;
    for (const row of rows) {
      const words_of_row = row.textContent.toLowerCase();
      row.hidden = !(kinds[form.rows.value](row) && words.every(word => words_of_row.includes(word)));
      count += !row.hidden;
    }
    form.querySelector("output").textContent = `${count} of ${rows.length} rows`;
  };
  const sort = (head, column) => {
    const down = head.getAttribute("aria-sort") === "ascending" ||
      (!head.hasAttribute("aria-sort") && head.className === "number" && column > 0);
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => {
      const [x, y] = [text(a, column), text(b, column)], empty = (x === "") - (y === "");
      const less = head.className === "number" ? number(x) - number(y) : x.localeCompare(y, "en", {numeric: true});
      return empty || (down ? -less : less) || rows.indexOf(a) - rows.indexOf(b);
    };
    body.append(...[...rows].sort(order));
  };
  [...box.querySelectorAll("thead th")].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head, column));
  });
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  show();
})();</script>"""


def section(record: Record) -> str:
    """The notes on all trials and their table.

    Args:
        record: The run.

    Returns:
        The HTML; empty without trials.
    """
    if record.trials.empty:
        return ""
    caption = f"The baseline, {record.counts.sentence}, in the order of their trials; the front is bold"
    notes = "".join(
        f"<p>{formatting.typeset(escape(text))}</p>"
        for text in (summaries.transfer(record), summaries.economy(record), summaries.prediction_error(record))
        if text
    )
    rows = record.trainings
    numbers = limits.chosen(list(rows["number"]), plot_data.most_important(record), limits.ROWS)
    if len(numbers) < len(rows):
        notes += (
            f"<p>The table holds {len(numbers)} of {len(rows)} rows: the baseline, the front, hand-designed placements "
            'and the largest gains. <a href="trials.csv">trials.csv</a> in the same folder holds all.</p>'
        )
        rows = rows[rows["number"].isin(numbers)]
    table = html_table(trial_columns(record), rows_of(rows), caption, _kind)
    return f'<h2>All trials</h2>{notes}<div id="trials">{CONTROLS}{table}</div>{SCRIPT}'


def _kind(trial: pd.Series) -> str:
    """CSS class of a trial's row: `marked` on the front, `faint` if the trial was not evaluated itself."""
    if trial["on_front"]:
        return "marked"
    return "faint" if trial["state"] != "complete" or pd.notna(trial["recalled_from"]) else ""
