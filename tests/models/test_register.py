"""Publishing to Ultralytics: importing gamsearch is enough, and a stock installation can use our files."""

import copy
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
import yaml as pyyaml
from conftest import LOWEST
from torch import nn

import gamsearch
from gamsearch.attention.gam import GAM
from gamsearch.errors import ModelError
from gamsearch.models.build import build, width_by_name
from gamsearch.models.checkpoint import load_checkpoint
from gamsearch.models.register import register

PROJECT = Path(gamsearch.__file__).parents[1]

ROWS = {
    "nc": 2,
    "scales": {"n": [0.33, 0.25, 1024]},
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "GAM", ["c2", 8]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "GAM", ["c2", 4, 4, True, "zeros"]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
    ],
    "head": [[[4, 5, 6], 1, "Detect", ["nc"]]],
}


def rows(**changes: object) -> dict:
    return copy.deepcopy({**ROWS, "scale": "n", **changes})


def with_row(row: list) -> dict:
    """The small detector with its first attention row replaced."""
    yaml = rows()
    yaml["backbone"][2] = row
    return yaml


def gams(model: nn.Module) -> list[GAM]:
    return [m for m in model.modules() if isinstance(m, GAM)]


def run_python(code: str, folder: Path, path: tuple[Path, ...] = (PROJECT,), **environment: str) -> str:
    """Run code in a fresh interpreter in `folder` and return what it printed; its error is ours."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "YOLO_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def save_yaml(folder: Path, yaml: dict) -> Path:
    file = folder / "best.yaml"
    file.write_text(pyyaml.safe_dump({key: value for key, value in yaml.items() if key != "scale"}))
    return file


def save_checkpoint(folder: Path, name: str = "ours.pt") -> Path:
    torch.manual_seed(0)
    model = build(rows(), nc=2)
    file = folder / name
    torch.save({"model": model.half(), "train_args": {}, "epoch": -1}, file)
    return file


# --- importing ------------------------------------------------------------------------------------------------------


def test_importing_gamsearch_loads_neither_torch_nor_ultralytics(tmp_path):
    code = """
        import sys, gamsearch.models.build, gamsearch.models.register
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
    ids=["ours first", "ultralytics first", "published twice"],
)
def test_importing_gamsearch_is_enough_for_a_yaml_with_gam_rows(tmp_path, imports):
    save_yaml(tmp_path, ROWS)
    found = "[m.channels for m in YOLO('best.yaml').model.modules() if type(m).__name__ == 'GAM']"
    code = f"{imports}\nprint({found})"
    assert run_python(code, tmp_path).strip().splitlines()[-1] == "[16, 32]"


def test_a_checkpoint_opens_where_nobody_imported_gamsearch(tmp_path):
    save_checkpoint(tmp_path)
    code = """
        from ultralytics import YOLO
        model = YOLO("ours.pt")
        model.fuse()
        print([m.fused for m in model.model.modules() if type(m).__name__ == "GAM"])
    """
    assert run_python(code, tmp_path).strip().splitlines()[-1] == "[True, True]"


def test_a_checkpoint_opens_under_safe_loading(tmp_path):
    save_checkpoint(tmp_path)
    code = "import gamsearch\nfrom ultralytics import YOLO\nprint(len(list(YOLO('ours.pt').model.model)))"
    assert run_python(code, tmp_path, ULTRALYTICS_SAFE_LOAD="1").strip().splitlines()[-1] == "8"


TRAIN = """
    import sys
    sys.argv = ["yolo", "detect", "train", "model=ours.pt", {data!r}, "epochs=1", "imgsz=32", "batch=4", "device=cpu",
                "workers=0", "plots=False", "project={folder}/runs", "name=one", "optimizer=SGD"]
    from ultralytics.cfg import entrypoint
    entrypoint()
    from ultralytics import YOLO
    trained = YOLO("{folder}/runs/one/weights/best.pt")
    found = [m for m in trained.model.modules() if type(m).__name__ == "GAM"]
    print([m.channels for m in found], any(float(m.linear2.weight.abs().max()) > 0 for m in found))
"""


