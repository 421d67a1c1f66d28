from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from featx import designs
from featx.datasets.base import Columns
from featx.datasets.idrid import ADAPTER, TEST, TRAIN
from featx.errors import DataError

TABLE = "2. Groundtruths/{}. IDRiD_Disease Grading_{} Labels.csv"
IMAGES = "1. Original Images/{}. {} Set"
SETS = {"Training": ("a", ["3", "0"]), "Testing": ("b", ["4", "1", "2"])}


def put(root: Path, path: str, content: bytes = b"image") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def make(root: Path, sets=SETS) -> Path:
    for word, (letter, grades) in sets.items():
        lines = ["Image name,Retinopathy grade,Risk of macular edema ,,,"]
        lines += [f"IDRiD_{n:03},{grade},{n % 3},,, " for n, grade in enumerate(grades, start=1)]
        put(root, TABLE.format(letter, word), "\n".join(lines).encode())
        for n in range(1, len(grades) + 1):
            put(root, f"{IMAGES.format(letter, word)}/IDRiD_{n:03}.jpg", f"{word} {n}".encode())
    return root


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def test_the_download_is_read_with_its_two_parts(tmp_path):
    found = read(make(tmp_path / "B. Disease Grading"))
    assert [(s.id, s.diagnosis) for s in found.samples] == [
        ("train/IDRiD_001", "3"), ("train/IDRiD_002", "0"),
        ("test/IDRiD_001", "4"), ("test/IDRiD_002", "1"), ("test/IDRiD_003", "2"),
    ]  # fmt: skip
    assert [s.path for s in found.samples] == [
        *(f"{IMAGES.format('a', 'Training')}/IDRiD_{n:03}.jpg" for n in (1, 2)),
        *(f"{IMAGES.format('b', 'Testing')}/IDRiD_{n:03}.jpg" for n in (1, 2, 3)),
    ]
    assert found.samples[0].attributes == {"Risk of macular edema": "1", "split": "train"}
    assert [s.attributes["split"] for s in found.samples] == ["train"] * 2 + ["test"] * 3
    assert found.samples[0].group == "image train/IDRiD_001"
    assert found.group_kind is None
    assert found.notes == (
        "idrid train: 2 of the 413 published rows: a part of the set",
        "idrid test: 3 of the 103 published rows: a part of the set",
    )


def test_the_whole_archive_is_read_without_its_other_tasks(tmp_path):
    make(tmp_path / "B. Disease Grading")
    put(tmp_path, "A. Segmentation/1. Original Images/a. Training Set/IDRiD_01.jpg")
    put(tmp_path, "A. Segmentation/2. All Segmentation Groundtruths/a. Training Set/IDRiD_01_MA.tif", b"mask")
    put(tmp_path, "C. Localization/1. Original Images/a. Training Set/IDRiD_001.jpg", b"of another size than above")
    put(tmp_path, "__MACOSX/B. Disease Grading/1. Original Images/a. Training Set/IDRiD_001.jpg", b"litter")
    assert ADAPTER.recognise(tmp_path).startswith("a. IDRiD_Disease Grading_Training Labels.csv, b. ")
    found = read(tmp_path)
    assert {s.path.split("/")[0] for s in found.samples} == {"B. Disease Grading"}
    assert len(found.notes) == 2


def test_an_image_of_one_part_is_never_taken_for_one_of_the_other(tmp_path):
    make(tmp_path)
    (tmp_path / IMAGES.format("a", "Training") / "IDRiD_002.jpg").unlink()
    found = read(tmp_path)
    assert (found.found, found.dropped) == (5, {"no image file": 1})
    assert "train/IDRiD_002" not in {s.id for s in found.samples}
    assert {s.id: s.path for s in found.samples}["test/IDRiD_002"].startswith(IMAGES.format("b", "Testing"))


