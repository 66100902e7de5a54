"""Context managers that keep Ultralytics from changing a training silently."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.data import utils as data_utils
from ultralytics.engine import trainer as engine
from ultralytics.engine import validator
from ultralytics.utils import nms

from gamsearch.errors import CandidateFailed, DataError


@contextmanager
def no_data_downloads() -> Iterator[None]:
    """Read data without downloads: no data, no font, no `download` script is run, and no image is moved to a split."""
    original, font, folders = data_utils.check_det_dataset, data_utils.check_font, data_utils.check_cls_dataset
    engine.check_det_dataset = validator.check_det_dataset = partial(original, autodownload=False)
    engine.check_cls_dataset = validator.check_cls_dataset = partial(_class_folders, folders)
    data_utils.check_font = lambda *args, **options: None
    try:
        yield
    finally:
        engine.check_det_dataset = validator.check_det_dataset = original
        engine.check_cls_dataset = validator.check_cls_dataset = folders
        data_utils.check_font = font


def _class_folders(stock: Any, dataset: Any, *args: Any, **options: Any) -> Any:
    """Ultralytics' check of class folders, which would download or split data without a `train` folder."""
    if not (Path(dataset) / "train").is_dir():
        raise DataError(f"the data folder {dataset} has no folder `train` any more; restore it")
    return stock(dataset, *args, **options)


@contextmanager
def whole_data(args: Any) -> Iterator[None]:
    """Stop Ultralytics from applying `fraction` a second time, to a share."""
    fraction, args.fraction = args.fraction, 1.0
    try:
        yield
    finally:
        args.fraction = fraction


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leave the random streams as they were, so that what is done between epochs cannot change the training."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def no_amp_download() -> Iterator[None]:
    """Answer Ultralytics' AMP check without its download of a reference model; a NaN under AMP is retried in fp32."""
    original = engine.check_amp
    engine.check_amp = lambda model: next(model.parameters()).device.type == "cuda"
    try:
        yield
    finally:
        engine.check_amp = original


@contextmanager
def no_nms_time_limit() -> Iterator[None]:
    """Lift the wall-clock limit of non-maximum suppression, so that mAP does not depend on the machine's load."""
    original = nms.non_max_suppression
    nms.non_max_suppression = partial(original, max_time_img=3600.0)
    try:
        yield
    finally:
        nms.non_max_suppression = original


@contextmanager
def no_validation_loss(model: Any, losses: Any) -> Iterator[None]:
    """Skip the validation loss of `model`, which nothing reads; `losses` has the form of its training loss."""
    nothing: Any = {} if isinstance(losses, dict) else torch.zeros_like(losses)  # a tensor in 8.4.0
    model.loss = lambda batch, predictions: (None, nothing)
    try:
        yield
    finally:
        del model.loss


def check_finite(model: nn.Module, epoch: int) -> None:
    """Raise `CandidateFailed` if a weight or a statistic is not finite: such a model would silently detect nothing."""
    sums = [t.sum() for t in model.state_dict().values() if t.is_floating_point()]  # NaN and infinity survive a sum
    if not torch.isfinite(torch.stack(sums)).all():  # one synchronisation, not one per tensor
        raise CandidateFailed("nan", f"weights or statistics are not finite in epoch {epoch}")
