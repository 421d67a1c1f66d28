"""Losses: torch's own, weighted by class; a guess is worth the entropy of the shares."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from featx.errors import UnknownName
from featx.training.losses import Loss, outputs_for

LOGITS = torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.1, -0.2], [1.5, 0.2, 0.4]])
Y = torch.tensor([2, 1, 0])


def test_softmax_is_torchs_weighted_cross_entropy():
    weights = np.array([0.5, 2.0, 1.0])
    own = Loss("softmax", weights, device="cpu")(LOGITS, Y)
    theirs = functional.cross_entropy(LOGITS, Y, weight=torch.tensor(weights).float(), reduction="none")
    assert torch.allclose(own, theirs)


def test_one_output_is_the_softmax_of_two():
    one = Loss("sigmoid", np.ones(2), device="cpu")
    two = Loss("softmax", np.ones(2), device="cpu")
    logit, y = LOGITS[:, :1], torch.tensor([0, 1, 1])
    pair = torch.cat([torch.zeros_like(logit), logit], 1)
    assert torch.allclose(one(logit, y), two(pair, y))
    assert torch.allclose(one.scores(logit), two.scores(pair))
    assert outputs_for("sigmoid", classes=2) == 1 and outputs_for("sigmoid", classes=3) == 3
    assert outputs_for("softmax", classes=2) == 2


def test_several_sigmoids_are_the_mean_of_each():
    own = Loss("sigmoid", np.ones(3), device="cpu")(LOGITS, Y)
    each = functional.binary_cross_entropy_with_logits(LOGITS, functional.one_hot(Y, 3).float(), reduction="none")
    assert torch.allclose(own, each.mean(1))


@pytest.mark.parametrize(("kind", "classes"), [("softmax", 3), ("sigmoid", 2), ("sigmoid", 3)])
def test_no_constant_does_better_than_the_guess(kind, classes):
    y = torch.from_numpy(np.repeat(np.arange(classes), np.arange(1, classes + 1)))
    loss = Loss(kind, np.ones(classes), device="cpu")
    shares = np.bincount(y) / len(y)
    guess = loss.of_guess(shares)
    outputs = outputs_for(kind, classes=classes)
    best = min(
        float(loss(torch.tensor(row).float().expand(len(y), outputs), y).mean())
        for row in np.random.default_rng(0).normal(0, 2, size=(600, outputs))
    )
    assert guess <= best + 1e-6 and best < guess + 0.1


def test_an_unknown_loss_is_refused():
    with pytest.raises(UnknownName):
        Loss("hinge", np.ones(2), device="cpu")
