"""Resizing in compiled loops: Pillow's bits, from when it pays, and not at all where this Pillow resizes otherwise."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx import jpeg, resampling
from featx.images import Transform
from featx.resampling import loops

NOISE = np.random.default_rng(3).integers(0, 256, (140, 210, 4), dtype=np.uint8)


@pytest.fixture(autouse=True)
def as_at_the_start(monkeypatch):
    monkeypatch.setattr(resampling, "_seen", 0)
    monkeypatch.setattr(resampling, "_loops", None)


def jpeg_of(pixels, suffix="JPEG"):
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(stream, suffix)
    return stream.getvalue()


def by_pillow(pixels, size, box):
    return np.asarray(Image.fromarray(pixels[..., :3]).resize((size, size), Image.Resampling.BILINEAR, box=box))


def resized(pixels, size, box):
    out = np.full((size, size, 3), 7, np.uint8)
    return out if loops.resize(np.ascontiguousarray(pixels), out, box=box) else None


@settings(deadline=None, max_examples=150)
@given(data=st.data(), height=st.integers(1, 140), width=st.integers(1, 210), size=st.integers(1, 90))
def test_bits_are_pillows_where_it_is_done(data, height, width, size):
    pixels = NOISE[:height, :width]
    left, top = data.draw(st.floats(0, width - 1, width=32)), data.draw(st.floats(0, height - 1, width=32))
    right, bottom = data.draw(st.floats(left, width, width=32)), data.draw(st.floats(top, height, width=32))
    for box in ((0.0, 0.0, float(width), float(height)), (left, top, right, bottom)):
        if box[2] > box[0] and box[3] > box[1]:
            found = resized(pixels, size, box)
            assert found is None or np.array_equal(found, by_pillow(pixels, size, box))


@pytest.mark.parametrize(("height", "width", "size"), [(75, 100, 32), (100, 100, 32), (30, 40, 64), (9, 8 * 9, 9)])
def test_what_is_no_taller_than_wide_is_done(height, width, size):
    pixels, box = NOISE[:height, :width], (0.0, 0.0, float(width), float(height))
    np.testing.assert_array_equal(resized(pixels, size, box), by_pillow(pixels, size, box))


@pytest.mark.parametrize(("height", "width"), [(101, 100), (140, 30), (2, 3)])
def test_what_is_taller_or_narrow_is_left_to_pillow(height, width):
    assert resized(NOISE[:height, :width], 32, (0.0, 0.0, float(width), float(height))) is None


def test_weights_add_up_to_one_and_are_those_of_a_triangle():
    found = loops.weights(100, 0, 100, 10)
    np.testing.assert_allclose(found.values.sum(axis=1), 1 << loops.BITS, atol=found.values.shape[1])
    inner = found.values[5, : found.many[5]] / (1 << loops.BITS)
    np.testing.assert_allclose(inner, np.minimum(np.arange(20) + 0.5, 19.5 - np.arange(20)) / 100, atol=1e-6)


def test_many_threads_get_the_same():
    expected, found = by_pillow(NOISE, 40, None), {}

    def work(number):
        for _ in range(20):
            found[number] = resized(NOISE, 40, (0.0, 0.0, 210.0, 140.0))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(out, expected) for out in found.values())


def test_it_is_made_ready_once_and_from_when_it_pays(monkeypatch):
    asked = []
    monkeypatch.setattr(resampling, "PAYS", 100)
    monkeypatch.setattr(resampling, "_ready", lambda: asked.append(1) or loops)
    assert [resampling.loops_after(40) for _ in range(4)] == [None, None, loops, loops]
    assert len(asked) == 1


def test_this_pillow_resizes_as_is_rebuilt_here():
    assert loops.agrees()
    assert resampling._ready() is loops


def test_a_pillow_that_resizes_otherwise_keeps_its_own_way(monkeypatch):
    other, resize = Image.Resampling.BOX, Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, size, _, box: resize(self, size, other, box=box))
    assert not loops.agrees()
    assert resampling._ready() is None


@pytest.mark.parametrize(
    "error",
    [ImportError("no numba"), RuntimeError("no locator"), EOFError("a damaged cache"), OSError(28, "disk full")],
)
def test_where_it_cannot_be_had_pillow_resizes(monkeypatch, error):
    def fail(_):
        raise error

    jpeg.installed()  # what it found is remembered
    monkeypatch.setattr(resampling, "PAYS", 1)
    monkeypatch.setattr(importlib, "import_module", fail)
    assert resampling.loops_after(10) is None
    assert Transform(20)(jpeg_of(NOISE)).shape == (20, 20, 3)


@pytest.mark.parametrize("error", [ValueError("a fault of the loops"), MemoryError("for a moment")])
def test_what_fails_in_resizing_is_not_the_images_fault(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(resampling, "PAYS", 1)
    assert resampling.loops_after(1) is loops
    monkeypatch.setattr(loops, "resize", fail)
    monkeypatch.setattr(jpeg, "lent", lambda *_, **__: NOISE)
    monkeypatch.setattr(jpeg, "installed", lambda: True)
    with pytest.raises(type(error), match=str(error)):
        Transform(20)(jpeg_of(NOISE))


@pytest.mark.parametrize(("suffix", "pixels"), [("PNG", NOISE), ("JPEG", NOISE.transpose(1, 0, 2))])
def test_what_the_loops_do_not_serve_is_not_counted(suffix, pixels):
    Transform(20)(jpeg_of(pixels, suffix))
    assert resampling._seen == 0


def test_without_the_decoder_the_loops_are_not_made_ready(monkeypatch):
    monkeypatch.setattr(jpeg, "_decoder", lambda: None)
    Transform(20)(jpeg_of(NOISE))
    assert resampling._seen == 0


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "transform",
    [Transform(20), Transform(20, resize="crop"), Transform(20, interpolation="bicubic"), Transform(20, trim=True),
     Transform(20, antialias=False)],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_images_are_the_same_before_and_after(monkeypatch, suffix, transform, mode, orientation):
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    mode = "RGB" if (suffix, mode) == ("PNG", "CMYK") else mode
    Image.fromarray(NOISE[..., :3]).convert(mode).save(stream, suffix, exif=exif)
    before = transform(stream.getvalue())
    monkeypatch.setattr(resampling, "PAYS", 1)
    monkeypatch.setattr(resampling, "_seen", 0)
    np.testing.assert_array_equal(transform(stream.getvalue()), before)


def test_a_small_jpeg_is_lent_and_shrunk_in_loops_once_that_pays(monkeypatch):
    pytest.importorskip("simplejpeg")
    calls = []
    monkeypatch.setattr(resampling, "PAYS", 1)
    monkeypatch.setattr(jpeg, "image_of", lambda _: pytest.fail("went through Pillow"))
    shrink = loops.resize
    assert resampling.loops_after(1) is loops
    monkeypatch.setattr(loops, "resize", lambda *given, **more: calls.append(1) or shrink(*given, **more))
    Transform(20)(jpeg_of(NOISE))
    assert len(calls) == 1


def test_numba_is_not_loaded_before_it_pays():
    code = (
        "import io, sys, numpy as np; from PIL import Image; from featx.images import Transform; file = io.BytesIO();"
        "Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(file, 'JPEG'); Transform(20)(file.getvalue());"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
