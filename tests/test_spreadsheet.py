"""CSV text: no text is a formula, and what is written reads back."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import runs
from featx.spreadsheet import FORMULA_STARTS, csv_text

CELLS = st.one_of(st.text(), st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_text_is_no_formula_in_a_cell_or_in_the_head(start):
    rows = read(csv_text([f"{start}head"], [[f"{start}cmd|' /C calc'!A0"]]))
    assert rows == [[f"'{start}head"], [f"'{start}cmd|' /C calc'!A0"]]


def test_numbers_are_plain_and_nothing_is_empty():
    assert (
        csv_text(["a", "b", "c", "d"], [('say "x", y', -0.1, 3, None)]) == '"a","b","c","d"\n"say ""x"", y",-0.1,3,""\n'
    )


def test_what_is_no_utf8_is_escaped():
    assert csv_text(["a"], [("caf\u00e9\udcff",)]) == '"a"\n"caf\u00e9\\udcff"\n'


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_the_files_of_runs_and_the_links_of_pages_hold_the_same(tmp_path_factory, rows):
    path = runs.write_csv(tmp_path_factory.mktemp("t") / "t.csv", ["a", "b"], rows)
    assert path.read_bytes() == csv_text(["a", "b"], rows).encode()
