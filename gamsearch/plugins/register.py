"""`gamsearch.register`: one decorator per extension point, imported when it is first used."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

EXTENSION_POINTS = {
    "attention": "gamsearch.attention.decorator:attention",
    "metric": "gamsearch.metrics:metric",
    "latency_backend": "gamsearch.models.latency.backends:latency_backend",
    "sampler": "gamsearch.strategy.samplers:sampler",
    "rule": "gamsearch.space.rules:rule",
    "selector": "gamsearch.space.selectors:selector",
    "tracker": "gamsearch.runs.tracking.registry:tracker",
}


class Register:
    """The decorators that add to gamsearch, e.g. `@gamsearch.register.attention`.

    Each is documented where it is defined; `dir(gamsearch.register)` lists them.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in EXTENSION_POINTS:
            raise AttributeError(f"gamsearch.register has no '{name}'; it has {', '.join(EXTENSION_POINTS)}")
        module, _, function = EXTENSION_POINTS[name].partition(":")
        decorator: Callable[..., Any] = getattr(import_module(module), function)
        return decorator

    def __dir__(self) -> list[str]:
        return list(EXTENSION_POINTS)


register = Register()
