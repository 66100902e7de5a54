"""The catalogue entries of modules whose gate follows from means and variances of the channels. No torch."""

from collections.abc import Mapping

from gamsearch.architecture import Option
from gamsearch.attention import channel_legality as legality
from gamsearch.attention.copied_rows import CopiedRow
from gamsearch.attention.legality import STARTS
from gamsearch.attention.spec import AttentionSpec


def _derived_kernel(channels: int, options: Mapping[str, Option]) -> tuple[str, Mapping[str, Option]] | None:
    """The kernel that ECA derives from the width is recorded as 0."""
    return ("ECA", {**options, "kernel": 0}) if options["kernel"] == legality.eca_kernel(channels) else None


def _se_of_senetv2(channels: int, options: Mapping[str, Option]) -> tuple[str, Mapping[str, Option]] | None:
    """Without biases, SENetV2 is SE with a quarter of the rate."""
    rate = int(options["rate"])
    return None if options["bias"] or rate % 4 else ("SE", {"rate": rate // 4, "init": options["init"]})


SPECS = (
    AttentionSpec(
        name="SE",
        title="Squeeze-and-Excitation",
        paper="arXiv 1709.01507",
        code="gamsearch.attention.zoo.se:SE",
        kind="channel",
        start="gain",
        strength="rate",
        nested=True,
        options={"rate": 16, "init": "identity"},
        choices={"init": STARTS},
        aliases=("SEAttention", "SELayer"),
        copied=(CopiedRow(("SE", "SEAttention", "SELayer", "SEBlock", "SE_Block", "SEModule"), (("rate",),)),),
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
        copied=(
            CopiedRow(
                ("ECA", "ECAAttention", "eca_layer", "ECALayer", "EfficientChannelAttention"),
                (("kernel",),),
                {"kernel": 3},
            ),
        ),
        equals=_derived_kernel,
        refuse=legality.eca_legality,
    ),
    AttentionSpec(
        name="MLCA",
        title="Mixed Local Channel Attention",
        paper="EAAI 123 (2023) 106442",
        code="gamsearch.attention.zoo.mlca:MLCA",
        copied=(CopiedRow(("MLCA",), (("local", "_gamma", "_b", "weight"),)),),
        kind="both",
        start="gain",
        strength="local",
        nested=True,
        stronger_is_smaller=False,
        options={"local": 5, "weight": 0.5, "init": "identity"},
        choices={"init": STARTS},
        refuse=legality.mlca_legality,
    ),
    AttentionSpec(
        name="SimAM",
        title="Simple, Parameter-Free Attention Module",
        paper="ICML 2021, PMLR 139",
        code="gamsearch.attention.zoo.simam:SimAM",
        copied=(CopiedRow(("SimAM", "simam_module", "Simam_module", "SimAM_module"), (("e_lambda",),)),),
        kind="both",
        start="blend",
        lr_factor=10.0,
        options={"e_lambda": 1e-4, "init": "identity"},
        choices={"init": STARTS},
        refuse=legality.simam_legality,
    ),
    AttentionSpec(
        name="SENetV2",
        title="Aggregated Squeeze-and-Excitation of SENetV2",
        paper="arXiv 2311.10807",
        code="gamsearch.attention.zoo.senetv2:SENetV2",
        kind="channel",
        start="gain",
        strength="rate",
        nested=True,
        options={"rate": 16, "bias": True, "init": "identity"},
        choices={"init": STARTS},
        presets={"ports": {"bias": False}},
        aliases=("SELayerV2",),
        copied=(CopiedRow(("SENetV2", "SELayerV2", "SENetv2"), (("rate",),), {"bias": False}),),
        equals=_se_of_senetv2,
        refuse=legality.senetv2_legality,
    ),
    AttentionSpec(
        name="NAM",
        title="Normalization-based Attention Module",
        paper="arXiv 2111.12419",
        code="gamsearch.attention.zoo.nam:NAM",
        kind="both",
        start="blend",
        lr_factor=10.0,
        options={"init": "identity"},
        choices={"init": STARTS},
        aliases=("NAMAttention",),
        copied=(CopiedRow(("NAM", "NAMAttention", "NAM_Attention")),),
        refuse=legality.nam_legality,
    ),
)
