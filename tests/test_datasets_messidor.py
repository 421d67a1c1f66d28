from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from spreadsheets import write_xlsx

from featx.datasets.base import Columns
from featx.datasets.messidor import ADAPTER, COUNTS
from featx.errors import DataError, UsageError

HEADER = ["Image name", "Ophthalmologic department", "Retinopathy grade", "Risk of macular edema "]
ROWS = [["20051202_54744_0400_PP.tif", "CHU de St Etienne", 3, 2], ["20051202_55484_0400_PP.tif", "CHU", 0, 0]]
OLD = Path(__file__).parent / "files" / "Annotation_Base11.xls"  # three rows: see test_datasets_sheets
PART = "messidor: {} of the 1,200 published rows: a part of the set"
ALONE = "no table that says which images share a visit was found: each is a group of its own"
TWICE = "Base33 is said to hold some images twice, under two names: look for near duplicates first"


def put(root: Path, *paths: str, content: bytes = b"image") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def text(rows=ROWS, delimiter=",") -> bytes:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in (HEADER, *rows)).encode()


def make(root: Path, *, name="Annotation_Base33.csv", rows=ROWS) -> Path:
    put(root, name, content=text(rows))
    put(root, *(f"Base33/{row[0]}" for row in rows))
    return root


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


@pytest.mark.parametrize("beside", [True, False], ids=["tables above", "tables in their folders"])
def test_the_download_is_read_as_it_is(tmp_path, beside):
    pytest.importorskip("python_calamine")
    write_xlsx(tmp_path / ("" if beside else "Base33") / "Annotation_Base33.xlsx", {"Feuil1": [HEADER, *ROWS]})
    put(tmp_path, *(f"Base33/{row[0]}" for row in ROWS))
    put(tmp_path, "Base11/20051019_38557_0100_PP.tif", "Base11/20051020_43808_0100_PP.tif")
    shutil.copy(OLD, tmp_path / ("" if beside else "Base11") / OLD.name)
    assert ADAPTER.recognise(tmp_path) == "Annotation_Base11.xls, Annotation_Base33.xlsx"
    found = read(tmp_path)
    assert [(s.id, s.path.split("/")[0], s.diagnosis) for s in found.samples] == [
        ("20051019_38557_0100_PP", "Base11", "3"), ("20051020_43808_0100_PP", "Base11", "0"),
        ("20051202_54744_0400_PP", "Base33", "3"), ("20051202_55484_0400_PP", "Base33", "0"),
    ]  # fmt: skip
    assert found.samples[2].attributes == {
        "Ophthalmologic department": "CHU de St Etienne", "Risk of macular edema": "2", "base": "Base33"
    }  # fmt: skip
    assert (found.found, found.dropped, found.group_kind) == (5, {"no image file": 1}, None)
    missing = "1 rows name images that are not there (20051020_43832_0100_PP, ...)"
    assert found.notes == (PART.format(5), ALONE, missing, TWICE)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_saved_as_text_are_read_without_the_extra(tmp_path, monkeypatch, delimiter):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    make(tmp_path)
    put(tmp_path, "Annotation_Base33.csv", content=b"\xef\xbb\xbf" + text(delimiter=delimiter))
    assert [s.diagnosis for s in read(tmp_path).samples] == ["3", "0"]


def test_spreadsheets_want_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    shutil.copy(OLD, tmp_path / OLD.name)
    assert ADAPTER.recognise(tmp_path) == OLD.name
    with pytest.raises(UsageError, match=r"Annotation_Base11.xls is a spreadsheet; to read it, pip install"):
        read(tmp_path)


def test_of_several_tables_of_one_base_the_last_correction_is_read_and_the_rest_is_told(tmp_path):
    pytest.importorskip("python_calamine")
    make(tmp_path)
    shutil.copy(OLD, tmp_path / "Annotation_Base33.xls")
    corrected = [HEADER, [ROWS[0][0], "CHU", 2, 2], ROWS[1]]
    write_xlsx(tmp_path / "Annotation_Base33_update20161024.xlsx", {"Feuil1": corrected})
    put(tmp_path, "Annotation_Base33_update20150101.csv", content=text())
    found = read(tmp_path)
    assert [s.diagnosis for s in found.samples] == ["2", "0"]
    left = "Annotation_Base33.csv, Annotation_Base33.xls, Annotation_Base33_update20150101.csv"
    assert f"{left}: not read, as a corrected or plainer copy is there" in found.notes


