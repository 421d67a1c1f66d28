"""What executes a network: a batch of images in, the features of several layers out, in one forward pass.

Batches are static: a short one is padded to the full size, so that on one machine the features of an image at its
place in the batch do not depend on what else is in it. This file knows nothing of images on disk, of the cache, or of
how a network got its weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from featx.errors import UnknownName, UsageError
from featx.images import Normalisation

if TYPE_CHECKING:
    import torch
    from torch import nn

POOLS = ("avg", "max", "flatten", "gem")
GEM_POWER = 3.0  # Radenovic et al. (2018), generalised mean pooling
PRECISIONS = ("fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")


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


class _Enough(Exception):
    """The last layer wanted was reached; the rest of the network need not run."""


class TorchRuntime:
    """A network in evaluation mode, tapped at some layers.

    Parameters
    ----------
    network : torch.nn.Module
        Float32; it is switched to evaluation mode, and it is not trained.
    layers : sequence of Tap
        Where features are taken.
    size : int
        Side of the square images.
    normalise : Normalisation
        What the weights expect.
    pool : {"avg", "max", "flatten", "gem"}
        How maps become vectors; vectors stay what they are. Tokens lose their class token first.
    batch_size : int
        Images in a forward pass, always.
    precision : {"fp32", "bf16"}
        Precision of weights and activations; features come out as float32.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one.

    Attributes
    ----------
    dims : dict of str to int
        Length of each layer's features.
    shapes : dict of str to tuple of int
        Shape of each layer's activations, without the batch.
    passes : int
        Forward passes made on images.

    Raises
    ------
    UsageError
        Where the network does not take that size, or a module at a dotted path is missing or gives no tensor with one
        row an image, or a word is none of those above.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        layers: Sequence[Tap],
        size: int,
        normalise: Normalisation,
        pool: str = "avg",
        batch_size: int = 16,
        precision: str = "fp32",
        device: str = "auto",
    ) -> None:
        import torch

        _refuse_unknown("pool", pool, POOLS)
        _refuse_unknown("precision", precision, PRECISIONS)
        self.device = pick_device(device)
        self.layers = list(layers)
        self.size, self.pool, self.batch_size = size, pool, batch_size
        self.passes = 0
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self._network = network.eval().requires_grad_(False).to(self.device, self._dtype)
        self._network = self._network.to(memory_format=torch.channels_last)  # a quarter faster on processors
        self._scale, self._shift = _affine(normalise, self.device)
        self._bgr = normalise.bgr
        self._taken: dict[str, torch.Tensor] = {}
        self._calls: dict[str, int] = {}
        self._expected: dict[str, int] | None = None
        _tap(self._network, self.layers, self._take)
        self.shapes, self.dims = self._probe()

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
        batch = np.zeros((self.batch_size, self.size, self.size, 3), dtype=np.uint8)
        at = list(range(len(images)) if places is None else places)
        batch[at] = images
        self.passes += 1
        taken = self._forward(batch)
        return {layer.name: self._vectors(taken[layer.name], layer)[at] for layer in self.layers}

    def _forward(self, batch: np.ndarray) -> dict[str, torch.Tensor]:
        import torch

        self._taken, self._calls = {}, dict.fromkeys((layer.name for layer in self.layers), 0)
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
            pixels = pixels.flip(1) if self._bgr else pixels
            pixels = (pixels * self._scale + self._shift).to(self._dtype)
            with contextlib.suppress(_Enough):
                self._network(pixels.contiguous(memory_format=torch.channels_last))
        return self._taken

    def _vectors(self, taken: torch.Tensor, layer: Tap) -> np.ndarray:
        return pooled(taken.float(), kind=layer.kind, pool=self.pool).cpu().numpy()

    def _take(self, name: str, value: Any) -> None:
        """Keep an activation; stop the pass once every layer was called as often as in the probe."""
        # a copy, since many networks overwrite an activation in place with the next one (fc7-pre by fc7)
        self._taken[name] = value.clone() if hasattr(value, "clone") else value
        self._calls[name] += 1
        if self._calls == self._expected:
            raise _Enough

    def _probe(self) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        """Run two blank images to learn shapes, and how often each module is called in one pass."""
        import torch

        blank = np.zeros((2, self.size, self.size, 3), dtype=np.uint8)
        with _size_refused(self.size):
            taken = self._forward(blank)
        for layer in self.layers:
            value = taken.get(layer.name)
            if not isinstance(value, torch.Tensor):
                raise UsageError(f"layer {layer.name!r} gives no tensor in a forward pass; take another layer")
            if value.ndim < 2 or len(value) != len(blank):
                raise UsageError(
                    f"layer {layer.name!r} gives {tuple(value.shape)} for {len(blank)} images, not one row "
                    "an image; take another layer"
                )
        self._expected = dict(self._calls)
        shapes = {name: tuple(value.shape[1:]) for name, value in taken.items()}
        dims = {layer.name: self._vectors(taken[layer.name], layer).shape[1] for layer in self.layers}
        return shapes, dims


