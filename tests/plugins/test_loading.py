"""Plug-ins: found by entry points of installed packages or named by a space file; never run from a run's folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from gamsearch.errors import SpaceError
from gamsearch.plugins.loading import import_plugins

GATE = '''
"""A gate per channel."""

import torch
from torch import nn

import gamsearch


@gamsearch.register.attention(paper="none")
class ScaleGate(nn.Module):
    """A learnt factor per channel."""

    def __init__(self, channels: int = 0):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.scale.to(x.dtype)

    def identity_(self):
        nn.init.ones_(self.scale)


@gamsearch.register.metric("modules", unit="modules", direction="minimize", stage="built")
def modules(candidate):
    """Attention modules in the architecture."""
    return float(len(candidate.architecture.placements))
'''


def python(code: str, *paths: Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *paths)))}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, cwd=cwd
    )


def installed(folder: Path, module: str, source: str) -> Path:
    """A folder as `pip install` leaves it: a module, and the entry point that announces it."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[gamsearch.plugins]\n{module} = {module}\n")
    return folder


def test_an_installed_plugin_is_found_by_the_command_line(tmp_path):
    here = installed(tmp_path, "my_gates", GATE)
    code = "from gamsearch.cli.main import main; main(['list', 'attention']); main(['list', 'metrics'])"
    shown = python(code, here).stdout
    assert "ScaleGate" in shown and "A learnt factor per channel" in shown and "Attention modules in the" in shown


def test_a_plugin_is_found_when_its_name_is_first_used_and_not_before(tmp_path):
    here = installed(tmp_path, "my_gates", GATE)
    code = (
        "import sys, gamsearch\n"
        "from gamsearch.attention.catalogue import spec_named\n"
        "assert 'my_gates' not in sys.modules\n"
        "assert spec_named('ScaleGate').code == 'my_gates:ScaleGate'\n"
    )
    done = python(code, here)
    assert done.returncode == 0, done.stderr


def test_a_plugin_that_cannot_be_imported_is_one_sentence_with_its_package(tmp_path):
    here = installed(tmp_path, "my_gates", "import nothing_of_the_kind\n")
    code = "import sys; from gamsearch.cli.main import main; sys.exit(main(['list', 'attention']))"
    done = python(code, here)
    assert done.returncode == 2 and "the plug-in 'my_gates' of my_gates cannot be imported" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_ultralytics_knows_a_module_that_is_registered_after_it_was_imported(tmp_path):
    (tmp_path / "my_gates.py").write_text(GATE)
    code = (
        "import gamsearch\n"
        "from ultralytics.nn import tasks\n"
        "assert not hasattr(tasks, 'ScaleGate') and hasattr(tasks, 'GAM')\n"
        "import my_gates\n"
        "assert tasks.ScaleGate is my_gates.ScaleGate\n"
    )
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_module_of_a_plugin_is_grafted_as_the_identity_whatever_its_constructor_does(tmp_path):
    (tmp_path / "my_gates.py").write_text(GATE.replace("torch.ones(channels", "torch.zeros(channels"))
    code = (
        "import my_gates, torch\n"
        "from gamsearch.architecture import Architecture, Placement\n"
        "from gamsearch.parser.build import build\n"
        "from gamsearch.models.candidate import build_candidate\n"
        "from gamsearch.space.detector import Detector\n"
        "yolo = Detector.load('yolov8n')\n"
        "gate = Architecture.of('yolov8n', [Placement(4, 'ScaleGate')])\n"
        "candidate = build_candidate(yolo, gate, build(yolo.yaml, nc=3), 64)\n"
        "assert torch.equal(candidate.model.model[5].scale, torch.ones(64, 1, 1))\n"
    )
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_module_of_a_plugin_fulfils_the_contract(tmp_path):
    (tmp_path / "my_gates.py").write_text(GATE)
    code = (
        "import my_gates\n"
        "from gamsearch.testing import checks\n"
        "for check in [*checks('attention', 'ScaleGate'), *checks('metric', 'modules')]: check()\n"
    )
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../evil", "must name importable modules"),
        ("evil/plugin", "must name importable modules"),
        ("", "must name importable modules"),
        (3, "must name importable modules"),
        ("no_module_of_that_name", "there is no module 'no_module_of_that_name'"),
    ],
)
def test_what_is_no_importable_module_is_refused(name, sentence):
    with pytest.raises(SpaceError, match=sentence):
        import_plugins([name])


def test_a_plugin_that_lies_in_a_folder_from_elsewhere_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "received_plugin.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SpaceError, match="from which no code is run"):
        import_plugins(["received_plugin"], not_below=tmp_path)
    assert not (tmp_path / "ran").exists() and "received_plugin" not in sys.modules


def test_a_plugin_that_needs_another_package_says_which(tmp_path, monkeypatch):
    (tmp_path / "needy_plugin.py").write_text("import something_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SpaceError, match="'needy_plugin' needs the module 'something_not_installed'"):
        import_plugins(["needy_plugin"])


def test_a_plugin_that_breaks_when_it_is_imported_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no\\nluck')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SpaceError, match="cannot be imported \\(RuntimeError: no luck\\)"):
        import_plugins(["broken_plugin"])
