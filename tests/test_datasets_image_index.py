"""Finding images by name: copies are one, other pictures of one name are refused."""

from __future__ import annotations

import pytest

from featx import datasets
from featx.datasets import image_index
from featx.datasets.image_index import ImageIndex, find_tables
from featx.errors import DataError


def put(root, *paths, content=b"image"):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_a_name_is_found_in_any_case_with_and_without_ending_and_folders(tmp_path):
    index = ImageIndex(put(tmp_path, "NEL/Nel026.JPG", "x/caf\u00e9.png"))
    for name in ("nel026", "Nel026.jpg", "nel/NEL026.jpeg"):
        assert index.find(name) == "NEL/Nel026.JPG"
    assert index.find("cafe\u0301") == "x/caf\u00e9.png"
    assert index.find("other/nel026") is None
    assert index.unused() == [] and index.copies() == 0


def test_copies_are_counted_and_files_that_nobody_asked_for_told(tmp_path):
    index = ImageIndex(put(tmp_path, "a/1.jpg", "b/1.jpg", "2.jpg"))
    assert index.find("1") == "a/1.jpg"
    assert (index.copies(), index.unused()) == (1, ["2.jpg"])


@pytest.mark.parametrize("ending", ["bmp", "tif", "jpg", "dcm"])
def test_two_pictures_of_one_name_and_size_are_refused(tmp_path, ending):
    put(tmp_path, f"a/1.{ending}", content=bytes(20_000))
    put(tmp_path, f"hair_removed/1.{ending}", content=bytes(19_999) + b"x")
    with pytest.raises(DataError, match="bear one name but are different files"):
        ImageIndex(tmp_path).find("1")


def test_a_difference_in_the_middle_of_plain_pixels_is_seen(tmp_path):
    put(tmp_path, "a/1.bmp", content=bytes(20_000))
    put(tmp_path, "b/1.bmp", content=bytes(10_000) + b"x" + bytes(9_999))
    with pytest.raises(DataError, match="different files"):
        ImageIndex(tmp_path).find("1")


def test_a_mask_of_the_name_is_taken_only_where_no_picture_is(tmp_path):
    put(tmp_path, "a/1.jpg", "a/2.png")
    put(tmp_path, "masks/1.png", content=b"mask")
    index = ImageIndex(tmp_path, prefer=(".jpg",))
    assert (index.find("1"), index.find("2")) == ("a/1.jpg", "a/2.png")


def test_what_is_to_be_skipped_is_no_image(tmp_path):
    assert ImageIndex(put(tmp_path, "1_superpixels.png"), skip="_superpixels").find("1_superpixels") is None


def test_tables_of_the_highest_level_are_found_and_copies_left_out(tmp_path):
    put(tmp_path, "a/T.csv", "b/t.csv", "a/x/t.csv", ".git/t.csv", "__MACOSX/t.csv", content=b"t")
    assert [path.relative_to(tmp_path).as_posix() for path in find_tables(tmp_path, [r"t\.csv"])] == [
        "a/T.csv",
        "b/t.csv",
    ]
    put(tmp_path, "b/T.csv", content=b"t")
    assert [path.relative_to(tmp_path).as_posix() for path in find_tables(tmp_path, [r"T\.csv"])] == [
        "a/T.csv",
        "b/t.csv",
    ]


def test_opening_a_dataset_lists_each_folder_once_a_depth(tiny_demo, monkeypatch):
    asked, below = [], image_index._below
    monkeypatch.setattr(image_index, "_below", lambda *where: asked.append(where) or below(*where))
    datasets.open_dataset(tiny_demo)
    assert asked and len(asked) == len(set(asked))


def test_a_listing_is_not_kept_beyond_the_opening(tmp_path):
    with image_index.listed_once():
        assert find_tables(tmp_path, [r"a\.csv"]) == []
        (tmp_path / "a.csv").touch()
        assert find_tables(tmp_path, [r"a\.csv"]) == []
    assert find_tables(tmp_path, [r"a\.csv"]) == [tmp_path / "a.csv"]
