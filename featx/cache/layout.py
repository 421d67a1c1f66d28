"""The bytes of a feature file: its sealed head, its places and its row hashes.

A feature file is an ordinary HDF5 file of fixed size. Its user block is the *seal*: a digest, and a JSON text that
says where everything lies, so that a reader needs no HDF5 code and never hands damaged bytes to any. ::

    user block   magic, sha256, block size, length, JSON {n, dim, dtype, offsets, key, spec, env, static ...}   once
    path         (n,) fixed UTF-8 strings: the identity of a row                                                once
    samples      (bytes,) the sample table, one opaque text                                                     once
    features     (n, dim) float32, float16, or uint8; NaN (0 of uint8) until a row is written                   in place
    meta         (n,) RECORD: state of the row, and the image that it came from                                 in place
    row_hash     (n,) uint64: xxh3_64 of index, record and features, seeded by the key; 0 = never written       in place
    finish       4,096 bytes: sha256, length, JSON                                                              last

This file must never know torch, HDF5, a dataset by name, what a table says, or who holds the lock.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from featx.provenance import canonical_json, digest_json

FORMAT = "featx-features"
FORMAT_VERSION = 1
PENDING, OK = 0, 1
DTYPES: dict[str, np.dtype] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "uint8": np.dtype("u1")}
RECORD = np.dtype([("size", "<u8"), ("mtime_ns", "<i8"), ("sha256", "u1", (32,)), ("status", "<u2"), ("reason", "S78")])
HASH = np.dtype("<u8")

MAGIC = b"featx-features\r\n"  # the line end shows a transfer in text mode at once
SEALED_FROM = len(MAGIC) + hashlib.sha256().digest_size
FINISH_BYTES = 4096
PAGE = 4096
LARGEST_BLOCK = 1 << 26
CHUNK = 1 << 22
STATIC = ("path", "samples")
IN_PLACE = ("features", "meta", "row_hash", "finish")


class UnsoundError(Exception):
    """What was read cannot be what was written; the text says in which way."""


@dataclass(frozen=True)
class Head:
    """What the seal of a feature file says.

    Attributes
    ----------
    n, dim : int
        Rows, and features of a row.
    dtype : str
        ``float32``, ``float16`` or ``uint8``.
    path_len, table_len : int
        Bytes of one stored path, and of the sample table.
    block, end : int
        Bytes of the user block, and of the whole file.
    offsets : mapping of str to int
        Where each dataset begins, in bytes from the start of the file.
    key, spec, env, created, static : str, mapping, mapping, str, str
        What the features are, what began the file and when, and the sha256 of all bytes that never change.
    """

    n: int
    dim: int
    dtype: str
    path_len: int
    table_len: int
    block: int
    end: int
    offsets: Mapping[str, int]
    key: str
    spec: Mapping[str, Any]
    env: Mapping[str, Any]
    created: str
    static: str = "0" * 64

    @property
    def numpy_dtype(self) -> np.dtype:
        """The stored dtype, little-endian."""
        return DTYPES[self.dtype]

    @property
    def row_bytes(self) -> int:
        """Bytes of the features of one row."""
        return self.dim * self.numpy_dtype.itemsize

    def item_bytes(self, name: str) -> int:
        """Return the bytes that one row takes in a dataset (the whole of it, for one without rows)."""
        return {
            "features": self.row_bytes,
            "meta": RECORD.itemsize,
            "row_hash": HASH.itemsize,
            "path": self.path_len,
            "samples": self.table_len,
            "finish": FINISH_BYTES,
        }[name]

    def span(self, name: str) -> tuple[int, int]:
        """Return the first byte of a dataset and the byte after its last."""
        rows = 1 if name in ("samples", "finish") else self.n
        return self.offsets[name], self.offsets[name] + rows * self.item_bytes(name)

    def static_spans(self) -> Iterator[tuple[int, int]]:
        """Yield the parts of the file outside of the seal that never change after birth."""
        begin = self.block
        for first, last in sorted(self.span(name) for name in IN_PLACE):
            yield begin, first
            begin = last
        yield begin, self.end

    def to_json(self) -> str:
        """Return the JSON text of the seal: ASCII, so that any name can stand in it."""
        fields = {"format": FORMAT, "format_version": FORMAT_VERSION, **vars(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def nothing(dtype: np.dtype) -> Any:
    """Return what stands for a feature that is not there: NaN, or 0 where only a row's hash and status can say it."""
    return dtype.type(np.nan if dtype.kind == "f" else 0)