def small_data(folder: Path) -> Path:
    """Four pictures of noise with one box each."""
    from PIL import Image

    for kind in ("images", "labels"):
        (folder / "set" / kind).mkdir(parents=True)
    for i in range(4):
        pixels = (torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(i)) * 255).byte().numpy()
        Image.fromarray(pixels).save(folder / "set" / "images" / f"{i}.png")
        (folder / "set" / "labels" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.6\n")
    file = folder / "data.yaml"
    file.write_text(f"path: {folder / 'set'}\ntrain: images\nval: images\nnames: [a, b]\n")
    return file


def train_with_the_stock_command(folder: Path, path: tuple[Path, ...]) -> str:
    """Train our checkpoint with the `yolo` command's own entry point; nothing in the process imports gamsearch."""
    data = f"data={small_data(folder)}"
    return run_python(TRAIN.format(data=data, folder=folder), folder, path).strip().splitlines()[-1]


def test_a_checkpoint_trains_in_the_stock_yolo_command(tmp_path):
    save_checkpoint(tmp_path)
    (tmp_path / "Arial.ttf").touch()
    assert train_with_the_stock_command(tmp_path, (PROJECT,)) == "[16, 32] True"


# --- the functions --------------------------------------------------------------------------------------------------


def test_the_parser_fills_in_the_scaled_width():
    assert width_by_name() is True


def test_building_leaves_the_yaml_alone_and_starts_as_the_identity():
    yaml = rows()
    before = copy.deepcopy(yaml)
    model = build(yaml, nc=5)
    model.yaml["backbone"][0][3][0] = 32
    assert yaml == before
    assert model.model[-1].nc == 5
    assert [(m.channels, m.rate, m.groups) for m in gams(model)] == [(16, 8, 1), (32, 4, 4)]
    plain = rows()
    for row in (2, 4):
        plain["backbone"][row] = [-1, 1, "nn.Identity", []]
    stock = build(plain, nc=5)
    stock.load_state_dict(model.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model.eval()(x)[0], stock.eval()(x)[0])


def test_building_for_one_input_channel():
    assert build(rows(), nc=1, ch=1).model[0].conv.in_channels == 1


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11n.yaml", "yolo26n.yaml"])
def test_a_model_built_with_known_strides_is_the_one_that_finds_them(name):
    """The last of the three has a second head, which the parser asks for its maps."""
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    yaml = yaml_model_load(name)
    torch.manual_seed(3)
    finds = build(yaml, nc=2)
    torch.manual_seed(3)
    told = build(yaml, nc=2, strides=finds.stride.tolist())
    assert torch.equal(told.stride, finds.stride)
    assert torch.equal(told.model[-1].stride, finds.stride)
    assert told.training
    assert all(a.training == b.training for a, b in zip(told.modules(), finds.modules(), strict=True))
    found = finds.state_dict()
    assert all(torch.equal(tensor, found[key]) for key, tensor in told.state_dict().items())
    assert "forward" not in vars(DetectionModel)
    twice = [2 * stride for stride in finds.stride.tolist()]
    assert build(yaml, nc=2, strides=twice).stride.tolist() == twice  # no image has told it better


@pytest.mark.parametrize("fails", [False, True])
def test_the_default_activation_is_restored_after_a_build(fails):
    from ultralytics.nn.modules import Conv

    before = Conv.default_act
    yaml = rows(activation="torch.nn.ReLU()")
    if fails:
        yaml["backbone"][2] = [-1, 1, "GAM", [512, 512]]
        with pytest.raises(ModelError):
            build(yaml, nc=2)
    else:
        assert isinstance(build(yaml, nc=2).model[0].act, nn.ReLU)
    assert Conv.default_act is before


@pytest.mark.parametrize("name", ["GAM", "GAM_Attention", "GAMAttention"])
@pytest.mark.parametrize(("arguments", "rate"), [(["c2"], 4), ([16], 4), (["c2", 8], 8)])
def test_community_names_and_short_rows_build(name, arguments, rate):
    module = gams(build(with_row([-1, 1, name, arguments]), nc=2))[0]
    assert (module.channels, module.rate) == (16, rate)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([-1, 1, "GAM", []], "write \\[c2\\]"),
        ([-1, 1, "GAM_Attention", [512, 512]], "different modules in different repositories"),
        ([-1, 1, "GAM_Attention", [512, 512, 4]], "says 512 channels .* has 16 .* write c2"),
        ([-1, 1, "GAM", [64]], "says 64 channels .* has 16 .* write c2"),
        ([-1, 1, "GAMM", [64]], "'GAMM'"),
        ([-1, 1, "Conv", ["wide", 3]], "cannot be built"),
    ],
)
def test_rows_that_cannot_be_built_are_refused_in_one_sentence(row, sentence):
    with pytest.raises(ModelError, match=sentence) as error:
        build(with_row(row), nc=2)
    assert "\n" not in str(error.value)


