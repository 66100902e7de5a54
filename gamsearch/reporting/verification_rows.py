"""Rows and columns of the verification table, shared by the page, the terminal, verdict.md and verdict.tex."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, isnan

from gamsearch.analysis.finalist import Compared, figure
from gamsearch.analysis.power import ALPHA, EFFECT, POWER
from gamsearch.analysis.significance import UNKNOWN, Estimate, PairedTest, estimate
from gamsearch.analysis.verification import SCALE_UP, Verification
from gamsearch.architecture import BASELINE
from gamsearch.reporting import formatting
from gamsearch.reporting.tables import Column
from gamsearch.study.record import Record
from gamsearch.study.urls import masked
from gamsearch.tasks import Task

SMALLEST_P = 1e-4


@dataclass(frozen=True)
class Row:
    """One arm of the verification: its mean primary metric over `seeds` and its comparison with the baseline."""

    key: str
    name: str
    seeds: int
    level: Estimate
    compared: Compared | None


def rows(verification: Verification) -> list[Row]:
    """The baseline, the finalists by verified gain, the scale-up control."""
    control = [verification.scale_up] if verification.scale_up else []
    return [
        _row(verification, BASELINE, None),
        *(_row(verification, c.key, c) for c in [*ranked(verification), *control]),
    ]


def ranked(verification: Verification) -> list[Compared]:
    """The finalists by verified gain, largest first; those without a gain come last."""
    return sorted(verification.finalists, key=lambda f: -f.gain.mean if isfinite(f.gain.mean) else inf)


def _row(verification: Verification, key: str, compared: Compared | None) -> Row:
    done = verification.trainings.get(key, {})
    known = [value for value in (figure(one, verification.task.primary) for one in done.values()) if isfinite(value)]
    return Row(key, BASELINE if compared is None else name(compared), len(done), estimate(known), compared)


def name(finalist: Compared) -> str:
    """E.g. `#4 GAM@9 r8`, or `yolov8s, no attention` for the scale-up control."""
    if finalist.key == SCALE_UP:
        return f"{finalist.label}, no attention"
    return finalist.label if finalist.number is None else f"#{finalist.number} {finalist.label}"


def plain_name(row: Row) -> str:
    """The name without the trial's number."""
    return row.name if row.compared is None or row.key == SCALE_UP else row.compared.label


def columns(task: Task) -> list[Column]:
    """The columns of the table; values that are not known yet are empty."""
    primary, secondary = task.primary_title, task.secondary_title
    return [
        Column("finalist", lambda row: row.name, numeric=False),
        Column(primary, lambda row: formatting.plain(row.level.mean, 4)),
        Column(f"{primary} difference", partial(_of, lambda c: spread(c.gain))),
        Column(f"{secondary} difference", partial(_of, lambda c: spread(c.tests[task.secondary]))),
        Column("latency ratio", partial(_of, lambda c: bounds(c.latency))),
        Column("p (Holm)", partial(_of, lambda c: p_text(c.gain))),
        Column("claim", partial(_of, lambda c: claim(c.gain)), numeric=False),
        Column("seeds", lambda row: f"{row.seeds}"),
        Column("seeds needed", partial(_of, lambda c: f"{c.gain.seeds_needed or ''}")),
    ]


def _of(text: Callable[[Compared], str], row: Row) -> str:
    """A text about the comparison of a row; empty for the baseline."""
    return "" if row.compared is None else text(row.compared)


def spread(found: Estimate) -> str:
    """E.g. `+0.0123 ± 0.0045`, without the half-width if the noise is unknown."""
    half = formatting.plain(found.half_width, 4)
    return formatting.signed(found.mean) + (f" ± {half}" if half else "")


def bounds(ratio: Estimate) -> str:
    """E.g. `1.082 [1.079, 1.085]`."""
    ends = "" if isnan(ratio.low) else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return formatting.plain(ratio.mean, 3) + (ends if isfinite(ratio.mean) else "")


def p_text(gain: PairedTest) -> str:
    """The adjusted p-value; empty if there is no test."""
    if gain.claim == UNKNOWN:
        return ""
    return f"<{SMALLEST_P}" if gain.p_holm < SMALLEST_P else f"{gain.p_holm:.4f}"


def claim(gain: PairedTest) -> str:
    """The claim, or the reason why it is unknown."""
    return gain.reason if gain.claim == UNKNOWN else gain.claim


def conditions(record: Record) -> str:
    """How the finalists were trained: data, seeds, epochs, image size, batch and weights, as far as recorded."""
    settings = record.verification.settings
    data = "/".join(str(record.settings.get("data", "")).replace("\\", "/").split("/")[-2:])
    known = [
        (f"{record.detector_name} on {data}", data),
        (f"fingerprint {settings.get('data_fingerprint')}", settings.get("data_fingerprint")),
        (f"{seeds_text(record)}", True),
        (f"{settings.get('epochs')} epochs", settings.get("epochs")),
        (f"{settings.get('imgsz')} px", settings.get("imgsz")),
        (f"batch {settings.get('batch')}", settings.get("batch")),
        (f"started from {masked(str(settings.get('model')))}", settings.get("model")),
    ]
    return ", ".join(text for text, recorded in known if recorded)


def seeds_text(record: Record) -> str:
    """E.g. `5 paired seeds (0 to 4)`."""
    verification = record.verification
    seeds = sorted({seed for done in verification.trainings.values() for seed in done})
    span = f" ({seeds[0]} to {seeds[-1]})" if len(seeds) > 1 else ""
    planned = verification.settings.get("seeds")
    done = f"{verification.seeds_done}"
    return f"{done if verification.complete else f'{done} of {planned}'} paired seeds{span}"


def statistics(record: Record) -> str:
    """The statistical methods behind the intervals and p-values."""
    count = len(record.verification.finalists)
    pooled = any(finalist.gain.rows > 1 for finalist in record.verification.finalists)
    method = "Student's t with the noise pooled over all finalists, seeds as blocks" if pooled else "Student's t"
    holm = f"; Holm-corrected for {count} finalists within each metric" if count > 1 else ""
    larger = record.verification.scale_up
    control = f"; {larger.label} is a separate control and not corrected" if larger and count > 1 else ""
    return (
        f"Differences to the baseline at the same seed, with {100 * (1 - ALPHA):.0f} % intervals "
        f"({method}{holm}{control}). Latency is the ratio to the baseline."
    )


def needed() -> str:
    """The meaning of the column `seeds needed`."""
    return f"Seeds needed: paired seeds to detect a true difference of {EFFECT} with {100 * POWER:.0f} % power."


def missing(verification: Verification) -> Sequence[str]:
    """The trainings that are still to be done, e.g. `#4 GAM@9 r8: 2 of 5 seeds`."""
    planned = int(verification.settings.get("seeds") or 0)
    return [
        f"{row.name}: {planned - row.seeds} of {planned} seeds" for row in rows(verification) if row.seeds < planned
    ]
