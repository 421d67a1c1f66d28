"""From the bytes of a DICOM file to a picture: what is black and what is white, by the steps of the standard.

pydicom reads the file and undoes its compression. Only pixels leave this file: of a patient it never reads a name, nor
any element but those in ``ELEMENTS``. It never knows networks, transforms or other kinds of image.

The rule, for the first frame (PS3.3 of the DICOM standard, sections C.7.6.3, C.11.1 and C.11.2):

* grey: modality table, or rescale slope and intercept; then the first VOI table, or else the first window (``LINEAR``,
  ``LINEAR_EXACT`` or ``SIGMOID``); without either, the whole range that the stored bits can hold, and never the
  lowest and highest pixel of the picture, so that equal values look equal in all pictures; ``MONOCHROME1`` is
  inverted.
* colour: RGB as it is, YBR converted, a palette looked up; more than 8 bits are scaled by what the bits can hold.

Presentation tables, overlays, padding values, pixel aspect ratio and colour profiles are not applied.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image
    from pydicom import Dataset

MARK = slice(128, 132)  # where the letters DICM stand
NEEDED = ("Rows", "Columns", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation")
COLOURS = ("Red", "Green", "Blue")
OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
ELEMENTS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
    *("FloatPixelData", "DoubleFloatPixelData", *OFFSETS),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
    *("PixelValueTransformationSequence", "FrameVOILUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "VOILUTSequence", "LUTDescriptor", "LUTData"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(
        f"{kind}{colour}PaletteColorLookupTableData"
        for kind in ("", "Segmented")
        for colour in ("Red", "Green", "Blue")
    ),
)
CUT_OFF = ("truncated", "less than expected", "only got", "no tag to read", "end of file")  # as decoders say it
JP2 = b"\0\0\0\x0cjP  "
DEFLATED = "1.2.840.10008.1.2.1.99"
# Two decoders of a lossy code may differ in the last bit: what else is installed must not change a pixel.
DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",  # JPEG, 8 bits
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # high-throughput JPEG 2000
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
}
_QUIET = ("ignore", None, Warning, re.compile(r"pydicom\b|pylibjpeg\b|openjpeg\b"), 0)


def decode(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode the first frame of a DICOM file to RGB, by the rule at the head of this file.

    Parameters
    ----------
    data : bytes
        A file with the preamble of part 10 of the standard.
    max_pixels : int
        Rows times columns above which nothing is decoded.

    Raises
    ------
    ImageError
        With the reason: ``not_an_image`` (no pixel data), ``truncated``, ``too_many_pixels``, ``unsupported_mode``,
        ``unreadable`` (a decoder is not installed), ``decode_error``.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise ImageError("unreadable", "DICOM needs pydicom: pip install 'featx[dicom]'") from None
    try:
        with _no_warnings():
            return _decoded(data, max_pixels)
    except ImageError:
        raise
    except Exception as error:  # pydicom and its decoders raise whatever they like; the image is at fault
        message = " ".join(str(error).split())
        reason = "truncated" if any(words in message.lower() for words in CUT_OFF) else "decode_error"
        raise ImageError(reason, f"{type(error).__name__}: {message}") from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep pydicom's warnings from the user, in any number of threads at once.

    ``warnings.catch_warnings`` replaces the filters of all threads; here each call adds one of its own and takes one
    away, from the very list that it was added to.
    """
    filters: Any = warnings.filters
    filters.insert(0, _QUIET)
    try:
        yield
    finally:
        filters.remove(_QUIET)


def _decoded(data: bytes, max_pixels: int) -> Image.Image:
    from PIL import Image

    dataset = _read(data)
    _refuse_unread(dataset, max_pixels)
    _keep_first_frame(dataset)
    frame, kind = _pixels(dataset)
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        return Image.fromarray(_grey(frame, dataset)).convert("RGB")
    if kind == "PALETTE COLOR":
        return Image.fromarray(_palette(frame, dataset))
    if kind == "RGB":
        return Image.fromarray(_scaled(frame, int(dataset.BitsStored)))
    raise ImageError("unsupported_mode", f"DICOM pixels of the kind {kind}")


