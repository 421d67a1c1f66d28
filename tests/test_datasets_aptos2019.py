from __future__ import annotations

from pathlib import Path

from featx.datasets.aptos2019 import ADAPTER, COUNTS
from featx.datasets.base import Columns

ROWS = [("000c1434d8d7", "2"), ("001639a390f0", "4"), ("0024cdab0c1e", "1")]
TWICE = "the set is said to hold some images twice, and names no patients: look for near duplicates first"


def make(root: Path) -> Path:
    (root / "train_images").mkdir(parents=True)
    (root / "train.csv").write_text("id_code,diagnosis\n" + "".join(f"{i},{g}\n" for i, g in ROWS))
    (root / "test.csv").write_text("id_code\n0005cfc8afb6\n")
    (root / "sample_submission.csv").write_text("id_code,diagnosis\n0005cfc8afb6,0\n")
    for image, _ in ROWS:
        (root / "train_images" / f"{image}.png").write_bytes(b"image")
    return root


def test_the_download_is_read_as_it_is(tmp_path):
    root = make(tmp_path / "aptos2019-blindness-detection")
    assert ADAPTER.recognise(tmp_path) == ADAPTER.recognise(root) == "train.csv"
    found = ADAPTER.read(root, columns=Columns())
    assert [(s.id, s.path, s.diagnosis) for s in found.samples] == [(i, f"train_images/{i}.png", g) for i, g in ROWS]
    assert [(s.group, s.unit, s.attributes) for s in found.samples] == [
        (f"image {i}", f"image {i}", {}) for i, _ in ROWS
    ]
    assert (found.group_kind, found.dropped) == (None, {})
    assert found.notes == ("aptos2019: 3 of the 3,662 published rows: a part of the set", TWICE)


def test_pictures_that_were_saved_as_jpeg_beside_are_not_taken_for_the_images(tmp_path):
    make(tmp_path)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / f"{ROWS[0][0]}.jpg").write_bytes(b"another picture")
    assert ADAPTER.read(tmp_path, columns=Columns()).samples[0].path.startswith("train_images/")


def test_grades_of_messidor_2_have_these_columns_and_another_name(tmp_path):
    (tmp_path / "messidor_data.csv").write_text("id_code,diagnosis,adjudicated_dme,adjudicated_gradable\na.png,0,0,1\n")
    assert ADAPTER.recognise(tmp_path) is None


def test_the_published_counts_are_those_of_the_whole_set():
    assert sum(COUNTS.values()) == 3_662
