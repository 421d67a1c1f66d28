"""Where matrices lie and are multiplied: in numpy's memory, or as tensors on a device of torch's.

Matrices of both are multiplied, sliced and turned by the same signs; this file holds what they have no common word for.
Vectors and what is decided by them stay in numpy. Knows no labels and no C.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.errors import UsageError

BLOCK = 96  # rows factored at a time
TOGETHER = 32  # rows that are taken out of a matrix at a time


class Host:
    """Numpy's memory."""

    def put(self, A: np.ndarray, dtype: Any) -> Any:
        """Return a matrix as it is held here, in a precision."""
        return np.asarray(A, dtype=dtype)

    def get(self, A: Any) -> np.ndarray:
        """Return what is held here as numpy holds it."""
        return np.asarray(A)

    def cast(self, A: Any, dtype: Any) -> Any:
        """Return what is held here in another precision."""
        return A.astype(dtype, copy=False)

    def among(self, A: Any, rows: np.ndarray) -> Any:
        """Return some rows and the same columns, a copy."""
        return taken(A, rows, rows)

    def solved(self, system: Any, right: np.ndarray) -> np.ndarray | None:
        """Return the solutions of a positive definite system, or None where it is not; the system is lost."""
        return solved(system, right)


class Device:
    """Tensors on a device of torch's.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda`` or ``cuda:1``, as torch calls it.

    Raises
    ------
    UsageError
        Where torch knows no such device, or finds none here.
    """

    def __init__(self, name: str) -> None:
        import torch

        try:
            self._device = torch.device(name)
        except RuntimeError:
            raise UsageError(f"device {name!r}: torch knows no such device; take cpu or cuda") from None
        count = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(self._device.type, 0)
        if (self._device.index or 0) >= count:
            raise UsageError(f"device {name!r}: torch finds none here; take cpu, or leave it out for numpy")
        self._torch = torch

    def put(self, A: np.ndarray, dtype: Any) -> Any:
        """Return a matrix as it is held here, in a precision."""
        A = A if A.flags.writeable else A.copy()  # torch shares memory, and has none that is only read
        return self._torch.as_tensor(A, dtype=self._named(dtype), device=self._device)

    def get(self, A: Any) -> np.ndarray:
        """Return what is held here as numpy holds it."""
        return np.asarray(A.cpu().numpy())

    def cast(self, A: Any, dtype: Any) -> Any:
        """Return what is held here in another precision."""
        return A.to(self._named(dtype))

    def among(self, A: Any, rows: np.ndarray) -> Any:
        """Return some rows and the same columns, a copy."""
        return A[rows][:, rows]

    def solved(self, system: Any, right: np.ndarray) -> np.ndarray | None:
        """Return the solutions of a positive definite system, or None where it is not."""
        factor, failed = self._torch.linalg.cholesky_ex(system)
        if failed:
            return None
        columns = self._torch.as_tensor(right, dtype=system.dtype, device=self._device).reshape(len(right), -1)
        return self.get(self._torch.cholesky_solve(columns, factor)).reshape(right.shape)

    def _named(self, dtype: Any) -> Any:
        return getattr(self._torch, np.dtype(dtype).name)


def place(device: str | None) -> Host | Device:
    """Return where matrices are held: numpy's memory, or a device of torch's."""
    return Host() if device is None else Device(device)


def taken(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return some rows and columns of a matrix, a copy: some rows at a time, so that they are read from cache.

    Row by row would be as fast, but each call lets go of Python's lock and waits for it, and other threads want it too.
    """
    found = np.empty((len(rows), len(columns)), dtype=matrix.dtype)
    for start in range(0, len(rows), TOGETHER):
        span = slice(start, start + TOGETHER)
        matrix[rows[span]].take(columns, axis=1, out=found[span], mode="clip")
    return found


def solved(system: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Return the solutions of a positive definite system, shape (m, p), or None where it is not; the system is lost."""
    from scipy.linalg.lapack import get_lapack_funcs

    factor = _factored(system)
    if factor is None:
        return None
    (potrs,) = get_lapack_funcs(("potrs",), (factor,))
    return np.asarray(potrs(factor.T, right, lower=0)[0])


def _factored(system: np.ndarray) -> np.ndarray | None:
    """Turn a positive definite system into its lower factor, or return None where it is not one.

    Block by block: numpy's products let go of Python's lock while they are computed and scipy's factors do not, so that
    several threads solve at once; numpy's own factor takes three times as long. What is below a block is multiplied by
    its inverse for the same reason. Above the blocks nothing is changed.
    """
    from scipy.linalg.lapack import get_lapack_funcs

    potrf, trtri = get_lapack_funcs(("potrf", "trtri"), (system,))
    for start in range(0, len(system), BLOCK):
        own, below = slice(start, start + BLOCK), slice(start + BLOCK, None)
        system[start:, own] -= system[start:, :start] @ system[own, :start].T
        upper, failed = potrf(system[own, own].T, lower=0)
        if failed:
            return None
        system[own, own] = upper.T
        if start + BLOCK < len(system):
            system[below, own] = system[below, own] @ trtri(upper, lower=0)[0]
    return system
