"""The formats of `export`: what each needs on this machine, which is checked before anything is written."""

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from gamsearch.errors import OptionError, nearest

USUAL = ("onnx", "torchscript")
"""Formats that an export has unless others are named; ONNX and TorchScript need no further package."""


@dataclass(frozen=True)
class Format:
    """A format that Ultralytics exports.

    Attributes:
        name: Ultralytics' name, and that of `--formats`.
        suffix: What follows the stem in the name of the file or folder.
        packages: What `pip install` installs, by the module that the exporter imports.
        lacking: Returns what this machine lacks for writing it; empty for nothing.
        elsewhere: Where it runs, if it cannot be compared where it is written.
    """

    name: str
    suffix: str
    packages: Mapping[str, str] = field(default_factory=dict)
    lacking: Callable[[], str] = lambda: ""
    elsewhere: str = ""


def _no_gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "an NVIDIA GPU, as TensorRT builds an engine on the card that runs it"


def _not_x86() -> str:
    supported = sys.platform == "darwin" or (sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64"))
    return "" if supported else "Linux on x86 or macOS"


def _windows() -> str:
    return "Linux or macOS" if sys.platform == "win32" else ""


FORMATS = {
    one.name: one
    for one in (
        Format("onnx", ".onnx"),
        Format("torchscript", ".torchscript"),
        Format("openvino", "_openvino_model", {"openvino": "'gamsearch[openvino]'"}),
        Format("ncnn", "_ncnn_model", {"ncnn": "'gamsearch[ncnn]'", "pnnx": "'gamsearch[ncnn]'"}),
        Format("engine", ".engine", {"tensorrt": "tensorrt"}, _no_gpu),
        Format("coreml", ".mlpackage", {"coremltools": "'coremltools>=9.0'"}, _windows, "on Apple devices"),
        Format("litert", ".tflite", {"litert_torch": "litert-torch", "ai_edge_litert": "ai-edge-litert"}, _not_x86),
        Format("executorch", "_executorch_model", {"executorch": "executorch"}, _windows),
    )
}


def formats_named(names: str | Sequence[str]) -> list[Format]:
    """Look up formats and check that this machine can write them.

    Args:
        names: Their names, also several in one text with commas; repeated ones count once.

    Returns:
        The formats in the order of their names.

    Raises:
        OptionError: There is no such format, or a package or the platform that it needs is missing.
    """
    found, texts = [], [names] if isinstance(names, str) else names
    for name in dict.fromkeys(name.strip() for text in texts for name in text.split(",")):
        if name not in FORMATS:
            raise OptionError(_unknown(name))
        chosen = FORMATS[name]
        if lacking := chosen.lacking():
            raise OptionError(f"--formats {name} needs {lacking}; run `export` there, or leave {name} out")
        if missing := [package for module, package in chosen.packages.items() if find_spec(module) is None]:
            command = " ".join(["pip install", *dict.fromkeys(missing)])
            raise OptionError(f"--formats {name} needs a package that is not installed: {command}, or leave {name} out")
        found.append(chosen)
    return found


def _unknown(name: str) -> str:
    """What to say of a format that `export` does not write."""
    from ultralytics.engine.exporter import export_formats

    offered = ", ".join(FORMATS)
    if name in export_formats()["Argument"] and name != "-":
        own = f"yolo export model=best.pt format={name}"
        return f"export does not write {name}: take {offered}, or write it from the exported .pt with `{own}`"
    return f"there is no format '{name}'{nearest(name, FORMATS)}; --formats takes {offered}"
