"""`@gamsearch.register.attention`: a torch module becomes an entry of the catalogue. No torch."""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from gamsearch.architecture import Option
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec, Refusal
from gamsearch.errors import SpaceError
from gamsearch.plugins.registry import first_line, origin_of

Module = TypeVar("Module", bound=type)


def attention(
    cls: Module | None = None,
    *,
    name: str = "",
    paper: str = "",
    refuse: Refusal | None = None,
    strength: str = "",
    stronger_is_smaller: bool = True,
    choices: Mapping[str, tuple[Option, ...]] | None = None,
    presets: Mapping[str, Mapping[str, Option]] | None = None,
) -> Any:
    """Register a torch module as an attention module: `@gamsearch.register.attention`.

    The class takes the number of channels first and its options after that, each with a default of type int, float, str
    or bool. `forward` maps `B x C x H x W` to the same shape, and `identity_()` makes the module return its input
    exactly (see `gamsearch.attention.registry.AttentionModule`; `gamsearch.testing` checks it).

    Args:
        cls: The class; left out where the decorator is called with arguments.
        name: What space files call it; the class's name by default.
        paper: Where it comes from.
        refuse: Says why it cannot be built with `(channels, options)`, or returns None. By default a `rate` must lie
            between 1 and the channels.
        strength: The option that is the ordinal level of a placement; `rate` by default where there is one.
        stronger_is_smaller: Whether a smaller `strength` is a stronger module.
        choices: The values that an option is restricted to.
        presets: Named sets of options.

    Returns:
        The class, unchanged.

    Raises:
        SpaceError: The constructor has an argument without a default, or the name is taken.
    """

    stated = {"paper": paper, "stronger_is_smaller": stronger_is_smaller, "choices": choices, "presets": presets}

    def register(cls: Module) -> Module:
        spec = _spec_of(cls, name or cls.__name__, strength, refuse or _refuse_rate, stated)
        CATALOGUE.add(spec.name, spec, spec.code)
        return cls

    return register if cls is None else register(cls)


def _spec_of(cls: type, name: str, strength: str, refuse: Refusal, stated: Mapping[str, Any]) -> AttentionSpec:
    """The catalogue entry of a class; what is not `stated` has the specification's default."""
    options = _options_of(cls)
    level = strength or ("rate" if "rate" in options else "")
    if level and level not in options:
        raise SpaceError(
            f"{cls.__name__} has no option '{level}' that could be its strength; "
            f"its constructor has {', '.join(options) or 'none'}"
        )
    return AttentionSpec(
        name=name,
        title=first_line(cls).rstrip("."),
        code=origin_of(cls),
        options=options,
        refuse=refuse,
        strength=level,
        cls=cls,
        **{key: value for key, value in stated.items() if value is not None},
    )


def _options_of(cls: type) -> dict[str, Option]:
    """The constructor's arguments after the channels, with their defaults."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    for parameter in parameters:
        if type(parameter.default) not in (int, float, str, bool):
            raise SpaceError(
                f"{cls.__name__}: the constructor's argument '{parameter.name}' must have a default of type int, "
                "float, str or bool, since rows of a model YAML hold such values only"
            )
    return {parameter.name: parameter.default for parameter in parameters}


def _refuse_rate(channels: int, options: Mapping[str, Any]) -> str | None:
    """A reduction rate must leave at least one hidden channel."""
    rate = options.get("rate")
    if rate is not None and not 1 <= rate <= channels:
        return f"rate {rate} must be between 1 and the {channels} channels"
    return None
