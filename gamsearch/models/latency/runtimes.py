"""Exported detectors in the runtimes that deploy them on CPUs: ONNX Runtime, OpenVINO and NCNN, one thread each.

Each function takes an exported detector and returns one that runs it once on a fixed image; all work in the thread that
calls it, so its CPU time is the latency. The packages are imported only here.
"""

import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gamsearch.errors import CandidateFailed, one_line

Run = Callable[[], object]


def in_onnxruntime(content: bytes, shape: tuple[int, ...]) -> Run:
    """Run an ONNX file in ONNX Runtime.

    Args:
        content: The file.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.
    """
    import onnxruntime

    options, image = onnxruntime.SessionOptions(), _image(shape)
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": image})


def in_openvino(content: bytes, shape: tuple[int, ...]) -> Run:
    """Run an ONNX file in OpenVINO on the CPU, in fp32.

    Args:
        content: The file.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.
    """
    import openvino

    core, image = openvino.Core(), _image(shape)
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(content), "CPU", settings).create_infer_request()
    return lambda: request.infer([image])


def in_ncnn(model: Any, shape: tuple[int, ...]) -> Run:
    """Convert a module with PNNX and run it in NCNN, in fp32.

    Args:
        model: The fused module in eval mode.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.

    Raises:
        CandidateFailed: It cannot be converted.
    """
    import ncnn
    from pnnx import EXEC_PATH

    network, image, zeros = ncnn.Net(), _image(shape)[0], torch.zeros(shape)
    model(zeros)  # the head's anchors become constants
    network.opt.num_threads = 1
    network.opt.use_vulkan_compute = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    with tempfile.TemporaryDirectory(prefix="gamsearch-") as folder:
        traced, parameters, weights = (str(Path(folder) / name) for name in ("model.pt", "model.param", "model.bin"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tracing is deprecated; PNNX reads nothing else
            torch.jit.trace(model, zeros, check_trace=False).save(traced)
        inputs = f"inputshape=[{','.join(map(str, shape))}]"
        words = [EXEC_PATH, traced, inputs, f"ncnnparam={parameters}", f"ncnnbin={weights}", "fp16=0"]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", cwd=folder)
        if not Path(parameters).exists():
            raise CandidateFailed("latency", f"PNNX cannot convert this network: {one_line(done.stderr)[-200:]}")
        if lacking := unconverted(Path(parameters).read_text(encoding="utf-8", errors="replace")):
            raise CandidateFailed("latency", f"NCNN has no layer for {', '.join(lacking)}")
        if network.load_param(parameters) or network.load_model(weights):
            raise CandidateFailed("latency", "NCNN cannot load this network after its conversion")
    last = network.output_names()[-1]

    def run() -> object:
        with network.create_extractor() as one:
            one.input(network.input_names()[0], ncnn.Mat(image))
            return one.extract(last)

    return run


def unconverted(parameters: str) -> list[str]:
    """Find what NCNN cannot run in a model that PNNX wrote.

    Args:
        parameters: The text of its `.param` file.

    Returns:
        The operations that PNNX passed on as they were.
    """
    kinds = {line.split()[0] for line in parameters.splitlines()[2:] if line.strip()}
    return sorted(kind for kind in kinds if "::" in kind or "." in kind)


def _image(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(0).random(shape, dtype=np.float32)
