"""The device of the tests that train: the CPU, or what `GAMSEARCH_TEST_DEVICE` says, e.g. `cuda:0`."""

import os

import torch

DEVICE = torch.device(os.environ.get("GAMSEARCH_TEST_DEVICE", "cpu"))
