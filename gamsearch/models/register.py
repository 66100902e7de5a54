"""Make our attention modules known to Ultralytics; the only file that names `ultralytics.nn.tasks`. No torch at import.

Ultralytics has no plug-in hook: its parser looks a row's module up among the globals of `ultralytics.nn.tasks`, so
publishing means putting the classes there. It happens when that module is imported, whoever imports it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wrapt

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

TASKS = "ultralytics.nn.tasks"
MARK = "_gamsearch_fuses"

ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Z]\w*\([\w=., -]*\)")
"""Ultralytics evaluates the text of a model YAML's `activation`, so it can only be the call of a PyTorch module."""

MOST_ROWS, MOST_REPEATS, LARGEST = 1000, 100, 65536
"""Ultralytics' own model YAMLs have up to 60 rows, 12 repeats and widths of 2048."""


def register_on_import() -> None:
    """Register as soon as Ultralytics' parser is imported, at once if it already is; `import gamsearch` calls this."""
    wrapt.register_post_import_hook(register, TASKS)


def register(tasks: Any) -> None:
    """Put every attention class, also of plug-ins that are imported later, into the parser's module.

    Args:
        tasks: The module `ultralytics.nn.tasks`. Doing it again changes nothing.
    """
    for spec in CATALOGUE.values():
        _register_class(tasks, spec)
    if not hasattr(tasks.BaseModel.fuse, MARK):
        tasks.BaseModel.fuse = _fusing(tasks.BaseModel.fuse)
        CATALOGUE.on_add(lambda spec: _register_class(tasks, spec))


def _register_class(tasks: Any, spec: AttentionSpec) -> None:
    """Make the class behind a catalogue entry known to the parser, and to torch's restricted unpickler."""
    import torch

    from gamsearch.attention.registry import class_of

    cls = class_of(spec)
    for name in (spec.name, *spec.aliases):
        setattr(tasks, name, cls)
    torch.serialization.add_safe_globals([cls])


def _fusing(stock: Callable[..., Any]) -> Callable[..., Any]:
    """`BaseModel.fuse` that also turns the catalogue's modules, which it does not know, into their deployment form."""

    @wraps(stock)
    def fuse(self: Any, *args: Any, **options: Any) -> Any:
        from gamsearch.attention.registry import attention_classes

        fused, classes = stock(self, *args, **options), tuple(attention_classes().values())
        for module in fused.modules():
            deploy = getattr(module, "fuse", None) if isinstance(module, classes) else None
            if callable(deploy):
                deploy()
        return fused

    setattr(fuse, MARK, True)
    return fuse


def build(yaml: dict[str, Any], nc: int, ch: int = 3, strides: Sequence[float] | None = None) -> "nn.Module":
    """Build the detector that a model YAML describes, for `nc` classes and `ch` input channels; `yaml` is not changed.

    What Ultralytics or a module of ours refuses raises `ModelError` with its reason. Where the `strides` of the maps
    that its head reads are known, no image is sent through it to find them, so that whatever fails there does later.
    """
    import torch

    tasks: Any = import_module(TASKS)
    _check(tasks, yaml, nc)
    try:
        with _activation_kept(tasks), _strides_known(tasks, strides), torch.no_grad():
            model: nn.Module = tasks.DetectionModel({**deepcopy(yaml), "nc": nc}, ch=ch, nc=nc, verbose=False)
    except KeyError as error:
        raise ModelError(f"the model YAML names {error}, which Ultralytics does not know: correct the row") from error
    except Exception as error:  # a layer can raise anything
        raise ModelError(f"the model YAML cannot be built: {_one_line(error)}") from error
    return model


@contextmanager
def _strides_known(tasks: Any, strides: Sequence[float] | None) -> Iterator[None]:
    """Answer the forward pass by which Ultralytics finds its strides with empty maps of the known ones."""
    if strides is None:
        yield
        return

    def forward(self: Any, image: Any) -> dict[str, Any]:
        maps = {"feats": [image[:, :0, :: int(stride), :1] for stride in strides]}
        return {**maps, "one2many": maps}

    tasks.DetectionModel.forward = forward
    try:
        yield
    finally:
        del tasks.DetectionModel.forward


def is_activation(value: Any) -> bool:
    """Whether a model YAML's `activation` may be evaluated: none, or the call of a PyTorch module."""
    return value is None or (isinstance(value, str) and ACTIVATION.fullmatch(value) is not None)


def _check(tasks: Any, yaml: Mapping[str, Any], nc: int) -> None:
    """Refuse what Ultralytics' parser would run, fetch or drown in: it calls whatever a row names among its globals."""
    activation, rows = yaml.get("activation"), [*yaml.get("backbone", ()), *yaml.get("head", ())]
    if not is_activation(activation):
        raise ModelError(
            f"the model YAML's activation must be like torch.nn.SiLU() or nn.LeakyReLU(0.1), not {activation!r}"
        )
    if len(rows) > MOST_ROWS or not 1 <= nc <= LARGEST:
        raise ModelError(f"the model YAML has {len(rows)} rows and {nc} classes, which no detector has; correct it")
    for name, most in SCALES.items():
        if not all(0 < value <= most for value in _numbers([yaml.get(name, 1)])):
            raise ModelError(f"the model YAML's {name} must be above 0 and at most {most}, not {yaml[name]!r}")
    for scale in _scales(yaml):
        if not (len(scale) == 3 and all(0 < v <= most for v, most in zip(scale, (10, 10, LARGEST), strict=True))):
            raise ModelError(f"the model YAML's scales must be [depth, width, most channels], not {list(scale)}")
    for number, row in enumerate(rows):
        problem = _problem(tasks, row)
        if problem:
            raise ModelError(f"the model YAML's row {number}, {row}, {problem}; correct the row")


