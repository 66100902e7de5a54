"""The commands on finished or running searches (`status`, `report`, `compare`, `verify`, `export`), `install-hook`."""

import argparse
from pathlib import Path
from typing import Any

from gamsearch.cli.arguments import add_folder, add_precision, add_trust, training_arguments
from gamsearch.cli.parser import Command
from gamsearch.cli.printing import console, print_written, show_report
from gamsearch.runs.export_formats import FORMATS, FP32, USUAL


def _status(options: argparse.Namespace) -> dict[str, Any]:
    """Print how far a run is; nothing is written."""
    from gamsearch.reporting.status import status

    found = status(Path(options.folder))
    for line in found.lines:
        print(line)
    return found.values


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from gamsearch.runs.api import Run

    return show_report(Run(Path(options.folder)))


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="folder", help="folders of two or more runs")
    parser.add_argument("--out", help="folder for compare.html and compare.png (default: results/compare-A-B)")


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    """Compare several runs; write the page and the picture and print the table."""
    from gamsearch.reporting.api import compare
    from gamsearch.reporting.comparison_page import terminal_table, write
    from gamsearch.reporting.plain import comparison_values

    comparison = compare(options.folders)
    usual = Path("results") / f"compare-{'-'.join(Path(folder).resolve().name for folder in options.folders)}"[:100]
    written = write(comparison, Path(options.out) if options.out else usual)
    console().print(terminal_table(comparison))
    print_written(written)
    return {**comparison_values(comparison), "files": written}


def _add_verify(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    parser.add_argument("--top", type=int, default=3, help="largest number of finalists from the front (default: 3)")
    parser.add_argument("--seeds", type=int, default=5, help="paired seeds; more can be added later (default: 5)")
    parser.add_argument(
        "--epochs", type=int, default=100, help="of each training, from the original weights (default: 100)"
    )
    parser.add_argument(
        "--scale-up",
        nargs="?",
        const="next",
        default="",
        metavar="MODEL",
        help="also train the next scale (or MODEL) without attention, to compare with plain growth (default: no)",
    )
    parser.add_argument("--train", action="append", metavar="KEY=VALUE", help="Ultralytics arguments besides the run's")
    parser.add_argument("--device", help="cpu, mps or an index such as 0 (default: the run's)")
    parser.add_argument("--data", metavar="YAML", help="the run's data set, if it was moved (default: the run's path)")
    add_trust(parser)


def _verify(options: argparse.Namespace) -> dict[str, Any]:
    from gamsearch.runs.api import verify

    return show_report(
        verify(
            options.folder,
            seeds=options.seeds,
            epochs=options.epochs,
            top=options.top,
            scale_up=options.scale_up,
            train=training_arguments(options.train),
            device=options.device or "",
            data=options.data or "",
            trust_checkpoint=bool(options.trust_checkpoint),
        )
    )


def _add_export(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    parser.add_argument(
        "--pick", default="", help="knee, or an objective for its best on the front (default: what the run recommends)"
    )
    parser.add_argument("--trial", type=int, help="number of the trial to export instead of a pick")
    parser.add_argument("--out", metavar="FOLDER", help="folder to write to (default: export in the run's folder)")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=USUAL,
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)} (default: {' '.join(USUAL)})",
    )
    add_precision(parser, (FP32,))
    parser.add_argument(
        "--validate", action="store_true", help="validate every file on the validation images (default: no)"
    )


def _export(options: argparse.Namespace) -> dict[str, Any]:
    from gamsearch.runs.export import export

    out = Path(options.out) if options.out else None
    chosen = (options.precision, options.validate, options.data or "")
    found = export(Path(options.folder), options.pick, options.trial, out, options.formats, *chosen)
    for line in found.lines:
        print(line)
    return found.values


def _add_hook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--remove", action="store_true", help="take the hook out of this environment again (default: install it)"
    )


def _hook(options: argparse.Namespace) -> dict[str, Any]:
    from gamsearch.models import hook

    done = hook.remove() if options.remove else hook.install()
    print(done)
    return {"done": done}


COMMANDS = (
    Command(
        "status",
        "show what a run is doing and how far it is; safe while it runs",
        ("results/mine", "results/demo-context"),
        add_folder,
        _status,
        "FOLDER",
    ),
    Command(
        "report",
        "rebuild the table, the plots and the HTML page of a run",
        ("results/mine", "results/demo-context"),
        add_folder,
        _report,
        "FOLDER",
    ),
    Command(
        "compare",
        "compare fronts, hypervolumes and settings of several runs",
        ("results/mine results/other", "results/a results/b --out results/a-or-b"),
        _add_compare,
        _compare,
        "FOLDER FOLDER ...",
    ),
    Command(
        "verify",
        "train the finalists and the baseline at full budget over several seeds",
        ("results/mine --seeds 5 --epochs 100", "results/mine --top 1 --scale-up"),
        _add_verify,
        _verify,
        "FOLDER",
    ),
    Command(
        "export",
        "write YAML, weights and deployable formats of one architecture",
        ("results/mine --trial 17 --out best", "results/mine --formats onnx --precision fp32 int8 --validate"),
        _add_export,
        _export,
        "FOLDER",
    ),
    Command(
        "install-hook",
        "let the stock `yolo` command of this environment know the attention modules",
        ("", "--remove"),
        _add_hook,
        _hook,
    ),
)
