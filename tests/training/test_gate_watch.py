"""What is seen of a module's gate: nothing at the identity, else where and by which factors it changes its map."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.baselines import YOLOV8N, architecture, gam, used_baseline
from torch import Tensor, nn

from gamsearch.architecture import Placement
from gamsearch.models.candidate import build_candidate
from gamsearch.training.gate_watch import GateWatch, effect
from gamsearch.training.predictions import predictions

MAP = torch.randn(8, 6, 10, generator=torch.Generator().manual_seed(0))


class Scaled(nn.Module):
    """A gate in place, as a module of a user may have it."""

    def __init__(self, gate: Tensor):
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(self.gate)


def test_a_gate_that_is_changed_at_known_positions_shows_exactly_these():
    gate = torch.ones(6, 10)
    gate[1:3, 4:7] = 1.5
    found = effect(MAP, MAP * gate)
    assert found.change == pytest.approx(gate.numpy() - 1)
    assert found.shares[2] == pytest.approx(1) and found.shares[1] < 0.5
    squared = (MAP**2).sum(0)
    assert found.distance == pytest.approx(0.5 * float(squared[1:3, 4:7].sum() / squared.sum()) ** 0.5)


def test_gates_by_channel_and_by_one_factor_are_told_apart_from_gates_by_position():
    channels = torch.tensor([0.5, 1.5] * 4)[:, None, None]
    by_channel, by_one = effect(MAP, MAP * channels), effect(MAP, 0.8 * MAP)
    assert by_channel.shares[1] == pytest.approx(1) and by_channel.shares[2] < 0.5
    assert by_one.shares == pytest.approx((1, 1, 1)) and by_one.factor == pytest.approx(0.8)
    assert by_one.change == pytest.approx(np.full((6, 10), 0.2), rel=1e-4)


def test_a_position_at_which_the_map_is_empty_does_not_dominate():
    x = MAP.clone()
    x[:, 0, 0] = 0
    y = x.clone()
    y[0, 0, 0] = 1e-3
    assert effect(x, y).change.max() < 0.05
    assert effect(torch.zeros_like(x), torch.zeros_like(x)).distance == 0


def test_the_padding_around_an_image_is_left_out_and_a_module_may_work_in_place():
    gate = torch.full((8, 16), 3.0)  # the map of a padded image, of which the image has rows 2 to 5
    gate[2:6] = 1.0
    gate[2:4, 0:4] = 1.5
    row = Scaled(gate)
    watch = GateWatch({4: row})
    with watch.watching():
        row(torch.ones(1, 3, 8, 16))  # a pass before the first batch
        shapes = {"ori_shape": [(64, 256)], "ratio_pad": [((0.5, 0.5), (0, 16))]}
        watch.expect({"img": torch.zeros(1, 3, 64, 128), **shapes})
        row(torch.ones(1, 3, 8, 16))
    (found,) = watch.effects[4]
    assert found.change == pytest.approx(gate[2:6].numpy() - 1)
    row(torch.ones(1, 3, 8, 16))
    assert len(watch.effects[4]) == 1


def test_a_validation_sees_no_change_by_modules_at_the_identity_and_one_where_it_is_made(tiny_data: Path, tmp_path):
    placed = architecture(gam(4), Placement(9, "SE", (("rate", 4),)), Placement(15, "CBAM", (), "inner"))
    candidate = build_candidate(YOLOV8N, placed, used_baseline(), imgsz=64)
    rows = {placement.site: module for placement, module in candidate.attention.items()}
    watch = GateWatch(rows)
    candidate.model.eval()
    images = predictions(candidate.model, tiny_data, 64, 4, torch.device("cpu"), tmp_path, watch)
    assert {site: len(effects) for site, effects in watch.effects.items()} == {4: 6, 9: 6, 15: 6}
    assert all(one.distance == 0 and not one.change.any() for site in rows for one in watch.effects[site])
    assert all(image["shape"] == (64, 64) for image in images)
    watch = GateWatch(rows)
    rows[9].register_forward_hook(lambda row, args, y: y * 1.1)
    predictions(candidate.model, tiny_data, 64, 4, torch.device("cpu"), tmp_path, watch)
    assert [round(watch.effects[site][0].distance, 4) for site in rows] == [0, 0.1, 0]
