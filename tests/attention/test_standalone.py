"""Attention modules as single files: what they contain, and that they run where gamsearch is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.standalone import single_file, standalone_source
from gamsearch.errors import SpaceError

BLOCKED = """
import sys
sys.path.insert(0, {folder!r})
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "gamsearch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
"""


def run_without_gamsearch(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", BLOCKED.format(folder=str(folder)) + code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"YOLO_CONFIG_DIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_single_file_imports_nothing_from_gamsearch(name):
    module = CATALOGUE[name].code.partition(":")[0]
    assert "from gamsearch" not in single_file(module) and "import gamsearch" not in single_file(module)


def test_constants_are_written_as_literals_and_each_file_is_included_once():
    source = single_file("gamsearch.attention.gam")
    assert source.count("MAX_RATE = 64\n") == 1
    assert source.count("def convolve(conv") == source.count("def read_row(") == source.count("class GAM(") == 1


def test_a_single_file_runs_without_gamsearch_in_every_form(tmp_path: Path):
    (tmp_path / "copied.py").write_text(single_file("gamsearch.attention.gam"))
    code = (
        "import torch, copied\n"
        "x = torch.randn(1, 16, 5, 5)\n"
        "assert torch.equal(copied.GAM(16)(x), x) and torch.equal(copied.GAM(16).eval().fuse()(x), x)\n"
        "copied.SPECTRAL_PIXELS = copied.SPECTRAL_PRODUCTS = 0\n"
        "module = copied.GAM(64, init='reference').eval().fuse()\n"
        "x = torch.randn(1, 64, 20, 20)\n"
        "plain = module(x)\n"
        "with torch.no_grad(): assert torch.allclose(module(x), plain, atol=1e-4)\n"
        "try: copied.GAM(64, 65)\n"
        "except copied.GAMError as error: print(error)\n"
    )
    assert "from 1 to 64, not 65" in run_without_gamsearch(tmp_path, code)


def test_importing_the_standalone_file_registers_the_module_with_ultralytics(tmp_path: Path):
    (tmp_path / "gam_standalone.py").write_text(standalone_source("GAM"))
    code = (
        "import gam_standalone\n"
        "from ultralytics.nn import tasks\n"
        "print(tasks.GAM.__module__, tasks.GAM is sys.modules['gamsearch.attention.gam'].GAM)\n"
    )
    assert run_without_gamsearch(tmp_path, code).splitlines()[-1] == "gamsearch.attention.gam True"


def test_an_unknown_module_has_no_standalone_file():
    with pytest.raises(SpaceError, match="no attention module 'GAMM'"):
        standalone_source("GAMM")
