"""The evaluation: trained on one file alone, tested on another, and nothing that both hold goes by unseen."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn import metrics as sk

from featx import evaluation, families, fingerprints, significance
from featx.cache import OK, FeatureWriter, new_record
from featx.cache.places import Places
from featx.cli import main
from featx.comparison import compare
from featx.datasets.base import Dataset, Sample
from featx.description.evaluation import evaluation_told
from featx.errors import CacheIncomplete, CacheMismatch, DataError, SplitError, UnknownName, UsageError
from featx.evaluation import evaluate
from featx.images import Stat
from featx.matrix import read_features
from featx.provenance import version

WORDS = ("nv", "bkl", "mel", "bcc", "nv", "akiec")
N, DIM = 96, 10
FAST = {"classifiers": ["svm", "tree"], "params": ["C=1", "min_samples_leaf=5"], "jobs": 1}
SPEC = {"backbone": "net", "weights": "0" * 64, "layer": "fc7", "pool": None, "precision": "fp32"}


def made(
    path, *, first=0, called="toy", words=WORDS, hint=1.5, spec=SPEC, failed=(), change=lambda row, facts: facts,
    finish=True, **dataset,
):  # fmt: skip
    """Write a feature file of N rows, two a lesion, whose lesions and images begin at a number; return its path."""
    samples, digests = [], []
    for row in range(N):
        lesion, word = f"lesion {first + row // 2}", words[row // 2 % len(words)]
        facts = {"id": f"i{first * 2 + row}", "diagnosis": word, "group": lesion, "unit": lesion}
        facts = change(row, {**facts, "bytes": f"image {first * 2 + row}"})
        digests.append(hashlib.sha256(facts.pop("bytes").encode()).hexdigest())
        samples.append(Sample(path=f"{facts['id']}.jpg", **facts))
    kinds = sorted(set(WORDS))
    X = np.random.default_rng(first).normal(size=(N, DIM)).astype(np.float32)
    X[np.arange(N), [kinds.index(sample.diagnosis) if sample.diagnosis in kinds else 9 for sample in samples]] += hint
    records = np.stack([new_record(status=OK, size=1, mtime_ns=1, sha256=digest) for digest in digests])
    for row in failed:
        records[row] = new_record(status=2, size=1, mtime_ns=1, sha256=bytes(32).hex(), reason="truncated: at byte 7")
    settings = {"group_kind": "lesion", "unit_kind": "lesion", "dropped": {"image file missing": 3}, **dataset}
    table = Dataset(called, "csv", path.parent, tuple(samples), **settings).to_table()
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = [sample.path for sample in samples]
    with FeatureWriter.open_or_create(path, spec=spec, paths=paths, table=table, dim=DIM, env={"host": "h"}) as file:
        file.write(np.arange(N), X, records)
        file.sync()
        if finish:
            file.finish()
    return path


def pair(tmp_path, *, train=None, test=None):
    """Return two files of disjoint lesions."""
    return (
        made(tmp_path / "f" / "net@random0--fc7--00000001.h5", **(train or {})),
        made(tmp_path / "g" / "net@random0--fc7--00000002.h5", **{"first": 1000, **(test or {})}),
    )


def run(tmp_path, files=None, **options):
    train, test = files or pair(tmp_path)
    return evaluate(train, test=test, **{"cache": tmp_path / "cache", "out": tmp_path / "out", **FAST, **options})


def table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def shifted(first, rows=(), **facts):
    """Return a change of some rows: facts are texts, or functions of the row."""

    def change(row, given):
        told = {name: fact(row) if callable(fact) else fact for name, fact in facts.items()}
        return {**given, **told} if row in rows else given

    return {"first": first, "change": change}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One evaluation of two classifiers on three designs, for the tests that only read."""
    folder = tmp_path_factory.mktemp("whole")
    files = pair(folder, test={"called": "other", "failed": [0, 9]})
    return run(folder, files, designs=["malignant-vs-benign", "mel-vs-benign", "three-class"])


# ---- scores, and the record


