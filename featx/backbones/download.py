"""Fetches torchvision's ImageNet weights once, into torch's own hub cache.

A machine without a network learns so in seconds, not minutes. This file must never know networks, nor read the
weights that it fetches.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from featx.backbones.base import Backbone
from featx.errors import WeightsUnavailable

PATIENCE = 15.0  # seconds without an answer, after which a network counts as absent


def imagenet_file(backbone: Backbone) -> Path:
    """Return the file of a backbone's ImageNet weights, downloaded where torch's hub cache has none.

    The hash in the file's name is checked on download, as torch does; a file that is there is taken as it is.

    Raises
    ------
    WeightsUnavailable
        Where it cannot be had; the message says why, and the ways on.
    """
    url, path = _address(backbone)
    if not path.exists():
        _fetch(url, path, backbone=backbone)
    return path


def at_hand(backbone: Backbone) -> Path | None:
    """Return the file of a backbone's ImageNet weights where torch's hub cache has it, else None; fetch nothing."""
    if backbone.imagenet is None:
        return None
    _, path = _address(backbone)
    return path if path.exists() else None


def _address(backbone: Backbone) -> tuple[str, Path]:
    import torch
    from torchvision.models import get_model_weights

    url = get_model_weights(backbone.name)[str(backbone.imagenet)].url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _fetch(url: str, path: Path, *, backbone: Backbone) -> None:
    import torch
    from torch.hub import HASH_REGEX

    digits = HASH_REGEX.search(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _ask(url)
        with _timeout(PATIENCE):
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digits and digits[1], progress=False)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise WeightsUnavailable(
            f"ImageNet weights of {backbone.name} cannot be had ({_reason(error)}): download {url} elsewhere and put "
            f"it at {path}, or give --weights FILE, or take --weights random"
        ) from error


def _ask(url: str) -> None:
    """Ask for the file's head in a thread: name look-up and the trial of many addresses obey no socket timeout."""
    failures: list[Exception] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE).close()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {PATIENCE:g} s")
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__
