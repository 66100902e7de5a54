"""How Ultralytics behaves inside gamsearch: no chatter, no telemetry, no installs, no network probes."""

import logging
import os

INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")
DEFAULTS = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "1", "YOLO_VERBOSE": "false"}


def quiet_ultralytics() -> None:
    """Set it up for this process, best before Ultralytics is imported; the user's environment and settings file win."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from ultralytics import settings
    from ultralytics.utils import LOGGER

    LOGGER.setLevel(logging.ERROR)
    for name in INTEGRATIONS:
        if name in settings:
            dict.__setitem__(settings, name, False)  # not `settings.update`, which would write the user's file
