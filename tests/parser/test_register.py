"""Registration with Ultralytics: importing gamsearch is enough, and a stock installation can use our files."""

import copy
from pathlib import Path

import pytest
import torch
from conftest import LOWEST
from support.gam_detectors import ROWS, gams, rows, run_python, save_checkpoint, save_yaml, small_data
from support.paths import ROOT
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.gam import GAM
from gamsearch.errors import ModelError
from gamsearch.models.candidate import build_candidate
from gamsearch.parser.build import build
from gamsearch.parser.register import register
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model


def test_importing_gamsearch_loads_neither_torch_nor_ultralytics(tmp_path):
    code = """
        import sys, gamsearch.parser.build, gamsearch.parser.register
        print([m for m in ("torch", "ultralytics") if m in sys.modules])
    """
    assert run_python(code, tmp_path).strip() == "[]"


@pytest.mark.parametrize(
    "imports",
    [
        "import gamsearch\nfrom ultralytics import YOLO",
        "from ultralytics import YOLO\nimport gamsearch",
        "import ultralytics.nn.tasks, gamsearch, importlib\nimportlib.reload(gamsearch)\nfrom ultralytics import YOLO",
    ],
    ids=["gamsearch first", "ultralytics first", "registered twice"],
)
def test_importing_gamsearch_is_enough_for_a_yaml_with_gam_rows(tmp_path, imports):
    save_yaml(tmp_path, ROWS)
    found = "[m.channels for m in YOLO('best.yaml').model.modules() if type(m).__name__ == 'GAM']"
    code = f"{imports}\nprint({found})"
    assert run_python(code, tmp_path).strip().splitlines()[-1] == "[16, 32]"


def test_a_checkpoint_opens_without_an_import_of_gamsearch(tmp_path):
    save_checkpoint(tmp_path)
    code = """
        from ultralytics import YOLO
        model = YOLO("gam.pt")
        model.fuse()
        print([m.fused for m in model.model.modules() if type(m).__name__ == "GAM"])
    """
    assert run_python(code, tmp_path).strip().splitlines()[-1] == "[True, True]"


def test_a_checkpoint_opens_under_safe_loading(tmp_path):
    save_checkpoint(tmp_path)
    code = "import gamsearch\nfrom ultralytics import YOLO\nprint(len(list(YOLO('gam.pt').model.model)))"
    assert run_python(code, tmp_path, ULTRALYTICS_SAFE_LOAD="1").strip().splitlines()[-1] == "8"


TRAIN = """
    import sys
    sys.argv = ["yolo", "detect", "train", "model=gam.pt", {data!r}, "epochs=1", "imgsz=32", "batch=4", "device=cpu",
                "workers=0", "plots=False", "project={folder}/runs", "name=one", "optimizer=SGD"]
    from ultralytics.cfg import entrypoint
    entrypoint()
    from ultralytics import YOLO
    trained = YOLO("{folder}/runs/one/weights/best.pt")
    found = [m for m in trained.model.modules() if type(m).__name__ == "GAM"]
    print([m.channels for m in found], any(float(m.linear2.weight.abs().max()) > 0 for m in found))
"""


def train_with_the_stock_command(folder: Path, path: tuple[Path, ...]) -> str:
    """Train a GAM checkpoint with the `yolo` command's own entry point; nothing in the process imports gamsearch."""
    data = f"data={small_data(folder)}"
    return run_python(TRAIN.format(data=data, folder=folder), folder, path).strip().splitlines()[-1]


def test_a_checkpoint_trains_in_the_stock_yolo_command(tmp_path):
    save_checkpoint(tmp_path)
    (tmp_path / "Arial.ttf").touch()
    assert train_with_the_stock_command(tmp_path, (ROOT,)) == "[16, 32] True"


def test_fusing_the_detector_fuses_its_attention_and_keeps_its_output():
    torch.manual_seed(0)
    model = build(rows(), nc=2)
    for module in gams(model):
        module.reference_()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    model.eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)[0]
        fused = copy.deepcopy(model).fuse(verbose=False)
        for _ in range(2):
            fused = fused.fuse(verbose=False)
            assert all(m.fused for m in gams(fused))
            assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
            assert torch.allclose(fused(x)[0], expected, rtol=1e-4, atol=1e-4)
    assert not any(m.fused for m in gams(model))


def test_registering_again_changes_nothing():
    from ultralytics.nn import tasks

    before = tasks.BaseModel.fuse
    register(tasks)
    register(tasks)
    assert tasks.BaseModel.fuse is before
    assert tasks.GAM is tasks.GAM_Attention is tasks.GAMAttention is GAM


def test_a_class_of_somebody_else_keeps_its_name_and_placing_ours_says_so(monkeypatch):
    from ultralytics.nn import tasks

    monkeypatch.setattr(tasks, "SE", nn.Identity)
    monkeypatch.setattr(tasks, "CoordAttention", nn.Identity)
    register(tasks)
    assert tasks.SE is tasks.CoordAttention is nn.Identity
    detector = Detector.load("yolov8n")
    architecture = Architecture.of(detector.name, [Placement(4, "SE", {"rate": 16})])
    with pytest.raises(
        ModelError, match=r"another class named SE \(torch.*gamsearch does not replace, .*: rename that class"
    ):
        build_candidate(detector, architecture, start_model(detector, None, {0: "object"}, seed=0), imgsz=64)


def test_no_module_has_the_name_of_a_layer_of_ultralytics():
    from ultralytics.nn import modules

    names = [name for spec in CATALOGUE.values() for name in (spec.row_name, *spec.aliases)]
    assert not [name for name in names if hasattr(modules, name)] and len(set(names)) == len(names)


def test_the_lowest_supported_version_is_the_one_in_the_project_file():
    assert f'"ultralytics>={LOWEST},<8.5"' in (ROOT / "pyproject.toml").read_text()


CORE = """
    import copy, gamsearch, torch, ultralytics
    from gamsearch.parser.build import build, width_by_name
    from gamsearch.models.checkpoint import load_checkpoint
    from gamsearch.parser.register import register
    assert ultralytics.__version__ == {version!r}, ultralytics.__version__
    rows = {rows!r}
    assert width_by_name()
    model = build(rows, nc=2)
    modules = [m for m in model.modules() if type(m).__name__ == "GAM"]
    assert [m.channels for m in modules] == [16, 32]
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.eval()(x)[0]
        fused = copy.deepcopy(model).fuse(verbose=False).fuse(verbose=False)
        assert not any("BatchNorm" in type(m).__name__ for m in fused.modules())
        assert torch.allclose(fused(x)[0], expected, rtol=1e-4, atol=1e-4)
    torch.save({{"model": model.half(), "train_args": {{}}, "epoch": -1}}, "gam.pt")
    assert len(list(load_checkpoint("gam.pt").model)) == 8
    for row in ([], [512, 512], [512]):
        rows["backbone"][2] = [-1, 1, "GAM_Attention", row]
        try:
            build(rows, nc=2)
        except gamsearch.errors.ModelError as error:
            print(error)
        else:
            raise SystemExit("a row was misread")
"""


def test_registration_works_with_the_lowest_supported_version(lowest, tmp_path):
    path = (lowest, ROOT)
    printed = run_python(CORE.format(version=LOWEST, rows=rows()), tmp_path, path)
    assert "write c2 instead" in printed
    (tmp_path / "Arial.ttf").touch()
    assert train_with_the_stock_command(tmp_path, path) == "[16, 32] True"
