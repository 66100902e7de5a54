"""The command `benchmark`: accuracy and latency of what is deployed."""

import argparse
from pathlib import Path
from typing import Any

from gamsearch.cli.arguments import add_folder, add_precision
from gamsearch.cli.parser import Command
from gamsearch.cli.printing import console, table


def _add(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    parser.add_argument(
        "--formats",
        nargs="+",
        default=("onnx",),
        metavar="FORMAT",
        help="onnx, torchscript, openvino, ncnn, engine (default: onnx)",
    )
    add_precision(parser, ("fp32", "int8"))
    parser.add_argument(
        "--trials",
        nargs="+",
        type=int,
        default=(),
        metavar="N",
        help="numbers of trials to compare with the baseline (default: the recommended one, else up to 3 of the front)",
    )


def _benchmark(options: argparse.Namespace) -> dict[str, Any]:
    from gamsearch.analysis.deployed import sentences
    from gamsearch.reporting.deployed_table import columns, note
    from gamsearch.runs.benchmark import Wanted, benchmark
    from gamsearch.runs.progress import RunProgress
    from gamsearch.tasks import TASKS

    wanted = Wanted(options.formats, options.precision, options.trials, options.data or "")
    with RunProgress() as progress:
        rows = benchmark(Path(options.folder), wanted, progress.say)
    task = next(task for task in TASKS.values() if task.primary == rows[0]["metric"])
    shown = columns(task)
    console().print(table([one.title for one in shown], [[one.text(row) for one in shown] for row in rows]))
    for line in (note(rows), *sentences(rows)):
        console().print(line, markup=False, soft_wrap=True)
    return {"rows": rows, "sentences": sentences(rows)}


COMMANDS = (
    Command(
        "benchmark",
        "validate and time exported files of the baseline and the finalists, also in int8",
        ("results/mine", "results/mine --formats onnx openvino --precision fp32 int8 --trials 4 17"),
        _add,
        _benchmark,
        "FOLDER",
    ),
)
