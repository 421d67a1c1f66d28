"""How a network learns, as plain values that are checked once. Knows no data and no networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

from featx.augment import Augmentation
from featx.errors import UnknownName, UsageError
from featx.training.sampling import BALANCES

OPTIMISERS = ("sgd", "nesterov", "adam")
DECAYS = ("none", "plateau", "cosine")
LOSSES = ("softmax", "sigmoid")
NORMS = ("batch", "keep")
PRECISIONS = ("auto", "fp32", "bf16")
GRIDS = ("lr", "head_lr", "l2", "momentum", "batch_size")  # what a grid may try


@dataclass(frozen=True)
class Settings:
    """How a network learns.

    Attributes
    ----------
    optimiser : {"sgd", "nesterov", "adam"}
        Gradient descent with momentum, the same after Nesterov, or Adam.
    lr, head_lr : float
        Learning rates of the backbone and of the head; the head's is the same where it is None.
    momentum : float
        Of gradient descent.
    l2 : float
        Added to the gradient, times the weight, of matrices and filters; biases and norms are spared. What keras and
        Lasagne call l2 is half of it.
    epochs, head_epochs : int
        Epochs at most, and before them epochs in which the head learns alone.
    batch_size : int
        Images in one step.
    decay : {"none", "plateau", "cosine"}
        Learning rates go down where the validation loss has not for ``patience`` epochs, by ``factor``; or along half
        a cosine.
    patience, factor
        Of ``plateau``.
    stop : int
        Epochs without a lower validation loss after which learning ends; 0 is never.
    min_delta : float
        By how much a loss must be lower to count as lower.
    balance : {"none", "weights", "sample", "oversample"}
        What is done about classes of unequal size.
    loss : {"softmax", "sigmoid"}
        Cross-entropy of all classes, or of each by itself (one output for two classes).
    validation : float
        Share of the train rows that is held back, by group.
    norms : {"batch", "keep"}
        What batch norm of the backbone normalises by while it learns: the batch, or the statistics that came with the
        weights, which then stay as they are. Its scale and offset learn either way, unless they are frozen.
    augmentation : Augmentation
        How pictures are changed while learning.
    precision : {"auto", "fp32", "bf16"}
        Of activations; weights are float32. ``auto`` is settled by :func:`featx.training.devices.settled`.
    seed : int
        Of the validation part, initial weights, order, augmentation and dropout.
    """

    optimiser: str = "sgd"
    lr: float = 1e-3
    head_lr: float | None = None
    momentum: float = 0.9
    l2: float = 0.0
    epochs: int = 20
    head_epochs: int = 0
    batch_size: int = 32
    decay: str = "plateau"
    patience: int = 3
    factor: float = 0.1
    stop: int = 8
    min_delta: float = 0.0
    balance: str = "weights"
    loss: str = "softmax"
    validation: float = 0.1
    norms: str = "batch"
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, word, known in (
            ("optimiser", self.optimiser, OPTIMISERS),
            ("decay", self.decay, DECAYS),
            ("balance", self.balance, BALANCES),
            ("loss", self.loss, LOSSES),
            ("norms", self.norms, NORMS),
            ("precision", self.precision, PRECISIONS),
        ):
            if word not in known:
                raise UnknownName(kind, word, known)
        rates = self.lr if self.head_lr is None else min(self.lr, self.head_lr)
        _refuse_unless(rates > 0 and max(self.lr, self.head_lr or 0) <= 100, "--lr", "above 0, to 100", self.lr)
        _refuse_unless(0 <= self.momentum < 1, "--momentum", "from 0 to below 1", self.momentum)
        _refuse_unless(0 <= self.l2 <= 10, "--l2", "from 0 to 10", self.l2)
        _refuse_unless(1 <= self.epochs <= 10_000, "--epochs", "from 1 to 10000", self.epochs)
        _refuse_unless(0 <= self.head_epochs <= 10_000, "--head-epochs", "from 0 to 10000", self.head_epochs)
        _refuse_unless(2 <= self.batch_size <= 4096, "--batch-size", "from 2 to 4096", self.batch_size)
        _refuse_unless(self.patience >= 1 and 0 < self.factor < 1, "--patience", "1 or more", self.patience)
        _refuse_unless(self.stop >= 0, "--stop", "0 (never) or more", self.stop)
        _refuse_unless(0 < self.validation < 0.9, "--validation", "a share above 0, below 0.9", self.validation)
        _refuse_unless(0 <= self.seed < 2**32, "--seed", f"a whole number from 0 to {2**32 - 1}", self.seed)

    def describe(self) -> dict[str, Any]:
        """Return them as plain values, for keys and records."""
        return asdict(self)


def _refuse_unless(sound: bool, option: str, expected: str, value: float) -> None:
    if not sound:
        raise UsageError(f"{option} takes a value {expected}; {value} came")


class Candidate(NamedTuple):
    """Settings that are tried.

    Attributes
    ----------
    settings : Settings
        All of them.
    point : dict of str to float
        What of them a grid set; empty without a grid.
    """

    settings: Settings
    point: dict[str, float]

    @property
    def word(self) -> str:
        """The point as people and names say it: ``l2=0.001``."""
        return ",".join(f"{name}={value:g}" for name, value in self.point.items())


def unfolded(settings: Settings, grid: Mapping[str, Sequence[float]]) -> tuple[Candidate, ...]:
    """Return every point of a grid, in the order of its values; the settings alone where there is no grid.

    Raises
    ------
    UnknownName
        Where a grid is of something else than rates, l2, momentum or the batch.
    UsageError
        Where a value is none that a setting takes, or comes twice.
    """
    for name, values in grid.items():
        if name not in GRIDS:
            raise UnknownName("setting that a grid may try", name, GRIDS)
        if not values or len(set(values)) < len(values):
            raise UsageError(f"--grid {name}: give one or more values, each once")
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return tuple(Candidate(_at(settings, point), point) for point in points)


def _at(settings: Settings, point: Mapping[str, float]) -> Settings:
    whole = {name: int(value) for name, value in point.items() if name == "batch_size"}
    if any(value != point[name] for name, value in whole.items()):
        raise UsageError(f"--grid batch_size takes whole numbers; {point['batch_size']:g} came")
    changes: dict[str, Any] = {**point, **whole}
    return replace(settings, **changes)
