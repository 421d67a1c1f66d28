"""Small pictures of single images, from the very files that were used. The only file of a report that opens images."""

from __future__ import annotations

import io

from featx import images
from featx.errors import ImageError
from featx.matrix import Features
from featx.page import Thumbnail

SIDE, QUALITY = 96, 70


def thumbnail(features: Features, row: int) -> Thumbnail | None:
    """Return a sample's image made small; None where its file is gone or is no longer the one that was used.

    It is drawn anew: nothing of the file goes along, neither its name nor what a camera wrote into it.
    """
    sample = features.dataset.samples[row]
    try:
        source = images.read(features.dataset.root / sample.path)
        if source.sha256 != features.digests[row]:
            return None
        picture = images.decode(source.data)
    except ImageError:
        return None
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    small.info.clear()
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=QUALITY)
    found = Thumbnail(f"image {sample.id}")
    found.jpeg = stream.getvalue()
    return found
