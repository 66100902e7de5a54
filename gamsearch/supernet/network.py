"""Build a shared network: the detector with a switch after each site, its weights inherited from the baseline."""

from dataclasses import dataclass
from typing import Any

from gamsearch.architecture import Architecture
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import Candidate, build_candidate
from gamsearch.parser.build import Model
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.switch import Switch, activate, switches


@dataclass(frozen=True)
class SharedNetwork:
    """A shared network.

    Attributes:
        space: The space whose architectures it holds.
        model: The built detector; `activate` chooses the architecture that it computes.
        row_map: Stock rows to their rows in `model`.
    """

    space: SearchSpace
    model: Model
    row_map: dict[int, int]

    def fresh(self, factor: float | None = None) -> dict[int, float]:
        """Collect the parameters of attention.

        Args:
            factor: Replaces the learning-rate factors of the catalogue.

        Returns:
            Their identities (`id`), each with the factor of its learning rate.
        """
        return {
            id(parameter): float(spec_named(placement.module).lr_factor if factor is None else factor)
            for switch in switches(self.model)
            for placement, module in switch.trained()
            for parameter in module.parameters()
        }


def build_shared(space: SearchSpace, baseline: Model, imgsz: int, seed: int = 0) -> SharedNetwork:
    """Build the network with every placement of a space, each module as it starts in a candidate of its own.

    Args:
        space: The space.
        baseline: The trained stock model to inherit from.
        imgsz: Image size in px.
        seed: Seed of the fresh layers.

    Returns:
        The network, on the CPU, without any attention active.

    Raises:
        CandidateFailed: A placement cannot be built.
    """
    detector = space.detector
    most = max(len(placements) for placements in space.choices.values())
    built: dict[int, dict] = {site: {} for site in space.sites}
    first: Candidate | None = None
    for turn in range(most):  # as many candidates as the richest site has placements
        chosen = [placements[turn] for placements in space.choices.values() if turn < len(placements)]
        candidate = build_candidate(detector, Architecture.of(detector.name, chosen), baseline, imgsz, seed + turn)
        first = first or candidate
        for placement in chosen:
            built[placement.site][placement] = candidate.model.model[candidate.graft.placed[placement.site]]
    if first is None:
        raise ValueError(f"the space '{space.name}' has no placement")
    for site, row in first.graft.placed.items():
        replaced = first.model.model[row]
        try:
            switch: Any = Switch(site, built[site])
        except ValueError as error:
            raise CandidateFailed("build", str(error)) from error
        switch.i, switch.f, switch.type, switch.np = replaced.i, replaced.f, "Switch", 0
        first.model.model[row] = switch
    activate(first.model, space.baseline)
    return SharedNetwork(space, first.model, first.graft.row_map)
