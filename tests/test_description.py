"""Words for a person."""

import pytest

from featx.datasets.base import Dataset, Sample
from featx.description import extraction, words


def test_columns_stand_under_each_other():
    lines = words.aligned([["name", "AUC"], ["a", ".9"], ["longer", ".123"]])
    assert lines == ["  name     AUC", "  a         .9", "  longer  .123"]


@pytest.mark.parametrize(("value", "shown"), [(0.8125, ".812"), (0.0, ".000"), (1.0, "1.000"), (0.9999, "1.000")])
def test_scores_have_three_figures(value, shown):
    assert words.number(value) == shown


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
