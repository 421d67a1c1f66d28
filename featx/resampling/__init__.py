"""Pillow's resize in compiled loops, once a process has seen enough pixels for them to pay: the same bits."""

from __future__ import annotations

import importlib
import threading
from types import ModuleType

PAYS = 150_000_000  # pixels to resize, from which on a quarter of Pillow's time has repaid numba's start

_lock = threading.Lock()
_seen = 0
_loops: ModuleType | None = None


def loops_after(pixels: int) -> ModuleType | None:
    """Return :mod:`featx.resampling.loops` if it pays by now.

    One thread waits while it is made ready; the others go on without it.

    Parameters
    ----------
    pixels : int
        Of an image that is about to be resized; they are counted.

    Returns
    -------
    module or None
        None before enough pixels were counted, where numba is not installed or cannot keep what it compiles, and where
        this Pillow resizes otherwise.
    """
    global _seen, _loops
    with _lock:
        before, _seen = _seen, _seen + pixels
        due = before < PAYS <= _seen
    if due:
        _loops = _ready()
    return _loops


def _ready() -> ModuleType | None:
    try:
        loops = importlib.import_module("featx.resampling.loops")
        return loops if loops.agrees() else None
    except Exception:  # numba is not here, cannot keep what it compiles, reads it damaged: all that is lost is time
        return None
