"""The clock that latency is read from."""

import time

import torch

from gamsearch.models.latency.clock import Clock

CPU = torch.device("cpu")


def test_time_in_which_another_process_holds_the_core_is_not_counted():
    clock = Clock(CPU)
    before = clock.stamp()
    time.sleep(0.05)
    assert clock.between([before, clock.stamp()])[0] < 10
    wall = Clock(CPU, threads=2)
    before = wall.stamp()
    time.sleep(0.05)
    assert wall.name == "wall" and wall.between([before, wall.stamp()])[0] >= 50
