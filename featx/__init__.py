"""featx: deep features once, classical classifiers compared honestly.

The names below are loaded when they are first used, so that ``import featx`` costs nothing.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "FeatureExtractor": "featx.predictor.transformer",
    "FeatxError": "featx.errors",
    "Predictor": "featx.predictor",
    "compare": "featx.comparison",
    "evaluate": "featx.evaluation",
    "extract": "featx.extraction",
    "finetune": "featx.training",
    "load_features": "featx.matrix",
}
__all__ = ["FeatureExtractor", "FeatxError", "Predictor", "compare", "evaluate", "extract", "finetune", "load_features"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
