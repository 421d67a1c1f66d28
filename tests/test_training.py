"""Training as a whole: weights a split, features that serve their split, and nothing judged on what was seen."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from networks import DESIGN, QUICK, SIDE, dataset, trained
from safetensors.torch import load_file

from featx.backbones.trained import read_record
from featx.cache.places import Places
from featx.comparison import compare
from featx.errors import (
    CacheDamaged,
    CacheError,
    CacheMismatch,
    DataError,
    SplitError,
    UnknownName,
    UsageError,
    WeightsError,
)
from featx.evaluation import evaluate
from featx.extraction import extract
from featx.matrix import read_features
from featx.predictor import Predictor
from featx.predictor.saving import save_evaluated
from featx.training import history, splits
from featx.training import networks as of_splits

FAST = {"classifiers": ["svm"], "params": ["C=1"], "folds": "kfold:2", "designs": [DESIGN], "jobs": 1}


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
    """Draw no curves: ``test_training_history`` does, and the module's fixture."""
    monkeypatch.setattr(history, "curves", lambda *_, **__: {})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset, its cache, and what training gave."""
    folder = tmp_path_factory.mktemp("made")
    data = dataset(folder / "toy")
    return data, folder / "cache", trained(data, folder / "cache")


def tensors(path):
    return {key: values.numpy().tobytes() for key, values in load_file(path).items()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def only_with(found, layer):
    return next(path for path in found.files if f"--{layer}--" in path.name)


def test_one_network_a_split_and_a_set_a_layer(made):
    _, cache, found = made
    assert [training.name for training in found.trainings] == ["0x0", "0x1"]
    assert [path.name.split("--")[:2] for path in found.files] == [
        ["maia-custom2@random0+toy", "fc1"],
        ["maia-custom2@random0+toy", "logits"],
    ]
    assert Places(cache).last("toy") == list(found.files)
    stem = found.trainings[0].path.with_suffix("")
    assert {stem.with_name(stem.name + ending).exists() for ending in (".csv", ".svg", ".png")} == {True}
    assert not list((cache / "weights" / "unfinished").glob("*"))
    rows = table(stem.with_name(f"{stem.name}.csv"))
    assert [row["epoch"] for row in rows] == ["1", "2"] and tuple(rows[0]) == history.COLUMNS


def test_the_record_tells_all_that_was_seen_and_nothing_of_the_test_side(made):
    _, _, found = made
    held = read_features(found.files[0])
    plan = {split.half: split for split in found.plan.splits}
    for training, half in zip(found.trainings, (0, 1), strict=True):
        record = read_record(training.path)
        rows = [row for row, s in enumerate(held.dataset.samples) if s.id in
                {found.plan.ids[at] for at in plan[half].train.tolist()}]  # fmt: skip
        assert set(record["seen"]["images"]) == {held.digests[row] for row in rows}
        assert record["seen"]["groups"] == {"lesion": sorted({held.dataset.samples[row].group for row in rows})}
        assert record["rows"]["train"] + record["rows"]["validation"] == len(rows)
        assert record["folds"]["digest"] == found.plan.digest
        assert record["learned"]["classes"] == list(found.classes)


def test_validation_is_held_back_by_group(made):
    data, cache, _ = made
    from featx.training.request import Asked, settle

    asked = Asked(data, "maia-custom2", "random", DESIGN, "kfold:2", "linear", None, None, "none", ("logits",), None,
                  SIDE, "squash", "bilinear", True, False, None, "cpu", None, None, None, "drop", "malignant", 0.05,
                  QUICK)  # fmt: skip
    work = splits.plan_for(settle(asked, Places(cache)))
    for sides in work.sides:
        groups = [{work.groups[row] for row in rows.tolist()} for rows in (sides.train, sides.validation)]
        assert groups[0].isdisjoint(groups[1]) and len(sides.validation) == pytest.approx(6, abs=2)
        assert set(work.request.y[sides.validation]) == {0, 1}
        assert set(sides.train) | set(sides.validation) == set(sides.split.train)


def test_again_is_nothing_to_do(made, monkeypatch):
    data, cache, found = made
    monkeypatch.setattr(of_splits, "learn", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr("featx.training.entries.extract", lambda *_, **__: pytest.fail("extracted again"))
    again = trained(data, cache)
    assert all(training.reused for training in again.trainings) and again.files == found.files


@pytest.mark.parametrize(
    "changes",
    [{"freeze": "all"}, {"head": "8"}, {"settings": dataclasses.replace(QUICK, lr=0.04)}, {"weights": "random:1"}],
)
def test_what_changes_the_weights_has_another_key(made, changes, monkeypatch):
    data, cache, _found = made

    class Asked(Exception):
        pass

    def tell(*_, **__):
        raise Asked

    monkeypatch.setattr(of_splits, "learn", tell)
    with pytest.raises(Asked):
        trained(data, cache, **changes)


def test_a_kill_between_epochs_changes_nothing(made, tmp_path, monkeypatch):
    data, _, found = made
    monkeypatch.setattr("featx.training.loop.SHARE", 0)

    class Killed(Exception):
        pass

    def kill(split, row):
        if (split, row["epoch"]) == ("0x1", 1):
            raise Killed

    with pytest.raises(Killed):
        trained(data, tmp_path, on_epoch=kill)
    told = []
    again = trained(data, tmp_path, on_epoch=lambda split, row: told.append((split, row["epoch"])))
    assert told == [("0x1", 2)]
    for one, other in zip(again.trainings, found.trainings, strict=True):
        assert tensors(one.path) == tensors(other.path)


def test_the_networks_own_verdict_stands_beside_classifiers_on_its_features(made):
    _, cache, found = made
    compared = compare(found.files, **{**FAST, "classifiers": ["svm", "argmax"]}, cache=cache, out=cache / "out")
    assert [(cell.features.split("--")[1], cell.classifier) for cell in compared.cells] == [
        ("fc1", "svm"),
        ("logits", "svm"),
        ("logits", "argmax"),
    ]
    argmax = compared.cells[-1]
    held = read_features(only_with(found, "logits"))
    question = compared.questions[0]
    for part, split, verdict in zip(held.parts, question.splits, argmax.verdicts, strict=True):
        logits = part.features.X[part.features.rows_of([question.ids[row] for row in split.test.tolist()])]
        assert np.allclose(verdict.scores[:, 1], logits[:, 1] - logits[:, 0])
        assert verdict.inner is None and verdict.inner_score is None
    assert any("learned from rows that classifiers train on" in note for note in compared.notes)
    assert compared.run["settings"]["seen"] == []


def test_each_split_is_answered_with_the_features_of_its_own_network(made):
    _, cache, found = made
    compared = compare(only_with(found, "fc1"), **FAST, cache=cache, out=cache / "own")
    held = read_features(only_with(found, "fc1"))
    from featx.classifiers import CLASSIFIERS, judge

    question = compared.questions[0]
    for part, split, verdict in zip(held.parts, question.splits, compared.cells[0].verdicts, strict=True):
        X = part.features.X[part.features.rows_of(question.ids)]
        alone = judge(CLASSIFIERS["svm"], X[split.train], y=question.y[split.train], X_test=X[split.test],
                      groups=[question.groups[row] for row in split.train], params={"C": 1.0})  # fmt: skip
        assert np.allclose(alone.scores, verdict.scores, atol=1e-3)


def test_a_set_serves_its_own_folds_alone(made):
    _, cache, found = made
    for folds in ("kfold:3", "holdout:50/50"):
        with pytest.raises(CacheMismatch, match=r"--folds kfold:2 --seed 0"):
            compare(found.files, **{**FAST, "folds": folds}, cache=cache)
    with pytest.raises(CacheMismatch):
        compare(found.files, **FAST, seed=1, cache=cache)
    with pytest.raises(UsageError, match="put other features first"):
        compare(found.files, **FAST, sanity=True, cache=cache)


def test_a_file_of_one_split_is_refused_for_the_rows_that_its_network_saw(made):
    _, cache, found = made
    one = read_features(found.files[0]).parts[0].features.path
    with pytest.raises(DataError, match="have seen 24 of the samples"):
        compare(one, **FAST, cache=cache)
    told = compare(one, **FAST, cache=cache, out=cache / "seen", allow_seen=True)
    rows = table(cache / "seen" / "predictions.csv")
    marks = {(row["repeat"], row["half"]): row["seen"] for row in rows}
    assert marks == {("0", "0"): "0", ("0", "1"): "1"}
    assert any("this is no test" in note for note in told.notes)
    assert [len(one["samples"]) for one in told.run["settings"]["seen"]] == [24]


@pytest.mark.parametrize("freeze", ["none", "upto:pool1"])
def test_signal_in_test_rows_alone_is_nothing_to_the_network(tmp_path, monkeypatch, freeze):
    """A white corner marks the positive test images alone: whatever is learned is the same without it, to the bit.

    Where the first block is frozen, its activations are computed in batches that test images share.
    """
    monkeypatch.setattr("featx.training.extracted", lambda *_: ())
    settings = dataclasses.replace(QUICK, lr=0.1, epochs=15)
    plain = dataset(tmp_path / "plain" / "toy", hint=0)
    how = {"folds": "holdout:50/50", "settings": settings, "freeze": freeze}
    without = trained(plain, tmp_path / "a", **how)
    split = without.plan.splits[0]
    words = {f"i{row}": row // 2 % 2 for row in range(48)}  # by the name of the file
    tested = {without.plan.ids[row].removesuffix(".png") for row in split.test.tolist()}
    marked = [name for name in words if words[name] and name in tested]
    planted = dataset(tmp_path / "planted" / "toy", hint=0, planted=marked)
    with_it = trained(planted, tmp_path / "b", **how)
    assert with_it.plan.splits[0].test.tolist() == split.test.tolist() and len(marked) > 5
    assert tensors(with_it.trainings[0].path) == tensors(without.trainings[0].path)
    everywhere = dataset(tmp_path / "all" / "toy", hint=0, planted=[name for name in words if words[name]])
    found = trained(everywhere, tmp_path / "c", **how)
    assert found.trainings[0].history[-1]["validation_auc"] == 1.0  # where train rows have it, it is found


def test_a_row_is_refused_through_two_ancestors_and_heads_are_exchanged(tmp_path):
    cache = tmp_path / "cache"
    retina = dataset(tmp_path / "retina", words=("nv", "mel", "bkl"), n=48)
    atlas = dataset(tmp_path / "atlas", first=1000, seed=1)
    third = dataset(tmp_path / "third", first=2000, seed=2)
    one = trained(retina, cache, design="diagnosis", folds="all")
    assert len(one.classes) == 3 and one.files == () and one.plan is None
    two = trained(atlas, cache, weights=str(one.trainings[0].path), folds="all")
    last = trained(third, cache, weights=str(two.trainings[0].path), folds="all", called="more")
    path = last.trainings[0].path
    assert path.name.startswith("maia-custom2@random0+retina+atlas+more--")
    features = extract(retina, backbone="maia-custom2", weights=str(path), size=SIDE, isolate=False, cache=cache)
    assert features.files[0].name.startswith("maia-custom2@random0+retina+atlas+more--fc1--")
    with pytest.raises(DataError, match="have seen 48 of the samples"):
        compare(features.files, **{**FAST, "designs": ["diagnosis"]}, cache=cache)
    fresh = dataset(tmp_path / "fresh", first=3000, seed=3)
    other = extract(fresh, backbone="maia-custom2", weights=str(path), size=SIDE, isolate=False, cache=cache)
    compared = compare(other.files, **FAST, cache=cache, out=tmp_path / "out")
    assert compared.run["settings"]["seen"] == []
    # a model on such weights says of a picture whether it or any network before it has seen it
    model = save_evaluated(tmp_path / "model.featx", compared.run, compared.questions, cache=cache).path
    new = dataset(tmp_path / "new", first=7000, seed=7, n=4)
    asked = {retina: 0, atlas: 1000, third: 2000, fresh: 3000, new: 7000}
    images = [table.parent / f"i{first}.png" for table, first in asked.items()]
    told = Predictor.load(model).predict(images, cache=cache, isolate=False)
    assert [one.seen for one in told] == [True, True, True, True, False]
    # the same lesion under another picture is seen too, and so it is where one file trains and another is tested
    again = dataset(tmp_path / "again", first=1000, seed=9)
    same = extract(again, backbone="maia-custom2", weights=str(path), size=SIDE, isolate=False, cache=cache)
    with pytest.raises(DataError, match="have seen 48 of the samples"):
        compare(same.files, **FAST, cache=cache)
    given = {"classifiers": ["svm"], "params": ["C=1"], "designs": [DESIGN], "cache": cache, "jobs": 1}
    with pytest.raises(DataError, match="have seen 48 test samples"):
        evaluate(other.files[0], test=same.files[0], **given)
    told = evaluate(other.files[0], test=same.files[0], **given, allow_seen=True, out=tmp_path / "ev")
    assert any("--allow-seen goes on" in note for note in told.notes)


def test_features_whose_weights_nobody_can_vouch_for_are_refused(made, tmp_path):
    _data, cache, found = made
    path = found.trainings[0].path
    fresh = dataset(tmp_path / "fresh", first=5000, seed=5)
    shutil.copytree(cache, tmp_path / "cache")
    about = {"weights": str(path), "size": SIDE, "isolate": False, "cache": tmp_path / "cache"}
    features = extract(fresh, backbone="maia-custom2", **about).files
    digest = read_features(features[0]).about["spec"]["weights"]
    sidecar = tmp_path / "cache" / "weights" / f"{digest[:16]}.seen.json"
    told = json.loads(sidecar.read_text())
    told["seen"]["images"] = []
    sidecar.write_text(json.dumps(told))
    with pytest.raises(CacheDamaged, match="was changed"):
        compare(features, **FAST, cache=tmp_path / "cache")
    sidecar.unlink()
    with pytest.raises(CacheError, match="trained here"):
        compare(features, **FAST, cache=tmp_path / "cache")
    extract(fresh, backbone="maia-custom2", **about)
    assert compare(features, **FAST, cache=tmp_path / "cache", out=tmp_path / "out").cells


def test_argmax_is_asked_of_a_verdict_alone_and_of_its_own_design(made, tmp_path):
    _data, cache, found = made
    with pytest.raises(UsageError, match="layer logits"):
        compare(only_with(found, "fc1"), **{**FAST, "classifiers": ["argmax"], "params": []}, cache=cache)
    with pytest.raises(UsageError, match="were trained for"):
        compare(
            only_with(found, "logits"),
            **{**FAST, "classifiers": ["argmax"], "params": [], "designs": ["diagnosis"]},
            cache=cache,
        )


def test_cuts_end_where_the_weights_end(made, tmp_path):
    data, cache, _found = made
    short = trained(data, cache, cut="pool1", head="gap+8", folds="all", called="short").trainings[0].path
    record = read_record(short)
    assert record["structure"]["cut"] == "pool1" and record["structure"]["dim"] == 32
    with pytest.raises(WeightsError, match="end before conv2_1"):
        trained(data, cache, weights=str(short), folds="all")
    lower = trained(data, cache, weights=str(short), cut="conv1_1", folds="all", freeze="all", called="lower")
    body = {key: values for key, values in load_file(short).items() if key.startswith("body.")}
    kept = {key: values for key, values in load_file(lower.trainings[0].path).items() if key.startswith("body.")}
    assert kept and all(torch.equal(values, body[key]) for key, values in kept.items())


def test_sigmoid_has_one_output_and_its_verdict_is_one_too(made):
    data, cache, _ = made
    settings = dataclasses.replace(QUICK, loss="sigmoid")
    found = trained(data, cache, settings=settings, layers=("logits",), called="bce")
    assert read_features(found.files[0]).X.shape[1] == 1
    assert compare(found.files, **{**FAST, "classifiers": ["argmax"], "params": []}, cache=cache).cells


def test_what_cannot_be_learned_is_told(made, tmp_path):
    data, cache, _ = made
    few = dataset(tmp_path / "few", n=8)
    with pytest.raises(SplitError, match="no validation part of 25%"):
        trained(few, cache, settings=QUICK)
    with pytest.raises(UsageError, match="another --size"):
        trained(data, cache, size=2)
    with pytest.raises(UsageError, match="nothing can be learned"):
        trained(data, cache, backbone="pixels")
    with pytest.raises(UnknownName, match="did you mean 'fc1'"):
        trained(data, cache, layers=("fc11",), on_epoch=lambda *_: pytest.fail("trained first"))
