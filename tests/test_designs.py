"""Designs: every diagnosis has one place, and every row left out a reason."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import designs
from featx.errors import DataError, UnknownName, UsageError

COUNTS = {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}


def ham10000():
    """Return the diagnoses of HAM10000: of the official table where it is there, else by their published counts."""
    table = Path(os.environ.get("FEATX_TEST_DATA", "/nowhere")) / "data" / "labels" / "HAM10000_metadata.csv"
    if table.is_file():
        with table.open(encoding="utf-8") as stream:
            return [row["dx"] for row in csv.DictReader(stream)]
    return [word for word, count in COUNTS.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "akiec", "expected"),
    [
        ("malignant-vs-benign", "drop", {"benign": 8061, "malignant": 1627}),
        ("malignant-vs-benign", "benign", {"benign": 8388, "malignant": 1627}),
        ("malignant-vs-benign", "malignant", {"benign": 8061, "malignant": 1954}),
        ("mel-vs-benign", "drop", {"benign": 8061, "melanoma": 1113}),
        ("mel-vs-benign", "benign", {"benign": 8388, "melanoma": 1113}),
        ("mel-vs-benign", "malignant", {"benign": 8061, "melanoma": 1113}),
        ("bcc-vs-mel-vs-benign", "drop", {"bcc": 514, "melanoma": 1113, "benign": 8061}),
        ("three-class", "benign", {"bcc": 514, "melanoma": 1113, "benign": 8388}),
        ("three-class", "malignant", {"bcc": 514, "melanoma": 1113, "benign": 8061}),
    ],
)
def test_the_published_counts_of_ham10000_come_out(name, akiec, expected):
    found = designs.get(name, akiec=akiec).assign(ham10000())
    assert found.counts == expected
    assert sum(expected.values()) + sum(found.dropped.values()) == 10_015
    assert list(found.counts) == list(expected)


def test_every_reading_of_a_policy_is_told_with_its_counts():
    readings = designs.get("malignant-vs-benign").readings(ham10000())
    assert readings == {
        "akiec": {
            "drop": {"benign": 8061, "malignant": 1627},
            "benign": {"benign": 8388, "malignant": 1627},
            "malignant": {"benign": 8061, "malignant": 1954},
        }
    }
    assert designs.get("malignant-vs-benign").readings(["nv", "mel"]) == {}


def test_each_design_as_it_is_described_assigns_one_diagnosis_to_one_class():
    words = ["nv", "mel", "bcc", "akiec", "scc", "unk", "df"]
    assert designs.get("malignant-vs-benign").assign(words).y.tolist() == [0, 1, 1, -1, 1, -1, 0]
    assert designs.get("mel-vs-benign").assign(words).y.tolist() == [0, 1, -1, -1, -1, -1, 0]
    assert designs.get("three-class", scc="benign").assign(words).y.tolist() == [2, 1, 0, -1, 2, -1, 2]
    assert designs.get("diagnosis").assign(words).classes == tuple(sorted(words))


def test_what_is_dropped_has_a_reason():
    found = designs.get("mel-vs-benign").assign(["nv", "mel", "bcc", "bcc", "akiec", "scc", "unk"])
    assert found.dropped == {
        "akiec: policy --akiec drop": 1,
        "bcc: malignant, but not melanoma": 2,
        "scc: malignant, but no class of this design": 1,
        "unk: diagnosis unknown": 1,
    }


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([*COUNTS, "scc", "unk"]), max_size=30), st.sampled_from(designs.READINGS))
def test_no_row_vanishes(words, akiec):
    words = ["mel", "bcc", "nv", *words]
    for name in (*designs.SKIN, "diagnosis"):
        found = designs.get(name, akiec=akiec).assign(words)
        assert sum(found.counts.values()) + sum(found.dropped.values()) == len(words)
        assert (found.y >= 0).sum() == sum(found.counts.values())
        assert set(np.unique(found.y[found.y >= 0])) == set(range(len(found.classes)))


def test_an_unknown_diagnosis_is_named_with_its_rows():
    with pytest.raises(DataError, match=r"'mole' \(2 rows\).*--positive"):
        designs.get("mel-vs-benign").assign(["nv", "mel", "mole", "mole"])


@pytest.mark.parametrize("words", [["nv", "bkl"], ["mel"], []])
def test_an_empty_class_is_refused(words):
    with pytest.raises(DataError, match="finds no row of class"):
        designs.get("mel-vs-benign").assign(words)


def test_one_class_alone_is_refused():
    with pytest.raises(DataError, match="fewer than two classes"):
        designs.get("diagnosis").assign(["a", "a"])


def test_a_class_with_the_name_of_an_average_is_refused():
    with pytest.raises(DataError, match="'macro', the name of an average"):
        designs.get("diagnosis").assign(["macro", "nv"])


def test_a_mistyped_design_gets_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'mel-vs-benign'"):
        designs.get("mel-vs-bening")


@pytest.mark.parametrize("option", ["akiec", "scc"])
def test_a_reading_that_is_none_is_refused(option):
    with pytest.raises(UsageError, match=f"--{option} takes drop, benign, malignant; 'maybe' came"):
        designs.get("three-class", **{option: "maybe"})


def test_a_design_of_ones_own_is_made_from_lists():
    design = designs.custom(["mel", "bcc"], ["nv"], drop=["df"])
    found = design.assign(["nv", "bcc", "mel", "df"])
    assert found.classes == ("negative", "positive") and found.y.tolist() == [0, 1, 1, -1]
    assert found.dropped == {"df: dropped by --drop": 1}
    assert design.describe()["classes"] == {"negative": ["nv"], "positive": ["mel", "bcc"]}


@pytest.mark.parametrize(
    ("positive", "negative", "drop", "told"),
    [
        ([], ["nv"], [], "both --positive and --negative"),
        (["mel"], [], [], "both --positive and --negative"),
        (["mel"], ["mel"], [], "'mel' twice"),
        (["mel"], ["nv"], ["nv"], "'nv' twice"),
    ],
)
def test_lists_that_make_no_design_are_refused(positive, negative, drop, told):
    with pytest.raises(UsageError, match=told):
        designs.custom(positive, negative, drop=drop)


def written(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_yaml_file_is_a_design(tmp_path):
    text = "classes: {sick: [mel, bcc], well: [nv]}\ndrop: [df]\nsynonyms: {melanoma: mel}\n"
    design = designs.get(written(tmp_path, text))
    found = design.assign(["melanoma", "bcc", "nv", "df"])
    assert design.name == "mine" and found.classes == ("sick", "well")
    assert found.y.tolist() == [0, 0, 1, -1] and found.dropped == {"df: dropped by mine.yaml": 1}


HOSTILE = {
    "empty": ("", "expected a key 'classes'"),
    "a list": ("[1, 2]", "expected a key 'classes'"),
    "one class": ("classes: {a: [x]}", "at least two classes"),
    "an unknown key": ("classes: {a: [x], b: [y]}\nclases: 1", "unknown key 'clases'"),
    "text for a list": ("classes: {a: x, b: [y]}", "expected a list of diagnoses"),
    "a number for a diagnosis": ("classes: {a: [0], b: [y]}", "expected a list of diagnoses"),
    "a diagnosis twice": ("classes: {a: [x], b: [x]}", "'x' twice"),
    "a class twice": ("classes: {a: [x], a: [y]}", "no readable YAML"),
    "two classes of one name": ("classes: {1: [x], '1': [y], b: [z]}", "two classes have one name"),
    "an empty class": ("classes: {a: [], b: [y]}", "no diagnosis in class 'a'"),
    "synonyms as a list": ("classes: {a: [x], b: [y]}\nsynonyms: [x]", "takes a map"),
    "a synonym for a member": ("classes: {a: [x], b: [y]}\nsynonyms: {x: y}", "both a place and a synonym"),
    "an object": ("!!python/object/apply:os.system ['touch /tmp/featx-was-here']", "no readable YAML"),
    "nesting": ("[" * 3_000, "no readable YAML"),
    "broken": ("classes: {a: [x", "no readable YAML"),
    "binary": (b"\xff\xfe\x00\x01", "no readable YAML"),
    "a key of two": ("? [a, b]\n: 1\nclasses: {a: [x], b: [y]}", "unknown key|no readable YAML"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_yaml_is_one_sentence(tmp_path, case):
    text, told = HOSTILE[case]
    with pytest.raises(UsageError, match=told) as caught:
        designs.get(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_aliases_in_yaml_that_multiply_are_harmless(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))  # fmt: skip  # noqa: E501
    with pytest.raises(UsageError):
        designs.get(written(tmp_path, bomb + "classes: {p: *i, q: [y]}\n"))


def test_a_missing_yaml_file_is_told():
    with pytest.raises(UsageError, match=r"no design file 'nowhere\.yml'"):
        designs.get("nowhere.yml")


@pytest.mark.parametrize(
    ("name", "words", "counts", "dropped"),
    [
        ("pneumonia", ["NORMAL", "bacteria", "virus"], {"normal": 1, "pneumonia": 2}, 0),
        ("pneumonia", ["no_findings", "pneumonia", "covid-19"], {"normal": 1, "pneumonia": 1}, 1),
        ("bacteria-vs-virus-vs-normal", ["normal", "bacteria", "virus"], {"bacteria": 1, "virus": 1, "normal": 1}, 0),
        ("any-dr", list("001234"), {"no-dr": 2, "dr": 4}, 0),
        ("referable-dr", list("001234"), {"not-referable": 3, "referable": 3}, 0),
        ("dr-grade", list("01234"), {f"grade-{grade}": 1 for grade in range(5)}, 0),
    ],
)
def test_the_designs_of_chest_and_fundus(name, words, counts, dropped):
    found = designs.get(name).assign(words)
    assert (found.counts, sum(found.dropped.values())) == (counts, dropped)


@pytest.mark.parametrize(
    ("spelling", "klass"),
    [
        ("Melanoma (in situ)", "melanoma"),
        ("seborrheic keratosis", "benign"),
        ("Basal Cell Carcinoma", "bcc"),
        ("clark nevus", "benign"),
        ("NV", "benign"),
    ],
)
def test_skin_designs_know_the_words_of_the_datasets(spelling, klass):
    found = designs.get("three-class").assign(["mel", "bcc", "nv", spelling])
    assert found.classes[found.y[-1]] == klass


def test_a_malignant_lesion_of_unknown_kind_has_a_place_in_one_design_only():
    words = ["mel", "nv", "bcc", "malignant"]
    assert designs.get("malignant-vs-benign").assign(words).counts == {"benign": 1, "malignant": 3}
    assert (
        designs.get("mel-vs-benign").assign(words).dropped["malignant: malignant, but of which kind is not said"] == 1
    )
