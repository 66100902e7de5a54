"""The catalogue entries of modules whose gate follows from pooled channels. No torch."""

from gamsearch.attention import channel_legality as legality
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
        refuse=legality.se_legality,
    ),
    AttentionSpec(
        name="ECA",
        title="Efficient Channel Attention",
        paper="arXiv 1910.03151",
        code="gamsearch.attention.zoo.eca:ECA",
        kind="channel",
        start="gain",
        options={"kernel": 0, "init": "identity"},
        choices={"init": STARTS},
        presets={"ports": {"kernel": 3}},
        aliases=("ECAAttention",),
        refuse=legality.eca_legality,
    ),
)
