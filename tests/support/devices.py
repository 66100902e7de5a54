"""The device of the tests that train: `GAMSEARCH_TEST_DEVICE`, e.g. `cuda:0`, or the CPU."""

import os

import torch

DEVICE = torch.device(os.environ.get("GAMSEARCH_TEST_DEVICE", "cpu"))