def key_of(spec: Mapping[str, Any]) -> str:
    """Return the cache key of a spec: the sha256 of its canonical JSON, as 64 hex digits.

    Parameters
    ----------
    spec : mapping
        Everything that changes a feature; JSON values only.
    """
    return digest_json(plain(spec))


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as JSON gives it back: tuples are lists, all keys are text."""
    return json.loads(canonical_json(value))


def new_record(
    *, status: int = OK, size: int = 0, mtime_ns: int = 0, sha256: str | bytes = bytes(32), reason: str = ""
) -> np.ndarray:
    """Return the record of one row.

    Parameters
    ----------
    status : int
        ``OK``, or 2 and more for a failure.
    size, mtime_ns : int
        Size (bytes) and time of change (ns) of the image file.
    sha256 : str or bytes
        Digest of the image file, 64 hex digits or 32 bytes.
    reason : str
        Why the image failed, cut to 78 bytes of UTF-8; of an OK row the tag of what computed it (see ``origins``).

    Returns
    -------
    ndarray of RECORD, shape ()
    """
    record = np.zeros((), RECORD)
    digest = bytes.fromhex(sha256) if isinstance(sha256, str) else sha256
    text = reason.encode(errors="replace")[: RECORD["reason"].itemsize].decode(errors="ignore").encode()
    record["size"], record["mtime_ns"], record["status"], record["reason"] = size, mtime_ns, status, text
    record["sha256"] = np.frombuffer(digest, "u1")
    return record


def hash_rows(key: str, rows: np.ndarray, features: np.ndarray, records: np.ndarray) -> np.ndarray:
    """Return the hash of each row: xxh3_64, seeded by the key, of index, record and feature bytes.

    The index is in it so that a row that lies in another row's place does not pass, the key so that a row of
    another file does not. It is made for accidents, not against forgery.

    Parameters
    ----------
    key : str
        The cache key, hex digits; the first 16 are the seed.
    rows : ndarray of int, shape (B,)
        Index of each row in the file.
    features : ndarray, shape (B, D)
        Contiguous, as stored.
    records : ndarray of RECORD, shape (B,)

    Returns
    -------
    ndarray of uint64, shape (B,)
        Never 0: that means "never written".
    """
    seed = int(key[:16], 16)
    heads = np.empty((len(rows), HASH.itemsize + RECORD.itemsize), np.uint8)
    heads[:, : HASH.itemsize] = as_bytes(rows.astype(HASH)).reshape(-1, HASH.itemsize)
    heads[:, HASH.itemsize :] = as_bytes(records).reshape(-1, RECORD.itemsize)
    # slices of plain bytes: views of arrays take longer to make than short rows to hash
    about, size, stored = heads.tobytes(), heads.shape[1], as_bytes(features).data
    width = features[:1].nbytes
    hashes = np.empty(len(rows), HASH)
    for at in range(len(rows)):
        state = xxhash.xxh3_64(about[at * size : (at + 1) * size], seed)
        state.update(stored[at * width : (at + 1) * width])
        hashes[at] = state.intdigest() or 1
    return hashes


def frame(text: str, size: int) -> bytes:
    """Return a text as a block of ``size`` bytes that checks itself: sha256, size, length, text, zeros."""
    data = text.encode()
    body = size.to_bytes(8, "little") + len(data).to_bytes(8, "little") + data
    body += bytes(size - hashlib.sha256().digest_size - len(body))
    return hashlib.sha256(body).digest() + body


def unframe(block: bytes) -> dict[str, Any]:
    """Return the JSON object in a block made by :func:`frame`.

    Raises
    ------
    UnsoundError
        Where the block is not what was written.
    """
    digest, body = block[:32], block[32:]
    length = int.from_bytes(body[8:16], "little")
    if hashlib.sha256(body).digest() != digest or length > len(body) - 16:
        raise UnsoundError("its digest does not fit")
    try:
        fields = json.loads(body[16 : 16 + length])
    except (ValueError, RecursionError):
        raise UnsoundError("it is not JSON") from None
    if not isinstance(fields, dict):
        raise UnsoundError("it is not a JSON object")
    return fields


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Return the bytes of a contiguous array, flat and without a copy."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def write_at(descriptor: int, data: Any, offset: int) -> None:
    """Write all of a buffer of bytes at an offset; the one place where a feature file gets its bytes."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def read_at(descriptor: int, into: Any, offset: int) -> None:
    """Fill a buffer of bytes from an offset.

    Raises
    ------
    UnsoundError
        Where the file ends before the buffer is full.
    """
    view = memoryview(into)
    while view:
        count = os.preadv(descriptor, [view], offset)
        if not count:
            raise UnsoundError("it ends too early")
        view, offset = view[count:], offset + count