def _read(data: bytes) -> Dataset:
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    head = io.BytesIO(data)
    head.seek(MARK.stop)
    meta = read_dataset(head, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == DEFLATED:  # pydicom would inflate it whole, without a limit
        raise ImageError("unsupported_mode", "a deflated DICOM file; store it uncompressed")
    return dcmread(io.BytesIO(data), specific_tags=list(ELEMENTS))


def _refuse_unread(dataset: Dataset, max_pixels: int) -> None:
    """Refuse by its elements what must not be decoded."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError("unsupported_mode", "floating point pixels")
    if "PixelData" not in dataset:
        raise ImageError("not_an_image", "a DICOM file without pixel data, or cut off before them")
    if lacking := [name for name in NEEDED if dataset.get(name) is None]:
        raise ImageError("decode_error", f"a DICOM file without {', '.join(lacking)}")
    if dataset.file_meta.get("TransferSyntaxUID") is None:
        raise ImageError("decode_error", "a DICOM file without TransferSyntaxUID")
    if dataset.Rows * dataset.Columns > max_pixels:
        raise ImageError("too_many_pixels", f"{dataset.Columns} x {dataset.Rows}, limit {max_pixels}")
    if dataset.get("HighBit") not in (None, dataset.BitsStored - 1):
        raise ImageError("unsupported_mode", f"{dataset.BitsStored} bits up to bit {dataset.HighBit} in DICOM pixels")


def _keep_first_frame(dataset: Dataset) -> None:
    """Drop all frames but the first where frames are compressed, and refuse one that is not as large as it says."""
    from pydicom.encaps import encapsulate, get_frame

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    offsets: Any = tuple(dataset.pop(name).value for name in OFFSETS if name in dataset)
    frame = get_frame(
        dataset.PixelData,
        0,
        number_of_frames=int(dataset.get("NumberOfFrames") or 1),
        extended_offsets=offsets if len(offsets) == 2 else None,
    )
    _refuse_endless(frame)
    if syntax in DECODERS:
        _refuse_other_size(frame, dataset)
    dataset.PixelData, dataset.NumberOfFrames = encapsulate([frame]), 1


def _refuse_endless(frame: bytes) -> None:
    """Refuse a JPEG 2000 file with a box of no length: pydicom would look for its pixels for ever."""
    at = 12
    while frame.startswith(JP2) and at < len(frame) and frame[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(frame[at : at + 4], "big")
        if length < 8:
            raise ImageError("decode_error", f"a JPEG 2000 box of {length} bytes, at least 8 expected")
        at += length


def _refuse_other_size(frame: bytes, dataset: Dataset) -> None:
    """Refuse a compressed picture that would become larger in memory than the elements beside it say."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as inner:
            width, height = inner.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too_many_pixels", str(error)) from error
    if (width, height) != (dataset.Columns, dataset.Rows):
        told = f"{dataset.Columns} x {dataset.Rows}"
        raise ImageError("decode_error", f"the compressed picture is {width} x {height}, the DICOM file says {told}")


def _pixels(dataset: Dataset) -> tuple[np.ndarray, str]:
    """Return the first frame as it is stored, but in RGB where it was YBR, and what its numbers mean."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError("unsupported_mode", f"DICOM pixels stored as {syntax.name}") from None
    plugin = DECODERS.get(syntax, "")
    if not decoder.is_available or (plugin and plugin not in decoder.available_plugins):
        package = "'featx[dicom]'" if plugin else "python-gdcm"
        raise ImageError("unreadable", f"pip install {package} to decode {syntax.name}")
    frame, found = decoder.as_array(dataset, index=0, decoding_plugin=plugin)
    return frame.astype(frame.dtype.newbyteorder("="), copy=False), str(found["photometric_interpretation"])


def _grey(frame: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return grey as ``uint8``; of 8 and 16 bits, each value that there can be is worked out once."""
    if frame.dtype.itemsize > 2:
        return _shades(frame, dataset)
    bits = np.dtype(f"u{frame.dtype.itemsize}")
    table = _shades(np.arange(np.iinfo(bits).max + 1).astype(bits).view(frame.dtype), dataset)
    return table[frame.view(bits)]


def _shades(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    with np.errstate(all="ignore"):
        share = _share_of_white(values.astype(np.float64), dataset)
    if not np.isfinite(share).all():
        raise ImageError("decode_error", "the DICOM rescale slope or window leaves no grey")
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    return np.rint(255 * share).astype(np.uint8)


def _share_of_white(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return how bright stored values are, 0 to 1."""
    values, ends = _modality(values, dataset)
    voi = _of_first_frame(dataset, "FrameVOILUTSequence")
    tables = voi.get("VOILUTSequence")
    centre, width = _number(voi, "WindowCenter"), _number(voi, "WindowWidth")
    if tables and tables[0].get("LUTData") is not None:
        looked_up, full = _looked_up(values, tables[0], dataset)
        return looked_up / full
    if centre is not None and width is not None:
        return _windowed(values, centre, width, function=str(voi.get("VOILUTFunction") or "LINEAR").upper())
    return np.clip((values - min(ends)) / (max(ends) - min(ends)), 0, 1)


def _modality(values: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, tuple[float, float]]:
    """Return stored values in the unit of the device, and the ends of the range that they can have there."""
    if tables := dataset.get("ModalityLUTSequence"):
        looked_up, full = _looked_up(values, tables[0], dataset)
        return looked_up, (0, full)
    rescale = _of_first_frame(dataset, "PixelValueTransformationSequence")
    slope, intercept = _number(rescale, "RescaleSlope"), _number(rescale, "RescaleIntercept")
    slope, intercept = 1 if slope is None else slope, intercept or 0
    low = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    high = low + 2**dataset.BitsStored - 1
    return values * slope + intercept, (low * slope + intercept, high * slope + intercept)


def _windowed(values: np.ndarray, centre: float, width: float, *, function: str) -> np.ndarray:
    """Return what a window makes of values, 0 to 1 (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ImageError("unsupported_mode", f"a DICOM window of the kind {function}")
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise ImageError("decode_error", f"a DICOM window {width:g} wide")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _looked_up(values: np.ndarray, item: Dataset, dataset: Dataset) -> tuple[np.ndarray, int]:
    """Return what a table of a sequence makes of values, and the highest that its entries can be."""
    table = _table(item.LUTDescriptor, item.LUTData, dataset)
    full = 2 ** item.LUTDescriptor[2] - 1
    return np.minimum(table[_places(values, item.LUTDescriptor)], full).astype(np.float64), full


def _places(values: np.ndarray, descriptor: Sequence[int]) -> np.ndarray:
    """Return which entry of a table each value has: below the first the first, beyond the last the last."""
    return np.clip(np.rint(values) - descriptor[1], 0, (descriptor[0] or 2**16) - 1).astype(np.intp)


def _table(descriptor: Sequence[int], stored: Any, dataset: Dataset) -> np.ndarray:
    """Return the entries of a table, stored as numbers, as 16-bit words, or as bytes packed into such words."""
    count, bits = descriptor[0] or 2**16, descriptor[2]
    table = _words(stored, dataset)
    if isinstance(stored, bytes) and bits <= 8 and len(table) < count:
        table = table.astype("<u2").view(np.uint8)
    if len(table) < count or not 1 <= bits <= 16:
        raise ImageError("decode_error", f"a DICOM table of {len(table)} entries of {bits} bits, not {count}")
    return table


def _words(stored: Any, dataset: Dataset) -> np.ndarray:
    if not isinstance(stored, bytes):
        return np.atleast_1d(np.asarray(stored, dtype=np.int64))
    return np.frombuffer(stored, "<u2" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">u2")


def _palette(frame: np.ndarray, dataset: Dataset) -> np.ndarray:
    descriptor = dataset.RedPaletteColorLookupTableDescriptor
    tables = [_colour_table(colour, descriptor, dataset) for colour in COLOURS]
    return _scaled(np.stack(tables, axis=-1)[_places(frame, descriptor)], descriptor[2])


def _colour_table(colour: str, descriptor: Sequence[int], dataset: Dataset) -> np.ndarray:
    stored: Any = dataset.get(f"{colour}PaletteColorLookupTableData")
    segments = dataset.get(f"Segmented{colour}PaletteColorLookupTableData")
    if stored is None and segments is None:
        raise ImageError("decode_error", f"a DICOM palette without {colour.lower()}")
    count = descriptor[0] or 2**16
    if stored is None:
        words = _words(segments, dataset)
        words = words.astype("<u2").view(np.uint8) if descriptor[2] == 8 else words
        stored = _expanded(words.tolist(), count)
    return _table(descriptor, stored, dataset)[:count].astype(np.uint16)


def _expanded(words: list[int], count: int) -> list[int]:
    """Return the entries of a segmented table (PS3.3, C.7.9.2), and no more than there should be."""
    entries: list[int] = []
    at = 0
    while at + 2 < len(words) and len(entries) < count:
        kind, length, first = words[at : at + 3]
        if kind == 0:
            entries += words[at + 2 : at + 2 + length]
            at += 2 + length
        elif kind == 1 and entries:
            entries += np.rint(np.linspace(entries[-1], first, length + 1)[1:]).astype(int).tolist()
            at += 3
        else:  # a segment that points at others can grow without bound
            raise ImageError("unsupported_mode", f"a DICOM palette with a segment of the kind {kind}")
    return entries


def _scaled(colours: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return np.ascontiguousarray(np.minimum(colours, 255).astype(np.uint8))
    if bits > 16 or colours.dtype.kind != "u":
        raise ImageError("unsupported_mode", f"DICOM colour of {bits} bits")
    full = 2**bits - 1
    return ((np.minimum(colours, full).astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)


def _of_first_frame(dataset: Dataset, group: str) -> Dataset:
    """Return where the first frame has its values: its own group, the one shared by all frames, or the file."""
    for place in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        if (frames := dataset.get(place)) and (found := frames[0].get(group)):
            return found[0]
    return dataset


def _number(dataset: Dataset, keyword: str) -> float | None:
    """Return a number, the first of several, or None where there is none."""
    value = dataset.get(keyword)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    if not math.isfinite(number := float(value)):
        raise ImageError("decode_error", f"a DICOM {keyword} of {number}")
    return number
