"""JPEGs decoded into memory that is used again: every outcome, pixel or refusal, is the one that Pillow gives."""

from __future__ import annotations

import io
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx import images, jpeg
from featx.errors import ImageError
from featx.images import Transform, decode

ORIENTATION = 0x0112
COARSE = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
COLOUR = Image.fromarray(COARSE).resize((61, 47), Image.Resampling.BICUBIC)


def encoded(image=COLOUR, *, orientation=None, **options):
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif, **options)
    return stream.getvalue()


def outcome(data, transform):
    try:
        return transform(data).tobytes()
    except ImageError as error:
        return str(error), error.reason


def by_pillow(data, transform):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "_decoder", lambda: None)
        return outcome(data, transform)


def lent(data):
    image = Image.open(io.BytesIO(data))
    return jpeg.lent(data, width=image.width, height=image.height)


@pytest.fixture(autouse=True, scope="module")
def small_ones_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "LARGE", 0)
        yield


@pytest.fixture
def simplejpeg():
    return pytest.importorskip("simplejpeg")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"optimize": True}])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.usefixtures("simplejpeg")
def test_a_plain_jpeg_is_lent_with_pillows_pixels(mode, options, subsampling):
    data = encoded(COLOUR.convert(mode), quality=80, subsampling=subsampling, **options)
    found = lent(data)
    np.testing.assert_array_equal(found[..., :3], decode(data))
    np.testing.assert_array_equal(jpeg.image_of(found).convert("RGB"), decode(data))


@pytest.mark.parametrize("interpolation", images.INTERPOLATIONS)
@pytest.mark.parametrize("resize", images.RESIZES)
@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.usefixtures("simplejpeg")
def test_a_lent_image_is_resized_to_the_same_bits(interpolation, resize, size):
    transform = Transform(size, resize=resize, interpolation=interpolation)
    assert outcome(encoded(), transform) == by_pillow(encoded(), transform)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.usefixtures("simplejpeg")
def test_a_lent_image_is_turned_as_it_says(orientation):
    data = encoded(orientation=orientation)
    assert lent(data) is not None
    assert outcome(data, Transform(20)) == by_pillow(data, Transform(20))


@pytest.mark.parametrize("options", [{"mode": "CMYK"}, {"mode": "RGB", "keep_rgb": True}])
def test_what_is_not_plain_is_left_to_pillow(options):
    data = encoded(COLOUR.convert(options.pop("mode")), **options)
    assert lent(data) is None
    np.testing.assert_array_equal(Transform(20)(data), np.asarray(decode(data).resize((20, 20), 2)))


@pytest.mark.parametrize("cut", [2, 3, 200])
def test_half_an_image_is_truncated_and_not_lent(cut):
    data = encoded()[:-cut]
    assert lent(data) is None
    with pytest.raises(ImageError) as caught:
        Transform(20)(data)
    assert caught.value.reason == "truncated"


@settings(deadline=None, max_examples=150)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
    tail=st.binary(max_size=9),
    progressive=st.booleans(),
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's of a damaged header
def test_whatever_is_done_to_the_bytes_the_outcome_is_pillows(changes, kept, tail, progressive):
    data = bytearray(encoded(progressive=progressive))
    for at, value in changes:
        data[at % len(data)] = value
    data = bytes(data[: max(1, int(len(data) * kept))]) + tail
    assert outcome(data, Transform(16)) == by_pillow(data, Transform(16))


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError])
def test_whatever_the_decoder_raises_pillow_decides(monkeypatch, error):
    class Failing:
        def decode_jpeg_header(self, _):
            raise error("no")

    monkeypatch.setattr(jpeg, "_decoder", Failing)
    assert lent(encoded()) is None
    np.testing.assert_array_equal(Transform(47)(encoded()), np.asarray(decode(encoded()).resize((47, 47), 2)))


def test_a_header_that_pillow_reads_otherwise_is_not_lent(simplejpeg):
    assert simplejpeg.decode_jpeg_header(encoded())[:2] == (47, 61)
    assert jpeg.lent(encoded(), width=47, height=61) is None


def test_without_the_decoder_pillow_takes_all(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    jpeg._decoder.cache_clear()
    try:
        assert lent(encoded()) is None
        assert Transform(20)(encoded()).shape == (20, 20, 3)
    finally:
        jpeg._decoder.cache_clear()


@pytest.mark.parametrize(("large", "taken"), [(61 * 47, True), (61 * 47 + 1, False)])
@pytest.mark.usefixtures("simplejpeg")
def test_a_small_image_is_left_to_pillow(monkeypatch, large, taken):
    asked = []
    monkeypatch.setattr(jpeg, "LARGE", large)
    monkeypatch.setattr(jpeg, "lent", lambda *_, **__: asked.append(1))
    Transform(20)(encoded())
    assert bool(asked) == taken


@pytest.mark.usefixtures("simplejpeg")
def test_memory_is_used_again_by_its_thread_alone():
    def addresses(found):
        for side in (61, 30, 61):
            pixels = lent(encoded(COLOUR.resize((side, 47))))
            found.append(pixels.shape == (47, side, 4) and jpeg._kept.memory.ctypes.data)

    found, other = [], []
    addresses(found)
    assert len(set(found)) == 1
    worker = threading.Thread(target=addresses, args=[other])
    worker.start()
    worker.join()
    assert len(set(other)) == 1 and set(other).isdisjoint(found)


def test_memory_for_a_huge_image_is_not_kept(monkeypatch):
    monkeypatch.setattr(jpeg, "KEPT", 1000)
    monkeypatch.setattr(jpeg, "_kept", threading.local())
    assert jpeg._memory(1001).size == 1001
    assert not hasattr(jpeg._kept, "memory")
    assert jpeg._memory(1000) is jpeg._memory(999)


@pytest.mark.data
def test_real_photographs_are_pillows_to_the_bit(real):
    paths = sorted((real / "data" / "ham10000_originals").rglob("*.jpg"))[:8]
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert outcome(data, Transform(224)) == by_pillow(data, Transform(224))