def flush(descriptor: int) -> None:
    """Return once the written bytes are on the disk."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def read_head(descriptor: int) -> tuple[Head, str]:
    """Read and check the seal and every byte that never changes; no HDF5 code is touched.

    Returns
    -------
    head : Head
    seal : str
        The digest of the seal, hex: what makes this very file.

    Raises
    ------
    UnsoundError
        Where the bytes cannot be those of a feature file.
    """
    size = os.fstat(descriptor).st_size
    start = bytearray(SEALED_FROM + 8)
    read_at(descriptor, start, 0)
    if not start.startswith(MAGIC):
        raise UnsoundError("it does not begin as a feature file")
    block = len(MAGIC) + int.from_bytes(start[SEALED_FROM:], "little")
    if not PAGE <= block <= min(size, LARGEST_BLOCK) or block & (block - 1):
        raise UnsoundError("the size of its head is impossible")
    sealed = bytearray(block - len(MAGIC))
    read_at(descriptor, sealed, len(MAGIC))
    head = _head_from(unframe(bytes(sealed)), block, size)
    if static_digest(descriptor, head) != head.static:
        raise UnsoundError("bytes that never change have changed")
    return head, sealed[:32].hex()


def static_digest(descriptor: int, head: Head) -> str:
    """Return the sha256 (hex) of all bytes outside of the seal that never change."""
    state = hashlib.sha256()
    for begin, end in head.static_spans():
        for at in range(begin, end, CHUNK):
            part = bytearray(min(CHUNK, end - at))
            read_at(descriptor, part, at)
            state.update(part)
    return state.hexdigest()


def _head_from(fields: dict[str, Any], block: int, size: int) -> Head:
    """Turn the sealed JSON into a head; believe none of its numbers before they fit the file."""
    if fields.pop("format", None) != FORMAT:
        raise UnsoundError("its head names another format")
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise UnsoundError(f"its format has version {version!r}, and this featx reads version {FORMAT_VERSION}")
    try:
        head = Head(**fields)
        _check_types(head)
        _check_places(head, block, size)
        fits = key_of(head.spec) == head.key
    except (TypeError, KeyError, ValueError, RecursionError):
        raise UnsoundError("its head is not made as a head is") from None
    if not fits:
        raise UnsoundError("its key does not fit its spec")
    return head


def _check_types(head: Head) -> None:
    if not all(isinstance(part, dict) for part in (head.offsets, head.spec, head.env)):
        raise TypeError
    numbers = [head.n, head.dim, head.path_len, head.table_len, head.block, head.end, *head.offsets.values()]
    texts = [head.dtype, head.key, head.static, head.created]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError
    if not all(isinstance(text, str) for text in texts) or head.dtype not in DTYPES:
        raise TypeError


def _check_places(head: Head, block: int, size: int) -> None:
    if head.block != block or head.end != size or not (head.n and head.dim and head.path_len):
        raise UnsoundError(f"it has {size:,} bytes, and its head speaks of {head.end:,}")
    if set(head.offsets) != {*STATIC, *IN_PLACE}:
        raise KeyError
    spans = sorted(head.span(name) for name in head.offsets)
    ends = [block, *(last for _, last in spans)]
    if any(first < before for (first, _), before in zip(spans, ends, strict=False)) or ends[-1] > size:
        raise UnsoundError("its parts do not lie within it")