def test_from_one_half_of_the_lesions_to_the_other(tmp_path):
    found = run(tmp_path)
    assert found.kind == "held out" and not found.overlap
    (question,) = found.questions
    assert not set(question.train.groups) & set(question.test.groups)
    assert [len(side.rows) for side in (question.train, question.test)] == [64, 64]
    assert all(cell.scores["auc"] > 0.65 for cell in found.cells)


def test_external_is_said_only_of_another_dataset(whole, tmp_path):
    assert whole.kind == whole.run["kind"] == "external"
    assert evaluation_told(whole).startswith("external validation: trained on toy, tested on other")
    assert "whether their images share a source is yours to know" in evaluation_told(whole)
    told = evaluation_told(run(tmp_path))
    assert told.startswith("held-out test: trained on toy, tested on toy") and "external" not in told


def test_scores_and_intervals_follow_from_the_predictions(whole):
    told = {tuple(r[k] for k in ("design", "classifier", "metric")): float(r["value"])
            for r in table(whole.folder / "scores.csv")}  # fmt: skip
    rows: dict = {}
    for row in table(whole.folder / "predictions.csv"):
        rows.setdefault((row["design"], row["classifier"]), []).append(row)
    assert len(rows) == 6
    for (design, classifier), own in rows.items():
        if design == "bcc-vs-mel-vs-benign":
            names = ["bcc", "melanoma", "benign"]
            y = np.array([names.index(row["truth"]) for row in own])
            scores = np.array([[float(row[f"score_{name}"]) for name in names] for row in own])
            ovr = sk.roc_auc_score(y[:, None] == range(3), scores)
            assert told[design, classifier, "auc_ovr"] == pytest.approx(ovr, abs=1e-12)
            continue
        name = "melanoma" if design == "mel-vs-benign" else "malignant"
        positive = np.array([row["truth"] == name for row in own])
        score = np.array([float(row[f"score_{name}"]) for row in own])
        assert told[design, classifier, "auc"] == pytest.approx(sk.roc_auc_score(positive, score), abs=1e-12)
        cell = next(cell for cell in whole.of(design) if cell.classifier == classifier)
        lesions = np.array([row["group"] for row in own])
        expected = significance.auc_interval(positive, score, groups=lesions)
        assert (cell.interval.low, cell.interval.high) == pytest.approx((expected.low, expected.high))
        assert cell.method == "Obuchowski" and cell.interval.low < told[design, classifier, "auc"] < cell.interval.high


def test_the_tables_have_the_columns_of_a_comparison(whole, tmp_path):
    train = whole.train.path
    designs = ["malignant-vs-benign", "mel-vs-benign", "three-class"]
    compare(train, designs=designs, cache=tmp_path / "cache", out=tmp_path / "out", **FAST)
    for name in ("scores.csv", "predictions.csv"):
        own, other = table(whole.folder / name), table(tmp_path / "out" / name)
        assert list(own[0]) == list(other[0])
        assert {(row["repeat"], row["half"]) for row in own} == {("0", "0")}


def test_truth_and_group_are_those_of_the_test_samples(whole):
    place = {sample.id: sample for sample in whole.test.dataset.samples}
    rows = [row for row in table(whole.folder / "predictions.csv") if row["design"] == "mel-vs-benign"]
    for row in rows:
        sample = place[row["sample"]]
        assert row["group"] == sample.group
        assert row["truth"] == ("melanoma" if sample.diagnosis == "mel" else "benign")
    assert len(rows) == 2 * 62  # two of the 64 have no features


