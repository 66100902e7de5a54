"""The commands of `python -m gamsearch`. Each is one short function; heavy imports stay inside."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gamsearch import __version__
from gamsearch.errors import GamsearchError, OptionError, nearest, one_line
from gamsearch.listing import LISTS

EXAMPLES = """examples:
  python -m gamsearch run
  python -m gamsearch run --data my/data.yaml --model yolov8n.pt --trials 40 --device 0 --name mine
  python -m gamsearch run --from results/mine/manifest.yaml
  python -m gamsearch status results/mine
  python -m gamsearch report results/mine
  python -m gamsearch compare results/mine results/other
  python -m gamsearch verify results/mine --seeds 5 --epochs 100
  python -m gamsearch export results/mine --pick knee
  python -m gamsearch show search_spaces/gam.yaml
  python -m gamsearch list attention
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after an error that the user can mend, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
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
    from gamsearch.run import recorded_settings
    from gamsearch.settings import resolve

    if options.manifest:
        return _repeat(options)
    given = {**vars(options), "train": _train_arguments(options.train)}
    if given["table"] and not given["evaluator"]:
        given["evaluator"] = "replay"
    demo = not given["data"] and given["evaluator"] in (None, "training")
    name = given["name"] or ("demo" if demo else _name_from(given))
    folder = Path(given["out"] or "results") / name
    recorded = recorded_settings(folder)
    if demo and recorded is None:
        given, defaults = _demo(given, folder)
    else:
        defaults = _defaults(given)
    settings = resolve({**given, "name": name, "out": str(folder.parent)}, recorded, defaults)
    return _search(settings, recorded is not None, [], trust=bool(options.trust_checkpoint))


def _repeat(options: argparse.Namespace) -> int:
    """`run --from`: the run of a manifest again, in a folder of its own."""
    from gamsearch.manifest import Manifest
    from gamsearch.repeat import GIVEN, repeated
    from gamsearch.run import recorded_settings

    others = [k for k, v in vars(options).items() if v is not None and k not in (*GIVEN, *BESIDE)]
    if others:
        flag = "--" + others[0].replace("_", "-")
        raise OptionError(
            f"--from repeats a run with its own settings, so {flag} cannot go with it; "
            f"only {', '.join(f'--{name}' for name in GIVEN)} can"
        )
    origin = Manifest.read(Path(options.manifest))
    settings, said = repeated(origin, vars(options), recorded_settings)
    resumed = recorded_settings(settings.folder) is not None
    return _search(settings, resumed, said, origin, bool(options.trust_checkpoint))


BESIDE = ("manifest", "command", "trust_checkpoint")
"""Options that are no settings."""


def _search(settings: Any, resumed: bool, said: Sequence[str], origin: Any = None, trust: bool = False) -> int:
    """Carry out a run and report on it; the lines in `said` come first."""
    from gamsearch import study as records
    from gamsearch.progress import RunProgress
    from gamsearch.run import command_line, run

    with RunProgress() as progress:
        name, folder = settings.name, settings.folder
        progress.say(f"gamsearch {__version__}: run '{name}' in {folder}" + (" (resumed)" if resumed else ""))
        for line in said:
            progress.say(line)
        study = run(settings, progress, command_line(), origin, trust)
    return _report_on(records.record(study, name), folder)


