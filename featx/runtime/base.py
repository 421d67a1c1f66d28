"""What every runtime is: streams of static batches, one a thread, and one call for who needs no threads.

This file must never know torch, OpenVINO, or what the features are for.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from featx.errors import UnknownName

PRECISIONS = ("fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")
RUNTIMES = ("auto", "torch", "openvino")


class Tap(Protocol):
    """A place in a network where features are taken (see ``backbones.base.Layer``)."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def module(self) -> str: ...  # noqa: D102
    @property
    def take(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102


class Stream(Protocol):
    """One thread's way through a network: fill ``pixels``, call, and read the features before the next call.

    Attributes
    ----------
    pixels : numpy.ndarray of uint8, shape (batch, size, size, 3)
        RGB; the buffer is used again and again, since the first touch of fresh memory costs more than its copy.
    """

    pixels: np.ndarray

    def __call__(self) -> dict[str, np.ndarray]:
        """Return float32 features, shape (batch, dims[layer]), by layer; the next call may overwrite them."""
        ...


class Runtime(ABC):
    """A network in evaluation mode, tapped at some layers.

    Attributes
    ----------
    name : str
        ``torch`` or ``openvino``, with its version.
    device, precision : str
        Where it runs, and in what.
    size, batch_size : int
        Side of the images, and how many go through at once.
    dims : dict of str to int
        Length of each layer's features.
    passes : int
        Forward passes made on images.
    """

    name: str
    device: str
    precision: str
    size: int
    batch_size: int
    dims: dict[str, int]

    def __init__(self) -> None:
        self.passes = 0
        self._count = threading.Lock()
        self._own: Stream | None = None

    @abstractmethod
    def stream(self) -> Stream:
        """Return a stream for one thread; streams of several threads run side by side."""

    def __call__(self, images: np.ndarray, *, places: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """Run one forward pass.

        Parameters
        ----------
        images : numpy.ndarray of uint8, shape (b, size, size, 3)
            RGB, ``b`` at most the batch size.
        places : sequence of int, optional
            Where in the batch they stand, the first places by default. The same image at the same place gives the
            same bits whatever its neighbours are; at another place, libraries may add up in another order.

        Returns
        -------
        dict of str to numpy.ndarray of float32, shape (b, dims[layer])
        """
        self._own = self._own or self.stream()
        at = list(range(len(images)) if places is None else places)
        self._own.pixels[...] = 0
        self._own.pixels[at] = images
        return {name: features[at] for name, features in self._own().items()}

    def _counted(self) -> None:
        with self._count:
            self.passes += 1


def refuse_unknown(kind: str, word: str, known: Sequence[str]) -> None:
    """Raise UnknownName where a word is none of those known."""
    if word not in known:
        raise UnknownName(kind, word, known)
