"""What is known of an attention module without torch: its name, its options, and where these are legal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gamsearch.architecture import Option
from gamsearch.attention.copied_rows import CopiedRow
from gamsearch.errors import SpaceError, nearest

Refusal = Callable[[int, Mapping[str, Option]], str | None]
"""`(channels, options)` to one sentence that says why the module cannot be built so, or None."""

Equal = Callable[[int, Mapping[str, Option]], tuple[str, Mapping[str, Option]] | None]
"""`(channels, options)` to the name and options of another module that computes the same, or None."""

INNER_ROW = "InnerAttention"
"""What YAML rows call a block with attention inside it: the class of `gamsearch.attention.inner`."""
INNER_ARGUMENTS = [str, list, str, list]
"""Types of the arguments of such a row: a block and its arguments, a module and its options."""
REFERENCE = "reference"
"""The start of a module whose option `init` asks for the paper's own initialisation."""
KINDS = {"channel": "channel", "spatial": "spatial", "both": "channel and spatial"}
START_WORDS = {
    "paper": "starts as the identity by its own parameters",
    "gain": "starts as the identity by its own parameters and a constant factor",
    "blend": "starts as the identity by a blend x + gamma (f(x) - x) with gamma 0",
    REFERENCE: "starts with the paper's initialisation, not as the identity",
}


@dataclass(frozen=True)
class AttentionSpec:
    """The torch-free half of an attention module.

    Attributes:
        name: What space files, YAML rows and labels call it.
        title: Its full name.
        paper: Where it comes from, e.g. `arXiv 2112.05561`.
        code: `module:Class` that implements it.
        options: Option names with their defaults, in the order of the constructor's arguments.
        refuse: Says why a combination of channels and options cannot be built, or returns None.
        strength: The option that is the ordinal level of a placement (for GAM its reduction rate), or empty.
        stronger_is_smaller: Whether a smaller value of `strength` is a stronger module.
        nested: Whether a weaker module computes what a stronger one does with fewer hidden units, so that both can
            share weights in a supernet; every parameter is then a leading part of the stronger one's.
        choices: The values that an option is restricted to.
        presets: Named sets of options.
        kind: What its gate distinguishes: `channel`, `spatial` or `both`.
        start: How it becomes the exact identity: `paper` (its own parameters do it), `gain` (they do it up to a
            constant power of two, the attribute `gain` of the module), or `blend` (x + gamma * (f(x) - x), gamma 0).
        lr_factor: Factor of the learning rate of its parameters.
        row: What YAML rows call it, where another class already has its name; by default its name.
        aliases: Names that copied community rows give the module; they are registered beside its own.
        copied: What rows of other repositories mean, by their names; else options in the constructor's order.
        equals: `(channels, options)`, with all options, to the name and options of the form in which an equal module
            is recorded, or None if these are it; equal architectures then have one key.
        cls: The class itself where a decorator has seen it; else `code` is imported when it is needed.
    """

    name: str
    title: str
    paper: str
    code: str
    options: Mapping[str, Option]
    refuse: Refusal
    strength: str = ""
    stronger_is_smaller: bool = True
    nested: bool = False
    choices: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    kind: str = "both"
    start: str = "paper"
    lr_factor: float = 3.0
    row: str = ""
    aliases: tuple[str, ...] = ()
    copied: tuple[CopiedRow, ...] = ()
    equals: Equal | None = None
    cls: type | None = field(default=None, compare=False, repr=False)

    @property
    def row_name(self) -> str:
        """What YAML rows call the module."""
        return self.row or self.name

    @property
    def origin(self) -> str:
        """Full name, paper and kind in words, e.g. `Global Attention Mechanism (arXiv 2112.05561), channel and ...`."""
        paper = f" ({self.paper})" if self.paper else ""
        return f"{self.title}{paper}, {KINDS.get(self.kind, self.kind)}"

    def start_of(self, options: Mapping[str, Option]) -> str:
        """Name the form in which a module starts.

        Args:
            options: Some of the module's options.

        Returns:
            A key of `START_WORDS`: `start`, or `reference` where the option `init` asks for it.
        """
        return REFERENCE if self.complete(options).get("init", "identity") != "identity" else self.start

    def complete(self, options: Mapping[str, Option]) -> dict[str, Option]:
        """Fill in defaults.

        Args:
            options: Some of the module's options.

        Returns:
            All options in constructor order.

        Raises:
            SpaceError: An option is unknown, or its value has the wrong type or is not among its choices.
        """
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
        """Bring options into the form in which equal modules compare equal.

        Args:
            options: Some of the module's options.

        Returns:
            Sorted pairs of those that differ from their defaults, plus the strength.
        """
        complete = self.complete(options)
        return tuple(sorted((k, v) for k, v in complete.items() if k == self.strength or v != self.options[k]))

    def row_arguments(self, options: Mapping[str, Option]) -> list[Option]:
        """Write options as the arguments of a YAML row.

        Args:
            options: Some of the module's options.

        Returns:
            The positional arguments after the channels, without trailing defaults other than the strength.
        """
        pairs = list(self.complete(options).items())
        while pairs and pairs[-1][0] != self.strength and pairs[-1][1] == self.options[pairs[-1][0]]:
            pairs.pop()
        return [value for _, value in pairs]

    def check(self, channels: int, options: Mapping[str, Option]) -> None:
        """Check that the module can be built.

        Args:
            channels: Width of the map.
            options: Some of the module's options.

        Raises:
            SpaceError: It cannot; the message says why.
        """
        reason = self.refuse(channels, self.complete(options))
        if reason:
            raise SpaceError(f"{self.name}: {reason}")
