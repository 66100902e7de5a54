"""The lines between the layers: what the values load, who knows Ultralytics' parser, and that imports run one way."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gamsearch"
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
VALUES = [
    *(
        "errors",
        "architecture",
        "detectors",
        "rows",
        "placement",
        "offer",
        "plain_yaml",
        "space_file",
        "space",
        "graft",
    ),
    *("metrics", "evaluation", "pareto", "attention.catalogue"),
]


@pytest.mark.parametrize("module", ["space.search_space", "space.graft", "analysis.pareto"])
def test_the_values_load_neither_torch_nor_optuna_nor_ultralytics(module: str) -> None:
    code = f"import sys, gamsearch.{module}; print(*sorted({{'torch', 'optuna', 'ultralytics'}} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize("module", VALUES)
def test_no_value_module_imports_from_below_its_layer(module: str) -> None:
    name = f"gamsearch.{module}"
    allowed = {f"gamsearch.{m}" for m in VALUES}
    assert imported(name, FILES[name]) <= allowed
    roots = {node.split(".")[0] for node in all_imports(FILES[name])}
    assert not roots & {"torch", "optuna", "ultralytics", "plotly", "matplotlib"}


def test_ultralytics_parser_is_named_in_one_file_of_the_package() -> None:
    assert [n for n, p in FILES.items() if "ultralytics.nn.tasks" in p.read_text()] == ["gamsearch.models.register"]


def test_imports_between_the_modules_have_no_cycle() -> None:
    """Imports inside functions count as well: they hide a cycle, they do not break it."""
    graph = {name: imported(name, path) - {"gamsearch"} for name, path in FILES.items()}
    done: set[str] = set()
    while ready := [name for name in graph if name not in done and graph[name] <= done]:
        done.update(ready)
    assert sorted(graph.keys() - done) == []


def all_imports(path: Path) -> set[str]:
    """Dotted names that a file imports, `a.b.c` for `from a.b import c`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def imported(name: str, path: Path) -> set[str]:
    """Modules of the package that a file imports, itself left out."""
    found = set()
    for dotted in all_imports(path):
        while dotted and dotted not in FILES:
            dotted = dotted.rpartition(".")[0]
        found.add(dotted)
    return found - {"", name}


def test_the_public_names_are_there_and_are_imported_only_when_used() -> None:
    code = (
        "import sys, gamsearch\n"
        "assert 'torch' not in sys.modules\n"
        "for name in gamsearch.PUBLIC: assert getattr(gamsearch, name).__name__ == name, name\n"
        "try: gamsearch.Gam\n"
        "except AttributeError: print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "done", done.stderr
