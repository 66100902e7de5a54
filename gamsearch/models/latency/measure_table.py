"""Measure a latency table: the increments of all placements of a space, and its error on held-out architectures.

It takes about a minute, in one fused baseline that runs different attention modules between its rows in each pass. A
pass holds a module at every third site, so that two stock rows follow each; an increment is the module's own time plus
what those two rows take longer than in the baseline, relative to the time of all other rows of the same pass (see
`measure`). Each round contains every placement of the space once, in random combinations, with bare passes in between;
an increment is a difference of medians over the rounds. Nothing is assumed about rates: each option is measured. That
increments add up is an assumption, which `hold_out` tests.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed
from gamsearch.models.candidate import build_candidate
from gamsearch.models.device_lock import lock_of
from gamsearch.models.latency.backends import backend_named, resolved
from gamsearch.models.latency.clock import Clock
from gamsearch.models.latency.command import is_command
from gamsearch.models.latency.increments import (
    Increment,
    InstrumentedBaseline,
    groups_of,
    measure_rounds,
    unmeasurable,
)
from gamsearch.models.latency.measure import measure
from gamsearch.models.latency.profiled import profiled_increments
from gamsearch.models.latency.result import Latency
from gamsearch.models.latency.row_timer import using_threads
from gamsearch.models.latency.table import HeldOut, LatencyTable, conditions_of
from gamsearch.parser.build import Model
from gamsearch.space.search_space import SearchSpace

DRAWS = 1000
"""Random architectures to try when looking for held-out ones."""


def measure_table(
    space: SearchSpace,
    baseline: Model,
    imgsz: int,
    device: torch.device,
    reference_ms: float,
    *,
    backend: str = "auto",
    seconds: float = 60.0,
) -> LatencyTable:
    """Measure every placement of a space.

    ONNX Runtime reports the times of its operations (see `profiled`). With any other backend whose rows cannot be
    timed, and with a command, each placement is measured alone, as a whole candidate, in an equal share of the time.

    Args:
        space: The space.
        baseline: The baseline detector; it is not changed.
        imgsz: Image size in px.
        device: Where to measure.
        reference_ms: The baseline's latency, which the table's ratios multiply.
        backend: Name of a latency backend, a command, or `auto`.
        seconds: Time limit of the passes, except of a command; at least ten rounds are made in any case.

    Returns:
        The table, without held-out architectures.

    Raises:
        OptionError: The backend is unknown or cannot measure on the device.
        RunError: It cannot measure one of the placements.
    """
    backend = resolved(backend, device)
    increments, rounds = _by_operations(space, baseline, imgsz, device, backend, seconds)
    if not rounds:
        increments, rounds = _row_by_row(space, baseline, imgsz, device, backend, seconds)
    if not rounds:
        increments = _one_by_one(space, baseline, imgsz, device, backend, seconds)
    conditions = conditions_of(space, baseline, imgsz, device, backend)
    return LatencyTable(space.detector.name, reference_ms, increments, rounds, conditions)


def _by_operations(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str, seconds: float
) -> tuple[dict[Placement, Increment], int]:
    """Increments from the times of operations, and the passes; neither if the backend does not report them."""
    if backend != "onnxruntime":
        return {}, 0
    with lock_of(device).exclusively(), using_threads(1):
        return profiled_increments(space, baseline, imgsz, seconds)


def _row_by_row(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str, seconds: float
) -> tuple[dict[Placement, Increment], int]:
    """Increments from the rows of one baseline, and the rounds; neither if its rows cannot be timed."""
    if is_command(backend):
        return {}, 0
    with lock_of(device).exclusively(), using_threads(1):
        network = backend_named(backend)(baseline, imgsz, device)
        if not network.rows:
            return {}, 0
        hosts = {p.site for offered in space.choices.values() for p in offered if p.semantics == "inner"}
        with InstrumentedBaseline(network, Clock(device), hosts) as instrumented:
            return measure_rounds(instrumented, groups_of(space, device), seconds)


def hold_out(
    table: LatencyTable,
    space: SearchSpace,
    baseline: Model,
    device: torch.device,
    *,
    count: int = 4,
    seed: int = 0,
    seconds: float = 10.0,
) -> LatencyTable:
    """Check a table on random architectures with several modules, none of which contributed to the increments.

    Args:
        table: The table to check.
        space: The space that it was measured for.
        baseline: The baseline detector.
        device: Where the table was measured.
        count: Number of architectures; fewer if the space has fewer.
        seed: Seed of the choice.
        seconds: Time limit of each measurement.

    Returns:
        The table with predictions beside direct measurements in `held_out`.
    """
    imgsz, backend = int(table.conditions["imgsz"]), str(table.conditions["backend"])
    checks = []
    for architecture in _several_modules(space, count, seed):
        candidate = build_candidate(space.detector, architecture, baseline, imgsz)
        latency = measure(candidate.model, baseline, imgsz, device, backend=backend, seconds=seconds)
        checks.append(compare(table, architecture, latency))
    return replace(table, held_out=tuple(checks))


def compare(table: LatencyTable, architecture: Architecture, latency: Latency) -> HeldOut:
    """Put the table's prediction for an architecture beside its direct measurement."""
    predicted = table.predict(architecture).ratio
    return HeldOut(architecture.label, predicted, latency.ratio, latency.ratio_low, latency.ratio_high)


def _several_modules(space: SearchSpace, count: int, seed: int) -> Iterator[Architecture]:
    """Up to `count` different random architectures with at least two modules."""
    rng = random.Random(seed)
    seen: set[Architecture] = set()
    for _ in range(DRAWS):
        if len(seen) == count:
            return
        architecture = space.sample_random(rng)
        if len(architecture.placements) > 1 and architecture not in seen:
            seen.add(architecture)
            yield architecture


def _one_by_one(
    space: SearchSpace, baseline: Model, imgsz: int, device: torch.device, backend: str, seconds: float
) -> dict[Placement, Increment]:
    """Increments from one whole candidate per placement, each paired with the baseline."""
    placements = [p for choices in space.choices.values() for p in choices]
    increments = {}
    for placement in placements:
        architecture = Architecture.of(space.detector.name, [placement])
        model = build_candidate(space.detector, architecture, baseline, imgsz).model
        share = seconds / len(placements)
        try:
            latency = measure(model, baseline, imgsz, device, backend=backend, seconds=share)
        except CandidateFailed as failure:
            raise unmeasurable(architecture.label, failure) from failure
        increments[placement] = Increment(latency.ratio - 1.0, (latency.ratio_high - latency.ratio_low) / (2 * 1.96))
    return increments
