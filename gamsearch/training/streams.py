"""The random streams of a training: started from seed and epoch alone, so that every candidate sees the same."""

from typing import Any

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils.torch_utils import init_seeds

SEEDS_PER_EPOCH = 1_000_003
"""Distance between the seeds of the random streams of two epochs."""

LARGEST_SEED = 2**32 - 1
"""NumPy takes seeds below 2**32, and seed + 1 is used."""


def start_streams(trainer: BaseTrainer, epoch: int = 0) -> None:
    """Restart every random stream of a training from its seed and the epoch.

    Otherwise the random numbers used while a model is built or a data set is cached would decide the order of the data
    and its augmentation, and no two trainings of a search would see the same batches.

    Args:
        trainer: Any trainer that is set up; the stock one restarts them too, as its `on_train_start`.
        epoch: The epoch that is about to start, from 0.
    """
    seed = (trainer.args.seed + SEEDS_PER_EPOCH * epoch) % LARGEST_SEED
    init_seeds(seed + 1, deterministic=trainer.args.deterministic)
    for loader in (trainer.train_loader, trainer.test_loader):
        forget_buffer(loader.dataset)
        loader.generator.manual_seed(seed)
        loader.reset()


def forget_buffer(dataset: Any) -> None:
    """Drop the images that mosaic kept from the last trial, unless all images are cached in memory anyway.

    Args:
        dataset: An Ultralytics data set.
    """
    if not hasattr(dataset, "buffer"):  # classification has none
        return
    if dataset.cache != "ram":
        for i in dataset.buffer:
            dataset.ims[i] = None
    dataset.buffer = []
