"""The attention modules of an export as one file that works where gamsearch is not installed.

The file holds the source of each module, and of what it imports from its own package and from gamsearch, under their
own names: checkpoints name these, and equal names in different modules do not meet.
"""

import ast
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec, resolve_name
from pathlib import Path

from gamsearch.attention import embedded
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.inner import InnerAttention
from gamsearch.attention.registry import class_of
from gamsearch.attention.spec import INNER_ROW
from gamsearch.errors import SpaceError

PACKAGE = "gamsearch"

STUB = '''"""Stands for gamsearch, of which an export holds the attention modules only."""


class _Register:
    def __getattr__(self, name):
        return lambda cls=None, **stated: cls or (lambda found: found)


register = _Register()


def __getattr__(name):
    raise AttributeError(f"there is no gamsearch.{name} here: of gamsearch only exported attention modules are present")
'''

HEAD = '''"""Attention modules for Ultralytics, exported by gamsearch; needs torch and Ultralytics, but not gamsearch.

{modules}

Import this file, under any name, before `YOLO("best.pt")` or `YOLO("best.yaml")`. If gamsearch is installed, its own
modules are used instead of those in this file.
"""

'''

RULE = f"# {'─' * 115}\n"


def standalone_source(names: Sequence[str], inner: bool = False) -> str:
    """Write attention modules as one file that registers them with Ultralytics when it is imported.

    Args:
        names: Their names in the catalogue.
        inner: Whether there are rows with attention inside a block.

    Returns:
        Python source that needs torch and Ultralytics, but not gamsearch.

    Raises:
        SpaceError: There is no such module, or a class is not defined in a file.
    """
    specs = [spec_named(name) for name in names]
    classes: dict[str, type] = {spec.row_name: class_of(spec) for spec in specs}
    origins = {spec.row_name: spec.origin for spec in specs}
    if inner:
        classes[INNER_ROW] = InnerAttention
        origins[INNER_ROW] = "a block of Ultralytics with attention after its last bottleneck"
    listed = "\n".join(
        textwrap.fill(f"    {name}: {what}", 116, subsequent_indent=" " * 8) for name, what in origins.items()
    )
    sources = {PACKAGE: STUB}
    for cls in classes.values():
        _collect(cls.__module__, {PACKAGE, cls.__module__.split(".")[0]}, sources)
    parts = [
        HEAD.format(modules=listed),
        _source_of(embedded.__name__).split('"""\n', 1)[1].lstrip(),
        "\n\nSOURCES = {}",
    ]
    parts += [f"\n\n{RULE}SOURCES[{name!r}] = {_literal(source)}" for name, source in sources.items()]
    codes = {name: f"{cls.__module__}:{cls.__qualname__}" for name, cls in classes.items()}
    return "".join([*parts, f"\n\n{RULE}globals().update(publish(__file__, SOURCES, {codes!r}))\n"])


def _collect(module: str, packages: set[str], sources: dict[str, str]) -> None:
    """Add the source of a module, and of everything that it imports from `packages`, to `sources`."""
    if module in sources:
        return
    source = sources[module] = _source_of(module)
    spec = find_spec(module)
    home = module if spec and spec.submodule_search_locations is not None else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), home)
            names = [_module_in(base, alias.name) for alias in node.names] if base.split(".")[0] in packages else []
        for name in names:
            if name.split(".")[0] in packages:
                _collect(name, packages, sources)


def _module_in(base: str, name: str) -> str:
    """The module that `from base import name` reads: a submodule, or `base` itself."""
    spec = find_spec(base)
    is_package = spec is not None and spec.submodule_search_locations is not None
    return f"{base}.{name}" if is_package and find_spec(f"{base}.{name}") else base


def _source_of(module: str) -> str:
    """Read the file of a module."""
    try:
        spec = find_spec(module)
    except ValueError:  # __main__ has no spec
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise SpaceError(f"{module} is no Python file, so its modules cannot be exported: define them in a file")
    return Path(spec.origin).read_text(encoding="utf-8")


def _literal(source: str) -> str:
    """A string literal that shows the source as it is, where that is possible."""
    plain = "'''" not in source and source.endswith("\n")
    return f"r'''{source}'''\n" if plain else f"{source!r}\n"
