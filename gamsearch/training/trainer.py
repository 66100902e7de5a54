"""A detection trainer without anything that is not training, and with the guards that make its figures comparable.

It takes a built model, keeps data sets and drawn batches in memory for the process, re-seeds after everything is set up
(so that no random draw of building or caching gets into the data stream), re-estimates batch-norm statistics before
every validation, and turns what Ultralytics repairs silently (NaN recovery, batch halving) into a recorded failure.
Where a share of the data is asked for (`fraction`), it is a random one and the same for every training.

While it is at work it shares the device, and between two batches it lets a latency measurement of another process in.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.data.build import build_yolo_dataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import init_seeds, unset_deterministic

from gamsearch.errors import CandidateFailed
from gamsearch.models.device_lock import lock_of
from gamsearch.training.batch_norm import images_for_statistics, reestimate_statistics
from gamsearch.training.batches import SharedBatches, key_of
from gamsearch.training.copies import copied, quick_average
from gamsearch.training.dataset import listed_images, random_share
from gamsearch.training.guards import (
    no_amp_download,
    no_data_downloads,
    no_label_cache,
    no_nms_time_limit,
    no_validation_loss,
    random_state_kept,
    whole_data,
)
from gamsearch.training.resume import State, restore

FRESH_LR_FACTOR = 3.0
"""Learning rate of the attention modules relative to the inherited layers."""

SEEDS_PER_EPOCH = 1_000_003
"""So far apart are the seeds of the random streams that start at two epochs."""

LARGEST_SEED = 2**32 - 1
"""NumPy takes seeds below 2**32, and one more than this one is used."""

OnEpoch = Callable[[int, dict[str, float]], None]

_DATASETS: dict[tuple, Any] = {}


class LeanTrainer(DetectionTrainer):
    """Train `model` in place; `on_epoch(epoch, results)` is called after each epoch and may raise to stop.

    The results are empty where the arguments (`val`) leave out the validation, which the last epoch never lacks.

    `fresh` holds the `id`s of parameters that no checkpoint has seen; they learn `fresh_lr_factor` times as fast. After
    `train()`, `validated` is the model whose results were reported last: the EMA weights with re-estimated statistics.
    `reestimate=False` switches the re-estimation off; the results are then bit for bit those of Ultralytics' own
    trainer whose random streams are started by `start_streams`. With `resumable` the random streams start anew at every
    epoch, in every such training alike, so that it can go on after any: from `paused`, what `pause.keep` wrote.
    """

    shares_batches = True
    """Whether trainings with the same seed and arguments are expected in this process, so that batches are kept."""

    def __init__(
        self,
        model: Any,
        arguments: Mapping[str, Any],
        on_epoch: OnEpoch,
        fresh: frozenset[int] = frozenset(),
        check_setup: Callable[[nn.Module], None] = lambda model: None,
        reestimate: bool = True,
        fresh_lr_factor: float = FRESH_LR_FACTOR,
        resumable: bool = False,
        paused: State | None = None,
    ):
        super().__init__(overrides={"model": "gamsearch.yaml", **arguments})
        self.model: Any = model
        self.ema: Any = None
        self.on_epoch, self.fresh, self.check_setup, self.reestimate = on_epoch, fresh, check_setup, reestimate
        self.resumable, self.paused, self.fresh_lr_factor = resumable, paused, fresh_lr_factor
        self.requested_batch = self.batch_size
        self.add_callback("on_train_epoch_start", LeanTrainer._start_streams_of_epoch)
        self.lock = lock = lock_of(self.device)
        self.add_callback("on_train_epoch_start", lambda _: lock.enter())
        for batch in ("on_train_batch_start", "on_val_batch_start"):  # the validator has the trainer's callbacks
            self.add_callback(batch, lambda _: lock.let_in())
        self.validated: nn.Module = model

    # set-up ------------------------------------------------------------------------------------------------------
    def get_dataset(self) -> dict[str, Any]:
        """What the data YAML says; nothing is downloaded, no font either, and no `download` script of it is run."""
        with no_data_downloads():
            return super().get_dataset()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Scan and cache each split once per process; its augmentation starts anew for every trial."""
        key = (str(img_path), mode, batch, self.args.imgsz, str(self.args.fraction), str(self.args.cache))
        if key not in _DATASETS:
            images = self._share() if mode == "train" else img_path
            with redirect_stdout(io.StringIO()), whole_data(self.args), no_label_cache():  # its progress bars
                _DATASETS[key] = super().build_dataset(images, mode, batch)
        dataset = _DATASETS[key]
        _forget_buffer(dataset)
        dataset.transforms = dataset.build_transforms(hyp=deepcopy(self.args))
        return dataset

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader; where the random streams start anew at every epoch, its epochs are drawn only once."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        if not (self.resumable and self.shares_batches):
            return loader
        return SharedBatches(loader, key_of(str(dataset_path), mode, batch_size, vars(self.args)), mode == "train")

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Ultralytics' optimiser with the fresh parameters in groups of their own at `fresh_lr_factor` x the rate.

        On a CPU, what is many and small (biases, norms) is stepped in one call, which gives the same numbers.
        """
        optimizer = super().build_optimizer(model, *args, **kwargs)
        for group in list(optimizer.param_groups):
            fresh = [p for p in group["params"] if id(p) in self.fresh]
            if fresh:
                group["params"] = [p for p in group["params"] if id(p) not in self.fresh]
                optimizer.add_param_group({**group, "params": fresh, "lr": group["lr"] * self.fresh_lr_factor})
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
        self._statistics()  # built now, since its random draws must not get into the first training of a process
        start_streams(self)
        if self.paused is not None:
            restore(self, self.paused)
            if self.start_epoch > self.epochs - self.args.close_mosaic:  # 8.4.0 closes it in that one epoch alone
                self._close_dataloader_mosaic()

    def _start_streams_of_epoch(self) -> None:
        if self.resumable and self.epoch:
            start_streams(self, self.epoch)

    # each epoch --------------------------------------------------------------------------------------------------
    def train(self) -> None:
        """Train to the end; the device is shared from the first batch of an epoch until its results are there."""
        try:
            super().train()
        finally:
            self.lock.leave()
            unset_deterministic()  # 8.4.0 does it only after a training that came to its end

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Validate a copy of the EMA weights whose batch-norm statistics were re-estimated on training images.

        It is validated in fp32, also where training is in mixed precision: in fp16 the corners of a box beyond 512 px
        lie on a grid of 0.5 px. Without re-estimation this is Ultralytics' own validation, down to the random numbers
        that it draws.
        """
        averaged, amp = self.ema.ema, self.amp
        self.validated = copied(averaged) if self.reestimate else averaged
        if self.reestimate:
            reestimate_statistics(self.validated, self._statistics_batches())  # in fp32: averages of unbounded gates
        _check_finite(self.validated, self.epoch + 1)
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
        told = {k: v for k, v in metrics.items() if not k.startswith("val/")}  # all but the loss that no validation has
        results = {k: float(v) for k, v in told.items()}  # there only when the device has done the epoch's work
        self.lock.leave()
        self.on_epoch(self.epoch + 1, results if validated else {})

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if self.loss is not None and not torch.isfinite(self.loss).all():
            raise CandidateFailed("nan", f"the training loss is not finite in epoch {epoch + 1}")
        return False

    def details(self) -> dict[str, Any]:
        """What there is to say about the last validation besides its metrics: plain values; here nothing."""
        return {}

    def close(self) -> None:
        """Let go of all tensors but those of `validated`, and end the workers of the data loaders.

        What holds the trainer itself goes too, so that everything is free as soon as the caller lets go of it and need
        not wait for the next collection of garbage.
        """
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None:  # its scheduler has tied it to itself
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
        """Where the training images are: as the data YAML says, or a list of the random share that `fraction` asks for.

        The list is left in the training's folder, as `share.txt`.
        """
        places = self.data["train"]
        if self.args.fraction == 1.0:
            return places
        images = listed_images(map(Path, places if isinstance(places, list) else [places]))
        listing = Path(self.save_dir) / "share.txt"
        listing.write_text("\n".join(random_share(images, self.args.fraction)), encoding="utf-8")
        return str(listing)

    def _clear_memory(self, threshold: float | None = None) -> None:
        """Empty an accelerator's cache; a CPU has none."""
        if self.device.type != "cpu":
            super()._clear_memory(threshold)

    def _statistics(self) -> list[torch.Tensor]:
        """Training images as the validation would see them (`B x 3 x H x W`, bytes): no augmentation, the same ones."""
        key = ("statistics", str(self.data["train"]), self.args.imgsz, str(self.args.fraction))
        if key not in _DATASETS:
            _DATASETS[key] = self._statistics_images()
        return _DATASETS[key]

    def _statistics_batches(self) -> Iterator[torch.Tensor]:
        """The same on the device, as the model takes them (0..1)."""
        for images in self._statistics():
            self.lock.let_in()
            yield images.to(self.device).float() / 255

    def _statistics_images(self) -> list[torch.Tensor]:
        cfg: Any = deepcopy(self.args)
        cfg.cache, cfg.fraction = False, 1.0
        images = self._share()
        with no_label_cache():
            dataset: Any = build_yolo_dataset(cfg, images, 16, self.data, mode="val", rect=True, stride=self.stride)
        return images_for_statistics(dataset)


