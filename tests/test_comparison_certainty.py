"""How sure: the tests that are valid for a plan and no others, by unit and by group, and a choice that never peeks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from test_comparison import FAST, made, run, samples_of

from featx import significance
from featx.comparison import certainty
from featx.comparison.certainty import CHOSEN, sides_of

TWO = {"classifiers": ["svm", "tree"], "designs": ["mel-vs-benign", "three-class"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certain")
    return run(folder, **TWO)


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("number", [0, 1])
def test_the_sides_mean_what_the_metric_says(whole, number):
    question = whole.questions[number]
    cells = whole.of(question.design.name)
    sides = sides_of(question, cells)
    found = significance.influences(sides)
    metric = whole.judged[number].metric
    for at, cell in enumerate(cells):
        assert found.means[:, at].mean() == pytest.approx(cell.values(metric).mean(), abs=1e-12)
        assert whole.judged[number].intervals[at].value == pytest.approx(cell.values(metric).mean(), abs=1e-12)


def test_five_by_two_has_the_group_test_first_and_the_published_ones_beside_it(whole):
    (pair,) = whole.judged[0].pairs
    assert pair.main.test == "group t"
    assert [one.test for one in pair.others] == [
        significance.corrected_t(np.ones((5, 2)) + np.arange(10).reshape(5, 2), ratio=1.0).test,
        significance.alpaydin_f(np.arange(10.0).reshape(5, 2)).test,
        significance.dietterich_t(np.arange(10.0).reshape(5, 2)).test,
    ]
    d = (pair.first.values("auc") - pair.second.values("auc")).reshape(5, 2)
    assert pair.others[1] == significance.alpaydin_f(d)
    assert pair.main.difference == pytest.approx(d.mean())


def test_holm_is_over_all_designs(whole):
    p = [pair.main.p for judged in whole.judged for pair in judged.pairs]
    holm = [pair.holm for judged in whole.judged for pair in judged.pairs]
    np.testing.assert_allclose(holm, significance.holm(p))


def test_what_is_chosen_inside_is_the_best_by_inner_scores_and_never_by_test_scores(whole):
    for judged in whole.judged:
        cells = whole.of(judged.design)
        for number in range(10):
            inner = [cell.verdicts[number].inner_score for cell in cells]
            best = cells[int(np.argmax(np.round(inner, 9)))]
            assert judged.chosen.scores[number] == best.scores[number]
        assert judged.chosen.classifier == CHOSEN


def test_train_rows_are_scored_by_fits_that_did_not_see_them(whole):
    question = whole.questions[0]
    for cell in whole.of("mel-vs-benign"):
        for split, verdict in zip(question.splits, cell.verdicts, strict=True):
            assert verdict.inner.shape == (len(split.train), 2)
            assert np.isfinite(verdict.inner).all()
            assert verdict.inner_scheme == "kfold"


def test_the_draws_of_the_paper_hold_back_a_tenth(tmp_path):
    found = run(tmp_path, made(tmp_path / "f"), inner="shuffle10", classifiers=["dummy"], params=[])
    verdict = found.cells[0].verdicts[0]
    assert verdict.inner_scheme == "shuffle10"
    held = np.isfinite(verdict.inner).all(1)
    assert 0 < held.sum() <= len(held)
    assert found.run["settings"]["inner"] == "shuffle10"


def test_folds_that_do_not_repeat_get_the_corrected_test(tmp_path):
    found = run(tmp_path, folds="kfold:4", classifiers=["svm", "tree"])
    (judged,) = found.judged
    (pair,) = judged.pairs
    assert pair.others == ()
    d = (pair.first.values("auc") - pair.second.values("auc")).reshape(1, 4)
    ratio = np.mean([len(s.test) / len(s.train) for s in found.questions[0].splits])
    assert pair.main == significance.corrected_t(d, ratio=ratio)
    assert judged.intervals[0].low < judged.intervals[0].value < judged.intervals[0].high


def test_one_test_side_gets_the_clustered_test_of_these_very_models(tmp_path):
    found = run(tmp_path, folds="holdout:50/50", classifiers=["svm", "tree"], designs=["mel-vs-benign", "three-class"])
    binary, three = found.judged
    (pair,) = binary.pairs
    (side,) = sides_of(found.questions[0], found.of("mel-vs-benign"))
    assert pair.main == significance.paired_auc(side.positive, *side.scores.T, groups=side.groups)
    assert (three.pairs, three.intervals[0]) == ((), None)
    assert any("no interval of the AUC is known" in note for note in three.notes)


def test_other_sources_are_no_resamples(tmp_path):
    def source(row):
        return {"dataset": "xy"[row // 2 // 6 % 2]}

    path = made(tmp_path / "f", samples=samples_of(attributes=source))
    (judged,) = run(tmp_path, path, folds="by:dataset", classifiers=["svm", "tree"]).judged
    assert (judged.pairs, judged.intervals) == ((), (None, None))
    assert "no resamples of one" in judged.notes[0]


def test_scores_by_lesion_are_judged_by_lesion(tmp_path):
    found = run(tmp_path, unit="lesion", classifiers=["svm", "tree"])
    side = sides_of(found.questions[0], found.of("mel-vs-benign"))[0]
    assert len(side.positive) == len({*side.groups})


def test_identical_classifiers_are_told_apart_by_nothing(tmp_path):
    found = run(tmp_path, classifiers=["dummy", "dummy", "tree"], params=["min_samples_leaf=5"])
    assert len(found.cells) == 2
    one = made(tmp_path / "cache" / "g", name="a")
    two = made(tmp_path / "cache" / "h", name="b")
    found = run(tmp_path, [one, two], classifiers=["dummy"], params=[])
    (pair,) = found.judged[0].pairs
    assert (pair.main.p, pair.main.difference) == (1.0, 0.0) and pair.main.note


def test_differences_are_written_for_every_test(whole):
    told = rows(whole.folder / "differences.csv")
    assert len(told) == 2 * 4
    assert [row["p_holm"] != "" for row in told] == [True, False, False, False] * 2
    assert {row["first_classifier"] for row in told} == {"svm"}
    assert float(told[0]["difference"]) == pytest.approx(whole.judged[0].pairs[0].main.difference)


def test_the_tables_for_papers_hold_every_cell(whole):
    markdown = (whole.folder / "table.md").read_text(encoding="utf-8")
    assert markdown.count("\n| mel-vs-benign |") == 3 and CHOSEN in markdown
    latex = (whole.folder / "table.tex").read_text(encoding="utf-8")
    assert latex.count(r"\\") == 1 + 6 and r"\midrule" in latex
    assert "models trained on half of this source" in markdown


def test_names_from_data_do_no_harm_in_tables(tmp_path):
    path = made(tmp_path / "f", name="a_b%c", called="x|y_z")
    found = run(tmp_path, path)
    latex = (found.folder / "table.tex").read_text(encoding="utf-8")
    assert r"a\_b\%c" in latex
    assert r"a\_b%c" in (found.folder / "table.md").read_text(encoding="utf-8")


def test_too_few_groups_to_correct_the_winner_are_told(tmp_path, monkeypatch):
    from featx.errors import UsageError

    def refuses(*_, **__):
        raise UsageError("too few to leave out")

    monkeypatch.setattr(certainty.significance, "corrected_winner", refuses)
    (judged,) = run(tmp_path, **{**FAST, "designs": ["mel-vs-benign"]}).judged
    assert judged.winner is None and "too few to leave out" in judged.notes
