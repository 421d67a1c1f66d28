from __future__ import annotations

import sys
from pathlib import Path

import pytest
from spreadsheets import write_xlsx

from featx import designs
from featx.datasets.base import Columns
from featx.datasets.ph2 import ADAPTER
from featx.errors import DataError, UsageError

PART = "ph2: 4 of the 200 published rows: a part of the set"
IDS = ["IMD003", "IMD002", "IMD405", "IMD061"]
WORDS = ["common nevus", "atypical nevus", "melanoma", "melanoma"]
TEXT = """\
||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network | Streaks ||       Colors ||
|| IMD003 ||                        ||                  0 ||         0 |               T |       A ||            4 ||
|| IMD002 ||    Compound   nevus    ||                  1 ||         1 |              AT |       A ||         3  4 ||
|| IMD405 ||               Melanoma ||                  2 ||         2 |              AT |       P || 1  4  5    6 ||
|| IMD061 ||                        ||                  2 ||         2 |              AT |       P ||              ||

Legends:
Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma.
Asymmetry: 0/1/2 || see the paper
"""
HEADER = [
    *("Image Name", "Histological Diagnosis", "Common Nevus", "Atypical Nevus", "Melanoma"),
    *("Asymmetry\n(0/1/2)", "Pigment Network\n(AT/T)", "White"),
]
ABOVE = [["PH2 dataset"], *[[]] * 10, [None, None, "Clinical Diagnosis", *[None] * 4, "Colors"], HEADER]
CELLS = [
    ["IMD003", None, "X", None, None, 0, "T", None],
    ["IMD002", "Compound nevus", None, "X", None, 1, "AT", None],
    ["IMD405", "Melanoma", None, None, "X", 2, "AT", "X"],
    ["IMD061", None, None, None, "x ", 2, "AT", None],
]


def put(root: Path, *paths: str, content: bytes = b"image") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def make(root: Path, *, text: str | None = TEXT, cells=None, images="PH2 Dataset images") -> Path:
    for name in IDS:
        put(root, f"{images}/{name}/{name}_Dermoscopic_Image/{name}.bmp")
        put(root, f"{images}/{name}/{name}_lesion/{name}_lesion.bmp", content=b"mask")
        put(root, f"{images}/{name}/{name}_roi/{name}_R1_Label4.bmp", content=b"mask of a colour")
    if text is not None:
        put(root, "PH2_dataset.txt", content=text.encode())
    if cells is not None:
        pytest.importorskip("python_calamine")
        write_xlsx(root / "PH2_dataset.xlsx", {"Folha1": [*ABOVE, *cells]})
    return root


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


@pytest.mark.parametrize(("text", "cells"), [(TEXT, None), (None, CELLS)], ids=["text", "spreadsheet"])
@pytest.mark.parametrize("images", ["PH2 Dataset images", "PH2_Dataset_images"])
def test_the_download_is_read_as_it_is(tmp_path, text, cells, images):
    found = read(make(tmp_path / "PH2Dataset", text=text, cells=cells, images=images))
    assert [(s.id, s.diagnosis) for s in found.samples] == list(zip(IDS, WORDS, strict=True))
    assert [s.path for s in found.samples] == [f"{images}/{i}/{i}_Dermoscopic_Image/{i}.bmp" for i in IDS]
    assert [s.group for s in found.samples] == [f"image {i}" for i in IDS]
    assert (found.group_kind, found.dropped, found.notes) == (None, {}, (PART,))


def test_what_else_the_text_says_are_attributes(tmp_path):
    found = read(make(tmp_path))
    assert found.samples[1].attributes == {
        "Histological Diagnosis": "Compound nevus",
        "Asymmetry": "1",
        "Pigment Network": "AT",
        "Streaks": "A",
        "Colors": "3 4",
    }
    assert found.samples[3].attributes["Colors"] == ""


def test_what_else_the_spreadsheet_says_are_attributes_without_their_legends(tmp_path):
    found = read(make(tmp_path, text=None, cells=CELLS))
    assert found.samples[2].attributes == {
        "Histological Diagnosis": "Melanoma", "Asymmetry": "2", "Pigment Network": "AT", "White": "X"
    }  # fmt: skip


