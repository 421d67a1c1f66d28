"""The feature store: what is written is read, what is damaged is said, what was saved is kept."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.cache import (
    FORMAT,
    OK,
    PENDING,
    RECORD,
    FeatureFile,
    FeatureWriter,
    create,
    key_of,
    new_record,
    reader,
    renew,
)
from featx.cache.layout import MAGIC, frame, hash_rows
from featx.cache.lock import Lock
from featx.errors import (
    CacheDamaged,
    CacheError,
    CacheIncomplete,
    CacheLocked,
    CacheMismatch,
    UnknownName,
)

SPEC = {"layer": "fc7", "weights": "0a" * 32, "transform": {"size": 224, "mean": [0.5, 0.5, 0.5]}}
FAILED = 2
N, DIM = 12, 8


def names(n=N):
    return [f"images/{row:03}.jpg" for row in range(n)]


def features_of(rows, dim=DIM, dtype="float32"):
    """The features that each test file holds: any row can be told from its index."""
    return np.stack([np.random.default_rng(int(row)).normal(size=dim).astype(dtype) for row in rows])


def records_of(rows, status=OK):
    made = [new_record(status=status, size=100 + row, mtime_ns=row, sha256=bytes([row % 256] * 32)) for row in rows]
    return np.array(made, RECORD)


def put(writer, rows):
    writer.write(np.array(rows), features_of(rows, writer.dim, writer.dtype), records_of(rows))


def made(path, n=N, **changes):
    about = {"spec": SPEC, "paths": names(n), "table": "[]", "dim": DIM, "env": {"host": "here"}}
    return FeatureWriter.open_or_create(path, **{**about, **changes})


def finished(path, n=N, **changes):
    with made(path, n, **changes) as writer:
        put(writer, range(n))
        writer.finish()
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set" / "vgg16@imagenet--fc7--0123abcd.h5"


def flip(path, offset, bit=0):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def left_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


# what is written is read


def test_a_finished_file_gives_back_everything(path):
    finished(path, table='[{"path": "ü"}]')
    with FeatureFile.open(path) as file:
        np.testing.assert_array_equal(file.load(), features_of(range(N)))
        np.testing.assert_array_equal(file.records(), records_of(range(N)))
        assert (file.paths, file.table, file.spec, file.env) == (names(), '[{"path": "ü"}]', SPEC, {"host": "here"})
        assert (file.n, file.dim, file.dtype, file.key) == (N, DIM, "float32", key_of(SPEC))
        assert file.complete
        assert {name: file.finished[name] for name in ("rows", "ok", "failed")} == {"rows": N, "ok": N, "failed": 0}


file_names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@settings(max_examples=40, deadline=None)
@given(st.lists(file_names, min_size=1, max_size=9, unique=True), st.integers(1, 40), st.data())
def test_any_names_numbers_and_failures_survive_the_round_trip(paths, dim, data):
    dtype = data.draw(st.sampled_from(["float32", "float16"]))
    table = data.draw(st.text(st.characters(), max_size=30))
    order = data.draw(st.permutations(range(len(paths))))
    failed = np.array([data.draw(st.booleans()) for _ in paths])
    with tempfile.TemporaryDirectory() as folder:
        with made(Path(folder) / "a.h5", paths=paths, dim=dim, dtype=dtype, table=table) as writer:
            values, records = features_of(order, dim, dtype), records_of(order)
            records["status"][failed] = FAILED
            writer.write(np.array(order), values, records)
            writer.finish()
        with FeatureFile.open(Path(folder) / "a.h5") as file:
            back = file.load()[order]
            assert (file.paths, file.table, file.dtype) == (paths, table, dtype)
            assert back.dtype == dtype
            np.testing.assert_array_equal(back[~failed], values[~failed])
            assert np.isnan(back[failed]).all()
            np.testing.assert_array_equal(file.status()[order], np.where(failed, FAILED, OK))


def test_h5py_reads_the_file_beside_its_running_writer(path):
    with made(path) as writer:
        put(writer, range(5))
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["features"][:5], features_of(range(5)))
            assert np.isnan(file["features"][5:]).all()
            assert file["path"].asstr()[:].tolist() == names()
            assert file["meta"]["size"][:5].tolist() == [100, 101, 102, 103, 104]
            assert (file.attrs["format"], file.attrs["cache_key"]) == (FORMAT, key_of(SPEC))
            assert json.loads(file.attrs["spec"]) == SPEC
            put(writer, range(5, N))
        writer.finish()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["features"][:], features_of(range(N)))
        assert file["samples"][:].tobytes() == b"[]"


def test_h5py_reads_names_that_are_not_utf_8_as_bytes(path):
    made(path, paths=["a\udcff.jpg", "ü.jpg"]).close()
    with h5py.File(path) as file:
        assert file["path"][:].tolist() == [b"a\xff.jpg", "ü.jpg".encode()]


def test_a_row_hash_can_be_computed_by_anyone_who_reads_the_layout(path):
    finished(path)
    with h5py.File(path) as file:
        seed = int.from_bytes(bytes.fromhex(file.attrs["cache_key"])[:8], "big")
        row = (3).to_bytes(8, "little") + file["meta"][3].tobytes() + file["features"][3].tobytes()
        assert file["row_hash"][3] == xxhash.xxh3_64_intdigest(row, seed=seed)


def test_a_record_takes_128_bytes_and_cuts_its_reason_between_letters():
    assert RECORD.itemsize == 128
    record = new_record(status=FAILED, reason="ü" * 60, sha256="ab" * 32)
    assert record["reason"].item().decode() == "ü" * 39
    assert record["sha256"].tobytes() == b"\xab" * 32


def test_the_key_depends_on_what_the_spec_says_and_on_nothing_else():
    assert key_of({"a": (1, 2), "b": 3}) == key_of({"b": 3, "a": [1, 2]})
    assert key_of({"a": 1}) != key_of({"a": 2}) != key_of({"b": 2})


def test_values_that_overflow_the_stored_precision_are_refused(path):
    with made(path, dtype="float16") as writer, pytest.raises(CacheError, match=r"1 row: 1 .* not finite as float16"):
        writer.write(np.array([0, 1]), np.array([[1.0] * DIM, [7e4] * DIM], "float32"), records_of([0, 1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_ok_must_be_finite_and_nothing_of_its_batch_is_written(path, bad):
    features = features_of([0, 1])
    features[1, 2] = bad
    with made(path) as writer:
        with pytest.raises(CacheError, match="not finite"):
            writer.write(np.array([0, 1]), features, records_of([0, 1]))
        assert (writer.status() == PENDING).all()


def test_features_of_a_failed_row_are_not_looked_at(path):
    with made(path) as writer:
        features = np.full((1, DIM), np.inf, "float32")
        writer.write(np.array([4]), features, records_of([4], status=FAILED))
        assert np.isinf(features).all()
        assert writer.status()[4] == FAILED
        assert np.isnan(writer.load()[4]).all()


@pytest.mark.parametrize(
    ("rows", "shape", "status"),
    [
        ([N], (1, DIM), OK),
        ([-1], (1, DIM), OK),
        ([2, 2], (2, DIM), OK),
        ([1.0], (1, DIM), OK),
        ([1], (1, DIM + 1), OK),
        ([1], (2, DIM), OK),
        ([1], (1, DIM), PENDING),
    ],
)
def test_what_is_no_row_of_the_file_is_refused(path, rows, shape, status):
    with made(path) as writer, pytest.raises(CacheError):
        writer.write(np.array(rows), np.zeros(shape, "float32"), records_of([int(row) for row in rows], status=status))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"paths": []}, CacheError),
        ({"dim": 0}, CacheError),
        ({"paths": ["a", "b", "a"]}, CacheError),
        ({"paths": ["a", ""]}, CacheError),
        ({"paths": ["a\0b"]}, CacheError),
        ({"paths": ["\ud800"]}, CacheError),
        ({"dtype": "float64"}, UnknownName),
    ],
)
def test_what_makes_no_file_is_refused_and_leaves_none(path, changes, error):
    with pytest.raises(error):
        made(path, **changes)
    assert left_in(path.parent) == [f"{path.name}.lock"]


def test_create_does_not_replace_a_file(path):
    finished(path)
    with pytest.raises(CacheError, match="there already"):
        create(path, spec=SPEC, paths=names(), table="[]", dim=DIM, env={})
    with FeatureFile.open(path) as file:
        assert file.complete


def test_create_makes_a_file_of_pending_rows(path):
    create(path, spec=SPEC, paths=names(), table="[]", dim=DIM, env={})
    with FeatureFile.open(path) as file:
        assert (file.status() == PENDING).all()
        assert np.isnan(file.load()).all()
        assert not file.complete


def test_another_spec_is_refused_by_name_of_what_differs(path):
    finished(path)
    other = {**SPEC, "layer": "fc6", "transform": {"size": 299, "mean": [0.5, 0.5, 0.5]}}
    with pytest.raises(CacheMismatch, match=r'layer is "fc7", not "fc6", transform.size is 224, not 299'):
        made(path, spec=other)
    with pytest.raises(CacheMismatch, match="8 features"):
        made(path, dim=9)
    made(path).close()


def test_a_file_that_is_not_there_is_an_error_and_leaves_no_lock(tmp_path):
    for kind in (FeatureFile, FeatureWriter):
        with pytest.raises(CacheError, match=r"there is no|cannot open"):
            kind.open(tmp_path / "none.h5")
    assert left_in(tmp_path) == []


# finished means finished


def test_a_file_with_pending_rows_cannot_be_finished(path):
    with made(path) as writer:
        put(writer, [row for row in range(N) if row != 7])
        with pytest.raises(CacheIncomplete, match=r"1 row: 7 \(images/007.jpg\)"):
            writer.finish()
        assert not writer.complete
        assert np.isnan(writer.load()[7]).all()


def test_a_finished_file_is_made_unfinished_on_the_disk_before_a_row_changes(path, monkeypatch):
    finished(path)
    steps = watched(monkeypatch)
    with made(path) as writer:
        finish = writer.head.offsets["finish"]
        put(writer, [3])
        assert not writer.complete
    assert steps[:2] == [finish, "sync"]
    assert len(steps) == 5 and "sync" not in steps[2:]


def test_the_finish_record_is_written_after_all_rows_are_on_the_disk(path, monkeypatch):
    with made(path) as writer:
        put(writer, range(N))
        steps = watched(monkeypatch)
        writer.finish()
        assert steps == ["sync", writer.head.offsets["finish"], "sync"]
        writer.finish()
        assert len(steps) == 3


def watched(monkeypatch):
    """Write down where bytes are written, and when the disk is waited for."""
    steps, pwrite, fsync = [], os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: steps.append(at) or pwrite(fd, data, at))
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: steps.append("sync") or fsync(fd))
    monkeypatch.setattr("featx.cache.lock._sign", lambda descriptor: None)
    return steps


def test_a_finish_record_of_another_file_does_not_count(path, tmp_path):
    finished(path)
    other = finished(tmp_path / "other.h5", env={"host": "elsewhere"})
    with FeatureFile.open(path) as file:
        first, last = file.head.span("finish")
    with FeatureFile.open(other) as file:
        place = file.head.offsets["finish"]
    data, record = bytearray(other.read_bytes()), path.read_bytes()[first:last]
    data[place : place + len(record)] = record
    other.write_bytes(data)
    with FeatureFile.open(other) as file:
        assert file.finished is None


def test_a_stale_row_that_hashes_well_is_seen_in_a_finished_file_and_mended(path):
    finished(path)
    stale = path.read_bytes()
    with made(path) as writer:
        writer.write(np.array([5]), features_of([50]), records_of([50]))
        writer.finish()
        spans = [writer.head.span(name) for name in ("features", "meta", "row_hash")]
    data = bytearray(path.read_bytes())
    for first, last in spans:
        data[first:last] = stale[first:last]
    path.write_bytes(data)
    with FeatureFile.open(path) as file:
        assert file.valid().all() and not file.complete
        with pytest.raises(CacheDamaged, match="finished with"):
            file.load()
    with made(path) as writer:
        writer.finish()
        assert writer.complete


# what is damaged is said


def test_a_torn_row_is_pending(path):
    with made(path) as writer:
        put(writer, range(N))
        writer.sync()
        first = writer.head.offsets["features"]
    data = bytearray(path.read_bytes())
    data[first + 2 * 32 + 16 : first + 3 * 32] = bytes(16)
    path.write_bytes(data)
    with made(path) as writer:
        assert np.flatnonzero(writer.status() == PENDING).tolist() == [2]
        assert np.isnan(writer.load()[2]).all()
        put(writer, [2])
        writer.finish()
        np.testing.assert_array_equal(writer.load(), features_of(range(N)))


def test_a_row_in_the_place_of_another_is_pending():
    """Of another row, or of another file of equal shape."""
    rows, features, records = np.arange(2), np.ones((2, DIM), "float32"), records_of([7, 7])
    hashes = hash_rows(key_of({"a": 1}), rows, features, records)
    assert hashes[0] != hashes[1]
    assert hash_rows(key_of({"a": 2}), rows, features, records)[0] != hashes[0]


def noticed(path):
    """Whether a reader of a file that was finished says that something is wrong with it."""
    try:
        with FeatureFile.open(path) as file:
            file.load()
            return not file.complete
    except CacheDamaged:
        return True


def test_every_flipped_bit_is_noticed(path):
    size = finished(path).stat().st_size
    assert not noticed(path)
    with FeatureFile.open(path) as file:
        spans = [(0, 600), (0, size), *map(file.head.span, file.head.offsets)]
    rng = np.random.default_rng(7)
    for turn in range(240):
        offset, bit = int(rng.integers(*spans[turn % len(spans)])), int(rng.integers(8))
        flip(path, offset, bit)
        assert noticed(path), (offset, bit)
        flip(path, offset, bit)
    assert not noticed(path)


def test_without_the_hash_check_a_flipped_bit_is_served(path, monkeypatch):
    finished(path)
    with FeatureFile.open(path) as file:
        flip(path, file.head.offsets["features"] + 5 * 32 + 1)
    assert noticed(path)

    class Anything:
        def __eq__(self, other):
            return np.ones(len(other), bool)

        __hash__ = None

    monkeypatch.setattr(reader, "hash_rows", lambda *parts: Anything())
    assert not noticed(path)
    with FeatureFile.open(path) as file:
        assert np.flatnonzero((file.load() != features_of(range(N))).any(axis=1)).tolist() == [5]


def test_damage_in_a_finished_file_names_the_rows_and_is_mended_by_writing_them(path):
    finished(path)
    with FeatureFile.open(path) as file:
        flip(path, file.head.offsets["features"] + 5 * 32 + 1)
        with pytest.raises(CacheDamaged, match=r"1 row: 5 \(images/005.jpg\)"):
            file.load()
        np.testing.assert_array_equal(np.delete(file.load(verify=False), 5, 0), np.delete(features_of(range(N)), 5, 0))
    with made(path) as writer:
        put(writer, np.flatnonzero(writer.status() == PENDING))
        writer.finish()
    assert not noticed(path)


def test_a_file_of_another_length_is_refused(path):
    data = finished(path).read_bytes()
    lengths = [0, 1, 15, 16, 55, 56, 4095, len(data) - 1, len(data) + 1]
    for length in [*lengths, *np.random.default_rng(1).integers(0, len(data), 40).tolist()]:
        path.write_bytes((data + b"\0")[:length])
        with pytest.raises(CacheDamaged, match=path.name):
            FeatureFile.open(path)


def test_a_file_cut_after_opening_is_an_error_and_no_crash(path):
    finished(path)
    with FeatureFile.open(path) as file:
        os.truncate(path, file.head.offsets["features"])
        with pytest.raises(CacheDamaged, match="too early"):
            file.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 1 << 50},
        {"n": -1},
        {"n": 0},
        {"n": True},
        {"n": 12.0},
        {"n": "12"},
        {"dim": 1 << 62},
        {"path_len": 0},
        {"table_len": 1 << 40},
        {"dtype": "object"},
        {"dtype": ["float32"]},
        {"end": 1},
        {"block": 8192},
        {"offsets": {}},
        {"offsets": None},
        {"move": ("features", 0)},
        {"move": ("features", 1 << 62)},
        {"move": ("features", -4096)},
        {"move": ("path", "meta")},
        {"spec": {"layer": "fc6"}},
        {"spec": {"layer": "\ud800"}},
        {"spec": [1]},
        {"key": "zz"},
        {"key": None},
        {"env": 3},
        {"static": "0" * 64},
        {"created": None},
        {"surprise": 1},
    ],
)
def test_a_seal_that_fits_but_says_impossible_things_is_refused(path, changes):
    finished(path)
    with FeatureFile.open(path) as file:
        head = file.head
    fields = json.loads(head.to_json())
    if "move" in changes:
        name, place = changes["move"]
        fields["offsets"][name] = head.offsets.get(place, place)
    fields.update({name: value for name, value in changes.items() if name != "move"})
    sealed(path, head, json.dumps(fields))
    with pytest.raises(CacheDamaged, match=path.name):
        FeatureFile.open(path)


def sealed(path, head, text):
    path.write_bytes(MAGIC + frame(text, head.block - len(MAGIC)) + path.read_bytes()[head.block :])


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 3000, "{}", '{"format": "other"}', "NaN", "9" * 3000])
def test_a_seal_that_fits_around_nonsense_is_refused(path, text):
    finished(path)
    with FeatureFile.open(path) as file:
        head = file.head
    sealed(path, head, text)
    with pytest.raises(CacheDamaged, match=path.name):
        FeatureFile.open(path)


def test_a_file_of_a_later_format_says_so(path):
    finished(path)
    with FeatureFile.open(path) as file:
        head = file.head
    sealed(path, head, head.to_json().replace('"format_version":1', '"format_version":2'))
    with pytest.raises(CacheDamaged, match="version 2"):
        FeatureFile.open(path)


def test_what_is_no_feature_file_is_refused_without_waiting(tmp_path):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["features"] = np.zeros((1000, 3))
    os.mkfifo(tmp_path / "pipe.h5")
    for name in ("plain.h5", "pipe.h5", ""):
        with pytest.raises(CacheError):
            FeatureFile.open(tmp_path / name)


def test_large_environments_and_odd_names_fit_into_the_head(path):
    env = {"command": "featx \udcff" + "x" * 200_000}
    with made(path, env=env) as writer:
        assert writer.env == env
    with h5py.File(path) as file:
        assert json.loads(file.attrs["env"]) == env


# what was saved is kept


def test_a_renewed_file_carries_sound_rows_by_path_and_nothing_else(path):
    with made(path) as writer:
        put(writer, range(10))
        writer.write(np.array([10]), features_of([10]), records_of([10], status=FAILED))
        flip(path, writer.head.offsets["features"] + 5 * 32 + 1)
    paths = ["new.jpg", *reversed(names()[1:])]
    assert renew(path, paths=paths, table="[1]", env={"host": "later"}) == 9
    with FeatureFile.open(path) as file:
        rows = [0, *range(11, 0, -1)]
        expected = [PENDING, PENDING, FAILED, *[OK] * 4, PENDING, *[OK] * 4]
        expected[rows.index(5)] = PENDING
        assert file.status().tolist() == expected
        here = np.flatnonzero(file.status() == OK)
        np.testing.assert_array_equal(file.load()[here], features_of(np.array(rows)[here]))
        np.testing.assert_array_equal(file.records()[here], records_of(np.array(rows)[here]))
        assert (file.paths, file.table, file.env) == (paths, "[1]", {"host": "later"})
    with h5py.File(path) as file:
        assert file["path"].asstr()[:].tolist() == paths
    assert left_in(path.parent) == [path.name, f"{path.name}.lock"]


def test_a_writer_goes_on_with_the_file_that_it_renewed(path):
    finished(path)
    with made(path, 14) as writer:
        assert (writer.n, np.flatnonzero(writer.status() == PENDING).tolist()) == (14, [12, 13])
        put(writer, [12, 13])
        writer.finish()
        with pytest.raises(CacheLocked):
            made(path)
    with FeatureFile.open(path) as file:
        np.testing.assert_array_equal(file.load(), features_of(range(14)))


def test_unchanged_rows_and_table_leave_the_file_as_it_is(path):
    finished(path)
    before = path.stat().st_ino
    with made(path, env={"host": "elsewhere"}) as writer:
        assert writer.complete
    assert path.stat().st_ino == before


def test_a_renewal_that_fails_leaves_the_old_file_whole(path, monkeypatch):
    finished(path)
    with FeatureWriter.open(path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refusing(errno.EIO))
            with pytest.raises(CacheError, match="cannot make"):
                writer.renew(paths=names()[:3], table="[]", env={})
        assert writer.complete
    assert not noticed(path)
    assert left_in(path.parent) == [path.name, f"{path.name}.lock"]


def refusing(code, *, after=0):
    """A system call that works ``after`` times and then fails."""
    calls, real = [], os.pwrite

    def call(*arguments):
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    return call


def test_a_full_disk_at_any_write_of_the_birth_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr("featx.cache.lock._sign", lambda descriptor: None)
    steps = watched(monkeypatch)
    made(path).close()
    writes = len(steps) - steps.count("sync")
    assert writes > 4
    path.unlink()
    for after in range(writes):
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refusing(errno.ENOSPC, after=after))
            with pytest.raises(CacheError, match="No space left"):
                made(path)
        assert left_in(path.parent) == [f"{path.name}.lock"]


def test_a_disk_without_room_refuses_at_birth_and_not_later(path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    with pytest.raises(CacheError, match="No space left"):
        made(path)
    assert left_in(path.parent) == [f"{path.name}.lock"]


@pytest.fixture
def file_limit():
    """Set the largest size that files of this process may have; undone at the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_limit_on_file_size_stops_the_birth_in_one_sentence(path, file_limit):
    file_limit(10_000)
    with pytest.raises(CacheError, match="File too large"):
        made(path)
    assert left_in(path.parent) == [f"{path.name}.lock"]