def pooled(taken: torch.Tensor, *, kind: str, pool: str) -> torch.Tensor:
    """Turn a layer's activations into one vector an image.

    Parameters
    ----------
    taken : torch.Tensor, shape (b, d), (b, c, h, w), (b, h, w, c) or (b, 1 + n, d)
        By ``kind``: ``vector``, ``map``, ``map-last``, ``tokens``; ``auto`` tells from the number of dimensions.
    kind : str
        What the activations are.
    pool : {"avg", "max", "flatten", "gem"}
        ``gem`` is the generalised mean (Radenovic et al. 2018) with power 3.

    Returns
    -------
    torch.Tensor, shape (b, D)
    """
    if kind == "auto":
        kind = {2: "vector", 4: "map", 3: "tokens"}.get(taken.ndim, "flat")
    if kind in ("vector", "flat") or taken.ndim == 2:
        return taken.flatten(1)
    places = {
        "map": lambda: taken.flatten(2),
        "map-last": lambda: taken.flatten(1, 2).transpose(1, 2),
        "tokens": lambda: taken[:, 1:].transpose(1, 2),
    }[kind]()
    if pool == "flatten":
        return places.flatten(1)
    if pool == "max":
        return places.amax(2)
    if pool == "gem":
        return places.clamp(min=1e-6).pow(GEM_POWER).mean(2).pow(1 / GEM_POWER)
    return places.mean(2)


def pick_device(name: str) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    UsageError
        Where a GPU was asked for and there is none, or the word is none of these.
    """
    import torch

    _refuse_unknown("device", name, DEVICES)
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("--device cuda: torch finds no GPU here; take --device cpu or auto")
    return "cuda" if there and name in ("auto", "cuda") else "cpu"


def _refuse_unknown(kind: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise UnknownName(kind, word, known)


def layer_shapes(network: nn.Module, *, layers: Sequence[Tap], size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's activations, computed without computing them.

    Parameters
    ----------
    network : torch.nn.Module
        Built on torch's ``meta`` device.
    layers : sequence of Tap
        The layers.
    size : int
        Side of the input.

    Raises
    ------
    UsageError
        Where the network does not take that size.
    """
    import torch

    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str, value: Any) -> None:
        shapes[name] = tuple(value.shape[1:])

    _tap(network, layers, keep)
    with _size_refused(size):
        network.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return shapes


def _tap(network: nn.Module, layers: Sequence[Tap], take: Callable[[str, Any], None]) -> None:
    """Have ``take`` told the name and the activation of each layer in every forward pass."""
    modules = dict(network.named_modules())
    for layer in layers:
        if layer.module not in modules:
            raise UsageError(
                f"the network has no module {layer.module!r}; `featx info --backbone` lists the layers by name"
            )
        module = modules[layer.module]
        if layer.take == "input":
            module.register_forward_pre_hook(lambda _, inputs, name=layer.name: take(name, inputs[0]))
        else:
            module.register_forward_hook(lambda _, __, output, name=layer.name: take(name, output))


@contextlib.contextmanager
def _size_refused(size: int) -> Iterator[None]:
    """Turn a network's complaint into a sentence; most often it is about the size of its input."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        told = " ".join(str(error).split())[:200]
        if "memory" in told:
            raise MemoryError(told) from error
        raise UsageError(f"this backbone cannot be run on images of {size} x {size} pixels ({told})") from error


def _affine(normalise: Normalisation, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift such that ``pixel * scale + shift`` is the normalised pixel."""
    import torch

    std = np.asarray(normalise.std, dtype=np.float64)
    scale, shift = normalise.scale / std, -np.asarray(normalise.mean, dtype=np.float64) / std
    return tuple(torch.tensor(x, dtype=torch.float32, device=device).view(1, 3, 1, 1) for x in (scale, shift))  # type: ignore[return-value]
