"""maia2019.yaml: the grid of the study, its numbers, and that lambda is what keras calls it."""

from __future__ import annotations

import numpy as np
import pytest

from featx.pipeline import opened
from featx.pipeline.variants import variants

LAMBDAS = np.geomspace(1e-4, 5e-3, 10)
ENDS = {"18": "pool5", "14": "pool4", "10": "pool3", "6": "pool2", "3": "pool1"}


@pytest.fixture(scope="module")
def study():
    return opened("maia2019")


@pytest.fixture(scope="module")
def full(study):
    return variants(study, "full")[0]


def of(found, experiment):
    return [one for one in found if one.experiment.id == experiment]


def published(study, table):
    (found,) = next(one for one in study.tables if one.id == table).published
    return found.values


def test_every_pair_of_extracted_and_frozen_blocks_comes_with_every_lambda(full):
    grid = of(full, "vgg16")
    blocks = [18, 14, 10, 6, 3, 0]
    pairs = {(str(e), str(f)) for e in blocks[:-1] for f in blocks if f <= e}
    assert len(grid) == 200 and {(one.axes["e"], one.axes["f"]) for one in grid} == pairs
    for one in grid:
        train = one.experiment.train
        assert train.cut == ENDS[one.axes["e"]] and train.head == "gap+512"
        frozen = {"0": "none", one.axes["e"]: "all"}.get(one.axes["f"], f"upto:{ENDS.get(one.axes['f'])}")
        assert train.freeze == frozen


def test_weight_decay_is_twice_the_lambda_of_keras(full):
    for name in ("vgg16", "custom1", "custom2"):
        for one in of(full, name):
            near = LAMBDAS[np.abs(np.log(LAMBDAS / float(one.axes["lambda"]))).argmin()]
            assert one.experiment.train.l2 == pytest.approx(2 * near, rel=1e-6)
            assert float(one.axes["lambda"]) == pytest.approx(near, rel=1e-4)
    chosen = {"test-custom2": 3, "test-custom1": 2, "test-vgg16": 4}
    for name, at in chosen.items():
        (one,) = of(full, name)
        assert one.experiment.train.l2 == pytest.approx(2 * LAMBDAS[at], rel=1e-6)


def test_the_networks_of_the_test_table_are_points_of_the_grid(full):
    grid = {digest_of(one) for one in full if one.axes}
    assert all(digest_of(one) in grid for one in full if one.experiment.id.startswith("test-"))


def digest_of(one):
    train = {**one.experiment.train.model_dump(), "l2": f"{one.experiment.train.l2:.6g}"}
    return repr((one.experiment.backbone, one.experiment.weights, sorted(train.items())))


def test_rates_and_sizes_are_the_sweeps_of_the_study(full):
    rates = [one.experiment.train.lr for one in of(full, "rates")]
    assert rates == pytest.approx(np.geomspace(1, 1e-10, 20), rel=1e-5)
    assert [one.experiment.train_share for one in of(full, "sizes")] == pytest.approx(np.arange(1, 10) / 10)
    (adam,) = of(full, "adam")
    assert (adam.experiment.train.optimiser, adam.experiment.train.lr, adam.experiment.train.freeze) == (
        "adam", 1e-8, "none",
    )  # fmt: skip


def test_the_summary_rows_that_were_printed_are_mean_and_population_deviation_of_the_numbers_here(study):
    """Ten cells a column, typed one by one: the printed summaries hold them together."""
    val, train = published(study, "validation"), published(study, "training")
    printed = {
        "18": ((.906, .0061), (.995, .00713)), "14": ((.925, .00194), (1.0, 0.0)), "10": ((.886, .129), (.95, .15)),
        "6": ((.711, .212), (.75, .25)), "3": ((.753, .207), (.8, .245)), "0": ((.582, .163), (.6, .2)),
    }  # fmt: skip
    for f, summaries in printed.items():
        for values, (mean, sd) in zip((val, train), summaries, strict=True):
            own = np.array([row[f] for row in values.values()])
            assert len(own) == 10
            assert own.mean() == pytest.approx(mean, abs=6e-4) and own.std(ddof=0) == pytest.approx(sd, abs=6e-4)
    for name, val_printed, train_printed in (
        ("custom1", (.729, .0248), (.737, .0267)), ("custom2", (.715, .00645), (.725, .00865)),
    ):  # fmt: skip
        for table, (mean, sd) in (("custom-validation", val_printed), ("custom-training", train_printed)):
            own = np.array([row[name] for row in published(study, table).values()])
            assert own.mean() == pytest.approx(mean, abs=6e-4) and own.std(ddof=0) == pytest.approx(sd, abs=6e-4)
    sizes = published(study, "sizes")
    for metric, (mean, sd) in (("train", (0.988, 0.00829)), ("validation", (0.849, 0.0412))):
        own = np.array([row[f"training.last_{metric}_accuracy"] for row in sizes.values()])
        assert own.mean() == pytest.approx(mean, abs=6e-4) and own.std(ddof=0) == pytest.approx(sd, abs=6e-4)


def test_what_the_study_calls_auc_stands_under_balanced_accuracy(study):
    rows = published(study, "test")
    assert rows["test-vgg16"] == {"accuracy": .943, "balanced_accuracy": .943, "precision_weighted": .945,
                                  "recall_weighted": .943, "f1_weighted": .943}  # fmt: skip
    assert rows["test-custom2"]["balanced_accuracy"] == 0.737 and rows["test-custom1"]["f1_weighted"] == 0.78
    assert all("auc" not in row for row in rows.values())
    assert "auc" in [metric.name for metric in next(one for one in study.tables if one.id == "test").metrics]


def test_no_class_loses_a_diagnosis_and_the_leak_is_the_studys(study):
    (design,) = study.designs
    assert design.classes == {"rest": ("nv", "bkl", "bcc", "akiec", "vasc", "df"), "melanoma": ("mel",)}
    assert {leak.protocol for leak in study.leaks} == {"maia2019"}
    assert {leak.classifiers for leak in study.leaks} == {("svm",), ("argmax",)}


def test_smoke_is_small_and_says_what_it_leaves(study):
    small, told = variants(study, "smoke")
    assert len(small) < 15 and all(one.experiment.train.epochs == 1 for one in small)
    assert any("of lambda only" in note for note in told)
