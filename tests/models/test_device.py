"""The device that the text of `--device` means, and what is rejected."""

import pytest
import torch

from gamsearch.errors import OptionError
from gamsearch.models import device as devices

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


def test_an_empty_text_is_the_best_available_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.select("") == devices.select("cpu") == CPU


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("0,1", "takes one device"), ("gpu", "is unknown"), ("0", "is not available"), ("cuda:1", "is not available")],
)
def test_a_device_that_cannot_be_used_is_rejected_with_what_to_do(monkeypatch, text, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match=f"--device.*{sentence}.*(cpu|0)"):
        devices.select(text)


def test_an_index_beyond_the_last_device_is_rejected(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(OptionError, match=r"sees 1 CUDA device\(s\)"):
        devices.select("1")


def test_latency_is_measured_in_half_precision_on_cuda_only():
    assert (devices.precision(CPU), devices.precision(CUDA)) == ("fp32", "fp16")


def test_ultralytics_takes_the_index_of_a_cuda_device_and_the_type_of_any_other():
    assert (devices.ultralytics_name(CPU), devices.ultralytics_name(CUDA)) == ("cpu", "1")


def test_a_second_cpu_is_refused():
    with pytest.raises(OptionError, match="there is one cpu device"):
        devices.select("cpu:99")
