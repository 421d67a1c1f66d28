"""The errors of featx: one tree, so that a caller can catch as much or as little as it means to.

::

    FeatxError                 anything that featx refuses or cannot do       exit code 1
    ├── UsageError             an option, a name or a combination is wrong    exit code 2
    │   └── UnknownName        a name that stands on no shelf
    ├── DataError              a dataset that cannot be read as it was told
    ├── ImageError             one image that cannot be used (recorded, skipped)
    ├── TooManyFailures        more images failed than the run allows
    ├── WeightsError           weights that do not fit or cannot be trusted
    │   └── WeightsUnavailable weights that cannot be had here
    ├── TrainingError          a network that did not learn
    ├── ComputeError           what computes features failed, or died
    │   └── ConversionError    a network that a runtime cannot take
    ├── RunError               a run's folder that does not hold a run
    ├── ModelError             a model file that cannot be used
    ├── SplitError             groups or classes that cannot be divided as asked
    └── CacheError             a feature file that cannot be used
        ├── CacheDamaged       its bytes are not what was written
        ├── CacheMismatch      it holds something else than what was asked for
        ├── CacheIncomplete    rows are still missing
        └── CacheLocked        another process is writing it

A message is one sentence for a person: what came, what was expected, what to do next.
This file knows nothing of the rest of featx.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FeatxError(Exception):
    """Base of every error that featx raises on purpose."""

    exit_code = 1


class UsageError(FeatxError):
    """An option, a name or a combination of options that makes no sense."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that stands on no shelf."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; {suggestion(name, known)}")


class DataError(FeatxError):
    """A dataset that cannot be read as it was told."""


class ImageError(FeatxError):
    """One image that cannot be used.

    Attributes
    ----------
    reason : str
        A short code of the reason (``truncated``, ``not_an_image`` ...), kept in the cache.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class TooManyFailures(FeatxError):
    """More images failed than the run allows."""


class WeightsError(FeatxError):
    """Weights that do not fit the backbone, or that cannot be trusted."""


class WeightsUnavailable(WeightsError):
    """Weights that cannot be had on this machine."""


class TrainingError(FeatxError):
    """A network that did not learn: its loss went beyond all numbers."""


class ComputeError(FeatxError):
    """What computes features failed, or died."""


class ConversionError(ComputeError):
    """A network that a runtime cannot take."""


class RunError(FeatxError):
    """A run's folder that does not hold a run, or not a whole one."""


class ModelError(FeatxError):
    """A model file that cannot be used, or that does not fit what it is used on."""


class SplitError(FeatxError):
    """Groups or classes that cannot be divided as asked."""


class CacheError(FeatxError):
    """A feature file that cannot be used."""


class CacheDamaged(CacheError):
    """A feature file whose bytes are not what was written."""


class CacheMismatch(CacheError):
    """A feature file that holds something else than what was asked for."""


class CacheIncomplete(CacheError):
    """A feature file in which rows are still missing."""


class CacheLocked(CacheError):
    """A feature file that another process is writing."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` where a known name is near, else the list of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(names)
