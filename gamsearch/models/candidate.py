"""A candidate: its grafted YAML built, the baseline's tensors inherited and audited, the identity checked."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import CandidateFailed, ModelError
from gamsearch.models.identity import check_identity, placed_modules, set_to_identity, starts_as_identity
from gamsearch.models.inherit import Audit, inherit
from gamsearch.models.latency.result import Latency
from gamsearch.parser.build import Model, build, classes_of, width_by_name, with_key_points
from gamsearch.parser.register import check_published
from gamsearch.space.detector import Detector
from gamsearch.space.graft import Graft, graft


@dataclass
class Candidate:
    """An architecture with its built model.

    Attributes:
        architecture: The architecture.
        graft: Its model YAML and where its rows are.
        model: The built detector.
        audit: What it inherited from the baseline.
        imgsz: Image size in px, at which its cost is computed.
        probe: Measures its latency, paired with the baseline.
        baseline: The trained stock model, for what is measured in turns with it.
        device: Where latency and what is like it are measured.
    """

    architecture: Architecture
    graft: Graft
    model: Model
    audit: Audit
    imgsz: int
    probe: Callable[["Candidate"], Latency] | None = None
    baseline: Model | None = None
    device: torch.device = torch.device("cpu")
    _latency: Latency | None = field(default=None, repr=False)
    _measured: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def attention(self) -> dict[Placement, nn.Module]:
        """Each placement with its module."""
        return placed_modules(self.model, self.graft.placed, self.architecture)

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
        """Latency, paired with the baseline; measured once."""
        if self._latency is None:
            if self.probe is None:
                raise ModelError("this candidate was built without a latency probe, so its latency is unknown")
            self._latency = self.probe(self)
        return self._latency

    def once(self, name: str, measure: Callable[["Candidate"], float]) -> float:
        """Measure something that is never twice the same, such as a time, once.

        Args:
            name: What is measured.
            measure: Measures it.

        Returns:
            The first measurement.
        """
        if name not in self._measured:
            self._measured[name] = measure(self)
        return self._measured[name]


def build_candidate(
    detector: Detector, architecture: Architecture, baseline: Model, imgsz: int, seed: int = 0
) -> Candidate:
    """Build an architecture's model, let it inherit the baseline's tensors, and audit it.

    Args:
        detector: The stock detector.
        architecture: Where to place attention in it.
        baseline: The trained stock model to inherit from.
        imgsz: Image size in px, at which the candidate's cost is computed.
        seed: Seed of the fresh layers. The global random state is not changed.

    Returns:
        The candidate, on the CPU, without a latency probe.

    Raises:
        CandidateFailed: The model cannot be built, a tensor is not inherited, or attention with the identity
            initialisation is not the exact identity.
        ModelError: Somebody else's class has the name of a module.
    """
    for placement in architecture.placements:
        check_published(placement)
    grafted = graft(detector, architecture, explicit_widths=not width_by_name())
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # attention keeps the strides; the identity check is then the first forward pass
            strides = baseline.stride.tolist() if starts_as_identity(architecture) else None
            yaml = with_key_points(grafted.yaml, baseline.yaml.get("kpt_shape"))
            model: Model = build(yaml, nc=classes_of(baseline), strides=strides)
    except ModelError as error:
        raise CandidateFailed("build", f"{architecture.label} cannot be built: {error}") from error
    audit = inherit(model, baseline, grafted.row_map)
    model.names, model.args = deepcopy(getattr(baseline, "names", model.names)), getattr(baseline, "args", {})
    if not audit.complete:
        raise CandidateFailed("build", f"{architecture.label} did not inherit the whole baseline: {audit}")
    if starts_as_identity(architecture):
        set_to_identity(placed_modules(model, grafted.placed, architecture))
        check_identity(model, baseline, architecture)
    return Candidate(architecture, grafted, model, audit, imgsz, baseline=baseline)


def fresh_parameters(candidate: Candidate, factor: float | None = None) -> dict[int, float]:
    """Collect the parameters that no stock row owns: those of the attention modules.

    Args:
        candidate: The candidate.
        factor: Replaces the learning-rate factors of the catalogue.

    Returns:
        Their identities (`id`), each with the factor of its learning rate.
    """
    found: dict[int, float] = {}
    for placement, module in candidate.attention.items():
        own = spec_named(placement.module).lr_factor if factor is None else factor
        found |= {id(p): float(own) for p in module.parameters()}
    return found
