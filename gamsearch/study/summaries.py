"""What a report says about a whole search in one sentence: inherited tensors, prediction error, saved epochs."""

from gamsearch.architecture import BASELINE
from gamsearch.errors import plural
from gamsearch.study.record import Record


def transfer(record: Record) -> str:
    """Summarise how much of the baseline the candidates inherited.

    Args:
        record: The run.

    Returns:
        A sentence such as `Inherited from the baseline: 355 of 355 tensors in each of 24 candidates; ...`; empty
        without complete candidates or counts.
    """
    rows = record.complete[record.complete["label"] != BASELINE]
    if rows.empty or "tensors_inherited" not in rows or rows["tensors_inherited"].isna().all():
        return ""
    least, expected = rows["tensors_inherited"].min(), rows["tensors_expected"].max()
    return (
        f"Inherited from the baseline: {least:.0f} of {expected:.0f} tensors in each of "
        f"{plural(record.counts.complete, 'candidate')}; {rows['misplaced'].max():.0f} were assigned to another layer."
    )


def prediction_error(record: Record) -> str:
    """Summarise how well latency was predicted for architectures of several modules that were also measured directly.

    The predictions add up increments of single modules, so none of these measurements was used for them.

    Args:
        record: The run.

    Returns:
        A sentence with the median and the largest error; empty if nothing was predicted.
    """
    rows = record.trials[record.trials["recalled_from"].isna() & record.trials["latency_ratio"].notna()]
    several = rows["architecture"].map(lambda form: len(form.get("placements", ())) > 1)
    rows = rows[several & rows["latency_ratio_foreseen"].notna()].drop_duplicates("key")
    errors = (rows["latency_ratio_foreseen"] / rows["latency_ratio"] - 1).abs()
    if errors.empty or errors.max() == 0:
        return ""
    measured = f"{plural(len(rows), 'architecture')} of several modules that were also measured directly"
    error = f"{100 * errors.median():.1f} % (median), {100 * errors.max():.1f} % at most"
    return f"Latency was predicted by an additive table; over {measured}, its error was {error}."


def economy(record: Record) -> str:
    """Summarise what early stopping saved.

    Args:
        record: The run.

    Returns:
        A sentence such as `90 epochs for 14 candidates, 280 if all were trained to the end.`; empty if none was saved.
        Candidates that failed, are running or were interrupted are left out: stopping them early saved nothing.
    """
    counts, rows = record.counts, record.trials[record.trials["label"] != BASELINE]
    rows = rows[rows["state"].isin(("complete", "pruned"))]
    judged, spent = counts.complete + counts.stopped + counts.paused, int(rows["epochs_trained"].fillna(0).sum())
    full = judged * int(rows["epochs"].fillna(0).max()) if judged else 0
    if spent == 0 or spent >= full:
        return ""
    return f"{plural(spent, 'epoch')} for {plural(judged, 'candidate')}, {full} if all were trained to the end."
