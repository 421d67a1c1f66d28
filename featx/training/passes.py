"""Forward passes of a phase: of the whole network, or of what comes behind a frozen beginning that is computed once.

Both give the same logits, to rounding, and both go in parts over the cores of a processor where a network lets them.
Knows places of rows and no more of them; draws nothing and takes no step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx import augment
from featx.augment import Augmentation
from featx.training.kept import TOGETHER, Kept, TooLarge
from featx.training.pixels import Examples
from featx.training.plan import Frozen
from featx.training.prefix import divide
from featx.training.shares import Prepare, parts_of, shared
from featx.training.state import Learner
from featx.training.workers import Workers

if TYPE_CHECKING:
    import torch

SHARED = 2  # trainings that take the same activations, at the least: other splits, other points of a grid
ANEW = "what is frozen is computed anew in each epoch: "

Forward = Callable[[Prepare, int], "torch.Tensor"]


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
    workers : Workers
        Who computes, on a processor.
    """

    def __init__(self, learner: Learner, augmentation: Augmentation, workers: Workers) -> None:
        self._learner, self._augmentation, self._workers = learner, augmentation, workers
        self._forward: Forward | None = None

    def learning(self, rows: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Return logits of train rows, each augmented by its own draws."""
        learner = self._learner

        def prepare(part: slice) -> torch.Tensor:
            batch = learner.feed(learner.train.pixels(rows[part]))
            return augment.apply(batch, self._augmentation, draws=draws[part])

        if self._forward is None:
            shape = prepare(slice(0, 1)).shape[1:]
            self._forward = _forward(learner, learner.network, self._workers, shape=tuple(shape), images=len(rows))
        return self._forward(prepare, len(rows))

    def judged(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of validation rows as they are."""
        learner = self._learner

        def prepare(part: slice) -> torch.Tensor:
            return learner.feed(learner.validation.pixels(rows[part]))

        return _judged(learner, learner.network, self._workers, prepare, len(rows))


class Behind:
    """Activations that are kept through the rest of the network.

    Parameters
    ----------
    learner : Learner
        What learns; its examples have places.
    augmentation : Augmentation
        An exact one.
    workers : Workers
        Who computes, on a processor.
    kept : Kept
        Activations.
    """

    def __init__(self, learner: Learner, augmentation: Augmentation, workers: Workers, kept: Kept) -> None:
        self._learner, self._augmentation, self._workers, self._kept = learner, augmentation, workers, kept
        self._filled = False
        self._forward: Forward | None = None

    def learning(self, rows: np.ndarray, draws: np.ndarray) -> torch.Tensor:
        """Return logits of train rows, each laid by its own draws."""
        self._fill()
        ways, places = augment.ways_of(self._augmentation, draws), _places(self._learner.train)[rows]
        if self._forward is None:
            divided = self._kept.divided
            self._forward = _forward(
                self._learner, divided.learning, self._workers, shape=divided.shape, images=len(rows)
            )
        return self._forward(lambda part: self._kept.take(ways[part], places[part]), len(rows))

    def judged(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of validation rows as they are."""
        self._fill()
        as_is, places = np.zeros(len(rows), int), _places(self._learner.validation)[rows]

        def prepare(part: slice) -> torch.Tensor:
            return self._kept.take(as_is[part], places[part])

        return _judged(self._learner, self._kept.divided.judging, self._workers, prepare, len(rows))

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


def _forward(learner: Learner, network: Any, workers: Workers, *, shape: tuple[int, ...], images: int) -> Forward:
    """Return how images go through while the network learns, which it is set to: in parts, or all together."""
    if learner.device == "cpu":
        in_parts = shared(network, workers=workers, shape=shape, precision=learner.precision, images=images)
        workers.spread_caller(over_all=in_parts is None or not in_parts.parted)
        if in_parts is not None:
            return in_parts
    return lambda prepare, count: _logits(learner, network, prepare(slice(0, count)))


def _judged(learner: Learner, network: Any, workers: Workers, prepare: Prepare, count: int) -> torch.Tensor:
    """Return logits while nothing learns, in parts on a processor."""
    import torch

    parts = parts_of(count) if learner.device == "cpu" else [slice(0, count)]

    def one(at: int) -> torch.Tensor:
        with torch.inference_mode():  # of each thread
            return _logits(learner, network, prepare(parts[at]))

    return torch.cat(list(workers.map(one, len(parts))))


def _logits(learner: Learner, network: Any, batch: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.autocast(learner.device, torch.bfloat16, enabled=learner.precision == "bf16"):
        return network(batch).float()


def passes_for(
    learner: Learner,
    frozen: Frozen,
    augmentation: Augmentation,
    *,
    workers: Workers,
    epochs: int,
    at_most: int | None,
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
    workers : Workers
        Who computes, on a processor.
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
    whole, bank = Whole(learner, augmentation, workers), learner.bank
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
    return Behind(learner, augmentation, workers, kept), None