def test_the_record_accounts_for_both_files(whole):
    record = json.loads((whole.folder / "run.json").read_text(encoding="utf-8"))
    assert record["verb"] == "evaluate" and record["id"] == whole.run["id"]
    for side, table_, without in (("train", whole.train, {}), ("test", whole.test, {"image: truncated": 2})):
        told = record[side]
        assert told["features"]["file"] == str(table_.path) and len(told["features"]["key"]) == 64
        assert told["features"]["finished"]["ok"] == told["with_features"]
        facts = told["dataset"]
        assert facts["found"] == facts["kept"] + sum(facts["dropped"].values()) == N + 3
        assert told["with_features"] + sum(told["without_features"].values()) == facts["kept"]
        assert told["without_features"] == without
        for design in record["designs"]:
            own = design[side]
            assert sum(own["counts"].values()) + sum(own["dropped"].values()) == told["with_features"]
    assert record["designs"][1]["test"]["overlapping"] == 0
    assert record["overlap"]["allowed"] is False and record["overlap"]["images"] == []
    assert record["overlap"]["groups_compared"] == "lesion"
    assert len(record["results"]) == 6 and record["results"][0]["chosen"]["C"] == 1.0
    assert record["settings"]["classifiers"]["svm"]["params"] == {"C": 1.0}
    assert {"python", "versions", "command"} <= set(record["environment"])
    assert "test: 2 images without features (image: truncated)" in record["notes"]


def test_three_classes_have_no_interval_and_say_so(whole):
    cells = whole.of("bcc-vs-mel-vs-benign")
    assert all(cell.interval.low is None and "no interval" in cell.interval.note for cell in cells)
    assert all(cell.interval.value == cell.scores["auc_ovo"] and cell.method == "" for cell in cells)
    assert {contrast.design for contrast in whole.contrasts} == {"malignant-vs-benign", "mel-vs-benign"}
    assert "bcc-vs-mel-vs-benign, svm, tree: no interval: Hand and Till" in evaluation_told(whole)


def test_differences_are_corrected_for_being_many(whole, tmp_path):
    p = [contrast.difference.p for contrast in whole.contrasts]
    assert [contrast.holm for contrast in whole.contrasts] == pytest.approx(significance.holm(p).tolist())
    assert whole.run["differences"][0]["difference"]["test"] == "Obuchowski"
    same = run(tmp_path, classifiers=["svm", "dummy"], params=["C=1"])
    (contrast,) = same.contrasts
    assert contrast.difference.difference == pytest.approx(same.cells[0].scores["auc"] - 0.5)
    alone = run(tmp_path, classifiers=["dummy"], params=[])
    assert alone.contrasts == () and alone.cells[0].interval.low is None


def test_no_difference_is_told_with_the_smallest_that_could_be_shown(tmp_path):
    found = run(tmp_path, classifiers=["svm", "logreg"], params=["C=1"])
    told = evaluation_told(found, verbose=True)
    assert found.contrasts[0].holm > 0.05
    assert "no difference shown; the smallest that this test side could show, tested alone, is ." in told


def test_scores_of_a_lesion_are_the_mean_over_its_images(tmp_path):
    found = run(tmp_path, unit="lesion", classifiers=["svm"], params=["C=1"])
    rows = table(found.folder / "predictions.csv")
    lesions = sorted({row["group"] for row in rows})
    score = [np.mean([float(r["score_melanoma"]) for r in rows if r["group"] == name]) for name in lesions]
    truth = [next(r["truth"] for r in rows if r["group"] == name) == "melanoma" for name in lesions]
    (cell,) = found.cells
    assert cell.scores["auc"] == pytest.approx(sk.roc_auc_score(truth, score), abs=1e-12)
    assert cell.method == "DeLong" and len(lesions) == 32
    assert "test: 48 benign, 16 melanoma images; 24 benign, 8 melanoma lesions" in evaluation_told(found)
    with pytest.raises(UsageError, match="--unit patient: toy knows image, lesion"):
        run(tmp_path, unit="patient")


@pytest.mark.parametrize(("synthetic", "first"), [("train", 0), ("test", 1000)])
def test_synthetic_data_on_either_side_say_so(tmp_path, synthetic, first):
    found = run(tmp_path, pair(tmp_path, **{synthetic: {"synthetic": True, "called": "demo", "first": first}}))
    for name in ("scores.csv", "predictions.csv"):
        assert all("synthetic demo data" in row["dataset"] for row in table(found.folder / name))
    assert found.run["note"] == "synthetic demo data" and "no clinical result" in evaluation_told(found)


