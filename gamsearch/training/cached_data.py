"""A trainer whose data sets and augmented batches are kept in memory, for all trainings of a process that need them."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer

from gamsearch.parser.build import class_name
from gamsearch.training.batch_norm import statistics_images
from gamsearch.training.batches import SharedBatches, key_of
from gamsearch.training.guards import no_data_downloads, whole_data
from gamsearch.training.images import training_images
from gamsearch.training.read_only import read_only_data
from gamsearch.training.streams import forget_buffer

_DATASETS: dict[str, Any] = {}


def kept(key: Any, make: Callable[[], Any]) -> Any:
    """Make a data set once per process.

    Args:
        key: What it depends on.
        make: Makes it; its progress bars are not shown, and the user's files are left as they are.

    Returns:
        The data set.
    """
    if str(key) not in _DATASETS:
        with redirect_stdout(io.StringIO()), read_only_data():
            _DATASETS[str(key)] = make()
    return _DATASETS[str(key)]


def image_form(model: Any) -> tuple[str, int]:
    """What images and labels of a training depend on besides its arguments.

    Args:
        model: The model.

    Returns:
        Its class, which says what labels must hold and whether images are stretched to squares as RT-DETR has them,
        and the stride whose multiples their sides are.
    """
    return class_name(model.yaml), max(int(max(model.stride)), 32)


class CachedData(DetectionTrainer):
    """A detection trainer that scans, reads and augments images once per process."""

    shared_splits: tuple[str, ...] = ("train", "val")
    """Splits of which other trainings in this process are expected to see the same batches, which are kept for them."""

    resumable = False
    """Whether the random streams restart at every epoch."""

    draws_torch = False
    """Whether augmentation draws from PyTorch's random stream."""

    def get_dataset(self) -> dict[str, Any]:
        """The data as Ultralytics reads them; nothing is downloaded, and no `download` script is run."""
        with no_data_downloads():
            return super().get_dataset()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Scan and cache each split once per process; its augmentation is rebuilt for every trial."""

        def build() -> Any:
            images = self._share() if mode == "train" else img_path
            with whole_data(self.args):
                return super(CachedData, self).build_dataset(images, mode, batch)

        given = (img_path, mode, batch, self.args.imgsz, self.args.fraction, self.args.cache)
        dataset = kept((image_form(self.model), *given), build)
        forget_buffer(dataset)
        dataset.transforms = dataset.build_transforms(hyp=deepcopy(self.args))
        return dataset

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader; where the random streams restart at every epoch, each epoch is augmented only once."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        return self.shared(loader, str(dataset_path), batch_size, mode)

    def shared(self, loader: Any, path: str, batch_size: int, mode: str) -> Any:
        """A loader whose batches are kept for other trainings, if there will be any."""
        if not (self.resumable and mode in self.shared_splits):
            return loader
        key = key_of(path, mode, batch_size, vars(self.args))
        return SharedBatches(loader, (*image_form(self.model), *key), mode == "train", self.draws_torch)

    def _share(self) -> Any:
        return training_images(self.data["train"], self.args.fraction, Path(self.save_dir))

    def _statistics(self) -> list[torch.Tensor]:
        """Training images as a validation would see them (`B x 3 x H x W`): not augmented, always the same."""
        form = image_form(self.model)
        key = ("statistics", form, self.data["train"], self.args.imgsz, self.args.fraction)
        images: list[torch.Tensor] = kept(key, lambda: statistics_images(self.args, self._share(), self.data, *form))
        return images
