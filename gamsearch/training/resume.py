"""Checkpoints from which a training resumes, in the same process or another, as if it had not been interrupted.

A checkpoint holds weights, their moving average, optimiser and loss scaler; the random streams restart at every epoch
anyway (see `LeanTrainer`). On CPU the resumed training equals the uninterrupted one bit for bit. The files hold tensors
and plain values only and are read without unpickling code.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.errors import RunError, one_line
from gamsearch.models.saving import save

State = dict[str, Any]
KEPT = {"epoch", "model", "average", "updates", "optimizer", "scaler"}


def keep(trainer: Any, path: Path, more: State) -> None:
    """Write what a `LeanTrainer` needs to resume after its last epoch, and `more` (plain values), in one step."""
    state = {
        **more,
        "epoch": trainer.epoch + 1,
        "model": trainer.model.state_dict(),
        "average": trainer.ema.ema.state_dict(),
        "updates": trainer.ema.updates,
        "optimizer": _plain(trainer.optimizer.state_dict()),
        "scaler": trainer.scaler.state_dict(),
    }
    save(state, path)


def _plain(value: Any) -> Any:
    """Replace NumPy's numbers, which older releases put into learning rates during a warm-up, by Python's."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def read(path: Path, epoch: int) -> State | None:
    """The checkpoint written after `epoch` or later; None if there is no such file or it cannot be read."""
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        return state if state.keys() >= KEPT and state["epoch"] >= epoch else None
    except Exception:  # a damaged file can raise anything; the training then starts over
        return None


def restore(trainer: Any, state: State) -> None:
    """Restore what `keep` wrote into `trainer`, set up but not started; `RunError` if it does not fit."""
    try:
        trainer.model.load_state_dict(state["model"])
        trainer.ema.ema.load_state_dict(state["average"])
        trainer.ema.updates = int(state["updates"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            trainer.scaler.load_state_dict(state["scaler"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise RunError(
            f"the checkpoint of this training does not fit it ({one_line(error)[:200]}); delete the run's 'paused' "
            "folder and baseline/kept.pt, and unfinished trainings start over"
        ) from error
    if getattr(trainer.model.model[-1], "one2one_cv2", None) is not None:  # as Ultralytics' resume_training
        trainer.model.criterion = trainer.model.init_criterion()
        trainer.model.criterion.updates = state["epoch"] - 1
        trainer.model.criterion.update()
    trainer.start_epoch = state["epoch"]
    trainer.scheduler.last_epoch = state["epoch"] - 1
