"""Read a PyTorch file without running any code in it.

Unpickling calls whatever a file names. Here torch's restricted unpickler substitutes an inert `StandIn` for every
class; tensors and plain values come through as they are.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import torch

from gamsearch.errors import ModelError, one_line

PICKLE = b"\x80"
"""First byte of the files that torch wrote before 1.6, which cannot be inspected."""

MAX_DEPTH = 50
"""Levels of modules within modules; an Ultralytics detector has ten."""

MAX_PARTS = 100_000
"""Modules, or parts of the model YAML; the largest Ultralytics detector has some thousand."""


class NeedsTrustError(Exception):
    """The file cannot be inspected without running it; the text says why."""


class StandIn:
    """Takes the place of an unpickled object: stores what its class would have received and does nothing with it.

    Attributes:
        origin: Dotted name of the class that the file asks for.
        arguments: Arguments of the constructor call.
        state: The pickled state, usually the object's `__dict__`.
    """

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

    @property
    def class_name(self) -> str:
        """Name of the class that the file asks for, without its module."""
        return last_part(self.origin)

    def get(self, name: str) -> Any:
        """The attribute that the object would have had, or None."""
        return self.state.get(name) if isinstance(self.state, dict) else None


def last_part(name: str) -> str:
    """The part of a dotted name after its last dot."""
    return name.rpartition(".")[2]


def read_inert(file: Path) -> Any:
    """The content of a `.pt` file, with stand-ins for all objects except tensors and plain values.

    `NeedsTrustError` if reading it would run its code, `ModelError` if it is damaged or another kind of file.
    """
    if not zipfile.is_zipfile(file):
        with file.open("rb") as opened:
            first = opened.read(1)
        if first == PICKLE:
            raise NeedsTrustError("it was written before torch 1.6, or by another program")
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: it is damaged or another kind of file")
    try:
        with _without_safe_globals():
            named = torch.serialization.get_unsafe_globals_in_checkpoint(file)
            kinds: list[Any] = [(type(last_part(name), (StandIn,), {"origin": name}), name) for name in named]
            with torch.serialization.safe_globals(kinds):
                return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can raise anything
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise NeedsTrustError(reason_of(error)) from error
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """The end of an error's text, where torch states the reason."""
    text = one_line(str(error).split("WeightsUnpickler error:")[-1].split("Please file")[0])
    return text[:200] or type(error).__name__


@contextmanager
def _without_safe_globals() -> Iterator[None]:
    """Clear torch's list of allowed classes meanwhile: real classes could be called with arguments from the file."""
    known = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(known)


def tensors_of(
    file: Path, module: StandIn, prefix: str = "", depth: int = 0, seen: Iterator[int] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what `module.state_dict()` would hold, name by name; `seen` counts the modules visited so far."""
    seen = seen or count()
    if next(seen) > MAX_PARTS:  # nested fifty deep, a module that each level holds twice occurs 2^50 times
        raise ModelError(f"{file} cannot be opened: it has more than {MAX_PARTS} modules")
    if depth > MAX_DEPTH:
        raise ModelError(f"{file} cannot be opened: its modules are nested more than {MAX_DEPTH} deep")
    temporary = module.get("_non_persistent_buffers_set")
    temporary = temporary if isinstance(temporary, set) else set()
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _mapping(module.get(kind)).items():
            if isinstance(tensor, torch.Tensor) and name not in temporary:
                yield f"{prefix}{name}", tensor
    for name, inner in _mapping(module.get("_modules")).items():
        if isinstance(inner, StandIn):
            yield from tensors_of(file, inner, f"{prefix}{name}.", depth + 1, seen)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def is_plain(value: Any, depth: int = 0, seen: Iterator[int] | None = None) -> bool:
    """Whether the value consists only of dictionaries, lists, texts, numbers and None, within the size limits."""
    seen = seen or count()
    if depth > MAX_DEPTH or next(seen) > MAX_PARTS:
        return False
    if isinstance(value, dict):
        return all(is_plain(part, depth + 1, seen) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return all(is_plain(part, depth + 1, seen) for part in value)
    return value is None or type(value) in (str, int, float, bool)
