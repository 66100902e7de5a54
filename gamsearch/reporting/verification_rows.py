"""The rows and columns of the verified table, shared by the page, the terminal and the blocks for pasting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, isnan

from gamsearch.analysis.finalist import Compared, figure
from gamsearch.analysis.significance import ALPHA, EFFECT, POWER, UNKNOWN, Estimate, PairedTest, estimate
from gamsearch.analysis.verification import BASELINE, SCALE_UP, Verification
from gamsearch.reporting import formatting
from gamsearch.reporting.tables import Column
from gamsearch.study.masking import masked
from gamsearch.study.record import Record

SMALLEST_P = 1e-4


@dataclass(frozen=True)
class Row:
    """One side of the verification: its name, its mean map50_95 over `seeds`, and how it compares to the baseline."""

    key: str
    name: str
    seeds: int
    map50_95: Estimate
    compared: Compared | None


def rows(verification: Verification) -> list[Row]:
    """The baseline, the finalists with the largest verified gain first, the scale-up control."""
    grown = [verification.scale_up] if verification.scale_up else []
    return [
        _row(verification, BASELINE, None),
        *(_row(verification, c.key, c) for c in [*ranked(verification), *grown]),
    ]


def ranked(verification: Verification) -> list[Compared]:
    """The finalists with the largest verified gain first, those without any last."""
    return sorted(verification.finalists, key=lambda f: -f.gain.mean if isfinite(f.gain.mean) else inf)


def _row(verification: Verification, key: str, compared: Compared | None) -> Row:
    done = verification.trainings.get(key, {})
    known = [value for value in (figure(one, "map50_95") for one in done.values()) if isfinite(value)]
    return Row(key, BASELINE if compared is None else name(compared), len(done), estimate(known), compared)


def name(finalist: Compared) -> str:
    """E.g. `#4 GAM@9 r8`, or `yolov8s, no attention` for the scale-up control."""
    if finalist.key == SCALE_UP:
        return f"{finalist.label}, no attention"
    return finalist.label if finalist.number is None else f"#{finalist.number} {finalist.label}"


def plain_name(row: Row) -> str:
    """The name without the number of the trial."""
    return row.name if row.compared is None or row.key == SCALE_UP else row.compared.label


def columns() -> list[Column]:
    """The columns of the verified table; a finalist's figure that is not known yet stays empty."""
    return [
        Column("finalist", lambda row: row.name, numeric=False),
        Column("mAP50-95", lambda row: formatting.plain(row.map50_95.mean, 4)),
        Column("mAP50-95 difference", partial(_of, lambda c: spread(c.gain))),
        Column("mAP50 difference", partial(_of, lambda c: spread(c.tests["map50"]))),
        Column("latency ratio", partial(_of, lambda c: bounds(c.latency))),
        Column("p (Holm)", partial(_of, lambda c: p_text(c.gain))),
        Column("claim", partial(_of, lambda c: claim(c.gain)), numeric=False),
        Column("seeds", lambda row: f"{row.seeds}"),
        Column("seeds needed", partial(_of, lambda c: f"{c.gain.seeds_needed or ''}")),
    ]


def _of(text: Callable[[Compared], str], row: Row) -> str:
    return "" if row.compared is None else text(row.compared)


def spread(found: Estimate) -> str:
    """E.g. `+0.0123 ± 0.0045`, without a half-width where the noise is not known."""
    half = formatting.plain(found.half_width, 4)
    return formatting.signed(found.mean) + (f" ± {half}" if half else "")


def bounds(ratio: Estimate) -> str:
    """E.g. `1.082 [1.079, 1.085]`."""
    ends = "" if isnan(ratio.low) else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return formatting.plain(ratio.mean, 3) + (ends if isfinite(ratio.mean) else "")


def p_text(gain: PairedTest) -> str:
    """The adjusted p-value, or nothing where nothing can be tested."""
    if gain.claim == UNKNOWN:
        return ""
    return f"<{SMALLEST_P}" if gain.p_holm < SMALLEST_P else f"{gain.p_holm:.4f}"


def claim(gain: PairedTest) -> str:
    """The claim, in place of `unknown` what stands in its way."""
    return gain.reason if gain.claim == UNKNOWN else gain.claim


def conditions(record: Record) -> str:
    """What the finalists were trained on and for how long, e.g. for a caption; only what is recorded."""
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
    return ", ".join(text for text, there in known if there)


def seeds_text(record: Record) -> str:
    """E.g. `5 paired seeds (0 to 4)`."""
    verification = record.verification
    seeds = sorted({seed for done in verification.trainings.values() for seed in done})
    where = f" ({seeds[0]} to {seeds[-1]})" if len(seeds) > 1 else ""
    planned = verification.settings.get("seeds")
    done = f"{verification.seeds_done}"
    return f"{done if verification.complete else f'{done} of {planned}'} paired seeds{where}"


def statistics(record: Record) -> str:
    """How the intervals and the p-values were made."""
    count = len(record.verification.finalists)
    pooled = any(finalist.gain.rows > 1 for finalist in record.verification.finalists)
    together = " with the noise of all finalists, seeds as blocks" if pooled else ""
    holm = f", Holm-corrected for {count} finalists within each metric" if count > 1 else ""
    grown = record.verification.scale_up
    control = f"; {grown.label} is a control of its own and not corrected" if grown and count > 1 else ""
    return (
        f"Differences to the baseline at the same seed with {100 * (1 - ALPHA):.0f} % intervals "
        f"(Student's t{together}{holm}{control}); latency as the ratio to the baseline's."
    )


def needed() -> str:
    """What the column of that name says."""
    return f"Seeds needed: paired seeds that show a true difference of {EFFECT} with {100 * POWER:.0f} % probability."


def missing(verification: Verification) -> Sequence[str]:
    """What is still to be trained, e.g. `#4 GAM@9 r8: 2 of 5 seeds`; empty if nothing is."""
    planned = int(verification.settings.get("seeds") or 0)
    return [
        f"{row.name}: {planned - row.seeds} of {planned} seeds" for row in rows(verification) if row.seeds < planned
    ]