def test_the_same_twice_whatever_the_number_of_jobs(tmp_path):
    files = pair(tmp_path)
    options = {"classifiers": ["svm", "rf", "tree"], "params": ["n_estimators=10"]}
    for jobs in (1, 2):
        run(tmp_path, files, out=tmp_path / f"o{jobs}", **{**options, "jobs": jobs})
    for name in ("scores.csv", "predictions.csv"):
        assert (tmp_path / "o1" / name).read_bytes() == (tmp_path / "o2" / name).read_bytes()


def test_without_a_folder_a_run_has_one_of_its_own(tmp_path):
    found = run(tmp_path, out=None)
    assert found.folder == tmp_path / "cache" / "runs" / found.run["id"]
    assert {path.name for path in found.folder.iterdir()} == {"run.json", "scores.csv", "predictions.csv"}


def test_progress_counts_every_fit(tmp_path):
    told = []
    run(tmp_path, designs=["mel-vs-benign", "three-class"], on_progress=lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]  # the SVMs of both designs are one


# ---- nothing is learned from test rows


@pytest.mark.parametrize("scale", [None, "standard"])
def test_test_rows_change_neither_what_was_chosen_nor_each_others_scores(tmp_path, monkeypatch, scale):
    files = pair(tmp_path)
    tables = {path: read_features(path) for path in files}
    order = {"classifiers": ["svm", "svm-rbf", "tree", "logreg"], "params": [], "scale": scale}
    results = []
    for wild in (False, True):
        X = tables[files[1]].X.copy()
        X[:20] = 1e4 if wild else X[:20]
        changed = {**tables, files[1]: replace(tables[files[1]], X=X)}
        monkeypatch.setattr(evaluation, "read_features", lambda path, held=changed: held[path])
        found = run(tmp_path, files, **order)
        rows = found.questions[0].test.rows
        results.append([(cell.verdict.chosen, cell.verdict.scores[rows >= 20]) for cell in found.cells])
    for (chosen, scores), (again, other) in zip(*results, strict=True):
        assert chosen == again
        np.testing.assert_allclose(scores, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_a_signal_only_in_test_rows_is_not_learned(tmp_path, monkeypatch, scale):
    """The last feature is constant in training; in the test rows it is the class itself."""
    files = pair(tmp_path, train={"hint": 0.0}, test={"hint": 0.0})
    plain = {path: read_features(path) for path in files}
    for features in plain.values():
        features.X[:, -1] = 0
    told = {path: replace(features, X=features.X.copy()) for path, features in plain.items()}
    for features in told.values():
        features.X[:, -1] = [5.0 * (sample.diagnosis == "mel") for sample in features.dataset.samples]
    order = {"classifiers": ["svm", "rf", "tree"], "params": ["n_estimators=50"], "scale": scale}

    def scored(train, test):
        monkeypatch.setattr(evaluation, "read_features", lambda path: (train if path == files[0] else test)[path])
        return run(tmp_path, files, **order).cells

    for without, within in zip(scored(plain, plain), scored(plain, told), strict=True):
        np.testing.assert_allclose(within.verdict.scores, without.verdict.scores, rtol=1e-6, atol=1e-6)
        assert within.scores["auc"] < 0.8
    assert all(cell.scores["auc"] > 0.95 for cell in scored(told, told))  # it is there for who may learn it


def test_the_labels_of_test_rows_reach_no_score(tmp_path):
    turned = {"nv": "mel", "mel": "nv"}
    facts = {"first": 1000, "hint": 0.0}
    other = {**facts, "change": lambda row, f: {**f, "diagnosis": turned.get(f["diagnosis"], f["diagnosis"])}}
    found = [
        run(tmp_path, pair(tmp_path / str(at), test=test), classifiers=["svm", "rf"], params=[])
        for at, test in enumerate((facts, other))
    ]
    assert found[0].questions[0].test.counts != found[1].questions[0].test.counts
    for one, two in zip(found[0].cells, found[1].cells, strict=True):
        assert (one.verdict.scores == two.verdict.scores).all()


# ---- overlap


def remembered(cache, *files, alike=()):
    """Remember made fingerprints of all images of some files; the samples in ``alike`` have one picture."""
    tables = [read_features(path) for path in files]
    rows = [(t.dataset.name, s, d) for t in tables for s, d in zip(t.dataset.samples, t.digests, strict=True) if d]
    spectra = np.random.default_rng(0).integers(-127, 128, (len(rows), 256)).astype(np.int8)
    known: dict = {}
    same = next((at for at, (_, sample, _) in enumerate(rows) if sample.id in alike), 0)
    for at, (name, sample, digest) in enumerate(rows):
        picture = same if sample.id in alike else at
        mark = fingerprints.Fingerprint(digest, (picture + 1) * 0x9E3779B97F4A7C15 % 2**64, 9, 8, 8, "L", "PNG", "")
        mark = mark._replace(spectrum=spectra[picture].tobytes().hex())
        known.setdefault(name, {})[f"/{sample.path}"] = fingerprints._Known(Stat(9, 1), mark)
    for name, held in known.items():
        fingerprints._remember(Places.at(cache).fingerprints(name), held)


def test_images_that_both_hold_are_refused(tmp_path):
    same = shifted(1000, rows=(4, 5, 6), bytes=lambda row: f"image {row + 10}")
    files = pair(tmp_path, test=same)
    with pytest.raises(
        DataError, match=r"both hold 3 images \(i14 is i2004, i15 is i2005, i16 is i2006\): .*--allow-o"
    ):
        run(tmp_path, files)
    assert not (tmp_path / "out").exists()


def test_groups_that_both_hold_are_refused(tmp_path):
    files = pair(tmp_path, test=shifted(1000, rows=range(8), group=lambda row: f"lesion {row // 2}"))
    with pytest.raises(
        DataError, match=r"both hold 4 lesions \('lesion 0', 'lesion 1', 'lesion 2', \.\.\.\).*by chance"
    ):
        run(tmp_path, files)


def test_groups_are_compared_only_where_both_say_what_they_are(tmp_path):
    same = shifted(1000, rows=range(8), group=lambda row: f"lesion {row // 2}")
    files = pair(tmp_path, test={**same, "group_kind": "patient"})
    found = run(tmp_path, files)
    assert "groups were not compared across the two files: train groups are lesion, test patient" in found.notes
    assert found.run["overlap"]["groups_compared"] is None
    assert "(compared: images, near-duplicates)" in evaluation_told(found)


def test_an_image_that_is_its_own_group_is_in_no_other_file(tmp_path):
    """Ids that coincide by chance, as "1" in two datasets, say nothing where no group is known of the image."""
    lone = {"id": lambda row: str(row), "group": lambda row: f"image {row}"}
    files = pair(
        tmp_path,
        train=shifted(0, rows=range(8), **lone),
        test={**shifted(1000, rows=range(8), **lone), "called": "other"},
    )
    assert not run(tmp_path, files).overlap
    plain = {**lone, "group": lambda row: str(row)}
    files = pair(tmp_path / "x", train=shifted(0, rows=range(8), **plain), test=shifted(1000, rows=range(8), **plain))
    assert not run(tmp_path, files).overlap


def test_a_lesion_that_identical_images_join_to_another_is_still_found_by_its_name(tmp_path):
    twins = shifted(0, rows=(2,), bytes="image 40")  # lesion 1 and lesion 20 are one group in training
    files = pair(tmp_path, train=twins, test=shifted(1000, rows=(0, 1), group="lesion 20"))
    with pytest.raises(DataError, match=r"1 lesions \('lesion 20'\)"):
        run(tmp_path, files)


def test_rows_without_features_overlap_with_nothing(tmp_path):
    same = shifted(1000, rows=(4, 5), bytes=lambda row: f"image {row}", group="lesion 2")
    assert not run(tmp_path, pair(tmp_path, test={**same, "failed": [4, 5]})).overlap


def test_near_duplicates_across_the_files_are_refused(tmp_path):
    files = pair(tmp_path, test={"called": "other", "first": 1000})
    remembered(tmp_path / "cache", *files, alike=("i6", "i2010"))
    with pytest.raises(DataError, match=r"both hold 1 pairs of near-duplicate images \(i6 ~ i2010\)"):
        run(tmp_path, files)
    found = run(tmp_path, files, near_duplicates="ignore")
    assert not found.overlap and any("--near-duplicates ignore" in note for note in found.notes)
    found = run(tmp_path, files, allow_overlap=True)
    (told,) = found.run["overlap"]["near_duplicates"]
    assert (told["first"], told["second"]) == ("i6", "i2010")


def test_near_duplicates_within_a_file_are_told_and_joined_where_asked(tmp_path):
    files = pair(tmp_path)
    remembered(tmp_path / "cache", *files, alike=("i6", "i12"))
    found = run(tmp_path, files)
    (note,) = found.notes
    assert note.startswith("1 pairs of near-duplicate images within the train file are in different groups: --near")
    joined = run(tmp_path, files, near_duplicates="join")
    groups = dict(zip((s.id for s in joined.train.dataset.samples), joined.train.groups, strict=True))
    assert groups["i6"] == groups["i7"] == groups["i12"] == groups["i13"] != groups["i8"]


def test_images_that_were_never_looked_at_are_told(tmp_path):
    files = pair(tmp_path, test={"called": "other", "first": 1000})
    remembered(tmp_path / "cache", files[0])
    (note,) = run(tmp_path, files).notes
    assert note.startswith(f"near-duplicates were not looked for among 0 train and {N} test images")
    with pytest.raises(UsageError, match=f"{N} images have not been looked at"):
        run(tmp_path, files, near_duplicates="join")
    with pytest.raises(UsageError, match="takes audit, join, ignore"):
        run(tmp_path, files, near_duplicates="merge")


def test_fingerprints_beside_a_file_of_another_cache_serve(tmp_path):
    train = made(tmp_path / "one" / "toy" / "net.h5")
    test = made(tmp_path / "two" / "other" / "net.h5", first=1000, called="other")
    for cache in ("one", "two"):
        remembered(tmp_path / cache, train, test, alike=("i6", "i2010"))
        (tmp_path / cache / {"one": "other", "two": "toy"}[cache] / "fingerprints.json").unlink()
    with pytest.raises(DataError, match="i6 ~ i2010"):
        run(tmp_path, (train, test))


def test_an_overlap_that_is_allowed_is_told_and_drops_nothing(tmp_path):
    same = shifted(1000, rows=range(4), bytes=lambda row: f"image {row}", group=lambda row: f"lesion {row // 2}")
    files = pair(tmp_path, test=same)
    found = run(tmp_path, files, allow_overlap=True)
    assert found.overlap.ids == {"i2000", "i2001", "i2002", "i2003"}
    assert len(found.questions[0].test.rows) == 64  # as without any overlap
    record = json.loads((found.folder / "run.json").read_text(encoding="utf-8"))
    assert record["overlap"]["allowed"] is True and record["overlap"]["test_samples"] == 4
    assert record["overlap"]["images"] == [[f"i{row}", f"i{2000 + row}"] for row in range(4)]
    assert record["overlap"]["groups"] == ["lesion 0", "lesion 1"]
    assert record["designs"][0]["test"]["overlapping"] == 4
    assert record["notes"][0].startswith("both files hold 4 images")
    told = evaluation_told(found)
    assert "OVERLAP ALLOWED: both files hold 4 images" in told and "4 of 64 test images overlap" in told


def test_a_file_against_itself_is_refused(tmp_path):
    train, _ = pair(tmp_path)
    with pytest.raises(DataError, match=f"both hold {N} images .* {N // 2} lesions"):
        run(tmp_path, (train, train))


# ---- what does not fit together


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("layer", "fc8", 'layer is "fc8", not "fc7"'),
        ("weights", "1" * 64, r"weights is 11111111\.\.\., not 00000000\.\.\."),
        ("precision", "bf16", 'precision is "bf16", not "fp32"'),
    ],
)
def test_features_of_another_kind_are_refused(tmp_path, name, value, told):
    with pytest.raises(CacheMismatch, match=told):
        run(tmp_path, pair(tmp_path, test={"spec": {**SPEC, name: value}}))


