"""Ultralytics checkpoints opened without running anything that is in them.

A `.pt` is a pickle, and unpickling calls whatever the file names. Here torch's restricted unpickler puts an inert
stand-in in the place of every class; the model YAML and the tensors are taken out of the stand-ins, and the detector is
built anew from that YAML by the installed Ultralytics. No object, hook or method of the file is ever used.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gamsearch.errors import ModelError, one_line
from gamsearch.models import register

DETECTORS = (f"{register.TASKS}.DetectionModel", f"{register.TASKS}.YOLOv10DetectionModel")
PICKLE = b"\x80"
"""First byte of the files that torch wrote before 1.6, which cannot be looked through."""

DEEPEST = 50
"""Levels of modules within modules; an Ultralytics detector has ten."""


MOST_PARTS = 100_000
"""Modules, or parts of the model YAML; the largest Ultralytics detector has some thousand."""


class StandIn:
    """Takes the place of an object; keeps what its class would have been given and does nothing with it."""

    origin = ""

    def __init__(self, *arguments: Any):
        self.arguments = arguments
        self.state: Any = {}

    def __new__(cls, *arguments: Any) -> "StandIn":
        made = super().__new__(cls)
        made.arguments, made.state = arguments, {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def get(self, name: str) -> Any:
        """The attribute that the object would have had, or None."""
        return self.state.get(name) if isinstance(self.state, dict) else None


def open_checkpoint(path: str | Path, trust: bool = False) -> nn.Module:
    """Return the float32 detector in eval mode that an Ultralytics `.pt` holds; nothing is downloaded or installed.

    With `trust` a file that cannot be looked through is unpickled, which runs whatever code it holds. `ModelError` if
    the file is missing, damaged, no detector, or would need trust.
    """
    file = Path(path)
    if file.suffix != ".pt" or not file.is_file():
        raise ModelError(f"the checkpoint must be an existing .pt file, but {file} is not: check the path")
    try:
        content = _content(file)
    except _NeedsTrustError as error:
        if trust:
            return register.load_checkpoint(file)
        raise ModelError(
            f"{file} can only be opened by running code that is in it ({error}): if you trust where it comes from, "
            "give --trust-checkpoint; otherwise train it again with a newer Ultralytics"
        ) from error
    return _rebuilt(file, _model_in(file, content))


class _NeedsTrustError(Exception):
    """The file cannot be looked through without running it; the text says why."""


def _content(file: Path) -> Any:
    """What the file holds, with stand-ins for all objects but tensors and plain values."""
    if not zipfile.is_zipfile(file):
        with file.open("rb") as opened:
            first = opened.read(1)
        if first == PICKLE:
            raise _NeedsTrustError("it was written before torch 1.6, or by another program")
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: it is damaged, or another kind of file")
    try:
        with _without_safe_globals():
            named = torch.serialization.get_unsafe_globals_in_checkpoint(file)
            kinds: list[Any] = [(type(_last(name), (StandIn,), {"origin": name}), name) for name in named]
            with torch.serialization.safe_globals(kinds):
                return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can raise anything
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise _NeedsTrustError(_reason(error)) from error
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The end of an error's text, in which torch says what the matter is."""
    text = one_line(str(error).split("WeightsUnpickler error:")[-1].split("Please file")[0])
    return text[:200] or type(error).__name__


@contextmanager
def _without_safe_globals() -> Iterator[None]:
    """Forget for a moment what others allowed: real classes could be called with arguments from the file."""
    known = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(known)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _model_in(file: Path, content: Any) -> StandIn:
    """The detector's stand-in among what a checkpoint holds: the averaged weights before the others."""
    entries = [content.get(name) for name in ("ema", "model")] if isinstance(content, dict) else []
    model = next((entry for entry in entries if entry is not None), None)
    if not isinstance(model, StandIn):
        raise ModelError(
            f"{file} cannot be read as an Ultralytics checkpoint: it must hold a dictionary with a 'model'"
        )
    if model.origin not in DETECTORS:
        raise ModelError(
            f"{file} must hold a YOLO detector, but holds a {_last(model.origin)}: use a detection checkpoint"
        )
    return model


