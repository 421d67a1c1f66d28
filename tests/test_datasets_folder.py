from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.datasets import open_dataset
from featx.errors import DataError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"image")
    return root


def diagnoses(found) -> dict[str, str]:
    return {sample.path: sample.diagnosis for sample in found.samples}


def test_the_name_of_a_folder_is_the_diagnosis(tmp_path):
    found = open_dataset(touch(tmp_path / "skin", "mel/1.jpg", "nv/1.jpg", "nv/deeper/2.png"))
    assert (found.adapter, found.name, found.root) == ("folder", "skin", tmp_path / "skin")
    assert diagnoses(found) == {"mel/1.jpg": "mel", "nv/1.jpg": "nv", "nv/deeper/2.png": "nv"}
    assert all(sample.id == sample.path and not sample.attributes for sample in found.samples)


def test_each_image_is_a_group_of_its_own_and_it_is_said(tmp_path):
    found = open_dataset(touch(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg"))
    assert len({sample.group for sample in found.samples}) == 3
    assert (found.group_kind, found.unit_kind) == (None, None)
    assert "groups unknown" in found.grouping


def test_images_in_no_class_folder_are_dropped_with_the_reason(tmp_path):
    found = open_dataset(touch(tmp_path, "a/1.jpg", "b/2.jpg", "overview.png"))
    assert (found.found, len(found.samples), found.dropped) == (3, 2, {"in no class folder": 1})


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), ("train", "validation", "test")),
        (("Train", "VALID", "Test"), ("train", "validation", "test")),
        (("Training", "validation", "Testing"), ("train", "validation", "test")),
        (("train", "test"), ("train", "test")),
    ],
)
def test_folders_of_a_split_are_the_official_split_and_no_classes(tmp_path, names, splits):
    found = open_dataset(touch(tmp_path, *(f"{name}/{c}/{name}.jpg" for name in names for c in ("mel", "nv"))))
    assert {sample.diagnosis for sample in found.samples} == {"mel", "nv"}
    for name, split in zip(names, splits, strict=True):
        assert {s.attributes["split"] for s in found.samples if s.path.startswith(f"{name}/")} == {split}


@pytest.mark.parametrize("loose", ["overview.png", "train/montage.jpg"])
def test_a_loose_image_does_not_turn_a_split_into_classes(tmp_path, loose):
    found = open_dataset(touch(tmp_path, "train/mel/1.jpg", "train/nv/2.jpg", "test/mel/3.jpg", loose))
    assert {sample.diagnosis for sample in found.samples} == {"mel", "nv"}
    assert found.dropped == {"in no class folder": 1}
    assert {sample.attributes["split"] for sample in found.samples} == {"train", "test"}


def test_a_split_without_class_folders_is_no_dataset_of_two_classes(tmp_path):
    touch(tmp_path, "train/1.jpg", "test/2.jpg")
    with pytest.raises(DataError, match="no table and no class folders"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="no images in class folders"):
        open_dataset(tmp_path, adapter="folder")


def test_a_split_beside_other_folders_is_refused(tmp_path):
    touch(tmp_path, "train/mel/1.jpg", "test/nv/2.jpg", "lesions/a/3.jpg")
    with pytest.raises(DataError, match="folders test, train look like a split of the images, lesions do not"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("litter", ["masks/readme.txt", "__MACOSX/train/1.jpg", ".git/1.jpg"])
def test_folders_without_images_do_not_count(tmp_path, litter):
    found = open_dataset(touch(tmp_path, "train/mel/1.jpg", "test/nv/2.jpg", litter))
    assert {sample.diagnosis for sample in found.samples} == {"mel", "nv"}


def test_one_class_is_recognised_only_where_the_adapter_is_named(tmp_path):
    touch(tmp_path, "images/1.jpg", "images/2.jpg")
    with pytest.raises(DataError, match="holds 2 images"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, adapter="folder").samples) == 2


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    touch(tmp_path, "1.jpg")
    with pytest.raises(DataError, match=r"1.jpg is a file; a folder with one folder of images for each class"):
        open_dataset(tmp_path / "1.jpg", adapter="folder")


def test_a_link_that_leads_back_adds_no_images(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "b/loop").symlink_to(tmp_path)
    assert list(diagnoses(open_dataset(tmp_path))) == ["a/1.jpg", "b/2.jpg"]


def test_odd_names_are_kept_as_they_are(tmp_path):
    names = ("-rf.jpg", "=cmd.jpg", "a\nb.jpg", "<script>.jpg", "\u202e.jpg", os.fsdecode(b"x\xff.jpg"))
    found = open_dataset(touch(tmp_path, *(f"{c}/{name}" for c in ("a", "b") for name in names)))
    assert {sample.path for sample in found.samples} == {f"{c}/{name}" for c in ("a", "b") for name in names}
    assert all((found.root / sample.path).is_file() for sample in found.samples)


FOLDERS = st.sampled_from(["a", "b", "train", "test", "a/x", "train/a", "train/b", "test/a", "val/b", ""])


@given(st.lists(FOLDERS, min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_found_is_kept_and_dropped_and_splits_are_never_classes(tmp_path_factory, folders):
    root = tmp_path_factory.mktemp("folder")
    touch(root, *(f"{folder}/{number}.jpg".lstrip("/") for number, folder in enumerate(folders)))
    try:
        found = open_dataset(root, adapter="folder")
    except DataError as error:
        assert "look like a split" in str(error) or "no images in class folders" in str(error)
        return
    assert found.found == len(folders) == len(found.samples) + sum(found.dropped.values())
    assert not {sample.diagnosis for sample in found.samples} & {"train", "test", "val"}
    assert len({"split" in sample.attributes for sample in found.samples}) == 1


@pytest.mark.data
def test_the_classes_of_the_chest_films_are_their_folders(real):
    found = open_dataset(real / "data" / "chest_xray_subset", adapter="folder")
    assert Counter(s.diagnosis for s in found.samples) == {"no_findings": 218, "pneumonia": 257, "covid-19": 124}


@pytest.mark.parametrize(
    "names",
    [("images", "masks"), ("HAM10000_images_part_1", "HAM10000_images_part_2"), ("train_images", "test_images")],
)
def test_folders_whose_names_say_nothing_of_the_images_are_no_classes(tmp_path, names):
    touch(tmp_path, *(f"{name}/1.jpg" for name in names))
    with pytest.raises(DataError, match="no table and no class folders"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, adapter="folder").samples) == 2


def test_the_dataset_that_lies_a_folder_away_is_named(tmp_path):
    touch(tmp_path, "a/images/1.jpg", "a/images/2.jpg")
    (tmp_path / "a" / "labels.csv").write_text("image,label\n1,nv\n2,mel\n")
    with pytest.raises(DataError, match=r"a looks like a dataset \(csv\): give that"):
        open_dataset(tmp_path)
    with pytest.raises(
        DataError, match=r"labels.csv looks like a dataset \(csv\): give .*a, or --labels with this table"
    ):
        open_dataset(tmp_path / "a" / "images")
