"""The options of `python -m gamsearch`, without anything that carries them out."""

import argparse
from collections.abc import Callable, Mapping

from gamsearch import __version__
from gamsearch.cli.inspect import LISTS

Command = Callable[[argparse.Namespace], int]

EXAMPLES = """examples:
  python -m gamsearch run
  python -m gamsearch run --data my/data.yaml --model yolov8n.pt --trials 40 --device 0 --name mine
  python -m gamsearch run --from results/mine/manifest.yaml
  python -m gamsearch run --data my/data.yaml --device 0,1,2,3 --name mine
  python -m gamsearch worker --storage postgresql://me@host/db --study mine --data my/data.yaml
  python -m gamsearch status results/mine
  python -m gamsearch report results/mine
  python -m gamsearch compare results/mine results/other
  python -m gamsearch verify results/mine --seeds 5 --epochs 100
  python -m gamsearch export results/mine --pick knee
  python -m gamsearch show search_spaces/gam.yaml
  python -m gamsearch list attention
"""


def parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of `python -m gamsearch`; `commands` carry out what each of its commands says, by name."""
    whole = argparse.ArgumentParser(
        prog="python -m gamsearch",
        description="Where in a YOLO detector does an attention module pay for itself, and at which reduction rate?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=__version__)
    below = whole.add_subparsers(required=True, metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        made = below.add_parser(name, help=text)
        made.set_defaults(command=commands[name])
        return made

    _add_run(add("run", "search; without options a five-minute demonstration"))
    _add_worker(add("worker", "take part in a run, on this machine or another one"))
    serve = add("serve", "let machines reach a database through Optuna's gRPC proxy; it asks nobody for a password")
    serve.add_argument("--storage", required=True, help="e.g. sqlite:///study.db or postgresql://user@host/database")
    serve.add_argument("--host", default="localhost", help="address to listen at; default localhost")
    serve.add_argument("--port", type=int, default=13000, help="default 13000")
    report = add("report", "rebuild table, plots and HTML of a run")
    report.add_argument("folder", help="the run's folder, e.g. results/my-search")
    status = add("status", "what a run is doing and how far it is; safe while it runs")
    status.add_argument("folder", help="the run's folder, e.g. results/my-search")
    compare = add("compare", "fronts, hypervolumes and settings of several runs side by side")
    compare.add_argument("folders", nargs="+", metavar="folder", help="folders of two or more runs")
    compare.add_argument("--out", help="folder for compare.html and compare.png; default results/compare-A-B")
    verify = add("verify", "finalists and baseline at full budget over several seeds")
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
    export = add("export", "YAML, weights and ONNX of one architecture")
    export.add_argument("folder", help="the run's folder, e.g. results/my-search")
    export.add_argument("--pick", default="knee", help="knee (default) or an objective: its best on the front")
    export.add_argument("--trial", type=int, help="this trial instead")
    show = add("show", "sites, options, size and a sample of a search space; no training")
    show.add_argument("space", help="a space file or the name of a shipped space")
    show.add_argument("--model", help="another detector than the space's own, e.g. yolov8s")
    show.add_argument("--seed", type=int, default=0, help="of the sampled architecture")
    listing = add("list", "what there is to choose from")
    listing.add_argument("what", help=" | ".join(LISTS))
    return whole


def _add_trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--trust-checkpoint",
        action="store_true",
        default=None,
        help="open a .pt even if that runs code in it; only for what cannot be read otherwise",
    )


STORAGE = "URL of an Optuna storage for several machines, e.g. postgresql://user@host/database or grpc://host:13000"
ARTIFACTS = "folder or s3://bucket by which machines that do not share the run's folder hand on weights"


def _add_worker(worker: argparse.ArgumentParser) -> None:
    worker.add_argument("folder", nargs="?", help="the run's folder, if this machine sees it")
    worker.add_argument("--storage", help=STORAGE)
    worker.add_argument("--study", help="the --name of the run in that storage")
    worker.add_argument("--data", help="the run's data set on this machine; default where the run had it")
    worker.add_argument("--device", help="cpu, an index such as 0, or mps; default the run's")
    worker.add_argument("--artifacts", help=f"{ARTIFACTS}; default the run's")
    worker.add_argument("--out", help="folder of all runs on this machine; default results")
    worker.add_argument("--wait", type=float, default=0.0, help="minutes to wait for the run to begin; default 0")


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
    run.add_argument("--device", help="cpu, an index such as 0, several such as 0,1, or mps; default the best there is")
    run.add_argument("--workers", type=int, help="processes that share one device; default 1")
    run.add_argument("--storage", help=STORAGE)
    run.add_argument("--artifacts", help=ARTIFACTS)
    run.add_argument("--seed", type=int, help="of data order, augmentation and sampler; default 0")
    run.add_argument("--sampler", help="auto (default), thaw, gp, tpe, nsga2, random or brute")
    run.add_argument("--objectives", type=lambda text: tuple(text.split(",")), help="e.g. map50_95,latency_ms,params_m")
    run.add_argument("--evaluator", help="training (default) or replay")
    run.add_argument("--table", help="for --evaluator replay: a JSON table, or the name of a shipped one")
    run.add_argument("--latency", help="latency backend; default auto: cudagraph on CUDA, elsewhere torch")
    run.add_argument("--noise-seeds", type=int, help="seeds at which the baseline is measured; default 5")
    run.add_argument("--train", action="append", metavar="KEY=VALUE", help="any Ultralytics training argument")
    run.add_argument("--out", help="folder of all runs; default results")
    run.add_argument("--name", help="name of this run; the same name again resumes it")
