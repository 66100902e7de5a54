"""A detector as the bytes of an ONNX file, which other runtimes and other machines run."""

import io
import warnings
from copy import deepcopy
from typing import Any

import torch
from ultralytics.nn.modules import C2f

from gamsearch.errors import CandidateFailed, one_line
from gamsearch.models import device as devices

OPSET = 17


def onnx_of(model: Any, imgsz: int, batch: int = 1) -> bytes:
    """Export a detector as it is deployed: fused, fp32, static shape, without NMS.

    Args:
        model: The detector; it is not changed.
        imgsz: Image size, px.
        batch: Number of images.

    Returns:
        The content of an ONNX file with one input, `images` (`batch x C x imgsz x imgsz`).

    Raises:
        CandidateFailed: It cannot be exported.
    """
    fused = exportable(model, "onnx")
    image, file = torch.zeros(batch, channels_of(model), imgsz, imgsz), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants
        options: dict[str, Any] = {"input_names": ["images"], "opset_version": OPSET, "dynamo": False}
        try:
            torch.onnx.export(fused, (image,), file, **options)  # type: ignore[arg-type]
        except Exception as error:  # a module can raise anything
            if devices.is_out_of_memory(error):
                raise
            said = one_line(error)[:200]
            raise CandidateFailed("latency", f"this network cannot be exported to ONNX: {said}") from error
    return file.getvalue()


def exportable(model: Any, form: str) -> Any:
    """A detector in the state in which Ultralytics exports it.

    Args:
        model: The detector; it is not changed.
        form: Ultralytics' name of the format.

    Returns:
        A fused copy in fp32 and eval mode on the CPU.
    """
    fused = deepcopy(model).float().cpu().eval().fuse(verbose=False).requires_grad_(False)
    fused.model[-1].export, fused.model[-1].format = True, form
    for module in fused.modules():
        if isinstance(module, C2f):  # as Ultralytics does: exporters follow a split better than a chunk
            module.forward = module.forward_split  # type: ignore[method-assign]
    return fused


def channels_of(model: Any) -> int:
    """Number of channels of a detector's images.

    Args:
        model: The detector.

    Returns:
        That of its YAML; 3 where it states none.
    """
    return int(getattr(model, "yaml", {}).get("channels", 3))
