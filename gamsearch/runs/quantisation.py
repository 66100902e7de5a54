"""Quantise what Ultralytics exported, in place: ONNX by ONNX Runtime, OpenVINO by NNCF, from training images.

Weights get a scale per output channel, activations one per tensor (ONNX: unsigned, which is the fast form on CPUs). The
decoding at the end of the head stays in fp32: in int8 one scale would span coordinates of hundreds of pixels and scores
below 1, and the mAP is 0. The convolutions of the head are quantised in ONNX.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gamsearch.errors import ModelError
from gamsearch.parser.build import is_rtdetr

Images = Sequence[NDArray[np.float32]]

QUANTISED = re.compile(r"(one2one_)?cv\d|proto|conv|linear")
"""Parts of a head that hold convolutions; what is not in one decodes."""


@dataclass(frozen=True)
class Decoding:
    """Where a model decodes.

    Attributes:
        row: Number of its last row, the head.
        transformer: Whether that is RT-DETR's decoder, none of which is quantised.
    """

    row: int
    transformer: bool

    @classmethod
    def of(cls, model: Any) -> "Decoding":
        """Find where a model decodes.

        Args:
            model: The model.

        Returns:
            Its last row.
        """
        return cls(len(model.model) - 1, is_rtdetr(model.yaml))

    def holds(self, node: str) -> bool:
        """Whether an ONNX node, e.g. `/model.22/dfl/conv/Conv`, belongs to the decoding."""
        parts = node.split("/")
        if len(parts) < 3 or parts[1] != f"model.{self.row}":
            return False
        return self.transformer or QUANTISED.match(parts[2]) is None


def onnx_int8(path: Path, images: Images, decoding: Decoding) -> None:
    """Quantise an ONNX file of fixed shape; Q and DQ nodes stand around what is computed in int8."""
    from onnx import load
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image}

    simpler = path.with_suffix(".simpler.onnx")
    quant_pre_process(str(path), str(simpler))
    kept = [node.name for node in load(simpler).graph.node if decoding.holds(node.name)]
    if not kept:
        raise ModelError("the nodes that decode were not found; write it in fp32")
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    options = {"quant_format": QuantFormat.QDQ, "per_channel": True, "nodes_to_exclude": kept, **types}
    quantize_static(str(simpler), str(path), Reader(), **options)
    simpler.unlink()


def openvino_int8(path: Path, images: Images, decoding: Decoding) -> None:
    """Quantise an OpenVINO model. The head stays in fp32, as Ultralytics leaves it."""
    import nncf
    import openvino

    def quantised(network: Any) -> Any:
        scope = f"__module.model.{decoding.row}/"
        kept = [op.get_friendly_name() for op in network.get_ordered_ops() if scope[:-1] in op.get_friendly_name()]
        kept = [name for name in kept if name.startswith((scope, f"{scope[:-1]}."))]
        return nncf.quantize(
            network,
            nncf.Dataset(images),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            model_type=nncf.ModelType.TRANSFORMER if decoding.transformer else None,
            ignored_scope=nncf.IgnoredScope(names=kept, validate=False),
        )

    _rewritten(path, quantised, openvino, False)


def openvino_fp16(path: Path, images: Images, decoding: Decoding) -> None:
    """Write the weights of an OpenVINO model in fp16; a CPU computes with them in fp32."""
    import openvino

    _rewritten(path, lambda network: network, openvino, True)


def _rewritten(path: Path, change: Callable[[Any], Any], openvino: Any, half: bool) -> None:
    """Replace the network in an OpenVINO folder."""
    file = next(path.glob("*.xml"))
    changed = change(openvino.Core().read_model(file))
    new = file.with_name("new.xml")
    openvino.save_model(changed, new, compress_to_fp16=half)
    for suffix in (".xml", ".bin"):
        os.replace(new.with_suffix(suffix), file.with_suffix(suffix))


WRITERS: dict[tuple[str, str], Callable[[Path, Images, Decoding], None]] = {
    ("onnx", "int8"): onnx_int8,
    ("openvino", "int8"): openvino_int8,
    ("openvino", "fp16"): openvino_fp16,
}
"""What is made of Ultralytics' file in fp32, by format and precision; other precisions Ultralytics writes itself."""
