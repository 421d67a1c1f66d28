"""From a file to pixels: read, decode, trim, resize, as a frozen description that goes into the cache's key.

Nothing here is random and nothing here knows a network: the outcome is ``uint8`` RGB, and :class:`Normalisation` says
how a runtime turns it into what the weights expect.
"""

from __future__ import annotations

import functools
import io
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from featx.errors import ImageError, UsageError
from featx.provenance import digest_bytes
from featx.shelf import Shelf

if TYPE_CHECKING:
    from PIL import Image

DECODE_RULES = 2  # raised whenever a change here changes a pixel
MAX_BYTES = 512 * 2**20
MAX_PIXELS = 89_000_000  # under Pillow's own limit for decompression bombs
CROP_RATIO = 256 / 224  # the usual short side before a centre crop
TRIM_FUZZ = 0.2 * 255  # Menegola et al. (2017): border within 20 % of black
TRIM_KEEP = 0.95  # and then the centre 95 %
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".dcm", ".dicom")
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "box", "nearest")
RESIZES = ("squash", "crop")
TIFF_PAGES = 100  # how many are looked at for one that is no thumbnail
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

T = TypeVar("T")


@dataclass(frozen=True)
class Normalisation:
    """What is done to a ``uint8`` pixel before the network: ``(pixel * scale - mean) / std`` by channel.

    Parameters
    ----------
    name : str
        Its name; a weights file that brings its own mean keeps the name of the kind.
    scale : float
        1/255 or 1.
    mean, std : tuple of float
        By channel, after scaling, in the order that the network sees.
    bgr : bool
        Whether the network sees blue first.
    """

    name: str
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


