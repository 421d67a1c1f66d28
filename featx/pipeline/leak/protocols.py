"""The leaks that studies have published, as plain facts: which copies were made before the split, and in which shares.

A copy is a picture flipped and turned, or the very picture again. Which rows then lie where is for ``arms``. This file
must never know images, features or classifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from featx.augment import MOVES, move_lists
from featx.designs import Design
from featx.designs import get as design_named
from featx.designs.skin import BENIGN, WORDS
from featx.shelf import Shelf

MAIA_LEVEL = Fraction(8000, 8902)  # the released code fills classes up to 8000, where the larger one has 8902 images
MOST_COPIES = 2 ** len(MOVES) - 1


class Version(NamedTuple):
    """A picture as it takes part: itself, or a copy of it.

    Attributes
    ----------
    of : int
        Row of the picture.
    copy : int
        0 for the picture itself, else the number of the copy.
    moves : tuple of str
        How it was flipped and turned, as :func:`featx.augment.turned` takes it.
    """

    of: int
    copy: int
    moves: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from the other versions of the picture."""
        return "+".join(self.moves) or f"again-{self.copy}" * bool(self.copy)


@dataclass(frozen=True)
class Protocol:
    """A published protocol that leaks.

    Attributes
    ----------
    name, study : str
        Its name, and who published it.
    says : str
        What leaks, in a sentence.
    shares : tuple of float
        Of the train, validation and test part.
    moves : bool
        Whether copies are flipped and turned, so that they have pixels, and features, of their own.
    design : callable
        Makes the design that the study asked.
    copies : callable
        Takes class codes and a source of chance, yields the copies.
    """

    name: str
    study: str
    says: str
    shares: tuple[float, float, float]
    moves: bool
    design: Callable[[], Design]
    copies: Callable[[np.ndarray, np.random.Generator], list[Version]]

    @property
    def ratio(self) -> float:
        """Rows that test against rows that train."""
        return self.shares[2] / self.shares[0]

    def versions(self, y: np.ndarray, *, seed: int) -> list[Version]:
        """Return every picture, in order, and after them all copies.

        Parameters
        ----------
        y : numpy.ndarray of int64, shape (n,)
            Class codes.
        seed : int
            Of what is left to chance.
        """
        return [Version(row, 0) for row in range(len(y))] + self.copies(y, np.random.default_rng(seed))


def flipped_and_turned(y: np.ndarray, rng: np.random.Generator) -> list[Version]:
    """Return as many flipped and turned copies of each picture as fit into the level, the same for all of a class.

    On ISIC 2018 that is seven of each melanoma and none of the rest, as in the released code. Nothing is drawn.
    """
    counts = np.bincount(y)
    level = int(MAIA_LEVEL * int(counts.max()))
    each = [move_lists(min(max(level // max(count, 1), 0), MOST_COPIES)) for count in counts.tolist()]
    return [
        Version(row, number, moves)
        for row, code in enumerate(y.tolist())
        for number, moves in enumerate(each[code], start=1)
    ]


def repeated(y: np.ndarray, rng: np.random.Generator) -> list[Version]:
    """Return repetitions of pictures until every class is as large as the largest: whole rounds, the rest drawn."""
    counts = np.bincount(y)
    copies = []
    for code, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(y == code)
        rounds, rest = divmod(int(counts.max()), max(count, 1))
        own = np.full(len(rows), rounds - 1)
        own[rng.permutation(len(rows))[:rest]] += 1
        copies += [Version(row, n) for row, often in zip(rows.tolist(), own.tolist(), strict=True)
                   for n in range(1, often + 1)]  # fmt: skip
    return copies


def mel_vs_rest() -> Design:
    """Melanoma against every other diagnosis, none left out but those that nobody knows."""
    rest = (*BENIGN, "bcc", "akiec", "scc", "malignant")
    return Design("mel-vs-rest", {"rest": rest, "melanoma": ("mel",)}, {"unk": "diagnosis unknown"}, WORDS)


PROTOCOLS: Shelf[Protocol] = Shelf(
    "leaky protocol",
    {
        "maia2019": Protocol(
            "maia2019",
            "Maia (2019)",
            "melanomas are balanced with flipped and turned copies before the split, which goes by image: copies of "
            "one melanoma train, validate and test",
            (0.85 * 0.85, 0.85 * 0.15, 0.15),
            True,
            mel_vs_rest,
            flipped_and_turned,
        ),
        "ham10000-report": Protocol(
            "ham10000-report",
            "the HAM10000 MobileNet and DenseNet report",
            "classes are balanced with repetitions before the split, which goes by image: test images train too, and "
            "images of one lesion are on both sides",
            (0.6, 0.2, 0.2),
            False,
            lambda: design_named("diagnosis"),
            repeated,
        ),
    },
)


def copies_told(versions: Sequence[Version], y: np.ndarray, classes: Sequence[str]) -> str:
    """Return how many pictures and copies each class has, in words."""
    codes = np.array([y[version.of] for version in versions])
    made = np.array([version.copy > 0 for version in versions])
    return ", ".join(
        f"{name} {int((y == code).sum())} + {int(made[codes == code].sum())}" for code, name in enumerate(classes)
    )
