"""The sentences that state a verification's result: what is better or worse than the baseline, with intervals."""

from collections.abc import Sequence

from gamsearch.analysis.finalist import Compared
from gamsearch.analysis.power import EFFECT
from gamsearch.analysis.significance import BETTER, UNCLEAR, UNKNOWN, WORSE, Estimate, PairedTest


def of_finalists(finalists: Sequence[Compared]) -> str:
    """Name the finalists that are better and those that are worse, or the largest difference if there are none."""
    groups = {claim: [f for f in finalists if f.gain.claim == claim] for claim in (BETTER, WORSE, UNCLEAR)}
    if not any(groups.values()):
        return _nothing_yet(finalists)
    sentences = [_claimed(groups[claim], claim, len(finalists)) for claim in (BETTER, WORSE) if groups[claim]]
    if groups[WORSE] and not groups[BETTER] and len(groups[WORSE]) < len(finalists):
        sentences.insert(0, "No finalist is shown to be better than the baseline.")
    return " ".join(sentences) or _unclear(groups[UNCLEAR])


def of_growth(finalist: Compared, grown: Compared, beyond: PairedTest) -> str:
    """State whether the finalist gains more for its latency than scaling up; `beyond` tests the difference."""
    verbs = {BETTER: "gains more than", WORSE: "gains less than", UNCLEAR: "is not distinguishable from"}
    gain = "" if grown.gain.claim == UNKNOWN else f" ({spread(grown.gain)}{grown.price})"
    return (
        f"For its latency {finalist.label} {verbs[beyond.claim]} scaling up to {grown.label}{gain}: "
        f"{spread(beyond)} against the straight line between the baseline and {grown.label} ({basis([beyond])})."
    )


def spread(found: Estimate) -> str:
    """Write an estimate with its interval.

    Args:
        found: The estimate, as a fraction of the primary metric.

    Returns:
        E.g. `+0.0123 ± 0.0045`.
    """
    return f"{found.mean:+.4f} ± {found.half_width:.4f}"


def _by(gain: PairedTest) -> str:
    """How much better or worse; without a sign after `worse`."""
    return f"{abs(gain.mean):.4f} ± {gain.half_width:.4f}" if gain.claim == WORSE else spread(gain)


def basis(found: Sequence[PairedTest]) -> str:
    """Say what intervals rest on.

    Args:
        found: The tests of one family.

    Returns:
        E.g. `95 %, 5 paired seeds, Holm-corrected for 3 finalists`.
    """
    counts = sorted({test.count for test in found})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    family = found[0].comparisons
    return f"95 %, {seeds} paired seeds" + (f", Holm-corrected for {family} finalists" if family > 1 else "")


def _nothing_yet(finalists: Sequence[Compared]) -> str:
    """Why none of the finalists can be tested."""
    equal = [finalist for finalist in finalists if finalist.gain.count > 1]
    if not equal:
        return "No conclusion yet: no finalist has two seeds paired with the baseline."
    first = equal[0]
    return f"No conclusion: for {first.label}, {first.gain.reason} ({first.gain.mean:+.4f} at each seed)."


def _claimed(group: Sequence[Compared], claim: str, among: int) -> str:
    """E.g. `A is better than the baseline by +0.0123 ± 0.0045 (95 %, 5 paired seeds) at +8 % latency.`"""
    ranked = sorted(group, key=lambda finalist: -abs(finalist.gain.mean))
    grounds = basis([finalist.gain for finalist in ranked])
    if len(ranked) == 1:
        one = ranked[0]
        return f"{one.label} is {claim} than the baseline by {_by(one.gain)} ({grounds}){one.price}."
    each = "; ".join(f"{finalist.label} by {_by(finalist.gain)}{finalist.price}" for finalist in ranked)
    return f"{len(ranked)} of {among} finalists are {claim} than the baseline: {each} ({grounds})."


def _unclear(group: Sequence[Compared]) -> str:
    """The largest difference if none is significant, and how many seeds would be enough."""
    largest = max(group, key=lambda finalist: abs(finalist.gain.mean))
    gain = largest.gain
    seeds = _seeds_needed(gain)
    if gain.comparisons == 1:
        return (
            f"{largest.label} is not shown to differ from the baseline: the difference is {spread(gain)} "
            f"({basis([gain])}); {seeds}."
        )
    return (
        f"No finalist is shown to differ from the baseline: the largest difference is {spread(gain)} "
        f"({largest.label}; {basis([gain])}); {seeds}."
    )


def _seeds_needed(gain: PairedTest) -> str:
    """How many seeds it takes to detect a difference of `EFFECT`, be it more than there are or fewer."""
    needed = gain.seeds_needed or 0
    if needed > gain.count:
        return f"seeing {EFFECT} would need about {needed} seeds"
    return f"about {needed} seeds are enough to see a true difference of {EFFECT}"
