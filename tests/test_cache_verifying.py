"""Verification: every bad row is named, with what is wrong with it; an extraction then computes just those."""

from __future__ import annotations

import os

import numpy as np
import pytest

from featx.cache import FeatureFile, FeatureWriter, new_record
from featx.cache.layout import RECORD
from featx.cache.verifying import DAMAGED, NEVER, OTHER_BYTES, verify
from featx.errors import CacheDamaged
from featx.extraction import extract
from featx.provenance import digest_bytes

N, DIM, FAILED = 6, 8, 2
SMALL = {"backbone": "maia-custom2", "weights": "random", "size": 64}


@pytest.fixture
def data(tmp_path):
    """A folder of six files; the store does not care that they are no images."""
    folder = tmp_path / "data"
    folder.mkdir()
    for row in range(N):
        (folder / f"{row}.jpg").write_bytes(b"image %d" % row)
    return folder


def features(rows):
    return np.stack([np.full(DIM, row + 1, np.float32) for row in rows])


def records(rows, status=1):
    made = [new_record(status=status, sha256=digest_bytes(b"image %d" % row)) for row in rows]
    return np.array(made, RECORD)


def written(path, root, rows=range(N), failed=()):
    about = {"spec": {"layer": "fc7"}, "paths": [f"{row}.jpg" for row in range(N)], "table": "", "dim": DIM}
    with FeatureWriter.open_or_create(path, **about, env={"root": str(root)}) as writer:
        rows = np.array(rows)
        stored = records(rows)
        stored["status"][np.isin(rows, failed)] = FAILED
        writer.write(rows, features(rows), stored)
        if len(rows) == N:
            writer.finish()
    return path


def flip(path, name, row=0, byte=1):
    with FeatureFile.open(path) as file:
        place = file.head.offsets[name] + row * file.head.item_bytes(name) + byte
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def test_a_sound_file_is_sound(tmp_path, data):
    found = verify(written(tmp_path / "a.h5", data, failed=[3]))
    assert found.sound and (found.rows, found.ok, found.failed) == (N, N - 1, 1)
    assert found.images == N - 1 and not found.absent and found.root == data


def test_each_bad_row_is_named_with_what_is_wrong(tmp_path, data):
    path = written(tmp_path / "a.h5", data)
    flip(path, "features", row=2)
    flip(path, "meta", row=4)
    (data / "0.jpg").write_bytes(b"other")
    (data / "1.jpg").unlink()
    (data / "5.jpg").unlink()
    (data / "5.jpg").mkdir()
    found = verify(path)
    assert not found.sound
    assert {name: found.bad[name] for name in ("0.jpg", "2.jpg", "4.jpg")} == {
        "0.jpg": OTHER_BYTES,
        "2.jpg": DAMAGED,
        "4.jpg": DAMAGED,
    }
    assert set(found.bad) == {"0.jpg", "2.jpg", "4.jpg", "5.jpg"} and "cannot be read" in found.bad["5.jpg"]
    assert found.absent == ("1.jpg",) and found.images == 1


def test_rows_that_were_never_written_are_told_apart_from_damage(tmp_path, data):
    path = written(tmp_path / "a.h5", data, rows=[0, 1, 2])
    flip(path, "features", row=1)
    found = verify(path)
    assert found.bad == {"1.jpg": DAMAGED, **{f"{row}.jpg": NEVER for row in (3, 4, 5)}}
    assert "never finished" in found.finish


def test_a_finish_record_that_does_not_fit_is_told(tmp_path, data):
    path = written(tmp_path / "a.h5", data)
    flip(path, "finish", byte=100)
    found = verify(path)
    assert not found.bad and "finish" in found.finish and not found.sound


def test_images_that_moved_are_found_by_their_new_root_and_not_needed(tmp_path, data):
    path = written(tmp_path / "a.h5", data)
    moved = data.rename(tmp_path / "moved")
    assert verify(path).root is None and verify(path).sound
    assert verify(path, root=moved).images == N
    assert verify(path, root=moved, look_at_images=False).images == 0


def test_a_name_that_promises_another_key_is_told(tmp_path, data):
    path = written(tmp_path / "vgg16@imagenet--fc7--00000000.h5", data)
    found = verify(path)
    assert "00000000" in found.name and not found.sound
    good = path.with_name(f"vgg16@imagenet--fc7--{FeatureFile.open(path).key[:8]}.h5")
    os.rename(path, good)
    assert verify(good).sound


def test_a_damaged_head_is_an_error_of_its_own(tmp_path, data):
    path = written(tmp_path / "a.h5", data)
    flip(path, "samples", byte=-200)
    with pytest.raises(CacheDamaged):
        verify(path)


def test_extraction_mends_just_the_rows_that_verification_names(tmp_path, tiny_demo):
    first = extract(tiny_demo, cache=tmp_path, **SMALL)
    path = first.files[0]
    whole = FeatureFile.open(path).load()
    for row in (3, 70):
        flip(path, "features", row=row)
    flip(path, "row_hash", row=101)
    bad = verify(path).bad
    assert set(bad.values()) == {DAMAGED} and len(bad) == 3
    again = extract(tiny_demo, cache=tmp_path, **SMALL)
    assert again.computed == 3 and again.reused == first.computed - 3
    assert verify(path).sound
    np.testing.assert_array_equal(FeatureFile.open(path).load(), whole)
