"""The commands of `python -m gamsearch`. Each is one short function; heavy imports stay inside."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gamsearch import __version__
from gamsearch.cli.inspect import LISTS
from gamsearch.cli.parser import parser
from gamsearch.errors import GamsearchError, OptionError, nearest, one_line

if TYPE_CHECKING:
    from gamsearch.runs.processes import Slot
    from gamsearch.runs.run import RunContext


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after an error that the user can mend, or 130 after Ctrl-C."""
    options = parser(COMMANDS).parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except GamsearchError as error:
        return _refused(str(error))
    except OSError as error:
        return _refused(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
    except (RecursionError, MemoryError) as error:
        return _refused(f"something in the input is too large or nested too deeply ({type(error).__name__}); mend it")
    except KeyboardInterrupt:
        print("gamsearch: stopped; everything recorded is kept, the same command goes on from here", file=sys.stderr)
        return 130


def _refused(sentence: str) -> int:
    """Say on one line why nothing was done; the exit code for it."""
    print(f"gamsearch: {one_line(sentence)}", file=sys.stderr)
    return 2


def _run(options: argparse.Namespace) -> int:
    from gamsearch.runs.run import recorded_settings
    from gamsearch.runs.settings import resolve

    if options.manifest:
        return _repeat(options)
    given = {**vars(options), "train": _train_arguments(options.train)}
    if given["table"] and not given["evaluator"]:
        given["evaluator"] = "replay"
    demo = not given["data"] and given["evaluator"] in (None, "training")
    name = given["name"] or ("demo" if demo else _name_from(given))
    folder = Path(given["out"] or "results") / name
    context = _around(options, folder)
    given["device"] = context.slots[0].device or None
    recorded = recorded_settings(folder)
    if demo and recorded is None:
        given, defaults = _demo(given, folder)
    else:
        defaults = _defaults(given)
    settings = resolve({**given, "name": name, "out": str(folder.parent)}, recorded, defaults)
    return _search(settings, recorded is not None, [], context)


def _around(options: argparse.Namespace, folder: Path) -> "RunContext":
    """Where a run's study is kept and its workers work; what they need in the environment is there from now on."""
    from gamsearch.runs.run import RunContext
    from gamsearch.study.artifacts import check_place
    from gamsearch.study.storages import configure_storage

    check_place(options.artifacts or "")
    here = _slots(options)
    os.environ.update(here[0].environment)
    url = configure_storage(folder, options.storage or "", folder.name)
    return RunContext(bool(options.trust_checkpoint), tuple(here), url, options.artifacts or "")


def _slots(options: argparse.Namespace) -> "list[Slot]":
    """Where the workers of a run are to work, this process first."""
    from gamsearch.runs.processes import slots

    if options.workers is not None and not 1 <= options.workers <= MOST_WORKERS:
        raise OptionError(f"--workers must be between 1 and {MOST_WORKERS}, not {options.workers}")
    return slots(options.device or "", options.workers or 1, os.environ, os.cpu_count() or 1)


def _repeat(options: argparse.Namespace) -> int:
    """`run --from`: the run of a manifest again, in a folder of its own."""
    from gamsearch.runs.manifest import Manifest
    from gamsearch.runs.repeat import GIVEN, repeated
    from gamsearch.runs.run import recorded_settings

    others = [k for k, v in vars(options).items() if v is not None and k not in (*GIVEN, *BESIDE)]
    if others:
        flag = "--" + others[0].replace("_", "-")
        raise OptionError(
            f"--from repeats a run with its own settings, so {flag} cannot go with it; "
            f"only {', '.join(f'--{name}' for name in GIVEN)} can"
        )
    origin = Manifest.read(Path(options.manifest))
    place = _slots(options)[0]
    settings, said = repeated(origin, {**vars(options), "device": place.device or None}, recorded_settings)
    context = _around(options, settings.folder)
    resumed = recorded_settings(settings.folder) is not None
    return _search(settings, resumed, said, context, origin)


BESIDE = ("manifest", "command", "trust_checkpoint", "storage", "artifacts", "workers")
"""Options that are no settings."""
MOST_WORKERS = 256


def _search(settings: Any, resumed: bool, said: Sequence[str], context: "RunContext", origin: Any = None) -> int:
    """Carry out a run and report on it; the lines in `said` come first."""
    from gamsearch.runs.progress import RunProgress
    from gamsearch.runs.run import command_line, run
    from gamsearch.study import store

    with RunProgress() as progress:
        name, folder = settings.name, settings.folder
        progress.say(f"gamsearch {__version__}: run '{name}' in {folder}" + (" (resumed)" if resumed else ""))
        for line in said:
            progress.say(line)
        study = run(settings, progress, command_line(), origin, context)
    return _report_on(store.record(study, name), folder)


def _worker(options: argparse.Namespace) -> int:
    """Take part in a search that another process opened."""
    from gamsearch.runs.processes import PARENT
    from gamsearch.runs.progress import RunProgress
    from gamsearch.runs.settings import NAME
    from gamsearch.runs.worker import WorkerOptions, join
    from gamsearch.study.storages import configure_storage

    if bool(options.folder) == bool(options.storage and options.study):
        raise OptionError("worker needs the folder of a run that this machine sees, or else --storage and --study")
    if options.study and not NAME.fullmatch(options.study):
        raise OptionError(f"--study must be the --name of the run, not '{options.study[:200]}'")
    folder = Path(options.folder) if options.folder else Path(options.out or "results") / options.study
    configure_storage(folder, options.storage or "", options.study or folder.name)
    parent = os.environ.get(PARENT, "")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be inherited as ignored
    wanted = WorkerOptions(
        folder,
        options.data or "",
        options.device or "",
        options.artifacts or "",
        60.0 * options.wait,
        int(parent) if parent.isdigit() else 0,
    )
    with RunProgress() as progress:
        progress.say(f"gamsearch {__version__}: worker for {folder}")
        progress.say(join(wanted, progress))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from gamsearch.study.storages import serve

    serve(options.storage, options.host, options.port)
    return 0


def _demo(given: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the demonstration: its data set is made beside the run, its sizes are made for two CPU cores."""
    from gamsearch.runs import demo

    size = demo.SIZE
    data = demo.make(folder / "data", size.train, size.val, size.imgsz)
    defaults = {
        "space": "gam-demo",
        "trials": size.trials,
        "epochs": size.trial_epochs,
        "baseline_epochs": size.epochs,
        "imgsz": size.imgsz,
        "batch": size.batch,
        "noise_seeds": 3,
    }
    train = {**demo.AUGMENTATION, **(given["train"] or {})}
    return {**given, "data": str(data), "train": train}, defaults


def _defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Defaults that depend on the other options: those of a table, fewer baseline epochs for a `.pt`, a small batch."""
    if given["evaluator"] == "replay":
        return _table_defaults(given["table"])
    from gamsearch.runs.settings import SMALL_BATCH, SMALL_DATA

    defaults: dict[str, Any] = {}
    if str(given["model"] or "").endswith(".pt"):
        defaults["baseline_epochs"] = 10
    if given["data"] and not given["batch"]:
        from gamsearch.training.dataset import DataSet

        if len(DataSet.read(given["data"]).train) < SMALL_DATA:
            defaults["batch"] = SMALL_BATCH
    return defaults


def _table_defaults(name: str | None) -> dict[str, Any]:
    """What a table was recorded with."""
    from gamsearch.training.replay import DEFAULT_TABLE, ReplayTable, table_file

    name = name or DEFAULT_TABLE
    table = ReplayTable.read(table_file(name))
    return {"table": name, "epochs": table.epochs, **({"space": table.space} if table.space else {})}


def _name_from(given: dict[str, Any]) -> str:
    """A run's default name: data set, model and space, e.g. `bccd-yolov8n-gam`."""
    if given["evaluator"] == "replay":
        return f"replay-{Path(given['table'] or 'default').stem}"
    parts = (given["data"] or "run", given["model"] or "yolov8n", given["space"] or "gam")
    return "-".join(Path(str(part)).stem for part in parts)


def _train_arguments(pairs: list[str] | None) -> dict[str, Any] | None:
    if not pairs:
        return None
    from gamsearch.training.recipe import parse_overrides

    return parse_overrides(pairs)


def _report(options: argparse.Namespace) -> int:
    from gamsearch.study import store

    folder = Path(options.folder)
    return _report_on(store.record(store.snapshot(folder), folder.name), folder)


def _report_on(record: Any, folder: Path) -> int:
    """Write what is derived from a record and print its table and verdict."""
    from rich.console import Console

    from gamsearch.reporting import terminal_table, write

    written = write(record, folder)
    console = Console()
    console.print(terminal_table(record))
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _compare(options: argparse.Namespace) -> int:
    """Hold several runs against each other; write the page and the picture and print the table."""
    from rich.console import Console

    from gamsearch.reporting import comparison_page
    from gamsearch.reporting.comparison import Run, compare

    folders = [Path(folder) for folder in options.folders]
    comparison = compare([Run.read(folder) for folder in folders])
    usual = Path("results") / f"compare-{'-'.join(folder.resolve().name for folder in folders)}"[:100]
    written = comparison_page.write(comparison, Path(options.out) if options.out else usual)
    console = Console()
    console.print(comparison_page.terminal_table(comparison))
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _status(options: argparse.Namespace) -> int:
    """Say how far a run is; nothing is written."""
    from gamsearch.reporting.status import status

    for line in status(Path(options.folder)):
        print(line)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from gamsearch.runs.progress import RunProgress
    from gamsearch.runs.verify import VerifyOptions, verify
    from gamsearch.study import store

    wanted = VerifyOptions(
        options.top,
        options.seeds,
        options.epochs,
        options.scale_up,
        _train_arguments(options.train) or {},
        options.device or "",
        options.trust_checkpoint or False,
    )
    folder = Path(options.folder)
    with RunProgress() as progress:
        study = verify(folder, wanted, progress.say, progress.epoch)
    return _report_on(store.record(study, folder.name), folder)


def _export(options: argparse.Namespace) -> int:
    from gamsearch.runs.export import export

    for line in export(Path(options.folder), pick=options.pick, trial=options.trial):
        print(line)
    return 0


def _show(options: argparse.Namespace) -> int:
    from gamsearch.cli.inspect import describe

    for line in describe(options.space, options.model, options.seed):
        print(line)
    return 0


def _list(options: argparse.Namespace) -> int:
    if options.what not in LISTS:
        close = nearest(options.what, LISTS)
        raise OptionError(f"there is no list of '{options.what}'{close}; there are {', '.join(LISTS)}")
    print("\n".join(LISTS[options.what]()))
    return 0


COMMANDS = {
    "run": _run,
    "worker": _worker,
    "serve": _serve,
    "report": _report,
    "status": _status,
    "compare": _compare,
    "verify": _verify,
    "export": _export,
    "show": _show,
    "list": _list,
}