def test_a_write_that_the_system_refuses_leaves_earlier_rows_safe(path, file_limit):
    with made(path, 400, dim=64) as writer:
        put(writer, range(100))
        writer.sync()
        file_limit(writer.head.offsets["features"] + 150 * 256 + 100)
        with pytest.raises(CacheError, match="rows that were saved are safe"):
            put(writer, range(100, 200))
    with made(path, 400, dim=64) as writer:
        status = writer.status()
        assert (status[:100] == OK).all() and (status[100:] == PENDING).all()


def test_after_a_failed_sync_a_writer_takes_nothing_more(path, monkeypatch):
    with made(path) as writer:
        put(writer, [0])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", refusing(errno.EIO))
            with pytest.raises(CacheError, match="Input/output"):
                writer.sync()
        for act in (writer.sync, lambda: put(writer, [1])):
            with pytest.raises(CacheError, match="open it again"):
                act()
    with made(path) as writer:
        put(writer, [1])
        writer.sync()


def test_a_closed_file_says_so(path):
    finished(path)
    writer = made(path)
    writer.close()
    writer.close()
    for act in (writer.load, writer.sync, lambda: put(writer, [1])):
        with pytest.raises(CacheError, match="closed"):
            act()


def test_a_power_cut_between_syncs_leaves_each_row_whole_or_pending(path, monkeypatch):
    """Any subset of unsynced sectors may arrive; rows are either those of before, those of after, or pending."""
    with made(path, 40, dim=64) as writer:
        put(writer, range(20))
        writer.sync()
        before = path.read_bytes()
        writes, pwrite = [], os.pwrite
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", lambda fd, data, at: writes.append((at, bytes(data))) or pwrite(fd, data, at))
            writer.write(np.arange(10, 30), features_of(range(110, 130), 64), records_of(range(110, 130)))
    allowed = np.concatenate([features_of(range(40), 64), features_of(range(110, 130), 64)])
    rng, seen = np.random.default_rng(3), set()
    for share in np.linspace(0, 1, 60):
        path.write_bytes(cut(before, writes, rng, share))
        with FeatureFile.open(path) as file:
            status, features = file.status(), file.load()
        assert (status[:10] == OK).all() and (status[30:] == PENDING).all()
        for row in np.flatnonzero(status == OK):
            source = [index for index in (row, row + 100) if index < 20 or 110 <= index < 130]
            matches = [index for index in source if np.array_equal(features[row], features_of([index], 64)[0])]
            assert matches, row
        assert (np.isnan(features).any(axis=1) == (status == PENDING)).all()
        seen.add(int((status == PENDING).sum()))
    assert len(seen) > 5 and len(allowed) == 60