def test_an_unfinished_file_is_refused(tmp_path):
    with pytest.raises(CacheIncomplete):
        run(tmp_path, pair(tmp_path, test={"finish": False}))


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_design_must_be_answerable_by_both(tmp_path, side):
    lacking = {"designs": ("mel-vs-benign",), "lacks": {"": "there is no BCC"}, "first": 500}
    files = pair(tmp_path, **{side: lacking})
    assert run(tmp_path, files).cells
    with pytest.raises(UsageError, match=f"asked of the {side} dataset toy .*: there is no BCC; it supports mel-vs"):
        run(tmp_path, files, designs=["malignant-vs-benign"])


def test_classes_must_be_the_same_on_both_sides(tmp_path):
    files = pair(tmp_path, test={"first": 1000, "words": ("nv", "mel", "bcc")})
    with pytest.raises(UsageError, match=r"has the classes akiec, bcc, bkl, mel, nv in .* and bcc, mel, nv in"):
        run(tmp_path, files, designs=["diagnosis"])


def test_a_class_without_test_rows_names_the_file(tmp_path):
    files = pair(tmp_path, test={"first": 1000, "words": ("nv", "bkl")})
    with pytest.raises(DataError, match=r"^test features .*00000002\.h5: .*no row of class 'melanoma'"):
        run(tmp_path, files)