def start_streams(trainer: DetectionTrainer, epoch: int = 0) -> None:
    """Start every random stream of a training anew from its seed; the stock trainer's too, as its `on_train_start`.

    At a later `epoch` they start from the seed and the epoch alone.

    What is drawn while a model is built or a data set is cached would otherwise decide the order of the data and its
    augmentation, and no two trainings of a search would see the same batches.
    """
    seed = (trainer.args.seed + SEEDS_PER_EPOCH * epoch) % LARGEST_SEED
    init_seeds(seed + 1, deterministic=trainer.args.deterministic)
    for loader in (trainer.train_loader, trainer.test_loader):
        _forget_buffer(loader.dataset)
        loader.generator.manual_seed(seed)
        loader.reset()


def _check_finite(model: nn.Module, epoch: int) -> None:
    """Raise `CandidateFailed` if a weight or a statistic is not finite: such a model would silently detect nothing."""
    sums = [t.sum() for t in model.state_dict().values() if t.is_floating_point()]  # NaN and infinity survive a sum
    if not torch.isfinite(torch.stack(sums)).all():  # one question to the device, not one per tensor
        raise CandidateFailed("nan", f"weights or statistics are not finite in epoch {epoch}")


def _forget_buffer(dataset: Any) -> None:
    """Drop the images that mosaic kept from the last trial, unless all images are cached in memory anyway."""
    if dataset.cache != "ram":
        for i in dataset.buffer:
            dataset.ims[i] = None
    dataset.buffer = []