def cut(before, writes, rng, share, sector=512):
    """Return the bytes of a file of which only a share of the last writes' sectors reached the disk."""
    after = bytearray(before)
    for at, data in writes:
        after[at : at + len(data)] = data
    mixed = bytearray(before)
    for at in range(0, len(before), sector):
        if rng.random() < share:
            mixed[at : at + sector] = after[at : at + sector]
    return bytes(mixed)


KILLS = """
import json, os, random, signal, sys, time
import h5py, numpy as np
from pathlib import Path
from featx.cache import FeatureFile, FeatureWriter, OK, PENDING, RECORD, new_record

path, kills, n, dim = Path(sys.argv[1]), int(sys.argv[2]), 1500, 64
truth = np.random.default_rng(0).random((n, dim), np.float32)
moments = random.Random(5)

def work(pipe):
    with FeatureWriter.open_or_create(path, spec={"layer": "fc7"}, paths=[f"{row}.jpg" for row in range(n)],
                                      table="[]", dim=dim, env={}) as writer:
        pending = np.flatnonzero(writer.status() == PENDING)
        for at in range(0, len(pending), 16):
            rows = pending[at : at + 16]
            writer.write(rows, truth[rows], np.array([new_record(size=row + 1) for row in rows], RECORD))
            writer.sync()
            os.write(pipe, rows.astype("<u4").tobytes())
        writer.finish()

def killed():
    reader, pipe = os.pipe()
    child = os.fork()
    if not child:
        work(pipe)
        os._exit(0)
    os.close(pipe)
    time.sleep(moments.random() ** 2 * 0.1)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reader, "rb") as stream:
        saved = np.frombuffer(stream.read(), "<u4")
    return os.WIFSIGNALED(status), saved

report = {"kills": 0, "born": 0, "finished": 0, "temporary": 0}
saved = np.zeros(0, int)
while report["kills"] < kills:
    hit, more = killed()
    report["kills"] += hit
    report["temporary"] = max(report["temporary"], len(list(path.parent.glob("*.tmp*"))))
    if not path.exists():
        assert not len(more), "saved rows without a file"
        report["born"] += 1
        continue
    saved = np.union1d(saved, more).astype(int)
    with FeatureFile.open(path) as file:
        ok = file.status() == OK
        assert ok[saved].all(), "a saved row is lost"
        assert (file.load()[ok] == truth[ok]).all(), "a wrong row is served"
        done = file.complete
        assert not done or ok.all(), "finished, and is not"
    if done:
        report["finished"] += 1
        path.unlink()
        saved = saved[:0]
work(os.open(os.devnull, os.O_WRONLY))
report["equal"] = h5py.File(path)["features"][:].tobytes() == truth.tobytes()
report["left"] = sorted(entry.name for entry in path.parent.iterdir())
print(json.dumps(report))
"""


