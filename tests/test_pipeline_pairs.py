"""Differences between the results of a study: by the test that is valid for its folds, with Holm's correction."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from networks import dataset
from scipy import stats
from studies import asked

from featx import pipeline as study
from featx import significance
from featx.errors import UnknownName
from featx.pipeline import pairs, reading

pytestmark = pytest.mark.usefixtures("in_this_process")

TEXT = """
name: toy
title: A toy
study: {cite: Toy (2020)}
datasets: {main: {title: Toys}}
designs: [DESIGN]
defaults: {backbone: maia-custom2, transform: {size: 16}, layers: [gap], params: [C=1], folds: "FOLDS"}
experiments:
  - {id: a, title: A, weights: "random:0"}
  - {id: b, title: B, weights: "random:1"}
  - {id: c, title: C, weights: "random:2", folds: "kfold:2"}
  - {id: d, title: D, weights: "random:3"}
pairs:
  - {id: differences, title: Differences, notes: [a note]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    dataset(folder / "two", hint=2)
    dataset(folder / "three", n=72, words=("nv", "mel", "bcc"), hint=2)
    return folder


def ran(place, out, *, folds="5x2", design="mel-vs-benign", data="two", more=""):
    pipeline = reading.parse(TEXT.replace("FOLDS", folds).replace("DESIGN", design) + more, where="toy.yaml")
    plan = study.planned(pipeline, asked(place / data / "labels.csv"), cache=place / "cache")
    return study.run(plan, cache=place / "cache", out=out)


def cells(found):
    """Return the main metric of each experiment by split."""
    steps = [json.loads(path.read_text()) for path in (found.out / "steps").glob("compare-*.json")]
    return {step["name"][0]: step["result"]["cells"][0] for step in steps}


def test_several_splits_take_the_corrected_t_of_their_differences(place, tmp_path):
    found = ran(place, tmp_path / "out")
    (table,) = [one for one in found.tables if one.id == "differences"]
    assert [row[:2] for row in table.values] == [("a", "b"), ("a", "d"), ("b", "d")]  # c has other folds
    held, p = cells(found), []
    for first, second, difference, interval, own, *_ in table.values:
        d = np.array(held[first]["metrics"]["main"]) - np.array(held[second]["metrics"]["main"])
        rows = np.array(held[first]["rows"])
        assert rows.shape == (10, 2) and (rows.sum(1) == 48).all()
        error = np.sqrt((1 / 10 + (rows[:, 1] / rows[:, 0]).mean()) * d.var(ddof=1))
        assert difference == pytest.approx(d.mean())
        assert own == pytest.approx(2 * stats.t.sf(abs(d.mean()) / error, 9))
        low, high = d.mean() + stats.t.ppf([0.025, 0.975], 9) * error
        assert interval == f"{low:+.3f} to {high:+.3f}".replace("0.", ".")
        p.append(own)
    assert [row[5] for row in table.values] == pytest.approx(significance.holm(p).tolist())
    assert table.heads[:3] == ("experiment", "less", "difference of AUC") and table.keys == 2
    assert table.notes[0] == "a note" and any("Nadeau and Bengio (2003)" in note for note in table.notes)
    assert (tmp_path / "out" / "tables" / "differences.csv").exists()


def test_one_test_part_of_two_classes_takes_the_test_of_two_aucs(place, tmp_path):
    found = ran(place, tmp_path / "out", folds="holdout:50/50")
    (table,) = [one for one in found.tables if one.id == "differences"]
    assert {row[-1] for row in table.values} == {"Obuchowski"}  # lesions of two images each
    held = {name: _predictions(found, cell["features"]) for name, cell in cells(found).items()}
    for first, second, difference, *rest in table.values:
        assert held[first].keys() == held[second].keys()
        names = sorted(held[first])
        y, groups = (np.array([held[first][name][at] for name in names]) for at in (0, 1))
        scores = [np.array([held[which][name][2] for name in names], dtype=float) for which in (first, second)]
        wanted = significance.paired_auc(y == "melanoma", *scores, groups=groups)
        assert difference == pytest.approx(wanted.difference) and wanted.p in [pytest.approx(one) for one in rest[1:2]]


def _predictions(found, features):
    for path in (found.out / "comparisons").glob("*/predictions.csv"):
        with path.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["features"] == features]
        if rows:
            return {row["sample"]: (row["truth"], row["group"], row["score_melanoma"]) for row in rows}
    raise AssertionError(features)


def test_one_test_part_of_more_classes_has_no_test_and_says_so(place, tmp_path):
    found = ran(place, tmp_path / "out", folds="holdout:50/50", design="three-class", data="three")
    assert not [one for one in found.tables if one.id == "differences"]
    assert f"Differences: {pairs.ONE_SIDE}" in found.notes
    assert pairs.ONE_SIDE in (tmp_path / "out" / "methods.md").read_text()


def test_pairs_differ_in_one_key_alone_and_are_no_more_than_a_table_holds(place, tmp_path, monkeypatch):
    swap = TEXT.replace("layers: [gap]", "layers: [gap, fc1]")
    monkeypatch.setattr("test_pipeline_pairs.TEXT", swap)
    more = "  - {id: layers, title: Layers, between: layer, where: {experiment: [a, c]}}\n"
    found = ran(place, tmp_path / "out", more=more)
    by_id = {one.id: one for one in found.tables}
    assert by_id["layers"].heads[:3] == ("experiment", "layer", "less") and len(by_id["layers"].rows) == 2
    assert [row[:3] for row in by_id["layers"].rows] == [("a", "gap", "fc1"), ("c", "gap", "fc1")]
    assert len(by_id["differences"].rows) == 6 and by_id["differences"].heads[0] == "layer"
    monkeypatch.setattr(pairs, "MOST", 5)
    again = ran(place, tmp_path / "out", more=more)
    assert [one.id for one in again.tables] == ["layers"]
    assert "Differences: 6 pairs are more than a table of differences holds (5)" in again.notes


@pytest.mark.parametrize("line", ["between: experimnt", "where: {experimnt: [a]}"])
def test_an_unknown_key_is_refused(line, tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(TEXT.replace("FOLDS", "5x2").replace("DESIGN", "mel-vs-benign").replace("notes: [a note]", line))
    with pytest.raises(UnknownName, match="unknown key of pairs 'differences' 'experimnt'; did you mean 'experiment'"):
        study.opened(str(path))
