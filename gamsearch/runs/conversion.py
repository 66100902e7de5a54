"""Convert an exported checkpoint with Ultralytics' exporters, and open what they write in its own runtime.

Nothing is downloaded or installed, and nothing is written outside the checkpoint's folder: some exporters write into
the working directory and delete files there, so they run inside that folder.
"""

import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gamsearch.errors import ModelError, one_line
from gamsearch.models.gains import fold_gains
from gamsearch.models.latency.runtimes import (
    ncnn_network,
    ncnn_outputs,
    onnxruntime_session,
    openvino_network,
    unconverted,
)
from gamsearch.parser.build import Model
from gamsearch.runs.export_formats import FORMATS, FP16, FP32, Format
from gamsearch.runs.quantisation import WRITERS, Decoding
from gamsearch.training.read_only import read_only_data

Run = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def convert(
    checkpoint: Path, form: Format, imgsz: int, images: Sequence[NDArray[np.float32]] = (), data: str = ""
) -> tuple[Path, str]:
    """Write a checkpoint in another format, beside it.

    Args:
        checkpoint: The `.pt`, alone in a folder that may be written to.
        form: The format.
        imgsz: Image size in px.
        images: Training images, `1 x 3 x imgsz x imgsz`, for the ranges of int8.
        data: The data YAML, from which TensorRT takes these ranges.

    Returns:
        The file or folder, and a sentence on the constant factors of gates, empty where there are none.

    Raises:
        ModelError: The format cannot hold the model.
    """
    from ultralytics import YOLO

    settings: dict[str, Any] = {"format": form.name, "imgsz": imgsz, "device": 0 if form.name == "engine" else "cpu"}
    if form.name == "onnx":
        settings |= {"dynamic": form.precision == FP32, "simplify": False}
    own = WRITERS.get((form.name, form.precision))
    if own is None and form.precision != FP32:
        settings |= _precision(form.precision, data)
    with tempfile.TemporaryDirectory(dir=checkpoint.parent) as made:  # some exporters write an ONNX file on their way
        copied = Path(shutil.copy(checkpoint, made))
        with _without_installing(), _inside(copied.parent), _silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks of the tracers
            try:
                yolo = YOLO(str(copied))
                factors, decoding = _deploy(yolo.model), Decoding.of(yolo.model)
                with read_only_data():  # for which TensorRT reads the training images
                    path = Path(yolo.export(**settings))
                if own:
                    own(path, images, decoding)
            except Exception as error:  # an exporter can raise anything
                raise _refusal(checkpoint, form, _lacking(copied) or one_line(error)[:300]) from error
        if lacking := _lacking(copied):
            raise _refusal(checkpoint, form, lacking)
        return Path(shutil.move(path, checkpoint.parent / f"{checkpoint.stem}{form.suffix}")), factors


def _precision(precision: str, data: str) -> dict[str, Any]:
    """Ultralytics' arguments for a precision, which have other names in its first releases."""
    from ultralytics.cfg import DEFAULT_CFG_DICT

    known = "quantize" in DEFAULT_CFG_DICT
    if precision == FP16:
        return {"quantize": 16} if known else {"half": True}
    return {**({"quantize": 8} if known else {"int8": True}), "data": data}


def _refusal(checkpoint: Path, form: Format, reason: str) -> ModelError:
    fix = f"leave {form.title} out, or export a trial with other modules"
    return ModelError(f"{checkpoint.name} cannot be written as {form.title} ({reason}): {fix}")


def _deploy(model: Model) -> str:
    """Fuse a model and fold the constant factors of its gates, in place; say what became of the factors."""
    folded, kept = fold_gains(model.eval().fuse(verbose=False))
    parts = [f"the constant factor of {', '.join(folded)} is in the next layers"] if folded else []
    return "".join(f"; {part}" for part in (*parts, *kept))


def _lacking(checkpoint: Path) -> str:
    """What NCNN, which would crash on it, has no layer for in a model that PNNX wrote; empty for nothing."""
    written = checkpoint.parent / f"{checkpoint.stem}{FORMATS['ncnn'].suffix}" / "model.ncnn.param"
    if not written.is_file():
        return ""
    lacking = unconverted(written.read_text(encoding="utf-8", errors="replace"))
    return f"NCNN has no layer for {', '.join(lacking)}" if lacking else ""


@contextmanager
def _without_installing() -> Iterator[None]:
    """Stop Ultralytics from installing packages, also where it was imported before gamsearch."""
    from ultralytics.utils import checks

    before, checks.AUTOINSTALL = checks.AUTOINSTALL, False
    try:
        yield
    finally:
        checks.AUTOINSTALL = before


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _silent() -> Iterator[None]:
    """Print nothing, also from libraries in C++ and child processes."""
    from ultralytics.utils import LOGGER

    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept, level = [os.dup(1), os.dup(2)], LOGGER.level
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        LOGGER.setLevel(logging.CRITICAL)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with redirect_stdout(StringIO()):
            yield
    finally:
        for number, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)
        LOGGER.setLevel(level)


def opened(path: Path, form: Format) -> Run:
    """Open a converted model in its own runtime, on one thread of the CPU where the runtime lets one choose.

    What the file holds in fp32 is computed in fp32.

    Args:
        path: The file or folder.
        form: Its format.

    Returns:
        A function that takes an image, `1 x C x H x W`, and returns the predictions.
    """
    with _without_installing(), _silent():
        if form.name == "ncnn":
            return _ncnn(path, form.precision == FP16)
        return OPENERS.get(form.name, _by_ultralytics)(path)


def _onnx(path: Path) -> Run:
    session = onnxruntime_session(str(path))
    name = session.get_inputs()[0].name
    return lambda image: [torch.from_numpy(one) for one in session.run(None, {name: image.numpy()})]


def _torchscript(path: Path) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but the only format that needs torch alone
        traced: Any = torch.jit.load(str(path))
    return lambda image: traced(image)


def _openvino(path: Path) -> Run:
    network = openvino_network(str(next(path.glob("*.xml"))))
    return lambda image: [torch.from_numpy(one) for one in network(image.numpy()).values()]


def _ncnn(path: Path, half: bool) -> Run:
    network = ncnn_network(str(path / "model.ncnn.param"), str(path / "model.ncnn.bin"), half)

    def run(image: torch.Tensor) -> Sequence[torch.Tensor]:
        found = None if network is None else ncnn_outputs(network, image[0].numpy())
        if found is None:
            reason = "a layer fails, as one of EMA does"
            raise ModelError(f"{path.name} cannot be computed by NCNN ({reason}): leave ncnn out of --formats")
        return [torch.from_numpy(one)[None] for one in found]

    return run


def _by_ultralytics(path: Path) -> Run:
    from ultralytics.nn.autobackend import AutoBackend

    device = torch.device("cuda", 0) if path.suffix == ".engine" else torch.device("cpu")
    backend = AutoBackend(str(path), device=device, verbose=False)

    def run(image: torch.Tensor) -> Sequence[torch.Tensor]:
        found = backend(image.to(device))
        return [one.cpu() for one in (found if isinstance(found, (list, tuple)) else [found])]

    return run


OPENERS: dict[str, Callable[[Path], Run]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "openvino": _openvino,
}
"""How each format is opened; Ultralytics opens the others."""
