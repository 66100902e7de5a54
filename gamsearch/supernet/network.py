"""Build a shared network: the detector with a switch after each site, its weights inherited from the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.inner import InnerAttention
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import Candidate, build_candidate
from gamsearch.parser.build import Model
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.paths import check_shareable
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
        SpaceError: The space mixes attention that all rows read with such that only the head does.
    """
    check_shareable(space)
    choices = space.choices
    after = [next((p for p in placements if p.semantics != "inner"), None) for placements in choices.values()]
    rows = Architecture.of(space.detector.name, [p for p in after if p is not None])
    first = build_candidate(space.detector, rows, baseline, imgsz, seed)
    built: dict[int, dict[Placement, Any]] = {site: {} for site in choices}
    for turn in range(max(map(len, choices.values()))):  # as many candidates as the richest site has placements
        chosen = [placements[turn] for placements in choices.values() if turn < len(placements)]
        architecture = Architecture.of(space.detector.name, chosen)
        candidate = build_candidate(space.detector, architecture, baseline, imgsz, seed + turn)
        for placement, module in candidate.attention.items():
            built[placement.site][placement] = module
    for site, modules in built.items():
        for inner in (False, True):
            own = {p: module for p, module in modules.items() if (p.semantics == "inner") is inner}
            if own:
                _install(first, site, own, inner)
    activate(first.model, space.baseline)
    return SharedNetwork(space, first.model, first.graft.row_map)


def _install(network: Candidate, site: int, modules: Mapping[Placement, Any], inner: bool) -> None:
    """Put the placements of one site into a network: in place of its attention row, or inside its block."""
    try:
        switch: Any = Switch(site, modules)
    except ValueError as error:
        raise CandidateFailed("build", str(error)) from error
    layers: Any = network.model.model
    if inner:
        block = layers[network.graft.row_map[site]]
        block.m = InnerAttention(block.m, switch)
        return
    row = network.graft.placed[site]
    switch.i, switch.f, switch.type, switch.np = layers[row].i, layers[row].f, "Switch", 0
    layers[row] = switch
