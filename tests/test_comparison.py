"""The comparison: the same rows for everyone, nothing learned from test rows, and records that add up."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from featx import comparison, designs, fingerprints, folds, runs
from featx.cache import OK, FeatureWriter, new_record
from featx.classifiers import CLASSIFIERS, judging
from featx.comparison import compare
from featx.datasets.base import Dataset, Sample
from featx.errors import CacheError, DataError, SplitError, UnknownName, UsageError
from featx.provenance import version

WORDS = ("nv", "bkl", "mel", "bcc", "nv", "akiec")
N = 120
FAST = {"classifiers": ["svm", "tree"], "params": ["C=1", "min_samples_leaf=5"], "jobs": 1}


FILES = {
    "run.json",
    "scores.csv",
    "predictions.csv",
    "differences.csv",
    "table.md",
    "table.tex",
    "clinical.csv",
    "subgroups.csv",
}


def told(found):
    """Return the notes but for the one on images that were never looked at: there are none in these tests."""
    return tuple(note for note in found.notes if not note.startswith("near-duplicates were not looked for"))


def samples_of(n=N, *, words=WORDS, **changes):
    """Return samples, two a lesion; ``changes`` are functions of the row."""
    for row in range(n):
        given = {
            "id": f"i{row}",
            "path": f"i{row}.jpg",
            "diagnosis": words[row // 2 % len(words)],
            "group": f"lesion {row // 2}",
            "unit": f"lesion {row // 2}",
        }
        yield Sample(**{**given, **{name: change(row) for name, change in changes.items()}})


def made(folder, *, name="a", samples=None, images=lambda row: f"image {row}", failed=(), seed=0, **dataset):
    """Write a feature file in which the first features hint at the diagnosis; return its path."""
    samples = tuple(samples or samples_of())
    n, kinds = len(samples), sorted({sample.diagnosis for sample in samples})
    X = np.random.default_rng(seed).normal(size=(n, 10)).astype(np.float32)
    X[np.arange(n), [kinds.index(sample.diagnosis) % 10 for sample in samples]] += 1.5
    records = np.stack(
        [
            new_record(status=2, size=1, mtime_ns=1, sha256=bytes(32).hex(), reason="truncated: at byte 7")
            if row in failed
            else new_record(status=OK, size=1, mtime_ns=1, sha256=hashlib.sha256(images(row).encode()).hexdigest())
            for row in range(n)
        ]
    )
    settings = {"group_kind": "lesion", "unit_kind": "lesion", "dropped": {"image file missing": 3}, **dataset}
    table = Dataset(settings.pop("called", "toy"), "csv", folder, samples, **settings).to_table()
    path = folder / f"{name}@random0--fc7--{seed:08d}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = {"backbone": name, "seed": seed}
    paths = [sample.path for sample in samples]
    with FeatureWriter.open_or_create(path, spec=spec, paths=paths, table=table, dim=10, env={"host": "h"}) as file:
        file.write(np.arange(n), X, records)
        file.sync()
        file.finish()
    return path


def table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def run(tmp_path, features=None, **options):
    features = features or made(tmp_path / "f")
    return compare(features, **{"cache": tmp_path / "cache", "out": tmp_path / "out", **FAST, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One comparison of two classifiers on three designs, for the tests that only read."""
    folder = tmp_path_factory.mktemp("whole")
    return run(folder, designs=["malignant-vs-benign", "mel-vs-benign", "three-class"])


def test_the_tables_have_the_columns_promised(whole):
    scores, predictions = (table(whole.folder / f"{name}.csv") for name in ("scores", "predictions"))
    promised = ["design", "classifier", "features", "repeat", "half", "metric", "value"]
    assert list(scores[0])[:7] == promised and list(scores[0])[7:] == ["unit", "dataset"]
    about = ["sample", "group", "design", "classifier", "features", "repeat", "half", "truth"]
    per_class = ["score_benign", "score_malignant", "score_melanoma", "score_bcc", "predicted", "dataset"]
    assert list(predictions[0]) == about + per_class
    assert {row["half"] for row in scores} == {"0", "1"} and {row["repeat"] for row in scores} == set("01234")
    binary = {row["metric"] for row in scores if row["design"] == "mel-vs-benign"}
    assert {"auc", "average_precision", "sensitivity", "specificity", "f1_melanoma", "f1_micro"} <= binary
    three = {row["metric"] for row in scores if row["design"] == "bcc-vs-mel-vs-benign"}
    assert {"auc_ovo", "auc_ovr", "recall_bcc", "f1_weighted"} <= three and "auc" not in three


def test_every_cell_has_every_split_once(whole):
    scores = table(whole.folder / "scores.csv")
    keys = [
        tuple(row[name] for name in ("design", "classifier", "features", "repeat", "half", "metric")) for row in scores
    ]
    assert len(set(keys)) == len(keys)
    assert sum(key[-1] == "accuracy" for key in keys) == 3 * 2 * 10


