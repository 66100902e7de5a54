"""The catalogue entries of modules whose gate has one value per channel. No torch."""

from gamsearch.attention.channel_legality import se_legality
from gamsearch.attention.legality import STARTS
from gamsearch.attention.spec import AttentionSpec

SPECS = (
    AttentionSpec(
        name="SE",
        title="Squeeze-and-Excitation",
        paper="arXiv 1709.01507",
        code="gamsearch.attention.zoo.se:SE",
        kind="channel",
        start="gain",
        strength="rate",
        options={"rate": 16, "init": "identity"},
        choices={"init": STARTS},
        aliases=("SEAttention", "SELayer"),
        refuse=se_legality,
    ),
)
