"""The trackers that gamsearch ships. Each imports its package when it is opened.

All take their server, account and project from their own environment variables. Without a server they write below the
folder that they are given, except Trackio, which has one local store for all projects.
"""

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gamsearch.errors import OptionError
from gamsearch.runs.tracking.registry import PROJECT, TRACKERS, TrackedAnswer, TrackedTrial, TrackerSpec, tracker


@tracker("tensorboard", requires="tensorboard")
class TensorBoard:
    """Event files in the run's folder: `tensorboard --logdir results/mine/tracking/tensorboard`."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self._writer, self._folder = SummaryWriter, folder / "tensorboard"

    def log_trial(self, trial: TrackedTrial) -> None:
        """Curves as scalars, parameters and results for the comparison of runs."""
        with self._writer(str(self._folder / trial.name)) as writer:
            for epoch, metrics in trial.curve.items():
                for name, value in metrics.items():
                    writer.add_scalar(name, value, epoch)
            results = {f"result/{name}": value for name, value in trial.metrics.items()}
            writer.add_hparams({**trial.parameters, "state": trial.state}, results, run_name=".")

    def log_answer(self, answer: TrackedAnswer) -> None:
        """The answer and the front as text."""
        with self._writer(str(self._folder / answer.name)) as writer:
            writer.add_text("answer", answer.text, answer.trials)


@tracker("mlflow", requires="mlflow")
class MLflow:
    """The server of MLFLOW_TRACKING_URI, or else a database in the run's folder."""

    def __init__(self, folder: Path):
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        uri, where = os.environ.get("MLFLOW_TRACKING_URI", ""), None
        if not uri:
            folder.mkdir(parents=True, exist_ok=True)
            uri, where = f"sqlite:///{(folder / 'mlflow.db').absolute()}", (folder / "mlflow").absolute().as_uri()
        self._client = MlflowClient(uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else self._client.create_experiment(name, where)

    def _run(self, name: str, search: str, parameters: dict[str, Any]) -> str:
        run = self._client.create_run(self._experiment, run_name=name, tags={"search": search})
        for key, value in parameters.items():
            self._client.log_param(run.info.run_id, key, value)
        return str(run.info.run_id)

    def log_trial(self, trial: TrackedTrial) -> None:
        """A run with the curve, its results at the last epoch."""
        run = self._run(trial.name, trial.search, {**trial.parameters, "state": trial.state})
        for epoch, metrics in trial.curve.items():
            for name, value in metrics.items():
                self._client.log_metric(run, name, value, step=epoch)
        last = max(trial.curve, default=0)
        for name in trial.metrics.keys() - trial.curve.get(last, {}).keys():
            self._client.log_metric(run, name, trial.metrics[name], step=last)
        self._client.set_terminated(run, "FAILED" if trial.state == "failed" else "FINISHED")

    def log_answer(self, answer: TrackedAnswer) -> None:
        """A run with the answer and the front as artifacts."""
        run = self._run(answer.name, answer.search, dict(answer.parameters))
        self._client.log_text(run, answer.text, "answer.md")
        self._client.log_text(run, answer.front.to_csv(index=False), "front.csv")
        self._client.set_terminated(run)


@tracker("wandb", requires="wandb")
class WeightsAndBiases:
    """Weights & Biases; with WANDB_MODE=offline in the run's folder, for `wandb sync`."""

    def __init__(self, folder: Path):
        import wandb

        self._wandb, self._folder = wandb, folder
        self._suffix = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:6]

    def _run(self, name: str, search: str, parameters: dict[str, Any]) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=search,
            name=name,
            id=f"{name}-{self._suffix}",  # the same when the run is resumed, another for a run elsewhere
            resume="allow",
            config=parameters,
            dir=str(self._folder),
            settings=self._wandb.Settings(silent=True, console="off"),
        )

    def log_trial(self, trial: TrackedTrial) -> None:
        """A run with the curve; its results are the summary."""
        run = self._run(trial.name, trial.search, {**trial.parameters, "state": trial.state})
        for epoch, metrics in trial.curve.items():
            run.log(dict(metrics), step=epoch)
        run.summary.update(trial.metrics)
        run.finish(exit_code=1 if trial.state == "failed" else 0)

    def log_answer(self, answer: TrackedAnswer) -> None:
        """A run with the front as a table."""
        run = self._run(answer.name, answer.search, dict(answer.parameters))
        run.log({"front": self._wandb.Table(dataframe=answer.front)})
        run.summary.update({"answer": answer.headline, "grounds": answer.detail})
        run.finish()


