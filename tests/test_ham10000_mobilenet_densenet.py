"""ham10000_mobilenet_densenet.yaml: two phases, the published numbers, and the head that their counts gave away."""

from __future__ import annotations

import pytest

from featx.backbones import BACKBONES
from featx.backbones.heads import parse_head
from featx.backbones.trained import backbone_as, structure_for
from featx.pipeline import opened
from featx.pipeline.variants import variants


@pytest.fixture(scope="module")
def study():
    return opened("ham10000_mobilenet_densenet")


def experiments(study, scale="full"):
    return {(one.experiment.id, one.axes["phase"]): one.experiment for one in variants(study, scale)[0]}


def test_each_network_has_a_phase_of_the_head_alone_and_one_of_all(study):
    found = experiments(study)
    networks = ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "densenet201", "mobilenet_v2"]
    assert [one.backbone for (_, phase), one in found.items() if phase == "2"] == networks
    for (_, phase), one in found.items():
        train = one.train
        assert (train.freeze, train.head_epochs, train.epochs) == (("all", 0, 10) if phase == "1" else ("none", 10, 10))
        assert (one.transform.size, one.transform.normalise, train.batch_size) == (128, "unit", 128)
        assert one.folds == "holdout:60/20/20" and train.balance == "oversample" and train.loss == "softmax"
        assert one.train.lr < one.train.head_lr


@pytest.mark.parametrize(("name", "learn"), [("exp1", 2_622_727), ("exp3", 3_933_447)])
def test_the_head_has_as_many_numbers_as_the_report_says(study, name, learn):
    import torch

    one = experiments(study)[name, "1"]
    shelf = BACKBONES[one.backbone]
    head = parse_head(one.train.head, dropout=one.train.dropout)
    built = backbone_as(shelf, structure_for(shelf, head, cut=one.train.cut, outputs=7, size=128, normalise="unit"))
    with torch.device("meta"):
        network = built.build()
    sizes = {path: values.numel() for path, values in network.named_parameters()}
    assert sum(size for path, size in sizes.items() if path.startswith("head.")) == learn
    statistics = sum(values.numel() for path, values in network.named_buffers() if "num_batches" not in path)
    (published,) = next(table for table in study.tables if table.id == "sizes").published
    assert published.values[name]["1"] == {
        "training.learned": learn, "training.parameters": sum(sizes.values()) + statistics,
    }  # fmt: skip


def test_published_numbers(study):
    (published,) = next(table for table in study.tables if table.id == "results").published
    assert list(published.values) == ["exp1", "exp3"]
    assert list(published.values["exp1"]["2"].values()) == [0.623, 0.696, 0.708, 0.902, 0.704, 0.9]
    assert list(published.values["exp3"]["2"].values()) == [0.778, 0.387, 0.741, 0.739, 0.741, 0.751]
    metrics = [metric.name for metric in next(table for table in study.tables if table.id == "results").metrics]
    assert metrics[-2:] == ["balanced_accuracy", "f1_macro"]  # beside accuracy, of which nevi alone give .669


def test_the_leak_is_the_reports(study):
    assert {leak.protocol for leak in study.leaks} == {"ham10000-report"}
    (network,) = [leak for leak in study.leaks if leak.train]
    assert (network.train.head, network.train.head_epochs, network.train.epochs) == ("flatten+128bn", 10, 10)


def test_smoke_runs_the_mobilenets_once_and_small(study):
    found = experiments(study, "smoke")
    assert {name for name, _ in found} == {"exp1", "exp2-large", "exp2-small", "exp4"}
    assert all(one.train.epochs == 1 and one.transform.size == 64 for one in found.values())