NORMALISATIONS: Shelf[Normalisation] = Shelf(
    "normalisation",
    {
        "imagenet": Normalisation("imagenet", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        "mean-only": Normalisation("mean-only", scale=1.0, mean=(123.68, 116.779, 103.939)),
        "caffe": Normalisation("caffe", scale=1.0, mean=(103.939, 116.779, 123.68), bgr=True),
        "-1..1": Normalisation("-1..1", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        "unit": Normalisation("unit"),
        "0..255": Normalisation("0..255", scale=1.0),
    },
)


def normalisation(value: str | Mapping[str, Any]) -> Normalisation:
    """Return a normalisation by name, or one that a weights file brought as ``{"name": ..., "mean": [r, g, b]}``."""
    if isinstance(value, str):
        return NORMALISATIONS[value]
    base = asdict(NORMALISATIONS[value["name"]])
    return Normalisation(**{**base, "mean": tuple(value["mean"])})


@dataclass(frozen=True)
class Transform:
    """How an image becomes an array: everything of it is part of the cache's key.

    Parameters
    ----------
    size : int
        Side of the square in pixels.
    resize : {"squash", "crop"}
        ``squash`` ignores the aspect ratio, as in Menegola et al. (2017); ``crop`` scales the short side to
        ``size * 256/224`` and takes the centre.
    interpolation : str
        One of ``INTERPOLATIONS``.
    antialias : bool
        Whether shrinking takes in all the pixels that it covers.
    trim : bool
        Cut a nearly black border first, then keep the centre 95 %, as in Menegola et al. (2017).

    Raises
    ------
    UsageError
        A value that is none of these.
    """

    size: int = 224
    resize: str = "squash"
    interpolation: str = "bilinear"
    antialias: bool = True
    trim: bool = False

    def __post_init__(self) -> None:
        if self.size < 1 or self.size > 4096:
            raise UsageError(f"--size takes a side from 1 to 4096 pixels; {self.size} came")
        if self.resize not in RESIZES or self.interpolation not in INTERPOLATIONS:
            raise UsageError(f"unknown resize {self.resize!r} or interpolation {self.interpolation!r}")
        if not self.antialias and self.interpolation in ("lanczos", "box"):
            raise UsageError(f"{self.interpolation} always antialiases; take bilinear, bicubic or nearest without")

    def describe(self) -> dict[str, Any]:
        """Return the transform as plain values for the key, decode rules included."""
        return {"decode": f"pillow, rules {DECODE_RULES}", **asdict(self)}

    def __call__(self, data: bytes) -> np.ndarray:
        """Decode and resize the bytes of an image file.

        Returns
        -------
        numpy.ndarray of uint8, shape (size, size, 3)

        Raises
        ------
        ImageError
            Where the bytes are no image that can be used, with the reason.
        """
        out = np.empty((self.size, self.size, 3), dtype=np.uint8)
        self.into(data, out)
        return out

    def into(self, data: bytes, out: np.ndarray) -> None:
        """Decode and resize the bytes of an image file into memory that is there; safe from several threads.

        Parameters
        ----------
        data : bytes
            The whole file.
        out : numpy.ndarray of uint8, shape (size, size, 3)
            Where the pixels go, a place in a batch for instance; left as it is where the image is refused.

        Raises
        ------
        ImageError
            Where the bytes are no image that can be used, with the reason.
        """
        resize = _opened(data, lambda image: self._decoded(image, data))
        resize(out)  # outside of what is the image's fault

    def _decoded(self, image: Image.Image, data: bytes) -> Callable[[np.ndarray], None]:
        """Decode an image that is open, and return what resizes it: the fastest way that ends in the same pixels."""
        from featx import jpeg

        if self.trim:
            whole = _upright_rgb(image)
            return lambda out: self._resize(trim_border(whole), out)
        plain = image.format == "JPEG" and image.mode in ("L", "RGB")
        loops = self._loops(image) if plain else None
        pixels = None
        if loops is not None or (plain and image.width * image.height >= jpeg.LARGE):
            pixels = jpeg.lent(data, width=image.width, height=image.height)
        if pixels is None:
            return functools.partial(self._resize, _upright_rgb(image))
        turned, box = _orientation(image), self._box(image.width, image.height)

        def resize(out: np.ndarray) -> None:
            if turned != 1 or loops is None or not loops.resize(pixels, out, box=box):
                self._resize(_upright(jpeg.image_of(pixels), turned), out)

        return resize

    def _loops(self, image: Image.Image) -> ModuleType | None:
        """Return what resizes a JPEG sooner than Pillow, where there is such a thing and it pays by now."""
        from featx import jpeg, resampling

        usual = self.antialias and self.interpolation == "bilinear" and image.width >= image.height
        return resampling.loops_after(image.width * image.height) if usual and jpeg.installed() else None

    def _resize(self, image: Image.Image, out: np.ndarray) -> None:
        from PIL import Image

        resample, size = Image.Resampling[self.interpolation.upper()], (self.size, self.size)
        box = self._box(image.width, image.height)
        if self.antialias:
            image = image.resize(size, resample, box=box)
        else:
            image = image.transform(size, Image.Transform.EXTENT, box, resample)
        # a lent image has a fourth byte that says nothing, and Pillow drops it faster than a slice would
        out[...] = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return what is resized, in source pixels: resizing only the crop gives the same pixels in less time."""
        if self.resize == "squash":
            return (0, 0, width, height)
        side = min(width, height) / CROP_RATIO
        left, top = (width - side) / 2, (height - side) / 2
        return (left, top, left + side, top + side)


class Stat(NamedTuple):
    """Size in bytes and time of change in nanoseconds: what tells an unchanged file without opening it."""

    size: int
    mtime_ns: int


def stat_of(path: str | os.PathLike[str]) -> Stat | None:
    """Return a file's size and time, or None where there is no such file."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return Stat(found.st_size, found.st_mtime_ns)


class Source(NamedTuple):
    """The bytes of an image file, their sha256 (hex), and the size and time that they were read at."""

    data: bytes
    sha256: str
    stat: Stat


def read(path: str | os.PathLike[str]) -> Source:
    """Read an image file's bytes.

    Raises
    ------
    ImageError
        Where it is missing, no regular file, unreadable, empty, or larger than 512 MiB.
    """
    try:
        # without O_NONBLOCK, opening a named pipe would wait for ever
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ImageError("missing", "no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError("unreadable", str(error)) from error
    try:
        return _source(handle)
    except OSError as error:
        raise ImageError("unreadable", str(error)) from error
    finally:
        os.close(handle)


def _source(handle: int) -> Source:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise ImageError("not_a_file", "no regular file")
    if found.st_size > MAX_BYTES:
        raise ImageError("too_large", f"{found.st_size} bytes, limit {MAX_BYTES}")
    with os.fdopen(handle, "rb", closefd=False) as stream:
        data = stream.read()
    if not data:
        raise ImageError("empty", "zero bytes")
    return Source(data, digest_bytes(data), Stat(len(data), found.st_mtime_ns))


def decode(data: bytes) -> Image.Image:
    """Decode the first frame of an image file to RGB.

    EXIF orientation is applied; grey, palette and CMYK become RGB; alpha is dropped; 16-bit grey is divided by 257,
    12-bit grey by 4095 / 255, and 16-bit colour keeps its upper 8 bits; floating point, signed and 32-bit integers are
    refused, since nothing says what their black and white are. Of a TIFF of several pages, the first counts that is
    not marked as a thumbnail (bit 0 of NewSubfileType); where the first 100 are, page one. A file with the preamble of
    DICOM is read by the rule of :mod:`featx.dicom`.

    Raises
    ------
    ImageError
        With the reason: ``not_an_image``, ``truncated``, ``too_many_pixels``, ``unsupported_mode``, ``decode_error``,
        or ``unreadable`` where a DICOM decoder is not installed.
    """
    return _opened(data, _upright_rgb)


def _opened(data: bytes, take: Callable[[Image.Image], T]) -> T:
    """Open the first frame of an image file and return what is made of it; all that goes wrong is the image's fault."""
    from PIL import Image, UnidentifiedImageError

    if data[128:132] == b"DICM":
        from featx import dicom

        return take(dicom.decode(data, max_pixels=MAX_PIXELS))
    try:
        image = Image.open(io.BytesIO(data))
        if image.format == "TIFF":
            _choose_page(image)
            _refuse_misread(image)
        _refuse_unread(image)
        return take(image)
    except UnidentifiedImageError:
        detail = "a TIFF of a kind that is not known, or damaged" if data[:4] in TIFF_MARKS else "no known image format"
        raise ImageError("not_an_image", detail) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too_many_pixels", str(error)) from error
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever they like; the image is at fault, and the run goes on
        reason = "truncated" if "truncated" in str(error).lower() else "decode_error"
        raise ImageError(reason, f"{type(error).__name__}: {error}") from error


def _choose_page(image: Any) -> None:
    """Go to the first page of a TIFF that is not marked as a thumbnail; where all are, stay with the first."""
    with suppress(EOFError):
        for number in range(TIFF_PAGES):
            image.seek(number)
            subfile = image.tag_v2.get(254)
            if not (isinstance(subfile, int) and subfile & 1):
                return
    image.seek(0)


def _refuse_misread(image: Any) -> None:
    """Refuse a TIFF of which Pillow would make other pixels than those that it holds."""
    if 2 in np.atleast_1d(image.tag_v2.get(339, 1)):
        raise ImageError("unsupported_mode", "signed pixels")
    if image.tag_v2.get(284) == 2 and image.info.get("compression") == "raw" and _bits(image) > 8:
        raise ImageError("unsupported_mode", "an uncompressed TIFF of 16-bit colours in separate planes")


def _bits(image: Any) -> int:
    return int(np.max(image.tag_v2.get(258, 1)))


def _refuse_unread(image: Image.Image) -> None:
    """Refuse by its header what must not be decoded."""
    if image.format == "EPS":  # Pillow would hand it to Ghostscript to be run
        raise ImageError("not_an_image", "a PostScript program")
    if image.width * image.height > MAX_PIXELS:
        raise ImageError("too_many_pixels", f"{image.width} x {image.height}, limit {MAX_PIXELS}")


def _upright_rgb(image: Image.Image) -> Image.Image:
    return _upright(_to_rgb(image), _orientation(image))


def _to_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    image.load()
    if image.mode == "F":
        raise ImageError("unsupported_mode", "floating point pixels")
    if image.mode == "I" and image.format == "TIFF":  # 16 bits come as I;16; nothing says what white is in 32
        raise ImageError("unsupported_mode", "32-bit pixels")
    if not image.mode.startswith("I"):
        image.info.pop("transparency", None)  # a palette's alpha is dropped too; Pillow would warn
        return image if image.mode == "RGB" else image.convert("RGB")
    wide = np.asarray(image).astype(np.int64)  # Pillow's own conversion clips 16-bit values at 255
    if wide.min() < 0 or wide.max() > 65535:
        raise ImageError("unsupported_mode", "32-bit pixels")
    white, inverted = _white(image)
    grey = ((wide * 255 + white // 2) // white).astype(np.uint8)
    return Image.fromarray(255 - grey if inverted else grey).convert("RGB")


def _white(image: Any) -> tuple[int, bool]:
    """Return the highest value of wide grey, and whether it is black: Pillow leaves both as they are in the file."""
    if image.format != "TIFF":
        return 65535, False
    return 4095 if _bits(image) == 12 else 65535, image.tag_v2.get(262) == 0


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged EXIF block says nothing of the orientation; the pixels are sound
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def trim_border(image: Image.Image) -> Image.Image:
    """Cut a nearly black border, then keep the centre 95 % (Menegola et al. 2017, released code).

    A pixel is nearly black where its RGB distance to black is within 20 % of the largest. An image that is black
    throughout keeps its border.
    """
    pixels = np.asarray(image, dtype=np.float32)
    bright = np.sqrt((pixels**2).mean(2)) > TRIM_FUZZ
    if bright.any():
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        image = image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    width, height = max(1, round(image.width * TRIM_KEEP)), max(1, round(image.height * TRIM_KEEP))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