def test_where_only_images_of_the_other_part_are_there_nothing_is_read(tmp_path):
    make(tmp_path)
    for n in (1, 2):
        (tmp_path / IMAGES.format("a", "Training") / f"IDRiD_00{n}.jpg").unlink()
    (tmp_path / TABLE.format("b", "Testing")).unlink()
    with pytest.raises(DataError, match=r"none of the 2 rows of .*Training Labels.csv has a label and an image"):
        read(tmp_path)


def test_copies_of_an_image_in_further_folders_are_counted_by_part(tmp_path):
    make(tmp_path)
    put(tmp_path, "copies/train/IDRiD_001.jpg", b"Training 1")
    assert read(tmp_path).notes[2:] == ("1 further copies of images (same name in another folder) are not used",)


def test_one_part_whose_folder_does_not_name_it_is_read(tmp_path):
    make(tmp_path, {"Training": SETS["Training"]})
    (tmp_path / IMAGES.format("a", "Training")).rename(tmp_path / "images")
    assert [s.path for s in read(tmp_path).samples] == ["images/IDRiD_001.jpg", "images/IDRiD_002.jpg"]
    table = tmp_path / TABLE.format("a", "Training")
    assert [s.path for s in read(tmp_path / "images", labels=table).samples] == ["IDRiD_001.jpg", "IDRiD_002.jpg"]


def test_both_parts_in_one_folder_cannot_be_told_apart(tmp_path):
    make(tmp_path)
    (tmp_path / IMAGES.format("a", "Training")).rename(tmp_path / "images")
    for n in (1, 2, 3):
        (tmp_path / IMAGES.format("b", "Testing") / f"IDRiD_00{n}.jpg").unlink()
    with pytest.raises(DataError, match=r"image images/IDRiD_001.jpg is meant by two rows, 'train/.*' and 'test/"):
        read(tmp_path)


def test_one_table_for_all_is_read_by_its_header(tmp_path):
    put(tmp_path, "labels.csv", b"risk_of_macular_edema,retinopathy_grade,image\n2,3,IDRiD_001\n0,0,IDRiD_002.jpg\n")
    for n in (1, 2):
        put(tmp_path, f"images/IDRiD_{n:03}.jpg")
    assert ADAPTER.recognise(tmp_path) == "labels.csv"
    found = read(tmp_path)
    assert [(s.id, s.diagnosis) for s in found.samples] == [("IDRiD_001", "3"), ("IDRiD_002", "0")]
    assert found.samples[0].attributes == {"risk_of_macular_edema": "2"}
    assert found.notes == ("idrid: 2 of the 516 published rows: a part of the set",)


def test_labels_of_other_sets_are_not_claimed(tmp_path):
    put(tmp_path, "labels.csv", b"file,label,patient_or_case\nx.jpg,pneumonia,1\n")
    assert ADAPTER.recognise(tmp_path) is None


def test_the_official_tables_come_before_a_labels_csv_that_lies_above(tmp_path):
    make(tmp_path / "B. Disease Grading")
    put(tmp_path, "labels.csv", b"file,label\nx.jpg,y\n")
    assert len(read(tmp_path).samples) == 5


def test_the_published_counts_are_those_of_the_two_parts():
    assert (sum(TRAIN.values()), sum(TEST.values())) == (413, 103)


@pytest.mark.data
def test_the_real_training_half_has_the_published_grades(real):
    root = real / "data" / "idrid_subset"
    assert ADAPTER.recognise(root) == "labels.csv"
    found = read(root)
    assert (found.found, len(found.samples)) == (413, 413)
    assert Counter(s.diagnosis for s in found.samples) == TRAIN
    assert found.notes == ("idrid: 413 of the 516 published rows: a part of the set",)
    diagnoses = [s.diagnosis for s in found.samples]
    assert designs.get("any-dr").assign(diagnoses).counts == {"no-dr": 134, "dr": 279}
    assert designs.get("referable-dr").assign(diagnoses).counts == {"not-referable": 154, "referable": 259}
