"""Exported attention modules: one file runs where gamsearch is not installed, beside others and under safe loading."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from support.hidden import run_hidden

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.attention.standalone import standalone_source
from gamsearch.errors import SpaceError
from gamsearch.parser.build import build

DEEP = """
from torch import nn


class Factor(nn.Linear):
    pass
"""

LAYERS = """
from torch import nn

from plugged.deep import Factor


class Scale(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.factor = nn.Parameter(nn.init.ones_(nn.Linear(1, channels).weight))
        self.unused = Factor(1, 1)
"""

PLUGGED = """
from __future__ import annotations

import gamsearch as gs
from torch import nn

from .layers import Scale


class Setting:
    value = 1.0


@gs.register.attention(paper="none")
class Plugged(nn.Module):
    def __init__(self, channels: int = 0):
        super().__init__()
        self.scale, self.setting = Scale(channels), Setting()

    def forward(self, x):
        return self.setting.value * x * self.scale.factor[:, :, None]

    def identity_(self):
        nn.init.ones_(self.scale.factor)
"""


@pytest.fixture(scope="module")
def plugged(tmp_path_factory) -> Iterator[str]:
    """A plug-in in a package of its own, which imports from a neighbour and has a helper class."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "plugged").mkdir()
    for name, source in (("__init__", ""), ("deep", DEEP), ("layers", LAYERS), ("attention", PLUGGED)):
        (folder / "plugged" / f"{name}.py").write_text(source)
    sys.path.insert(0, str(folder))
    try:
        import plugged.attention  # type: ignore[import-not-found]  # noqa: F401

        yield "Plugged"
    finally:
        sys.path.remove(str(folder))
        CATALOGUE._entries.pop("Plugged", None)
        for name in [name for name in sys.modules if name.split(".")[0] == "plugged"]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def exports(plugged: str, tmp_path_factory) -> Path:
    """Files that share a module, one of another version, and a detector with every module as YAML and checkpoint."""
    folder = tmp_path_factory.mktemp("exports")
    names = [*CATALOGUE]
    files = {"first": ["GAM", "SE"], "second": [name for name in names if name != "GAM"], "every": names}
    for file, held in files.items():
        (folder / f"{file}.py").write_text(standalone_source(held), encoding="utf-8")
    changed = standalone_source(["SE"]).replace("class SE(", "class Other:\n    pass\n\n\nclass SE(")
    (folder / "changed.py").write_text(changed, encoding="utf-8")
    rows = [[-1, 1, CATALOGUE[name].row_name, ["c2"]] for name in names]
    convs = [[-1, 1, "Conv", [32, 3, 2]] for _ in range(3)]
    form = {"nc": 1, "backbone": [*convs, *rows], "head": [[[1, 2, -1], 1, "Detect", ["nc"]]]}
    (folder / "all.yaml").write_text(yaml.safe_dump(form))
    torch.save({"model": build(form, nc=1).half(), "train_args": {}, "epoch": -1}, folder / "all.pt")
    return folder


ORDERS = """
import os, torch
ORDERS = (["first", "second"], ["second", "first"], ["ultralytics", "second", "first"], ["first", "first", "every"])
for order in ORDERS:
    child = os.fork()
    if not child:
        found = {}
        for name in order:
            found[name] = __import__(name)
        from ultralytics import YOLO
        from ultralytics.nn import tasks
        built, loaded = YOLO("all.yaml").model, YOLO("all.pt").model
        assert [type(m) for m in built.model] == [type(m) for m in loaded.model]
        for name, file in found.items():
            held = getattr(file, "SE", tasks.SE)
            assert held is tasks.SE and held.__module__ == "gamsearch.attention.zoo.se", (order, held)
        assert not getattr(sys.modules["gamsearch"], "__file__", None)
        print("works", *order, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


REFUSED = """
def refusal(name):
    try:
        __import__(name)
    except ImportError as error:
        return str(error)
from ultralytics.nn import tasks
import torch
tasks.GAM = torch.nn.Identity
print(refusal("first"))
assert tasks.GAM is torch.nn.Identity and not hasattr(tasks, "SE")
del tasks.GAM
import second
kept = tasks.SE
print(refusal("changed"))
assert tasks.SE is kept
try:
    sys.modules["gamsearch"].run
except AttributeError as error:
    print(error)
print(len(second.SE(16).state_dict()))
try:
    second.SE(16, 17)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def printed(exports: Path) -> list[str]:
    """What both scripts print; one interpreter, since torch is slow to import."""
    return run_hidden(exports, ORDERS + REFUSED, ULTRALYTICS_SAFE_LOAD="1").splitlines()


def test_files_of_several_modules_work_in_every_import_order_without_gamsearch_and_under_safe_loading(printed):
    assert [line for line in printed if line.startswith("works")] == [
        "works first second",
        "works second first",
        "works ultralytics second first",
        "works first first every",
    ]


def test_another_class_of_the_same_name_is_never_replaced_and_one_sentence_says_so(printed):
    taken, changed, absent, parameters, row = printed[-5:]
    assert "another class named GAM (torch" in taken and "first.py does not replace" in taken
    assert "changed.py and" in changed and "hold different versions of gamsearch.attention.zoo.se: import" in changed
    assert "no gamsearch.run here" in absent and parameters == "2" and row.startswith("SE: ")


def test_a_file_holds_each_source_once_and_names_its_modules():
    source = standalone_source(["CBAM", "SE"])
    assert source.count("class Attention(") == source.count("class SE(") == source.count("def check_row(") == 1
    assert "class GAM(" not in source and "import wrapt" not in source
    assert "SE: Squeeze-and-Excitation (arXiv 1709.01507), channel" in source
    compile(source, "modules.py", "exec")


def test_an_unknown_module_has_no_standalone_file():
    with pytest.raises(SpaceError, match="no attention module 'GAMM'"):
        standalone_source(["GAMM"])


def test_a_class_that_no_file_defines_cannot_be_exported():
    cls = type("Typed", (torch.nn.Module,), {"__module__": "__main__"})
    spec = AttentionSpec("Typed", "", "", "__main__:Typed", {}, lambda *_: None, cls=cls)
    with CATALOGUE.temporarily("Typed", spec), pytest.raises(SpaceError, match="define them in a file"):
        standalone_source(["Typed"])


def test_safe_loading_here_accepts_every_class_of_a_module_and_its_neighbours(exports):
    unknown = torch.serialization.get_unsafe_globals_in_checkpoint(str(exports / "all.pt"))
    assert not [name for name in unknown if name.startswith(("gamsearch.", "plugged."))]
