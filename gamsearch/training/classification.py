"""Classification in training: its data set, whose augmentation draws from PyTorch's random stream, and its accuracy."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.classify import ClassificationTrainer

from gamsearch.training.batch_norm import images_for_statistics
from gamsearch.training.batches import key_of
from gamsearch.training.cached_data import CachedData, image_form, kept
from gamsearch.training.read_only import ReadOnlyClassificationDataset


class ClassificationData(ClassificationTrainer, CachedData):
    """Ultralytics' classification trainer with data sets that are read once per process.

    It stands behind our trainers and before the detection trainer from which they are made.
    """

    draws_torch = True

    def setup_model(self) -> Any:
        """Set the dropout that the arguments ask for, as Ultralytics does where it builds the model itself."""
        model: Any = self.model
        for module in model.modules():
            if isinstance(module, nn.Dropout) and self.args.dropout:
                module.p = self.args.dropout
        return super().setup_model()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Read and check each split once per process and set of arguments."""
        build = super().build_dataset
        key = (image_form(self.model), key_of(str(img_path), "val", 0, vars(self.args)), mode)
        return kept(key, lambda: build(img_path, mode, batch))

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Ultralytics' loader; each epoch is augmented only once."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        return self.shared(loader, str(dataset_path), batch_size, mode)

    def set_class_weights(self) -> None:
        """None, as in Ultralytics; those of the detection trainer count boxes."""
        BaseTrainer.set_class_weights(self)

    def _statistics(self) -> list[torch.Tensor]:
        form, args = image_form(self.model), deepcopy(self.args)
        args.cache = False

        def read() -> list[torch.Tensor]:
            return images_for_statistics(ReadOnlyClassificationDataset(self.data["train"], args, prefix="train"))

        key = ("statistics", form, self.data["train"], args.imgsz, args.fraction)
        images: list[torch.Tensor] = kept(key, read)
        return images


def accuracy_per_class(validator: Any) -> dict[str, dict[str, float]]:
    """Compute the accuracy for each class.

    Args:
        validator: A `ClassificationValidator` after its validation.

    Returns:
        By class name, the share of its images whose class has the highest score; without classes that have no image.
    """
    best, targets = torch.cat(validator.pred)[:, 0], torch.cat(validator.targets)
    found = {int(number): targets == number for number in targets.unique()}
    right = (best == targets).float()
    return {str(validator.names[number]): {"top1": float(right[own].mean())} for number, own in found.items()}