def test_where_the_text_is_there_the_spreadsheet_needs_no_extra(tmp_path, monkeypatch):
    root = make(tmp_path, cells=CELLS)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert ADAPTER.recognise(root) == "PH2_dataset.txt"
    assert len(read(root).samples) == 4
    (root / "PH2_dataset.txt").unlink()
    assert ADAPTER.recognise(root) == "PH2_dataset.xlsx"
    with pytest.raises(
        UsageError, match=r"PH2_dataset.xlsx is a spreadsheet; to read it, pip install 'featx\[excel\]'"
    ):
        read(root)


def test_the_spreadsheet_can_be_asked_for(tmp_path):
    root = make(tmp_path, cells=CELLS)
    assert "White" in read(root, labels=root / "PH2_dataset.xlsx").samples[0].attributes


def test_flat_copies_and_other_endings_are_read(tmp_path):
    put(tmp_path, "PH2_simple_dataset.csv", content=b"image_name,diagnosis\nIMD003,Common Nevus\nIMD405,Melanoma\n")
    put(tmp_path, "trainx/IMD003.bmp", "trainx/IMD405.jpg")
    put(tmp_path, "trainy/IMD003_lesion.bmp", "trainy/IMD405_lesion.BMP", content=b"mask")
    found = read(tmp_path)
    assert [(s.path, s.diagnosis) for s in found.samples] == [
        ("trainx/IMD003.bmp", "common nevus"), ("trainx/IMD405.jpg", "melanoma")
    ]  # fmt: skip
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "||                  1 ||",
            "||                  3 ||",
            r"line 3: unknown Clinical Diagnosis '3'; known: 0, 1",
        ),
        ("||                  1 ||", "||                    ||", r"line 3: unknown Clinical Diagnosis ''"),
        ("|| IMD002 ||", "||        ||", r"line 3: Name is empty"),
        ("|| IMD002 ||", "|| IMD003 ||", r"line 3: the id 'IMD003' stands in line 2 already"),
        ("|         3  4 ||", "", r"PH2_dataset.txt, line 3: . fields, 7 expected"),
        ("Clinical Diagnosis ||", "Diagnose ||", r"no column 'clinical diagnosis' among Name, Hist"),
    ],
)
def test_a_wrong_line_of_the_text_is_refused(tmp_path, old, new, message):
    assert old in TEXT
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, text=TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["", "Legends:\n", TEXT.splitlines()[0]])
def test_a_text_without_rows_is_refused(tmp_path, text):
    with pytest.raises(DataError, match=r"PH2_dataset.txt has no rows; lines such as '\|\| IMD003"):
        read(make(tmp_path, text=text))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["IMD1", None, "X", "X", None], "line 18: 2 of Common Nevus, Atypical Nevus, Melanoma are marked; one was"),
        (["IMD1", None, None, None, None], "line 18: 0 of Common Nevus, Atypical Nevus, Melanoma are marked"),
        (["IMD1", None, "X", "no", None], "line 18: Atypical Nevus is 'no'; X or nothing was expected"),
        ([None, None, "X", None, None], "line 18: Image Name is empty"),
        (["IMD003", None, "X", None, None], "line 18: the id 'IMD003' stands in line 14 already"),
    ],
)
def test_a_wrong_row_of_the_spreadsheet_is_refused(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, text=None, cells=[*CELLS, row]))


def test_marks_may_be_numbers(tmp_path):
    cells = [[row[0], None, *(float(mark is not None) for mark in row[2:5]), *row[5:]] for row in CELLS]
    assert [s.diagnosis for s in read(make(tmp_path, text=None, cells=cells)).samples] == WORDS


def test_designs_without_basal_cell_carcinoma_can_be_asked(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [s.diagnosis for s in found.samples]
    assert designs.get("mel-vs-benign").assign(diagnoses).counts == {"benign": 2, "melanoma": 2}
    assert designs.get("malignant-vs-benign").assign(diagnoses).counts == {"benign": 2, "malignant": 2}
    assert len(designs.get("diagnosis").assign(diagnoses).classes) == 3
    assert found.refusal("bcc-vs-mel-vs-benign") == "it has no basal cell carcinoma"
    assert found.refusal("any-dr") == "its images are of skin lesions"


def test_a_folder_of_other_tables_is_not_claimed(tmp_path):
    put(tmp_path, "train.csv", "labels.csv", "dataset.txt", content=b"image,label\n1,2\n")
    assert ADAPTER.recognise(tmp_path) is None
