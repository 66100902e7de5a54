"""Exported detectors in the runtimes that deploy them on CPUs: ONNX Runtime, OpenVINO and NCNN, one thread each.

`in_...` take an exported detector and return a function that runs it once on a fixed image; all work in the thread that
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
from numpy.typing import NDArray

from gamsearch.errors import CandidateFailed, one_line

Run = Callable[[], object]


def in_onnxruntime(content: bytes, shape: tuple[int, ...]) -> Run:
    """Run an ONNX file in ONNX Runtime.

    Args:
        content: The file.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.

    Raises:
        CandidateFailed: ONNX Runtime cannot run it.
    """
    session, image = onnxruntime_session(content), _image(shape)
    return lambda: session.run(None, {"images": image})


def onnxruntime_session(source: bytes | str, profile: str = "") -> Any:
    """Open an ONNX file in ONNX Runtime on one thread of the CPU.

    Args:
        source: The file's content or path.
        profile: Beginning of the path of a file with the times of all operations; none is written if left out.

    Returns:
        The session.

    Raises:
        CandidateFailed: ONNX Runtime cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = 1, bool(profile)
    if profile:
        options.profile_file_prefix = profile
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own classes, which share no base
        raise CandidateFailed("latency", f"ONNX Runtime cannot run this network: {one_line(error)[:200]}") from error


def in_openvino(content: bytes, shape: tuple[int, ...]) -> Run:
    """Run an ONNX file in OpenVINO on the CPU, in fp32.

    Args:
        content: The file.
        shape: Shape of the image, `1 x C x H x W`.

    Returns:
        A function that runs it once.
    """
    request, image = openvino_network(content).create_infer_request(), _image(shape)
    return lambda: request.infer([image])


def openvino_network(source: bytes | str) -> Any:
    """Open a network in OpenVINO on one thread of the CPU, in fp32; its default on some CPUs is bf16.

    Args:
        source: The content of an ONNX file, or the path of a file that OpenVINO reads.

    Returns:
        The compiled network.
    """
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(source), "CPU", settings)


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
    from pnnx import EXEC_PATH

    image, zeros = _image(shape)[0], torch.zeros(shape)
    model(zeros)  # the head's anchors become constants
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
        network = ncnn_network(parameters, weights)
    if network is None:
        raise CandidateFailed("latency", "NCNN cannot load this network after its conversion")

    def run() -> object:
        return ncnn_outputs(network, image)

    if run() is None:
        raise CandidateFailed("latency", "NCNN cannot compute this network: a layer fails, as one of EMA does")
    return run


def ncnn_outputs(network: Any, image: NDArray[np.float32]) -> list[NDArray[np.float32]] | None:
    """Run a network once in NCNN.

    Args:
        network: The network.
        image: `C x H x W`.

    Returns:
        Its outputs in the order of their names; None if NCNN cannot compute one, which it says by a code alone.
    """
    import ncnn

    outputs = []
    with network.create_extractor() as one:
        one.input(network.input_names()[0], ncnn.Mat(image))
        for name in sorted(network.output_names()):
            code, found = one.extract(name)
            if code:
                return None
            outputs.append(np.array(found))
    return outputs


def ncnn_network(parameters: str, weights: str, half: bool = False) -> Any:
    """Open a network in NCNN on one thread of the CPU.

    Args:
        parameters: Path of the `.param` file.
        weights: Path of the `.bin` file.
        half: Whether to compute in fp16 where the CPU can, as NCNN does by default, and not in fp32.

    Returns:
        The network; None if NCNN cannot load it.
    """
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = 1
    network.opt.use_vulkan_compute = False
    network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = half
    return None if network.load_param(parameters) or network.load_model(weights) else network


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
