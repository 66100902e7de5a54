"""What keeps the package readable: import order, sizes, docstrings, and the names that users import."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, KeysView
from functools import cache
from pathlib import Path

import pytest
import tomllib
from support.paths import ROOT

PACKAGE = ROOT / "gamsearch"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
FOLDERS = sorted({name.split("/")[0] if "/" in name else "." for name in FILES})
PENDING: list[str] = []
"""Folders that do not fulfil the limits below yet."""
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS, MOST_FILES = 250, 50, 8, 9

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def by_folder() -> list:
    return [pytest.param(f, marks=[pytest.mark.xfail] if f in PENDING else []) for f in FOLDERS]


def files_of(folder: str) -> dict[str, Path]:
    return {n: p for n, p in FILES.items() if (n.split("/")[0] if "/" in n else ".") == folder}


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function) -> list[str]:
    """Names of all parameters but `self`, `cls`, `*args` and `**kwargs`."""
    spec = function.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


# imports -------------------------------------------------------------------------------------------------------------
def test_the_import_contracts_hold():
    """Layers, no torch above the models, no optuna in values, models and statistics: see pyproject.toml."""
    done = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_the_package_is_packaged():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(path.relative_to(ROOT).parent.parts) for path in PACKAGE.rglob("__init__.py")}
    assert folders == set(listed["packages"]) - listed["package-dir"].keys()


@pytest.mark.parametrize("module", ["space.search_space", "space.graft", "analysis.pareto", "study.schema"])
def test_values_and_statistics_load_neither_torch_nor_ultralytics(module: str):
    code = f"import sys, gamsearch.{module}; print(*sorted({{'torch', 'ultralytics'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_ultralytics_parser_is_named_in_one_file_of_the_package():
    assert [name for name, path in FILES.items() if "ultralytics.nn.tasks" in path.read_text()] == [
        "parser/register.py"
    ]


def test_imports_between_the_modules_have_no_cycle():
    """Imports inside functions count as well: they hide a cycle, they do not break it."""
    modules = {f"gamsearch.{name[:-3].replace('/', '.')}".removesuffix(".__init__"): p for name, p in FILES.items()}
    graph = {name: imported(name, path, modules.keys()) - {"gamsearch"} for name, path in modules.items()}
    done: set[str] = set()
    while ready := [name for name in graph if name not in done and graph[name] <= done]:
        done.update(ready)
    assert sorted(graph.keys() - done) == []


def imported(name: str, path: Path, modules: KeysView[str]) -> set[str]:
    """Modules of the package that a file imports, itself left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for dotted in names:
            while dotted and dotted not in modules:
                dotted = dotted.rpartition(".")[0]
            found.add(dotted)
    return found - {"", name}


# sizes ---------------------------------------------------------------------------------------------------------------
def test_few_files_lie_directly_in_the_package():
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= MOST_FILES


@pytest.mark.parametrize("folder", by_folder())
def test_files_functions_and_signatures_are_short(folder: str):
    found = []
    for name, path in files_of(folder).items():
        text = path.read_text()
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            found.append(f"{name}: {lines} lines")
        for function in functions(ast.parse(text)):
            if (lines := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION:
                found.append(f"{name}: {function.name} has {lines} lines")
            if (count := len(parameters(function))) > MOST_PARAMETERS:
                found.append(f"{name}: {function.name} has {count} parameters")
    assert not found


# docstrings ----------------------------------------------------------------------------------------------------------
@cache
def shared_names() -> dict[str, set[str]]:
    """Per file the names that files of other folders import from it."""
    shared: dict[str, set[str]] = {}
    for name, path in FILES.items():
        own = name.split("/")[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gamsearch."):
                target = "/".join((node.module or "").split(".")[1:])
                if target.split("/")[0] != own and f"{target}.py" in FILES:
                    shared.setdefault(f"{target}.py", set()).update(alias.name for alias in node.names)
    return shared


def undocumented(definition: Definition) -> Iterator[str]:
    """What the docstring of a shared function or class lacks: a section, or the name of a parameter in it."""
    text = ast.get_docstring(definition) or ""
    if not text:
        yield f"{definition.name} has no docstring"
    elif isinstance(definition, ast.ClassDef):
        for member in definition.body:
            if isinstance(member, Function) and not member.name.startswith("_"):
                yield from (f"{definition.name}.{problem}" for problem in undocumented_function(member))
    else:
        yield from undocumented_function(definition)


def undocumented_function(function: Function) -> Iterator[str]:
    text = ast.get_docstring(function) or ""
    decorators = {ast.unparse(d) for d in function.decorator_list}
    if decorators & {"property", "cached_property"} or any("overload" in d for d in decorators):
        return
    names = parameters(function)
    if names and "Args:" not in text:
        yield f"{function.name} lacks Args"
    missing = [name for name in names if f"{name}:" not in text and f"{name} (" not in text]
    if "Args:" in text and missing:
        yield f"{function.name} does not describe {', '.join(missing)}"
    returns = ast.unparse(function.returns) if function.returns else "None"
    if returns not in ("None", "NoReturn") and not any(word in text for word in ("Returns:", "Yields:")) and names:
        yield f"{function.name} lacks Returns"


@pytest.mark.parametrize("folder", by_folder())
def test_what_other_folders_import_documents_its_arguments(folder: str):
    found = []
    for name, path in files_of(folder).items():
        shared = shared_names().get(name, set())
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, Definition) and node.name in shared:
                found += [f"{name}: {problem}" for problem in undocumented(node)]
    assert not found


# public names --------------------------------------------------------------------------------------------------------
def test_the_public_names_are_there_and_are_imported_only_when_used():
    code = (
        "import sys, gamsearch\n"
        "assert 'torch' not in sys.modules\n"
        "assert set(gamsearch.PUBLIC) | {'errors'} == set(gamsearch.__all__) <= set(dir(gamsearch))\n"
        "for name in gamsearch.__all__: assert getattr(gamsearch, name) is not None, name\n"
        "try: gamsearch.Gam\n"
        "except AttributeError: print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "done", done.stderr