def test_fusing_the_detector_fuses_our_modules_and_keeps_its_output():
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


def test_publishing_again_changes_nothing():
    from ultralytics.nn import tasks

    before = tasks.BaseModel.fuse
    register(tasks)
    register(tasks)
    assert tasks.BaseModel.fuse is before
    assert tasks.GAM is tasks.GAM_Attention is tasks.GAMAttention is GAM


def test_a_checkpoint_comes_back_in_full_precision(tmp_path):
    model = load_checkpoint(save_checkpoint(tmp_path))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    assert len(gams(model)) == 2


def test_a_checkpoint_whose_name_ultralytics_would_fetch_elsewhere_is_read_as_it_is(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, "yolov5n.pt")
    monkeypatch.chdir(tmp_path)
    assert len(gams(load_checkpoint("yolov5n.pt"))) == 2


@pytest.mark.parametrize("content", [b"", b"this is no checkpoint", b"PK\x03\x04 half an archive"])
def test_a_corrupt_checkpoint_is_refused_in_one_sentence(tmp_path, content):
    file = tmp_path / "corrupt.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="corrupt.pt cannot be read as an Ultralytics checkpoint") as error:
        load_checkpoint(file)
    assert "\n" not in str(error.value)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    file = save_checkpoint(tmp_path)
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(file)


@pytest.mark.parametrize("name", ["missing.pt", "folder.pt", "weights.onnx"])
def test_a_missing_checkpoint_is_refused(tmp_path, name):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "weights.onnx").touch()
    with pytest.raises(ModelError, match=f"existing .pt file, but .*{name} is not"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [{"weights": torch.zeros(2)}, {"model": nn.Linear(2, 2)}, [1, 2]])
def test_a_file_that_holds_no_detector_is_refused(tmp_path, content):
    file = tmp_path / "other.pt"
    torch.save(content, file)
    with pytest.raises(ModelError, match="other.pt"):
        load_checkpoint(file)


def test_a_segmentation_checkpoint_is_refused(tmp_path):
    from ultralytics.nn.tasks import SegmentationModel

    file = tmp_path / "segment.pt"
    torch.save({"model": SegmentationModel("yolov8n-seg.yaml", verbose=False)}, file)
    with pytest.raises(ModelError, match="holds a SegmentationModel: use a detection"):
        load_checkpoint(file)


def test_a_checkpoint_that_needs_a_missing_package_is_refused_and_installs_nothing(tmp_path):
    (tmp_path / "exotic.py").write_text("import torch\nclass Net(torch.nn.Module):\n    pass\n")
    run_python("import torch, exotic\ntorch.save({'model': exotic.Net()}, 'exotic.pt')", tmp_path)
    with pytest.raises(ModelError, match="needs the Python package 'exotic', which is not installed"):
        load_checkpoint(tmp_path / "exotic.pt")


# --- the supported range --------------------------------------------------------------------------------------------


def test_the_lower_end_is_the_one_that_the_project_states():
    assert f'"ultralytics>={LOWEST},<8.5"' in (PROJECT / "pyproject.toml").read_text()


CORE = """
    import copy, gamsearch, torch, ultralytics
    from gamsearch.models.build import build, width_by_name
    from gamsearch.models.checkpoint import load_checkpoint
    from gamsearch.models.register import register
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
    torch.save({{"model": model.half(), "train_args": {{}}, "epoch": -1}}, "ours.pt")
    assert len(list(load_checkpoint("ours.pt").model)) == 8
    for row in ([], [512, 512], [512]):
        rows["backbone"][2] = [-1, 1, "GAM_Attention", row]
        try:
            build(rows, nc=2)
        except gamsearch.errors.ModelError as error:
            print(error)
        else:
            raise SystemExit("a row was misread")
"""


def test_publishing_works_at_the_lower_end_of_the_supported_range(lowest, tmp_path):
    path = (lowest, PROJECT)
    printed = run_python(CORE.format(version=LOWEST, rows=rows()), tmp_path, path)
    assert "write c2 instead" in printed
    (tmp_path / "Arial.ttf").touch()
    assert train_with_the_stock_command(tmp_path, path) == "[16, 32] True"
