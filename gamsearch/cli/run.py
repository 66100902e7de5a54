"""The commands that search: `run`, `worker` and `serve`."""

import argparse
import os
from pathlib import Path
from typing import Any

from gamsearch import __version__
from gamsearch.cli.arguments import add_trust, minutes, names, number_or_auto, training_arguments
from gamsearch.cli.parser import Command
from gamsearch.cli.printing import show_answers, show_report
from gamsearch.errors import OptionError

STORAGE = "URL of an Optuna storage for several machines, e.g. postgresql://user@host/database or grpc://host:13000"
TRIALS = (
    "search budget in full trainings of --epochs: below 20 that many candidates, else more, of which some stop early "
    "(default: 40)"
)
ARTIFACTS = "folder or s3://bucket through which machines without a shared run folder exchange weights"

BASELINE_EPOCHS = "auto: until its curve is flat, 20 to 100, from a .pt 8 to 40; 0: a .pt as it is (default: auto)"
IMPORT = "model YAMLs with attention in them, which are trained and ranked beside the search (default: none)"
RUN_NAME = (
    "name of the run; the same name again resumes it; without --data the two runs are called NAME-context and "
    "NAME-control (default: data-model-space, or demo)"
)

EPOCHS = "short training of each candidate (default: 3 to 30, so that a new layer gets about 500 optimiser steps)"
EVALUATOR = (
    "training; supernet to measure candidates in one shared network; replay to search a table of recorded trainings "
    "(default: training)"
)
TRAIN = (
    "any Ultralytics training argument, or attention_lr: learning rate of attention relative to the others (default: "
    "the module's factor)"
)


def _add_run(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data and model")
    data.add_argument(
        "--data", metavar="YAML", help="data YAML, or folder of class folders (default: the two of the demonstration)"
    )
    data.add_argument("--model", help="stock YAML (from scratch) or .pt (fine-tuned) (default: the space's detector)")
    add_trust(data)

    _add_search(parser)

    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, help=EPOCHS)
    training.add_argument(
        "--baseline-epochs", type=number_or_auto, metavar="N", help=f"of the baseline; {BASELINE_EPOCHS}"
    )
    training.add_argument("--imgsz", type=int, help="image size in px, a multiple of 32 (default: 640)")
    training.add_argument("--batch", type=int, help="images per batch (default: 16; below 1000 training images 8)")
    training.add_argument("--train", action="append", metavar="KEY=VALUE", help=TRAIN)

    machine = parser.add_argument_group("device and workers")
    machine.add_argument(
        "--device", help="cpu, mps, an index such as 0, several such as 0,1 (default: CUDA if there is a GPU, else cpu)"
    )
    machine.add_argument("--workers", type=int, help="processes that share one device (default: 1)")
    machine.add_argument("--latency", help="latency backend or command; see `list latency` (default: auto)")
    machine.add_argument("--storage", help=f"{STORAGE} (default: a file in the run's folder)")
    machine.add_argument("--artifacts", help=f"{ARTIFACTS} (default: the run's folder)")

    folder = parser.add_argument_group("run folder")
    folder.add_argument("--name", help=RUN_NAME)
    folder.add_argument("--out", help="folder of all runs (default: results)")
    folder.add_argument(
        "--track", type=names, metavar="TRACKER", help="log in trackers; see `list trackers` (default: none)"
    )
    folder.add_argument("--from", dest="manifest", metavar="MANIFEST", help="repeat the run of a manifest.yaml")

    replay = parser.add_argument_group("instead of training candidates")
    replay.add_argument("--evaluator", help=EVALUATOR)
    replay.add_argument("--table", help="for replay: a JSON table, or a name from `list tables` (default: bccd)")


def _add_search(parser: argparse.ArgumentParser) -> None:
    """What is searched, how, and what is asked before."""
    search = parser.add_argument_group("search")
    search.add_argument("--space", help="a space file or the name of a shipped space (default: gam)")
    search.add_argument("--objectives", type=names, help="metrics, e.g. map50_95,params_m (default: the space's)")
    search.add_argument("--import", dest="imports", nargs="+", metavar="YAML", help=IMPORT)
    search.add_argument("--trials", type=int, help=TRIALS)
    search.add_argument("--budget", help="search budget instead of --trials: 3h, 90min or 200epochs")
    search.add_argument("--sampler", help="what proposes candidates; see `list samplers` (default: auto)")
    search.add_argument(
        "--stopping", help="how readily trainings stop early: off, default, aggressive (default: default)"
    )
    search.add_argument("--noise-seeds", type=int, help="seeds at which the baseline is measured (default: 5)")
    search.add_argument("--seed", type=int, help="of data order, augmentation and sampler (default: 0)")

    screening = parser.add_argument_group("screening")
    screening.add_argument("--screen", help="supernet: shared networks say first where attention pays (default: off)")
    screening.add_argument(
        "--screen-steps",
        type=int,
        help="steps in which a site has attention in a shared network, on average (default: 750)",
    )
    screening.add_argument("--screen-seeds", type=int, help="number of shared networks (default: 2)")
    screening.add_argument(
        "--search-anyway",
        action="store_true",
        default=None,
        help="search even where the shared networks find that nothing pays (default: off)",
    )


