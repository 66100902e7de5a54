"""What a command that times a network prints: its result in the last line, or the summary of a known tool.

The result is JSON such as `{"latency_ms": [5.1, 5.0], "device": "Jetson Orin", "precision": "fp16"}`, in which only
`latency_ms` is needed, or a number of milliseconds.
"""

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gamsearch.errors import CandidateFailed, one_line

TOOLS = {
    "trtexec": re.compile(r"GPU Compute Time:.*?median = ([\d.]+) (ms)"),
    "benchmark_app": re.compile(r"Median:\s+([\d.]+) (ms|us)"),
}
"""Tools whose own output is understood: where they print the median and its unit."""
MS = {"ms": 1.0, "us": 1e-3}


@dataclass(frozen=True)
class Timed:
    """What one call of the command said.

    Attributes:
        times: Milliseconds of one pass each, or their median alone.
        device: Where the network ran; empty if the command does not say.
        precision: In what precision; empty if the command does not say.
    """

    times: tuple[float, ...]
    device: str = ""
    precision: str = ""


def understood(text: str) -> Timed:
    """Read what a command printed.

    Args:
        text: Its standard output.

    Returns:
        The result in its last line, or the summary of a known tool.

    Raises:
        CandidateFailed: There is none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    for pattern in TOOLS.values():
        if printed := pattern.findall(text):
            value, unit = printed[-1]
            return _checked([float(value) * MS[unit]], {}, last)
    try:
        said = json.loads(last)
    except ValueError:
        said = None
    values = said.get("latency_ms") if isinstance(said, dict) else said
    return _checked(values if isinstance(values, list) else [values], said if isinstance(said, dict) else {}, last)


def _checked(values: list[Any], said: dict[str, Any], last: str) -> Timed:
    numbers = [float(v) for v in values if type(v) in (int, float)]
    if not numbers or len(numbers) < len(values) or not all(isfinite(v) and v > 0 for v in numbers):
        raise CandidateFailed(
            "latency",
            'the command of --latency must print JSON such as {"latency_ms": 5.1} or a number last, not '
            f"'{one_line(last)[:200]}'",
        )
    return Timed(tuple(numbers), one_line(said.get("device") or ""), one_line(said.get("precision") or ""))
