"""A copied model equals a deep copy."""

import copy
from collections import defaultdict

import pytest
import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.models.candidate import build_candidate
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model
from gamsearch.training.copies import copied

YOLOV8N = Detector.load("yolov8n")


def test_a_copied_model_equals_a_deep_copy_and_shares_nothing_with_the_original():
    gam4 = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
    model = build_candidate(YOLOV8N, gam4, start_model(YOLOV8N, None, {0: "a"}, seed=0), 64).model
    model.counts = defaultdict(list)  # an empty dictionary that only a real copy gives back
    quick, deep = copied(model), copy.deepcopy(model)
    assert [type(m) for m in quick.modules()] == [type(m) for m in deep.modules()]
    for module, same in zip(quick.modules(), deep.modules(), strict=True):
        assert vars(module).keys() == vars(same).keys()
    state, expected = quick.state_dict(), deep.state_dict()
    assert state.keys() == expected.keys() and all(torch.equal(state[name], expected[name]) for name in state)
    owned = [
        {id(v) for m in each.modules() for v in vars(m).values() if isinstance(v, dict)} for each in (model, quick)
    ]
    assert not owned[0] & owned[1] and len(owned[0]) == len(owned[1])
    assert not {t.data_ptr() for t in state.values()} & {t.data_ptr() for t in model.state_dict().values()}
    assert quick.counts["a"] == []
    quick.model[0].register_forward_hook(lambda *_: pytest.fail("a hook of the copy"))
    model(torch.zeros(1, 3, 64, 64))
