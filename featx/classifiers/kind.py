"""What a kind of classifier is, and what a fitted one says of test rows. Knows none by name and fits none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

PLAIN = "none"


@dataclass(frozen=True)
class Classifier:
    """A kind of classifier.

    Parameters
    ----------
    name, help : str
        Its name on the shelf, and a line on what it is.
    build : callable
        Makes the scikit-learn estimator from its hyperparameters and ``seed``.
    defaults : mapping
        Hyperparameters that a user may set, with their values where nothing is chosen.
    grid : mapping of str to tuple
        What is searched inside each train side; the simplest first.
    scale : {"l2", "standard", "none"}
        How rows or columns are scaled by default.
    linear : bool
        Whether a rotation of the features leaves it unchanged, so that it may be fitted in the span of its rows.
    counts_rows : tuple of str
        Hyperparameters that cannot be more than there are train rows.
    words : mapping of str to tuple of str
        The words that a hyperparameter takes, beside numbers.
    faster : mapping of str to callable
        What builds it instead, by accelerator.
    at_once : mapping of str to callable
        What fits several values of the grid on the same rows in one go, by accelerator: of rows, classes, the
        ``candidates`` and ``seed`` it makes the estimators that one fit after the other would.
    accelerator : str
        What builds it: ``none``, or an accelerator.
    learns : bool
        Whether it learns from train rows at all, so that holding some of them back says something.
    by_order : bool
        Whether it goes by the order of the values of a feature alone, so that whole numbers need no scaling.
    """

    name: str
    help: str
    build: Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    scale: str = "none"
    linear: bool = False
    counts_rows: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faster: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    at_once: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    accelerator: str = PLAIN
    learns: bool = True
    by_order: bool = False


class Verdict(NamedTuple):
    """What a fitted classifier says of test rows.

    Attributes
    ----------
    scores : numpy.ndarray of float64, shape (n, c)
        One score a class; the predicted class is the highest.
    chosen : dict
        The hyperparameters that were fitted.
    at_edge : bool
        Whether one was chosen at the last value of its grid (the simplest end is no limit of the search).
    converged : bool
        False where a solver stopped at its limit of iterations.
    inner : numpy.ndarray of float64, shape (n, c), optional
        Scores of the train rows by fits of the same hyperparameters that did not see them: the mean over the inner
        splits that held a row back, NaN where none did. None where nothing was held back.
    inner_score : float or None
        Mean inner AUC of what was chosen.
    inner_scheme : str
        How the inner splits were drawn; empty where there were none.
    """

    scores: np.ndarray
    chosen: dict[str, Any]
    at_edge: bool
    converged: bool
    inner: np.ndarray | None = None
    inner_score: float | None = None
    inner_scheme: str = ""