def test_killed_at_random_moments_and_resumed_the_features_equal_those_of_an_unkilled_run(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "a.h5"), "40"], capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["kills"] == 40 and report["equal"] and report["temporary"] <= 1
    assert report["left"] == ["a.h5", "a.h5.lock"]


# one writer at a time


def test_a_second_writer_is_told_who_holds_the_lock(path):
    with made(path):
        for act in (
            lambda: FeatureWriter.open(path),
            lambda: made(path),
            lambda: renew(path, paths=[], table="", env={}),
        ):
            with pytest.raises(CacheLocked, match=rf"process {os.getpid()} on .+; wait"):
                act()
        FeatureWriter.open(path, no_lock=True).close()
    made(path).close()


HOLDER = """
import os, sys, time
from featx.cache.lock import Lock
lock = Lock(sys.argv[1])
if not os.fork():
    os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""


def test_the_lock_of_a_killed_writer_is_free_even_while_its_forked_worker_lives(path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    try:
        worker = int(holder.stdout.readline())
        with pytest.raises(CacheLocked, match=f"process {holder.pid} on"):
            Lock(path)
        holder.kill()
        holder.wait()
        Lock(path).release()
        os.kill(worker, signal.SIGKILL)
    finally:
        holder.kill()
        holder.stdout.close()
        holder.wait()


def test_a_writer_that_fails_to_open_gives_the_lock_back(path):
    finished(path)
    flip(path, 100)
    for _ in range(2):
        with pytest.raises(CacheDamaged):
            FeatureWriter.open(path)
        with pytest.raises(CacheDamaged):
            made(path)


def test_temporary_files_of_a_killed_birth_are_removed_by_the_next(path):
    path.parent.mkdir()
    (path.parent / f"{path.name}.tmp-77").write_bytes(b"half")
    (path.parent / "other.h5.tmp-77").write_bytes(b"half")
    made(path).close()
    assert left_in(path.parent) == sorted(["other.h5.tmp-77", path.name, f"{path.name}.lock"])


def test_a_file_system_without_locks_says_what_to_do(path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", refusing(errno.ENOLCK))
    with pytest.raises(CacheError, match="cannot be locked") as caught:
        made(path)
    assert not isinstance(caught.value, CacheLocked)
    made(path, no_lock=True).close()


def test_a_full_disk_does_not_keep_the_lock_from_being_taken(path, monkeypatch):
    path.parent.mkdir()
    monkeypatch.setattr(os, "pwrite", refusing(errno.ENOSPC))
    lock = Lock(path)
    with pytest.raises(CacheLocked, match="another process"):
        Lock(path)
    lock.release()


def test_opening_and_reading_touch_no_hdf5_code(path):
    finished(path)
    script = (
        "import sys; from featx.cache import FeatureFile; FeatureFile.open(sys.argv[1]).load(); print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert not {"h5py", "torch", "sklearn"} & set(told.stdout.split())


def test_a_head_is_a_value(path):
    with made(path) as writer:
        assert replace(writer.head) == writer.head
        assert path.name in repr(writer)
