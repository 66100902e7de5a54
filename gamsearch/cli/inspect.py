"""The commands that only look: `show` describes a search space, `explain` a model YAML, `list` what there is."""

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gamsearch.cli.parser import Command
from gamsearch.cli.printing import console, table
from gamsearch.errors import OptionError, nearest, plural

Listing = tuple[tuple[str, ...], Sequence[Sequence[Any]]]
"""Titles of columns, and rows."""


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", help="a space file or the name of a shipped space")
    parser.add_argument("--model", help="another detector than the space's own, e.g. yolov8s (default: the space's)")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled architecture (default: 0)")


def _show(options: argparse.Namespace) -> dict[str, Any]:
    """Print modules, sites, options, rules and size of a space, and an architecture sampled from it."""
    from gamsearch.attention.spec import START_WORDS
    from gamsearch.space.detector import Detector
    from gamsearch.space.search_space import SearchSpace

    space = SearchSpace.load(options.space, Detector.load(options.model) if options.model else None)
    sites = []
    for site, placements in space.choices.items():
        row, inside = space.detector.rows[site], any(p.semantics == "inner" for p in placements)
        found = {
            "site": site,
            "row": row.module,
            "channels": row.channels,
            "inner_channels": row.inner if inside else None,
        }
        labels = [p.label.replace(f"@{site}", "") for p in placements]
        sites.append({**found, "stride": row.stride, "part": row.part, "placements": labels})
    out = console()
    out.print(f"{space.name}: {plural(space.size, 'architecture')} of {space.detector.name}", soft_wrap=True)
    out.print(f"objectives: {', '.join(space.objectives)}", soft_wrap=True)
    for rule in space.rules:
        out.print(f"rule: {rule.name} {rule.value}", soft_wrap=True)
    for limit in space.limits:
        out.print(f"limit: {limit.metric} {limit.text}", soft_wrap=True)
    for module in space.modules:
        start = START_WORDS[module.spec.start_of({name: values[0] for name, values in module.options})]
        out.print(f"{module.name}: {module.spec.origin}; {start}", soft_wrap=True)
    titles = ("site", "row", "channels", "stride", "part", "placements")
    rows = [[_cell(one, title) for title in titles] for one in sites]
    anchors, sampled = space.anchors(), space.sample_random(random.Random(options.seed))
    out.print(table(titles, rows))
    out.print(f"tried first: {'; '.join(a.label for a in anchors) or 'nothing'}", soft_wrap=True)
    out.print(f"sampled: {sampled.label}", soft_wrap=True)
    return {
        "name": space.name,
        "architectures": space.size,
        "detector": space.detector.name,
        "objectives": space.objectives,
        "modules": [module.name for module in space.modules],
        "rules": {rule.name: rule.value for rule in space.rules},
        "limits": {limit.metric: limit.text for limit in space.limits},
        "sites": sites,
        "tried_first": [architecture.to_dict() for architecture in anchors],
        "sampled": sampled.to_dict(),
    }


def _cell(site: dict[str, Any], title: str) -> Any:
    """What the table of `show` says of a site."""
    if title == "channels" and site["inner_channels"]:
        return f"{site['channels']}, {site['inner_channels']} inside"
    return ", ".join(site[title]) if title == "placements" else site[title]


def _list_attention() -> Listing:
    from gamsearch.attention.catalogue import CATALOGUE
    from gamsearch.attention.spec import KINDS

    rows = [
        (
            s.name,
            s.title,
            s.paper,
            KINDS.get(s.kind, s.kind),
            ", ".join(f"{k} {v}" for k, v in s.options.items()),
            ", ".join(s.presets),
        )
        for s in CATALOGUE.values()
    ]
    return ("name", "title", "paper", "kind", "options and defaults", "presets"), rows


def _list_detectors() -> Listing:
    from gamsearch.space.stock import read_mapping, stock_files, stock_models
    from gamsearch.tasks import task_of

    rows = []
    for stem, (scales, reason) in stock_models().items():
        yaml = read_mapping(stock_files()[stem])
        number, searched = len([*yaml["backbone"], *yaml["head"]]), f"no: it {reason}" if reason else "yes"
        task = "" if reason else task_of(yaml).name
        rows.append((stem, " ".join(scales) if len(scales) > 1 else "", number, task, searched))
    return ("name", "scales", "rows", "task", "searched"), sorted(rows, key=lambda row: row[4] != "yes")


def _list_metrics() -> Listing:
    from gamsearch.metrics import METRICS

    rows = [(m.name, m.unit, m.direction, m.stage, m.summary) for m in METRICS.values()]
    return ("name", "unit", "direction", "known", "what it is"), rows


