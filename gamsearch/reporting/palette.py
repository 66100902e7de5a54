"""Colours that people with any colour vision can tell apart (Okabe and Ito), one meaning each."""

INK = "#1d2329"
MUTED = "#5d6772"
HAIRLINE = "#e3e7eb"
FAINT = "#d5dade"
REST = "#a9b1ba"
PAPER = "#ffffff"

BASELINE = "#000000"
FRONT = "#0072B2"
ATTENTION = "#E69F00"
BAND = "#f1f3f5"
WORSE = "#D55E00"
CONTROL = "#009E73"

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot")


def series(index: int) -> tuple[str, str]:
    """Colour and dash of the `index`-th curve; colours repeat only with another dash."""
    return SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
