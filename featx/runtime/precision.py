"""Whether bfloat16 is fast here, and whether it gives the same features: measured, never assumed.

With random weights it points the same way to four digits; with real ones it need not, mostly since the weights
themselves are rounded. This file must never know images on disk or what is decided.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

LEAST_COSINE = 0.999  # below this, features in bfloat16 are told apart from those in float32
CPUINFO = Path("/proc/cpuinfo")
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # oneDNN's own switch, which torch and OpenVINO both obey


class Agreement(NamedTuple):
    """How features in bfloat16 agree with those in float32.

    Attributes
    ----------
    worst, mean : float
        Cosine over images and layers.
    images : int
        How many images were compared.
    """

    worst: float
    mean: float
    images: int

    @property
    def sound(self) -> bool:
        """Whether bfloat16 will do."""
        return self.images > 0 and self.worst >= LEAST_COSINE


def agreement(exact: Mapping[str, np.ndarray], rough: Mapping[str, np.ndarray]) -> Agreement:
    """Compare features of the same images.

    Parameters
    ----------
    exact, rough : mapping of str to numpy.ndarray, shape (n, D)
        Features in float32 and in bfloat16 arithmetic, by layer.

    Returns
    -------
    Agreement
        Rows that hold nothing but zeros agree with each other and with nothing else; values that are not finite agree
        with nothing.
    """
    images = len(next(iter(exact.values()), ()))
    if not images:
        return Agreement(0.0, 0.0, 0)
    cosines = np.concatenate([_cosine(exact[name], rough[name]) for name in exact])
    return Agreement(float(cosines.min()), float(cosines.mean()), images)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x.astype(np.float64) for x in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    zero = ~a.any(1) & ~b.any(1)
    return np.where(zero, 1.0, np.where(np.isfinite(cosine), np.minimum(cosine, 1.0), 0.0))


def bf16_is_fast(device: str) -> bool:
    """Return whether a device multiplies matrices of bfloat16 in hardware: AMX on a processor, tensor cores on a GPU.

    Processors without AMX that know bfloat16 gain little and lose digits; they take float32.
    """
    if device == "cuda":
        import torch

        return torch.cuda.get_device_capability() >= (8, 0)
    return "amx_bf16" in _flags() and _amx_allowed()


def _flags() -> set[str]:
    try:
        lines = CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def _amx_allowed() -> bool:
    limit = next((os.environ[name] for name in LIMITS if os.environ.get(name)), "DEFAULT").upper()
    return limit in ("ALL", "DEFAULT") or "AMX" in limit