def _list_samplers() -> Listing:
    from gamsearch.strategy.samplers import AUTO, SAMPLERS

    first = (AUTO, "thaw where the objectives allow it, else gp, or tpe in a long search; the default")
    return ("name", "what it is"), [first, *((name, spec.summary) for name, spec in SAMPLERS.items())]


def _list_latency() -> Listing:
    from gamsearch.models.latency.backends import AUTO, BACKENDS
    from gamsearch.models.latency.command import PRESETS

    rows = [(AUTO, "any", "cudagraph on CUDA, onnxruntime on CPUs, torch elsewhere; the default")]
    rows += [(b.name, b.device or "any", b.summary) for b in BACKENDS.values()]
    rows += [(name, "its own", f"the command {command}") for name, command in PRESETS.items()]
    rows.append(('"COMMAND {onnx}"', "its own", "what a command prints, e.g. over ssh; see the guide on latency"))
    return ("name", "device", "what it measures"), rows


def _list_rules() -> Listing:
    from gamsearch.plugins.registry import first_line
    from gamsearch.space.rules import RULES

    return ("name", "what it is"), [(name, first_line(spec.refuse)) for name, spec in RULES.items()]


def _list_sites() -> Listing:
    from gamsearch.plugins.registry import first_line
    from gamsearch.space.selectors import SELECTORS

    return ("name", "what it is"), [(name, first_line(find)) for name, find in SELECTORS.items()]


def _list_tables() -> Listing:
    from gamsearch.training.replay import ReplayTable, shipped_tables, table_file

    tables = {name: ReplayTable.read(table_file(name)) for name in shipped_tables()}
    rows = [(name, len(t.rows), t.space, t.epochs, len(t.seeds)) for name, t in tables.items()]
    return ("name", "architectures", "space", "epochs", "seeds"), rows


def _list_trackers() -> Listing:
    from gamsearch.runs.tracking.trackers import TRACKERS

    return ("name", "package", "what it is"), [(t.name, t.requires, t.summary) for t in TRACKERS.values()]


def _list_spaces() -> Listing:
    from gamsearch.space.search_space import SearchSpace, shipped_spaces

    spaces = [SearchSpace.load(name) for name in shipped_spaces()]
    rows = [(s.name, s.size, s.detector.name, ", ".join(m.name for m in s.modules)) for s in spaces]
    return ("name", "architectures", "detector", "modules"), rows


LISTS: dict[str, Callable[[], Listing]] = {
    "attention": _list_attention,
    "detectors": _list_detectors,
    "latency": _list_latency,
    "metrics": _list_metrics,
    "rules": _list_rules,
    "samplers": _list_samplers,
    "sites": _list_sites,
    "spaces": _list_spaces,
    "tables": _list_tables,
    "trackers": _list_trackers,
}


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", help=", ".join(LISTS))


def _list(options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.what is None:
        raise OptionError(f"list what? There are {', '.join(LISTS)}")
    if options.what not in LISTS:
        close = nearest(options.what, LISTS)
        raise OptionError(f"there is no list of '{options.what}'{close}; there are {', '.join(LISTS)}")
    titles, rows = LISTS[options.what]()
    console().print(table(titles, rows))
    return [dict(zip(titles, row, strict=True)) for row in rows]


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="yaml", help="model YAMLs with attention that somebody inserted")
    parser.add_argument("--model", help="the stock YAML they were made from (default: found by their rows)")


def _explain(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the base of model YAMLs and the placements of attention in them."""
    from gamsearch.architecture import option_label
    from gamsearch.space.detector import Detector
    from gamsearch.space.imported import detector_of, read_imported

    out, values = console(), []
    for file in map(Path, options.files):
        found = read_imported(file, Detector.load(options.model) if options.model else detector_of(file))
        out.print(f"{file}: {found.architecture.detector} with", soft_wrap=True, markup=False)
        rows = []
        for one in found.architecture.placements:
            readers = "the block itself" if one.semantics == "inner" else ", ".join(map(str, one.consumers)) or "all"
            words = " ".join(option_label(name, value) for name, value in one.options)
            rows.append((one.site, one.module, words, readers))
        out.print(table(("site", "module", "options", "rows that read it"), rows))
        for note in found.notes:
            out.print(note, soft_wrap=True, markup=False)
        values.append({"file": file, **found.architecture.to_dict(), "notes": found.notes})
    return values


COMMANDS = (
    Command(
        "show",
        "describe a search space: its sites, placements and size",
        ("gam", "gam-neck --model yolov8s"),
        _add_show,
        _show,
        "SPACE",
    ),
    Command(
        "explain",
        "name the attention in hand-written model YAMLs: module, site and options",
        ("my/yolov8n-cbam.yaml", "my/*.yaml --model yolov8n"),
        _add_explain,
        _explain,
        "YAML ...",
    ),
    Command("list", "list what there is to choose from", ("attention", "samplers"), _add_list, _list, "WHAT"),
)
