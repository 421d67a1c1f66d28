"""What builds classifiers faster than scikit-learn: numba's compiled trees, scikit-learn-intelex. Fits nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from featx.classifiers.kind import PLAIN, Classifier
from featx.errors import UsageError
from featx.provenance import version

# the module of each, the extra that brings it, and what it is called there
ACCELERATORS = {"numba": ("numba", "fast", "numba"), "intel": ("sklearnex", "intel", "scikit-learn-intelex")}


def accelerated(classifiers: Sequence[Classifier], accelerate: str) -> list[Classifier]:
    """Return classifiers as an accelerator builds them; those that it does not know stay as they are.

    Parameters
    ----------
    classifiers : sequence of Classifier
        What is fitted.
    accelerate : {"none", "numba", "intel"}
        The accelerator.

    Raises
    ------
    UsageError
        For any other word, or where the accelerator is not installed.
    """
    if accelerate == PLAIN:
        return list(classifiers)
    if accelerate not in ACCELERATORS:
        raise UsageError(f"--accelerate takes {', '.join([PLAIN, *ACCELERATORS])}; {accelerate!r} came")
    module, extra, _ = ACCELERATORS[accelerate]
    if find_spec(module) is None:
        raise UsageError(f"--accelerate {accelerate} wants what is not installed here: pip install 'featx[{extra}]'")
    if accelerate == "numba":
        _refuse_nowhere_to_keep()
    return [_accelerated(classifier, accelerate) for classifier in classifiers]


def built_by(classifier: Classifier) -> str:
    """Return what builds a classifier, as records tell it: ``none``, or for instance ``numba 0.60.0``."""
    if classifier.accelerator == PLAIN:
        return PLAIN
    package = ACCELERATORS[classifier.accelerator][2]
    return f"{package} {version(package)}"


def _refuse_nowhere_to_keep() -> None:
    """Raise UsageError where numba finds no folder for what it compiles: it would do so again at every start."""
    try:
        import featx.forest  # noqa: F401
    except RuntimeError as error:
        raise UsageError(
            f"--accelerate numba has nowhere to keep what it compiles; set NUMBA_CACHE_DIR to a folder ({error})"
        ) from error


def _accelerated(classifier: Classifier, accelerate: str) -> Classifier:
    if accelerate not in classifier.faster:
        return classifier
    # bins go by the order of values alone, so that they need no scaling
    scale = "none" if accelerate == "numba" else classifier.scale
    return replace(classifier, build=classifier.faster[accelerate], scale=scale, accelerator=accelerate)
