"""verdict.md and verdict.tex: the verdict and the table of the verification, in Markdown and LaTeX (booktabs)."""

import re

from gamsearch.reporting import verification_rows
from gamsearch.reporting.tables import Column
from gamsearch.study.record import Record

LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{NO-BREAK SPACE}": "~",
}

LEFT_OUT = ("claim", "seeds needed")
"""Columns that do not fit a printed page; the caption states the claims."""


def markdown(record: Record) -> str:
    """The verdict, the table and its conditions, in GitHub-flavoured Markdown."""
    columns, rows = _columns(record), verification_rows.rows(record.verification)
    lines = [
        _markdown_row([column.title for column in columns]),
        "|" + "|".join("---:" if column.numeric else "---" for column in columns) + "|",
        *(_markdown_row([column.text(row) for column in columns]) for row in rows),
    ]
    verdict = [_markdown(text) for text in (record.verdict(), record.verification.against_growth()) if text]
    caption = _markdown(f"{_caption(record)} {verification_rows.needed()}")
    return "\n\n".join([" ".join([f"**{verdict[0]}**", *verdict[1:]]), "\n".join(lines), caption]) + "\n"


def latex(record: Record) -> str:
    """A `table*` with the verdict and its conditions in the caption; needs the package booktabs."""
    columns, rows = (
        [c for c in _columns(record) if c.title not in LEFT_OUT],
        verification_rows.rows(record.verification),
    )
    label = re.sub(r"[^A-Za-z0-9-]+", "-", record.name)
    caption = [record.verdict(), record.verification.against_growth(), _caption(record)]
    lines = [
        r"\begin{table*}",
        r"  \centering",
        r"  \footnotesize",
        f"  \\caption{{{_latex(' '.join(filter(None, caption)))}}}",
        f"  \\label{{tab:{label}}}",
        f"  \\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in columns)}}}",
        r"    \toprule",
        f"    {' & '.join(_latex(column.title) for column in columns)} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(_latex_cell(column, column.text(row)) for column in columns)} \\\\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _columns(record: Record) -> list[Column]:
    """The columns that are not empty; names lack the trial's number, which GitHub would link to an issue."""
    rows = verification_rows.rows(record.verification)
    name = Column("finalist", verification_rows.plain_name, numeric=False)
    return [name, *(column for column in verification_rows.columns(record.task)[1:] if any(map(column.text, rows)))]


def _caption(record: Record) -> str:
    return f"{verification_rows.conditions(record)}. {verification_rows.statistics(record)}"


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(map(_markdown, cells))} |"


def _markdown(text: str) -> str:
    """The text on one line, with the special characters of Markdown and HTML escaped."""
    plain = re.sub(r"([\\`*_|\[\]<>])", r"\\\1", " ".join(text.split()))
    return plain.replace("&", "&amp;")


def _latex(text: str) -> str:
    """The text on one line, with LaTeX's special characters escaped and hyphens before digits as minus signs."""
    plain = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", " ".join(text.split()))
    return "".join(LATEX.get(letter, letter) for letter in plain)


def _latex_cell(column: Column, text: str) -> str:
    """A cell; numbers in math mode for correct signs, `--` if unknown."""
    if not text:
        return "--"
    return f"${text.replace('±', chr(92) + 'pm')}$" if column.numeric else _latex(text)
