"""Hyperparameters as a user types them, read for the classifiers that have them. Builds nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from featx.classifiers.kind import Classifier
from featx.classifiers.shelf import OF_BINARY as WORDED
from featx.errors import UsageError, suggestion

SMALLEST, LARGEST = 1e-9, 1e6  # what a hyperparameter may be set to; solvers do not end far beyond


def fixed_params(texts: Sequence[str], classifiers: Sequence[Classifier]) -> dict[str, dict[str, Any]]:
    """Read ``--param`` texts: ``C=1`` for every classifier that has it, ``svm:C=1`` for one.

    Returns
    -------
    dict of str to dict
        Fixed hyperparameters by classifier name.

    Raises
    ------
    UsageError
        A text without ``=``, or a name that none of the classifiers has.
    """
    fixed: dict[str, dict[str, Any]] = {classifier.name: {} for classifier in classifiers}
    for text in texts:
        left, equals, value = text.partition("=")
        who, colon, name = left.rpartition(":")
        owners = [c for c in classifiers if name in c.defaults and (not colon or c.name == who)]
        if not equals or not owners:
            known = [n if not colon else f"{who}:{n}" for c in classifiers for n in c.defaults]
            raise UsageError(
                f"--param {text!r}: expected NAME=VALUE or CLASSIFIER:NAME=VALUE; {suggestion(left, known)}"
            )
        for owner in owners:
            fixed[owner.name][name] = _value(value, owner, name)
    return fixed


def _value(text: str, classifier: Classifier, name: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    usual = classifier.grid.get(name, (classifier.defaults[name],))[0]
    words = classifier.words.get(name, ())
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool) and name not in WORDED
    if value not in words and not (numeric and SMALLEST <= value <= LARGEST):
        numbers = [] if name in WORDED else ["a positive number"]
        told = " or ".join([*numbers, *filter(None, [", ".join(words)])])
        limits = "" if name in WORDED else f", from {SMALLEST:g} to {LARGEST:g}"
        raise UsageError(f"--param {name}={text}: {classifier.name} takes {told} here{limits}")
    if isinstance(usual, int) and value != int(value):
        raise UsageError(f"--param {name}={text}: {classifier.name} takes a whole number here")
    return type(usual)(value) if numeric and isinstance(usual, (int, float)) else value