PAIR = b"20051202_55484_0400_PP.png;20051202_54744_0400_PP.png\nIM000013.JPG;IM000012.JPG\n"


@pytest.mark.parametrize("name", ["messidor-2.csv", "Messidor2.csv", "pairs/messidor_pairs.csv"])
@pytest.mark.parametrize("header", [b"left;right \n", b"\xef\xbb\xbfLeft;Right\n", b""], ids=["header", "BOM", "none"])
def test_the_pairs_of_messidor_2_make_groups_of_two_eyes(tmp_path, name, header):
    rows = [*ROWS, ["20051202_37000_0400_PP.tif", "CHU", 1, 0]]
    put(make(tmp_path, rows=rows), name, content=header + PAIR)
    found = read(tmp_path)
    pair = "20051202_55484_0400_PP 20051202_54744_0400_PP"
    assert [s.group for s in found.samples] == [pair, pair, "image 20051202_37000_0400_PP"]
    assert [s.attributes["eye"] for s in found.samples] == ["right", "left", ""]
    assert (found.group_kind, found.grouping) == ("visit", "no visit straddles; patients unknown")
    lone = "1 images have no visit: each is a group of its own, and what they share is unknown"
    assert found.notes == (PART.format(3), lone, TWICE)


def test_a_table_of_that_name_that_tells_no_pairs_is_left_alone(tmp_path):
    put(make(tmp_path), "messidor-2.csv", content=b"image_id,adjudicated_dr_grade\nIM000013.JPG,0\n")
    assert read(tmp_path).group_kind is None


def test_an_image_in_two_pairs_is_refused(tmp_path):
    put(make(tmp_path), "messidor-2.csv", content=b"left;right\n" + PAIR + b"IM1.JPG;20051202_54744_0400_pp.png\n")
    with pytest.raises(DataError, match=r"messidor-2.csv, line 4: '20051202_54744_0400_pp' stands in another pair too"):
        read(tmp_path)


def test_several_files_of_pairs_are_refused(tmp_path):
    put(make(tmp_path), "messidor-2.csv", "messidor_pairs.csv", content=b"left;right\n" + PAIR)
    with pytest.raises(UsageError, match=r"several label tables that differ were found \(.*messidor-2.csv, .*pairs"):
        read(tmp_path)


def test_a_file_of_pairs_alone_is_no_messidor(tmp_path):
    put(tmp_path, "messidor-2.csv", content=b"left;right\n" + PAIR)
    assert ADAPTER.recognise(tmp_path) is None
    with pytest.raises(DataError, match=r"is not messidor as it is downloaded; a folder with Annotation_Base11.xls"):
        read(tmp_path)


def test_one_table_can_be_given(tmp_path):
    make(tmp_path)
    found = read(tmp_path / "Base33", labels=tmp_path / "Annotation_Base33.csv")
    assert [s.path for s in found.samples] == [row[0] for row in ROWS]


def test_the_images_of_the_set_come_before_pictures_made_of_them(tmp_path):
    put(make(tmp_path), *(f"small/{Path(row[0]).stem}.png" for row in ROWS), content=b"smaller")
    assert {s.path.split("/")[0] for s in read(tmp_path).samples} == {"Base33"}


def test_grades_are_a_scale_of_their_own(tmp_path):
    found = read(make(tmp_path))
    assert found.refusal("any-dr") is found.refusal("referable-dr") is None
    assert found.refusal("dr-grade") == "its grades, 0 to 3, are a scale of its own"
    put(tmp_path, "Annotation_Base33.csv", content=text([["a.tif", "CHU", 4, 0]]))
    with pytest.raises(DataError, match="line 2: unknown Retinopathy grade '4'; known: 0, 1, 2, 3"):
        read(tmp_path)


def test_the_published_counts_are_those_of_the_whole_set():
    assert (sum(COUNTS.values()), COUNTS["0"]) == (1200, 546)


def test_two_tables_of_one_base_of_which_neither_is_the_later_are_refused(tmp_path):
    make(tmp_path)
    put(tmp_path, "Annotation_Base33.csv", content=text())
    put(tmp_path, "Annotation_Base33_old.csv", content=text()[:-1])
    with pytest.raises(UsageError, match="are both tables of Base33 and neither is marked as the later one"):
        read(tmp_path)
