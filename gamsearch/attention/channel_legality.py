"""Where the modules of `entries.channel` can be built; their constructors apply the same rules to rows. No torch."""

from gamsearch.attention.legality import Options, is_no_width, rate_leaves_a_channel


def se_legality(channels: int, options: Options) -> str | None:
    """Legality of SE: a rate that leaves a channel and is no width."""
    return is_no_width(channels, options, "rate", 16) or rate_leaves_a_channel(channels, options)
