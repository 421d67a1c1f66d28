"""What learns, and where it stands: plain values that a checkpoint keeps. Does nothing by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from featx.training.kept import Bank
from featx.training.pixels import Examples, Feed
from featx.training.plan import Frozen

if TYPE_CHECKING:
    from torch import nn


class Learner(NamedTuple):
    """What learns, and on what.

    Attributes
    ----------
    network : torch.nn.Module
        With its head; it is trained in place.
    head : str
        Path of the head.
    frozen : tuple of Frozen
        What does not learn, in each phase.
    feed : Feed
        Turns pixels into what the network takes.
    train, validation : Examples
        The rows, and no others.
    classes : int
        How many there are.
    device, precision : str
        ``cpu`` or ``cuda``, ``fp32`` or ``bf16``.
    bank : Bank or None
        Where activations of what is frozen are kept; None where they are computed in each epoch.
    """

    network: nn.Module
    head: str
    frozen: tuple[Frozen, ...]
    feed: Feed
    train: Examples
    validation: Examples
    classes: int
    device: str
    precision: str
    bank: Bank | None = None


@dataclass
class State:
    """Where training stands, in plain values.

    Attributes
    ----------
    epoch, phase, of_phase : int
        The next epoch, the phase that it is in, and its number there.
    rate : float
        What plateaus have left of the learning rates.
    waited, stale : int
        Epochs without a lower loss since the last decay, and since the last lower loss of the phase.
    lowest, best : float
        Lowest validation loss of the phase, and of all.
    best_epoch : int
        The epoch of ``best``; -1 before the first.
    micro : int
        Images in one pass; fewer than in a step where memory did not suffice.
    ended : bool
        Whether training is over.
    history : list of dict
        One row an epoch.
    notes : list of str
        What is to be told.
    """

    micro: int
    epoch: int = 0
    phase: int = 0
    of_phase: int = 0
    rate: float = 1.0
    waited: int = 0
    stale: int = 0
    lowest: float = math.inf
    best: float = math.inf
    best_epoch: int = -1
    ended: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
