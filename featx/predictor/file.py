"""A model as one file: safetensors, with arrays by name and a header of plain values; nothing in it can run.

What is read is checked before it is used: sizes before anything is allocated, then the digest, then every value. Never
knows images, or what the numbers are for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import atomic
from featx.errors import ModelError
from featx.predictor.arrays import DTYPES, Shape, check_shapes, check_values
from featx.predictor.header import MOST_TEXT, read_header, write_header
from featx.provenance import canonical_json, digest_arrays, digest_bytes

MARK = "featx model"
NETWORK = "network."  # what the arrays of an embedded network begin with
MOST_BYTES = 4 * 2**30
MOST_ARRAYS = 10_000
NETWORK_DTYPES = {"F32": np.float32, "I64": np.int64}
PICKLED = (b"\x80", b"PK", b"\x1f\x8b", b"x\x9c")  # what pickles, archives and compressed ones begin with
PICKLES = (".pkl", ".pickle", ".joblib", ".skops", ".npy", ".npz")


class Model(NamedTuple):
    """What a model file holds.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    header : dict
        Its plain values, as ``header.SCHEMA`` says.
    arrays : dict of str to numpy.ndarray
        Its arrays, without those of an embedded network.
    digest : str
        sha256 over header and arrays: which model this is.
    """

    path: Path
    header: dict[str, Any]
    arrays: dict[str, np.ndarray]
    digest: str


def write(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    network: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Write a model whole or not at all, checked as it will be when it is read, and return its digest.

    Parameters
    ----------
    path : path-like
        Where.
    header, arrays : mapping
        As of :class:`Model`.
    network : mapping of str to numpy.ndarray, optional
        The network's own tensors, to be put inside.
    """
    from safetensors.numpy import save

    text = write_header({**header, "network": {**header["network"], "embedded": network is not None}})
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    kinds = {np.dtype(kind): name for name, kind in DTYPES.items()}
    told = read_header(text)
    check_shapes(told, {name: Shape(kinds[array.dtype], array.shape) for name, array in arrays.items()})
    check_values(told, arrays)
    inside = {f"{NETWORK}{name}": np.asarray(array, order="C") for name, array in (network or {}).items()}
    digest = digest_of(text, arrays)
    atomic.write_bytes(path, save({**arrays, **inside}, {MARK: text, "sha256": digest}))
    return digest


def digest_of(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of a header and the arrays beside it; an embedded network has a digest of its own in it."""
    return digest_bytes(canonical_json([text, digest_arrays(arrays.items())]).encode())


def read(path: str | os.PathLike[str]) -> Model:
    """Read a model, and refuse whatever a model is not.

    Raises
    ------
    ModelError
        Where the file is missing, is no model, or holds what a model cannot hold; it says what.
    """
    path = Path(path)
    with _opened(path) as file:
        try:
            text, digest = _texts(file)
            header = read_header(text)
            table = _table(file)
            own = {name: one for name, one in table.items() if not name.startswith(NETWORK)}
            if header["network"]["embedded"] != (len(own) < len(table)):
                raise ModelError("its header does not say whether a network is inside")
            check_shapes(header, own)
            arrays = {name: _array(file, name, one, DTYPES) for name, one in own.items()}
            if digest != digest_of(text, arrays):
                raise ModelError("its bytes are not those that were written; fetch it again")
            check_values(header, arrays)
        except ModelError as error:
            raise ModelError(f"{path} cannot be used as a model: {error}") from None
    return Model(path, header, arrays, digest)


def network_of(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of the network that a model holds; whoever builds it compares them with its own digest."""
    with _opened(path) as file:
        try:
            table = {name: one for name, one in _table(file).items() if name.startswith(NETWORK)}
            return {name.removeprefix(NETWORK): _array(file, name, one, NETWORK_DTYPES) for name, one in table.items()}
        except ModelError as error:
            raise ModelError(f"{path} cannot be used as a model: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import safe_open

    _refuse_other(path)
    try:
        file = safe_open(path, framework="numpy")
    except Exception as error:  # the library raises whatever it likes; the file is at fault
        raise ModelError(f"{path} is no featx model ({str(error)[:100]}); give what `featx fit --save` wrote") from None
    with file:
        yield file


def _refuse_other(path: Path) -> None:
    """Raise where a file is missing, too large, or of a kind that could run code when it is loaded."""
    if not path.is_file():
        raise ModelError(f"{path}: no such model; give a file that `featx fit --save` wrote")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ModelError(f"{path} has {size} bytes, more than a model can have ({MOST_BYTES})")
    with path.open("rb") as stream:
        start = stream.read(9)
    # a safetensors file begins with the length of its table, which may be any bytes, and then the table's brace
    if path.suffix.lower() in PICKLES or (start.startswith(PICKLED) and start[8:] != b"{"):
        raise ModelError(
            f"{path} looks like a pickle, which can run code when it is loaded, so that it is refused; give the .featx "
            "file, or, if you made this very file, --unsafe-pickle together with --sha256"
        )


def _texts(file: Any) -> tuple[str, str]:
    told = file.metadata() or {}
    if MARK not in told or "sha256" not in told:
        raise ModelError("it is a safetensors file of another kind; give what `featx fit --save` wrote")
    if len(told[MARK]) > MOST_TEXT:
        raise ModelError(f"its header has {len(told[MARK])} characters, limit {MOST_TEXT}")
    return told[MARK], told["sha256"]


def _table(file: Any) -> dict[str, Shape]:
    """Return type and shape of each array, from the file's own table."""
    names = list(file.keys())
    if len(names) > MOST_ARRAYS:
        raise ModelError(f"it holds {len(names)} arrays, limit {MOST_ARRAYS}")
    slices = {name: file.get_slice(name) for name in names}
    return {name: Shape(str(one.get_dtype()), tuple(one.get_shape())) for name, one in slices.items()}


def _array(file: Any, name: str, one: Shape, known: Mapping[str, Any]) -> np.ndarray:
    if one.dtype not in known:
        raise ModelError(f"array {name[:60]!r} is of the type {one.dtype}, which has no place there")
    array = np.asarray(file.get_tensor(name))
    if array.dtype != known[one.dtype] or array.shape != one.shape:
        raise ModelError(f"array {name[:60]!r} is not what the file's table says")
    return array
