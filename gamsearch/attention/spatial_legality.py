"""Where the modules of `entries.spatial` can be built; their constructors apply the same rules to rows. No torch."""

from math import gcd

from gamsearch.attention.legality import (
    STARTS,
    Options,
    flag,
    is_no_width,
    must_divide,
    odd,
    one_of,
    rate_leaves_a_channel,
    whole_number,
)

LSKA_KERNELS = {7: (3, 3, 2), 11: (3, 5, 2), 23: (5, 7, 3), 35: (5, 11, 3), 41: (5, 13, 3), 53: (5, 17, 3)}
"""The kernels of LSKA: the side of the local kernel, that of the dilated one, and its dilation."""


def cbam_legality(channels: int, options: Options) -> str | None:
    """Legality of CBAM: a rate that leaves a channel; 3 and 7 are the kernel in rows of Ultralytics' CBAM."""
    if options["rate"] in (3, 7):
        side = options["rate"]
        return f"rate {side} is the kernel in rows of Ultralytics' own CBAM: write [c2, 16, {side}] for that kernel"
    return (
        is_no_width(channels, options, "rate", 16)
        or rate_leaves_a_channel(channels, options)
        or odd(options, "kernel")
        or flag(options, "norm")
        or flag(options, "bias")
    )


def coordatt_legality(channels: int, options: Options) -> str | None:
    """Legality of CoordAtt: any rate, since at least 8 hidden channels are kept."""
    return is_no_width(channels, options, "rate", 32) or one_of(options, "init", STARTS)


def triplet_legality(channels: int, options: Options) -> str | None:
    """Legality of Triplet: an odd kernel."""
    return odd(options, "kernel") or one_of(options, "init", STARTS)


def shuffle_legality(channels: int, options: Options) -> str | None:
    """Legality of ShuffleAttention: each group splits into two halves; a permuted output is no identity."""
    if reason := is_no_width(channels, options, "groups", 8):
        return reason
    groups = int(options["groups"])
    if channels % (2 * groups):
        return must_divide("2 x groups", 2 * groups, channels, "groups", gcd(channels, 2 * groups) // 2)
    if type(options["shuffle"]) is not bool:
        return (
            f"shuffle must be True or False, not {options['shuffle']!r}: "
            "a row (channels, reduction, groups) of other repositories is written [c2, groups] here"
        )
    if options["shuffle"] and options["init"] == "identity":
        return "shuffle permutes the channels, so that no start is the identity: write shuffle with init reference"
    return one_of(options, "init", STARTS)


def ema_legality(channels: int, options: Options) -> str | None:
    """Legality of EMA: at least two groups, which divide the channels."""
    if reason := is_no_width(channels, options, "factor", 8) or whole_number(options, "factor", 2):
        return reason
    factor = int(options["factor"])
    if channels % factor:
        return must_divide("factor", factor, channels, "factor", gcd(channels, factor))
    return one_of(options, "init", STARTS)


def lska_legality(channels: int, options: Options) -> str | None:
    """Legality of LSKA: one of the kernels that the paper decomposes."""
    if options["kernel"] not in LSKA_KERNELS:
        sides = ", ".join(map(str, LSKA_KERNELS))
        return f"kernel must be one of {sides}, not {options['kernel']!r}: write [c2], or [c2, kernel] such as [c2, 7]"
    return one_of(options, "init", STARTS)
