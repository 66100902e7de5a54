"""A candidate: the grafted YAML built, every baseline tensor inherited over the row map, the transfer audited."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from gamsearch.architecture import Architecture
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import CandidateFailed, ModelError, RunError, one_line
from gamsearch.models.build import build, width_by_name
from gamsearch.models.latency.measure import Latency
from gamsearch.models.saving import save
from gamsearch.space.detector import Detector
from gamsearch.space.graft import Graft, graft

Model = Any
"""An Ultralytics `DetectionModel`: a torch module with attributes (`yaml`, `stride`, ...) that no stub declares."""


@dataclass(frozen=True)
class Audit:
    """What a candidate took over from the baseline, in tensors of the state dict and in elements.

    `misplaced` counts tensors whose values do not equal those of their own stock row; it must be 0.
    """

    tensors_inherited: int
    tensors_expected: int
    elements_inherited: int
    elements_expected: int
    tensors_fresh: int
    elements_fresh: int
    misplaced: int

    @property
    def complete(self) -> bool:
        return self.tensors_inherited == self.tensors_expected and self.misplaced == 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    def __str__(self) -> str:
        share = 100 * self.elements_inherited / max(self.elements_expected, 1)
        return (
            f"{self.tensors_inherited} of {self.tensors_expected} tensors ({share:.1f} % of the elements) inherited, "
            f"{self.tensors_fresh} fresh, {self.misplaced} misplaced"
        )


@dataclass
class Candidate:
    """An architecture with its built model; `probe` measures its latency, interleaved with the baseline."""

    architecture: Architecture
    graft: Graft
    model: Model
    audit: Audit
    imgsz: int
    probe: Callable[["Candidate"], Latency] | None = None
    _latency: Latency | None = field(default=None, repr=False)

    def params_m(self) -> float:
        """Parameters in millions, before fusing."""
        return sum(p.numel() for p in self.model.parameters()) / 1e6

    def gflops(self) -> float:
        """2 x GMACs of convolutions and matrix products of one forward pass at `imgsz`, batch 1."""
        model = deepcopy(self.model).eval()
        image = torch.zeros(1, self.model.yaml.get("channels", 3), self.imgsz, self.imgsz)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(image)
        return counter.get_total_flops() / 1e9

    def latency(self) -> Latency:
        """Latency against the interleaved baseline; measured once."""
        if self._latency is None:
            if self.probe is None:
                raise ModelError("this candidate was built without a latency probe, so its latency is unknown")
            self._latency = self.probe(self)
        return self._latency


def build_candidate(
    detector: Detector, architecture: Architecture, baseline: Model, imgsz: int, seed: int = 0
) -> Candidate:
    """Graft, build, inherit from `baseline` and audit.

    The fresh layers are drawn from `seed` alone and the global random state is left as it was. Raises
    `CandidateFailed` if the model cannot be built, if any tensor is not inherited, or if identity-initialised attention
    is not the exact identity.
    """
    grafted = graft(detector, architecture, explicit_widths=not width_by_name())
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # attention keeps the strides; the identity check is then the first forward pass
            strides = baseline.stride.tolist() if starts_as_identity(architecture) else None
            model: Model = build(grafted.yaml, nc=baseline.model[-1].nc, strides=strides)
    except ModelError as error:
        raise CandidateFailed("build", f"{architecture.label} cannot be built: {error}") from error
    adopt_rows_of_other_shape(model, baseline, grafted.row_map)
    audit = inherit(model, baseline, grafted.row_map)
    model.names, model.args = deepcopy(getattr(baseline, "names", model.names)), getattr(baseline, "args", {})
    if not audit.complete:
        raise CandidateFailed("build", f"{architecture.label} did not inherit the whole baseline: {audit}")
    if starts_as_identity(architecture):
        check_identity(model, baseline, architecture)
    return Candidate(architecture, grafted, model, audit, imgsz)


def adopt_rows_of_other_shape(model: Model, baseline: Model, row_map: dict[int, int]) -> None:
    """Copy whole rows whose tensors have other shapes in the baseline.

    Ultralytics widens a head when its checkpoint knew another number of classes; the candidate's head must follow.
    """
    for stock, new in row_map.items():
        ours, theirs = model.model[new], baseline.model[stock]
        if _shapes(ours) != _shapes(theirs):
            row = deepcopy(theirs)
            row.i, row.f, row.type, row.np = ours.i, ours.f, ours.type, theirs.np
            model.model[new] = row


def _shapes(module: Model) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def inherit(model: Model, baseline: Model, row_map: dict[int, int]) -> Audit:
    """Copy every tensor of the baseline's state dict to its own stock row in `model`; return what was copied."""
    donor = {_renamed(name, row_map): tensor for name, tensor in baseline.float().state_dict().items()}
    for name, tensor in model.state_dict().items():
        if name in donor and tensor.shape == donor[name].shape:
            tensor.copy_(donor[name])
    return audit_of(model, donor)


