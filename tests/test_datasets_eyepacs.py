from __future__ import annotations

from pathlib import Path

import pytest

from featx.datasets.base import Columns
from featx.datasets.eyepacs import ADAPTER, COUNTS
from featx.errors import DataError

ROWS = [("10_left", "0"), ("10_right", "0"), ("13_left", "2"), ("13_right", "4"), ("7_left", "1")]
PART = "eyepacs: 5 of the 35,126 published rows: a part of the set"


def make(root: Path, rows=ROWS, *, name="trainLabels.csv", folder="train", ending=".jpeg") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / name).write_text("image,level\n" + "".join(f"{image},{level}\n" for image, level in rows))
    for image, _ in rows:
        (root / folder / f"{image}{ending}").write_bytes(b"image")
    return root


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def test_the_download_is_read_as_it_is(tmp_path):
    found = read(make(tmp_path))
    assert [(s.id, s.path, s.diagnosis) for s in found.samples] == [(i, f"train/{i}.jpeg", g) for i, g in ROWS]
    assert [s.group for s in found.samples] == [s.unit for s in found.samples] == ["10", "10", "13", "13", "7"]
    assert [s.attributes for s in found.samples] == [{"eye": i.split("_")[1]} for i, _ in ROWS]
    assert (found.group_kind, found.grouping, found.notes) == ("patient", "no patient straddles", (PART,))


def test_the_cropped_copy_and_its_endings_are_read(tmp_path):
    folder = "resized_train_cropped/resized_train_cropped"
    table = make(tmp_path, folder=folder, ending=".png") / "trainLabels.csv"
    lines = [f"{n},{line}" for n, line in enumerate(table.read_text().splitlines()[1:])]
    (tmp_path / "trainLabels_cropped.csv").write_text("\n".join([",image,level", *lines]))
    table.unlink()
    assert ADAPTER.recognise(tmp_path) == "trainLabels_cropped.csv"
    found = read(tmp_path)
    assert [s.path for s in found.samples] == [f"{folder}/{image}.png" for image, _ in ROWS]
    assert found.samples[0].attributes == {"eye": "left"}


def test_images_of_the_test_part_have_no_labels_and_are_told(tmp_path):
    make(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1_left.jpeg").write_bytes(b"image")
    assert read(tmp_path).notes == (
        PART, "1 image files are in no row of the tables and are not used (test/1_left.jpeg, ...)"
    )  # fmt: skip


@pytest.mark.parametrize("image", ["10", "_left", "10_middle", "left"])
def test_a_name_without_patient_or_eye_is_refused(tmp_path, image):
    make(tmp_path, [*ROWS, (image, "0")])
    with pytest.raises(DataError, match=f"line 7: '{image}' is no <patient>_left or <patient>_right"):
        read(tmp_path)


def test_a_patient_is_what_stands_before_the_last_underscore(tmp_path):
    found = read(make(tmp_path, [("clinic_2_7_left", "0"), ("clinic_2_7_RIGHT", "1")]))
    assert [(s.group, s.attributes["eye"]) for s in found.samples] == [("clinic_2_7", "left"), ("clinic_2_7", "right")]


def test_an_eye_that_stands_twice_is_refused(tmp_path):
    make(tmp_path, [*ROWS, ("10_left.jpeg", "0")])
    with pytest.raises(DataError, match="line 7: the id '10_left' stands in line 2 already"):
        read(tmp_path)


def test_the_published_counts_are_those_of_all_patients():
    assert sum(COUNTS.values()) == 35_126 == 2 * 17_563
    assert sum(count for grade, count in COUNTS.items() if grade >= "1") == 9_316
    assert sum(count for grade, count in COUNTS.items() if grade >= "2") == 6_873
