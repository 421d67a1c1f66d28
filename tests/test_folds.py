"""Folds: no group is divided, every class is on both sides, and a plan is drawn once and read back as it was."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from featx import folds
from featx.errors import SplitError, UsageError

GROUPS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=40)
PLENTY = GROUPS.map(lambda groups: [*groups, *[(5, 0)] * 8])  # eight equals that can be halved in 35 ways


def rows_of(structure):
    """Return ids, groups and strata of groups given as (size, stratum)."""
    rows = [(f"g{at}", f"s{kind}") for at, (size, kind) in enumerate(structure) for _ in range(size)]
    return [f"i{row}" for row in range(len(rows))], [group for group, _ in rows], [kind for _, kind in rows]


def simple(n=40, per_group=2):
    ids = [f"i{row}" for row in range(n)]
    return ids, [f"g{row // per_group}" for row in range(n)], ["ab"[row // per_group % 2] for row in range(n)]


def drawn(scheme="5x2", seed=0, **kwargs):
    ids, groups, strata = simple(**kwargs)
    return folds.draw(scheme, ids, groups=groups, strata=strata, seed=seed)


def straddlers(plan):
    """Return the groups on both sides of a split, by plain sets of names."""
    of = dict(zip(plan.ids, plan.groups, strict=True))
    named = [[{of[plan.ids[row]] for row in side} for side in (s.train, s.test, s.validation)] for s in plan.splits]
    return [a & b | a & c | b & c for a, b, c in named if a & b | a & c | b & c]


@settings(max_examples=150, deadline=None)
@given(GROUPS, st.integers(0, 2**32 - 1), st.sampled_from(["5x2", "kfold:3", "holdout", "holdout:60/20/20"]))
@example([(1, 0)], 0, "5x2")
@example([(3, 0), (3, 0), (3, 0)], 1, "5x2")
def test_no_group_is_on_two_sides_and_every_row_is_on_one(structure, seed, scheme):
    ids, groups, strata = rows_of(structure)
    try:
        plan = folds.draw(scheme, ids, groups=groups, strata=strata, seed=seed)
    except SplitError as error:
        assert "group" in str(error)
        assert scheme == "5x2" or len(structure) < 3
        return
    assert straddlers(plan) == []
    for split in plan.splits:
        assert sorted([*split.train, *split.test, *split.validation]) == list(range(len(ids)))
        assert len(split.train) and len(split.test)


@settings(max_examples=150, deadline=None)
@given(PLENTY, st.integers(0, 2**32 - 1))
def test_halves_hold_every_stratum_with_two_groups_and_differ_by_one_group_at_most(structure, seed):
    ids, groups, strata = rows_of(structure)
    plan = folds.draw("5x2", ids, groups=groups, strata=strata, seed=seed)
    for kind in set(strata):
        sizes = [size for size, at in structure if f"s{at}" == kind]
        for split in plan.splits:
            counts = [sum(strata[row] == kind for row in side) for side in (split.train, split.test)]
            assert abs(counts[0] - counts[1]) <= max(sizes)
            assert min(counts) > 0 or len(sizes) == 1


@settings(max_examples=100, deadline=None)
@given(GROUPS | PLENTY, st.integers(0, 100))
def test_five_distinct_partitions_each_used_both_ways_or_a_clear_refusal(structure, seed):
    ids, groups, strata = rows_of(structure)
    try:
        plan = folds.draw("5x2", ids, groups=groups, strata=strata, seed=seed)
    except SplitError as error:
        assert "too few groups for 5x2" in str(error) or "cannot be divided" in str(error)
        assert structure[-8:] != [(5, 0)] * 8
        return
    assert [(split.repeat, split.half) for split in plan.splits] == [(r, h) for r in range(5) for h in (0, 1)]
    partitions = {frozenset([frozenset(s.train.tolist()), frozenset(s.test.tolist())]) for s in plan.splits}
    assert len(partitions) == 5
    for first, second in zip(plan.splits[::2], plan.splits[1::2], strict=True):
        assert first.train.tolist() == second.test.tolist() and first.test.tolist() == second.train.tolist()


@settings(max_examples=60, deadline=None)
@given(PLENTY, st.integers(0, 100))
def test_the_same_seed_gives_the_same_plan_and_another_seed_another(structure, seed):
    ids, groups, strata = rows_of(structure)
    plans = [folds.draw("5x2", ids, groups=groups, strata=strata, seed=s).describe() for s in (seed, seed, seed + 1)]
    assert plans[0] == plans[1]
    assert plans[0]["splits"] != plans[2]["splits"]


@settings(max_examples=60, deadline=None)
@given(PLENTY, st.integers(0, 100), st.integers(0, 3))
def test_every_split_serves_a_design_on_part_of_the_rows_or_names_the_class(structure, seed, dropped):
    ids, groups, strata = rows_of(structure)
    kept = [row for row, kind in enumerate(strata) if kind != f"s{dropped}"]
    classes = sorted({strata[row] for row in kept})
    assume(len(classes) > 1)
    plan = folds.draw("5x2", ids, groups=groups, strata=strata, seed=seed)
    y = np.array([classes.index(strata[row]) for row in kept])
    try:
        splits = folds.check(plan, ids=[ids[row] for row in kept], y=y, classes=classes, design="d")
    except SplitError as error:
        few = [kind for kind in classes if len({groups[row] for row in kept if strata[row] == kind}) < 2]
        assert any(repr(kind) in str(error) for kind in few) or "halvings differ" in str(error)
        return
    for split in splits:
        assert set(y[split.train]) == set(y[split.test]) == set(range(len(classes)))


def test_mixed_groups_still_put_every_stratum_on_both_sides():
    groups = [f"g{row // 3}" for row in range(60)]
    strata = [["a", "a", "b", "c"][row % 4] for row in range(60)]
    plan = folds.draw("5x2", [str(row) for row in range(60)], groups=groups, strata=strata)
    for split in plan.splits:
        assert {strata[row] for row in split.train} == {strata[row] for row in split.test} == {"a", "b", "c"}


def test_halves_are_as_balanced_as_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    structure = [(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])), int(rng.integers(4))) for _ in range(300)]
    ids, groups, strata = rows_of(structure)
    plan = folds.draw("5x2", ids, groups=groups, strata=strata)
    train, test = next(StratifiedGroupKFold(2, shuffle=True, random_state=0).split(ids, strata, groups))

    def imbalance(train, test):
        left, right = (Counter(strata[row] for row in side) for side in (train, test))
        return max(abs(left[kind] - right[kind]) for kind in set(strata))

    worst = max(imbalance(split.train, split.test) for split in plan.splits)
    assert worst <= max(1, imbalance(train, test))


def test_every_row_is_as_often_in_each_part_when_many_plans_are_drawn():
    ids, groups, strata = simple(n=12, per_group=1)
    tested = np.zeros(12)
    for seed in range(400):
        tested[folds.draw("holdout:50/50", ids, groups=groups, strata=strata, seed=seed).splits[0].test] += 1
    assert np.all(abs(tested - 200) < 60)  # 6 standard deviations of a fair coin


def test_kfold_tests_each_row_once_and_numbers_its_folds():
    plan = drawn("kfold:4")
    assert [(split.repeat, split.half) for split in plan.splits] == [(0, k) for k in range(4)]
    assert sorted(np.concatenate([split.test for split in plan.splits])) == list(range(40))
    assert drawn("kfold").splits[-1].half == 4


def test_holdouts_have_the_shares_asked_for():
    two, three = drawn("holdout", n=200), drawn("holdout:60/20/20", n=200)
    assert (len(two.splits[0].train), len(two.splits[0].test), len(two.splits[0].validation)) == (160, 40, 0)
    sides = three.splits[0]
    assert (len(sides.train), len(sides.validation), len(sides.test)) == (120, 40, 40)


def test_official_parts_are_taken_as_they_are():
    ids, groups, strata = simple(n=8)
    words = ["train", "train", "test", "test", "validation", "validation", "", ""]
    split = folds.draw("official", ids, groups=groups, strata=strata, parts=words).splits[0]
    assert (split.train.tolist(), split.test.tolist(), split.validation.tolist()) == ([0, 1], [2, 3], [4, 5])


def test_official_parts_that_divide_a_group_are_tested_whole_and_cleared_from_the_train_side(tmp_path):
    ids, groups, strata = simple(n=6)
    words = ["train", "train", "train", "test", "validation", "train"]
    plan = folds.draw("official", ids, groups=groups, strata=strata, parts=words)
    (split,) = plan.splits
    assert [side.tolist() for side in (split.train, split.test, split.validation)] == [[0, 1], [3], [4]]
    (note,) = plan.notes
    assert note.startswith("2 groups are divided by these parts (g1, g2): 2 rows of the train sides are left out, ")
    assert folds.load(folds.save(plan, tmp_path / "f.json", about={})).describe() == plan.describe()


def test_each_source_is_tested_once_and_nothing_of_its_groups_trains():
    ids = [f"i{n}" for n in range(8)]
    groups = ["a", "a", "b", "c", "d", "b", "e", "f"]
    sources = ["x", "x", "x", "y", "y", "y", "", "z"]
    plan = folds.draw("by:dataset", ids, groups=groups, strata=["nv"] * 8, parts=sources)
    assert [split.test.tolist() for split in plan.splits] == [[0, 1, 2], [3, 4, 5], [7]]
    assert [split.train.tolist() for split in plan.splits] == [[3, 4, 7], [0, 1, 7], [0, 1, 2, 3, 4, 5]]
    assert plan.notes[:2] == ("tested in turn: 0 x, 1 y, 2 z", "1 images have no dataset and are on no side")
    y = np.array([0, 0, 1, 0, 1, 1, 0, 0])
    left = folds.check(plan, ids=ids, y=y, classes=("nv", "mel"), design="d")
    assert [split.half for split in left] == [0]


def test_a_column_of_one_value_cannot_be_left_out():
    with pytest.raises(SplitError, match="by:dataset: the column has 1 values"):
        folds.draw("by:dataset", ["a", "b"], groups=["a", "b"], strata=["x", "x"], parts=["v", "v"])


def fold_file(path, partitions):
    lines = ["# diagnoses: melanoma 1"]
    for number, halves in enumerate(partitions, 1):
        lines.append(f"Fold_{number}:")
        for half in halves:
            lines += [f"{'- - ' if name == half[0] else '  - '}{name}.tiff" for name in half]
    path.write_text("\n".join(lines) + "\n")
    return path


HALVES = [(["a1", "b1"], ["c1", "d1"]), (["a1", "c1"], ["b1", "d1"])]


def released(path, ids=("A1", "b1", "c1", "d1"), groups=None):
    return folds.released(path, ids, groups=groups or ids, files=[f"x/{name}.jpg" for name in ids])


def test_fold_files_of_the_paper_are_read_and_their_swapped_halves_told(tmp_path):
    swapped = [fold for halves in HALVES for fold in (halves, halves[::-1])]
    plan = released(fold_file(tmp_path / "protocol1.yml", swapped))
    assert [(s.repeat, s.half) for s in plan.splits] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [s.train.tolist() for s in plan.splits] == [[0, 1], [2, 3], [0, 2], [1, 3]]
    assert [s.test.tolist() for s in plan.splits] == [[2, 3], [0, 1], [1, 3], [0, 2]]
    assert plan.scheme == "released:protocol1.yml"
    assert plan.notes[0] == "2 distinct partitions of 4 folds, each used both ways"
    assert plan.notes[1].startswith("2 folds are the one before with its halves swapped")


def test_images_that_a_fold_file_does_not_place_and_that_are_missing_are_told(tmp_path):
    plan = released(fold_file(tmp_path / "p.yml", HALVES), ids=("a1", "b1", "c1", "fhl022"))
    assert "1 of the 4 images of the file are not in these data (d1, ...)" in plan.notes
    assert "1 images are in no fold of the file (fhl022)" in plan.notes


def test_a_group_that_a_fold_file_divides_is_tested_and_not_trained_on(tmp_path):
    plan = released(fold_file(tmp_path / "p.yml", HALVES), groups=["g", "b1", "g", "d1"])
    assert [s.train.tolist() for s in plan.splits] == [[1], [3], [0, 2], [1, 3]]
    assert plan.notes[-1].startswith("1 group is divided by these parts (g): 2 rows of the train sides are left out")


def test_a_fold_file_with_one_fold_is_one_split(tmp_path):
    plan = released(fold_file(tmp_path / "isic.yml", HALVES[:1]))
    assert [(s.train.tolist(), s.test.tolist()) for s in plan.splits] == [([0, 1], [2, 3])]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "a list came"),
        ("classes: {}\n", "the key 'classes' came"),
        ("Fold_1: [[a.tiff]]\n", "Fold_1 is something else"),
        ("Fold_1: [[a.tiff], [a.tiff]]\n", "Fold_1 has a in both of its halves"),
        ("Fold_1: [[x.tiff], [y.tiff]]\n", "has no image in these data"),
        ("Fold_1: [", "is no readable YAML"),
    ],
)
def test_other_files_are_no_fold_files(tmp_path, text, told):
    (tmp_path / "f.yml").write_text(text)
    with pytest.raises((UsageError, SplitError), match=told):
        released(tmp_path / "f.yml")


def test_a_fold_file_that_is_not_there_is_missed():
    with pytest.raises(UsageError, match="no folds file"):
        released(Path("nowhere.yml"))


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("5x3", "unknown folds '5x3'"),
        ("kfold:one", "whole number"),
        ("kfold:1", "at least 2"),
        ("holdout:80", "80/20"),
        ("holdout:80/0", "80/20"),
        ("holdout:1/1/1/1", "80/20"),
        ("5x2:7", "nothing after a colon"),
    ],
)
def test_a_scheme_that_is_none_is_told(scheme, told):
    with pytest.raises(UsageError, match=told):
        drawn(scheme)


@pytest.mark.parametrize("scheme", ["official", "kfold:21", "kfold:99999999999"])
def test_what_cannot_be_divided_so_is_told(scheme):
    with pytest.raises(SplitError, match=r"official split|20 groups cannot be divided"):
        drawn(scheme)


def test_ids_must_be_distinct():
    with pytest.raises(SplitError, match="'a' stands twice"):
        folds.draw("5x2", ["a", "b", "a"], groups=["1", "2", "3"], strata=["x"] * 3)


def test_groups_of_distinct_strata_are_still_divided():
    ids = [f"i{row}" for row in range(10)]
    plan = folds.draw("kfold:10", ids, groups=ids, strata=ids)
    assert [len(split.test) for split in plan.splits] == [1] * 10


def test_a_class_in_one_group_is_refused_by_name():
    ids, groups = [f"i{row}" for row in range(24)], [f"g{row // 2}" for row in range(24)]
    y = np.array([1, 1] + [0] * 22)
    plan = folds.draw("5x2", ids, groups=groups, strata=y.astype(str).tolist())
    with pytest.raises(SplitError, match=r"class 'rare' of design 'mine'.*it has 1 group \(g0\)"):
        folds.check(plan, ids=ids, y=y, classes=["common", "rare"], design="mine")


def test_halvings_that_agree_on_a_design_are_refused():
    ids, groups, strata = simple(n=40)
    plan = folds.draw("5x2", ids, groups=groups, strata=strata)
    few = [0, 4, 2, 6]
    y = np.array([0, 0, 1, 1])
    plan = replace(
        plan, splits=tuple(s._replace(train=np.array(few[::2]), test=np.array(few[1::2])) for s in plan.splits)
    )
    with pytest.raises(SplitError, match="only 1 of the five halvings differ on the 4 rows"):
        folds.check(plan, ids=[ids[row] for row in few], y=y, classes=["a", "b"], design="d")


def test_a_sample_that_the_plan_does_not_hold_is_refused():
    with pytest.raises(SplitError, match="do not hold sample 'stranger'"):
        drawn().on(["i0", "stranger"])


def test_a_plan_on_some_rows_is_the_plan_masked():
    plan = drawn()
    chosen = ["i7", "i2", "i30", "i31"]
    for whole, part in zip(plan.splits, plan.on(chosen), strict=True):
        assert {chosen[row] for row in part.test} == {plan.ids[row] for row in whole.test} & set(chosen)
        assert {chosen[row] for row in part.train} == {plan.ids[row] for row in whole.train} & set(chosen)


def test_byte_identical_images_join_their_groups():
    groups = ["c", "b", "a", "d", "e"]
    assert folds.join_groups(groups, ["1", "1", "2", "2", "3"]) == ["b", "b", "a", "a", "e"]
    assert folds.join_groups(["x", "y", "y", "z"], ["1", "1", "2", "2"]) == ["x"] * 4  # through a common group
    assert folds.join_groups(groups, [""] * 5) == groups


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_joined_groups_are_the_connected_components(rows):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined = folds.join_groups([f"g{group}" for group, _ in rows], [f"d{digest}" for _, digest in rows])
    if not rows:
        assert joined == []
        return
    group, digest = np.array(rows).T
    part = connected_components(coo_array((np.ones(len(rows)), (group, digest + 10)), shape=(20, 20)), directed=False)[
        1
    ]
    for i in range(len(rows)):
        for j in range(i):
            assert (joined[i] == joined[j]) == (part[group[i]] == part[group[j]])
    assert all(name <= f"g{own}" for name, own in zip(joined, group, strict=True))


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.integers(0, 100))
def test_inner_parts_divide_no_group_and_hold_every_class(structure, seed):
    _, groups, strata = rows_of(structure)
    y = np.unique(strata, return_inverse=True)[1]
    fewest = min(Counter(kind for _, kind in structure).values())
    if fewest < 2:
        with pytest.raises(SplitError, match="1 group inside a train half"):
            folds.inner_parts(y, groups, k=3, seed=seed)
        return
    parts = folds.inner_parts(y, groups, k=3, seed=seed)
    assert parts.max() + 1 == min(3, fewest)
    assert len({(group, part) for group, part in zip(groups, parts.tolist(), strict=True)}) == len(structure)
    for part in range(parts.max() + 1):
        assert set(y[parts == part]) == set(y[parts != part]) == set(y)


def test_a_plan_survives_its_file(tmp_path):
    plan = drawn("holdout:60/20/20")
    loaded = folds.load(folds.save(plan, tmp_path / "p.json", about={"dataset": "d"}))
    assert loaded.describe() == plan.describe() and loaded.digest == plan.digest


def test_a_saved_file_read_as_plain_json_divides_no_group(tmp_path):
    ids, groups, strata = simple()
    _, path = folds.drawn_once(
        "5x2", ids, groups=groups, strata=strata, seed=4, folder=tmp_path, about={"dataset": "demo", "data": "demo"}
    )
    value = json.loads(path.read_text(encoding="utf-8"))
    assert path.name.startswith("demo--") and value["dataset"] == "demo" and len(value["splits"]) == 10
    for split in value["splits"]:
        sides = [{value["groups"][name] for name in split[side]} for side in ("train", "test")]
        assert not sides[0] & sides[1] and sides[0] | sides[1] == set(groups)


def test_a_plan_is_drawn_once(tmp_path, monkeypatch):
    ids, groups, strata = simple()
    about = {"dataset": "d"}
    first, path = folds.drawn_once("5x2", ids, groups=groups, strata=strata, seed=1, folder=tmp_path, about=about)
    monkeypatch.setattr(folds, "draw", None)
    again, same = folds.drawn_once("5x2", ids, groups=groups, strata=strata, seed=1, folder=tmp_path, about=about)
    assert same == path and again.describe() == first.describe()


@pytest.mark.parametrize("change", ["ids", "groups", "strata", "seed", "scheme"])
def test_another_dataset_seed_or_label_is_another_file(tmp_path, change):
    ids, groups, strata = simple()
    given_ = {"scheme": "5x2", "ids": ids, "groups": groups, "strata": strata, "seed": 0}
    other = {
        "scheme": "kfold",
        "ids": ["x", *ids[1:]],
        "groups": ["g1", "g1", *groups[2:]],
        "strata": ["b", *strata[1:]],
        "seed": 1,
    }
    paths = []
    for case in (given_, {**given_, change: other[change]}):
        scheme, names = case["scheme"], case["ids"]
        rest = {key: case[key] for key in ("groups", "strata", "seed")}
        paths.append(folds.drawn_once(scheme, names, folder=tmp_path, about={"dataset": "d"}, **rest)[1])
    assert paths[0] != paths[1] and all(path.exists() for path in paths)


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path):
    ids, groups, strata = simple()
    about = {"dataset": "d"}
    _, path = folds.drawn_once("5x2", ids, groups=groups, strata=strata, seed=1, folder=tmp_path, about=about)
    folds.save(drawn("5x2", seed=2), path, about=about)
    with pytest.raises(SplitError, match="does not hold the folds that its name promises"):
        folds.drawn_once("5x2", ids, groups=groups, strata=strata, seed=1, folder=tmp_path, about=about)


def test_names_that_are_no_utf8_survive_a_file(tmp_path):
    ids = [f"caf\u00e9 \udcff{row}" for row in range(8)]
    plan = folds.Folds("kfold:2", 0, tuple(ids), tuple(ids), (folds.Split(0, 0, *np.split(np.arange(8), [4, 8])),))
    path = folds.save(plan, tmp_path / "p.json", about={})
    assert folds.load(path).ids == plan.ids
    assert "caf\u00e9" in path.read_text(encoding="utf-8")


def hostile():
    good = drawn().describe()
    first, *rest = good["splits"]
    leaky = {**first, "train": [*first["train"], first["test"][0]]}
    return {
        "another format": {**good, "format": "x"},
        "a list": [1],
        "no splits": {**good, "splits": []},
        "no groups": {key: value for key, value in good.items() if key != "groups"},
        "groups as a list": {**good, "groups": list(good["groups"])},
        "an unknown id": {**good, "splits": [{**first, "train": ["nobody"]}]},
        "a row twice": {**good, "splits": [{**first, "train": first["train"] * 2}]},
        "a number twice": {**good, "splits": [first, first]},
        "an infinite number": {**good, "splits": [{**first, "half": float("inf")}, *rest]},
        "a list for an id": {**good, "splits": [{**first, "test": [[]]}]},
        "a sample on both sides": {**good, "splits": [leaky, *rest]},
    }


@pytest.mark.parametrize("case", hostile())
def test_a_hostile_file_is_refused(tmp_path, case):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(hostile()[case]))
    expected, told = (SplitError, "two sides") if case == "a sample on both sides" else (UsageError, "no folds file")
    with pytest.raises(expected, match=told):
        folds.load(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"\\ud800"'])
def test_a_text_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="no folds file of featx"):
        folds.load(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UsageError, match="no folds file"):
        folds.load(tmp_path / "nowhere.json")


def test_groups_that_are_no_text_do_not_crash(tmp_path):
    value = drawn().describe()
    value["groups"] = {name: [group] for name, group in value["groups"].items()}
    path = tmp_path / "p.json"
    path.write_text(json.dumps(value))
    assert straddlers(folds.load(path)) == []


def test_the_check_of_straddling_groups_would_see_one():
    plan = drawn()
    one = plan.splits[0]
    leaky = one._replace(train=np.append(one.train, one.test[0]))
    with pytest.raises(SplitError, match="is on two sides of split 0x0"):
        folds.refuse_straddling(replace(plan, splits=(leaky, *plan.splits[1:])))


def test_a_plan_that_was_changed_after_it_was_drawn_is_refused(tmp_path):
    ids = [f"i{n}" for n in range(24)]
    plan = folds.draw("5x2", ids, groups=ids, strata=["a", "b"] * 12, seed=0)
    path = folds.save(plan, tmp_path / "plan.json", about={})
    value = json.loads(path.read_text())
    value["splits"][0]["test"].pop()
    path.write_text(json.dumps(value))
    with pytest.raises(SplitError, match="was changed after it was drawn"):
        folds.load(path)
    del value["digest"]
    path.write_text(json.dumps(value))
    assert len(folds.load(path).splits[0].test) == len(plan.splits[0].test) - 1


def test_a_name_of_a_fold_file_that_two_images_bear_is_refused(tmp_path):
    path = fold_file(tmp_path / "p.yml", HALVES)
    ids = ("a/a1.jpg", "b/a1.jpg", "b1", "c1", "d1")
    with pytest.raises(SplitError, match=r"a1 may be a/a1.jpg or b/a1.jpg"):
        folds.released(path, ids, groups=ids, files=ids)


def test_a_class_that_a_given_part_lacks_is_not_blamed_on_groups():
    ids = ["a", "b", "c", "d"]
    plan = folds.draw("by:hospital", ids, groups=ids, strata=["x"] * 4, parts=["A", "A", "B", "B"])
    with pytest.raises(
        SplitError, match=r"part 0 of the folds by:hospital: the parts are given.*tested in turn: 0 A, 1 B"
    ):
        folds.check(plan, ids=ids, y=np.array([1, 1, 0, 0]), classes=("nv", "mel"), design="d")


def test_the_inner_draws_of_the_paper_are_ten_by_group_with_both_classes_on_both_sides():
    groups = [f"g{row // 2}" for row in range(300)]
    y = np.array([row // 2 % 4 == 0 for row in range(300)]).astype(int)
    inner = folds.inner_splits(y, groups, scheme="shuffle10", k=3, seed=0)
    assert (inner.scheme, len(inner.held)) == ("shuffle10", 10)
    assert len({held.tobytes() for held in inner.held}) == 10
    for held in inner.held:
        assert 0.08 <= held.mean() <= 0.12
        assert {groups[row] for row in np.flatnonzero(held)}.isdisjoint(groups[row] for row in np.flatnonzero(~held))
        assert min(np.bincount(y[held]).min(), np.bincount(y[~held]).min()) >= 2
    again = folds.inner_splits(y, groups, scheme="shuffle10", k=3, seed=0)
    assert all((a == b).all() for a, b in zip(inner.held, again.held, strict=True))


def test_where_a_tenth_has_too_few_of_a_class_the_grouped_parts_are_taken_and_told():
    groups = [f"g{row}" for row in range(40)]
    y = (np.arange(40) < 5).astype(int)
    inner = folds.inner_splits(y, groups, scheme="shuffle10", k=3, seed=0)
    assert (inner.scheme, len(inner.held)) == ("kfold", 3)
    assert np.sum(inner.held, axis=0).tolist() == [1] * 40
