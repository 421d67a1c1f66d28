"""Decoded images: decoded once, again where an image or a byte changed, and handed out by row alone."""

import os
import shutil

import numpy as np
import pytest

from featx.images import NORMALISATIONS, Transform, normalisation
from featx.training.pixels import Feed, decoded

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def data(tiny_demo, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_demo, folder)
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))[:12]
    return folder, paths


def read(data, tmp_path, **changes):
    folder, paths = data
    return decoded(folder, paths, Transform(16, **changes), folder=tmp_path / "pixels", name="tiny")


def test_pixels_are_those_of_the_transform_and_are_decoded_once(data, tmp_path):
    folder, paths = data
    first, again = read(data, tmp_path), read(data, tmp_path)
    assert (first.decoded, again.decoded) == (12, 0)
    expected = np.stack([Transform(16)((folder / path).read_bytes()) for path in paths])
    assert np.array_equal(first.values, expected) and np.array_equal(again.values, expected)
    assert first.digests == again.digests and len(set(first.digests)) == 12
    assert read(data, tmp_path, resize="crop").decoded == 12


def test_what_changed_is_decoded_again_and_nothing_else(data, tmp_path):
    folder, paths = data
    before = read(data, tmp_path)
    shutil.copy(folder / paths[3], folder / paths[5])
    os.utime(folder / paths[5])
    after = read(data, tmp_path)
    assert after.decoded == 1 and after.digests[5] == before.digests[3]
    assert np.array_equal(after.values[5], before.values[3])


def test_a_flipped_byte_is_seen(data, tmp_path):
    before = np.array(read(data, tmp_path).values)
    (file,) = (tmp_path / "pixels").glob("*.u8")
    damaged = bytearray(file.read_bytes())
    damaged[1000] ^= 1
    file.write_bytes(damaged)
    after = read(data, tmp_path)
    assert after.decoded == 1 and np.array_equal(after.values, before)
    file.write_bytes(damaged[:-5])
    assert read(data, tmp_path).decoded == 12


def test_what_cannot_be_decoded_is_told_and_black(data, tmp_path):
    folder, paths = data
    (folder / paths[0]).write_bytes(b"no image")
    (folder / paths[1]).unlink()
    found = read(data, tmp_path)
    assert set(found.failed) == {paths[0], paths[1]} and "missing" in found.failed[paths[1]]
    assert not found.values[:2].any() and found.digests[1] == "" and found.digests[0]


def test_examples_hold_their_own_rows_alone(data, tmp_path):
    found = read(data, tmp_path)
    own = found.examples(np.array([7, 2]), np.array([1, 0]))
    assert np.array_equal(own.pixels(np.array([1, 0])), found.values[[2, 7]])
    with pytest.raises(IndexError):
        own.pixels(np.array([2]))


@pytest.mark.parametrize("name", list(NORMALISATIONS))
def test_the_feed_normalises_as_extraction_does(name, data, tmp_path):
    pixels = np.array(read(data, tmp_path).values[:2])
    how = normalisation(name)
    expected = (pixels[..., :: -1 if how.bgr else 1] * how.scale - np.array(how.mean)) / np.array(how.std)
    given = Feed(how, device="cpu")(pixels)
    assert np.allclose(given.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)
