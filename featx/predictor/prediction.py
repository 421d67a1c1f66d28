"""What a model says of an image. Never knows how it was found out."""

from __future__ import annotations

from typing import NamedTuple


class Prediction(NamedTuple):
    """What a model says of an image, or of a unit by the mean score of its images.

    Attributes
    ----------
    name : str
        The image file, or the unit.
    images : int
        How many images it rests on.
    predicted : str or None
        The class by the model's threshold; None where no image could be used.
    scores, probabilities : dict of str to float, or None
        By class; probabilities are calibrated, and None where the model has no map to them.
    seen : bool
        Whether the model or its network learned from an image with these very bytes: it is no test of the model then.
    share_as_far : float or None
        Share of the training images that lie as far from the others as this one does; the least of a unit's images.
    warning : str
        What was unusual, or nothing.
    """

    name: str
    images: int
    predicted: str | None
    scores: dict[str, float] | None
    probabilities: dict[str, float] | None
    seen: bool
    share_as_far: float | None
    warning: str


def far_told(share: float) -> str:
    """Return the warning for an image unlike the training images."""
    lie = f"{share:.1%} of them lie" if share else "none of them lies"
    return f"far from the training images: {lie} as far"
