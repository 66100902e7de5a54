"""Fills `<!-- attention modules -->` with the catalogue of attention modules."""

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import KINDS, AttentionSpec

MARK = "<!-- attention modules -->"
HEAD = "| module | what it is | gate | start | options and defaults | presets |\n|---|---|---|---|---|---|\n"
STARTS = {"paper": "own parameters", "gain": "own parameters, times a constant", "blend": "blend with its input"}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs for every page."""
    return markdown.replace(MARK, HEAD + "\n".join(map(_row, CATALOGUE.values()))) if MARK in markdown else markdown


def _row(spec: AttentionSpec) -> str:
    name = f"`{spec.name}`" + (f" (row `{spec.row_name}`)" if spec.row_name != spec.name else "")
    title = spec.title + (f", {spec.paper}" if spec.paper else "")
    start = f"{STARTS[spec.start]}; learning rate × {spec.lr_factor:g}"
    options = ", ".join(f"`{option}: {str(value).lower()}`" for option, value in spec.options.items())
    presets = ", ".join(f"`{preset}`" for preset in spec.presets)
    return f"| {name} | {title} | {KINDS[spec.kind]} | {start} | {options} | {presets} |"
