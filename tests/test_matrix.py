"""The feature matrix: rows with features and a class, and what may not be divided."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from featx import designs
from featx.cache import OK, FeatureWriter, new_record
from featx.datasets.base import Dataset, Sample
from featx.errors import CacheDamaged, CacheIncomplete, DataError
from featx.matrix import load_features, read_features

DIAGNOSES = ("nv", "mel", "bcc", "akiec")


def made(path, *, n=12, images=None, failed=(), finish=True, diagnoses=None):
    """Write a feature file of n rows, two a lesion, and return its features."""
    words = diagnoses or [DIAGNOSES[row // 2 % 4] for row in range(n)]
    samples = tuple(
        Sample(f"i{row}", f"i{row}.jpg", words[row], f"lesion {row // 2}", f"lesion {row // 2}") for row in range(n)
    )
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    images = images or [f"image {row}" for row in range(n)]
    records = np.stack(
        [
            new_record(status=2, size=1, mtime_ns=1, sha256=bytes(32).hex(), reason="truncated: at byte 7")
            if row in failed
            else new_record(status=OK, size=1, mtime_ns=1, sha256=hashlib.sha256(images[row].encode()).hexdigest())
            for row in range(n)
        ]
    )
    dataset = Dataset("toy", "csv", path.parent, samples, group_kind="lesion", unit_kind="lesion")
    paths = [sample.path for sample in samples]
    with FeatureWriter.open_or_create(path, spec={"layer": "x"}, paths=paths, table=dataset.to_table(), dim=5, env={}) as file:  # fmt: skip  # noqa: E501
        file.write(np.arange(n), X, records)
        file.sync()
        if finish:
            file.finish()
    return X


def test_without_a_design_every_row_is_kept_with_its_diagnosis(tmp_path):
    X = made(tmp_path / "a.h5")
    found = load_features(tmp_path / "a.h5")
    assert np.array_equal(found.X, X) and found.X.dtype == np.float32
    assert found.y.tolist() == [DIAGNOSES[row // 2 % 4] for row in range(12)]
    assert found.ids.tolist() == [f"i{row}" for row in range(12)]
    assert found.groups.tolist() == [f"lesion {row // 2}" for row in range(12)]


def test_a_design_keeps_its_rows_and_codes_them(tmp_path):
    X = made(tmp_path / "a.h5")
    found = load_features(tmp_path / "a.h5", "mel-vs-benign", akiec="benign")
    keep = [row for row in range(12) if row // 2 % 4 != 2]
    assert found.ids.tolist() == [f"i{row}" for row in keep]
    assert np.array_equal(found.X, X[keep])
    assert found.y.tolist() == [int(row // 2 % 4 == 1) for row in keep] and found.y.dtype == np.int64


def test_a_design_may_be_an_object(tmp_path):
    made(tmp_path / "a.h5")
    found = load_features(tmp_path / "a.h5", designs.custom(["bcc"], ["nv"], drop=["mel", "akiec"]))
    assert found.y.tolist() == [0, 0, 1, 1, 0, 0]


def test_failed_images_are_left_out_and_counted_by_reason(tmp_path):
    made(tmp_path / "a.h5", failed=[0, 7])
    found = load_features(tmp_path / "a.h5")
    assert len(found.X) == 10 and np.isfinite(found.X).all() and "i7" not in found.ids
    features = read_features(tmp_path / "a.h5")
    assert features.dropped == {"image: truncated": 2} and features.digests[0] == ""
    assert len(features.dataset.samples) == 12 and np.isnan(features.X[7]).all()


def test_a_class_whose_images_all_failed_is_no_class(tmp_path):
    made(tmp_path / "a.h5", n=8, failed=[2, 3])
    with pytest.raises(DataError, match="no row of class 'melanoma'"):
        load_features(tmp_path / "a.h5", "mel-vs-benign")
    assert sorted(set(load_features(tmp_path / "a.h5", "diagnosis").y)) == [0, 1, 2]


def test_byte_identical_images_share_a_group_also_across_diagnoses(tmp_path):
    images = [f"image {row}" for row in range(12)]
    images[9] = images[0]
    made(tmp_path / "a.h5", images=images)
    groups = load_features(tmp_path / "a.h5").groups.tolist()
    assert groups[0] == groups[1] == groups[8] == groups[9] == "lesion 0"
    assert len(set(groups)) == 5


def test_failed_images_are_not_taken_for_identical(tmp_path):
    made(tmp_path / "a.h5", failed=[0, 5])
    assert len(set(read_features(tmp_path / "a.h5").groups)) == 6


def test_an_unfinished_file_is_refused(tmp_path):
    made(tmp_path / "a.h5", finish=False)
    with pytest.raises(CacheIncomplete, match="is not finished; run `featx extract` again"):
        load_features(tmp_path / "a.h5")


def test_a_flipped_bit_is_refused(tmp_path):
    X = made(tmp_path / "a.h5")
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[data.index(X[3].tobytes())] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(CacheDamaged):
        load_features(tmp_path / "a.h5")


def test_the_file_tells_what_it_is(tmp_path):
    made(tmp_path / "vgg16@random0--fc7--0a1b2c3d.h5")
    found = read_features(tmp_path / "vgg16@random0--fc7--0a1b2c3d.h5")
    assert found.label == "vgg16@random0--fc7"
    assert set(found.about) >= {"file", "key", "spec", "env", "finished"} and found.about["spec"] == {"layer": "x"}
