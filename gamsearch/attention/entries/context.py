"""The catalogue entries of modules whose output at a pixel depends on the whole map. No torch."""

from gamsearch.attention import context_legality as legality
from gamsearch.attention.legality import STARTS
from gamsearch.attention.spec import AttentionSpec

SPECS = (
    AttentionSpec(
        name="ContextAggregation",
        title="Context Aggregation Block of CATNet",
        paper="arXiv 2111.11057",
        code="gamsearch.attention.zoo.context_aggregation:ContextAggregation",
        kind="both",
        start="paper",
        strength="rate",
        options={"rate": 1},
        refuse=legality.aggregation_legality,
    ),
    AttentionSpec(
        name="DoubleAttention",
        title="Double Attention of A2-Nets",
        paper="arXiv 1810.11579",
        code="gamsearch.attention.zoo.double_attention:DoubleAttention",
        kind="both",
        start="paper",
        strength="rate",
        options={"rate": 4, "init": "identity"},
        choices={"init": STARTS},
        refuse=legality.double_legality,
    ),
    AttentionSpec(
        name="Sea_Attention",
        title="Squeeze-enhanced Axial Attention of SeaFormer",
        paper="arXiv 2301.13156",
        code="gamsearch.attention.zoo.sea_attention:Sea_Attention",
        kind="both",
        start="paper",
        strength="rate",
        options={"rate": 4, "init": "identity"},
        choices={"init": STARTS},
        refuse=legality.sea_legality,
    ),
    AttentionSpec(
        name="DRConv",
        title="Dynamic Region-Aware Convolution as a residual row (experimental)",
        paper="arXiv 2003.12243",
        code="gamsearch.attention.zoo.dr_conv:DRConv",
        kind="both",
        start="blend",
        lr_factor=1.0,
        strength="rate",
        options={"rate": 4, "kernel": 3, "regions": 4, "init": "identity"},
        choices={"kernel": (1, 3), "init": STARTS},
        refuse=legality.dynamic_legality,
    ),
)
