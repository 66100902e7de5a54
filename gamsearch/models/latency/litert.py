"""Exported detectors in LiteRT, formerly TensorFlow Lite: converted by `litert-torch`, run by `ai-edge-litert`."""

import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.errors import CandidateFailed, one_line
from gamsearch.models.latency.runtimes import Run


def in_litert(model: Any, shape: tuple[int, ...]) -> Run:
    """Convert a module and run it in LiteRT on one thread of the CPU, in fp32.

    Args:
        model: The fused module in eval mode.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.

    Raises:
        CandidateFailed: It cannot be converted.
    """
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    image = torch.zeros(shape)
    model(image)  # the head's anchors become constants
    with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = str(Path(folder) / "model.tflite")
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # the steps of the converter
                litert_torch.convert(model, (image,)).export(file)
            network = Interpreter(model_content=Path(file).read_bytes(), num_threads=1)
            network.allocate_tensors()
        except Exception as error:  # the converter can raise anything
            raise CandidateFailed("latency", f"LiteRT cannot hold this network: {one_line(error)[:200]}") from error
    network.set_tensor(network.get_input_details()[0]["index"], np.random.default_rng(0).random(shape, np.float32))
    return network.invoke
