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
