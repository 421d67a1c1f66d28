from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.kermany import ADAPTER
from featx.errors import DataError, UsageError

FILES = {
    "train/NORMAL/IM-0115-0001.jpeg": ("normal", "im 0115"),
    "train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg": ("normal", "normal2-im 0115"),
    "train/PNEUMONIA/person7_bacteria_24.jpeg": ("bacteria", "person 7"),
    "train/PNEUMONIA/person7_bacteria_25.jpeg": ("bacteria", "person 7"),
    "val/NORMAL/NORMAL2-IM-1427-0001.jpeg": ("normal", "normal2-im 1427"),
    "val/PNEUMONIA/person1946_bacteria_4874.jpeg": ("bacteria", "person 1946"),
    "test/NORMAL/IM-0001-0001.jpeg": ("normal", "im 0001"),
    "test/PNEUMONIA/person7_virus_12.jpeg": ("virus", "person 7"),
}


def touch(root: Path, *paths: str, content: bytes = b"image") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def make(root: Path, *, inside: str = "") -> Path:
    return touch(root, *(inside + path for path in FILES))


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def by_path(found, what: str) -> dict[str, str]:
    return {sample.path: getattr(sample, what) for sample in found.samples}


def test_folders_and_names_say_all(tmp_path):
    found = read(make(tmp_path / "chest_xray"))
    assert by_path(found, "diagnosis") == {path: said[0] for path, said in FILES.items()}
    assert by_path(found, "group") == by_path(found, "unit") == {path: said[1] for path, said in FILES.items()}
    assert by_path(found, "id") == {path: path.removesuffix(".jpeg") for path in FILES}
    parts = {"train": "train", "val": "validation", "test": "test"}
    assert all(s.attributes == {"split": parts[s.path.split("/")[0]]} for s in found.samples)
    assert (found.name, found.found, found.dropped, found.group_kind) == ("chest_xray", 8, {}, "patient")
    assert any(note.startswith("groups: the patient's number in the name") for note in found.notes)


def test_one_number_is_one_group_in_whichever_folder_and_of_whichever_cause(tmp_path):
    found = read(make(tmp_path))
    assert sum(sample.group == "person 7" for sample in found.samples) == 3


def test_the_counts_are_held_against_those_of_the_two_folders(tmp_path):
    normal = [f"val/NORMAL/NORMAL2-IM-{n}-0001.jpeg" for n in range(8)]
    sick = [f"val/PNEUMONIA/person{n}_{'virus' if n % 2 else 'bacteria'}_1.jpeg" for n in range(8)]
    notes = read(touch(tmp_path, *normal, *sick, "train/NORMAL/IM-1-1.jpeg")).notes
    assert "kermany validation: the 16 rows and their classes are the published ones" in notes
    assert "kermany train: 1 of the 5,216 published rows: a part of the set" in notes


@pytest.mark.parametrize("inside", ["chest_xray/", "chest_xray/chest_xray/"])
def test_the_folders_may_be_nested(tmp_path, inside):
    found = read(make(tmp_path, inside=inside))
    assert by_path(found, "id") == {inside + path: path.removesuffix(".jpeg") for path in FILES}


def test_the_nested_copy_of_the_kaggle_archive_adds_no_images(tmp_path):
    root = make(make(tmp_path, inside="chest_xray/"), inside="chest_xray/chest_xray/")
    litter = [f"chest_xray/__MACOSX/chest_xray/{path}" for path in FILES]
    root = touch(root, *litter, "chest_xray/train/NORMAL/._IM-0115-0001.jpeg", content=b"litter")
    found = read(root)
    assert (found.found, len(found.samples)) == (8, 8)
    assert "8 further copies of images (same name in another folder) are not used" in found.notes


def test_a_nested_copy_that_is_another_file_is_refused(tmp_path):
    root = make(make(tmp_path), inside="resized/")
    touch(root, "resized/test/NORMAL/IM-0001-0001.jpeg", content=b"a smaller image")
    with pytest.raises(DataError, match=r"resized/test/NORMAL/IM-0001-0001.jpeg and test/NORMAL/IM.* different files"):
        read(root)


def test_one_name_in_two_parts_is_two_images(tmp_path):
    found = read(touch(make(tmp_path), "test/PNEUMONIA/person7_bacteria_24.jpeg", content=b"another image"))
    assert (len(found.samples), found.dropped) == (9, {})
    assert not any("copies" in note for note in found.notes)


def test_an_image_in_two_formats_is_not_taken_twice_nor_passed_over(tmp_path):
    root = touch(make(tmp_path), "test/NORMAL/IM-0001-0001.png", content=b"the same in png")
    with pytest.raises(DataError, match="bear one name but are different files"):
        read(root)


