from __future__ import annotations

import pytest

from featx.datasets.one_hot import OneHot, flag
from featx.datasets.tables import read_table
from featx.errors import DataError

WORDS = {"mel": "mel", "nv": "nv", "akiec": "akiec", "ak": "akiec", "unk": "unk"}


def table(tmp_path, text):
    path = tmp_path / "truth.csv"
    path.write_text(text)
    return read_table(path)


def told(table, **how):
    columns = OneHot(table, WORDS, **how)
    return [columns.diagnosis(row, where=f"line {line}") for line, row in table.rows]


def test_the_column_with_the_one_is_the_diagnosis_in_any_order_and_spelling(tmp_path):
    found = table(tmp_path, "AK,unk,image,NV,MEL\n0,0,a,0.0,1.00\n1.0,0,b,0,0\n0,1,c,0,0\n")
    assert told(found) == ["mel", "akiec", "unk"]
    assert list(OneHot(found, WORDS).columns) == ["MEL", "NV", "AK", "unk"]


def test_only_optional_columns_may_be_absent(tmp_path):
    found = table(tmp_path, "image,MEL,NV,AKIEC\na,0,1,0\n")
    assert told(found, optional=("unk",)) == ["nv"]
    with pytest.raises(DataError, match="no column 'unk' among image, MEL, NV, AKIEC"):
        told(found)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,1,0,0", "line 2: 2 of the columns MEL, NV, AK, UNK are 1; exactly one may be"),
        ("0,0,0,0", "line 2: 0 of the columns"),
        ("0.5,0,0,0", "line 2: MEL is '0.5'; 0 or 1 was expected"),
        (",1,0,0", "line 2: MEL is ''"),
        ("nan,1,0,0", "line 2: MEL is 'nan'"),
        ("yes,0,0,0", "line 2: MEL is 'yes'"),
    ],
)
def test_a_row_that_says_no_one_thing_is_refused(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        told(table(tmp_path, f"image,MEL,NV,AK,UNK\na,{row}\n"))


def test_a_row_without_a_one_may_stand_for_the_rest_but_not_one_with_two(tmp_path):
    assert told(table(tmp_path, "MEL,NV,AK,UNK\n0,0,0,0\n"), rest="other") == ["other"]
    with pytest.raises(DataError, match=r"2 of the columns .* one or none may be"):
        told(table(tmp_path, "MEL,NV,AK,UNK\n1,1,0,0\n"), rest="other")


def test_a_flag_is_zero_or_one():
    assert [flag(value, where="", column="") for value in ("0", "0.0", "1", "1.00")] == [False, False, True, True]
    with pytest.raises(DataError, match=r"t.csv, line 3: target is '2'; 0 or 1 was expected"):
        flag("2", where="t.csv, line 3", column="target")
