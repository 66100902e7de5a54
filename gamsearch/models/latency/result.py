"""The result of one latency measurement, apart from the code that measures."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Latency:
    """One paired measurement of a candidate and the baseline, batch 1. Intervals are 95 % bootstrap intervals.

    Attributes:
        latency_ms: `ratio` times the study's reference latency of the baseline.
        ratio: Candidate / baseline, each relative to the rows that both share.
        ratio_low: Lower end of its interval.
        ratio_high: Upper end of its interval.
        paired_ratio: Median ratio of whole passes.
        paired_low: Lower end of its interval.
        paired_high: Upper end of its interval.
        iqr_ms: Interquartile range of the candidate's passes.
        measured_ms: Median of the candidate's passes.
        baseline_ms: Median of the baseline's passes.
        rounds: Passes of each network.
        backend: Name of the latency backend.
        device: Name of the hardware.
        precision: `fp16` or `fp32`, or what a command says.
        threads: CPU threads, 0 on an accelerator.
        clock: The clock that the times come from: `thread CPU`, `device events`, `wall`, or `command` for a user's own.
        imgsz: Image size in px.
    """

    latency_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    paired_ratio: float
    paired_low: float
    paired_high: float
    iqr_ms: float
    measured_ms: float
    baseline_ms: float
    rounds: int
    backend: str
    device: str
    precision: str
    threads: int
    clock: str
    imgsz: int

    def to_dict(self) -> dict[str, float | int | str]:
        """JSON-ready form."""
        return asdict(self)
