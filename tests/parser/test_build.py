"""Building detectors from model YAMLs: rows that work, rows that are rejected, and what a build leaves unchanged."""

import copy

import pytest
import torch
from support.gam_detectors import gams, rows, with_row
from torch import nn

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.registry import class_of
from gamsearch.errors import ModelError
from gamsearch.parser.build import build, width_by_name


def test_the_parser_resolves_c2_to_the_scaled_width():
    assert width_by_name() is True


def test_building_does_not_change_the_yaml_and_starts_as_the_identity():
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
def test_a_model_built_with_known_strides_equals_one_that_computes_them(name):
    """The last of the three has a second head, which also reads maps in the probing pass."""
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    yaml = yaml_model_load(name)
    torch.manual_seed(3)
    finds = build(yaml, nc=2)
    torch.manual_seed(3)
    given = build(yaml, nc=2, strides=finds.stride.tolist())
    assert torch.equal(given.stride, finds.stride)
    assert torch.equal(given.model[-1].stride, finds.stride)
    assert given.training
    assert all(a.training == b.training for a, b in zip(given.modules(), finds.modules(), strict=True))
    found = finds.state_dict()
    assert all(torch.equal(tensor, found[key]) for key, tensor in given.state_dict().items())
    assert "forward" not in vars(DetectionModel)
    twice = [2 * stride for stride in finds.stride.tolist()]
    assert build(yaml, nc=2, strides=twice).stride.tolist() == twice  # no probing pass corrects them


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


ROW_NAMES = [name for spec in CATALOGUE.values() for name in (spec.row_name, *spec.aliases)]


@pytest.mark.parametrize("name", ROW_NAMES)
def test_every_name_of_a_module_builds_its_short_row_and_refuses_copied_ones_in_one_sentence(name):
    spec = next(spec for spec in CATALOGUE.values() if name in (spec.row_name, *spec.aliases))
    assert type(build(with_row([-1, 1, name, ["c2"]]), nc=2).model[2]) is class_of(spec)
    for row in ([], [512], [512, 512], [512, 512, 16], ["c2", *[7] * 9]):
        with pytest.raises(ModelError) as error:
            build(with_row([-1, 1, name, row]), nc=2)
        assert "\n" not in str(error.value)


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
def test_rows_that_cannot_be_built_are_rejected_in_one_sentence(row, sentence):
    with pytest.raises(ModelError, match=sentence) as error:
        build(with_row(row), nc=2)
    assert "\n" not in str(error.value)
