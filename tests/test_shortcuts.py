"""Shortcuts: what tells the classes without the picture is found, and what does not is not accused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featx import folds, shortcuts
from featx.datasets import Dataset, Sample
from featx.errors import DataError, UnknownName
from featx.fingerprints import Fingerprint

N = 240


def dataset(attributes=lambda row: {}, *, words=("nv", "mel"), path=lambda row: f"i{row}.jpg", per_group=2, **settings):
    samples = tuple(
        Sample(
            f"i{row}",
            path(row),
            words[row // per_group % len(words)],
            f"g{row // per_group}",
            f"i{row}",
            attributes(row),
        )
        for row in range(N)
    )
    return Dataset("made", "csv", Path("."), samples, group_kind="lesion", **settings)


def word(row):
    return ("nv", "mel")[row // 2 % 2]


def fingerprints(of, **facts):
    blank = {"phash": 0, "bytes": 1000, "width": 64, "height": 48, "mode": "RGB", "format": "JPEG", "camera": ""}
    own = lambda row: {name: value(row) for name, value in facts.items()}  # noqa: E731
    return {s.id: Fingerprint(**{"sha256": f"{row:064x}", **blank, **own(row)}) for row, s in enumerate(of.samples)}


def by_what(found, design="malignant-vs-benign"):
    return {shortcut.what: shortcut for shortcut in found if shortcut.design == design}


def test_a_source_that_holds_one_class_only_is_red():
    data = dataset(lambda row: {"dataset": word(row), "age": str(30 + row % 7 * 5)}, per_group=2)
    found = by_what(shortcuts.find(data))
    assert (found["source"].columns, found["source"].auc, found["source"].level) == (("dataset",), 1.0, "red")
    assert found["source"].exposed == "malignant"
    assert "means anything as it is" in found["source"].note
    assert found["age, sex, site"].level == "green" and found["age, sex, site"].auc < 0.65
    assert list(found) == ["source", "age, sex, site"]


def test_ages_are_numbers_and_an_unknown_age_tells_too():
    ages = dataset(lambda row: {"age": str(40 + 20 * (word(row) == "mel") + row % 30)})
    assert 0.65 <= by_what(shortcuts.find(ages))["age, sex, site"].auc < 0.95
    missing = dataset(lambda row: {"age": "" if word(row) == "mel" else "50"})
    assert by_what(shortcuts.find(missing))["age, sex, site"].level == "red"


def test_how_the_file_was_saved_is_asked():
    data = dataset()
    held = fingerprints(data, mode=lambda row: "L" if word(row) == "nv" else "RGB")
    found = by_what(shortcuts.find(data, fingerprints=held))
    assert (found["file"].columns, found["file"].level) == (("mode",), "red")
    same = by_what(shortcuts.find(data, fingerprints=fingerprints(data)))
    assert same == {}


def test_the_class_that_is_told_best_is_named():
    data = dataset(lambda row: {"source": "x" if row // 2 % 3 == 2 else "y"}, words=("nv", "bkl", "mel"))
    (found,) = [s for s in shortcuts.find(data) if s.design == "diagnosis"]
    assert (found.exposed, found.exposed_auc, found.level) == ("mel", 1.0, "red")
    assert found.auc == pytest.approx((1 + 1 + 0.5) / 3)


def test_a_folder_that_is_the_label_is_no_shortcut_but_another_is():
    labelled = dataset(path=lambda row: f"{word(row)}/i{row}.jpg")
    assert shortcuts.find(labelled) == []
    clinics = dataset(path=lambda row: f"clinic{'AB'[word(row) == 'mel']}/{word(row)}/i{row}.jpg")
    assert by_what(shortcuts.find(clinics))["names"].columns == ("folder",)


@pytest.mark.parametrize(
    ("stem", "pattern"),
    [("person12_bacteria_3", "person9__9"), ("NORMAL2-IM-0095-0001", "NORMAL9-IM-9-9"), ("ISIC_0024306", "ISIC_9")],
)
def test_names_become_patterns(stem, pattern):
    assert shortcuts._pattern(stem, {"bacteria", "virus", "normal"}) == pattern


def test_names_that_go_with_the_class_are_found():
    data = dataset(path=lambda row: f"{'scan' if word(row) == 'mel' else 'photo'}_{row}.jpg")
    found = by_what(shortcuts.find(data))["names"]
    assert (found.exposed_auc, found.level) == (1.0, "amber") and "a network sees no name" in found.note


def test_no_group_and_no_byte_identical_image_straddles(monkeypatch):
    data = dataset(lambda row: {"dataset": str(row % 3)})
    held = fingerprints(data, sha256=lambda row: f"{0 if row in (1, 7, 30) else row:064x}")
    seen = []
    monkeypatch.setattr(
        shortcuts, "_aucs", lambda X, question, split, seed: seen.append((question, split)) or [0.5, 0.5]
    )
    shortcuts.find(data, fingerprints=held, only=["mel-vs-benign"])
    assert len(seen) == 10
    for question, split in seen:
        train, test = ({f"g{row // 2}" for row in question.rows[side]} for side in (split.train, split.test))
        assert not train & test
        assert len({"g0", "g3", "g15"} & test) in (0, 3)


def test_two_designs_that_are_one_question_are_asked_once():
    data = dataset(lambda row: {"dataset": str(row % 3)})
    assert {s.design for s in shortcuts.find(data)} == {"malignant-vs-benign"}


def test_only_designs_that_the_dataset_supports_are_asked():
    data = dataset(lambda row: {"dataset": str(row % 3)}, words=tuple("01234"), designs=("any-dr",))
    assert {s.design for s in shortcuts.find(data)} == {"any-dr"}


def test_a_design_that_is_asked_for_must_fit():
    data = dataset(lambda row: {"dataset": str(row % 3)})
    with pytest.raises(DataError, match="has no place"):
        shortcuts.find(data, only=["any-dr"])
    with pytest.raises(UnknownName):
        shortcuts.find(data, only=["any-drr"])


def test_too_few_groups_and_nothing_beside_the_picture_give_nothing():
    few = Dataset("few", "csv", Path("."), tuple(Sample(f"{n}", f"{n}.jpg", "nv", "g", "g") for n in range(4)))
    assert shortcuts.find(few) == []
    assert shortcuts.find(dataset()) == []


def test_the_same_seed_gives_the_same_numbers():
    data = dataset(lambda row: {"age": str(np.random.default_rng(row).integers(20, 80))})
    assert shortcuts.find(data, jobs=1) == shortcuts.find(data, jobs=2)


@pytest.mark.data
def test_what_glued_collections_and_sources_give_away(real):
    from PIL import Image

    from featx.datasets import open_dataset

    chest = open_dataset(real / "data" / "chest_xray_subset" / "labels.csv")
    held = {}
    for sample in chest.samples:
        path = chest.root / sample.path
        with Image.open(path) as image:
            facts = (image.width, image.height, image.mode, "JPEG", "")
        held[sample.id] = Fingerprint(sample.id, 0, path.stat().st_size, *facts)
    found = by_what(shortcuts.find(chest, fingerprints=held), "diagnosis")
    assert (found["file"].exposed, found["file"].level) == ("covid-19", "red")
    assert found["file"].exposed_auc > 0.99
    skin = shortcuts.find(open_dataset(real / "data" / "isic2018_subset"), only=["malignant-vs-benign"])
    assert by_what(skin, "malignant-vs-benign")["source"].auc == pytest.approx(0.72, abs=0.02)


def test_a_class_of_few_groups_is_not_asked():
    data = dataset(lambda row: {"dataset": "x" if row < 16 else "y"}, words=("nv",))
    rare = [
        s if n >= 16 else Sample(s.id, s.path, "mel", s.group, s.unit, s.attributes) for n, s in enumerate(data.samples)
    ]
    assert shortcuts.find(replace(data, samples=tuple(rare))) == []
    with pytest.raises(DataError, match="class 'melanoma' has 8 groups"):
        shortcuts.find(replace(data, samples=tuple(rare)), only=["mel-vs-benign"])


def test_columns_count_in_any_case_and_where_the_first_sample_lacks_them():
    data = dataset(lambda row: {"Hospital": word(row)} if row else {})
    assert by_what(shortcuts.find(data))["source"].columns == ("Hospital",)
    assert by_what(shortcuts.find(data))["source"].exposed_auc > 0.95


def test_numbers_beyond_sense_are_unknown():
    data = dataset(lambda row: {"age": ("inf", "1e300", "50", "60")[row // 2 % 4]})
    assert 0 <= by_what(shortcuts.find(data))["age, sex, site"].auc <= 1


def test_paths_that_are_the_labels_are_not_asked():
    data = dataset(path=lambda row: f"{'scan' if word(row) == 'mel' else 'photo'}_{row}.jpg", labels_in_paths=True)
    assert shortcuts.find(data) == []


def test_a_slip_in_a_design_is_told_even_where_nothing_can_be_asked():
    few = Dataset("few", "csv", Path("."), tuple(Sample(f"{n}", f"{n}.jpg", "nv", "g", "g") for n in range(4)))
    with pytest.raises(UnknownName):
        shortcuts.find(few, only=["nosuch"])


def test_a_plan_that_is_given_is_the_one_that_is_asked():
    data = dataset(lambda row: {"dataset": str(row % 3)})
    ids, groups = [s.id for s in data.samples], [s.group for s in data.samples]
    strata = [s.diagnosis for s in data.samples]
    plan = folds.draw("kfold:3", ids, groups=groups, strata=strata, seed=7)
    (asked,) = shortcuts._asked(data, {}, only=["mel-vs-benign"], plan=plan, seed=0)
    assert [split.test.tolist() for split in asked.splits] == [split.test.tolist() for split in plan.on(ids)]
    drawn = folds.draw("5x2", ids, groups=groups, strata=strata, seed=0)
    assert shortcuts.find(data, plan=drawn) == shortcuts.find(data) != shortcuts.find(data, plan=plan)
