"""Which checks there are for an entry of a registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gamsearch.errors import OptionError, nearest
from gamsearch.plugins.registry import Registry


@dataclass(frozen=True)
class Check:
    """One check of one entry; calling it raises `AssertionError` with one sentence where the entry breaks the contract.

    Attributes:
        name: What is checked, of which variant of the entry.
        run: Carries it out.
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return self.name


REGISTRIES = {
    "attention": "gamsearch.attention.catalogue:CATALOGUE",
    "metric": "gamsearch.metrics:METRICS",
    "latency_backend": "gamsearch.models.latency.backends:BACKENDS",
    "sampler": "gamsearch.strategy.samplers:SAMPLERS",
    "rule": "gamsearch.space.rules:RULES",
    "selector": "gamsearch.space.selectors:SELECTORS",
    "tracker": "gamsearch.runs.tracking.trackers:TRACKERS",
}
KINDS = tuple(REGISTRIES)
"""The kinds of entries, as in `gamsearch.register`."""


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind of entry.

    Args:
        kind: One of `KINDS`.

    Returns:
        The registry.

    Raises:
        OptionError: There is no such kind.
    """
    if kind not in REGISTRIES:
        raise OptionError(f"there are no checks for '{kind}'{nearest(kind, KINDS)}; there are {', '.join(KINDS)}")
    module, _, attribute = REGISTRIES[kind].partition(":")
    found: Registry[Any] = getattr(import_module(module), attribute)
    return found


def checks(kind: str, name: str) -> list[Check]:
    """List the checks of one entry.

    Args:
        kind: One of `KINDS`.
        name: The entry's name in its registry.

    Returns:
        The checks; each is called without arguments.

    Raises:
        GamsearchError: There is no such kind or entry.
    """
    registry_of(kind).named(name)
    module = import_module(f"gamsearch.testing.{kind}")
    cases: Mapping[str, Any] = module.cases(name)
    return [
        Check(f"{name}{f' {label}' if label else ''}: {check.__name__.replace('_', ' ')}", _bound(check, case))
        for label, case in cases.items()
        for check in module.CHECKS
    ]


def _bound(check: Callable[[Any], None], case: Any) -> Callable[[], None]:
    return lambda: check(case)
