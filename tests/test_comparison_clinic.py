"""Clinical numbers and subgroups of a comparison: chosen on train sides alone, judged by unit, told with intervals."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featx import clinical, designs, folds, significance
from featx.calibration import platt
from featx.classifiers import Verdict
from featx.comparison import clinic, sides, subgroups
from featx.comparison.cells import Cell
from featx.comparison.question import Question
from featx.datasets.base import Dataset, Sample
from featx.description.clinic import clinic_told
from featx.errors import UsageError
from featx.matrix import Features
from featx.metrics import auc

SEXES = ("male", "F", "female", "")
AGES = ("25.0", "39.9", "40", "59", "60", "85+", "unknown", "-3")


def studied(*, lesions=120, images=2, scheme="5x2", attributes=None, words=("mel", "nv"), seed=0):
    """Return question, table and plan of lesions with so many images each, and what each row may be scored by."""
    rng = np.random.default_rng(seed)
    n = lesions * images
    lesion = np.arange(n) // images
    given = attributes or (lambda row: {"sex": SEXES[row // images % 4], "age": AGES[row // images % 8]})
    samples = tuple(
        Sample(f"i{row}", f"i{row}.jpg", words[lesion[row] % 3 % len(words)], f"l{lesion[row]}", f"l{lesion[row]}",
               given(row))
        for row in range(n)
    )  # fmt: skip
    dataset = Dataset("toy", "csv", Path("toy"), samples, group_kind="lesion", unit_kind="lesion")
    groups = tuple(sample.group for sample in samples)
    ids = [sample.id for sample in samples]
    diagnoses = [sample.diagnosis for sample in samples]
    parts = [sample.attributes.get("source", "") for sample in samples]
    plan = folds.draw(scheme, ids, groups=groups, strata=diagnoses, seed=seed, parts=parts)
    design = designs.custom(["mel"], ["nv"]) if len(words) == 2 else designs.get("diagnosis")
    assignment = design.assign(diagnoses)
    splits = folds.check(plan, ids=ids, y=assignment.y, classes=assignment.classes, design=design.name)
    question = Question(design, assignment, np.arange(n), ids, list(groups), list(ids), assignment.y, splits, {})
    table = Features(Path("f.h5"), "net", dataset, np.zeros((n, 1)), np.ones(n, bool), {}, ("",) * n, groups, {})
    hint = rng.normal(size=lesions)[lesion] + 1.5 * (assignment.y == 1) + 0.7 * rng.normal(size=n)
    return question, table, plan, hint


def verdict(question, split, score, *, inner=True):
    both = np.column_stack([-score, score])
    return Verdict(both[split.test], {}, False, True, both[split.train] if inner else None)


def celled(question, hint, *, noise=0.3, **options):
    """Return a cell whose classifier differs a little from split to split."""
    rng = np.random.default_rng(7)
    found = [
        verdict(question, split, hint + noise * rng.normal(size=len(hint)), **options) for split in question.splits
    ]
    return Cell(question.design.name, "svm", "net", [], found)


def numbers(question, cell, plan, **options):
    rows = clinic.clinical_rows(question, cell, plan=plan, unit="image", dataset="toy", **options)
    return {row.quantity: row for row in rows}


def test_thresholds_and_probabilities_come_from_the_train_side_alone():
    question, _, plan, hint = studied()
    cell = celled(question, hint)
    high = [one._replace(inner=one.inner + np.array([-100, 100])) for one in cell.verdicts]
    found = numbers(question, cell._replace(verdicts=high), plan)
    assert found["sensitivity_at_specificity_90"].value == found["sensitivity_at_sensitivity_95"].value == 0
    assert found["specificity_at_specificity_95"].value == 1
    assert found["calibration_in_the_large"].value > 5  # the map was made for scores that lie 100 higher


def test_what_test_rows_are_changes_no_threshold(monkeypatch):
    question, _, plan, hint = studied(scheme="holdout:50/50")
    (split,) = question.splits
    cell = celled(question, hint)
    asked, fitted = [], []
    threshold_at = clinical.threshold_at
    monkeypatch.setattr(clinical, "threshold_at", lambda *a, **k: asked.append(a) or threshold_at(*a, **k))
    monkeypatch.setattr(clinic, "platt", lambda *a: fitted.append(a) or platt(*a))
    numbers(question, cell, plan)
    y = question.y.copy()
    y[split.test] = 1 - y[split.test]
    numbers(question._replace(y=y), cell, plan)
    for calls in (asked, fitted):
        first, second = calls[: len(calls) // 2], calls[len(calls) // 2 :]
        assert len(first) == len(second) > 0
        for before, after in zip(first, second, strict=True):
            assert np.array_equal(before[0], after[0]) and np.array_equal(before[1], after[1])
            assert len(before[0]) == len(split.train)


def test_numbers_are_those_of_hands():
    question, _, plan, hint = studied()
    cell = celled(question, hint)
    values, briers = [], []
    for split, one in zip(question.splits, cell.verdicts, strict=True):
        truth, positive = question.y[split.train] == 1, question.y[split.test] == 1
        negatives = np.sort(one.inner[~truth, 1])
        threshold = negatives[int(np.ceil(0.9 * len(negatives) - 1e-9)) - 1]
        values.append(np.mean(one.scores[positive, 1] > np.nextafter(threshold, np.inf)))
        slope, intercept = platt(truth, one.inner[:, 1])
        briers.append(np.mean((1 / (1 + np.exp(-intercept - slope * one.scores[:, 1])) - positive) ** 2))
    found = numbers(question, cell, plan)
    row = found["sensitivity_at_specificity_90"]
    assert row.value == pytest.approx(np.mean(values), abs=0.01) and row.n_splits == 10
    assert found["brier"].value == pytest.approx(np.mean(briers), rel=1e-12)
    assert "models trained on half of this source" in row.note


def test_intervals_over_splits_are_those_of_the_corrected_resampled_mean():
    question, _, plan, hint = studied(scheme="kfold:4")
    cell = celled(question, hint)
    values = []
    for split, one in zip(question.splits, cell.verdicts, strict=True):
        threshold = clinical.threshold_at(question.y[split.train] == 1, one.inner[:, 1], sensitivity=0.95)
        told = clinical.at_threshold(question.y[split.test] == 1, one.scores[:, 1], threshold=threshold)
        values.append(told.specificity)
    expected = significance.corrected_interval(np.array(values), ratio=1 / 3)
    row = numbers(question, cell, plan)["specificity_at_sensitivity_95"]
    assert (row.value, row.low, row.high) == pytest.approx((expected.value, expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("scheme", ["5x2", "holdout:50/50"])
def test_copies_of_an_image_make_no_brier_score_surer(scheme):
    question, _, plan, hint = studied(images=1, scheme=scheme)
    cell = celled(question, hint, noise=0)
    often = [replace_split(split, 3) for split in question.splits]
    rows = np.repeat(np.arange(len(question.ids)), 3)
    more = question._replace(
        rows=np.arange(len(rows)), ids=[f"{question.ids[row]}-{at}" for at, row in enumerate(rows)],
        groups=[question.groups[row] for row in rows], units=[f"u{at}" for at in range(len(rows))],
        y=question.y[rows], splits=often,
    )  # fmt: skip
    # the same map on both: what is fitted to the train side is not what this is about
    copied = [
        one._replace(scores=one.scores[np.repeat(np.arange(len(one.scores)), 3)], inner=one.inner.repeat(3, 0))
        for one in cell.verdicts
    ]
    slope = platt(question.y == 1, hint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clinic, "platt", lambda *_: slope)
        once, thrice = numbers(question, cell, plan), numbers(more, cell._replace(verdicts=copied), plan)
    for name in ("brier", "calibration_slope"):
        one, three = once[name], thrice[name]
        assert one.low < one.value < one.high
        assert (three.value, three.low, three.high) == pytest.approx((one.value, one.low, one.high), rel=1e-7)


def test_an_error_counted_by_group_is_that_of_every_auc():
    """Of the AUC itself, the pulls of whose rows are their placements, the two ways must give one interval."""
    question, _, _, hint = studied()
    told, numbers_, tested = [], [], []
    for split, one in zip(question.splits, celled(question, hint).verdicts, strict=True):
        rows = sides.rows_of(question, split, one.scores)
        placed = np.array(
            [np.mean((one > rows.score[~rows.positive]) + 0.5 * (one == rows.score[~rows.positive])) if positive else
             np.mean((one < rows.score[rows.positive]) + 0.5 * (one == rows.score[rows.positive]))
             for one, positive in zip(rows.score, rows.positive, strict=True)]
        )  # fmt: skip
        theta = auc(rows.positive, rows.score)
        pulls = (placed - theta) / np.where(rows.positive, rows.positive.sum(), (~rows.positive).sum())
        told.append(clinic._Told(split.repeat, rows, {}))
        numbers_.append(clinic._Number(theta, pulls))
        tested.append(significance.Side(split.repeat, rows.positive, rows.score[:, None], rows.groups))
    found = clinic._by_group(told, numbers_, share=0.5)
    expected = significance.group_interval(significance.influences(tested), 0)
    assert found[:3] == pytest.approx(expected[:3], rel=1e-9) and found.estimates == expected.estimates


def replace_split(split, times):
    def more(rows):
        return (rows[:, None] * times + np.arange(times)).ravel()

    return split._replace(train=more(split.train), test=more(split.test))


def test_calibration_of_one_test_side_has_the_error_of_statsmodels():
    import statsmodels.api as sm

    question, _, plan, hint = studied(scheme="holdout:50/50")
    (split,) = question.splits
    cell = celled(question, hint)
    found = numbers(question, cell, plan)
    slope, intercept = platt(question.y[split.train] == 1, cell.verdicts[0].inner[:, 1])
    X = sm.add_constant(intercept + slope * cell.verdicts[0].scores[:, 1])
    code = np.unique([question.groups[row] for row in split.test], return_inverse=True)[1]
    kept = {"cov_type": "cluster", "cov_kwds": {"groups": code, "use_correction": False}}
    fit = sm.Logit(question.y[split.test], X).fit(disp=0, method="newton", tol=1e-12, **kept)
    grown = np.sqrt((code.max() + 1) / code.max())
    for at, name in enumerate(("calibration_intercept", "calibration_slope")):
        row = found[name]
        assert row.value == pytest.approx(fit.params[at], rel=1e-6)
        assert (row.high - row.low) / 2 == pytest.approx(1.959964 * grown * fit.bse[at], rel=1e-5)
        assert row.n_splits == 1 and "this very model" in row.note


def test_one_test_side_has_wilson_intervals_counted_by_group():
    question, _, plan, hint = studied(scheme="holdout:50/50")
    (split,) = question.splits
    cell = celled(question, hint)
    threshold = clinical.threshold_at(question.y[split.train] == 1, cell.verdicts[0].inner[:, 1], specificity=0.9)
    positive = question.y[split.test] == 1
    hits = cell.verdicts[0].scores[positive, 1] >= threshold
    groups = np.array([question.groups[row] for row in split.test])[positive]
    expected = significance.share_interval(hits, groups=groups)
    found = numbers(question, cell, plan)
    row = found["sensitivity_at_specificity_90"]
    assert (row.value, row.low, row.high) == pytest.approx((expected.value, expected.low, expected.high))
    other = found["specificity_at_specificity_90"]
    assert other.low < other.value < other.high


@pytest.mark.parametrize("scheme", ["5x2", "holdout:50/50"])
def test_predictive_values_follow_from_the_mean_shares(scheme):
    question, _, plan, hint = studied(scheme=scheme)
    cell = celled(question, hint)
    found = numbers(question, cell, plan, prevalence=0.02)
    s, c = (found[f"{name}_at_specificity_90"].value for name in ("sensitivity", "specificity"))
    ppv, npv = clinical.predictive_values(s, c, prevalence=0.02)
    for name, value in (("ppv", ppv), ("npv", npv)):
        row = found[f"{name}_at_specificity_90"]
        assert row.value == pytest.approx(value) and 0 < row.low < row.value < row.high < 1
        assert "at prevalence 0.02" in row.note
    assert not [name for name in numbers(question, cell, plan) if name.startswith(("ppv", "npv"))]


def test_a_predictive_value_of_one_test_side_moves_with_its_shares():
    """The interval of the PPV's logit is that of the two shares' logarithms (numeric slopes)."""
    question, _, plan, hint = studied(scheme="holdout:50/50", images=1)
    row = numbers(question, celled(question, hint), plan, prevalence=0.1)
    for word in ("ppv", "npv"):
        s, c = (row[f"{name}_at_sensitivity_90"].value for name in ("sensitivity", "specificity"))
        positive = question.y[question.splits[0].test] == 1
        m, n = positive.sum(), (~positive).sum()

        def logit(s, c, word=word):
            ppv, npv = clinical.predictive_values(s, c, prevalence=0.1)
            value = {"ppv": ppv, "npv": npv}[word]
            return np.log(value / (1 - value))

        by_s = (logit(s + 1e-6, c) - logit(s - 1e-6, c)) / 2e-6
        by_c = (logit(s, c + 1e-6) - logit(s, c - 1e-6)) / 2e-6
        grown = (m + n) / (m + n - 1)  # each image its own group
        error = np.sqrt(grown * (by_s**2 * s * (1 - s) / m + by_c**2 * c * (1 - c) / n))
        own = row[f"{word}_at_sensitivity_90"]
        ends = [np.log(end / (1 - end)) for end in (own.low, own.high)]
        assert (ends[1] - ends[0]) / 2 == pytest.approx(1.959964 * error, rel=1e-5)


@pytest.mark.parametrize("prevalence", [0, 1, -0.1, 2, float("nan")])
def test_a_prevalence_that_is_none_is_refused(prevalence):
    question, table, plan, hint = studied()
    with pytest.raises(UsageError, match="--prevalence takes a share"):
        clinic.clinic([question], [celled(question, hint)], table, plan=plan, unit="image", prevalence=prevalence)


def test_a_unit_is_judged_by_the_mean_of_its_images():
    question, table, plan, hint = studied()
    cell = celled(question, hint)
    found = clinic.clinic([question], [cell], table, plan=plan, unit="image")
    assert {row.unit for row in found.clinical} == {"image", "lesion"}
    single, _, own, _ = studied(images=1)
    splits, told = [], []
    for split, one in zip(question.splits, cell.verdicts, strict=True):
        train, test = np.unique(split.train // 2), np.unique(split.test // 2)
        splits.append(split._replace(train=train, test=test))
        told.append(one._replace(scores=halved(split.test, one.scores), inner=halved(split.train, one.inner)))
    single = single._replace(splits=splits)
    expected = {row.quantity: row for row in clinic.clinical_rows(
        single, cell._replace(verdicts=told), plan=own, unit="lesion", dataset="toy"
    )}  # fmt: skip
    for row in found.clinical:
        if row.unit == "lesion":
            other = expected[row.quantity]
            assert (row.value, row.low, row.high) == pytest.approx((other.value, other.low, other.high), rel=1e-6)


def halved(rows, scores):
    """Return the mean score of each lesion of two images, in the lesions' order."""
    return np.array([scores[rows // 2 == lesion].mean(0) for lesion in np.unique(rows // 2)])


def test_a_unit_of_two_classes_is_told_and_has_no_numbers():
    question, table, plan, hint = studied()
    samples = tuple(replace(sample, unit="one") for sample in table.dataset.samples)
    mixed = replace(table, dataset=replace(table.dataset, samples=samples))
    found = clinic.clinic([question], [celled(question, hint)], mixed, plan=plan, unit="image")
    assert {row.unit for row in found.clinical} == {"image"}
    assert "two classes or two groups" in found.notes[0]


def test_rows_without_out_of_fold_scores_do_not_count_and_none_at_all_is_told():
    question, _, plan, hint = studied()
    cell = celled(question, hint)
    lost = [one._replace(inner=np.where(np.arange(len(one.inner))[:, None] % 3 == 0, np.nan, one.inner))
            for one in cell.verdicts]  # fmt: skip
    found = numbers(question, cell._replace(verdicts=lost), plan)
    assert found["brier"].n_splits == 10 and found["brier"].low is not None
    without = numbers(question, celled(question, hint, inner=False), plan, prevalence=0.1)
    assert without.keys() == numbers(question, cell, plan, prevalence=0.1).keys()
    assert all(row.value is None and row.n_splits == 0 for row in without.values())
    assert all("no out-of-fold scores" in row.note for row in without.values())
    some = [one._replace(inner=None) if at < 4 else one for at, one in enumerate(cell.verdicts)]
    row = numbers(question, cell._replace(verdicts=some), plan)["brier"]
    assert row.n_splits == 6 and "in 6 of 10 splits" in row.note


def test_a_classifier_that_says_nothing_has_numbers_and_reasons():
    question, table, plan, hint = studied()
    found = numbers(question, celled(question, 0 * hint, noise=0), plan, prevalence=0.1)
    assert found["calibration_slope"].value is None and "no slope" in found["calibration_slope"].note
    assert found["sensitivity_at_specificity_90"].value == 0
    assert found["ppv_at_specificity_90"].value is None and "nobody" in found["ppv_at_specificity_90"].note
    assert found["brier"].value == pytest.approx(2 / 9, abs=0.01)
    said = subgroups.subgroup_rows(question, [celled(question, 0 * hint, noise=0)], table, plan=plan, unit="image")
    assert all(row.value == 0.5 and row.low is None and "no error can be measured" in row.note for row in said)


def test_folds_dealt_once_are_told_to_have_short_intervals():
    for scheme, told in (("kfold:4", True), ("5x2", False), ("holdout:50/50", False)):
        question, _, plan, hint = studied(scheme=scheme)
        found = numbers(question, celled(question, hint), plan, prevalence=0.1)
        for name in ("specificity_at_sensitivity_90", "ppv_at_sensitivity_90", "brier"):
            assert ("such intervals are too short" in found[name].note) == told


def test_a_split_that_leads_the_mean_slope_is_told():
    question, _, plan, hint = studied()
    cell = celled(question, hint)
    assert "leads the mean" not in numbers(question, cell, plan)["calibration_slope"].note
    split, first = question.splits[0], cell.verdicts[0]
    positive = question.y[split.test] == 1
    wrong = [np.flatnonzero(positive)[0], np.flatnonzero(~positive)[0]]
    positive[wrong] = ~positive[wrong]
    score = np.where(positive, 0.55, 0.45)  # near the middle, and right but for one row of each class
    near = first._replace(scores=np.column_stack([-score, score]))
    row = numbers(question, cell._replace(verdicts=[near, *cell.verdicts[1:]]), plan)["calibration_slope"]
    assert "one split leads the mean: slopes from" in row.note


def test_sources_in_turn_have_no_interval_over_them():
    given = {"attributes": lambda row: {"source": "abc"[row // 2 // 3 % 3], "sex": SEXES[row // 2 % 4]}}
    question, table, plan, hint = studied(scheme="by:source", **given)
    assert len(question.splits) == 3
    found = clinic.clinic([question], [celled(question, hint)], table, plan=plan, unit="image")
    for row in (*found.clinical, *found.subgroups):
        assert row.low is row.high is None
    assert all("other sources" in row.note for row in found.clinical if row.value is not None)


def test_a_design_of_three_classes_has_a_note_and_no_rows():
    question, table, plan, _ = studied(words=("mel", "nv", "bcc"))
    found = clinic.clinic([question], [], table, plan=plan, unit="image")
    assert not found.clinical and not found.subgroups
    assert found.notes == ["diagnosis: clinical numbers and subgroups are of two classes; this design has 3"]
    assert clinic_told(found) == found.notes[0]


def test_every_row_is_in_one_subgroup_of_each_column():
    question, table, *_ = studied()
    masks = subgroups.subgroups_of(question, table)
    names = [(column, name) for column, name, _ in masks]
    assert names == [("sex", "female"), ("sex", "male"), ("sex", "not known"),
                     ("age", "<40"), ("age", "40-59"), ("age", "60+"), ("age", "not known")]  # fmt: skip
    for column in ("sex", "age"):
        assert np.array_equal(sum(mask.astype(int) for name, _, mask in masks if name == column), np.ones(240))
    held = {name: mask for _, name, mask in masks}
    ages = [sample.attributes["age"] for sample in table.dataset.samples]
    assert {ages[row] for row in np.flatnonzero(held["<40"])} == {"25.0", "39.9"}
    assert {ages[row] for row in np.flatnonzero(held["60+"])} == {"60", "85+"}


def test_rare_sources_stand_together():
    question, table, *_ = studied(attributes=lambda row: {"Hospital": f"h{row // 4}", "device": "one"})
    masks = subgroups.subgroups_of(question, table)
    assert {column for column, _, _ in masks} == {"Hospital"}  # one device tells nothing apart
    assert len(masks) == 31 and masks[-1][1] == "30 others together"
    assert sum(mask.sum() for *_, mask in masks) == 240


def test_the_auc_of_a_subgroup_is_that_of_its_test_rows():
    question, table, plan, hint = studied()
    cell = celled(question, hint)
    rows = {row.subgroup: row for row in subgroups.subgroup_rows(question, [cell], table, plan=plan, unit="image")}
    male = np.array([sample.attributes["sex"] == "male" for sample in table.dataset.samples])
    values, sides = [], []
    for split, one in zip(question.splits, cell.verdicts, strict=True):
        own = male[split.test]
        positive = question.y[split.test[own]] == 1
        values.append(auc(positive, one.scores[own, 1]))
        groups = np.array([question.groups[row] for row in split.test[own]])
        sides.append(significance.Side(split.repeat, positive, one.scores[own, 1:], groups))
    row = rows["male"]
    expected = significance.group_interval(significance.influences(sides), 0)
    assert row.value == pytest.approx(np.mean(values))
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    assert row.n == male.sum() and row.positives == (male & (question.y == 1)).sum() and row.n_splits == 10


def test_a_subgroup_is_too_few_by_its_groups_not_by_its_images():
    question, table, plan, hint = studied(attributes=lambda row: {"sex": "f" if row < 48 else "m"}, images=4)
    rows = {row.subgroup: row for row in subgroups.subgroup_rows(
        question, [celled(question, hint)], table, plan=plan, unit="image"
    )}  # fmt: skip
    few = rows["female"]
    counts = [len({question.groups[row] for row in range(48) if question.y[row] == code}) for code in (0, 1)]
    assert few.value is None and few.n == 48 and few.n_splits == 0
    assert few.note.startswith(f"too few: {counts[1]} groups with positives and {counts[0]} with negatives")
    assert rows["male"].value is not None


@pytest.mark.parametrize("scheme", ["kfold:4", "holdout:50/50"])
def test_subgroups_of_other_plans_have_the_interval_of_the_plan(scheme):
    question, table, plan, hint = studied(scheme=scheme)
    rows = subgroups.subgroup_rows(question, [celled(question, hint)], table, plan=plan, unit="image")
    told = [row for row in rows if row.value is not None]
    assert told and all(row.low < row.value < row.high for row in told)
    assert ("this very model" in told[0].note) == (len(question.splits) == 1)


def test_rows_are_the_columns_of_the_files_and_text_is_for_persons():
    question, table, plan, hint = studied()
    cells = [celled(question, hint), celled(question, -hint)._replace(classifier="upside-down")]
    found = clinic.clinic([question], cells, table, plan=plan, unit="image", prevalence=0.02)
    assert {row._fields for row in found.clinical} == {clinic.CLINICAL}
    assert {row._fields for row in found.subgroups} == {subgroups.SUBGROUPS}
    assert len(found.clinical) == 2 * 2 * (8 + 8 + 4)  # cells, units, (shares, predictive values, the rest)
    text = clinic_told(found)
    for word in ("per image", "per lesion", "  svm ", "upside-down", "PPV", "sex female"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 140 and not re.search(r"\bnan\b|None", text)
    assert any("the map to probabilities falls (10 of 10 splits)" in row.note for row in found.clinical)
    cells = [cells[0]._replace(classifier=f"c{at}") for at in range(4)] + cells
    by_lesion = question._replace(units=question.groups)
    many = clinic_told(clinic.clinic([by_lesion], cells, table, plan=plan, unit="lesion"))
    assert re.search(r"sex male +30 +20 +\.\d\d .* upside-down +\.\d\d .* c0", many)


def test_subgroups_with_too_few_stand_in_one_line():
    question, table, plan, hint = studied(attributes=lambda row: {"sex": "f" if row < 8 else "m"})
    text = clinic_told(clinic.clinic([question], [celled(question, hint)], table, plan=plan, unit="image"))
    assert "no AUC, with too few: sex female (6 of 8 positive)" in text
