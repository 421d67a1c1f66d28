"""Forests and trees, fast: features of at most 256 levels, counted by bin and class in compiled loops.

``bins`` makes levels of features, ``growth`` grows trees on them, ``votes`` asks trees about rows, and ``estimators``
puts them together as scikit-learn estimators. What is compiled is kept on disk, so that only the first use of all
waits for it. Needs numba (the extra ``fast``). Knows no folds and no files.
"""

try:
    import numba  # noqa: F401
except ImportError:
    raise ImportError("histogram trees are compiled by numba: pip install 'featx[fast]'") from None

from featx.forest.estimators import HistogramForestClassifier, HistogramTreeClassifier

__all__ = ["HistogramForestClassifier", "HistogramTreeClassifier"]
