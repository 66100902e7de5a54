"""Metrics that a space asks for by their plug-in, in processes of their own: elsewhere they must not be registered."""

import subprocess
import sys

from support.paths import ROOT

CHAIN = """
import torch
from gamsearch.models.deployment_metrics import _Alive
x, weight = torch.zeros(1000), torch.zeros(1000, 2)
with torch.no_grad(), _Alive([x, weight]) as alive:
    weight.t(), x[:10]
    a = x + 1
    b = (a * 2).relu_()[:500]
    del a
    c = b + 1
    assert alive.most == 8000, alive.most  # a and b at once; c comes when a is gone
    del b, c
    d = x + x, x - x, x * x
assert alive.most == 12000, alive.most
"""
CONTRACT = """
import gamsearch.models.deployment_metrics
import gamsearch.models.runtime_metrics as working
from gamsearch.testing import checks
working.SECONDS, working.STARTS = 0.1, 1
for name in ("size_mb", "activations_mb", "throughput_ratio", "peak_memory_mb"):
    for check in checks("metric", name):
        check()
"""


def passes(*command, cwd) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=cwd, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_activations_are_counted_from_when_they_exist_until_the_last_reference_is_gone(tmp_path):
    passes("-c", CHAIN, cwd=ROOT)


def test_all_of_them_fulfil_their_contract(tmp_path):
    passes("-c", CONTRACT, cwd=ROOT)


SAME = """
import gamsearch as gs
from gamsearch.models.candidate import build_candidate
from gamsearch.models.deployment_metrics import activations_mb
from gamsearch.training.baseline import start_model
def activations(name, *placements):
    detector = gs.Detector.load(name)
    baseline = start_model(detector, None, {0: "a"}, seed=0).eval()
    return activations_mb(build_candidate(detector, gs.Architecture.of(name, placements), baseline, 640))
# the first rows need most; the map of row 8 is small, so GAM there needs no more, whatever its weights
assert activations("yolov8n") == activations("yolov8n", gs.Placement(8, "GAM", (("rate", 1),)))
assert activations("yolov8s") == 2 * activations("yolov8n")
"""


def test_activations_grow_with_the_widest_maps_and_not_with_weights(tmp_path):
    passes("-c", SAME, cwd=ROOT)


WORKING = """
import torch
import gamsearch as gs
import gamsearch.models.runtime_metrics as working
from gamsearch.models.candidate import build_candidate
from gamsearch.training.baseline import start_model
detector = gs.Detector.load("yolov8n")
baseline = start_model(detector, None, {0: "a"}, seed=0).eval()
def measured(*placements):
    candidate = build_candidate(detector, gs.Architecture.of("yolov8n", placements), baseline, 64)
    return working.throughput_ratio(candidate), working.peak_memory_mb(candidate)
working.SECONDS, working.STARTS = 1.0, 1
same, memory = measured()
slower, more = measured(*(gs.Placement(site, "GAM", (("rate", 1),)) for site in (4, 6, 8)))
assert 0.85 < same < 1.15 and slower < 0.9 * same, (same, slower)
assert 20 < memory < more - 5, (memory, more)  # MB: the runtime's own and the weights; the three modules have 12 MB
"""


def test_throughput_is_that_of_the_baseline_or_less_and_memory_grows_with_the_weights(tmp_path):
    passes("-c", WORKING, cwd=ROOT)


def test_a_space_asks_for_them_by_their_plug_in(tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(
        "plugins: gamsearch.models.deployment_metrics\ndetector: yolov8n\nattention: {SE: }\n"
        "limits: {size_mb: +5%}\nobjectives: [map50_95, activations_mb]\n"
    )
    shown = passes("-m", "gamsearch", "show", str(space), cwd=ROOT)
    assert "objectives: map50_95, activations_mb" in shown and "limit: size_mb +5%" in shown
    assert "size_mb" not in passes("-m", "gamsearch", "list", "metrics", cwd=ROOT)
