"""The catalogue entry of GAM. No torch."""

from collections.abc import Mapping
from typing import Any

from gamsearch.attention.copied_rows import CopiedRow
from gamsearch.attention.legality import LARGEST_RATE
from gamsearch.attention.spec import AttentionSpec


def _refuse_gam(channels: int, options: Mapping[str, Any]) -> str | None:
    """Legality of GAM: 1 <= rate < channels, rate <= 64, and groups that divide both widths of the spatial branch.

    A rate equal to the channels is refused: a row `[c, c]` could not be distinguished from a copied (in, out) pair.
    """
    rate, groups = options["rate"], options["groups"]
    if rate < 1 or groups < 1:
        return f"rate and groups must be at least 1, not {rate} and {groups}"
    if rate > LARGEST_RATE:
        return f"rate {rate} is above {LARGEST_RATE}; numbers that large are channel counts in copied rows"
    if rate > channels:
        return f"rate {rate} is larger than the {channels} channels; use a rate of at most {channels}"
    if rate == channels:
        return f"rate {rate} equals the channels and would leave one hidden channel; use a rate below {channels}"
    hidden = channels // rate
    if channels % groups or hidden % groups:
        return f"groups {groups} must divide the {channels} channels and the {hidden} hidden ones; use groups 1"
    return None


def _of_a_port(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a row `(channels in, channels out, group, rate)`: zero padding, and groups unless it denies them.

    A copied `[512, 512]` leaves `group` at its default, which is true (see `presets`, `grouped_ports`).
    """
    rate = given.get("rate", 4)
    if not given.get("group", True):
        return {"rate": rate, "padding": "zeros"}
    return {"rate": rate, "groups": rate, "shuffle": True, "padding": "zeros"}


SPECS = (
    AttentionSpec(
        name="GAM",
        title="Global Attention Mechanism",
        paper="arXiv 2112.05561",
        code="gamsearch.attention.gam:GAM",
        kind="both",
        strength="rate",
        nested=True,
        options={
            "rate": 4,
            "groups": 1,
            "shuffle": False,
            "padding": "replicate",
            "channel_gate": "none",
            "init": "identity",
        },
        choices={
            "padding": ("replicate", "zeros"),
            "channel_gate": ("none", "sigmoid"),
            "init": ("identity", "reference"),
        },
        presets={
            "authors": {},
            "grouped_ports": {"groups": 4, "shuffle": True, "padding": "zeros"},
            "sigmoid_ports": {"channel_gate": "sigmoid", "padding": "zeros"},
        },
        aliases=("GAM_Attention", "GAMAttention"),
        copied=(
            CopiedRow(("GAM",), (("rate",),)),
            CopiedRow(("GAM_Attention", "GAMAttention", "GAM_Att"), (("group", "rate"),), options=_of_a_port),
        ),
        refuse=_refuse_gam,
    ),
)
