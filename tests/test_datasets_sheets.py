from __future__ import annotations

import sys
from pathlib import Path

import pytest
from spreadsheets import write_xlsx

from featx.datasets.sheets import read_sheet
from featx.datasets.tables import read_table
from featx.errors import DataError, UsageError

pytest.importorskip("python_calamine")
# Written once by xlwt: sheet Feuil1 with the header and the three rows below, and an empty sheet Feuil2.
OLD = Path(__file__).parent / "files" / "Annotation_Base11.xls"
ROWS = [["image", "label", "age"], ["a", "nv", 3], ["b", "mel", 4.5]]


def write(folder: Path, rows=ROWS, **more) -> Path:
    return write_xlsx(folder / "t.xlsx", {"Sheet1": rows, **more})


def test_a_sheet_is_the_table_that_its_text_would_be(tmp_path):
    sheet = read_sheet(write(tmp_path), header=("label",))
    (tmp_path / "t.csv").write_text("image,label,age\na,nv,3\nb,mel,4.5\n")
    assert sheet == read_table(tmp_path / "t.csv")._replace(path=sheet.path)


def test_the_header_need_not_be_the_first_row_and_lines_are_those_of_the_sheet(tmp_path):
    above = [["PH2"], [], [None, "legend: label"], []]
    sheet = read_sheet(write(tmp_path, [*above, *ROWS[:2], [], [None, "", "  "], ROWS[2]]), header=("LABEL", "image"))
    assert sheet.header == ("image", "label", "age")
    assert [line for line, _ in sheet.rows] == [6, 9]


def test_columns_that_begin_further_right_keep_their_place(tmp_path):
    sheet = read_sheet(write(tmp_path, [[None, "image", None, "label"], [None, "a", None, "nv"]]), header=("image",))
    assert sheet.header == ("", "image", "", "label")
    assert sheet.rows == ((2, {"": "", "image": "a", "label": "nv"}),)


@pytest.mark.parametrize(
    ("cell", "text"),
    [(3, "3"), (3.0, "3"), (-0.5, "-0.5"), (1e300, str(int(1e300))), (True, "True"), (" a \n b ", "a b"), (None, "")],
)
def test_cells_are_text(tmp_path, cell, text):
    sheet = read_sheet(write(tmp_path, [["image", "x"], ["a", cell]]), header=("image",))
    assert sheet.rows[0][1]["x"] == text


def test_line_ends_in_a_header_are_blanks(tmp_path):
    assert read_sheet(write(tmp_path, [["image", "x\n(0/1)"], ["a", 1]]), header=("image",)).header[1] == "x (0/1)"


def test_the_sheet_with_the_header_is_found_among_others(tmp_path):
    path = write_xlsx(tmp_path / "t.xlsx", {"Notes": [["by hand"]], "Data": ROWS, "Empty": []})
    assert len(read_sheet(path, header=("image",)).rows) == 2


def test_an_old_spreadsheet_is_read_alike():
    sheet = read_sheet(OLD, header=("image name", "retinopathy grade"))
    assert sheet.header == ("Image name", "Ophthalmologic department", "Retinopathy grade", "Risk of macular edema")
    assert [(line, *row.values()) for line, row in sheet.rows] == [
        (2, "20051019_38557_0100_PP.tif", "Service Ophtalmologie Lariboisière", "3", "1"),
        (3, "20051020_43808_0100_PP.tif", "Service Ophtalmologie Lariboisière", "0", "0"),
        (4, "20051020_43832_0100_PP.tif", "Service Ophtalmologie Lariboisière", "1", "2"),
    ]


def test_sheets_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"t.xlsx: no sheet has a row with the columns image, dx; one was expected"):
        read_sheet(write(tmp_path), header=("image", "dx"))
    with pytest.raises(DataError, match=r"t.xlsx: 2 sheets have a row with the columns image; one was expected"):
        read_sheet(write(tmp_path, Sheet2=ROWS), header=("image",))
    with pytest.raises(DataError, match=r"t.xlsx, line 1: the column 'x' stands twice in the header"):
        read_sheet(write(tmp_path, [["image", "x", "x"], [1, 2, 3]]), header=("image",))
    with pytest.raises(DataError, match=r"t.xlsx has a header but no rows"):
        read_sheet(write(tmp_path, ROWS[:1]), header=("image",))


@pytest.mark.parametrize("keep", [0, 4, 512, 1500, 4200, 5000])
def test_a_file_that_was_cut_short_is_refused(tmp_path, keep, capfd):
    (tmp_path / "t.xls").write_bytes(OLD.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"t.xls is no spreadsheet that can be read \(.+\); download it again"):
        read_sheet(tmp_path / "t.xls", header=("image name",))


def test_what_is_no_spreadsheet_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("image,label\na,nv\n")
    with pytest.raises(DataError, match=r"t.xlsx is no spreadsheet that can be read \(.+\)"):
        read_sheet(tmp_path / "t.xlsx", header=("image",))
    with pytest.raises(DataError, match=r"gone.xls cannot be read: No such file"):
        read_sheet(tmp_path / "gone.xls", header=("image",))


def test_an_interrupt_is_no_damaged_file(tmp_path, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    path = write(tmp_path)
    monkeypatch.setattr("featx.datasets.sheets.io.BytesIO", stop)
    with pytest.raises(KeyboardInterrupt):
        read_sheet(path, header=("image",))


def test_without_the_extra_the_user_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(UsageError, match=r"t.xlsx is a spreadsheet; to read it, pip install 'featx\[excel\]'"):
        read_sheet(write(tmp_path), header=("image",))
