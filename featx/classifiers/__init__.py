"""The shelf of classifiers: how each is made, what is searched, and how one is fitted on a train side.

``shelf`` lists them, ``builders`` makes their estimators, ``argmax`` is the one that learns nothing, ``accelerators``
makes some of them faster, ``params`` reads the hyperparameters that a user fixes. ``judging`` chooses the others inside
a train side, fits on it and scores test rows; ``scaling`` scales; ``kind`` says what a classifier and a verdict are.
This package knows no images and no files.
"""

from featx.classifiers.accelerators import ACCELERATORS, accelerated, built_by
from featx.classifiers.judging import INNER_PARTS, inner_splits_if, judge, out_of_fold
from featx.classifiers.kind import PLAIN, Classifier, Verdict
from featx.classifiers.params import LARGEST, SMALLEST, fixed_params
from featx.classifiers.scaling import SCALES, scale_of, scaled, standard
from featx.classifiers.shelf import CLASSIFIERS, PAPER_GRID

__all__ = [
    "ACCELERATORS",
    "CLASSIFIERS",
    "INNER_PARTS",
    "LARGEST",
    "PAPER_GRID",
    "PLAIN",
    "SCALES",
    "SMALLEST",
    "Classifier",
    "Verdict",
    "accelerated",
    "built_by",
    "fixed_params",
    "inner_splits_if",
    "judge",
    "out_of_fold",
    "scale_of",
    "scaled",
    "standard",
]