def test_scores_follow_from_the_predictions(whole):
    told = {
        tuple(row[name] for name in ("design", "classifier", "repeat", "half", "metric")): float(row["value"])
        for row in table(whole.folder / "scores.csv")
    }
    rows: dict = {}
    for row in table(whole.folder / "predictions.csv"):
        rows.setdefault(tuple(row[name] for name in ("design", "classifier", "repeat", "half")), []).append(row)
    assert len(rows) == 60
    for key, own in rows.items():
        classes = {"malignant-vs-benign": ["benign", "malignant"], "mel-vs-benign": ["benign", "melanoma"]}
        names = classes.get(key[0], ["bcc", "melanoma", "benign"])
        y = np.array([names.index(row["truth"]) for row in own])
        scores = np.array([[float(row[f"score_{name}"]) for name in names] for row in own])
        assert told[(*key, "accuracy")] == pytest.approx(sk.accuracy_score(y, scores.argmax(1)), abs=1e-12)
        if len(names) == 2:
            assert told[(*key, "auc")] == pytest.approx(sk.roc_auc_score(y, scores[:, 1]), abs=1e-12)
        else:
            onehot = y[:, None] == range(3)
            assert told[(*key, "auc_ovr")] == pytest.approx(sk.roc_auc_score(onehot, scores), abs=1e-12)


def test_every_sample_of_a_design_is_tested_once_a_repeat(whole):
    rows = table(whole.folder / "predictions.csv")
    own = [row for row in rows if row["design"] == "mel-vs-benign" and row["classifier"] == "svm"]
    for repeat in "01234":
        tested = [row["sample"] for row in own if row["repeat"] == repeat]
        assert len(tested) == len(set(tested)) == 80
    assert {row["truth"] for row in own} == {"benign", "melanoma"}
    assert {row["score_bcc"] for row in own} == {""}