def _run(options: argparse.Namespace) -> Any:
    """Search, then write the report and print its table; the demonstration is two runs."""
    from gamsearch.runs.api import carry_out
    from gamsearch.runs.demonstration import each
    from gamsearch.runs.provenance import command_line
    from gamsearch.runs.start import repetition, start

    given = {name: value for name, value in vars(options).items() if name not in ("carry_out", "json", "manifest")}
    given["train"] = training_arguments(options.train)
    if options.manifest:
        return show_report(carry_out(repetition(Path(options.manifest), given), command_line()))
    runs, shown = [], []
    for one in each(given):
        runs.append(carry_out(start(one), command_line()))
        shown.append(show_report(runs[-1]))
    if len(runs) > 1:
        show_answers(runs)
        return shown
    return shown[0]


def _add_worker(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("run")
    where.add_argument("folder", nargs="?", help="the run's folder, if this machine sees it")
    where.add_argument("--storage", help=f"{STORAGE} (default: a file in the folder)")
    where.add_argument("--study", help="the --name of the run in that storage")
    where.add_argument(
        "--wait",
        type=minutes,
        default=0.0,
        metavar="MINUTES",
        help="how long to wait for the run to begin (default: 0)",
    )
    here = parser.add_argument_group("this machine")
    here.add_argument("--data", metavar="YAML", help="the run's data set on this machine (default: the run's path)")
    here.add_argument("--device", help="cpu, mps or an index such as 0 (default: the run's)")
    here.add_argument("--artifacts", help=f"{ARTIFACTS} (default: the run's)")
    here.add_argument("--out", help="folder of all runs on this machine (default: results)")


def _worker(options: argparse.Namespace) -> None:
    """Join a search that another process started."""
    from gamsearch.runs.processes import PARENT
    from gamsearch.runs.progress import RunProgress
    from gamsearch.runs.settings import NAME
    from gamsearch.runs.worker import WorkerOptions, run_worker
    from gamsearch.study.storages import configure_storage

    if bool(options.folder) == bool(options.storage and options.study):
        raise OptionError("worker needs either the folder of a run that this machine sees, or --storage and --study")
    if options.study and not NAME.fullmatch(options.study):
        raise OptionError(f"--study must be the --name of the run, not '{options.study[:200]}'")
    folder = Path(options.folder) if options.folder else Path(options.out or "results") / options.study
    configure_storage(folder, options.storage or "", options.study or folder.name)
    parent = os.environ.get(PARENT, "")
    chosen = WorkerOptions(
        folder=folder,
        data=options.data or "",
        device=options.device or "",
        artifacts=options.artifacts or "",
        wait_s=60.0 * options.wait,
        parent=int(parent) if parent.isdigit() else 0,
    )
    with RunProgress() as progress:
        progress.say(f"gamsearch {__version__}: worker for {folder}")
        progress.say(run_worker(chosen, progress))


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage", required=True, help="e.g. sqlite:///study.db or postgresql://user@host/database (required)"
    )
    parser.add_argument("--host", default="localhost", help="address to listen on (default: localhost)")
    parser.add_argument("--port", type=int, default=13000, help="port to listen on (default: 13000)")
    safety = parser.add_argument_group(
        "for other machines: grpcs://, with the token of the environment variable GAMSEARCH_TOKEN"
    )
    safety.add_argument(
        "--tls-certificate", default="", metavar="PEM", help="file with the server's certificate (default: plain text)"
    )
    safety.add_argument("--tls-key", default="", metavar="PEM", help="file with its private key (default: none)")
    safety.add_argument(
        "--insecure",
        action="store_true",
        help="plain text, no token: whoever reaches the port can change the database (default: off)",
    )


def _serve(options: argparse.Namespace) -> None:
    """Serve a database to other machines."""
    from gamsearch.study.proxy_listener import Listener
    from gamsearch.study.storages import serve

    chosen = (options.host, options.port, options.tls_certificate, options.tls_key, options.insecure)
    serve(options.storage, Listener(*chosen))


COMMANDS = (
    Command(
        "run",
        "search; without --data two demonstrations of a few minutes",
        ("", "--data data.yaml --model yolov8n.pt --trials 40 --device 0 --name mine"),
        _add_run,
        _run,
    ),
    Command(
        "worker",
        "join a running search, on this machine or another one",
        ("results/mine", "--storage postgresql://me@host/db --study mine --data data.yaml --wait 10"),
        _add_worker,
        _worker,
        "[FOLDER]",
        json=False,
    ),
    Command(
        "serve",
        "let other machines reach a database through Optuna's gRPC proxy",
        (
            "--storage sqlite:///search.db",
            "--storage sqlite:///search.db --host 0.0.0.0 --tls-certificate cert.pem --tls-key key.pem",
        ),
        _add_serve,
        _serve,
        json=False,
    ),
)
