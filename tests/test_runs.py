"""Records of runs: tables that other tools read as they were meant, and nothing that is no number."""

from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import runs
from featx.errors import UsageError
from featx.spreadsheet import FORMULA_STARTS


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_is_no_formula(tmp_path, start):
    path = runs.write_csv(tmp_path / "t.csv", ["sample", "value"], [(f"{start}cmd|' /C calc'!A0", -1.5)])
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1] == [f"'{start}cmd|' /C calc'!A0", "-1.5"]


def test_numbers_are_plain_texts_are_quoted_and_nothing_is_empty(tmp_path):
    path = runs.write_csv(tmp_path / "t.csv", ["a", "b", "c", "d"], [('say "x", y', 0.1, 3, None)])
    assert path.read_text() == '"a","b","c","d"\n"say ""x"", y",0.1,3,""\n'


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text().filter(lambda t: not t.startswith(FORMULA_STARTS) and "\x00" not in t),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=5,
    )
)
def test_a_table_reads_back_as_it_was_written(tmp_path_factory, rows):
    path = runs.write_csv(tmp_path_factory.mktemp("t") / "t.csv", ["name", "value"], rows)
    with path.open(newline="", encoding="utf-8") as stream:
        read = [(name, float(value)) for name, value in list(csv.reader(stream))[1:]]
    assert read == rows


def test_names_that_are_no_utf8_are_escaped(tmp_path):
    table = runs.write_csv(tmp_path / "t.csv", ["sample"], [("caf\u00e9\udcff",)])
    assert table.read_text(encoding="utf-8") == '"sample"\n"caf\u00e9\\udcff"\n'
    record = runs.write_json(tmp_path / "t.json", {"sample": "caf\u00e9\udcff"})
    assert json.loads(record.read_text(encoding="utf-8")) == {"sample": "caf\u00e9\udcff"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.write_json(tmp_path / "run.json", {"results": [value]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_table_leaves_the_old_one(tmp_path):
    path = runs.write_csv(tmp_path / "t.csv", ["a"], [(1,)])

    def rows():
        yield (2,)
        raise KeyError("no more")

    with pytest.raises(KeyError):
        runs.write_csv(path, ["a"], rows())
    assert path.read_text() == '"a"\n1\n' and len(list(tmp_path.iterdir())) == 1


def test_a_run_is_named_by_time_verb_and_inputs():
    first, second = runs.new_id("fit", {"a": 1}), runs.new_id("fit", {"a": 2})
    date, time, verb, digest = first.split("-")
    assert (len(date), len(time), verb, len(digest)) == (8, 6, "fit", 6)
    assert digest != second.rpartition("-")[2]


def test_the_folder_is_the_one_asked_for_or_one_of_its_own(tmp_path):
    assert runs.folder_for(None, runs=tmp_path, run_id="x") == tmp_path / "x"
    assert runs.folder_for(str(tmp_path / "o"), runs=tmp_path, run_id="x") == tmp_path / "o"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        runs.folder_for(tmp_path / "file", runs=tmp_path, run_id="x")


def test_tables_are_not_written_among_the_images(tmp_path):
    with pytest.raises(UsageError, match="folder of the images"):
        runs.make_ready(tmp_path / "a" / ".." / "images", roots=["", str(tmp_path / "images")])
    runs.make_ready(tmp_path / "images" / "results", roots=["", str(tmp_path / "images")])
    assert (tmp_path / "images" / "results").is_dir()