def test_a_search_without_groups_enough_names_design_and_classifier(tmp_path):
    rare = {"change": lambda row, facts: {**facts, "diagnosis": "mel" if row < 2 else "nv"}}
    for name in ("svm", "tree"):
        with pytest.raises(SplitError, match=rf"mel-vs-benign, {name}, train rows \(classes: 0 'benign', 1 'melanoma'"):
            run(tmp_path, pair(tmp_path, train=rare), classifiers=[name], params=[])


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"classifiers": ["smv"]}, UnknownName, "did you mean 'svm'"),
        ({"classifiers": []}, UsageError, "at least one classifier"),
        ({"designs": []}, UsageError, "at least one design"),
        ({"designs": ["mel-vs-bening"]}, UnknownName, "did you mean 'mel-vs-benign'"),
        ({"scale": "l3"}, UsageError, "--scale takes l2, standard, none"),
        ({"seed": 2**32}, UsageError, "--seed takes"),
        ({"solver": "magic"}, UsageError, "--solver takes auto, sklearn; 'magic' came"),
        ({"inner": "loo"}, UsageError, "--inner takes kfold, shuffle10; 'loo' came"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, options, error, told):
    with pytest.raises(error, match=told):
        run(tmp_path, **{"params": [], **options})
    assert not (tmp_path / "out").exists()


