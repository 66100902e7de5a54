"""A trainer reduced to training, with the guards that make its results comparable.

It takes a built model, keeps data sets and augmented batches in memory, re-seeds after the set-up (so that building and
caching do not change the data stream), re-estimates batch-norm statistics before every validation, and turns what
Ultralytics repairs silently (NaN recovery, batch halving) into a recorded failure. A share of the data (`fraction`)
is random and the same for every training. Between two batches a latency measurement of another process may take place.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from ultralytics.utils.torch_utils import unset_deterministic

from gamsearch.errors import CandidateFailed
from gamsearch.models.device_lock import lock_of
from gamsearch.models.saving import round_as_written
from gamsearch.training.batch_norm import reestimate_statistics
from gamsearch.training.cached_data import CachedData
from gamsearch.training.copies import copied, quick_average
from gamsearch.training.guards import (
    check_finite,
    no_amp_download,
    no_nms_time_limit,
    no_validation_loss,
    random_state_kept,
)
from gamsearch.training.resume import State, restore
from gamsearch.training.streams import start_streams

OnEpoch = Callable[[int, dict[str, float]], None]


class LeanTrainer(CachedData):
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

        It is rounded to fp16 as it will be written, so that `yolo val` of the exported file gives the same metrics.

        It runs in fp32 even where training is in mixed precision: in fp16 the corners of a box beyond 512 px lie on a
        grid of 0.5 px. Without re-estimation this is Ultralytics' own validation, down to its random numbers.
        """
        averaged, amp = self.ema.ema, self.amp
        self.validated = copied(averaged) if self.reestimate else averaged
        if self.reestimate:
            reestimate_statistics(self.validated, self._statistics_batches())  # in fp32: averages of unbounded gates
            round_as_written(self.validated)
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

    def _clear_memory(self, threshold: float | None = None) -> None:
        if self.device.type != "cpu":
            super()._clear_memory(threshold)

    def _statistics_batches(self) -> Iterator[torch.Tensor]:
        """The same on the device, as the model takes them (0..1)."""
        for images in self._statistics():
            self.lock.yield_to_measurement()
            yield images.to(self.device).float() / (255 if images.dtype == torch.uint8 else 1)
