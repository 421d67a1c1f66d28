"""Pixels decoded in a process of its own: those of the transform, and a death costs one image."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from featx import images
from featx.extraction import pictures, process
from featx.extraction.crew import Here
from featx.images import Transform
from featx.training.pixels import decoded

SHRINK = Transform(16)


@pytest.fixture
def data(tiny_demo, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_demo, folder)
    return folder, sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))[:40]


def taken(data, rows=range(40), **options):
    folder, paths = data
    return {one.row: one for one in pictures.taken(folder, paths, list(rows), SHRINK, **options)}


def test_pixels_are_those_of_the_transform_with_size_time_and_digest(data):
    folder, paths = data
    found = taken(data, rows=range(3, 40))
    assert set(found) == set(range(3, 40))
    for row, one in found.items():
        file = folder / paths[row]
        content, stat = file.read_bytes(), file.stat()
        np.testing.assert_array_equal(one.pixels, SHRINK(content))
        assert (one.size, one.mtime_ns, one.reason) == (stat.st_size, stat.st_mtime_ns, "")
        assert one.sha256 == hashlib.sha256(content).hexdigest()


def test_what_fails_has_a_reason_and_no_pixels(data):
    folder, paths = data
    (folder / paths[0]).write_bytes(b"no image")
    (folder / paths[1]).unlink()
    found = taken(data, rows=[0, 1, 2])
    assert [found[row].reason.partition(":")[0] for row in range(3)] == ["not_an_image", "missing", ""]
    assert found[0].sha256 and not found[1].sha256 and (found[1].size, found[1].mtime_ns) == (0, 0)
    assert found[0].pixels is None and found[1].pixels is None


def test_this_process_finds_the_same(data):
    (data[0] / data[1][7]).write_bytes(b"no image")
    there = taken(data)
    with Here() as crew:
        here = taken(data, crew=crew)
    assert set(here) == set(there)
    for row, one in here.items():
        assert one[:5] == there[row][:5]
        np.testing.assert_array_equal(one.pixels, there[row].pixels)


@pytest.mark.usefixtures("perilous")
def test_a_training_outlives_images_that_no_decoder_survives(data, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IMAGE_SECONDS", 1.5)
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.1)
    folder, paths = data
    expected = np.stack([SHRINK((folder / path).read_bytes()) for path in paths])
    for row, content in {3: b"SEGV", 17: b"HANG", 18: b"KILL"}.items():
        (folder / paths[row]).write_bytes(content)
        expected[row] = 0
    told = []
    found = decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny", on_progress=lambda *at: told.append(at))
    assert {path: why.partition(":")[0] for path, why in found.failed.items()} == {
        paths[3]: "decoder_crash",
        paths[17]: "timeout",
        paths[18]: "decoder_crash",
    }
    np.testing.assert_array_equal(found.values, expected)
    assert told[-1] == (40, 40) and found.decoded == 40
    again = decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny")
    assert (again.decoded, again.failed) == (1, found.failed)  # a disk may answer by now


@pytest.mark.usefixtures("in_this_process")
def test_what_may_have_passed_is_tried_again(data, tmp_path, monkeypatch):
    folder, paths = data
    reasons = {
        3: "timeout: not decoded in 60 seconds",
        5: "decoder_crash: SIGSEGV",
        7: "unreadable: no right",
        9: "truncated",
    }
    real = pictures.taken

    def failing(*given, **more):
        for one in real(*given, **more):
            yield one._replace(reason=reasons[one.row], pixels=None) if one.row in reasons else one

    def read():
        return decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny")

    with monkeypatch.context() as patch:
        patch.setattr(pictures, "taken", failing)
        assert set(read().failed) == {paths[row] for row in reasons}
    found = read()
    assert (found.decoded, set(found.failed)) == (2, {paths[5], paths[9]})
    monkeypatch.setattr("featx.training.pixels.versions", lambda _: {"pillow": "another"})
    found = read()
    assert (found.decoded, set(found.failed)) == (1, {paths[9]})


@pytest.mark.usefixtures("in_this_process")
def test_a_file_that_is_completed_while_it_fails_is_read_again(data, tmp_path, monkeypatch):
    folder, paths = data
    whole, read = (folder / paths[2]).read_bytes(), images.read
    (folder / paths[2]).write_bytes(b"")

    def then_complete(path):
        try:
            return read(path)
        finally:
            if path == folder / paths[2]:
                path.write_bytes(whole)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read", then_complete)
        assert set(decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny").failed) == {paths[2]}
    found = decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny")
    assert (found.decoded, found.failed) == (1, {})


def test_no_process_is_started_where_nothing_is_to_be_decoded(data, tmp_path, monkeypatch):
    folder, paths = data
    first = decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny")
    monkeypatch.setattr(pictures, "Child", None)
    np.testing.assert_array_equal(decoded(folder, paths, SHRINK, folder=tmp_path, name="tiny").values, first.values)
