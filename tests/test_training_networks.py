"""One network a split, and of a grid the one that validates best inside its train side; all that was tried is told."""

import csv
import dataclasses

import pytest
from networks import QUICK, dataset, trained

from featx.errors import TrainingError, UnknownName, UsageError
from featx.training import history
from featx.training.kept import Kept
from featx.training.settings import Settings, unfolded


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
    monkeypatch.setattr(history, "curves", lambda *_, **__: {})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("data") / "toy")


def only_weights(data, cache, **changes):
    """Train without extracting features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featx.training.extracted", lambda *_: ())
        return trained(data, cache, **changes)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_split_takes_the_point_with_the_lowest_loss_on_its_own_validation_part(data, tmp_path):
    grid, told = {"lr": [1e-5, 0.05], "l2": [0.01]}, []
    found = only_weights(data, tmp_path, grid=grid, on_epoch=lambda name, _: told.append(name))
    assert told[::2] == [f"0x{half} lr={lr:g},l2=0.01" for half in (0, 1) for lr in grid["lr"]]
    for training in found.trainings:
        losses = {one.training.key: one.training.best["validation_loss"] for one in training.tried}
        assert losses[training.key] == min(losses.values()) and training.word == "lr=0.05,l2=0.01"
        assert len({one.training.path for one in training.tried} & set(tmp_path.rglob("*.safetensors"))) == 2
    rows = table(found.grid)
    assert len(rows) == 4 and sum(row["chosen"] == "1" for row in rows) == 2
    assert rows[1]["split"] == "0x0" and (rows[1]["lr"], rows[1]["l2"]) == ("0.05", "0.01")
    best = next(row for row in rows if row["chosen"] == "1")
    assert best["weights_file"] == found.trainings[0].path.name
    assert float(best["validation_loss"]) == found.trainings[0].best["validation_loss"]


def test_a_point_is_the_training_that_it_would_be_by_itself(data, tmp_path):
    both = only_weights(data, tmp_path, grid={"l2": [0.001, 0.1]}, folds="all")
    alone = only_weights(data, tmp_path, settings=dataclasses.replace(QUICK, l2=0.1), folds="all")
    assert alone.trainings[0].reused and alone.grid is None
    assert alone.trainings[0].key in {one.training.key for one in both.trainings[0].tried}
    again = only_weights(data, tmp_path, grid={"l2": [0.001, 0.1]}, folds="all")
    assert again.trainings[0].reused and again.grid == both.grid


def test_a_point_that_diverges_is_told_and_the_others_go_on(data, tmp_path):
    settings = dataclasses.replace(QUICK, head_lr=0.05)
    found = only_weights(data, tmp_path, grid={"lr": [0.01, 100.0]}, settings=settings, folds="all", weights="random:2")
    (training,) = found.trainings
    assert training.word == "lr=0.01" and "all: lr=100 diverged" in found.notes
    assert table(found.grid)[1]["validation_loss"] == ""
    with pytest.raises(TrainingError, match="every point of the grid diverged"):
        only_weights(data, tmp_path, grid={"lr": [99.0, 100.0]}, settings=settings, folds="all", weights="random:2")


def test_grids_are_checked_before_anything_is_decoded(data, tmp_path):
    for grid, error in (
        ({"lrr": [0.1]}, UnknownName),
        ({"lr": []}, UsageError),
        ({"lr": [0.1, 0.1]}, UsageError),
        ({"lr": [0.0]}, UsageError),
        ({"batch_size": [8.5]}, UsageError),
    ):
        with pytest.raises(error):
            only_weights(data, tmp_path, grid=grid)
    assert not (tmp_path / "pixels").exists()
    both = unfolded(Settings(), {"lr": [0.1, 0.2], "l2": [0.0, 0.01]})
    assert [one.word for one in both] == ["lr=0.1,l2=0", "lr=0.1,l2=0.01", "lr=0.2,l2=0", "lr=0.2,l2=0.01"]
    assert [one.settings.batch_size for one in unfolded(Settings(), {"batch_size": [8, 16.0]})] == [8, 16]
    assert unfolded(Settings(), {}) == ((Settings(), {}),)


def test_activations_of_what_is_frozen_are_shared_by_splits_and_points(data, tmp_path, monkeypatch):
    passed = []
    computed = Kept._computed

    def counted(self, pixels, way):
        passed.append(len(pixels))
        return computed(self, pixels, way)

    monkeypatch.setattr(Kept, "_computed", counted)
    found = only_weights(data, tmp_path, grid={"l2": [0.0, 0.01, 0.1]}, freeze="upto:pool1")
    assert sum(passed) == 48 and len(found.trainings) == 2  # every image of the dataset once
    anew = only_weights(data, tmp_path / "anew", grid={"l2": [0.0, 0.01, 0.1]}, freeze="upto:pool1", keep_frozen=0)
    assert sum(passed) == 48 and not list((tmp_path / "anew").rglob("*.act"))
    for one, other in zip(found.trainings, anew.trainings, strict=True):
        assert one.best["validation_loss"] == pytest.approx(other.best["validation_loss"], rel=1e-3)