SCALES = {"depth_multiple": 10, "width_multiple": 10, "reg_max": 256, "channels": 64}
"""What else multiplies a detector, and how far."""


def _scales(yaml: Mapping[str, Any]) -> list[tuple[float, ...]]:
    scales = yaml.get("scales") or {}
    values = scales.values() if isinstance(scales, Mapping) else []
    return [tuple(_numbers(value if isinstance(value, (list, tuple)) else [value])) for value in values]


def _problem(tasks: Any, row: Any) -> str | None:
    """Why a row is not handed to Ultralytics, or None."""
    import torch

    if not isinstance(row, (list, tuple)) or len(row) != 4 or not isinstance(row[3], (list, tuple)):
        return "must be [from, repeats, module, arguments]"
    _, repeats, name, arguments = row
    if type(repeats) is not int or not 1 <= repeats <= MOST_REPEATS:
        return f"must have from 1 to {MOST_REPEATS} repeats"
    if any(not abs(value) <= LARGEST for value in _numbers(arguments)):
        return f"has an argument beyond {LARGEST}"
    module = _module_named(tasks, name)
    if module is None:
        return "names a module that Ultralytics does not know"
    if not (isinstance(module, type) and issubclass(module, torch.nn.Module)) or issubclass(module, tasks.BaseModel):
        return "names what is no layer"
    if name == "TorchVision":
        return _fetching(arguments)
    return None


def _fetching(arguments: Sequence[Any]) -> str | None:
    """Why a TorchVision row would download weights, or None."""
    from torchvision import models

    if len(arguments) < 3 or arguments[2] not in (None, "None"):
        return "would download weights, which must be None"
    if arguments[1] not in models.list_models(module=models):  # others fetch a backbone whatever they are told
        return "names no classification model of TorchVision"
    return None


def _numbers(values: Any) -> Iterator[float]:
    """All numbers in a row's arguments, those in lists and those written as text among them."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _numbers(value)
        elif isinstance(value, str):
            with suppress(ValueError):
                yield float(value)
        elif isinstance(value, (int, float)):
            yield float(value)


def _module_named(tasks: Any, name: Any) -> Any:
    """What Ultralytics' parser takes a row's module name for, or None."""
    if not isinstance(name, str):
        return None
    for prefix, place in (("nn.", "torch.nn"), ("torchvision.ops.", "torchvision.ops")):
        if name.startswith(prefix):
            return getattr(import_module(place), name.removeprefix(prefix), None)
    return vars(tasks).get(name)


@contextmanager
def _activation_kept(tasks: Any) -> Iterator[None]:
    """Restore the process-wide default activation, which a YAML may change and a failed build leaves changed."""
    before = tasks.Conv.default_act
    try:
        yield
    finally:
        tasks.Conv.default_act = before


def load_checkpoint(path: str | Path) -> "nn.Module":
    """Return the float32 detector in eval mode that an Ultralytics `.pt` holds; nothing is downloaded or installed.

    A file that is missing, unreadable or no detector raises `ModelError`.
    """
    file = Path(path)
    if file.suffix != ".pt" or not file.is_file():
        raise ModelError(f"the checkpoint must be an existing .pt file, but {file} is not: check the path")
    tasks: Any = import_module(TASKS)
    try:
        with _offline(tasks):
            model: Any = tasks.load_checkpoint(file)[0]
    except ModelError:
        raise
    except Exception as error:  # unpickling a damaged file can raise anything
        raise ModelError(f"{file} cannot be read as an Ultralytics checkpoint: {_one_line(error)}") from error
    if type(model) is not tasks.DetectionModel or not isinstance(model.model[-1], tasks.Detect):
        raise ModelError(
            f"{file} must hold a YOLO detector, but holds a {type(model).__name__}: use a detection checkpoint"
        )
    detector: nn.Module = model
    return detector


@contextmanager
def _offline(tasks: Any) -> Iterator[None]:
    """Keep Ultralytics' loader from fetching another file of that name and from installing what a pickle asks for."""

    def refuse(package: str, *args: Any, **options: Any) -> None:
        raise ModelError(f"the checkpoint needs the Python package '{package}', which is not installed: install it")

    downloads: Any = import_module("ultralytics.utils.downloads")
    stock = tasks.check_requirements, downloads.attempt_download_asset
    tasks.check_requirements, downloads.attempt_download_asset = refuse, lambda file, *args, **options: str(file)
    try:
        yield
    finally:
        tasks.check_requirements, downloads.attempt_download_asset = stock


def _one_line(error: BaseException) -> str:
    """The first line of an error's text, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@cache
def width_by_name() -> bool:
    """Whether the installed parser resolves `c2` in one of our rows to the scaled width of the row before."""
    tasks: Any = import_module(TASKS)
    rows = [[-1, 1, "Conv", [64, 3, 2]], [-1, 1, "GAM", ["c2", 8]], [-1, 1, "Conv", [64, 3, 1]]]
    probe = {"nc": 1, "scales": {"n": [1.0, 0.25, 1024]}, "scale": "n", "backbone": rows, "head": []}
    try:
        with _activation_kept(tasks):
            layers, _ = tasks.parse_model(probe, ch=3, verbose=False)
    except (KeyError, ValueError, TypeError):
        return False
    return bool(layers[1].channels == 16 and layers[1].rate == 8)
