"""The formats of `export`: what each needs on this machine, which is checked before anything is written."""

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from gamsearch.errors import OptionError, nearest

FP32, FP16, INT8 = PRECISIONS = ("fp32", "fp16", "int8")

USUAL = ("onnx", "torchscript")
"""Formats that an export has unless others are named; ONNX and TorchScript need no further package."""


@dataclass(frozen=True)
class Format:
    """A format that Ultralytics exports.

    Attributes:
        name: Ultralytics' name, and that of `--formats`.
        ending: How the name of the file or folder ends.
        packages: What `pip install` installs, by the module that the exporter imports.
        lacking: Returns what this machine lacks for writing it; empty for nothing.
        elsewhere: Where it runs, if it cannot be compared where it is written.
        precisions: The precisions that `export` writes it in.
        precision: That of this one.
    """

    name: str
    ending: str
    packages: Mapping[str, str] = field(default_factory=dict)
    lacking: Callable[[], str] = lambda: ""
    elsewhere: str = ""
    precisions: tuple[str, ...] = (FP32,)
    precision: str = FP32

    @property
    def suffix(self) -> str:
        """What follows the stem in the name of the file or folder, e.g. `_int8.onnx`."""
        return self.ending if self.precision == FP32 else f"_{self.precision}{self.ending}"

    @property
    def title(self) -> str:
        """E.g. `onnx` and `onnx int8`."""
        return self.name if self.precision == FP32 else f"{self.name} {self.precision}"


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
        Format("onnx", ".onnx", precisions=(FP32, INT8)),
        Format("torchscript", ".torchscript"),
        Format("openvino", "_openvino_model", {"openvino": "'gamsearch[openvino]'"}, precisions=PRECISIONS),
        Format("ncnn", "_ncnn_model", dict.fromkeys(("ncnn", "pnnx"), "'gamsearch[ncnn]'"), precisions=(FP32, FP16)),
        Format("engine", ".engine", {"tensorrt": "tensorrt"}, _no_gpu, precisions=PRECISIONS),
        Format("coreml", ".mlpackage", {"coremltools": "'coremltools>=9.0'"}, _windows, "on Apple devices"),
        Format("litert", ".tflite", {"litert_torch": "litert-torch", "ai_edge_litert": "ai-edge-litert"}, _not_x86),
        Format("executorch", "_executorch_model", {"executorch": "executorch"}, _windows),
    )
}


def formats_named(names: str | Sequence[str], precisions: str | Sequence[str] = (FP32,)) -> list[Format]:
    """Look up formats and check that this machine can write them.

    Args:
        names: Their names, also several in one text with commas; repeated ones count once.
        precisions: The precisions that each is written in, given alike.

    Returns:
        The formats in the order of their names, each in the precisions in their order.

    Raises:
        OptionError: There is no such format or precision, the format is not written in it, or a package or the
            platform that it needs is missing.
    """
    found, wanted = [], _listed(precisions)
    for name in _listed(names):
        if name not in FORMATS:
            raise OptionError(_unknown(name))
        chosen = FORMATS[name]
        if lacking := chosen.lacking():
            raise OptionError(f"--formats {name} needs {lacking}; run `export` there, or leave {name} out")
        if missing := [package for module, package in chosen.packages.items() if find_spec(module) is None]:
            command = " ".join(["pip install", *dict.fromkeys(missing)])
            raise OptionError(f"--formats {name} needs a package that is not installed: {command}, or leave {name} out")
        found += [_in_precision(chosen, precision) for precision in wanted]
    return found


def _listed(names: str | Sequence[str]) -> list[str]:
    """Names without repetitions, from texts with commas."""
    texts = [names] if isinstance(names, str) else names
    return [*dict.fromkeys(name.strip() for text in texts for name in text.split(","))]


def _in_precision(form: Format, precision: str) -> Format:
    """A format in another precision; raise if there is none or its package is missing."""
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise OptionError(f"there is no precision '{precision}'{nearest(precision, PRECISIONS)}; there are {known}")
    if precision not in form.precisions:
        others = ", ".join(one.name for one in FORMATS.values() if precision in one.precisions)
        raise OptionError(
            f"{form.name} is written in {' and '.join(form.precisions)}, not in {precision}, which {others} are: "
            f"call it for {form.name} alone with another --precision, or leave one of them out"
        )
    if (form.name, precision) == ("openvino", INT8) and find_spec("nncf") is None:
        raise OptionError(
            "--precision int8 of openvino needs a package that is not installed: pip install 'gamsearch[openvino-int8]'"
            ", or leave it out"
        )
    return replace(form, precision=precision)


def _unknown(name: str) -> str:
    """What to say of a format that `export` does not write."""
    from ultralytics.engine.exporter import export_formats

    offered = ", ".join(FORMATS)
    if name in export_formats()["Argument"] and name != "-":
        own = f"yolo export model=best.pt format={name}"
        return f"export does not write {name}: take {offered}, or write it from the exported .pt with `{own}`"
    return f"there is no format '{name}'{nearest(name, FORMATS)}; --formats takes {offered}"
