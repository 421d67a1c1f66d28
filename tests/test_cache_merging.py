"""Shards: whole batches each, and together what one run makes; whatever does not belong together is refused."""

from __future__ import annotations

import numpy as np
import pytest
from fire.common import SPEC, Job
from fire.sharded import write_shard
from hypothesis import given
from hypothesis import strategies as st

from featx.cache import OK, PENDING, FeatureFile, FeatureWriter
from featx.cache.merging import merge
from featx.cache.shards import Shard, shard_of
from featx.errors import CacheDamaged, CacheError, CacheLocked, CacheMismatch, UsageError


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "vgg16@imagenet--fc7--0123abcd.h5", n=70, dim=8)


def shards_of(job, of=3, **changes):
    return [write_shard(job, Shard(number, of), pause=0, **changes) for number in range(1, of + 1)]


@given(st.integers(1, 3000), st.integers(1, 40), st.integers(1, 12))
def test_shards_are_whole_batches_that_together_are_every_row_once(n, batch, of):
    parts = [Shard(number, of) for number in range(1, of + 1)]
    if -(-n // batch) < of:
        with pytest.raises(UsageError, match="take at most"):
            parts[0].rows(n, batch_size=batch)
        return
    rows = [part.rows(n, batch_size=batch) for part in parts]
    assert [row for part in rows for row in part] == list(range(n))
    assert all(len(part) and part.start % batch == 0 for part in rows)
    sizes = [-(-len(part) // batch) for part in rows]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/99999", "１/４", "nan/4"])
def test_what_names_no_shard_is_refused(text):
    with pytest.raises(UsageError, match="1/4"):
        Shard.parse(text)


def test_a_shard_is_known_by_its_name(job):
    part = Shard.parse(" 2/8 ")
    assert shard_of(part.path(job.path)) == (job.path, part) and str(part) == "2/8"
    assert shard_of(job.path) is None and shard_of(job.path.with_name("a.h5.shard-0-of-3")) is None


def test_merged_shards_are_what_one_run_makes(job):
    found = merge(reversed(shards_of(job)))
    assert found.path == job.path and not found.pending and found.rows == job.n
    assert job.held() == job.whole()
    with FeatureFile.open(job.path) as file:
        assert file.complete and file.paths == job.about["paths"] and "shard" not in file.env
        assert [part["env"]["shard"]["number"] for part in file.env["merged"]] == [1, 2, 3]


def test_a_damaged_row_of_a_shard_stays_pending_and_is_named(job):
    files = shards_of(job)
    with FeatureFile.open(files[1]) as file:
        place = file.head.offsets["features"] + 4 * file.head.row_bytes
        name = file.paths[4]
    content = bytearray(files[1].read_bytes())
    content[place] ^= 1
    files[1].write_bytes(content)
    found = merge(files)
    assert found.pending == (name,) and name in found.notes[-1]
    with FeatureFile.open(job.path) as file:
        status = file.status()
        assert not file.complete and np.flatnonzero(status == PENDING).tolist() == [file.paths.index(name)]
        ok = np.flatnonzero(status == OK)
        np.testing.assert_array_equal(file.load()[ok], job.features(ok))


@pytest.mark.parametrize("what", ["weights", "layer"])
def test_shards_of_other_features_are_refused_by_name(job, what):
    files = shards_of(job)
    files[2].unlink()
    write_shard(job, Shard(3, 3), pause=0, spec={**SPEC, what: "other"})
    with pytest.raises(CacheMismatch, match=f"{what} is"):
        merge(files)
    assert not job.path.exists()


def test_shards_of_other_labels_are_refused(job):
    files = shards_of(job)
    files[0].unlink()
    write_shard(job, Shard(1, 3), pause=0, table="[1]")
    with pytest.raises(CacheMismatch, match="sample tables"):
        merge(files)


def test_an_image_that_two_files_read_with_other_bytes_is_refused(job):
    files = shards_of(job)
    with FeatureWriter.open_or_create(files[1].with_name("more.h5"), **job.about) as writer:
        records = job.records(np.arange(5))
        records["sha256"] = 7
        writer.write(np.arange(5), job.features(np.arange(5)), records)
    with FeatureWriter.open(files[0]) as writer:
        records = job.records(np.arange(5))
        records["sha256"] = 9
        writer.write(np.arange(5), job.features(np.arange(5)), records)
    with pytest.raises(CacheMismatch, match=r"0\.jpg had other bytes"):
        merge([*files, files[1].with_name("more.h5")], job.path)
    assert not job.path.exists()


def test_a_shard_that_did_not_come_is_told(job):
    files = shards_of(job)
    with pytest.raises(CacheError, match="of 3 shards, 2 did not come"):
        merge([files[0], files[2]])
    with pytest.raises(CacheMismatch, match="2, 3 parts"):
        merge([*files[:2], write_shard(job, Shard(2, 2), pause=0)])


def test_what_cannot_be_merged_is_refused_and_changes_nothing(job, tmp_path):
    files = shards_of(job)
    with pytest.raises(UsageError, match="once"):
        merge([files[0], *files])
    with pytest.raises(UsageError, match="-o"):
        merge([files[0].rename(tmp_path / "other.h5"), *files[1:]])
    (tmp_path / "other.h5").rename(files[0])
    with job.open(), pytest.raises(CacheLocked):
        merge(files)
    with pytest.raises(CacheError, match="there already"):
        merge(files)
    job.path.unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    with pytest.raises(CacheDamaged, match="shard-2-of-3"):
        merge(files)
    assert not job.path.exists()


def test_machines_that_differ_are_told(job):
    files = shards_of(job, of=2)
    files[1].unlink()
    with FeatureWriter.open_or_create(
        files[1],
        **job.about | {"paths": job.about["paths"][32:], "env": {"device": "cuda", "shard": {"number": 2, "of": 2}}},
    ) as writer:
        rows = np.arange(38)
        writer.write(rows, job.features(rows + 32), job.records(rows + 32))
    assert "different device: None; cuda" in merge(files).notes[0]
