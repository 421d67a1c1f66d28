"""The runtime that takes every network and every device: torch itself, channels last, stopped at the last layer wanted.

This file must never know images on disk, the cache, or how a network got its weights.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import UsageError
from featx.images import Normalisation
from featx.runtime.base import DEVICES, PRECISIONS, Runtime, Stream, Tap, refuse_unknown
from featx.runtime.pooling import POOLS, pooled
from featx.runtime.taps import affine, refuse_rowless, size_refused, tap

if TYPE_CHECKING:
    import torch
    from torch import nn

AT_ONCE = 2  # streams on a GPU at a time: one computes while the other's pixels and features are under way


class _Enough(Exception):
    """The last layer wanted was reached; the rest of the network need not run."""


class _Pass(threading.local):
    """What one thread's forward pass has taken so far."""

    taken: dict[str, Any]
    calls: dict[str, int]


class TorchRuntime(Runtime):
    """A network run by torch; see :class:`Runtime`.

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
        Images in a forward pass, always; halved where the memory does not suffice for it.
    precision : {"fp32", "bf16"}
        Precision of weights and activations; features come out as float32.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Shape of each layer's activations, without the batch.
    part : int
        Images that go through at once, ``batch_size`` or what memory allows.

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

        super().__init__()
        refuse_unknown("pool", pool, POOLS)
        refuse_unknown("precision", precision, PRECISIONS)
        self.name = f"torch {torch.__version__}"
        self.device, self.precision = pick_device(device), precision
        self.layers = list(layers)
        self.size, self.pool, self.batch_size = size, pool, batch_size
        self.part = batch_size
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        if (self.device, precision) == ("cuda", "fp32"):
            torch.backends.cudnn.allow_tf32 = False  # its default rounds what convolutions multiply to 10 bits
        self._network = network.eval().requires_grad_(False).to(self.device, self._dtype)
        self._network = self._network.to(memory_format=torch.channels_last)  # a quarter faster on processors
        self._scale, self._shift = affine(normalise, self.device)
        self._bgr = normalise.bgr
        self._pass = _Pass()
        self._expected: dict[str, int] | None = None
        self._at_once = threading.BoundedSemaphore(AT_ONCE)
        self._hooks = tap(self._network, self.layers, self._take)
        self.shapes, self.dims = self._probe()

    def stream(self) -> Stream:
        """Return a stream: on a GPU with a queue of its own there, and with pinned buffers."""
        return _TorchStream(self) if self.device == "cpu" else _GpuStream(self)

    def untap(self) -> None:
        """Take the hooks out of the network, which then runs as before; this runtime is of no use any more."""
        for hook in self._hooks:
            hook.remove()

    def infer(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the features of a full batch on the device that it lies on, by layer; what is one pass for the user.

        Where memory does not suffice, the batch goes through in halves, and so do all that follow.
        """
        self._counted()
        while True:
            size = self.part
            try:
                return self._in_parts(pixels, size)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self._halve(size, error)

    def _in_parts(self, pixels: torch.Tensor, size: int) -> dict[str, torch.Tensor]:
        import torch

        if size == len(pixels):
            return self._features(pixels)
        parts = [self._features(_padded(part, size)) for part in pixels.split(size)]
        return {layer.name: torch.cat([part[layer.name] for part in parts])[: len(pixels)] for layer in self.layers}

    def _halve(self, size: int, error: Exception) -> None:
        import torch

        if size == 1:
            raise MemoryError(f"one image of {self.size} x {self.size} pixels does not fit in memory") from error
        with self._count:  # several threads may find out at the same time
            self.part = min(self.part, -(-size // 2))
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _features(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        taken = self._forward(pixels)
        return {layer.name: self._vectors(taken[layer.name], layer) for layer in self.layers}

    def _forward(self, batch: torch.Tensor) -> dict[str, Any]:
        import torch

        self._pass.taken, self._pass.calls = {}, dict.fromkeys((layer.name for layer in self.layers), 0)
        with torch.inference_mode():
            pixels = batch.to(self.device).permute(0, 3, 1, 2)
            pixels = pixels.flip(1) if self._bgr else pixels
            pixels = (pixels * self._scale + self._shift).to(self._dtype)
            with contextlib.suppress(_Enough):
                self._network(pixels.contiguous(memory_format=torch.channels_last))
        return self._pass.taken

    def _vectors(self, taken: torch.Tensor, layer: Tap) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            return pooled(taken.float(), kind=layer.kind, pool=self.pool)

    def _take(self, name: str, value: Any) -> None:
        """Keep an activation; stop the pass once every layer was called as often as in the probe."""
        # a copy, since many networks overwrite an activation in place with the next one (fc7-pre by fc7)
        self._pass.taken[name] = value.clone() if hasattr(value, "clone") else value
        self._pass.calls[name] += 1
        if self._pass.calls == self._expected:
            raise _Enough

    def _probe(self) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        """Run two blank images to learn shapes, and how often each module is called in one pass."""
        import torch

        blank = torch.zeros((2, self.size, self.size, 3), dtype=torch.uint8)
        with size_refused(self.size):
            taken = self._forward(blank)
        for layer in self.layers:
            refuse_rowless(layer, taken.get(layer.name), images=len(blank))
        self._expected = dict(self._pass.calls)
        shapes = {name: tuple(value.shape[1:]) for name, value in taken.items()}
        dims = {layer.name: self._vectors(taken[layer.name], layer).shape[1] for layer in self.layers}
        return shapes, dims


class _TorchStream:
    """A stream on the processor."""

    def __init__(self, runtime: TorchRuntime) -> None:
        import torch

        self._runtime = runtime
        self._batch = torch.zeros((runtime.batch_size, runtime.size, runtime.size, 3), dtype=torch.uint8)
        self.pixels = self._batch.numpy()

    def __call__(self) -> dict[str, np.ndarray]:
        return {name: features.numpy() for name, features in self._runtime.infer(self._batch).items()}


class _GpuStream:
    """A stream on a GPU: pinned buffers, so that pixels go there and features come back while another one computes."""

    def __init__(self, runtime: TorchRuntime) -> None:
        import torch

        self._runtime = runtime
        shape = (runtime.batch_size, runtime.size, runtime.size, 3)
        self._batch = torch.zeros(shape, dtype=torch.uint8).pin_memory()
        self._back = {
            name: torch.empty((runtime.batch_size, dim), dtype=torch.float32).pin_memory()
            for name, dim in runtime.dims.items()
        }
        self._queue = torch.cuda.Stream()
        self.pixels = self._batch.numpy()

    def __call__(self) -> dict[str, np.ndarray]:
        import torch

        with self._runtime._at_once, torch.cuda.stream(self._queue):
            features = self._runtime.infer(self._batch.to("cuda", non_blocking=True))
            for name, back in self._back.items():
                back.copy_(features[name], non_blocking=True)
            self._queue.synchronize()
        return {name: back.numpy() for name, back in self._back.items()}


def _padded(part: torch.Tensor, size: int) -> torch.Tensor:
    """Return a part of a batch as one of the full size, so that products add up in one order whatever its length."""
    if len(part) == size:
        return part
    padded = part.new_zeros((size, *part.shape[1:]))
    padded[: len(part)] = part
    return padded


def out_of_memory(error: Exception) -> bool:
    """Return whether an error of torch is about memory that is not there."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error)


def pick_device(name: str) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    UsageError
        Where a GPU was asked for and there is none, or the word is none of these.
    """
    import torch

    refuse_unknown("device", name, DEVICES)
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("a GPU was asked for, but torch finds no GPU here; take --device cpu, or see featx doctor")
    return "cuda" if there and name in ("auto", "cuda") else "cpu"