def _rebuilt(file: Path, model: StandIn) -> nn.Module:
    """The detector that the stand-in's YAML describes, with its tensors and class names."""
    yaml, tensors = model.get("yaml"), dict(_tensors(file, model))
    if not _is_plain(yaml) or not isinstance(yaml, dict):
        raise ModelError(f"{file} holds no model YAML, so its layers cannot be counted; give an Ultralytics .pt")
    try:
        classes, channels = int(yaml["nc"]), int(yaml.get("channels", 3))
        built: Any = register.build(yaml, nc=classes, ch=channels)
        width = _class_width(built, tensors)
        if width:
            built.load(register.build(yaml, nc=width, ch=channels), verbose=False)
        built.load_state_dict(tensors)
    except ModelError as error:
        raise ModelError(f"{file} cannot be opened: {error}") from error
    except (KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"{file} cannot be opened: its weights do not fit its own model YAML ({_reason(error)}); "
            "give a checkpoint as Ultralytics writes them, neither fused nor pruned"
        ) from error
    built.names = _names(model.get("names"), classes)
    for parameter in built.parameters():
        parameter.requires_grad = False
    return built.float().eval()


def _class_width(built: Any, tensors: Mapping[str, torch.Tensor]) -> int:
    """The width of the class branch in `tensors` if it is not the one that was built, else 0.

    Ultralytics makes it as wide as the number of classes of the first training; loading from such a model widens it.
    """
    branch = getattr(built.model[-1], "cv3", None)
    if branch is None:
        return 0
    last = tensors.get(f"model.{len(built.model) - 1}.cv3.0.{len(branch[0]) - 1}.weight")
    if last is None or last.ndim != 4 or last.shape[1] == branch[0][-1].in_channels:
        return 0
    return int(last.shape[1])


def _tensors(
    file: Path, module: StandIn, prefix: str = "", depth: int = 0, seen: Iterator[int] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of all that `module.state_dict()` would give; `seen` counts the modules on the way."""
    seen = seen or count()
    if next(seen) > MOST_PARTS:  # a module that stands twice in each of fifty is there 2^50 times
        raise ModelError(f"{file} cannot be opened: it has more than {MOST_PARTS} modules")
    if depth > DEEPEST:
        raise ModelError(f"{file} cannot be opened: its modules are nested more than {DEEPEST} deep")
    temporary = module.get("_non_persistent_buffers_set")
    temporary = temporary if isinstance(temporary, set) else set()
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _mapping(module.get(kind)).items():
            if isinstance(tensor, torch.Tensor) and name not in temporary:
                yield f"{prefix}{name}", tensor
    for name, inner in _mapping(module.get("_modules")).items():
        if isinstance(inner, StandIn):
            yield from _tensors(file, inner, f"{prefix}{name}.", depth + 1, seen)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_plain(value: Any, depth: int = 0, seen: Iterator[int] | None = None) -> bool:
    """Whether the value consists of nothing but dictionaries, lists, texts, numbers and None, and of few enough."""
    seen = seen or count()
    if depth > DEEPEST or next(seen) > MOST_PARTS:
        return False
    if isinstance(value, dict):
        return all(_is_plain(part, depth + 1, seen) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part, depth + 1, seen) for part in value)
    return value is None or type(value) in (str, int, float, bool)


def _names(written: Any, classes: int) -> dict[int, str]:
    """The class names, or numbers where the file has none that fit."""
    fits = isinstance(written, dict) and sorted(map(str, written)) == sorted(map(str, range(classes)))
    return {int(k): str(v) for k, v in written.items()} if fits else {i: str(i) for i in range(classes)}
