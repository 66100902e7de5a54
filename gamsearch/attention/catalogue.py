"""What each attention module is called, which options it takes and where they are legal. No torch.

The space validates against this catalogue, the graft writes rows from it, and the torch classes are held to it by the
contract tests. A module's arguments in a YAML row are its channels, then its options in the order given here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gamsearch.architecture import Option
from gamsearch.errors import SpaceError, nearest

Refusal = Callable[[int, Mapping[str, Option]], str | None]


@dataclass(frozen=True)
class AttentionSpec:
    """The torch-free half of an attention module.

    `options` maps option names to defaults, in the order of the constructor's arguments; `strength` names the option
    that is the ordinal strength of a placement (for GAM its reduction rate), ordered from weak to strong by
    `stronger_is_smaller`; `refuse(channels, options)` returns why a combination is illegal, or None. `presets` are
    named sets of options. `code` is the `module:Class` that implements it; `aliases` are the names that copied
    community rows give it and that are published beside its own.
    """

    name: str
    title: str
    paper: str
    code: str
    options: Mapping[str, Option]
    refuse: Refusal
    strength: str = "rate"
    stronger_is_smaller: bool = True
    choices: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    def complete(self, options: Mapping[str, Option]) -> dict[str, Option]:
        """Return all options in constructor order, defaults filled in; an unknown name or value raises `SpaceError`."""
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options)
                raise SpaceError(f"{self.name} has no option '{name}'{nearest(name, self.options)}; it has {known}")
            if type(value) is not type(self.options[name]):
                kind = type(self.options[name]).__name__
                raise SpaceError(f"{self.name} option '{name}' must be of type {kind}, not {value!r}")
            if name in self.choices and value not in self.choices[name]:
                offered = ", ".join(map(str, self.choices[name]))
                raise SpaceError(f"{self.name} option '{name}' must be one of {offered}, not {value!r}")
        return {**self.options, **options}

    def canonical(self, options: Mapping[str, Option]) -> tuple[tuple[str, Option], ...]:
        """Sorted pairs of the options that differ from the defaults, plus the strength; equal modules compare equal."""
        complete = self.complete(options)
        return tuple(sorted((k, v) for k, v in complete.items() if k == self.strength or v != self.options[k]))

    def row_arguments(self, options: Mapping[str, Option]) -> list[Option]:
        """Positional arguments after the channels for a YAML row, trailing defaults left out except the strength."""
        pairs = list(self.complete(options).items())
        while pairs and pairs[-1][0] != self.strength and pairs[-1][1] == self.options[pairs[-1][0]]:
            pairs.pop()
        return [value for _, value in pairs]

    def check(self, channels: int, options: Mapping[str, Option]) -> None:
        """Raise `SpaceError` with one sentence if the module cannot be built on `channels` with `options`."""
        reason = self.refuse(channels, self.complete(options))
        if reason:
            raise SpaceError(f"{self.name}: {reason}")


def _refuse_gam(channels: int, options: Mapping[str, Any]) -> str | None:
    """Legality of GAM: 1 <= rate < channels, rate <= 64, and groups that divide both widths of the spatial branch.

    Rate equal to the channels is left out because a row `[c, c]` could then not be told from a copied (in, out) pair.
    """
    rate, groups = options["rate"], options["groups"]
    if rate < 1 or groups < 1:
        return f"rate and groups must be at least 1, not {rate} and {groups}"
    if rate > MAX_RATE:
        return f"rate {rate} is above {MAX_RATE}; numbers that large are channel counts in copied rows"
    if rate > channels:
        return f"rate {rate} is larger than the {channels} channels; use a rate of at most {channels}"
    if rate == channels:
        return f"rate {rate} equals the channels and would leave one hidden channel; use a rate below {channels}"
    hidden = channels // rate
    if channels % groups or hidden % groups:
        return f"groups {groups} must divide the {channels} channels and the {hidden} hidden ones; use groups 1"
    return None


MAX_RATE = 64

CATALOGUE: dict[str, AttentionSpec] = {
    "GAM": AttentionSpec(
        name="GAM",
        title="Global Attention Mechanism",
        paper="arXiv 2112.05561",
        code="gamsearch.attention.gam:GAM",
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
        refuse=_refuse_gam,
    ),
}


def spec_named(name: str) -> AttentionSpec:
    """Return the attention module called `name`, or say which there are."""
    if name not in CATALOGUE:
        raise SpaceError(
            f"there is no attention module '{name}'{nearest(name, CATALOGUE)}; there are {', '.join(CATALOGUE)}"
        )
    return CATALOGUE[name]
