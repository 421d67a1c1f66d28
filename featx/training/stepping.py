"""What a step needs beside the network: an optimiser by part, generators of its own, memory and a word for its lack.

Knows no rows and no epochs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from featx.training.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import nn

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # of glibc's mallopt
MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


class OutOfMemory(Exception):
    """A pass did not fit into memory."""


def optimiser_for(settings: Settings, groups: dict[str, list[Any]]) -> torch.optim.Optimizer:
    """Return an optimiser whose groups know their part, with l2 on those that take it."""
    import torch

    given = [
        {"params": values, "part": name.split()[0], "weight_decay": settings.l2 if name.endswith("l2") else 0.0}
        for name, values in groups.items()
    ]
    if settings.optimiser == "adam":
        return torch.optim.Adam(given, lr=settings.lr, fused=True)
    nesterov = settings.optimiser == "nesterov"
    return torch.optim.SGD(given, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=True)


def without_copies(network: nn.Module) -> None:
    """Have functions keep what they came from, where working in place keeps a copy of it for the way back.

    Of ReLU the result suffices, and it may go on in place.
    """
    from torch import nn

    for module in network.modules():
        if isinstance(module, (nn.Hardtanh, nn.Hardswish, nn.SiLU)):  # ReLU6 is a Hardtanh
            module.inplace = False


@contextmanager
def seeded(device: str, seed: int) -> Iterator[None]:
    """Draw dropout and the like from a seed, and leave the generators of others as they were."""
    import torch

    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def memory_reused() -> Iterator[None]:
    """Have memory that is freed used again, where glibc would give it back to the system at once.

    A step frees and asks for the same large blocks as the step before. What comes fresh from the system is faulted in
    page by page: for MobileNetV2 that was a fifth of the processor time of a step. Other allocators are left alone.
    """
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(MMAP_MAX, 65_536)
        mallopt(TRIM_THRESHOLD, 128 * 1024)
        libc.malloc_trim(0)


@contextmanager
def memory_told() -> Iterator[None]:
    """Tell a lack of memory from other errors: torch has several words for it."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:
        if any(word in str(error).lower() for word in MEMORY):
            raise OutOfMemory(" ".join(str(error).split())[:200]) from error
        raise
