"""Places: where things lie in a cache, and which features were extracted last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featx.cache.places import DEFAULT, VARIABLE, Places, label
from featx.errors import CacheError, UsageError

KEY = "0123456789abcdef" * 4


def plant(places, dataset, *layers):
    files = [places.features(dataset, backbone="vgg16", weights="imagenet", layer=name, key=KEY) for name in layers]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return files


def test_the_folder_given_comes_before_the_variable_and_that_before_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "variable"))
    assert Places.at(tmp_path / "given").root == tmp_path / "given"
    assert Places.at().root == tmp_path / "variable"
    monkeypatch.setenv(VARIABLE, "")
    assert Places.at().root == Path(DEFAULT)


def test_the_name_of_a_feature_file_tells_what_it_holds(tmp_path):
    (path,) = plant(Places(tmp_path), "ham", "fc7")
    assert path == tmp_path / "ham" / "vgg16@imagenet--fc7--01234567.h5"
    assert label(path) == "vgg16@imagenet--fc7"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg16@my-net--features.3--01234567.h5", "vgg16@my-net--features.3"),
        ("anything.h5", "anything"),
    ],
)
def test_a_label_is_the_name_without_the_key(name, expected):
    assert label(Path("somewhere") / name) == expected


def test_no_two_places_are_one(tmp_path):
    places = Places(tmp_path)
    folders = [places.folds, places.runs, places.demo_data, places.memo.parent]
    assert len({*folders, tmp_path}) == 5
    assert all(folder.parent == tmp_path for folder in folders)
    assert not list(tmp_path.iterdir())  # naming them makes nothing


def test_fingerprints_lie_in_the_folder_of_their_dataset_and_make_it_no_dataset_with_features(tmp_path):
    path = Places(tmp_path).fingerprints("ham")
    assert path == tmp_path / "ham" / "fingerprints.json"
    path.parent.mkdir()
    path.touch()
    assert Places(tmp_path).datasets() == []


def test_without_features_one_is_told_to_extract(tmp_path):
    for places in (Places(tmp_path), Places(tmp_path / "nowhere")):
        assert places.datasets() == []
        with pytest.raises(CacheError, match="featx extract"):
            places.last()


def test_what_was_extracted_last_is_found_in_its_order(tmp_path):
    places = Places(tmp_path)
    files = plant(places, "ham", "fc7", "fc6", "conv1_1")
    places.remember_last([files[0], files[2]])
    assert places.last() == places.last("ham") == [files[0], files[2]]
    places.remember_last([files[1]])
    assert places.last() == [files[1]]
    assert places.feature_files("ham") == sorted(files)


def test_remembering_the_same_again_does_not_write_the_file_anew(tmp_path):
    places = Places(tmp_path)
    files = plant(places, "ham", "fc7")
    places.remember_last(files)
    before = (tmp_path / "ham" / "last.json").stat().st_ino
    places.remember_last(files)
    assert (tmp_path / "ham" / "last.json").stat().st_ino == before


def test_of_several_datasets_one_must_be_named(tmp_path):
    places = Places(tmp_path)
    (one,) = plant(places, "ham", "fc7")
    (two,) = plant(places, "isic", "fc7")
    assert places.datasets() == ["ham", "isic"]
    with pytest.raises(UsageError, match=r"ham, isic.*--features"):
        places.last()
    assert (places.last("ham"), places.last("isic")) == ([one], [two])
    with pytest.raises(CacheError, match="of ph2"):
        places.last("ph2")


@pytest.mark.parametrize("text", [None, "", "{", "null", "5", "[1]", "[]", '["gone.h5"]', "\udcff"])
def test_a_lost_or_damaged_note_leaves_the_only_file(tmp_path, text):
    places = Places(tmp_path)
    files = plant(places, "ham", "fc7")
    if text is not None:
        (tmp_path / "ham" / "last.json").write_bytes(text.encode(errors="surrogateescape"))
    assert places.last() == files


def test_without_a_note_several_files_are_a_question(tmp_path):
    places = Places(tmp_path)
    files = plant(places, "ham", "fc6", "fc7")
    with pytest.raises(UsageError, match="--features") as caught:
        places.last()
    assert all(path.name in str(caught.value) for path in files)
    (tmp_path / "ham" / "last.json").write_text(json.dumps([files[0].name, "gone.h5"]))
    with pytest.raises(UsageError, match="--features"):  # half of what was extracted last is not what was asked for
        places.last()


def test_folders_without_features_are_no_datasets(tmp_path):
    for folder in ("folds", "runs", "weights", "demo_data"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.json").touch()
    assert Places(tmp_path).datasets() == []
