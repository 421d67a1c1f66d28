"""Small files that appear whole or not at all: temporary name, fsync, rename.

For JSON records and tables. Feature files have their own, stronger protocol in ``cache``.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file (UTF-8) so that a reader sees the old one or the new one, never a part.

    Parameters
    ----------
    path : path-like
        Where; missing folders are made.
    text : str
        The whole content.

    Returns
    -------
    pathlib.Path
        The path written.
    """
    return write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write bytes as :func:`write_text` writes text."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return path
