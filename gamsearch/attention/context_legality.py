"""Where the modules of `entries.context` can be built; their constructors apply the same rules to rows. No torch."""

from gamsearch.attention.legality import STARTS, Options, is_no_width, one_of, rate_leaves_a_channel, whole_number

SEA_HEADS = 4
"""Heads of Sea_Attention."""


def aggregation_legality(channels: int, options: Options) -> str | None:
    """Legality of ContextAggregation: a rate that leaves a channel and is no width."""
    return is_no_width(channels, options, "rate", 1) or rate_leaves_a_channel(channels, options)


def double_legality(channels: int, options: Options) -> str | None:
    """Legality of DoubleAttention: a rate that leaves a channel; ports write (channels, c_m, c_n)."""
    if reason := one_of(options, "init", STARTS):
        return (
            f"{reason}: a row (channels, c_m, c_n) of other repositories is written [c2, rate] here, "
            "where c_m and c_n are channels // rate"
        )
    return is_no_width(channels, options, "rate", 4) or rate_leaves_a_channel(channels, options)


def sea_legality(channels: int, options: Options) -> str | None:
    """Legality of Sea_Attention: a rate that leaves each head a channel; the reference has (dim, key_dim, heads)."""
    if reason := one_of(options, "init", STARTS):
        return (
            f"{reason}: a row (channels, key_dim, num_heads) of other repositories is written [c2, rate] here, "
            f"where there are {SEA_HEADS} heads with key_dim = channels // ({SEA_HEADS} x rate)"
        )
    if reason := is_no_width(channels, options, "rate", 4):
        return reason
    if int(options["rate"]) * SEA_HEADS > channels:
        return (
            f"rate {options['rate']} leaves less than one of the {channels} channels for each of {SEA_HEADS} heads; "
            f"use a rate of at most {channels // SEA_HEADS}"
        )
    return None


def dynamic_legality(channels: int, options: Options) -> str | None:
    """Legality of DRConv: a rate that is no kernel as in rows of the convolution, kernel 1 or 3, 2 to 8 regions."""
    if options["rate"] in (1, 3) or options["kernel"] not in (1, 3):
        value = f"kernel must be 1 or 3, not {options['kernel']!r}"
        if options["kernel"] in (1, 3):
            value = f"rate {options['rate']} looks like a kernel"
        return (
            f"{value}: a row (channels, kernel, regions) of the convolution is written [c2, rate, kernel, regions] "
            "here, where it becomes a residual row"
        )
    if reason := is_no_width(channels, options, "rate", 4) or rate_leaves_a_channel(channels, options):
        return reason
    if reason := whole_number(options, "regions", 2):
        return reason
    return f"regions must be at most 8, not {options['regions']}" if int(options["regions"]) > 8 else None


def shipped_legality(channels: int, options: Options) -> str | None:
    """Legality of the rows made of Ultralytics' blocks: any width, a number of blocks that is no width."""
    return is_no_width(channels, options, "blocks", 1) or one_of(options, "init", STARTS)
