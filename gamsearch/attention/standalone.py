"""An attention module as a single file that works where gamsearch is not installed."""

import ast
from importlib import import_module
from pathlib import Path

from gamsearch.attention.registry import attention_class

LITERAL = (bool, int, float, str)

FOOTER = """

# ── without gamsearch ──────────────────────────────────────────────────────────────────────────────────────────────
# `import {file}` before `YOLO("best.pt")` or `YOLO("best.yaml")`: Ultralytics then knows the module, and checkpoints
# that name gamsearch find it here. If gamsearch is installed, this file only imports it.
def _register() -> None:
    import sys
    import types

    from ultralytics.nn import tasks

    try:
        import gamsearch  # noqa: F401

        return
    except ModuleNotFoundError:
        pass
    for package in {packages!r}:
        sys.modules.setdefault(package, types.ModuleType(package))
    sys.modules["{module}"] = sys.modules[__name__]
    {cls}.__module__ = "{module}"
    tasks.{cls} = {cls}


_register()
"""


def standalone_source(name: str) -> str:
    """Write an attention module as one file that registers it with Ultralytics when it is imported.

    Args:
        name: Its name in the catalogue.

    Returns:
        Python source that needs torch and Ultralytics, but not gamsearch.

    Raises:
        SpaceError: There is no such module.
    """
    cls = attention_class(name)
    module = cls.__module__
    packages = [module.rsplit(".", n)[0] for n in range(module.count("."), 0, -1)]
    footer = FOOTER.format(file=f"{name.lower()}_standalone", packages=packages, module=module, cls=cls.__name__)
    return single_file(module) + footer


def single_file(module: str, included: set[str] | None = None) -> str:
    """The source of a module in which each import from gamsearch is replaced by what it imports.

    `included` collects the modules whose source is already in the file.
    """
    included = set() if included is None else included
    included.add(module)
    source = Path(import_module(module).__file__ or "").read_text(encoding="utf-8")
    lines, parts, position = source.splitlines(keepends=True), [], 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gamsearch."):
            parts += lines[position : node.lineno - 1]
            parts.append(_imported(str(node.module), [alias.name for alias in node.names], included))
            position = node.end_lineno or node.lineno
    return "".join([*parts, *lines[position:]])


def _imported(module: str, names: list[str], included: set[str]) -> str:
    """The definitions of `names`: constants as literals, anything else as the source of the whole module."""
    values = {name: getattr(import_module(module), name) for name in names}
    if all(type(value) in LITERAL for value in values.values()):
        return "".join(f"{name} = {value!r}\n" for name, value in values.items())
    if module in included:
        return ""
    rule = "─" * 115
    return f"\n\n# {rule}\n# {module}\n{single_file(module, included)}\n\n# {rule}\n"
