"""A leak measured: what is copied and split, that each arm leaks what it says and no more, and that parts add up."""

from __future__ import annotations

import csv
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import QUICK, SIDE
from PIL import Image

from featx import pipeline, seen
from featx.augment import move_lists, turned
from featx.cache.places import Places
from featx.datasets import open_dataset
from featx.errors import SplitError, UnknownName, UsageError
from featx.extraction import extract
from featx.images import Transform
from featx.pipeline import leak
from featx.pipeline.leak import PROTOCOLS, Network, arms, pictures, scoring
from featx.significance import corrected_t

MAIA, REPORT = PROTOCOLS["maia2019"], PROTOCOLS["ham10000-report"]
COLOURS = Network("pixels", "none", layer="pixels", transform=Transform(4))
NEAREST = {"classifier": "knn", "params": ["n_neighbors=1"]}


@pytest.fixture(scope="module", autouse=True)
def _in_this_process():
    """Decode and infer here: a process of its own takes seconds to begin, and is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("featx.extraction", "featx.pipeline.leak.sources", "featx.training.entries"):
            patch.setattr(f"{place}.extract", partial(extract, isolate=False))
        yield


def coloured(folder, *, lesions=60, each=2, seed=0, positives=20, words=("nv", "mel")):
    """Draw lesions of a colour of their own that says nothing of the diagnosis: only who has seen it can tell."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = ["image,dx,lesion_id"]
    for lesion, view in product(range(lesions), range(each)):
        if view == 0:
            colour = rng.integers(20, 236, 3)
        pixels = np.full((SIDE, SIDE, 3), colour) + rng.integers(-2, 3, (SIDE, SIDE, 3))
        name = f"i{lesion}-{view}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
        lines.append(f"{name},{words[lesion < positives]},L{lesion}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def drawn(protocol, y, groups, *, repeats=3, seed=0):
    versions = protocol.versions(np.array(y), seed=seed)
    names = [f"v{v.of}-{v.copy}" for v in versions]
    made = arms.arms_of(protocol, versions, names=names, y=np.array(y), groups=groups, repeats=repeats, seed=seed)
    return versions, made


# ---- what is copied


def test_on_isic_2018_each_melanoma_has_the_seven_copies_of_the_released_code_and_the_rest_none():
    y = np.array([0] * 8902 + [1] * 1113)
    versions = MAIA.versions(y, seed=0)
    copies = [v for v in versions if v.copy]
    assert len(versions) - len(copies) == 10015 and {v.of for v in copies} == set(range(8902, 10015))
    assert [v.moves for v in copies[:7]] == move_lists(7)
    assert 1113 + len(copies) == 8904  # the thesis: 8904 + 8902


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_repetitions_make_all_classes_equally_large(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    versions = REPORT.versions(y, seed=seed)
    of = np.array([v.of for v in versions])
    assert set(np.bincount(y[of]).tolist()) == {max(counts)}
    assert len({(v.of, v.copy) for v in versions}) == len(versions) and not any(v.moves for v in versions)
    for code in range(len(counts)):  # none twice as often as another, before all have been taken
        often = np.bincount(of, minlength=len(y))[y == code]
        assert often.max() - often.min() <= 1


# ---- how it is split


@given(st.integers(0, 500), st.sampled_from([MAIA, REPORT]))
@settings(max_examples=25, deadline=None)
def test_each_arm_leaks_what_it_says_and_no_more(seed, protocol):
    rng = np.random.default_rng(seed)
    groups = [f"L{n}" for n in rng.integers(0, 60, 150)]
    y = np.array([int(group[1:]) % 4 == 0 for group in groups], dtype=int)
    versions, (published, by_image, by_group) = drawn(protocol, y, groups, seed=seed)
    of = np.array([v.of for v in versions])
    original = np.array([v.copy == 0 for v in versions])
    group = np.array(groups)[of]
    for split in published.plan.splits:
        sides = np.concatenate([split.train, split.validation, split.test])
        assert np.array_equal(np.sort(sides), np.arange(len(versions)))
        assert len(split.test) / len(versions) == pytest.approx(protocol.shares[2], abs=0.03)
        assert set(of[split.train]) & set(of[split.test])  # copies of one picture on both sides
    for arm, word in ((by_image, of), (by_group, group)):
        for split in arm.plan.splits:
            assert not set(word[split.train]) & set(word[np.concatenate([split.test, split.validation])])
            assert original[split.test].all() and original[split.validation].all()
            whole = np.isin(of, of[split.train])
            assert np.array_equal(np.flatnonzero(whole), split.train)  # all copies of what trains, train
    assert any(set(group[split.train]) & set(group[split.test]) for split in by_image.plan.splits)
    assert [arm.groups for arm in (published, by_group)] == [[f"v{v.of}-{v.copy}" for v in versions], group.tolist()]


def test_repeats_differ_and_the_same_seed_draws_the_same():
    groups = [f"L{n // 2}" for n in range(120)]
    y = [int(n // 2 % 3 == 0) for n in range(120)]
    first, again = drawn(MAIA, y, groups, seed=4)[1], drawn(MAIA, y, groups, seed=4)[1]
    for one, other in zip(first, again, strict=True):
        assert one.plan.digest == other.plan.digest
        assert len({split.test.tobytes() for split in one.plan.splits}) == 3
        assert [split.repeat for split in one.plan.splits] == [0, 1, 2]
    assert drawn(MAIA, y, groups, seed=5)[1][2].plan.digest != first[2].plan.digest


def test_a_class_of_too_few_groups_is_told():
    groups = [f"L{n}" for n in range(30)]
    with pytest.raises(SplitError, match="class 'melanoma'"):
        versions, made = drawn(MAIA, [0] * 28 + [1] * 2, groups)
        asked_of(versions, np.array([0] * 28 + [1] * 2)).question(made[2])


def asked_of(versions, y, names=None):
    from featx.designs import Assignment

    codes = y[[v.of for v in versions]]
    ids = tuple(names or (f"v{v.of}-{v.copy}" for v in versions))
    return scoring.Asked(MAIA.design(), Assignment(("rest", "melanoma"), codes, {}), ids,
                         np.array([v.copy == 0 for v in versions]), "knn", ("n_neighbors=1",), 0)  # fmt: skip


# ---- the copies on the disk


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    return coloured(tmp_path_factory.mktemp("leak") / "data")


@pytest.fixture(scope="module")
def found(lesions, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return leak.measure(lesions, network=COLOURS, repeats=6, cache=cache, **NEAREST), cache


def table_of(cache):
    (table,) = cache.glob("leak/*/metadata.csv")
    return table


def test_copies_are_lossless_files_that_differ_in_bytes_even_where_the_picture_is_the_same(found):
    table = table_of(found[1])
    with open(table) as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 120 + 40 * 1 and set(rows[0]) == set(pictures.HEADER)
    by_name = {row["image"]: row for row in rows}
    copies = [row for row in rows if row["copy"] != "0"]
    for row in copies:
        first, own = (np.asarray(Image.open(table.parent / "images" / row[key])) for key in ("original", "image"))
        assert np.array_equal(own, turned(first, ["flip-h"]))
        assert by_name[row["original"]]["lesion"] == row["lesion"] and row["diagnosis"] == "mel"
    files = [path.read_bytes() for path in (table.parent / "images").iterdir()]
    assert len(files) == len(set(files)) == len(rows)


def test_what_was_written_is_found_and_what_was_stopped_is_written_anew(lesions, found, tmp_path):
    network, cache = COLOURS, found[1]
    table = table_of(cache)
    before = {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.png")}
    again = leak.measure(lesions, network=network, repeats=6, cache=cache, **NEAREST)
    assert {path: path.stat().st_mtime_ns for path in table.parent.rglob("*.png")} == before
    assert again.scores == found[0].scores
    table.unlink()
    lost = next(iter(before))
    lost.unlink()
    assert leak.measure(lesions, network=network, repeats=6, cache=cache, **NEAREST).scores == again.scores
    assert lost.exists() and table.exists()


# ---- what a leak adds


def test_colours_that_say_nothing_score_chance_by_group_and_much_by_every_leak(found):
    result, _ = found
    aucs = {arm: np.mean([one["auc"] for one in scores]) for arm, scores in result.scores.items()}
    assert aucs[leak.PUBLISHED] > 0.85 and aucs[leak.BY_IMAGE] > 0.75
    assert abs(aucs[leak.BY_GROUP] - 0.5) < 0.12
    total = next(row for row in result.rows if (row.leak, row.metric) == ("all of it", "auc"))
    assert total.low > 0.1 and total.p < 0.01


def test_with_one_image_a_lesion_only_copies_leak(tmp_path):
    data = coloured(tmp_path / "data", lesions=150, each=1, positives=30)
    result = leak.measure(data, network=COLOURS, repeats=8, cache=tmp_path / "cache", **NEAREST)
    assert "melanoma 30 + 90" in result.counts
    rows = {row.leak: row for row in result.rows if row.metric == "auc"}
    assert rows["copies of tested images among what is learned"].low > 0.1
    assert abs(rows["other images of tested groups among what is learned"].difference) < 0.1


def test_the_parts_add_up_to_all_of_it(found):
    rows = found[0].rows
    for metric in dict.fromkeys(row.metric for row in rows):
        whole, *parts = [row.difference for row in rows if row.metric == metric]
        assert len(parts) == 3 and sum(parts) == pytest.approx(whole, abs=1e-12)


def test_the_interval_is_nadeau_and_bengios(found):
    result = found[0]
    d = np.array([a["auc"] - b["auc"] for a, b in
                  zip(result.scores[leak.PUBLISHED], result.scores[leak.BY_GROUP], strict=True)])  # fmt: skip
    test = corrected_t(d[:, None], ratio=0.15 / 0.7225)
    row = result.rows[0]
    assert (row.difference, row.low, row.high, row.p) == pytest.approx(test[1:4] + test[6:7])


def test_one_repeat_has_no_interval(found):
    scores = {arm: own[:1] for arm, own in found[0].scores.items()}
    row = scoring.optimism(scores, ["auc"], ratio=0.2)[0]
    assert (row.low, row.high, row.p) == (None, None, 1.0) and "one repeat" in row.note


def test_repeated_pictures_need_no_files_and_leak_all_the_same(tmp_path):
    data = coloured(tmp_path / "data", lesions=90, each=1, positives=20)
    result = leak.measure(data, protocol="ham10000-report", network=COLOURS, repeats=5, cache=tmp_path / "c", **NEAREST)
    assert not (tmp_path / "c" / "leak").exists()
    assert result.counts == "mel 20 + 50, nv 70 + 0"
    rows = {row.leak: row for row in result.rows if row.metric == "auc"}
    assert rows["copies of tested images among what is learned"].low > 0


def test_words_and_tables(found):
    result = found[0]
    text = leak.told(result)
    assert "The leak of Maia (2019)" in text and "120" not in text.split("\n")[0]
    assert "rest 80 + 0, melanoma 40 + 40 (images + copies)" in text and "means of 6 hold-outs" in text
    lines = leak.markdown(result).splitlines()
    assert len(lines) == 2 + 4 + 4 and len({line.count("|") for line in lines}) == 1
    assert len(leak.csv_rows(result)) == 16
    assert {len(row) for row in leak.csv_rows(result)} == {len(leak.telling.HEADER)}


# ---- networks


def test_networks_are_trained_on_each_arm_and_have_not_seen_what_an_honest_arm_tests(lesions, tmp_path):
    network = Network("maia-custom2", "random", transform=Transform(SIDE), settings=QUICK, training={"head": "linear"})
    asked = {"network": network, "classifier": "argmax", "repeats": 1, "cache": tmp_path}
    epochs = []
    first = leak.measure(lesions, on_epoch=lambda split, row: epochs.append(split), **asked)
    assert len(epochs) == 3 * QUICK.epochs
    assert {arm: len(scores) for arm, scores in first.scores.items()} == dict.fromkeys(first.scores, 1)
    assert leak.measure(lesions, on_epoch=lambda split, row: epochs.append(split), **asked).scores == first.scores
    assert len(epochs) == 3 * QUICK.epochs  # found, not trained again

    places = Places.at(tmp_path)
    source = leak.source_of(leak.Wanted(open_dataset(lesions), MAIA.design(), MAIA, network, True, 0, places))
    about = {"names": source.names, "y": source.assignment.y, "groups": source.groups}
    made = arms.arms_of(MAIA, source.versions, repeats=1, seed=0, **about)
    for arm, table in source.tables(made).items():
        (split,) = next(one for one in made if one.name == arm).plan.splits
        record = seen.seen_by(table.parts[0].features.about["spec"], places)
        known = record.rows(table.dataset, table.digests)
        assert known[split.train].all() and not known[split.test].any()


# ---- in a pipeline

STUDY = """
name: toy
title: A toy of a study that leaks
study: {cite: A. Toy (2020)}
datasets: {main: {title: The Toy Set}}
designs:
  - {ask: mel-vs-rest, classes: {rest: [nv], melanoma: [mel]}}
experiments:
  - {id: prior, title: the prior, backbone: pixels, layers: [pixels], transform: {size: 8},
     folds: "kfold:2", classifiers: [dummy]}
leaks:
  - {id: leak, title: What it adds, protocol: maia2019, design: mel-vs-rest, backbone: pixels, layer: pixels,
     transform: {size: 8}, classifiers: [knn], params: [n_neighbors=1], repeats: 9}
  - {id: other, title: Of a network, protocol: maia2019, design: mel-vs-rest, backbone: maia-custom2, weights: random,
     classifiers: [argmax], train: {epochs: 1}}
scales: {smoke: {leaks: {leak: {repeats: 3}}, leave_out: {other: it takes hours}}}
"""


def ran(data, cache, **changes):
    study = pipeline.reading.parse(STUDY, where="toy.yaml")
    plan = pipeline.planned(study, pipeline.Asked(data, **changes), cache=cache)
    return plan, pipeline.run(plan, cache=cache, out=cache / "out")


def test_a_pipeline_shows_its_leaks_as_tables_and_does_not_measure_them_twice(lesions, tmp_path, monkeypatch):
    plan, first = ran(lesions, tmp_path)
    assert [step.kind for step in plan.steps.values()] == ["extract", "compare", "leak"]
    assert "smoke: repeats 3 (leak)" in plan.notes and any("it takes hours" in note for note in plan.notes)
    (table,) = [one for one in first.tables if one.id == "leak-knn"]
    assert table.heads == ("", "AUC", "accuracy", "balanced accuracy", "macro F1") and len(table.rows) == 8
    assert table.rows[4][0] == "added: all of it"
    assert float(table.rows[4][1].split()[0]) == pytest.approx(table.values[0][1] - table.values[3][1], abs=1e-3)
    assert (tmp_path / "out" / "tables" / "leak-knn.csv").exists()
    assert any("copies of one melanoma train" in note for note in table.notes)
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "3 stratified hold-outs (72.2% : 12.8% : 15.0%) in each of three arms" in text
    monkeypatch.setattr("featx.pipeline.leak.steps.measure", None)
    assert ran(lesions, tmp_path)[1].tables == first.tables


def test_without_groups_there_is_nothing_to_hold_a_leak_against(lesions, tmp_path):
    study = pipeline.reading.parse(STUDY, where="toy.yaml")
    whole = open_dataset(lesions)
    lone = tmp_path / "lone.csv"
    lone.write_text("image,dx\n" + "".join(f"{one.path},{one.diagnosis}\n" for one in whole.samples))
    for one in whole.samples:
        (tmp_path / one.path).symlink_to(whole.root / one.path)
    plan = pipeline.planned(study, pipeline.Asked(lone), cache=tmp_path / "cache")
    assert "knows no lesions or patients" in plan.left_out["leak"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("protocol: maia2019, design: mel-vs-rest, backbone: pixels", "protocol: maia, design: mel-vs-rest, "
         "backbone: pixels", "line 12: unknown leaky protocol 'maia'; did you mean 'maia2019'"),
        ("leak: {repeats: 3}", "leek: {repeats: 3}", "unknown leak 'leek'; did you mean 'leak'"),
        ("repeats: 9", "repeats: 1", "greater than or equal to 2"),
        ("train: {epochs: 1}", "layer: gap", "a `train` block and the classifier argmax go together"),
        ("repeats: 9", "repeat: 9", "unknown key 'repeat' in leaks[0]; did you mean 'repeats'"),
    ],
)  # fmt: skip
def test_a_leak_that_makes_no_sense_is_told_with_its_line(old, new, told):
    assert old in STUDY
    with pytest.raises(UsageError) as error:
        pipeline.reading.parse(STUDY.replace(old, new, 1), where="toy.yaml")
    assert told in str(error.value)


# ---- refusals


def test_refusals(lesions, tmp_path):
    with pytest.raises(UnknownName, match="unknown leaky protocol 'maia'; did you mean 'maia2019'"):
        leak.measure(lesions, protocol="maia", cache=tmp_path)
    for repeats in (0, 1001):
        with pytest.raises(UsageError, match=f"1 to 1000 repeats; {repeats} came"):
            leak.measure(lesions, repeats=repeats, cache=tmp_path)
    lone = tmp_path / "lone"
    lone.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(lone / "a.png")
    (lone / "labels.csv").write_text("image,dx\na.png,mel\n")
    with pytest.raises(UsageError, match="knows no lesions or patients"):
        leak.measure(lone / "labels.csv", network=COLOURS, cache=tmp_path / "cache")
