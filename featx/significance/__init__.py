"""How sure a difference is: tests, intervals and corrections, from plain arrays of scores.

What splits of one source estimate is the mean score of *models trained on so much of this source*: not of a model that
is at hand, and not of another source. Two ways lead there: ``by_group``, the default for AUC over repeated halvings,
and ``splits``, for any metric and any number of folds, where the scores of the splits are enough. ``auc`` is about
models as they are on one test side, ``bootstrap`` too; ``shares`` about one share of rows; ``many`` about many tests.

Whatever has no error to measure (identical classifiers, a difference that is the same in every split) gives p = 1 and a
note that says why. NaN never leaves. Nothing here knows what was compared: no folds, no classifiers, no names.
"""

from featx.significance.auc import Side, auc_covariance, auc_interval, paired_auc
from featx.significance.bootstrap import (
    Winner,
    bootstrap_auc,
    bootstrap_difference,
    bootstrap_interval,
    corrected_winner,
)
from featx.significance.by_group import Influences, group_interval, group_t, influences
from featx.significance.many import Ranks, friedman_nemenyi, holm
from featx.significance.results import LEVEL, Difference, Interval
from featx.significance.shares import share_interval
from featx.significance.splits import alpaydin_f, corrected_interval, corrected_t, dietterich_t, valid_tests

__all__ = [
    "LEVEL",
    "Difference",
    "Influences",
    "Interval",
    "Ranks",
    "Side",
    "Winner",
    "alpaydin_f",
    "auc_covariance",
    "auc_interval",
    "bootstrap_auc",
    "bootstrap_difference",
    "bootstrap_interval",
    "corrected_interval",
    "corrected_t",
    "corrected_winner",
    "dietterich_t",
    "friedman_nemenyi",
    "group_interval",
    "group_t",
    "holm",
    "influences",
    "paired_auc",
    "share_interval",
    "valid_tests",
]
