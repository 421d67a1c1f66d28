"""Images: every kind of file becomes RGB by rule or is refused with a reason; pixels are those that were asked for."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx import images
from featx.errors import ImageError, UnknownName, UsageError
from featx.images import NORMALISATIONS, Transform, decode, normalisation, read, stat_of

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
COLOUR = Image.fromarray(PIXELS)
WIDE = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
SMOOTH = Image.fromarray(np.add.outer(np.arange(90), np.arange(120)).astype(np.uint8)).convert("RGB")


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value.reason


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height, *, depth=1):
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# decoding


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_colour_image_comes_back_as_it_is(kind):
    np.testing.assert_array_equal(decode(encoded(COLOUR, kind)), PIXELS)


def test_a_jpeg_is_decoded_as_pillow_decodes_it():
    data = encoded(COLOUR, "JPEG")
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA"])
def test_grey_palette_and_alpha_become_rgb_and_alpha_is_dropped(mode):
    image = COLOUR.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(7)
    found = decode(encoded(image))
    assert found.mode == "RGB"
    base = image.convert({"LA": "L", "RGBA": "RGB"}.get(mode, mode)) if mode != "RGBA" else COLOUR
    np.testing.assert_array_equal(found, base.convert("RGB"))


@pytest.mark.parametrize("transparency", [3, bytes(range(256))])
def test_the_alpha_of_a_palette_is_dropped_without_a_warning(transparency):
    image = COLOUR.convert("P")
    found = decode(encoded(image, transparency=transparency))
    np.testing.assert_array_equal(found, image.convert("RGB"))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind):
    flat = Image.new("RGB", (16, 16), (200, 40, 90))
    found = np.asarray(decode(encoded(flat.convert("CMYK"), kind))).astype(int)
    assert found.shape == (16, 16, 3)
    assert np.abs(found - [200, 40, 90]).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_divided_by_257_and_not_clipped(kind):
    found = np.asarray(decode(encoded(Image.fromarray(WIDE), kind)))
    np.testing.assert_array_equal(found, np.repeat(np.rint(WIDE / 257).astype(np.uint8)[..., None], 3, axis=2))


def test_every_eight_bit_value_times_257_is_that_value():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = decode(encoded(Image.fromarray(grey.astype(np.uint16) * 257)))
    np.testing.assert_array_equal(np.asarray(found)[..., 0], grey)


def test_sixteen_bit_big_endian_grey_is_read_in_its_order():
    found = decode(encoded(Image.frombytes("I;16B", (30, 20), WIDE.astype(">u2").tobytes()), "TIFF"))
    np.testing.assert_array_equal(np.asarray(found)[..., 0], np.rint(WIDE / 257))


def test_sixteen_bit_colour_keeps_its_range():
    wide = RNG.integers(0, 65536, (8, 9, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 8, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.abs(np.asarray(decode(data)).astype(int) - wide / 257).max() <= 1


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_known_white_are_refused(mode):
    # 32-bit values of 0 to 255 would come out black if they were taken for 16 bits
    assert refused(encoded(COLOUR.convert("L").convert(mode), "TIFF")) == "unsupported_mode"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_6_is_applied(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    found = np.asarray(decode(encoded(SMOOTH, kind, exif=exif))).astype(int)
    assert found.shape == (120, 90, 3)
    assert np.abs(found - np.rot90(np.asarray(SMOOTH), -1)).max() <= (0 if kind in ("PNG", "TIFF") else 40)


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_undone_as_pillow_does_it(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(COLOUR, exif=exif)
    np.testing.assert_array_equal(decode(data), ImageOps.exif_transpose(Image.open(io.BytesIO(data))))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
def test_a_damaged_exif_block_leaves_the_pixels(exif):
    np.testing.assert_array_equal(decode(encoded(COLOUR, "JPEG", exif=exif)), decode(encoded(COLOUR, "JPEG")))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first_is_taken(kind):
    red, blue = Image.new("RGB", (16, 16), (250, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 250))
    found = np.asarray(decode(encoded(red, kind, save_all=True, append_images=[blue]))).astype(int)
    assert found.shape == (16, 16, 3)
    assert np.abs(found - [250, 0, 0]).max() <= 6


def test_the_content_decides_and_not_the_ending(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encoded(COLOUR, "PNG"))
    np.testing.assert_array_equal(decode(read(path).data), PIXELS)


@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_image_is_refused_as_such(kind, kept):
    data = encoded(COLOUR, kind)
    assert refused(data[: int(len(data) * kept)]) == "truncated"


def test_a_jpeg_without_its_last_two_bytes_is_truncated():
    assert refused(encoded(SMOOTH, "JPEG")[:-2]) == "truncated"


@pytest.mark.parametrize("data", [b"<html><body>404</body></html>", b"\0" * 999, b"x", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(data):
    assert refused(data) == "not_an_image"


def test_postscript_is_not_handed_to_an_interpreter(monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("a program of the file was run"))
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    assert refused(program) == "not_an_image"


@pytest.mark.parametrize(("width", "height"), [(9434, 9434), (12000, 12000), (20000, 20000), (60000, 60000)])
def test_a_pixel_bomb_is_refused_before_it_is_decoded(width, height, monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("the bomb was decoded"))
    assert refused(png_header(width, height)) == "too_many_pixels"


def test_a_large_image_within_the_limit_goes_on_to_the_decoder():
    assert refused(png_header(9433, 9433)) != "too_many_pixels"  # it has no pixels, so that it fails later


def test_a_header_of_absurd_size_and_a_text_bomb_are_refused():
    assert refused(png_header(2**31 - 1, 2**31 - 1)) in ("too_many_pixels", "decode_error", "not_an_image")
    start = encoded(COLOUR)
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000)))
    assert refused(start[:33] + text + start[33:]) == "decode_error"


@settings(deadline=None, max_examples=60)
@given(
    at=st.integers(0, 10**6), value=st.integers(0, 255), kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
)
def test_a_flipped_byte_gives_an_image_or_an_image_error(at, value, kind):
    data = bytearray(encoded(COLOUR, kind))
    data[at % len(data)] = value
    try:
        assert decode(bytes(data)).mode == "RGB"
    except ImageError as error:
        assert error.reason.isidentifier()


def test_whatever_a_decoder_raises_is_an_image_error(monkeypatch):
    def fail(*_, **__):
        raise ValueError("conversion from LAB to RGB not supported")

    monkeypatch.setattr(Image.Image, "convert", fail)
    assert refused(encoded(COLOUR.copy().quantize(8))) == "decode_error"


# TIFF


def page(pixels, *, photometric, order="<", planar=1, tile=None, deflate=False, bits=None, **tags):
    """Return the tags and the strips or tiles of one page; a tag is named by its number, as in ``t254=1``."""
    depth = 1 if pixels.ndim == 2 else pixels.shape[2]
    planes = [pixels] if planar == 1 else [pixels[..., i] for i in range(depth)]
    stored = pixels.dtype.itemsize * 8
    parts = [part.astype(part.dtype.newbyteorder(order)) for plane in planes for part in tiles(plane, tile)]
    blocks = [packed(part, bits) if bits else part.tobytes() for part in parts]
    found = {256: [pixels.shape[1]], 257: [pixels.shape[0]], 258: [bits or stored] * depth, 259: [8 if deflate else 1]}
    found |= {262: [photometric], 277: [depth], 284: [planar]}
    found |= {322: [tile], 323: [tile]} if tile else {278: [pixels.shape[0]]}
    found |= {int(name[1:]): list(np.atleast_1d(value)) for name, value in tags.items()}
    return found, [zlib.compress(block) if deflate else block for block in blocks], 324 if tile else 273


def tiles(plane, side):
    if not side:
        return [plane]
    height, width = (-plane.shape[0] % side, -plane.shape[1] % side)
    full = np.pad(plane, [(0, height), (0, width)] + [(0, 0)] * (plane.ndim - 2))
    starts = [(y, x) for y in range(0, full.shape[0], side) for x in range(0, full.shape[1], side)]
    return [full[y : y + side, x : x + side] for y, x in starts]


def packed(pixels, bits):
    """Return values of fewer or more than 8 bits one behind the other, each row in whole bytes."""
    unpacked = (pixels[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(unpacked.reshape(len(pixels), -1).astype(np.uint8), axis=1).tobytes()


def tiff(*pages, order="<"):
    """Write a TIFF by hand: header, then for each page its blocks, its long values, and its directory."""
    out = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0))
    link = 4
    for tags, blocks, at in pages:
        tags = {**tags, at: [], at + (1 if at == 324 else 6): [len(block) for block in blocks]}
        for block in blocks:
            tags[at].append(len(out))
            out += block + b"\0" * (len(block) % 2)
        entries = b""
        for tag, values in sorted(tags.items()):
            kind, letter = (4, "I") if tag in (256, 257, 273, 279, 324, 325) else (3, "H")
            value = struct.pack(f"{order}{len(values)}{letter}", *values).ljust(4, b"\0")
            if len(value) > 4:
                out += value + b"\0" * (len(value) % 2)
                value = struct.pack(f"{order}I", len(out) - len(value) - len(value) % 2)
            entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + value
        struct.pack_into(f"{order}I", out, link, len(out))
        out += struct.pack(f"{order}H", len(tags)) + entries
        link = len(out)
        out += bytes(4)
    return bytes(out)


LAYOUTS = [
    {"order": order, "tile": tile, "deflate": deflate}
    for order in "<>"
    for tile in (None, 16)
    for deflate in (False, True)
]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: "-".join(map(str, layout.values())))
GREY = PIXELS[..., 0]
ALPHA = np.dstack([PIXELS, GREY])


def one_page(pixels, *, layout, **options):
    return decode(tiff(page(pixels, **layout, **options), order=layout["order"]))


def assert_grey(found, expected):
    np.testing.assert_array_equal(found, np.repeat(np.asarray(expected)[..., None], 3, axis=2))


@layouts
@pytest.mark.parametrize(("photometric", "white"), [(0, 0), (1, 255)])
def test_a_grey_tiff_is_white_where_it_says_so(layout, photometric, white):
    assert_grey(one_page(GREY, layout=layout, photometric=photometric), np.abs(255 - white - GREY.astype(int)))


@layouts
def test_a_wide_grey_tiff_is_divided_by_257(layout):
    assert_grey(one_page(WIDE, layout=layout, photometric=1), np.rint(WIDE / 257))


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout["order"] == "<"])
def test_a_wide_grey_tiff_whose_white_is_zero_is_inverted(layout):
    assert_grey(one_page(WIDE, layout=layout, photometric=0), np.rint((65535 - WIDE.astype(int)) / 257))


@pytest.mark.parametrize("deflate", [False, True])
def test_twelve_bits_are_divided_by_4095_over_255(deflate):
    pixels = WIDE >> 4
    assert_grey(decode(tiff(page(pixels, photometric=1, bits=12, deflate=deflate))), np.rint(pixels / 4095 * 255))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
def test_a_tiff_of_few_bits_reaches_from_black_to_white(order, bits, photometric):
    pixels = GREY >> (8 - bits)
    found = decode(tiff(page(pixels, photometric=photometric, order=order, bits=bits), order=order))
    expected = pixels.astype(int) * 255 // (2**bits - 1)
    assert_grey(found, expected if photometric else 255 - expected)


@layouts
@pytest.mark.parametrize("planar", [1, 2])
def test_a_colour_tiff_comes_back_as_it_is(layout, planar):
    np.testing.assert_array_equal(one_page(PIXELS, layout=layout, photometric=2, planar=planar), PIXELS)


@layouts
@pytest.mark.parametrize("extra", [0, 2])
def test_the_alpha_of_a_tiff_is_dropped(layout, extra):
    np.testing.assert_array_equal(one_page(ALPHA, layout=layout, photometric=2, t338=extra), PIXELS)


@layouts
def test_a_palette_tiff_is_looked_up(layout):
    colours = RNG.integers(0, 256, (3, 256))
    found = one_page(GREY, layout=layout, photometric=3, t320=(colours * 257).ravel())
    np.testing.assert_array_equal(found, colours[:, GREY].transpose(1, 2, 0))


@layouts
def test_a_cmyk_tiff_becomes_rgb(layout):
    expected = (255 - PIXELS.astype(int)) * (255 - GREY[..., None].astype(int)) / 255
    assert np.abs(np.asarray(one_page(ALPHA, layout=layout, photometric=5)) - expected).max() <= 1


@layouts
@pytest.mark.parametrize("depth", [3, 4])
def test_a_wide_colour_tiff_keeps_its_upper_bits(layout, depth):
    wide = RNG.integers(0, 65536, (20, 30, depth), dtype=np.uint16)
    extra = {"t338": 2} if depth == 4 else {}
    found = one_page(wide, layout=layout, photometric=2, **extra)
    np.testing.assert_array_equal(found, wide[..., :3] >> 8)


@layouts
def test_wide_colours_in_separate_planes_are_right_or_refused(layout):
    wide = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    data = tiff(page(wide, photometric=2, planar=2, **layout), order=layout["order"])
    if layout["deflate"]:
        np.testing.assert_array_equal(decode(data), wide >> 8)
    else:  # Pillow would take bytes for pixels
        assert refused(data) == "unsupported_mode"


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_signed_pixels_are_refused(kind):
    assert refused(tiff(page(GREY.astype(kind), photometric=1, t339=2))) == "unsupported_mode"


def test_a_tiff_of_an_unknown_kind_is_called_a_tiff():
    with pytest.raises(ImageError, match="TIFF") as caught:
        decode(tiff(page(GREY, photometric=9)))
    assert caught.value.reason == "not_an_image"


def full_and_thumbnail(*subfiles):
    """Return a TIFF with a page for each number, each of a grey and a size of its own."""
    pages = [np.full((10 + number, 20), 50 * number, np.uint8) for number in range(len(subfiles))]
    return tiff(*(page(pixels, photometric=1, t254=kind) for pixels, kind in zip(pages, subfiles, strict=True)))


@pytest.mark.parametrize(
    ("subfiles", "taken"),
    [((0, 1), 0), ((2, 2), 0), ((1, 0), 1), ((1, 1, 2, 0), 2), ((3, 0, 1), 1), ((1, 1), 0), ((1,), 0)],
)
def test_the_first_page_that_is_no_thumbnail_is_taken(subfiles, taken):
    found = np.asarray(decode(full_and_thumbnail(*subfiles)))
    assert found.shape == (10 + taken, 20, 3)
    assert (found == 50 * taken).all()


def test_a_tiff_whose_pages_run_in_a_circle_comes_to_an_end():
    data = bytearray(full_and_thumbnail(1, 1))
    data[-4:] = data[4:8]  # behind the last page comes the first
    assert decode(bytes(data)).size == (20, 10)


def test_no_more_than_a_hundred_thumbnails_are_looked_through(monkeypatch):
    from PIL import TiffImagePlugin

    seen = []
    seek = TiffImagePlugin.TiffImageFile.seek
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "seek", lambda image, at: (seen.append(at), seek(image, at)))
    assert decode(tiff(*[page(GREY, photometric=1, t254=1)] * 150)).size == (30, 20)
    assert len(seen) == images.TIFF_PAGES + 1


def test_the_orientation_is_that_of_the_page_taken():
    small, large = np.zeros((2, 3), np.uint8), GREY
    data = tiff(page(small, photometric=1, t254=1, t274=3), page(large, photometric=1, t274=6))
    assert_grey(decode(data), np.rot90(GREY, -1))


def test_a_huge_page_behind_a_thumbnail_is_refused_before_it_is_decoded(monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("the bomb was decoded"))
    tags, blocks, at = page(GREY, photometric=1)
    bomb = ({**tags, 256: [9434], 257: [9434]}, blocks, at)
    assert refused(tiff(page(GREY, photometric=1, t254=1), bomb)) == "too_many_pixels"


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_tiff_is_refused(deflate, kept):
    tags, blocks, at = page(RNG.integers(0, 256, (90, 90), dtype=np.uint8), photometric=1, deflate=deflate)
    shorter = (tags, [blocks[0][: int(len(blocks[0]) * kept)]], at)
    assert refused(tiff(shorter)) in ("truncated", "decode_error")


# reading


def test_reading_gives_bytes_digest_size_and_time(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"some bytes")
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    found = read(path)
    assert found.data == b"some bytes"
    assert found.sha256 == hashlib.sha256(b"some bytes").hexdigest()
    assert found.stat == stat_of(path) == (10, 1_234_567_890_123_456_789)


def unread(path):
    with pytest.raises(ImageError) as caught:
        read(path)
    return caught.value.reason


def test_zero_bytes_are_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert unread(tmp_path / "a.jpg") == "empty"


def test_a_directory_is_refused_and_leaves_no_descriptor_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    assert unread(tmp_path) == "not_a_file"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_dangling_link_is_missing(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere")
    assert unread(tmp_path / "a.jpg") == "missing"
    assert stat_of(tmp_path / "a.jpg") is None


@pytest.mark.parametrize("name", ["loop.jpg", "nul\0.jpg"])
def test_a_path_that_leads_nowhere_is_unreadable(tmp_path, name):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert unread(tmp_path / name) == "unreadable"
    assert stat_of(tmp_path / name) is None


def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    reasons = []
    worker = threading.Thread(target=lambda: reasons.append(unread(tmp_path / "a.jpg")), daemon=True)
    worker.start()
    worker.join(20)
    assert reasons == ["not_a_file"]


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as stream:
        stream.truncate(images.MAX_BYTES + 1)  # sparse
    assert unread(tmp_path / "a.jpg") == "too_large"


def test_a_read_that_fails_is_unreadable(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"x")

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(images, "_source", fail)
    assert unread(tmp_path / "a.jpg") == "unreadable"


@pytest.mark.parametrize(
    "name", [b"new\nline.png", b"bad\xff.png", b"-rf.png", b"=cmd.png", b"<script>.png", "ü.png".encode()]
)
def test_any_name_of_a_file_is_fine(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as stream:
        stream.write(encoded(COLOUR))
    np.testing.assert_array_equal(decode(read(os.fsdecode(path)).data), PIXELS)


# transforming


@pytest.mark.parametrize("interpolation", images.INTERPOLATIONS)
def test_squash_is_pillows_resize_to_a_square(interpolation):
    expected = SMOOTH.resize((24, 24), Image.Resampling[interpolation.upper()])
    np.testing.assert_array_equal(Transform(24, interpolation=interpolation)(encoded(SMOOTH)), expected)


def test_crop_takes_the_centre_after_scaling_the_short_side():
    # 112 x 224 -> short side 32 (28 x 256/224): 32 x 64; then the centre 28 x 28
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (14, 28, 3), dtype=np.uint8)).resize(
        (224, 112), Image.Resampling.BICUBIC
    )
    by_hand = image.resize((64, 32), Image.Resampling.BILINEAR).crop((18, 2, 46, 30))
    found = Transform(28, resize="crop")(encoded(image)).astype(int)
    # resizing only the crop agrees up to rounding of the intermediate image, but at the very rim
    assert np.abs(found - by_hand)[1:-1, 1:-1].max() <= 1


def test_crop_keeps_what_is_left_and_right_of_the_centre_out():
    pixels = np.zeros((64, 192, 3), np.uint8)
    pixels[:, 64:128] = 255
    assert Transform(16, resize="crop")(encoded(Image.fromarray(pixels))).min() == 255
    assert Transform(16)(encoded(Image.fromarray(pixels))).min() == 0


@pytest.mark.parametrize("resize", images.RESIZES)
@pytest.mark.parametrize("size", [13, 200])
def test_without_antialias_pixels_are_those_of_torch_without_antialias(resize, size):
    import torch

    transform = Transform(size, resize=resize, antialias=False)
    found = transform(encoded(SMOOTH)).astype(float)
    left, top, right, bottom = transform._box(SMOOTH.width, SMOOTH.height)
    grid = [
        (2 * (start + (np.arange(size) + 0.5) * (end - start) / size) / full - 1)
        for start, end, full in ((left, right, SMOOTH.width), (top, bottom, SMOOTH.height))
    ]
    at = torch.from_numpy(np.stack(np.meshgrid(*grid), -1)[None])
    source = torch.from_numpy(np.asarray(SMOOTH).astype(float)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.grid_sample(source, at, mode="bilinear", padding_mode="border", align_corners=False)
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 1 + 1e-9  # Pillow rounds down here


def test_antialias_changes_a_shrunken_image_and_is_the_default():
    noisy = encoded(Image.fromarray(RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)))
    smooth, rough = Transform(16)(noisy), Transform(16, antialias=False)(noisy)
    assert smooth.std() < 0.5 * rough.std()


def test_trim_cuts_a_planted_border_and_keeps_the_centre_95_percent():
    pixels = np.full((140, 240, 3), 20, np.uint8)  # nearly black: within 20 % of black
    inside = RNG.integers(60, 256, (100, 200, 3), dtype=np.uint8)
    pixels[10:110, 30:230] = inside
    found = np.asarray(images.trim_border(Image.fromarray(pixels)))
    np.testing.assert_array_equal(found, inside[2:97, 5:195])


@pytest.mark.parametrize(("grey", "cut"), [(51, True), (52, False)])
def test_the_limit_of_nearly_black_is_20_percent(grey, cut):
    pixels = np.full((100, 100, 3), grey, np.uint8)
    pixels[20:80, 20:80] = 200
    assert images.trim_border(Image.fromarray(pixels)).size == ((57, 57) if cut else (95, 95))


def test_a_black_image_keeps_its_border():
    assert images.trim_border(Image.new("RGB", (100, 40))).size == (95, 38)


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    size=st.integers(1, 40),
    resize=st.sampled_from(images.RESIZES),
    trim=st.booleans(),
    antialias=st.booleans(),
)
def test_any_image_becomes_a_square_of_uint8_within_its_own_range(width, height, size, resize, trim, antialias):
    pixels = np.random.default_rng(width * 71 + height).integers(70, 180, (height, width, 3), dtype=np.uint8)
    found = Transform(size, resize=resize, trim=trim, antialias=antialias)(encoded(Image.fromarray(pixels)))
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    assert pixels.min() <= found.min() <= found.max() <= pixels.max()


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 4097},
        {"resize": "stretch"},
        {"interpolation": "cubic"},
        {"interpolation": "lanczos", "antialias": False},
    ],
)
def test_a_transform_of_other_values_is_a_usage_error(options):
    with pytest.raises(UsageError):
        Transform(**options)


@pytest.mark.parametrize(
    "change",
    [{"size": 9}, {"resize": "crop"}, {"interpolation": "bicubic"}, {"antialias": False}, {"trim": True}],
)
def test_every_field_of_a_transform_is_in_its_description(change):
    assert replace(Transform(), **change).describe() != Transform().describe()


def test_into_writes_one_place_of_a_batch_and_no_other():
    batch = np.full((3, 20, 20, 3), 7, np.uint8)
    Transform(20).into(encoded(COLOUR), batch[1])
    np.testing.assert_array_equal(batch[1], Transform(20)(encoded(COLOUR)))
    assert (batch[[0, 2]] == 7).all()


def test_into_leaves_the_memory_as_it_is_where_an_image_is_refused():
    out = np.full((20, 20, 3), 7, np.uint8)
    with pytest.raises(ImageError):
        Transform(20).into(encoded(SMOOTH, "JPEG")[:-2], out)
    assert (out == 7).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_threads_do_not_get_each_others_pixels(kind):
    data = [encoded(Image.fromarray(np.roll(np.asarray(SMOOTH), 7 * i, axis=0)), kind) for i in range(8)]
    alone = [Transform(40)(one) for one in data]
    together = np.zeros((len(data), 40, 40, 3), np.uint8)

    def work(at):
        for _ in range(20):
            Transform(40).into(data[at], together[at])

    workers = [threading.Thread(target=work, args=[at]) for at in range(len(data))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(together, alone)


# normalising


@pytest.mark.parametrize("name", ["imagenet", "-1..1", "unit"])
def test_a_normalisation_by_name_is_torchvisions(name):
    import torch
    from torchvision.transforms import v2

    way = NORMALISATIONS[name]
    expected = v2.Normalize(way.mean, way.std)(torch.from_numpy(PIXELS).permute(2, 0, 1) / 255)
    found = (PIXELS * way.scale - np.array(way.mean)) / np.array(way.std)
    np.testing.assert_allclose(found, expected.permute(1, 2, 0), atol=1e-5)


def test_imagenets_numbers_are_those_of_torchvisions_weights():
    from torchvision.models import VGG16_Weights

    preset = VGG16_Weights.IMAGENET1K_V1.transforms()
    assert (list(NORMALISATIONS["imagenet"].mean), list(NORMALISATIONS["imagenet"].std)) == (preset.mean, preset.std)


def test_caffe_is_mean_only_with_blue_first():
    caffe, plain = NORMALISATIONS["caffe"], NORMALISATIONS["mean-only"]
    assert caffe.bgr and not plain.bgr
    assert caffe.mean == plain.mean[::-1]
    assert caffe.scale == plain.scale == 1


def test_weights_may_bring_a_mean_of_their_own():
    way = normalisation({"name": "mean-only", "mean": [1.0, 2.0, 3.0]})
    assert way == replace(NORMALISATIONS["mean-only"], mean=(1.0, 2.0, 3.0))


def test_an_unknown_normalisation_gets_the_nearest_name():
    with pytest.raises(UnknownName, match="imagenet"):
        normalisation("imagnet")