def _renamed(name: str, row_map: dict[int, int]) -> str:
    """`model.4.cv1.conv.weight` -> `model.5.cv1.conv.weight` when stock row 4 has become row 5."""
    prefix, row, rest = name.split(".", 2)
    return f"{prefix}.{row_map[int(row)]}.{rest}"


def audit_of(model: Model, donor: dict[str, torch.Tensor]) -> Audit:
    """Compare `model` with the renamed tensors of the baseline, value by value."""
    state = model.state_dict()
    placed = [n for n in donor if n in state]
    inherited = [n for n in placed if torch.equal(state[n].float().cpu(), donor[n].float().cpu())]
    fresh = [n for n in state if n not in donor]
    return Audit(
        tensors_inherited=len(inherited),
        tensors_expected=len(donor),
        elements_inherited=sum(donor[n].numel() for n in inherited),
        elements_expected=sum(t.numel() for t in donor.values()),
        tensors_fresh=len(fresh),
        elements_fresh=sum(state[n].numel() for n in fresh),
        misplaced=len(placed) - len(inherited),
    )


def audit_against(model: Model, baseline: Model, row_map: dict[int, int]) -> Audit:
    """The audit of a model that exists already, e.g. after the trainer's set-up."""
    return audit_of(model, {_renamed(n, row_map): t for n, t in baseline.state_dict().items()})


def fresh_parameters(candidate: Candidate) -> set[int]:
    """Identities (`id`) of the parameters that no stock row owns: those of the attention modules."""
    rows = set(candidate.graft.placed.values())
    return {id(p) for row in rows for p in candidate.model.model[row].parameters()}


def starts_as_identity(architecture: Architecture) -> bool:
    """Whether every placement asks for the identity initialisation."""
    return all(
        spec_named(p.module).complete(dict(p.options)).get("init", "identity") == "identity"
        for p in architecture.placements
    )


def check_identity(model: Model, baseline: Model, architecture: Architecture) -> None:
    """Raise `CandidateFailed` unless `model` and `baseline` give the same output, bit for bit, on a random image."""
    side = max(64, 2 * int(max(baseline.stride)))
    image = torch.rand(1, baseline.yaml.get("channels", 3), side, side, generator=torch.Generator().manual_seed(0))
    try:
        difference = max_difference(model, baseline, image)
    except Exception as error:  # a layer can raise anything
        raise CandidateFailed("build", f"{architecture.label} cannot be run: {one_line(error)}") from error
    if difference != 0.0:
        raise CandidateFailed("identity", f"{architecture.label} starts {difference:.3g} away from the baseline")


def max_difference(model: Model, other: Model, image: torch.Tensor) -> float:
    """Largest absolute difference of the two models' predictions on `image` (`B x 3 x H x W`), in eval mode."""
    ours, theirs = (_evaluated(each, image) for each in (model, other))
    return float((ours - theirs).abs().max())


@torch.no_grad()
def _evaluated(model: Model, image: torch.Tensor) -> torch.Tensor:
    """The predictions of `model` in eval mode; it is left in the mode that it is in."""
    training = model.training
    try:
        return predictions(model.eval()(image))
    finally:
        model.train(training)


def predictions(output: Any) -> torch.Tensor:
    """The decoded predictions (`B x (4 + nc) x anchors`) of a detection model in eval mode."""
    return output[0] if isinstance(output, (tuple, list)) else output


def write_weights(model: Model, path: Path) -> None:
    """Write the state dict in fp16 in one step (a tensor that fp16 cannot hold stays as it is); it loads safely."""
    save({name: _halved(tensor) for name, tensor in model.state_dict().items()}, path)


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in fp16, or as it is if it holds integers or something beyond fp16."""
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if torch.isfinite(half).all() else tensor


def read_weights(model: Model, path: Path) -> None:
    """Load a state dict written by `write_weights` into `model`; `RunError` if the file is missing or does not fit."""
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing, so this trial's weights are gone; search again to train it") from error
    except Exception as error:  # a damaged file can raise anything
        raise RunError(f"{path} does not hold this trial's weights: {one_line(error)[:200]}") from error
