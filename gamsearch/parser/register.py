"""Register the attention modules with Ultralytics; the only file that names `ultralytics.nn.tasks`. No torch at import.

Ultralytics has no plug-in hook: its parser looks up a row's module among the globals of `ultralytics.nn.tasks`, so
registering a class means adding it there. This happens when that module is imported, no matter by whom.
"""

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import wrapt

from gamsearch.architecture import Placement
from gamsearch.attention.catalogue import CATALOGUE, spec_named
from gamsearch.attention.spec import INNER_ROW, AttentionSpec
from gamsearch.errors import ModelError

TASKS = "ultralytics.nn.tasks"
MARK = "_gamsearch_fuses"
"""Attribute of a `BaseModel.fuse` that is already wrapped."""

_published: dict[str, type] = {}
"""Names that this file has given to the parser. Any other name there belongs to Ultralytics or to the user."""

INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")
DEFAULTS = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "1", "YOLO_VERBOSE": "false"}


def register_on_import() -> None:
    """Register as soon as Ultralytics' parser is imported, or now if it already is; `import gamsearch` calls this."""
    wrapt.register_post_import_hook(register, TASKS)


def register(tasks: Any) -> None:
    """Add every attention class, including those of plug-ins imported later, to the parser's module; idempotent.

    A name that stands for another class there is left alone.

    Args:
        tasks: The imported module `ultralytics.nn.tasks`.
    """
    from gamsearch.attention.inner import InnerAttention

    for spec in CATALOGUE.values():
        _register_class(tasks, spec)
    _publish(tasks, INNER_ROW, InnerAttention)
    InnerAttention.teach(tasks)
    if not hasattr(tasks.BaseModel.fuse, MARK):
        tasks.BaseModel.fuse = _fusing(tasks.BaseModel.fuse)
        CATALOGUE.on_add(lambda spec: _register_class(tasks, spec))


def _register_class(tasks: Any, spec: AttentionSpec) -> None:
    """Make the class of a catalogue entry known to the parser and to torch's restricted unpickler."""
    from gamsearch.attention.registry import class_of

    cls = class_of(spec)
    for name in (spec.row_name, *spec.aliases):
        _publish(tasks, name, cls)


def _publish(tasks: Any, name: str, cls: type) -> None:
    """Give a class a name in the parser's module, unless that is somebody else's, and let checkpoints hold it."""
    import torch

    if getattr(tasks, name, None) is _published.get(name):
        setattr(tasks, name, cls)
        _published[name] = cls
    torch.serialization.add_safe_globals(classes_with(cls))


def classes_with(cls: type) -> list[Any]:
    """List the classes that a checkpoint of a module can name.

    Args:
        cls: The module's class.

    Returns:
        All classes of its file, and those that this and further files import from the same package.
    """
    package, found, files = cls.__module__.split(".")[0], {cls}, [cls.__module__]
    for file in files:  # grows
        for value in list(getattr(sys.modules.get(file), "__dict__", {}).values()):
            if isinstance(value, type) and value not in found and value.__module__.split(".")[0] == package:
                found.add(value)
                files.append(value.__module__)
    return [*found]


def check_published(placement: Placement) -> None:
    """Check that rows of a placement mean its module, and not a class that somebody else has given its name.

    Args:
        placement: The placement.

    Raises:
        ModelError: They mean another class.
    """
    from gamsearch.attention.inner import InnerAttention
    from gamsearch.attention.registry import class_of

    spec = spec_named(placement.module)
    meant = {spec.row_name: (class_of(spec), spec.title)}
    if placement.semantics == "inner":
        meant[INNER_ROW] = InnerAttention, "attention inside a block"
    for name, (cls, title) in meant.items():
        found = getattr(tasks_module(), name, None)
        if found not in (None, cls):
            raise ModelError(
                f"Ultralytics here has another class named {name} ({getattr(found, '__module__', found)}), which "
                f"gamsearch does not replace, so rows of {name} would not mean {title}: rename that class"
            )


def _fusing(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `BaseModel.fuse` so that it also fuses the attention modules, which Ultralytics does not know."""

    @wraps(stock)
    def fuse(self: Any, *args: Any, **options: Any) -> Any:
        from gamsearch.attention.registry import attention_classes

        fused, classes = stock(self, *args, **options), tuple(attention_classes().values())
        for module in fused.modules():
            deploy = getattr(module, "fuse", None) if isinstance(module, classes) else None
            if callable(deploy):
                deploy()
        return fused

    setattr(fuse, MARK, True)
    return fuse


def tasks_module() -> Any:
    """Import `ultralytics.nn.tasks` and return it, with the attention modules registered."""
    return import_module(TASKS)


def quiet_ultralytics() -> None:
    """Turn off Ultralytics' logging, telemetry, installs and network probes in this process.

    Call it before Ultralytics is imported. The user's environment variables take precedence, and the user's settings
    file is not changed.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from ultralytics import settings
    from ultralytics.utils import LOGGER

    LOGGER.setLevel(logging.ERROR)
    for name in INTEGRATIONS:
        if name in settings:
            dict.__setitem__(settings, name, False)  # `settings.update` would write the user's file
