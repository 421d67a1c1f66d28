"""Forward passes of a phase: of the whole network, or of what comes behind a frozen beginning that is computed once.

Both give the same logits, to rounding. Knows places of rows and no more of them; draws nothing and takes no step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx import augment
from featx.augment import Augmentation
from featx.training.kept import TOGETHER, Kept, TooLarge
from featx.training.pixels import Examples
from featx.training.plan import Frozen
from featx.training.prefix import divide
from featx.training.state import Learner

if TYPE_CHECKING:
    import torch

SHARED = 2  # trainings that take the same activations, at the least: other splits, other points of a grid
ANEW = "what is frozen is computed anew in each epoch: "


class Passes(Protocol):
    """Logits of rows, float32 of shape (b, outputs)."""

    def learning(self, rows: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Return logits of train rows, each augmented by its own draws."""

    def judged(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of validation rows as they are."""


class Whole:
    """Pictures through the whole network.

    Parameters
    ----------
    learner : Learner
        What learns.
    augmentation : Augmentation
        How pictures are changed while it learns.
    """

    def __init__(self, learner: Learner, augmentation: Augmentation) -> None:
        self._learner, self._augmentation = learner, augmentation

    def learning(self, rows: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Return logits of train rows, each augmented by its own draws."""
        batch = self._learner.feed(self._learner.train.pixels(rows))
        return _logits(self._learner, self._learner.network, augment.apply(batch, self._augmentation, draws=draws))

    def judged(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of validation rows as they are."""
        batch = self._learner.feed(self._learner.validation.pixels(rows))
        return _logits(self._learner, self._learner.network, batch)


class Behind:
    """Activations that are kept through the rest of the network.

    Parameters
    ----------
    learner : Learner
        What learns; its examples have places.
    augmentation : Augmentation
        An exact one.
    kept : Kept
        Activations.
    """

    def __init__(self, learner: Learner, augmentation: Augmentation, kept: Kept) -> None:
        self._learner, self._augmentation, self._kept = learner, augmentation, kept
        self._filled = False

    def learning(self, rows: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Return logits of train rows, each laid by its own draws."""
        self._fill()
        values = self._kept.take(augment.ways_of(self._augmentation, draws), _places(self._learner.train)[rows])
        return _logits(self._learner, self._kept.divided.learning, values)

    def judged(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of validation rows as they are."""
        self._fill()
        values = self._kept.take(np.zeros(len(rows), int), _places(self._learner.validation)[rows])
        return _logits(self._learner, self._kept.divided.judging, values)

    def _fill(self) -> None:
        """Compute what is not there, before the first pass: the lack of memory is told as that of a pass is."""
        if self._filled:
            return
        train, validation = _places(self._learner.train), _places(self._learner.validation)
        wanted = dict.fromkeys(augment.every_way(self._augmentation), train)
        wanted[0] = np.concatenate([train, validation])
        self._kept.fill(wanted)
        self._filled = True


def _places(examples: Examples) -> np.ndarray:
    assert examples.places is not None
    return examples.places


def _logits(learner: Learner, network: Any, batch: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.autocast(learner.device, torch.bfloat16, enabled=learner.precision == "bf16"):
        return network(batch).float()


def passes_for(
    learner: Learner, frozen: Frozen, augmentation: Augmentation, *, epochs: int, at_most: int | None
) -> tuple[Passes, str | None]:
    """Return the passes of a phase: what is frozen is computed once where that can be and repays.

    Parameters
    ----------
    learner : Learner
        What learns.
    frozen : Frozen
        What does not, already applied.
    augmentation : Augmentation
        How pictures are changed: what is only turned and flipped has a handful of forms, each of which can be kept.
    epochs : int
        Epochs of the phase.
    at_most : int or None
        Images that fit into one pass, where memory did not suffice for those of a step.

    Returns
    -------
    Passes
    str or None
        Why nothing is kept, where a user would not expect it.
    """
    whole, bank = Whole(learner, augmentation), learner.bank
    ways = augment.every_way(augmentation)
    if bank is None or not bank.most or not frozen.parameters or not augmentation.exact:
        return whole, None
    if len(ways) > SHARED * epochs:
        return whole, None
    about: dict[str, Any] = {"device": learner.device, "precision": learner.precision}
    try:
        divided = divide(learner.network, frozen, side=bank.pixels.shape[1], **about)
        if divided is None:
            return whole, None
        kept = Kept(divided, bank, learner.feed, ways=ways, together=min(TOGETHER, at_most or TOGETHER), **about)
    except (TooLarge, ValueError) as error:
        return whole, f"{ANEW}{error}"
    return Behind(learner, augmentation, kept), None