def test_truth_and_group_are_those_of_the_sample(whole):
    for row in table(whole.folder / "predictions.csv"):
        at = int(row["sample"][1:])
        assert row["group"] == f"lesion {at // 2}"
        word = WORDS[at // 2 % 6]
        expected = {"mel": "melanoma", "bcc": "bcc"}.get(word, "benign")
        expected = "malignant" if row["design"] == "malignant-vs-benign" and expected != "benign" else expected
        assert row["truth"] == expected


def test_the_record_says_where_every_number_comes_from(whole):
    record = json.loads((whole.folder / "run.json").read_text(encoding="utf-8"))
    assert record["dataset"]["found"] == record["dataset"]["kept"] + sum(record["dataset"]["dropped"].values()) == 123
    assert record["dataset"]["grouping"] == "no lesion straddles; patients unknown"
    (features,) = record["features"]
    assert len(features["key"]) == 64 and features["finished"]["ok"] == N and features["env"] == {"host": "h"}
    digests = sorted(hashlib.sha256(f"image {row}".encode()).hexdigest() for row in range(N))
    text = json.dumps(digests, separators=(",", ":"))
    assert record["images_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    plan = folds.load(record["settings"]["folds"]["file"])
    assert plan.digest == record["settings"]["folds"]["digest"] and record["settings"]["folds"]["scheme"] == "5x2"
    assert record["settings"]["classifiers"]["svm"]["fixed"] == {"C": 1.0}
    assert {"python", "versions", "command", "host"} <= set(record["environment"])
    told = {design["name"]: design for design in record["designs"]}["mel-vs-benign"]
    assert told["counts"] == {"benign": 60, "melanoma": 20}
    assert told["dropped"] == {"akiec: policy --akiec drop": 20, "bcc: malignant, but not melanoma": 20}
    assert told["readings"]["akiec"]["benign"] == {"benign": 80, "melanoma": 20}


def test_the_record_sums_up_the_ten_values(whole):
    record = json.loads((whole.folder / "run.json").read_text(encoding="utf-8"))
    rows = table(whole.folder / "scores.csv")
    for result in record["results"]:
        own = [row for row in rows if all(row[name] == result[name] for name in ("design", "classifier", "metric"))]
        values = [float(row["value"]) for row in own]
        assert result["values"] == values and len(values) == 10
        assert result["mean"] == pytest.approx(np.mean(values))
        assert result["sd_over_splits_not_a_standard_error"] == pytest.approx(np.std(values, ddof=1))
    assert len(record["results"]) == 6


def test_all_designs_and_classifiers_share_the_halves_as_masks(whole):
    rows = table(whole.folder / "predictions.csv")
    half = {}
    for row in rows:
        key = (row["sample"], row["repeat"])
        assert half.setdefault(key, row["half"]) == row["half"]
    assert len(list((whole.folder.parent / "cache" / "folds").iterdir())) == 1


def test_no_group_is_on_both_sides_in_the_predictions(whole):
    rows = table(whole.folder / "predictions.csv")
    half = {}
    for row in rows:
        assert half.setdefault((row["group"], row["repeat"]), row["half"]) == row["half"]


def test_the_hint_in_the_features_is_found_and_where_there_is_none_chance_is(tmp_path, monkeypatch, whole):
    assert all(cell.values("auc").mean() > 0.7 for cell in whole.of("mel-vs-benign"))
    path = made(tmp_path / "f")
    features = comparison.read_features(path)
    lesions = np.random.default_rng(5).permutation(N // 2)
    X = features.X.reshape(N // 2, 2, 10)[lesions].reshape(N, 10)
    monkeypatch.setattr(comparison, "read_features", lambda _: replace(features, X=X))
    found = run(tmp_path, path, designs=["malignant-vs-benign"], params=[])
    assert all(0.35 < cell.values("auc").mean() < 0.65 for cell in found.cells)


def test_the_same_twice_whatever_the_number_of_jobs(tmp_path):
    path = made(tmp_path / "f")
    options = {"classifiers": ["svm", "rf", "tree"], "params": ["n_estimators=10"], "folds": "kfold:3"}
    options["designs"] = ["three-class"]
    for jobs in (1, 2):
        run(tmp_path, path, out=tmp_path / f"o{jobs}", **{**options, "jobs": jobs})
    for name in ("scores.csv", "predictions.csv"):
        assert (tmp_path / "o1" / name).read_bytes() == (tmp_path / "o2" / name).read_bytes()
    first, second = (json.loads((tmp_path / f"o{jobs}" / "run.json").read_text()) for jobs in (1, 2))
    assert first["results"] == second["results"] and first["settings"] == second["settings"]


def test_no_fit_holds_a_test_row(tmp_path, monkeypatch):
    """Rows carry their number in a feature, so that every row that any fit is given can be told."""
    path = made(tmp_path / "f")
    features = comparison.read_features(path)
    X = np.column_stack([np.arange(N), features.X]).astype(np.float32)
    monkeypatch.setattr(comparison, "read_features", lambda _: replace(features, X=X))
    told = []
    real = judging.fit_and_score

    def spied(classifier, X, y, X_test, **kwargs):
        told.append((set(X[:, 0].astype(int)), set(X_test[:, 0].astype(int))))
        return real(classifier, X, y, X_test, **kwargs)

    monkeypatch.setattr(judging, "fit_and_score", spied)
    found = run(tmp_path, path, classifiers=["tree"], params=[])
    (question,) = found.questions
    assert len(told) == 10 * (3 + 1)  # all leaf sizes of a part at once
    for at, split in enumerate(question.splits):
        train, test = (set(question.rows[side].tolist()) for side in (split.train, split.test))
        own = told[4 * at : 4 * at + 4]
        assert own[-1] == (train, test)
        for fitted, judged in own[:-1]:
            assert fitted | judged == train and not fitted & judged
            assert not {row // 2 for row in fitted} & {row // 2 for row in judged}


def test_changed_test_rows_leave_what_was_chosen_and_all_other_scores(tmp_path, monkeypatch):
    path = made(tmp_path / "f")
    features = comparison.read_features(path)
    results = []
    for wild in (False, True):
        monkeypatch.setattr(comparison, "read_features", lambda _: features)
        base = run(tmp_path, path, classifiers=["svm", "tree"], params=[], scale="standard", folds="holdout")
        split = base.questions[0].splits[0]
        changed = base.questions[0].rows[split.test[:4]]
        X = features.X.copy()
        X[changed] = 1e5 if wild else X[changed]
        monkeypatch.setattr(comparison, "read_features", lambda _, X=X: replace(features, X=X))
        found = run(tmp_path, path, classifiers=["svm", "tree"], params=[], scale="standard", folds="holdout")
        results.append([(cell.verdicts[0].chosen, cell.verdicts[0].scores[4:].tolist()) for cell in found.cells])
    assert results[0] == results[1]


def test_two_files_are_compared_on_the_samples_of_both_and_the_rest_is_told(tmp_path):
    first = made(tmp_path / "f", name="a", failed=[0, 9])
    second = made(tmp_path / "f", name="b", seed=1, failed=[0, 20])
    # an unreadable image has no digest, so both files know it as failed or neither does
    with pytest.raises(DataError, match=r"sample 'i9' is not the same .* run `featx extract` again"):
        run(tmp_path, [first, second])
    third = made(tmp_path / "f", name="c", seed=2, samples=list(samples_of())[:100], failed=[0, 9])
    found = run(tmp_path, [first, third])
    assert "a@random0--fc7: 2 images without features (image: truncated)" in found.notes
    assert any("98 of 120 samples have features in every file; 22 are left out" in note for note in found.notes)
    rows = table(found.folder / "predictions.csv")
    sets = [
        {row["sample"] for row in rows if row["features"] == label} for label in ("a@random0--fc7", "c@random0--fc7")
    ]
    assert sets[0] == sets[1] and not sets[0] & {"i0", "i9", "i100"}
    assert [label["label"] for label in found.run["features"]] == ["a@random0--fc7", "c@random0--fc7"]
    assert found.run["notes"] == list(found.notes)


def test_files_of_one_name_are_told_apart_by_their_keys(tmp_path):
    found = run(tmp_path, [made(tmp_path / "f", seed=1), made(tmp_path / "f", seed=2)])
    assert [cell.features for cell in found.cells[::2]] == ["a@random0--fc7--00000001", "a@random0--fc7--00000002"]


@pytest.mark.parametrize(
    "other",
    [
        {"images": lambda row: f"image {row + (row == 8)}x"},
        {"samples": list(samples_of(diagnosis=lambda row: "nv" if row == 4 else WORDS[row // 2 % 6]))},
        {"samples": list(samples_of(group=lambda row: f"lesion {row // 2 % 59}"))},
    ],
    ids=["image", "diagnosis", "group"],
)
def test_other_facts_under_one_id_are_refused(tmp_path, other):
    first, second = made(tmp_path / "f"), made(tmp_path / "f", name="b", seed=1, **other)
    with pytest.raises(DataError, match=r"is not the same in .*image, diagnosis or group differ"):
        run(tmp_path, [first, second])


def test_other_datasets_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"several datasets cannot be compared .*\(other, toy\)"):
        run(tmp_path, [made(tmp_path / "f"), made(tmp_path / "g", called="other")])


def test_nothing_in_common_is_refused(tmp_path):
    strangers = list(samples_of(id=lambda row: f"j{row}"))
    with pytest.raises(DataError, match="no sample has features in all of the files"):
        run(tmp_path, [made(tmp_path / "f"), made(tmp_path / "f", name="b", seed=1, samples=strangers)])


def test_scores_of_a_lesion_are_the_mean_over_its_images(tmp_path):
    def lesion(row):
        return row // 6 * 3 + (0, 1, 1, 2, 2, 2)[row % 6]  # lesions of one, two and three images

    names = dict.fromkeys(("group", "unit"), lambda row: f"lesion {lesion(row)}")
    path = made(tmp_path / "f", samples=samples_of(diagnosis=lambda row: WORDS[lesion(row) % 5], **names))
    found = run(tmp_path, path, unit="lesion", classifiers=["svm"], params=["C=1"])
    assert found.run["settings"]["unit"] == "lesion"
    told = {
        (r["repeat"], r["half"]): float(r["value"]) for r in table(found.folder / "scores.csv") if r["metric"] == "auc"
    }
    rows = table(found.folder / "predictions.csv")
    for (repeat, half), value in told.items():
        own = [row for row in rows if (row["repeat"], row["half"]) == (repeat, half)]
        lesions = sorted({row["group"] for row in own})
        scores = [np.mean([float(row["score_melanoma"]) for row in own if row["group"] == name]) for name in lesions]
        truth = [next(row["truth"] for row in own if row["group"] == name) == "melanoma" for name in lesions]
        assert value == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12) and len(truth) < len(own)
    by_image = run(tmp_path, path, unit="image", classifiers=["svm"], params=["C=1"], out=tmp_path / "i")
    assert by_image.cells[0].values("auc").tolist() != found.cells[0].values("auc").tolist()


def test_a_unit_that_the_dataset_does_not_know_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--unit patient: toy knows image, lesion"):
        run(tmp_path, unit="patient")


def test_a_unit_of_two_classes_is_refused(tmp_path):
    mixed = list(samples_of(diagnosis=lambda row: ("nv", "mel", "nv")[row % 3]))
    with pytest.raises(DataError, match="images of two classes"):
        run(tmp_path, made(tmp_path / "f", samples=mixed), unit="lesion")


def test_a_unit_that_folds_may_divide_is_refused(tmp_path):
    wide = list(samples_of(unit=lambda row: f"patient {row // 12 * 6 + row // 2 % 6}" if row % 24 < 12 else f"patient {row // 24 * 12 + row // 2 % 6}"))  # fmt: skip  # noqa: E501
    with pytest.raises(DataError, match="images of two groups, so that folds may divide it"):
        run(tmp_path, made(tmp_path / "f", samples=wide, unit_kind="patient"), unit="patient")


def test_names_that_are_no_utf8_go_all_the_way(tmp_path):
    odd = list(samples_of(**{name: lambda row: f"\udcff{row}" for name in ("id", "path")}))
    found = run(tmp_path, made(tmp_path / "f", samples=odd))
    assert "\\udcff3" in {row["sample"] for row in table(found.folder / "predictions.csv")}
    assert run(tmp_path, tmp_path / "f" / "a@random0--fc7--00000000.h5").cells  # the folds are read back


def test_synthetic_data_say_so_in_every_file_and_every_row(tmp_path):
    found = run(tmp_path, made(tmp_path / "f", synthetic=True, called="demo"))
    assert found.title == "demo (synthetic demo data)"
    for name in ("scores.csv", "predictions.csv"):
        assert {row["dataset"] for row in table(found.folder / name)} == {"demo (synthetic demo data)"}
    record = json.loads((found.folder / "run.json").read_text())
    assert record["note"] == "synthetic demo data" and "synthetic demo data" in record["data"]
    plan = json.loads(next((tmp_path / "cache" / "folds").iterdir()).read_text())
    assert "synthetic demo data" in plan["data"]


def test_without_a_folder_a_run_has_one_of_its_own(tmp_path):
    found = run(tmp_path, out=None)
    assert found.folder.parent == tmp_path / "cache" / "runs" and found.folder.name == found.run["id"]
    assert {path.name for path in found.folder.iterdir()} == FILES


def test_a_run_that_breaks_while_writing_leaves_no_record(tmp_path, monkeypatch):
    path = made(tmp_path / "f")
    run(tmp_path, path)
    real = runs.write_csv

    def breaks(path, header, rows):
        if path.name == "predictions.csv":
            raise OSError("the disk is full")
        return real(path, header, rows)

    monkeypatch.setattr(runs, "write_csv", breaks)
    with pytest.raises(OSError, match="full"):
        run(tmp_path, path, seed=1)
    assert not (tmp_path / "out" / "run.json").exists()


def test_identical_images_are_one_group_and_contradictions_are_told(tmp_path):
    path = made(tmp_path / "f", images=lambda row: f"image {0 if row == 50 else row}")
    found = run(tmp_path, path, designs=["malignant-vs-benign"])
    assert told(found) == (
        "2 images are the same as another byte for byte, and in one group with it; "
        "in 1 of 1 such sets the diagnoses differ",
    )
    half = {(row["sample"], row["repeat"]): row["half"] for row in table(found.folder / "predictions.csv")}
    for repeat in "01234":
        assert len({half[(name, repeat)] for name in ("i0", "i1", "i50", "i51")}) == 1


@pytest.mark.parametrize(("scheme", "splits"), [("kfold:3", 3), ("holdout", 1)])
def test_other_plans_are_numbered_by_their_fold(tmp_path, scheme, splits):
    found = run(tmp_path, folds=scheme)
    rows = table(found.folder / "scores.csv")
    assert {(row["repeat"], row["half"]) for row in rows} == {("0", str(k)) for k in range(splits)}
    assert ("sd_over_splits_not_a_standard_error" in found.run["results"][0]) == (splits > 1)


def test_rows_that_no_split_uses_are_told(tmp_path):
    found = run(tmp_path, folds="holdout:60/20/20")
    kept = len(found.questions[0].ids)
    (note,) = told(found)
    assert note.startswith("mel-vs-benign: ") and "on neither side of any split" in note
    lost = int(note.split()[1])
    tested = {row["sample"] for row in table(found.folder / "predictions.csv")}
    (split,) = found.questions[0].splits
    assert lost == kept - len(split.train) - len(tested) and lost > 0


def test_the_official_split_tests_its_test_rows(tmp_path):
    def part(row):
        word = ("train", "test", "validation", "train", "")[row // 2 // 6 % 5]
        return {"split": word} if word else {}

    found = run(tmp_path, made(tmp_path / "f", samples=samples_of(attributes=part)), folds="official")
    tested = {row["sample"] for row in table(found.folder / "predictions.csv")}
    expected = {
        row for row in range(N) if part(row).get("split") == "test" and WORDS[row // 2 % 6] not in ("bcc", "akiec")
    }
    assert tested == {f"i{row}" for row in expected}
    assert any("32 samples are on neither side" in note for note in found.notes)


def test_a_dataset_without_an_official_split_says_so(tmp_path):
    with pytest.raises(SplitError, match="no official split"):
        run(tmp_path, folds="official")


def saved_plan(tmp_path, *, ids, groups):
    plan = folds.draw("5x2", ids, groups=groups, strata=["x"] * len(ids))
    return str(folds.save(plan, tmp_path / "plan.json", about={"dataset": "mine"}))


def test_folds_from_a_file_are_used_as_they_are(tmp_path):
    ids = [f"i{row}" for row in range(N)]
    plan = saved_plan(tmp_path, ids=ids, groups=[f"patient {row // 4}" for row in range(N)])
    found = run(tmp_path, folds=plan)
    assert found.run["settings"]["folds"]["file"] == plan
    assert found.run["settings"]["folds"]["digest"] == folds.load(plan).digest
    halves = {(row["sample"], row["repeat"], row["half"]) for row in table(found.folder / "predictions.csv")}
    for split in folds.load(plan).splits:
        mine = {name for name, r, h in halves if (r, h) == (str(split.repeat), str(split.half))}
        assert mine <= {ids[row] for row in split.test}


def test_folds_that_divide_a_group_of_these_data_are_refused(tmp_path):
    ids = [f"i{row}" for row in range(N)]
    plan = saved_plan(tmp_path, ids=ids, groups=ids)
    with pytest.raises(SplitError, match=r"drawn for other groups than these data have: group 'lesion \d+' is on two"):
        run(tmp_path, folds=plan)


def test_folds_that_divide_identical_images_are_refused(tmp_path):
    ids, groups = [f"i{row}" for row in range(N)], [f"lesion {row // 2}" for row in range(N)]
    plan = saved_plan(tmp_path, ids=ids, groups=groups)
    split = folds.load(plan).splits[0]
    twin = {int(split.test[0]): int(split.train[0])}
    path = made(tmp_path / "f", images=lambda row: f"image {twin.get(row, row)}")
    with pytest.raises(SplitError, match="drawn for other groups"):
        run(tmp_path, path, folds=plan)


def test_folds_of_another_dataset_are_refused(tmp_path):
    ids = [f"other{row}" for row in range(N)]
    with pytest.raises(SplitError, match="the folds do not hold sample"):
        run(tmp_path, folds=saved_plan(tmp_path, ids=ids, groups=ids))


def test_a_class_with_one_group_names_itself(tmp_path):
    rare = list(samples_of(diagnosis=lambda row: "mel" if row < 2 else "nv"))
    with pytest.raises(SplitError, match=r"class 'melanoma' of design 'mel-vs-benign' .*1 group \(lesion 0\)"):
        run(tmp_path, made(tmp_path / "f", samples=rare))


def test_a_search_without_groups_enough_names_design_split_and_classes(tmp_path):
    rare = list(samples_of(diagnosis=lambda row: "mel" if row < 4 else "nv"))
    path = made(tmp_path / "f", samples=rare)
    with pytest.raises(
        SplitError, match=r"mel-vs-benign, svm, split 0x0 \(classes: 0 'benign', 1 'melanoma'\).*--param"
    ):
        run(tmp_path, path, params=[])
    assert run(tmp_path, path).cells  # with what is to be searched fixed, it runs


def test_two_designs_of_one_name_are_refused_and_one_twice_is_one(tmp_path):
    other = replace(designs.custom(["mel"], ["nv"], drop=["bkl", "bcc", "akiec"]), name="mel-vs-benign")
    path = made(tmp_path / "f")
    with pytest.raises(UsageError, match="two designs are called 'mel-vs-benign'"):
        run(tmp_path, path, designs=["mel-vs-benign", other])
    found = run(
        tmp_path, path, designs=["three-class", "bcc-vs-mel-vs-benign"], classifiers=["tree", "tree"], params=[]
    )
    assert len(found.cells) == 1


def test_a_design_of_ones_own_runs_and_its_texts_are_no_formulas(tmp_path):
    samples = list(samples_of(diagnosis=lambda row: f"={WORDS[row // 2 % 2]}", id=lambda row: f"-{row}"))
    found = run(tmp_path, made(tmp_path / "f", samples=samples), designs=["diagnosis"])
    rows = table(found.folder / "predictions.csv")
    assert {row["truth"] for row in rows} == {"'=nv", "'=bkl"} and all(row["sample"].startswith("'-") for row in rows)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"classifiers": ["smv"]}, UnknownName, "did you mean 'svm'"),
        ({"designs": ["mel-vs-bening"]}, UnknownName, "did you mean 'mel-vs-benign'"),
        ({"scale": "l3"}, UsageError, "--scale takes l2, standard, none"),
        ({"folds": "3x2"}, UsageError, "unknown folds '3x2'"),
        ({"seed": -1}, UsageError, "--seed takes"),
        ({"seed": 2**32}, UsageError, "--seed takes"),
        ({"folds": "nowhere.json"}, UsageError, r"no folds file nowhere\.json"),
        ({"classifiers": []}, UsageError, "at least one classifier and one design"),
        ({"designs": []}, UsageError, "at least one classifier and one design"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, options, error, told):
    with pytest.raises(error, match=told):
        run(tmp_path, **{"params": [], **options})
    assert not (tmp_path / "out").exists()


def test_without_features_the_last_ones_are_taken(tmp_path):
    with pytest.raises(CacheError, match="run `featx extract` first"):
        compare(cache=tmp_path / "cache", **FAST)
    path = made(tmp_path / "cache" / "toy")
    found = compare(cache=tmp_path / "cache", **FAST)
    assert found.run["features"][0]["file"] == str(path)


def test_progress_counts_every_split(tmp_path):
    told = []
    run(tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 20) for done in range(1, 21)]


def test_a_plan_is_shared_by_later_runs(tmp_path):
    path = made(tmp_path / "f")
    first = run(tmp_path, path)
    second = run(tmp_path, path, designs=["three-class"], classifiers=["dummy"], params=[])
    assert first.run["settings"]["folds"] == second.run["settings"]["folds"]
    assert all(cell.values("auc_ovo").tolist() == [0.5] * 10 for cell in second.cells)


def test_every_classifier_of_the_shelf_runs_end_to_end(tmp_path):
    learners = [name for name in CLASSIFIERS if CLASSIFIERS[name].learns]
    found = run(tmp_path, classifiers=learners, params=["C=1", "n_estimators=5"], folds="holdout:50/50")
    assert [cell.classifier for cell in found.cells] == learners


# ---- near-duplicates


def looked_at(tmp_path, path, *, alike=()):
    """Remember made fingerprints of the rows of a feature file; rows in ``alike`` have one picture."""
    from featx.cache.places import Places
    from featx.images import Stat
    from featx.matrix import read_features

    features = read_features(path)
    spectra = np.random.default_rng(0).integers(-127, 128, (N, 256)).astype(np.int8)
    known = {}
    for row, digest in enumerate(features.digests):
        picture = alike[0] if row in alike else row
        mark = fingerprints.Fingerprint(digest, picture * 0x9E3779B97F4A7C15 % 2**64, 10 + row, 8, 8, "L", "PNG", "")
        known[f"i{row}.jpg"] = fingerprints._Known(
            Stat(10 + row, 1), mark._replace(spectrum=spectra[picture].tobytes().hex())
        )
    fingerprints._remember(Places.at(tmp_path / "cache").fingerprints("toy"), known)


def test_near_duplicates_across_groups_are_told_and_joined_where_asked(tmp_path):
    path = made(tmp_path / "cache" / "toy")
    looked_at(tmp_path, path, alike=(4, 60))
    found = run(tmp_path, path, cache=tmp_path / "cache")
    (note,) = found.notes
    assert note.startswith("1 pairs of near-duplicate images are in different groups: they may straddle")
    (pair,) = found.run["settings"]["near_duplicates"]["pairs"]
    assert (pair["first"], pair["second"]) == ("i4", "i60") and pair["cosine"] is not None
    groups = dict(zip(found.questions[0].ids, found.questions[0].groups, strict=True))
    assert groups["i4"] != groups["i60"]
    found = run(tmp_path, path, cache=tmp_path / "cache", near_duplicates="join")
    assert found.notes == ("1 pairs of near-duplicate images are in different groups: their groups are joined",)
    groups = dict(zip(found.questions[0].ids, found.questions[0].groups, strict=True))
    assert groups["i4"] == groups["i5"] == groups["i60"] == groups["i61"]
    half = {(row["sample"], row["repeat"]): row["half"] for row in table(found.folder / "predictions.csv")}
    for repeat in "01234":
        assert len({half[(name, repeat)] for name in ("i4", "i5", "i60", "i61")}) == 1


def test_images_that_were_never_looked_at_are_told_and_cannot_be_joined(tmp_path):
    path = made(tmp_path / "cache" / "toy")
    found = run(tmp_path, path, cache=tmp_path / "cache")
    assert found.notes == ("near-duplicates were not looked for among 120 images; `featx extract` does it",)
    with pytest.raises(UsageError, match="120 images have not been looked at"):
        run(tmp_path, path, cache=tmp_path / "cache", near_duplicates="join")
    assert run(tmp_path, path, cache=tmp_path / "cache", near_duplicates="ignore").notes == ()
    with pytest.raises(UsageError, match="takes audit, join, ignore"):
        run(tmp_path, path, near_duplicates="merge")


# ---- designs and folds of the data


def test_a_design_that_the_labels_cannot_answer_is_refused_with_the_reason(tmp_path):
    path = made(tmp_path / "f", designs=("mel-vs-benign",), lacks={"three-class": "no", "": "there is no BCC"})
    assert run(tmp_path, path, designs=["mel-vs-benign"]).cells
    with pytest.raises(
        UsageError, match=r"'malignant-vs-benign' cannot be asked of toy \(csv\): there is no BCC; it supports"
    ):
        run(tmp_path, path, designs=["malignant-vs-benign"])


def test_one_source_is_left_out_in_turn(tmp_path):
    def source(row):
        return {"dataset": "xyz"[row // 2 // 6 % 3] if WORDS[row // 2 % 6] != "mel" or row // 2 // 6 % 3 else "x"}

    found = run(tmp_path, made(tmp_path / "f", samples=samples_of(attributes=source)), folds="by:dataset")
    assert "tested in turn: 0 x, 1 y, 2 z" in found.notes
    place = {f"i{row}": source(row)["dataset"] for row in range(N)}
    for row in table(found.folder / "predictions.csv"):
        assert "xyz"[int(row["half"])] == place[row["sample"]]
    with pytest.raises(UsageError, match=r"no column 'datasett'.*dataset"):
        run(tmp_path, made(tmp_path / "g", samples=samples_of(attributes=source)), folds="by:datasett")


def test_a_source_without_every_class_is_not_tested_and_told(tmp_path):
    def source(row):
        return {"dataset": "z" if WORDS[row // 2 % 6] == "bkl" else "xy"[row // 2 // 6 % 2]}

    found = run(tmp_path, made(tmp_path / "f", samples=samples_of(attributes=source)), folds="by:dataset")
    assert {split.half for split in found.questions[0].splits} == {0, 1}
    assert any("parts 2 are not tested" in note for note in found.notes)


def test_the_fold_files_of_the_paper_serve(tmp_path):
    lines = []
    for number in (1, 2, 3):
        halves = [[f"i{row}.tiff" for row in range(N) if (row // 12 // number) % 2 == side] for side in (0, 1)]
        lines += [f"Fold_{number}:", *(f"- {json.dumps(half)}" for half in halves)]
    (tmp_path / "protocol2.yml").write_text("\n".join(lines))
    found = run(tmp_path, made(tmp_path / "f"), folds=str(tmp_path / "protocol2.yml"))
    assert len(found.questions[0].splits) == 6
    assert "3 distinct partitions of 3 folds, each used both ways" in found.notes
    assert found.run["settings"]["folds"]["scheme"] == "released:protocol2.yml"
    with pytest.raises(UsageError, match="a table of labels holds no folds"):
        run(tmp_path, made(tmp_path / "f"), folds="protocol2.csv")


# ---- solved together, and kept


@pytest.mark.parametrize("classifier", ["svm", "svc-linear", "svm-rbf"])
def test_solving_together_changes_no_number(tmp_path, classifier):
    path = made(tmp_path / "f")
    options = {"classifiers": [classifier], "params": [], "designs": ["mel-vs-benign", "three-class"]}
    together = run(tmp_path, path, **options)
    alone = run(tmp_path, path, solver="sklearn", **options)
    assert together.run["settings"]["classifiers"][classifier]["solver"] == "together"
    assert alone.run["settings"]["classifiers"][classifier]["solver"] == "sklearn"
    for one, other in zip(together.cells, alone.cells, strict=True):
        main = "auc" if one.design == "mel-vs-benign" else "auc_ovo"
        # scikit-learn's own fits end at a looser tolerance: a pair of rows may change places
        np.testing.assert_allclose(one.values(main), other.values(main), atol=4e-3)
        assert [v.chosen for v in one.verdicts] == [v.chosen for v in other.verdicts]
    with pytest.raises(UsageError, match="takes auto, sklearn"):
        run(tmp_path, path, solver="own")


def test_a_cell_that_is_finished_is_never_computed_again(tmp_path, monkeypatch):
    path = made(tmp_path / "f")
    whole = run(tmp_path, path, classifiers=["svm", "tree"])
    real = judging.judge
    fits = []
    monkeypatch.setattr(comparison.cells, "judge", lambda c, *a, **k: fits.append(c.name) or real(c, *a, **k))
    monkeypatch.setattr(comparison.cells.families, "judge", lambda c, *a, **k: fits.append(c.name) or 1 / 0)
    told = []
    again = run(tmp_path, path, classifiers=["svm", "tree"], on_progress=lambda *n: told.append(n))
    assert fits == [] and told[-1] == (20, 20)
    for one, other in zip(whole.cells, again.cells, strict=True):
        assert one.scores == other.scores
        assert all((a.scores == b.scores).all() for a, b in zip(one.verdicts, other.verdicts, strict=True))
    run(tmp_path, path, classifiers=["tree"], params=["min_samples_leaf=5"], seed=1)
    assert fits == ["tree"] * 10


def test_what_accelerated_a_score_is_in_its_record_and_another_is_another_cell(tmp_path):
    path = made(tmp_path / "f")
    options = {"classifiers": ["tree", "svm"], "params": ["C=1", "min_samples_leaf=5"]}
    plain, fast = (run(tmp_path, path, accelerate=way, **options) for way in ("none", "numba"))
    told = [[found.run["settings"]["classifiers"][name]["accelerate"] for name in options["classifiers"]]
            for found in (plain, fast)]  # fmt: skip
    assert told == [["none", "none"], [f"numba {version('numba')}", "none"]]
    assert len(list((tmp_path / "cache" / "cells").iterdir())) == 3  # the SVM's is the same
    again = run(tmp_path, path, accelerate="numba", jobs=3, **options)
    assert [cell.scores for cell in again.cells] == [cell.scores for cell in fast.cells]
    with pytest.raises(UsageError, match="--accelerate takes none, numba, intel"):
        run(tmp_path, path, accelerate="turbo")


def test_a_comparison_that_was_killed_goes_on_cell_by_cell(tmp_path, monkeypatch):
    path = made(tmp_path / "f")
    real, fits = judging.judge, []

    def dies(classifier, *rest, **options):
        if classifier.name == "tree":
            raise KeyboardInterrupt
        fits.append(classifier.name)
        return real(classifier, *rest, **options)

    order = {"classifiers": ["dummy", "tree"], "params": ["tree:min_samples_leaf=5"]}
    monkeypatch.setattr(comparison.cells, "judge", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, path, **order)
    assert fits == ["dummy"] * 10
    monkeypatch.setattr(comparison.cells, "judge", lambda c, *a, **k: fits.append(c.name) or real(c, *a, **k))
    found = run(tmp_path, path, **order)
    assert fits == ["dummy"] * 10 + ["tree"] * 10
    assert [cell.classifier for cell in found.cells] == ["dummy", "tree"]


def test_a_damaged_cell_is_computed_again(tmp_path):
    path = made(tmp_path / "f")
    first = run(tmp_path, path, classifiers=["dummy"], params=[])
    (kept,) = (tmp_path / "cache" / "cells").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert run(tmp_path, path, classifiers=["dummy"], params=[]).cells[0].scores == first.cells[0].scores


def test_other_labels_are_other_cells(tmp_path):
    path = made(tmp_path / "f")
    run(tmp_path, path, classifiers=["dummy"], params=[])
    run(tmp_path, path, classifiers=["dummy"], params=[], designs=["malignant-vs-benign"])
    run(tmp_path, path, classifiers=["dummy"], params=[], folds="kfold:3")
    assert len(list((tmp_path / "cache" / "cells").iterdir())) == 3


def test_sanity_rows_are_scored_where_they_are_asked_for(tmp_path):
    path = made(tmp_path / "f")
    assert run(tmp_path, path, classifiers=["svm"], params=["C=1"]).sanity == ()
    found = run(tmp_path, path, classifiers=["svm"], params=["C=1"], sanity=True)
    assert {row.design for row in found.sanity} == {"mel-vs-benign"}
    assert found.run["sanity"] == [row._asdict() for row in found.sanity]
    assert any("permuted" in row.what for row in found.sanity)


def test_probabilities_stand_beside_scores_where_they_are_asked_for(tmp_path):
    path = made(tmp_path / "f")
    found = run(tmp_path, path, classifiers=["svm"], params=[], designs=["three-class"], probabilities=True)
    rows = table(found.folder / "predictions.csv")
    names = ["bcc", "melanoma", "benign"]
    told = np.array([[float(row[f"probability_{name}"]) for name in names] for row in rows])
    scores = np.array([[float(row[f"score_{name}"]) for name in names] for row in rows])
    np.testing.assert_allclose(told.sum(1), 1)
    assert [row["predicted"] for row in rows] == [names[at] for at in scores.argmax(1)]
    for column in range(3):  # within a split, the map of each class against the rest rises with its score
        assert np.corrcoef(told[:40, column], scores[:40, column])[0, 1] > 0.5
    found = run(tmp_path, path, classifiers=["svm"], params=[], designs=["three-class"])
    assert "probability_bcc" not in table(found.folder / "predictions.csv")[0]
