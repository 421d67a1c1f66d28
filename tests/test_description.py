"""Words for a person."""

from hypothesis import given
from hypothesis import strategies as st

from featx.datasets.base import Dataset, Sample
from featx.description import extraction, words
from featx.description.pipeline import table_told
from featx.pipeline.tables import Made


def test_columns_stand_under_each_other():
    lines = words.aligned([["name", "AUC"], ["a", ".9"], ["longer", ".123"]])
    assert lines == ["  name     AUC", "  a         .9", "  longer  .123"]


def test_names_of_files_cannot_act_on_the_terminal():
    shown = words.shown_name("a\x1b[31m\n\u202eb\udcff.jpg")
    assert shown.isprintable() and shown.endswith(".jpg")
    assert words.shown_name("lésion 1.jpg") == "lésion 1.jpg"


def test_a_dataset_is_told_with_what_was_dropped(tmp_path):
    sample = Sample("a", "a.jpg", "nv", "l1", "l1")
    dataset = Dataset("mine", "csv", tmp_path, (sample,), {"no label": 2}, "lesion", "lesion")
    told = words.dataset_line(dataset)
    assert told == "mine: 3 found = 1 kept + 2 dropped (no label); no lesion straddles; patients unknown"


def test_every_backbone_can_be_described_without_weights():
    told = extraction.of_backbone("mobilenet_v3_small")
    assert "default layer: penultimate" in told


CELLS = st.text("abcdefgh -", min_size=1, max_size=12).map(lambda text: text.strip() or "x")


@given(st.data(), st.integers(1, 3), st.integers(1, 8), st.integers(1, 4), st.integers(60, 130))
def test_a_wide_table_is_folded_and_cut_and_loses_nothing(data, keys, numbers, count, width):
    heads = tuple(data.draw(st.lists(CELLS, min_size=keys + numbers, max_size=keys + numbers)))
    names = st.lists(CELLS.map(lambda text: (text + " ") * 4), min_size=keys, max_size=keys)
    values = [[f"{row}.{at}" for at in range(numbers)] for row in range(count)]
    rows = tuple((*(name.strip() for name in data.draw(names)), *own) for own in values)
    table = Made("t", "A table", heads, keys, rows, rows, ("a note of some length " * 8,), "toys")
    told = table_told(table, title="", width=width)
    assert max(map(len, told.splitlines())) <= width
    for value in (value for own in values for value in own):
        assert told.split().count(value) == 1
    assert told.replace("\n", " ").split().count("note") == 8
    plain = table_told(table, title="")
    assert plain == table_told(table, title="", width=10_000) or len(plain.splitlines()) > len(rows)


def test_columns_that_do_not_fit_stand_below_with_their_keys():
    rows = (("exp1: a network (RANDOM here)", "here", ".101", "1.947"), ("exp2", "here", ".111", "1.948"))
    table = Made("t", "Results", ("experiment", "from", "train accuracy", "train loss"), 2, rows, rows, (), "toys")
    assert table_told(table, title="", width=46).splitlines() == [
        "Results · toys",
        "                            train",
        "  experiment       from  accuracy  train loss",
        "  exp1: a network  here      .101       1.947",
        "  (RANDOM here)",
        "  exp2             here      .111       1.948",
    ]
    told = table_told(table, title="", width=30).splitlines()
    assert [line.split()[:2] for line in told if "experiment" in line] == [["experiment", "from"]] * 2 and "" in told
    assert table_told(table, title="").splitlines()[1] == (
        "  experiment                     from  train accuracy  train loss"
    )
