"""Copy a baseline's tensors into a grafted model, row by row, and audit the copy."""

from copy import deepcopy
from dataclasses import asdict, dataclass

import torch

from gamsearch.parser.build import Model

INSIDE = "m.attention."
"""How the names of tensors of attention inside a block begin."""


@dataclass(frozen=True)
class Audit:
    """What a candidate inherited from the baseline, in tensors of the state dict and in elements.

    Attributes:
        tensors_inherited: Tensors equal to those of their stock row.
        tensors_expected: Tensors of the baseline.
        elements_inherited: Elements of the inherited tensors.
        elements_expected: Elements of the baseline.
        tensors_fresh: Tensors that no stock row owns.
        elements_fresh: Their elements.
        misplaced: Tensors that differ from those of their own stock row; it must be 0.
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
        """Whether every tensor of the baseline is in its place."""
        return self.tensors_inherited == self.tensors_expected and self.misplaced == 0

    def to_dict(self) -> dict[str, int]:
        """JSON-ready form."""
        return asdict(self)

    def __str__(self) -> str:
        share = 100 * self.elements_inherited / max(self.elements_expected, 1)
        return (
            f"{self.tensors_inherited} of {self.tensors_expected} tensors ({share:.1f} % of the elements) inherited, "
            f"{self.tensors_fresh} fresh, {self.misplaced} misplaced"
        )


def inherit(model: Model, baseline: Model, row_map: dict[int, int]) -> Audit:
    """Copy every tensor of the baseline's state dict to its own stock row in `model`, and audit the result.

    `row_map` maps stock rows to rows of `model`. Whole rows are copied where shapes differ.
    """
    _adopt_rows_of_other_shape(model, baseline, row_map)
    donor = {_renamed(name, row_map): tensor for name, tensor in baseline.float().state_dict().items()}
    for name, tensor in model.state_dict().items():
        if name in donor and tensor.shape == donor[name].shape:
            tensor.copy_(donor[name])
    return _audit(model, donor)


def audit_against(model: Model, baseline: Model, row_map: dict[int, int]) -> Audit:
    """Audit a model that exists already, e.g. after the trainer's set-up.

    Args:
        model: The candidate's model.
        baseline: The baseline that it should have inherited from.
        row_map: Stock rows to their rows in `model`.

    Returns:
        The audit.
    """
    return _audit(model, {_renamed(n, row_map): t for n, t in baseline.state_dict().items()})


def _adopt_rows_of_other_shape(model: Model, baseline: Model, row_map: dict[int, int]) -> None:
    """Copy whole rows whose tensors have other shapes in the baseline.

    Ultralytics widens a head when its checkpoint had another number of classes; the candidate's head must follow.
    """
    for stock, new in row_map.items():
        target, source = model.model[new], baseline.model[stock]
        if _shapes(target) != _shapes(source):
            row = deepcopy(source)
            row.i, row.f, row.type, row.np = target.i, target.f, target.type, source.np
            model.model[new] = row


def _shapes(module: Model) -> dict[str, torch.Size]:
    """The shapes of a row's tensors, attention inside it left out."""
    return {n: tensor.shape for n, tensor in module.state_dict().items() if not n.startswith(INSIDE)}


def _renamed(name: str, row_map: dict[int, int]) -> str:
    """`model.4.cv1.conv.weight` -> `model.5.cv1.conv.weight` when stock row 4 has become row 5."""
    prefix, row, rest = name.split(".", 2)
    return f"{prefix}.{row_map[int(row)]}.{rest}"


def _audit(model: Model, donor: dict[str, torch.Tensor]) -> Audit:
    """Compare `model` with the renamed tensors of the baseline, value by value."""
    state = model.state_dict()
    present = [n for n in donor if n in state]
    inherited = [n for n in present if torch.equal(state[n].float().cpu(), donor[n].float().cpu())]
    fresh = [n for n in state if n not in donor]
    return Audit(
        tensors_inherited=len(inherited),
        tensors_expected=len(donor),
        elements_inherited=sum(donor[n].numel() for n in inherited),
        elements_expected=sum(t.numel() for t in donor.values()),
        tensors_fresh=len(fresh),
        elements_fresh=sum(state[n].numel() for n in fresh),
        misplaced=len(present) - len(inherited),
    )
