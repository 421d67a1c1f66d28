"""Sanity: chance is found where there is nothing, a leak is told, and what was not extracted is said to be missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_comparison import made, samples_of

from featx import designs as all_designs
from featx import families, fingerprints, significance
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, fixed_params
from featx.comparison import sanity
from featx.comparison.cells import Settings, fit
from featx.comparison.question import common_samples, plan_of, question_of
from featx.comparison.sanity import asked, besides, permuting, ungrouping, untrained
from featx.errors import UsageError
from featx.matrix import read_features

ORDER = ["permuted labels", "dummy", "file properties", "pixels", "random weights", "ungrouped folds"]


def setting(folder, *paths, designs=("mel-vs-benign",), names=("svm",), scheme="5x2", unit="image", change=lambda t: t):
    """Return what a comparison has when it is done."""
    places = Places.at(folder / "cache")
    tables = [change(read_features(path)) for path in paths or [made(places.root / "toy")]]
    common, _ = common_samples(tables[:1])
    plan, _ = plan_of(tables[0], scheme, seed=0, places=places)
    questions = [question_of(all_designs.get(d), tables[0], common, plan=plan, unit=unit) for d in designs]
    chosen = [CLASSIFIERS[name] for name in names]
    settings = Settings(fixed_params([], chosen), None, unit, 0, "auto", "kfold")
    cells = fit(tables, common, questions, chosen, settings=settings, kept_in=places.cells, jobs=1, on_progress=None)
    given = {"cells": cells, "settings": settings, "plan": plan, "places": places, "jobs": 1}
    return SimpleNamespace(args=(tables, common, questions, chosen), given=given, tables=tables, questions=questions,
                           cells=cells, plan=plan, places=places, settings=settings)  # fmt: skip


def rows_of(made_setting, **options):
    options = {"permutations": 20, **made_setting.given, **options}
    return sanity.check(*made_setting.args, **options)


def row(rows, what):
    (found,) = [one for one in rows if one.what == what]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return setting(tmp_path_factory.mktemp("sanity"), designs=["mel-vs-benign", "three-class"])


@pytest.fixture(scope="module")
def found(whole):
    return rows_of(whole, permutations=100)


def test_permuted_labels_score_chance_and_the_real_ones_do_not(found):
    for one in (one for one in found if one.what == "permuted labels"):
        assert one.level == "green", one.sentence
        assert 0.45 < one.value < 0.55 and one.low < 0.5 < one.high
        assert "mean of 100 permutations by group" in one.sentence and "no search" in one.sentence


def test_the_prior_scores_a_half_exactly(found):
    assert [one[2:6] for one in found if one.what == "dummy"] == [(0.5, 0.5, 0.5, "green")] * 2


def test_rows_come_by_design_in_one_order_and_tell_of_what_is_missing(found):
    assert list(dict.fromkeys(one.design for one in found)) == ["mel-vs-benign", "bcc-vs-mel-vs-benign"]
    assert [one.design for one in found] == sorted((one.design for one in found), reverse=True)
    for design in ("mel-vs-benign", "bcc-vs-mel-vs-benign"):
        own = [one for one in found if one.design == design]
        assert [one.what for one in own if one.what in ORDER] == ORDER
        assert "featx extract DATA --backbone pixels" in row(own, "pixels").sentence
        assert "--weights random" in row(own, "random weights").sentence


def test_the_same_seed_gives_the_same_rows_and_another_other_permutations(whole, found):
    assert rows_of(whole, permutations=100, jobs=2) == found
    other = rows_of(whole, settings=whole.settings._replace(seed=1), permutations=100)
    assert row(other[:6], "permuted labels").value != row(found[:6], "permuted labels").value


def test_real_labels_ride_along_and_are_the_fit_of_the_comparison(tmp_path):
    case = setting(tmp_path)
    question, (cell,) = case.questions[0], case.cells
    asked_one = asked.Asked(case.tables[0], case.args[1], case.questions, CLASSIFIERS["svm"],
                              {cell.design: cell}, case.settings, case.plan, case.places, 1)  # fmt: skip
    X = case.tables[0].X[case.tables[0].rows_of(case.args[1])]
    shared = families.Shared(X, scale="l2")
    for number, split in enumerate(question.splits):
        params = cell.verdicts[number].chosen
        (columns,) = permuting._columns(asked_one, question, shared, split, [question.y], C=params["C"])
        np.testing.assert_allclose(columns, cell.verdicts[number].scores, atol=1e-3)
        each = permuting._one(asked_one, question, X, split, question.y, params)
        np.testing.assert_allclose(columns, each, atol=2e-2)  # liblinear stops sooner


@pytest.mark.parametrize("name", ["svc-linear", "svm-rbf", "tree"])
def test_other_classifiers_are_permuted_too(tmp_path, name):
    (one,) = [r for r in rows_of(setting(tmp_path, names=[name])) if r.what == "permuted labels"]
    assert one.sentence.count(name) == 1 and 0.3 < one.value < 0.7


def test_svm_is_asked_first_then_what_shares_a_matrix():
    settings = Settings({}, None, "image", 0, "auto", "kfold")
    shelf = lambda *names: [CLASSIFIERS[name] for name in names]  # noqa: E731
    assert sanity.cheapest(shelf("rf", "svm-rbf", "svm"), settings).name == "svm"
    assert sanity.cheapest(shelf("rf", "svm-rbf", "svc-linear"), settings).name == "svm-rbf"
    assert sanity.cheapest(shelf("rf", "tree"), settings).name == "rf"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=40), st.integers(0, 99))
def test_labels_are_permuted_by_group(rows, seed):
    groups, y = [f"g{group}" for group, _ in rows], np.array([code for _, code in rows])
    dealt = permuting.permuted(y, groups, np.random.default_rng(seed))
    of = {group: [code for name, code in zip(groups, y.tolist(), strict=True) if name == group] for group in groups}
    if all(len(set(own)) == 1 for own in of.values()):
        new = dict(zip(groups, dealt.tolist(), strict=True))
        assert all(new[name] == code for name, code in zip(groups, dealt.tolist(), strict=True))
        assert Counter(new.values()) == Counter(own[0] for own in of.values())
    else:
        assert Counter(dealt.tolist()) == Counter(y.tolist())


def test_a_group_of_a_rare_size_does_not_keep_its_labels():
    groups = ["big"] * 9 + [f"g{n}" for n in range(30)]
    y = np.array([1] * 8 + [0] * 31)
    rng = np.random.default_rng(0)
    share = np.mean([permuting.permuted(y, groups, rng)[:9].mean() for _ in range(500)])
    assert share == pytest.approx(8 / 39, abs=0.05)


def test_a_unit_is_never_divided(tmp_path):
    case = setting(tmp_path, unit="lesion")
    question = case.questions[0]
    for y in permuting._drawn(question, question.splits[:2], 20, seed=0):
        assert len({*zip(question.units, y.tolist(), strict=True)}) == len({*question.units})


def test_each_class_is_on_both_sides_of_every_permutation(whole):
    question = whole.questions[1]
    for y in permuting._drawn(question, question.splits[:2], 50, seed=3):
        assert all(len(set(y[side].tolist())) == 3 for s in question.splits[:2] for side in (s.train, s.test))


VALUES = np.random.default_rng(0).normal(0.5, 0.05, size=100)
CENTRED = VALUES - VALUES.mean()


@pytest.mark.parametrize(
    ("mean", "real", "level", "words"),
    [
        (0.5, 0.8, "green", "mean of 100"),
        (0.5, 0.55, "amber", "not told from permuted ones"),
        (0.5, 0.2, "red", "below chance"),
        (0.516, 0.8, "amber", "another seed"),
        (0.6, 0.8, "red", "leak into training"),
        (0.4, 0.8, "red", "leak into training"),
    ],
)
def test_the_verdict_on_permuted_labels(mean, real, level, words):
    told = permuting.judged("d", CENTRED + mean, real=real, how="svm")
    assert (told.level, round(told.value, 9)) == (level, mean) and words in told.sentence


def test_folds_that_divide_groups_are_caught(tmp_path):
    """Twins on both sides, each label known from the other: permuting by group cannot hide it."""

    def twins(table):
        X = table.X.copy()
        X[1::2] = X[::2]
        return replace(table, X=X)

    case = setting(tmp_path, change=twins)
    loose = [q._replace(splits=ungrouping._halved(SimpleNamespace(table=case.tables[0], settings=case.settings), q,
             [s.id for s in case.tables[0].dataset.samples]).splits) for q in case.questions]  # fmt: skip
    case.args = (*case.args[:2], loose, case.args[3])
    case.given["cells"] = fit(case.tables, case.args[1], loose, case.args[3], settings=case.settings,
                              kept_in=case.places.cells, jobs=1, on_progress=None)  # fmt: skip
    assert row(rows_of(case, permutations=50), "permuted labels").level == "red"


def test_labels_that_are_noise_are_amber(tmp_path):
    noise = lambda t: replace(t, X=np.random.default_rng(5).normal(size=t.X.shape).astype(np.float32))  # noqa: E731
    one = row(rows_of(setting(tmp_path, change=noise), permutations=60), "permuted labels")
    assert one.level == "amber" and "nothing was learned" in one.sentence


def test_twins_over_both_sides_flatter(tmp_path):
    def twins(table):
        X = np.random.default_rng(2).normal(size=(len(table.X), 200)).astype(np.float32)  # room to remember each
        X[1::2] = X[::2]
        return replace(table, X=X)

    case = setting(tmp_path, made(tmp_path / "cache" / "toy", samples=samples_of(360)), change=twins)
    one = row(rows_of(case), "ungrouped folds")
    assert one.value > 0.1 and one.low < one.value < one.high
    assert one.low > 0 and "an optimism is shown" in one.sentence


def test_the_optimism_is_the_difference_of_two_means(tmp_path):
    case = setting(tmp_path)
    one = row(rows_of(case), "ungrouped folds")
    told = float(one.sentence.split("score ")[1][:5])
    assert one.value == pytest.approx(told - case.cells[0].values("auc").mean(), abs=6e-4)


def test_other_plans_are_held_against_grouped_halvings(tmp_path):
    one = row(rows_of(setting(tmp_path, scheme="kfold:3")), "ungrouped folds")
    five = row(rows_of(setting(tmp_path / "b")), "ungrouped folds")
    assert one.value == pytest.approx(five.value, abs=1e-9)


def test_one_image_a_group_leaves_nothing_to_ignore(tmp_path):
    samples = [replace(s, group=s.id, unit=s.id) for s in samples_of()]
    one = row(rows_of(setting(tmp_path, made(tmp_path / "cache" / "toy", samples=samples))), "ungrouped folds")
    assert one.value is None and "nothing to ignore" in one.sentence


def test_identical_columns_beside_each_other_differ_by_nothing(whole):
    found = ungrouping._influences(whole.questions[0], whole.cells[0])
    assert significance.group_t(ungrouping._beside(found, found), 0, 1).p == 1.0


def test_what_stands_beside_the_picture_is_asked_on_the_same_rows_and_folds(tmp_path, monkeypatch):
    samples = samples_of(240, attributes=lambda n: {"sex": "fm"[n // 2 % 6 == 2], "age": str(n // 2 % 50)})
    case = setting(tmp_path, made(tmp_path / "cache" / "toy", samples=samples))
    table, (question,) = case.tables[0], case.questions
    blank = fingerprints.Fingerprint("", 0, 1000, 64, 48, "RGB", "JPEG", "")
    known = {d: blank._replace(sha256=d, bytes=1000 + n % 7) for n, d in enumerate(table.digests)}
    monkeypatch.setattr(besides, "remembered", lambda *_, **__: known)
    seen = []
    aucs = besides.shortcuts._aucs
    monkeypatch.setattr(besides.shortcuts, "_aucs", lambda *given: seen.append(given[1:3]) or aucs(*given))
    found = rows_of(case)
    assert row(found, "metadata: age, sex, site").level == "red"
    assert row(found, "file properties: file").level == "green"
    assert len(seen) == 2 * 10
    for question_asked, split in seen:
        assert (question_asked.rows == np.arange(len(question.ids))).all()
        assert any((split.test == own.test).all() for own in question.splits if len(own.test) == len(split.test))


def test_too_few_groups_are_told(found):
    told = [one for one in found if one.what == "metadata"]
    assert told and all(one.level == "info" and "groups" in one.sentence for one in told)
    assert all("'diagnosis'" not in one.sentence for one in told)


def test_pixels_are_found_among_the_tables_and_held_against(tmp_path):
    cache = tmp_path / "cache" / "toy"
    strong, flat = made(cache, name="net"), made(cache, name="pixels", seed=7)
    weak = lambda t: replace(t, X=np.random.default_rng(1).normal(size=t.X.shape).astype(np.float32))  # noqa: E731
    case = setting(tmp_path, strong, flat, change=lambda t: weak(t) if t.label.startswith("pixels") else t)
    one = row(rows_of(case), "pixels")
    assert (one.level, one.sentence[:6]) == ("green", "pixels") and one.low < one.value < one.high


def test_pixels_are_found_in_the_cache_where_they_are_of_the_same_images(tmp_path):
    cache = tmp_path / "cache" / "toy"
    first = made(cache, name="net")
    made(cache, name="pixels", seed=7, images=lambda n: f"other {n}")
    assert row(rows_of(setting(tmp_path, first)), "pixels").value is None
    made(cache, name="pixels", seed=8)
    case = setting(tmp_path, first)
    one = row(rows_of(case), "pixels")
    assert one.value is not None and "no difference shown" in one.sentence and one.level == "amber"


def test_random_weights_are_known_by_their_label():
    assert untrained._kind({"backbone": "vgg16"}, {"weights": "random7"}) == "random weights"
    assert untrained._kind({"backbone": "vgg16"}, {"weights": "file-random7"}) == ""
    assert untrained._kind({"backbone": "pixels"}, {"weights": "none"}) == "pixels"


def test_too_few_permutations_are_refused(whole):
    with pytest.raises(UsageError, match="at least 20"):
        rows_of(whole, permutations=10)


def test_text_is_aligned(found):
    lines = sanity.sanity_told(found).splitlines()
    assert len(lines) == len(found)
    assert len({line.index(one.what, 10) for line, one in zip(lines, found, strict=True)}) == 1
    assert sanity.sanity_told([]) == ""
