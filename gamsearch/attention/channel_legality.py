"""Where the modules of `entries.channel` can be built; their constructors apply the same rules to rows. No torch."""

from math import gcd, log2

from gamsearch.attention.legality import (
    STARTS,
    Options,
    flag,
    is_no_width,
    must_divide,
    odd,
    one_of,
    rate_leaves_a_channel,
)


def se_legality(channels: int, options: Options) -> str | None:
    """Legality of SE: a rate that leaves a channel and is no width."""
    return is_no_width(channels, options, "rate", 16) or rate_leaves_a_channel(channels, options)


def eca_kernel(channels: int) -> int:
    """The kernel that the paper of ECA derives from the width: (log2 C + 1) / 2, an even one made odd by adding 1."""
    whole = int((log2(channels) + 1) / 2)
    return whole + (whole + 1) % 2


def eca_legality(channels: int, options: Options) -> str | None:
    """Legality of ECA: an odd kernel, or 0 for the paper's; rows (kernel) of other repositories lack the channels."""
    if channels in (3, 5, 7, 9):
        return f"{channels} looks like the kernel, as in rows of other repositories: write [c2, {channels}]"
    if options["kernel"] == 0 and type(options["kernel"]) is int:
        return one_of(options, "init", STARTS)
    return is_no_width(channels, options, "kernel", 3) or odd(options, "kernel") or one_of(options, "init", STARTS)


def senetv2_legality(channels: int, options: Options) -> str | None:
    """Legality of SENetV2: that of SE; as in the ports, which have no biases, the rate then divides the channels."""
    if reason := se_legality(channels, options) or flag(options, "bias"):
        return reason
    rate = int(options["rate"])
    if not options["bias"] and channels % rate:
        return must_divide("rate", rate, channels, "rate", gcd(channels, rate))
    return None


def mlca_legality(channels: int, options: Options) -> str | None:
    """Legality of MLCA: a number of cells that is no width, and gates of both kinds."""
    if reason := is_no_width(channels, options, "local", 5):
        return reason
    weight = options["weight"]
    if type(weight) is not float or not 0 < weight < 1:
        return (
            f"weight must be a number between 0 and 1, such as 0.5, not {weight!r}: "
            "a row (channels, local, gamma, b, weight) of other repositories is written [c2, local, weight]"
        )
    return one_of(options, "init", STARTS)


def simam_legality(channels: int, options: Options) -> str | None:
    """Legality of SimAM: a small positive e_lambda."""
    small = options["e_lambda"]
    if type(small) is not float or not 0 < small <= 1:
        return f"e_lambda must be a small number above 0, such as 0.0001, not {small!r}: write [c2], or [c2, 0.0001]"
    return one_of(options, "init", STARTS)


def nam_legality(channels: int, options: Options) -> str | None:
    """Legality of NAM: any width; a second number is a width of copied rows."""
    if type(options["init"]) is int:
        return f"{options['init']} looks like a channel count, as in rows (in, out) of other repositories: write [c2]"
    return one_of(options, "init", STARTS)
