from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.datasets.tables import DELIMITERS, read_table
from featx.errors import DataError, UsageError


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "t.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def values(table) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for _, row in table.rows]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_delimiter_mark_and_line_ends_do_not_matter(write, delimiter, mark, end):
    lines = [delimiter.join(row) for row in (("image", "label"), ("1", "a"), ("2", "b"))]
    table = read_table(write(mark + (end.join(lines) + end).encode()))
    assert table.header == ("image", "label")
    assert table.rows == ((2, {"image": "1", "label": "a"}), (3, {"image": "2", "label": "b"}))


def test_a_quoted_header_does_not_decide_on_the_delimiter(write):
    table = read_table(write('"image; the file; in full","label"\n1,a\n'))
    assert table.header == ("image; the file; in full", "label")


def test_quoted_tabs_of_a_dataverse_export_are_read(write):
    table = read_table(write('"lesion_id"\t"image_id"\t"age"\n"HAM_0000118"\t"ISIC_0027419"\t80.0\n', "t.tab"))
    assert values(table) == [("HAM_0000118", "ISIC_0027419", "80.0")]


def test_blanks_at_the_ends_are_no_part_of_a_value(write):
    assert read_table(write(" image , label \n 1 ,  a b \n")).rows == ((2, {"image": "1", "label": "a b"}),)


def test_empty_lines_are_skipped_and_line_numbers_stay_true(write):
    assert [line for line, _ in read_table(write("a,b\n\n1,2\n , \n\n3,4\n")).rows] == [3, 6]


def test_a_row_over_two_lines_is_told_by_its_first(write):
    table = read_table(write('a,b\n1,"x\ny"\n3,4\n'))
    assert [line for line, _ in table.rows] == [2, 4]
    assert table.rows[0][1]["b"] == "x\ny"


@pytest.mark.parametrize("odd", ["\v", "\f", "\x1c", "\x85", "\u2028"], ids=ascii)
def test_a_line_separator_inside_a_field_does_not_break_the_row(write, odd):
    assert values(read_table(write(f"a,b\n1{odd}1,2\n3,4\n"))) == [(f"1{odd}1", "2"), ("3", "4")]


@pytest.mark.parametrize(("row", "fields"), [("3", 1), ("3,4,5", 3)], ids=["short", "long"])
def test_a_row_of_another_length_is_refused_at_its_line(write, row, fields):
    with pytest.raises(DataError, match=f"line 4: {fields} fields, 2 expected"):
        read_table(write(f'a,b\n1,"x\ny"\n{row}\n'))


def test_an_open_quote_is_refused_at_the_line_where_it_opens(write):
    with pytest.raises(DataError, match="line 3: unexpected end"):
        read_table(write('a,b\n1,2\n3,"4\n5,6\n7,8\n'))


def test_a_field_beyond_all_measure_is_refused_at_its_line(write):
    with pytest.raises(DataError, match="line 3: field larger than"):
        read_table(write("a,b\n1,2\n3," + "x" * 140_000 + "\n"))


def test_a_column_that_stands_twice_is_refused(write):
    with pytest.raises(DataError, match="column 'label' stands twice"):
        read_table(write("image,label, label\n1,a,b\n"))


def test_columns_without_names_may_stand_twice(write):
    assert read_table(write(",image,\n0,1,x\n")).rows[0][1]["image"] == "1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n \n", "is empty"),
        (b"a,b\n", "header but no rows"),
        (b"a,b\n,\n", "header but no rows"),
        (b"\n1,2\n", "line 1: the header is empty"),
        (b"a,b\n1,\0\n", "NUL"),
        (b"a,b\n1,\xe4\n", "not UTF-8 text .*byte 6.*save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        (b"\xff\xd8\xff\xe0 a picture", "not UTF-8"),
        (b'"', "line 1: unexpected end"),
    ],
    ids=range(11),
)
def test_what_is_no_table_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_table(write(content))


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone.csv cannot be read: No such file"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_table(tmp_path)


def test_a_column_is_found_by_the_first_usual_name_whatever_its_case(write):
    table = read_table(write("DX,Label,Image_ID\na,b,c\n"))
    assert table.find(None, names=("label", "dx"), option="--label-column") == "Label"
    assert table.find(None, names=("file",), option="--image-column") is None


def test_a_column_that_was_asked_for_wins(write):
    assert read_table(write("dx,label\na,b\n")).find("dx", names=("label",), option="--label-column") == "dx"


def test_a_mistyped_column_gets_a_suggestion(write):
    with pytest.raises(UsageError, match=r"no column 'diagnosys' \(--label-column\); did you mean 'diagnosis'"):
        read_table(write("image,diagnosis\na,b\n")).find("diagnosys", names=(), option="--label-column")


def test_a_column_that_cannot_be_found_is_asked_for(write):
    with pytest.raises(UsageError, match=r"columns image, grade; none is known to hold the label.*--label-column"):
        read_table(write("image,grade\na,b\n")).column(None, names=("label",), option="--label-column", what="label")


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=6)


@given(st.sampled_from(DELIMITERS), st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, delimiter, rows):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("first", "second"), *rows])
    path = tmp_path_factory.getbasetemp() / "round.csv"
    path.write_bytes(stream.getvalue().encode())
    wanted = [(first.strip(), second.strip()) for first, second in rows]
    wanted = [row for row in wanted if any(row)]
    if wanted:
        assert values(read_table(path)) == wanted
    else:
        with pytest.raises(DataError, match="no rows"):
            read_table(path)
