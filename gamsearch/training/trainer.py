"""A detection trainer reduced to training, with the guards that make its results comparable.

It takes a built model, keeps data sets and augmented batches in memory, re-seeds after the set-up (so that building and
caching do not change the data stream), re-estimates batch-norm statistics before every validation, and turns what
Ultralytics repairs silently (NaN recovery, batch halving) into a recorded failure. A share of the data (`fraction`)
is random and the same for every training. Between two batches a latency measurement of another process may take place.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unset_deterministic

from gamsearch.errors import CandidateFailed
from gamsearch.models.device_lock import lock_of
from gamsearch.training.batch_norm import reestimate_statistics, statistics_images
from gamsearch.training.batches import SharedBatches, key_of
from gamsearch.training.copies import copied, quick_average
from gamsearch.training.guards import (
    check_finite,
    no_amp_download,
    no_data_downloads,
    no_nms_time_limit,
    no_validation_loss,
    random_state_kept,
    whole_data,
)
from gamsearch.training.images import training_images
from gamsearch.training.read_only import read_only_data
from gamsearch.training.resume import State, restore
from gamsearch.training.rtdetr import image_form
from gamsearch.training.streams import forget_buffer, start_streams

OnEpoch = Callable[[int, dict[str, float]], None]

_DATASETS: dict[str, Any] = {}


class LeanTrainer(DetectionTrainer):
    """Train a model in place.

    After `train()`, `validated` is the model whose results were reported last: the EMA weights with re-estimated
    statistics.

    Args:
        model: The built model.
        arguments: Ultralytics training arguments.
        on_epoch: Called with `(epoch, results)` after each epoch; it may raise to stop. The results are empty where
            `val` leaves out the validation, which never happens in the last epoch.
        fresh: `id`s of parameters that no checkpoint has seen, with the factor of their learning rate.
        check_setup: Called with the model after the set-up; it may raise.
        reestimate: Re-estimate batch-norm statistics before each validation. Without it the results are bit for bit
            those of Ultralytics' own trainer whose random streams are started by `start_streams`.
        resumable: Restart the random streams at every epoch, so that the training can resume after any.
        paused: What `resume.keep` wrote, to resume from there.
    """

    shares_batches = True
    """Whether trainings with the same seed and arguments are expected in this process, so that batches are kept."""

    def __init__(
        self,
        model: Any,
        arguments: Mapping[str, Any],
        on_epoch: OnEpoch,
        fresh: Mapping[int, float] | None = None,
        check_setup: Callable[[nn.Module], None] = lambda model: None,
        reestimate: bool = True,
        resumable: bool = False,
        paused: State | None = None,
    ):
        super().__init__(overrides={"model": "gamsearch.yaml", **arguments})
        self.model: Any = model
        self.ema: Any = None
        self.on_epoch, self.fresh, self.check_setup, self.reestimate = on_epoch, fresh or {}, check_setup, reestimate
        self.resumable, self.paused = resumable, paused
        self.requested_batch = self.batch_size
        self.add_callback("on_train_epoch_start", LeanTrainer._start_streams_of_epoch)
        self.lock = lock = lock_of(self.device)
        self.add_callback("on_train_epoch_start", lambda _: lock.enter())
        for batch in ("on_train_batch_start", "on_val_batch_start"):  # the validator has the trainer's callbacks
            self.add_callback(batch, lambda _: lock.yield_to_measurement())
        self.validated: nn.Module = model

    def get_dataset(self) -> dict[str, Any]:
        """The data YAML; nothing is downloaded, and no `download` script in it is run."""
        with no_data_downloads():
            return super().get_dataset()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Scan and cache each split once per process; its augmentation is rebuilt for every trial."""
        key = str((image_form(self.model), img_path, mode, batch, self.args.imgsz, self.args.fraction, self.args.cache))
        if key not in _DATASETS:
            images = self._share() if mode == "train" else img_path
            with redirect_stdout(io.StringIO()), whole_data(self.args), read_only_data():  # its progress bars
                _DATASETS[key] = super().build_dataset(images, mode, batch)
        dataset = _DATASETS[key]
        forget_buffer(dataset)
        dataset.transforms = dataset.build_transforms(hyp=deepcopy(self.args))
        return dataset

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader; where the random streams restart at every epoch, each epoch is augmented only once."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        if not (self.resumable and self.shares_batches):
            return loader
        key = key_of(str(dataset_path), mode, batch_size, vars(self.args))
        return SharedBatches(loader, (*image_form(self.model), *key), mode == "train")

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Ultralytics' optimiser with the fresh parameters in groups of their own, at their own learning rates.

        A group that is called `bias` would start its warm-up at `warmup_bias_lr`; those of attention rise from zero.
        On a CPU the many small parameters (biases, norms) are stepped in one call, which gives the same numbers.
        """
        optimizer = super().build_optimizer(model, *args, **kwargs)
        for group in list(optimizer.param_groups):
            fresh = [p for p in group["params"] if id(p) in self.fresh]
            if fresh:
                group["params"] = [p for p in group["params"] if id(p) not in self.fresh]
                for factor in dict.fromkeys(self.fresh[id(p)] for p in fresh):
                    own = [p for p in fresh if self.fresh[id(p)] == factor]
                    named = {"param_group": "attention"} if "param_group" in group else {}
                    optimizer.add_param_group({**group, **named, "params": own, "lr": group["lr"] * factor})
        if self.device.type == "cpu":
            for group in optimizer.param_groups:
                if "foreach" in group and all(p.ndim < 2 for p in group["params"]):
                    group["foreach"] = True
        return optimizer

    def _build_train_pipeline(self) -> None:
        if self.batch_size != self.requested_batch:
            raise CandidateFailed(
                "out_of_memory", f"batch {self.requested_batch} does not fit; give a smaller --batch or --imgsz"
            )
        super()._build_train_pipeline()

    def _setup_train(self, *args: Any) -> None:
        with no_amp_download(), quick_average():
            super()._setup_train(*args)
        self.check_setup(self.model)
        self._statistics()  # built now, so that its random numbers do not change the first training of a process
        start_streams(self)
        if self.paused is not None:
            restore(self, self.paused)
            if self.start_epoch > self.epochs - self.args.close_mosaic:  # 8.4.0 closes it in that one epoch alone
                self._close_dataloader_mosaic()

    def _start_streams_of_epoch(self) -> None:
        if self.resumable and self.epoch:
            start_streams(self, self.epoch)

    def train(self) -> None:
        """Train to the end; the device is shared from the first batch of an epoch until its results are known."""
        try:
            super().train()
        finally:
            self.lock.leave()
            unset_deterministic()  # 8.4.0 does so only after a training that reached its end

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Validate a copy of the EMA weights whose batch-norm statistics were re-estimated on training images.

        It runs in fp32 even where training is in mixed precision: in fp16 the corners of a box beyond 512 px lie on a
        grid of 0.5 px. Without re-estimation this is Ultralytics' own validation, down to its random numbers.
        """
        averaged, amp = self.ema.ema, self.amp
        self.validated = copied(averaged) if self.reestimate else averaged
        if self.reestimate:
            reestimate_statistics(self.validated, self._statistics_batches())  # in fp32: averages of unbounded gates
        check_finite(self.validated, self.epoch + 1)
        self.ema.ema, self.amp = self.validated, amp and not self.reestimate
        try:
            kept = random_state_kept() if self.reestimate else nullcontext()
            with no_nms_time_limit(), no_validation_loss(self.validated, self.loss_items), kept:
                return super().validate()
        finally:
            self.ema.ema, self.amp = averaged, amp

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Report the epoch's results instead of writing a CSV."""
        validated = self.args.val or self.epoch + 1 >= self.epochs
        known = {k: v for k, v in metrics.items() if not k.startswith("val/")}  # no validation computes its loss
        results = {k: float(v) for k, v in known.items()}  # waits until the device has finished the epoch
        self.lock.leave()
        self.on_epoch(self.epoch + 1, results if validated else {})

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not torch.isfinite(self.loss).all():
            raise CandidateFailed("nan", f"the training loss is not finite in epoch {epoch + 1}")
        return False

    def details(self) -> dict[str, Any]:
        """Plain values about the last validation besides its metrics; none here."""
        return {}

    def close(self) -> None:
        """Release all tensors but those of `validated`, and end the workers of the data loaders.

        References to the trainer itself are dropped too, so that its memory is free without a garbage collection.
        """
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None:  # its scheduler holds a reference cycle
            optimizer.state.clear()
            optimizer.param_groups.clear()
        self.model = self.ema = self.paused = self.loss = self.loss_items = self.tloss = None
        self.scheduler = self.lf = None
        self.on_epoch, self.check_setup = (lambda epoch, results: None), (lambda model: None)
        for name in ("train_loader", "test_loader"):
            close = getattr(getattr(self, name, None), "close", None)
            if close is not None:
                close()

    def save_model(self) -> bool:
        """No checkpoints: the caller keeps `validated`."""
        return False

    def final_eval(self) -> None:
        """No second validation."""

    def plot_metrics(self) -> None:
        """No plots."""

    def _share(self) -> Any:
        return training_images(self.data["train"], self.args.fraction, Path(self.save_dir))

    def _clear_memory(self, threshold: float | None = None) -> None:
        if self.device.type != "cpu":
            super()._clear_memory(threshold)

    def _statistics(self) -> list[torch.Tensor]:
        """Training images as a validation would see them (`B x 3 x H x W`, bytes): not augmented, always the same."""
        form = image_form(self.model)
        key = str(("statistics", form, self.data["train"], self.args.imgsz, self.args.fraction))
        if key not in _DATASETS:
            _DATASETS[key] = statistics_images(self.args, self._share(), self.data, *form)
        return _DATASETS[key]

    def _statistics_batches(self) -> Iterator[torch.Tensor]:
        """The same on the device, as the model takes them (0..1)."""
        for images in self._statistics():
            self.lock.yield_to_measurement()
            yield images.to(self.device).float() / 255
