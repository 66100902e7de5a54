"""Read the arguments of a GAM row, or reject them: copied rows mean different modules in different repositories."""

from gamsearch.attention.legality import LARGEST_RATE, RowError


class GAMError(RowError):
    """A GAM row of a model YAML is illegal or ambiguous."""


def read_row(
    channels: int, rate: int, groups: int, shuffle: bool, padding: str, channel_gate: str, init: str
) -> tuple[int, int]:
    """Return (rate, groups) of a row `[channels, rate, groups, ...]`, or raise `GAMError`.

    A row `[c, c, rate]` above 64 channels is the reference's (in, out, rate). Smaller ones and `[c, c]` are rejected:
    `c, c` is (channels, rate), (in, out) or (in, out with groups), depending on the repository of origin.
    """
    _check_types(channels, rate, groups, shuffle)
    row = [channels, rate, groups]
    if channels < 1:
        raise GAMError("a GAM row needs the width of its map: write [c2], or [c2, rate] such as [c2, 4]")
    if rate == channels > LARGEST_RATE and 1 < groups <= LARGEST_RATE:
        rate, groups = groups, 1
    if rate == channels:
        raise GAMError(
            f"a GAM row that starts with {channels}, {channels} means different modules in different repositories: "
            "write [c2, rate] such as [c2, 4], or [c2, 4, 4, True, zeros] for the grouped ports"
        )
    if not 1 <= rate <= LARGEST_RATE:
        raise GAMError(
            f"the second argument of a GAM row is its rate, from 1 to {LARGEST_RATE}, not {rate}, which looks like a "
            "channel count: write [c2, rate] such as [c2, 4]"
        )
    if rate > channels:
        raise GAMError(
            f"the rate of a GAM must be smaller than its channels, but the row says {row[:2]}: lower the rate"
        )
    if groups < 1 or channels % groups or (channels // rate) % groups:
        raise GAMError(
            f"the groups of a GAM must divide its {channels} channels and its {channels // rate} hidden ones, "
            f"but the row says {groups}: use 1 or lower the rate"
        )
    for name, value, offered in (
        ("padding", padding, ("replicate", "zeros")),
        ("channel_gate", channel_gate, ("none", "sigmoid")),
        ("init", init, ("identity", "reference")),
    ):
        if value not in offered:
            raise GAMError(f"the {name} of a GAM must be {offered[0]} or {offered[1]}, not {value!r}")
    return rate, groups


def _check_types(channels: object, rate: object, groups: object, shuffle: object) -> None:
    for name, value in (("channels", channels), ("rate", rate), ("groups", groups)):
        if type(value) is not int:
            raise GAMError(
                f"the {name} of a GAM must be a whole number, not {value!r}: write [c2, rate] such as [c2, 4], "
                "or [c2, rate, groups]"
            )
    if type(shuffle) is not bool:
        raise GAMError(f"the fourth argument of a GAM row is shuffle, True or False, not {shuffle!r}")
