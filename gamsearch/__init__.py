"""Where in a YOLO detector does an attention module pay for itself, and at which reduction rate?

`import gamsearch` makes its attention modules known to Ultralytics and imports neither torch nor Ultralytics itself;
the public names below are imported when they are first used.
"""

from importlib import import_module
from typing import Any

from gamsearch.models.register import register_on_import

__version__ = "0.1.0"

PUBLIC = {
    "Architecture": "gamsearch.architecture",
    "Placement": "gamsearch.architecture",
    "Detector": "gamsearch.space.detector",
    "SearchSpace": "gamsearch.space.search_space",
    "TrialBudget": "gamsearch.evaluation",
    "Measurement": "gamsearch.evaluation",
    "GAM": "gamsearch.attention.gam",
    "build_candidate": "gamsearch.models.candidate",
    "TrainingEvaluator": "gamsearch.training.evaluator",
    "ReplayEvaluator": "gamsearch.training.replay",
    "Settings": "gamsearch.runs.settings",
}


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'gamsearch' has no attribute '{name}'")


register_on_import()
