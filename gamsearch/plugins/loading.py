"""Plug-ins: installed ones are found through entry points, others are named in a space file. No torch.

An installed package announces its plug-in module in its `pyproject.toml`:

    [project.entry-points."gamsearch.plugins"]
    my_modules = "my_package.attention"

Importing the module runs its `@gamsearch.register...` decorators; nothing else is called.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module, metadata, util
from pathlib import Path

from gamsearch.errors import OptionError, SpaceError, one_line

GROUP = "gamsearch.plugins"
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@cache
def load_entry_points() -> tuple[str, ...]:
    """Import every installed plug-in, once per process.

    Returns:
        The names of the plug-ins, sorted.

    Raises:
        OptionError: A plug-in cannot be imported; the message names the package that it came with.
    """
    found = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    for point in found:
        try:
            point.load()
        except Exception as error:  # a plug-in's module can raise anything
            package = point.dist.name if point.dist else "an unknown package"
            raise OptionError(
                f"the plug-in '{point.name}' of {package} cannot be imported ({type(error).__name__}: "
                f"{one_line(error)[:200]}); update or uninstall {package}"
            ) from error
    return tuple(point.name for point in found)


def import_plugins(modules: Sequence[str], not_below: Path | None = None) -> None:
    """Import the modules that a `plugins:` line names.

    Args:
        modules: Dotted names of importable modules.
        not_below: A folder that may come from somebody else; modules that lie in it are not imported.

    Raises:
        SpaceError: A name is malformed, the module cannot be imported, or it lies below `not_below`.
    """
    for name in modules:
        if not isinstance(name, str) or not MODULE.fullmatch(name):
            raise SpaceError(f"must name importable modules such as my_package.attention, not {name!r}")
        if not_below is not None and _lies_below(name, not_below):
            raise SpaceError(f"'{name}' lies in {not_below}, from which no code is run; install the plug-in elsewhere")
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise SpaceError(f"'{name}' needs the module '{error.name}', which is not installed") from error
            raise SpaceError(
                f"there is no module '{name}'; install the plug-in, or add its folder to PYTHONPATH"
            ) from error
        except Exception as error:  # a plug-in's module can raise anything
            raise SpaceError(
                f"'{name}' cannot be imported ({type(error).__name__}: {one_line(error)[:200]})"
            ) from error


def _lies_below(name: str, folder: Path) -> bool:
    """Whether a module would be imported from a file in `folder`."""
    try:
        spec = util.find_spec(name.split(".")[0])
    except (ImportError, ValueError):
        return False
    places = [spec.origin] if spec and spec.origin else []
    places += list(spec.submodule_search_locations or []) if spec else []
    home = folder.resolve()
    return any(Path(place).resolve().is_relative_to(home) for place in places)