def _demo(given: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the demonstration: its data set is made beside the run, its sizes are made for two CPU cores."""
    from gamsearch import demo

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
    from gamsearch.settings import SMALL_BATCH, SMALL_DATA

    defaults: dict[str, Any] = {}
    if str(given["model"] or "").endswith(".pt"):
        defaults["baseline_epochs"] = 10
    if given["data"] and not given["batch"]:
        from gamsearch.data import DataSet

        if len(DataSet.read(given["data"]).train) < SMALL_DATA:
            defaults["batch"] = SMALL_BATCH
    return defaults


def _table_defaults(name: str | None) -> dict[str, Any]:
    """What a table was recorded with."""
    from gamsearch.evaluators.replay import DEFAULT_TABLE, ReplayTable, table_file

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
    from gamsearch.evaluators.recipe import parse_overrides

    return parse_overrides(pairs)


def _report(options: argparse.Namespace) -> int:
    from gamsearch import study as records

    folder = Path(options.folder)
    return _report_on(records.record(records.snapshot(folder), folder.name), folder)


def _report_on(record: Any, folder: Path) -> int:
    """Write what is derived from a record and print its table and verdict."""
    from rich.console import Console

    from gamsearch.report import terminal_table, write

    written = write(record, folder)
    console = Console()
    console.print(terminal_table(record))
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _compare(options: argparse.Namespace) -> int:
    """Hold several runs against each other; write the page and the picture and print the table."""
    from rich.console import Console

    from gamsearch.compare import Run, compare
    from gamsearch.report import comparison as reports

    folders = [Path(folder) for folder in options.folders]
    comparison = compare([Run.read(folder) for folder in folders])
    usual = Path("results") / f"compare-{'-'.join(folder.resolve().name for folder in folders)}"[:100]
    written = reports.write(comparison, Path(options.out) if options.out else usual)
    console = Console()
    console.print(reports.terminal_table(comparison))
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _status(options: argparse.Namespace) -> int:
    """Say how far a run is; nothing is written."""
    from gamsearch.status import status

    for line in status(Path(options.folder)):
        print(line)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from gamsearch import study as records
    from gamsearch.progress import RunProgress
    from gamsearch.verify import Wanted, verify

    wanted = Wanted(
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
    return _report_on(records.record(study, folder.name), folder)


def _export(options: argparse.Namespace) -> int:
    from gamsearch.export import export

    for line in export(Path(options.folder), pick=options.pick, trial=options.trial):
        print(line)
    return 0


def _show(options: argparse.Namespace) -> int:
    from gamsearch.listing import describe

    for line in describe(options.space, options.model, options.seed):
        print(line)
    return 0


def _list(options: argparse.Namespace) -> int:
    if options.what not in LISTS:
        close = nearest(options.what, LISTS)
        raise OptionError(f"there is no list of '{options.what}'{close}; there are {', '.join(LISTS)}")
    print("\n".join(LISTS[options.what]()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gamsearch",
        description="Where in a YOLO detector does an attention module pay for itself, and at which reduction rate?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_run(commands.add_parser("run", help="search; without options a five-minute demonstration"))
    report = commands.add_parser("report", help="rebuild table, plots and HTML of a run")
    report.add_argument("folder", help="the run's folder, e.g. results/my-search")
    report.set_defaults(command=_report)
    status = commands.add_parser("status", help="what a run is doing and how far it is; safe while it runs")
    status.add_argument("folder", help="the run's folder, e.g. results/my-search")
    status.set_defaults(command=_status)
    compare = commands.add_parser("compare", help="fronts, hypervolumes and settings of several runs side by side")
    compare.add_argument("folders", nargs="+", metavar="folder", help="folders of two or more runs")
    compare.add_argument("--out", help="folder for compare.html and compare.png; default results/compare-A-B")
    compare.set_defaults(command=_compare)
    verify = commands.add_parser("verify", help="finalists and baseline at full budget over several seeds")
    verify.add_argument("folder", help="the run's folder, e.g. results/my-search")
    verify.add_argument("--top", type=int, default=3, help="so many members of the front at most; default 3")
    verify.add_argument("--seeds", type=int, default=5, help="paired seeds; default 5; more can be added later")
    verify.add_argument("--epochs", type=int, default=100, help="of each training, from the original weights")
    verify.add_argument(
        "--scale-up",
        nargs="?",
        const="next",
        default="",
        metavar="MODEL",
        help="also train the next scale without attention (or MODEL), to price attention against plain growth",
    )
    verify.add_argument("--train", action="append", metavar="KEY=VALUE", help="Ultralytics arguments beside the run's")
    verify.add_argument("--device", help="default: the run's")
    _add_trust(verify)
    verify.set_defaults(command=_verify)
    export = commands.add_parser("export", help="YAML, weights and ONNX of one architecture")
    export.add_argument("folder", help="the run's folder, e.g. results/my-search")
    export.add_argument("--pick", default="knee", help="knee (default) or an objective: its best on the front")
    export.add_argument("--trial", type=int, help="this trial instead")
    export.set_defaults(command=_export)
    show = commands.add_parser("show", help="sites, options, size and a sample of a search space; no training")
    show.add_argument("space", help="a space file or the name of a shipped space")
    show.add_argument("--model", help="another detector than the space's own, e.g. yolov8s")
    show.add_argument("--seed", type=int, default=0, help="of the sampled architecture")
    show.set_defaults(command=_show)
    listing = commands.add_parser("list", help="what there is to choose from")
    listing.add_argument("what", help=" | ".join(LISTS))
    listing.set_defaults(command=_list)
    return parser


def _add_trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--trust-checkpoint",
        action="store_true",
        default=None,
        help="open a .pt even if that runs code in it; only for what cannot be read otherwise",
    )


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--from", dest="manifest", metavar="MANIFEST", help="repeat a run: its manifest.yaml")
    run.add_argument("--data", help="data YAML of a YOLO detection data set (default: a demonstration made offline)")
    run.add_argument("--model", help="stock YAML (baseline from scratch) or .pt (fine-tuned); default yolov8n.yaml")
    _add_trust(run)
    run.add_argument("--space", help="a space file or the name of a shipped space; default gam")
    run.add_argument("--trials", type=int, help="how many full brief trainings the search is worth; default 40")
    run.add_argument("--budget", help="instead of --trials: a time or epochs, e.g. 3h, 90min or 200epochs")
    run.add_argument("--stopping", help="off, default or aggressive: when a candidate's training ends early")
    run.add_argument("--epochs", type=int, help="brief training per candidate; default 5")
    run.add_argument("--baseline-epochs", type=int, help="default 25, 10 for a .pt; 0 takes it as it is")
    run.add_argument("--imgsz", type=int, help="image size in px, a multiple of 32; default 640")
    run.add_argument("--batch", type=int, help="images per batch; default 16, or 8 below 1000 training images")
    run.add_argument("--device", help="cpu, an index such as 0, or mps; default the best there is")
    run.add_argument("--seed", type=int, help="of data order, augmentation and sampler; default 0")
    run.add_argument("--sampler", help="auto (default), thaw, gp, tpe, nsga2, random or brute")
    run.add_argument("--objectives", type=lambda text: tuple(text.split(",")), help="e.g. map50_95,latency_ms,params_m")
    run.add_argument("--evaluator", help="training (default) or replay")
    run.add_argument("--table", help="for --evaluator replay: a JSON table, or the name of a shipped one")
    run.add_argument("--latency", help="latency backend; default torch")
    run.add_argument("--noise-seeds", type=int, help="seeds at which the baseline is measured; default 5")
    run.add_argument("--train", action="append", metavar="KEY=VALUE", help="any Ultralytics training argument")
    run.add_argument("--out", help="folder of all runs; default results")
    run.add_argument("--name", help="name of this run; the same name again resumes it")
    run.set_defaults(command=_run)