@pytest.mark.parametrize(
    ("path", "diagnosis", "group"),
    [
        ("test/PNEUMONIA/PERSON9_Virus_3.JPEG", "virus", "person 9"),
        ("Test/Pneumonia/BACTERIA-40699-0001.jpeg", "bacteria", "pneumonia 40699"),
        ("test/pneumonia/VIRUS-40699-0002.jpeg", "virus", "pneumonia 40699"),
        ("test/normal/NORMAL-40699-0002.jpeg", "normal", "normal 40699"),
        ("test/PNEUMONIA/film.v2.jpeg", "pneumonia", "image test/PNEUMONIA/film.v2"),
        ("training/NORMAL/film.jpeg.jpeg", "normal", "image training/NORMAL/film.jpeg"),
    ],
)
def test_names_are_read_in_any_case_and_unknown_ones_stand_alone(tmp_path, path, diagnosis, group):
    found = read(touch(make(tmp_path), path))
    assert (by_path(found, "diagnosis")[path], by_path(found, "group")[path]) == (diagnosis, group)
    told = "1 images have no patient: each is a group of its own, and what they share is unknown"
    assert (told in found.notes) == group.startswith("image ")


def test_without_a_name_of_the_set_each_image_is_its_own_group_and_it_is_told(tmp_path):
    found = read(touch(tmp_path, "train/NORMAL/1.jpg", "train/PNEUMONIA/2.jpg"))
    assert found.group_kind is None
    assert any("each is a group of its own" in note for note in found.notes)
    assert not any("number in the name" in note for note in found.notes)


@pytest.mark.parametrize(
    "path",
    ["test/NORMAL/person9_virus_1.jpeg", "test/PNEUMONIA/IM-0001-0001.jpeg", "train/NORMAL/BACTERIA-1-0001.jpeg"],
)
def test_a_name_that_says_otherwise_than_its_folder_is_refused(tmp_path, path):
    with pytest.raises(DataError, match=rf"{path}: the name says \w+, the folder \w+; move the file"):
        read(touch(make(tmp_path), path))


@pytest.mark.parametrize("path", ["test/COVID19/1.jpeg", "test/COVID19/deeper/1.jpeg"])
def test_a_third_class_is_refused_and_not_recognised(tmp_path, path):
    root = touch(make(tmp_path), path)
    assert ADAPTER.recognise(root) is None
    with pytest.raises(DataError, match=r"COVID19/.*1.jpeg lies in a folder beside NORMAL and PNEUMONIA"):
        read(root)


def test_images_in_no_class_folder_are_dropped(tmp_path):
    found = read(touch(make(tmp_path), "montage.png", "test/overview.jpeg", "docs/figure.png"))
    assert (found.found, len(found.samples), found.dropped) == (11, 8, {"no label": 3})


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_part_alone_has_no_official_split(tmp_path, part):
    root = make(tmp_path) / part
    assert ADAPTER.recognise(root) == "NORMAL and PNEUMONIA"
    assert all("split" not in sample.attributes for sample in read(root).samples)


def test_the_set_is_recognised_by_its_folders_and_names(tmp_path):
    assert ADAPTER.recognise(make(tmp_path)) == "NORMAL and PNEUMONIA in test, train, validation"


@pytest.mark.parametrize(
    "paths",
    [
        ("no_findings/1.jpg", "pneumonia/1.jpg", "covid-19/1.jpg"),
        ("train/NORMAL/1.jpg", "train/PNEUMONIA/2.jpg"),
        ("train/NORMAL/IM-0115-0001.jpeg", "train/1.jpeg"),
        ("mel/1.jpg", "nv/2.jpg"),
        ("train/1.jpg",),
        (),
    ],
)
def test_other_folders_are_not_claimed(tmp_path, paths):
    assert ADAPTER.recognise(touch(tmp_path, *paths)) is None


def test_a_table_is_nothing_of_this_set(tmp_path):
    table = touch(make(tmp_path), "labels.csv", content=b"image,label\n") / "labels.csv"
    assert ADAPTER.recognise(table) is None
    with pytest.raises(UsageError, match="leave --labels out, or take --dataset csv"):
        read(tmp_path, labels=table)
    with pytest.raises(DataError, match=r"labels.csv is a file; a folder with NORMAL/ and PNEUMONIA/"):
        read(table)


def test_a_folder_without_such_folders_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images in folders NORMAL and PNEUMONIA"):
        read(touch(tmp_path, "train/1.jpeg"))


def test_what_can_be_asked_of_it(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [sample.diagnosis for sample in found.samples]
    assert designs.get("pneumonia").assign(diagnoses).counts == {"normal": 4, "pneumonia": 4}
    counts = designs.get("bacteria-vs-virus-vs-normal").assign(diagnoses).counts
    assert counts == {"bacteria": 3, "virus": 1, "normal": 4}
    assert all(found.refusal(name) is None for name in (*ADAPTER.designs, "diagnosis"))
    assert found.refusal("mel-vs-benign") == "its images are chest X-rays"