# ---- the command line


def typed(*words):
    result = CliRunner().invoke(main, ["evaluate", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


SHORT = ("--clf", "svm,tree", "--param", "C=1", "--param", "min_samples_leaf=5")


def test_the_command_line_says_what_it_did(tmp_path):
    train, test = pair(tmp_path, test={"called": "other", "first": 1000})
    out = tmp_path / "out"
    result = typed("--features", train, "--test", test, *SHORT, "--out", out, "--cache", tmp_path / "cache")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("external validation: trained on toy, tested on other · scored by image")
    for words in ("train: 48 benign, 16 melanoma", "dropped 16 akiec", "95 % interval", "overlap: none found", "Holm"):
        assert words in result.stdout
    assert f"train: {train}" in result.stderr and "near-duplicates were not looked for" in result.stderr
    assert {path.name for path in out.iterdir()} == {"run.json", "scores.csv", "predictions.csv"}
    quiet = typed("--features", train, "--test", test, *SHORT, "--out", out, "--cache", tmp_path / "cache", "-q")
    assert "written" not in quiet.stderr and "AUC" in quiet.stdout


def test_a_design_of_ones_own_is_tested_alone_or_beside_others(tmp_path):
    train, test = pair(tmp_path)
    words = ("--features", train, "--test", test, *SHORT, "--cache", tmp_path / "cache")
    own = ("--positive", "mel,bcc", "--negative", "nv", "--drop", "bkl,akiec")
    result = typed(*words, *own)
    assert result.exit_code == 0, result.stderr
    assert "mel+bcc-vs-nv:" in result.stdout and "mel-vs-benign:" not in result.stdout
    assert "train: 32 negative, 32 positive" in result.stdout and "dropped 16 bkl" in result.stdout
    both = typed(*words, *own, "--design", "mel-vs-benign")
    assert "mel+bcc-vs-nv:" in both.stdout and "mel-vs-benign:" in both.stdout
    half = typed(*words, "--positive", "mel")
    assert half.exit_code == 2 and "both --positive and --negative" in half.stderr


def test_without_features_the_last_ones_train(tmp_path):
    cache = tmp_path / "cache"
    train = made(cache / "toy" / "net@random0--fc7--00000001.h5")
    test = made(tmp_path / "g" / "net.h5", first=1000)
    result = typed("--test", test, *SHORT, "--cache", cache)
    assert result.exit_code == 0 and f"train: {train}" in result.stderr
    second = made(cache / "toy" / "net@random0--fc8--00000002.h5", spec={**SPEC, "layer": "fc8"})
    Places.at(cache).remember_last([train, second])
    result = typed("--test", test, *SHORT, "--cache", cache)
    assert result.exit_code == 2 and "2 feature files were extracted last" in result.stderr


def test_exit_codes(tmp_path):
    train, test = pair(tmp_path, test=shifted(1000, rows=(0,), bytes="image 0"))
    cache = ("--cache", tmp_path / "cache")
    refused = typed("--features", train, "--test", test, *SHORT, *cache)
    assert refused.exit_code == 1 and refused.stderr.splitlines()[-1].startswith("Error: ")
    assert "1 images (i0 is i2000)" in refused.stderr and refused.stdout == ""
    allowed = typed("--features", train, "--test", test, *SHORT, *cache, "--allow-overlap")
    assert allowed.exit_code == 0 and "OVERLAP ALLOWED" in allowed.stdout
    assert "Note: both files hold 1 images" in allowed.stderr
    other = made(tmp_path / "h" / "net.h5", first=2000, spec={**SPEC, "layer": "fc8"})
    assert typed("--features", train, "--test", other, *SHORT, *cache).exit_code == 1
    assert typed("--features", train, *cache).exit_code == 2  # no --test
    assert typed(tmp_path, "--features", train, "--test", test, *cache).exit_code == 2
    assert typed("--features", train, "--test", test, "--clf", "smv", *cache).exit_code == 2
    missing = typed("--features", train, "--test", tmp_path / "no.h5", *SHORT, *cache)
    assert missing.exit_code == 1 and "no.h5" in missing.stderr


def test_the_solver_and_the_way_to_choose_are_as_asked_and_in_the_record(tmp_path, monkeypatch):
    files, told = pair(tmp_path), {}
    together = []
    judge = families.judge
    monkeypatch.setattr(families, "judge", lambda *a, **k: together.append(k["inner"]) or judge(*a, **k))
    for solver, inner in (("auto", "kfold"), ("sklearn", "kfold"), ("auto", "shuffle10")):
        given = {"solver": solver, "inner": inner, "classifiers": ["svm"], "params": []}
        found = run(tmp_path, files, **given)
        about = found.run["settings"]["classifiers"]["svm"]
        assert (about["solver"], about["inner"]) == ({"auto": "together"}.get(solver, solver), inner)
        told[solver, inner] = found.cells[0]
        assert [one["inner_scheme"] for one in found.run["results"]] == [found.cells[0].verdict.inner_scheme]
    assert together == ["kfold", "shuffle10"]  # scikit-learn's own went another way
    first, second, third = told.values()
    assert first.verdict.chosen["C"] == second.verdict.chosen["C"]
    np.testing.assert_allclose(first.verdict.scores, second.verdict.scores, atol=2e-3)
    assert first.verdict.inner_scheme != third.verdict.inner_scheme


def test_what_accelerated_a_score_is_in_the_record(tmp_path):
    found = run(tmp_path, accelerate="numba")
    told = {name: about["accelerate"] for name, about in found.run["settings"]["classifiers"].items()}
    assert told == {"svm": "none", "tree": f"numba {version('numba')}"}
    assert found.run["settings"]["classifiers"]["tree"]["scale"] == "none"
