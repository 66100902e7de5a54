"""Where the modules of `entries.channel` can be built; their constructors apply the same rules to rows. No torch."""

from gamsearch.attention.legality import STARTS, Options, is_no_width, odd, one_of, rate_leaves_a_channel


def se_legality(channels: int, options: Options) -> str | None:
    """Legality of SE: a rate that leaves a channel and is no width."""
    return is_no_width(channels, options, "rate", 16) or rate_leaves_a_channel(channels, options)


def eca_legality(channels: int, options: Options) -> str | None:
    """Legality of ECA: an odd kernel, or 0 for the paper's; rows (kernel) of other repositories lack the channels."""
    if channels in (3, 5, 7, 9):
        return f"{channels} looks like the kernel, as in rows of other repositories: write [c2, {channels}]"
    if options["kernel"] == 0 and type(options["kernel"]) is int:
        return one_of(options, "init", STARTS)
    return is_no_width(channels, options, "kernel", 3) or odd(options, "kernel") or one_of(options, "init", STARTS)
