"""The catalogue entries of modules whose gate distinguishes pixels. No torch."""

from collections.abc import Mapping

from gamsearch.architecture import Option
from gamsearch.attention import spatial_legality as legality
from gamsearch.attention.copied_rows import CopiedRow
from gamsearch.attention.legality import STARTS
from gamsearch.attention.spec import AttentionSpec


def _floored_coordatt(channels: int, options: Mapping[str, Option]) -> tuple[str, Mapping[str, Option]] | None:
    """All rates that leave CoordAtt its least number of hidden channels, 8, are recorded as the smallest of them."""
    floored = channels // int(options["rate"]) <= 8
    return ("CoordAtt", {**options, "rate": -(-channels // 8)}) if floored else None


SPECS = (
    AttentionSpec(
        name="CBAM",
        title="Convolutional Block Attention Module, the paper's (not the module that Ultralytics ships as CBAM)",
        paper="arXiv 1807.06521",
        code="gamsearch.attention.zoo.cbam:CBAMPaper",
        kind="both",
        start="gain",
        strength="rate",
        nested=True,
        options={"rate": 16, "kernel": 7, "norm": True, "bias": True, "init": "identity"},
        choices={"init": STARTS},
        presets={"ports": {"norm": False, "bias": False}},
        row="CBAMPaper",
        aliases=("CBAMBlock",),
        copied=(
            CopiedRow(
                ("CBAM", "CBAMBlock", "CBAM_Attention", "cbam"),
                (("kernel",), ("rate", "kernel")),
                remark="read as the paper's; the one that Ultralytics ships has another channel gate",
            ),
        ),
        refuse=legality.cbam_legality,
    ),
    AttentionSpec(
        name="CoordAtt",
        title="Coordinate Attention",
        paper="arXiv 2103.02907",
        code="gamsearch.attention.zoo.coordatt:CoordAtt",
        kind="both",
        start="gain",
        strength="rate",
        nested=True,
        options={"rate": 32, "init": "identity"},
        choices={"init": STARTS},
        aliases=("CoordAttention",),
        copied=(CopiedRow(("CoordAtt", "CoordAttention", "CA", "CA_Block", "CABlock"), (("rate",),)),),
        refuse=legality.coordatt_legality,
        equals=_floored_coordatt,
    ),
    AttentionSpec(
        name="Triplet",
        title="Triplet Attention",
        paper="arXiv 2010.03045",
        code="gamsearch.attention.zoo.triplet:Triplet",
        kind="both",
        start="gain",
        options={"kernel": 7, "init": "identity"},
        choices={"init": STARTS},
        aliases=("TripletAttention",),
        copied=(CopiedRow(("Triplet", "TripletAttention")),),
        refuse=legality.triplet_legality,
    ),
    AttentionSpec(
        name="ShuffleAttention",
        title="Shuffle Attention",
        paper="arXiv 2102.00240",
        code="gamsearch.attention.zoo.shuffle:ShuffleAttention",
        copied=(
            CopiedRow(
                ("ShuffleAttention", "SA", "sa_layer"),
                (("_reduction", "groups"),),
                remark="read without the shuffle at its end, which would permute the channels of its readers",
            ),
        ),
        kind="both",
        start="gain",
        strength="groups",
        options={"groups": 8, "shuffle": False, "init": "identity"},
        choices={"init": STARTS},
        presets={
            "paper_without_shuffle": {"groups": 64},
            "paper": {"groups": 64, "shuffle": True, "init": "reference"},
        },
        refuse=legality.shuffle_legality,
    ),
    AttentionSpec(
        name="EMA",
        title="Efficient Multi-scale Attention",
        paper="arXiv 2305.13563",
        code="gamsearch.attention.zoo.ema:EMA",
        copied=(CopiedRow(("EMA", "EMAttention", "EMA_attention", "EMAAttention"), (("factor",),)),),
        kind="spatial",
        start="gain",
        strength="factor",
        options={"factor": 8, "init": "identity"},
        choices={"init": STARTS},
        presets={"paper": {"factor": 32}},
        refuse=legality.ema_legality,
    ),
    AttentionSpec(
        name="LSKA",
        title="Large Separable Kernel Attention",
        paper="arXiv 2309.01439",
        code="gamsearch.attention.zoo.lska:LSKA",
        copied=(CopiedRow(("LSKA",), (("kernel",),)),),
        kind="both",
        start="paper",
        strength="kernel",
        stronger_is_smaller=False,
        options={"kernel": 7, "init": "identity"},
        choices={"init": STARTS},
        presets={"sppf": {"kernel": 11}, "paper": {"kernel": 23}},
        refuse=legality.lska_legality,
    ),
)
