"""Publish modules whose source a file carries with it. Copied into exports, where gamsearch may not be installed.

Nothing that is installed or imported already is replaced: the embedded source is used for what cannot be found
elsewhere, under its own name, since checkpoints name the file of each class.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Embedded(MetaPathFinder, Loader):
    """Imports modules from source held in memory.

    Args:
        file: The file that holds them.
        sources: Source by dotted name; packages above them that are not listed are empty.
    """

    def __init__(self, file: str, sources: Mapping[str, str]):
        self.exported_in, self.sources = file, sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find an embedded module or a package above one; `path` and `target` are not used."""
        package = any(other.startswith(f"{name}.") for other in self.sources)
        return ModuleSpec(name, self, is_package=package) if package or name in self.sources else None

    def get_source(self, name: str) -> str:
        """Return the source of a module, also for tracebacks."""
        return self.sources.get(name, "")

    def exec_module(self, module: ModuleType) -> None:
        """Run the source of a module."""
        file = f"{self.exported_in} ({module.__name__})"
        exec(compile(self.get_source(module.__name__), file, "exec"), vars(module))


def publish(file: str, sources: Mapping[str, str], classes: Mapping[str, str]) -> dict[str, type]:
    """Make embedded classes known to Ultralytics' parser and to torch's restricted unpickler.

    Args:
        file: The file that holds the sources.
        sources: Source by dotted name.
        classes: What rows of a model YAML call each class, to its `module:Class`.

    Returns:
        The classes by that name.

    Raises:
        ImportError: Another class has the name of one of them, or another file holds another version of a module.
    """
    import torch
    from ultralytics.nn import tasks

    for name, source in sources.items():
        loader = getattr(getattr(sys.modules.get(name), "__spec__", None), "loader", None)
        other = getattr(loader, "exported_in", None)
        if other and loader.get_source(name) != source:  # type: ignore[union-attr]
            raise ImportError(
                f"{file} and {other} hold different versions of {name}: import them in different processes, or export "
                "both with one version of gamsearch"
            )
    sys.meta_path.append(Embedded(file, sources))  # last, so that what is installed comes first
    found: dict[str, Any] = {row: _class_at(file, *code.split(":")) for row, code in classes.items()}
    for row, cls in found.items():
        other = getattr(tasks, row, cls)
        if other is not cls:
            raise ImportError(
                f"Ultralytics here has another class named {row} ({getattr(other, '__module__', other)}), which {file} "
                f"does not replace, so rows of {row} would not mean the exported module: rename that class"
            )
    for row, cls in found.items():
        setattr(tasks, row, cls)
        if row == "InnerAttention":  # its rows take more than a name
            cls.teach(tasks)
    modules = {name: vars(sys.modules[name]) for name in sources if name in sys.modules}
    defined = [v for name, names in modules.items() for v in names.values() if getattr(v, "__module__", "") == name]
    torch.serialization.add_safe_globals([value for value in defined if isinstance(value, type)])
    return found


def _class_at(file: str, module: str, name: str) -> type:
    try:
        found: type = getattr(import_module(module), name)
    except ImportError as error:
        raise ImportError(f"{file} cannot import {module} ({error}); if gamsearch is installed, update it") from error
    return found
