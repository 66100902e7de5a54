"""Find out whether attention is worth its latency in your YOLO detector: which module, where, and how strong.

    import gamsearch as gs
    run = gs.search(data="data.yaml", model="yolov8n.pt", space="gam", trials=40, epochs=5, name="mine")
    run.front, run.verdict

`import gamsearch` makes its attention modules known to Ultralytics and imports neither torch nor Ultralytics itself;
the public names are imported when they are first used.
"""

from gamsearch.signals import stop_request

if stop_request.is_command():  # before anything else is imported, which takes a moment
    stop_request.install()

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gamsearch.parser.register import register_on_import

if TYPE_CHECKING:
    from gamsearch import errors
    from gamsearch.architecture import Architecture, Placement
    from gamsearch.attention.gam import GAM
    from gamsearch.evaluation import Evaluator, Measurement, TrialBudget
    from gamsearch.models.candidate import build_candidate
    from gamsearch.plugins.register import register
    from gamsearch.reporting.api import compare, report
    from gamsearch.runs.api import Run, export, load, repeat, search, verify
    from gamsearch.runs.callbacks import Callback
    from gamsearch.space.detector import Detector
    from gamsearch.space.graft import graft
    from gamsearch.space.search_space import SearchSpace

__version__ = "0.1.0"

PUBLIC = {
    "search": "gamsearch.runs.api",
    "load": "gamsearch.runs.api",
    "repeat": "gamsearch.runs.api",
    "verify": "gamsearch.runs.api",
    "export": "gamsearch.runs.api",
    "Run": "gamsearch.runs.api",
    "report": "gamsearch.reporting.api",
    "compare": "gamsearch.reporting.api",
    "register": "gamsearch.plugins.register",
    "SearchSpace": "gamsearch.space.search_space",
    "Detector": "gamsearch.space.detector",
    "Architecture": "gamsearch.architecture",
    "Placement": "gamsearch.architecture",
    "graft": "gamsearch.space.graft",
    "build_candidate": "gamsearch.models.candidate",
    "Callback": "gamsearch.runs.callbacks",
    "GAM": "gamsearch.attention.gam",
    "Evaluator": "gamsearch.evaluation",
    "TrialBudget": "gamsearch.evaluation",
    "Measurement": "gamsearch.evaluation",
}
"""Public names and the modules that define them; `errors` is public as a module."""

__all__ = [
    "GAM",
    "Architecture",
    "Callback",
    "Detector",
    "Evaluator",
    "Measurement",
    "Placement",
    "Run",
    "SearchSpace",
    "TrialBudget",
    "build_candidate",
    "compare",
    "errors",
    "export",
    "graft",
    "load",
    "register",
    "repeat",
    "report",
    "search",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it is defined."""
    if name == "errors":
        return import_module("gamsearch.errors")
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'gamsearch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


register_on_import()