@tracker("trackio", requires="trackio")
class Trackio:
    """Trackio's local store: `trackio show --project gamsearch`."""

    def __init__(self, folder: Path):
        import trackio

        self._trackio, self._project = trackio, os.environ.get("TRACKIO_PROJECT", PROJECT)

    def _log(self, name: str, search: str, config: dict[str, Any], steps: dict[int, dict[str, Any]]) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a line at each step of its own
            self._trackio.init(project=self._project, name=name, group=search, config=config, embed=False)
            for step, values in steps.items():
                self._trackio.log(values, step=step)
            self._trackio.finish()

    def log_trial(self, trial: TrackedTrial) -> None:
        """A run with the curve and, as its last step, the results."""
        steps = {epoch: dict(metrics) for epoch, metrics in trial.curve.items()}
        steps[max(steps, default=0) + 1] = dict(trial.metrics)
        self._log(trial.name, trial.search, {**trial.parameters, "state": trial.state}, steps)

    def log_answer(self, answer: TrackedAnswer) -> None:
        """A run with the front as a table."""
        config = {**answer.parameters, "answer": answer.headline, "grounds": answer.detail}
        self._log(answer.name, answer.search, config, {0: {"front": self._trackio.Table(dataframe=answer.front)}})


@tracker("comet", requires="comet_ml")
class Comet:
    """Comet; without COMET_API_KEY an archive in the run's folder, for `comet upload`."""

    def __init__(self, folder: Path):
        import comet_ml

        logging.getLogger("comet_ml").setLevel(logging.WARNING)
        self._comet, self._folder = comet_ml, folder / "comet"

    def _experiment(self, name: str, search: str, parameters: dict[str, Any]) -> Any:
        project = os.environ.get("COMET_PROJECT_NAME", PROJECT)
        quiet: dict[str, Any] = {
            "log_code": False,
            "log_git_metadata": False,
            "log_git_patch": False,
            "log_graph": False,
        }
        quiet |= {"auto_output_logging": False, "log_env_details": False, "display_summary_level": 0}
        if os.environ.get("COMET_API_KEY"):
            experiment = self._comet.Experiment(project_name=project, **quiet)
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            where = str(self._folder)
            experiment = self._comet.OfflineExperiment(project_name=project, offline_directory=where, **quiet)
        experiment.set_name(name)
        experiment.add_tag(search)
        experiment.log_parameters(parameters)
        return experiment

    def log_trial(self, trial: TrackedTrial) -> None:
        """An experiment with the curve; its results are the last values."""
        experiment = self._experiment(trial.name, trial.search, {**trial.parameters, "state": trial.state})
        for epoch, metrics in trial.curve.items():
            experiment.log_metrics(dict(metrics), step=epoch)
        experiment.log_metrics(dict(trial.metrics), step=max(trial.curve, default=0))
        experiment.end()

    def log_answer(self, answer: TrackedAnswer) -> None:
        """An experiment with the front as a table."""
        experiment = self._experiment(answer.name, answer.search, dict(answer.parameters))
        experiment.log_text(answer.text)
        experiment.log_table("front.csv", answer.front)
        experiment.end()


def is_installed(spec: TrackerSpec) -> bool:
    """Whether the package that a tracker imports is there.

    Args:
        spec: The tracker.

    Returns:
        True also where it needs none.
    """
    return not spec.requires or find_spec(spec.requires) is not None


def trackers_named(names: Sequence[str]) -> list[TrackerSpec]:
    """Look up trackers.

    Args:
        names: What `--track` was given.

    Returns:
        Each once, in this order.

    Raises:
        OptionError: There is no such tracker, or its package is missing.
    """
    found = [TRACKERS.named(name) for name in dict.fromkeys(names)]
    for spec in found:
        if not is_installed(spec):
            package = spec.requires.replace("_", "-")
            raise OptionError(f"--track {spec.name} needs a package that is not installed: pip install {package}")
    return found
