"""What `show` and `list` print: a search space, and what there is to choose from. Heavy imports stay inside."""

import random
from collections.abc import Callable, Iterator


def describe(space_name: str, model: str | None, seed: int) -> Iterator[str]:
    """The lines of `show`: sites, options, rules and size of a space, and an architecture drawn from it."""
    from gamsearch.space.detector import Detector
    from gamsearch.space.search_space import SearchSpace

    space = SearchSpace.load(space_name, Detector.load(model) if model else None)
    yield f"{space.name}: {space.detector.name}, {space.size} architectures, objectives {', '.join(space.objectives)}"
    yield "\nsite  module  channels  stride  part      placements"
    for site, placements in space.choices.items():
        row = space.detector.rows[site]
        labels = ", ".join(p.label.split(" ", 1)[-1] for p in placements)
        yield f"{site:>4}  {row.module:<6}  {row.channels:>8}  {row.stride:>6}  {row.part:<8}  {labels}"
    for rule in space.rules:
        yield f"rule   {rule}"
    for limit in space.limits:
        yield f"limit  {limit.metric} {limit.text}"
    yield f"\nanchors: {'; '.join(a.label for a in space.anchors()) or 'none'}"
    yield f"sampled: {space.draw(random.Random(seed)).label}"


def _list_attention() -> list[str]:
    from gamsearch.attention.catalogue import CATALOGUE

    return [
        f"{s.name}: {s.title} ({s.paper}); options {dict(s.options)}; presets {', '.join(s.presets)}"
        for s in CATALOGUE.values()
    ]


def _list_detectors() -> list[str]:
    from gamsearch.space.detector import stock_detectors

    return stock_detectors()


def _list_metrics() -> list[str]:
    from gamsearch.metrics import METRICS

    return [f"{m.name} [{m.unit}] {m.direction}, {m.stage}: {m.summary}" for m in METRICS.values()]


def _list_samplers() -> list[str]:
    from gamsearch.strategy.samplers import AUTO, SAMPLERS

    return [AUTO, *SAMPLERS]


def _list_latency() -> list[str]:
    from gamsearch.models.latency.backends import AUTO, BACKENDS

    each = [f"{backend.name}: {backend.summary}" for backend in BACKENDS.values()]
    return [f"{AUTO}: the default; cudagraph on CUDA, torch elsewhere", *each]


def _list_tables() -> list[str]:
    from gamsearch.training.replay import ReplayTable, shipped_tables, table_file

    tables = {name: ReplayTable.read(table_file(name)) for name in shipped_tables()}
    return [
        f"{name}: {len(t.rows)} architectures of '{t.space}', {t.epochs} epochs at {len(t.seeds)} seeds"
        for name, t in tables.items()
    ]


def _list_spaces() -> list[str]:
    from gamsearch.space.search_space import SearchSpace, shipped_spaces

    spaces = [SearchSpace.load(name) for name in shipped_spaces()]
    return [f"{space.name}: {space.size} architectures of {space.detector.name}" for space in spaces]


LISTS: dict[str, Callable[[], list[str]]] = {
    "attention": _list_attention,
    "detectors": _list_detectors,
    "metrics": _list_metrics,
    "samplers": _list_samplers,
    "latency": _list_latency,
    "spaces": _list_spaces,
    "tables": _list_tables,
}
