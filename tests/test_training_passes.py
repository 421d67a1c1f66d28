"""Frozen beginnings in the loop: the same network as without keeping, each image through once, resumed to the bit."""

import dataclasses
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from featx import augment
from featx.augment import parse
from featx.images import NORMALISATIONS
from featx.training.kept import Bank
from featx.training.loop import learn
from featx.training.passes import Behind, Whole, passes_for
from featx.training.pixels import Examples, Feed
from featx.training.plan import Frozen
from featx.training.settings import Settings
from featx.training.state import Learner
from featx.training.workers import Workers

SIDE, N, TRAIN, VALIDATION = 8, 45, 30, 10
BASE = Settings(lr=0.05, epochs=5, batch_size=8, stop=0, decay="none", balance="none", precision="fp32")
NOTHING = Frozen(frozenset(), ())
BODY = Frozen(
    frozenset({"body.conv.weight", "body.conv.bias", "body.norm.weight", "body.norm.bias"}),
    ("body", "body.conv", "body.norm", "body.relu"),
)


class Net(nn.Module):
    """A small network with a norm and dropout."""

    def __init__(self):
        super().__init__()
        conv = [("conv", nn.Conv2d(3, 6, 3)), ("norm", nn.BatchNorm2d(6)), ("relu", nn.ReLU(inplace=True))]
        self.body = nn.Sequential(OrderedDict(conv))
        # no offset before the norm: its gradient is rounding alone, which Adam would scale up to a step
        conv = nn.Conv2d(6, 6, 3, bias=False)
        self.head = nn.Sequential(conv, nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3),
                                  nn.Linear(6, 2))  # fmt: skip

    def forward(self, images):
        return self.head(self.body(images))


def learner(folder=None, *, frozen=(BODY,), most=1e9):
    """Return what learns, with a count of the images that went through the first layer."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    pixels = (rng.integers(0, 120, (N, SIDE, SIDE, 3)) + 90 * y[:, None, None, None]).astype(np.uint8)
    order = rng.permutation(N)
    train, validation = np.sort(order[:TRAIN]), np.sort(order[TRAIN : TRAIN + VALIDATION])
    torch.manual_seed(0)
    network = Net()
    with torch.no_grad():
        network.body.norm.running_mean += 0.3
    passed = []
    network.body.conv.register_forward_pre_hook(lambda _, given: passed.append(len(given[0])))
    sides = [Examples(lambda at, own=own: pixels[own[at]], y[own], own) for own in (train, validation)]
    bank = Bank(folder, "toy", pixels, most) if folder else None
    feed = Feed(NORMALISATIONS["unit"], device="cpu")
    return Learner(network, "head", tuple(frozen), feed, *sides, 2, "cpu", "fp32", bank), passed


def with_(**changes):
    return dataclasses.replace(BASE, **changes)


def bits(network):
    return b"".join(values.numpy().tobytes() for values in network.state_dict().values())


def plain(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def numbers(history):
    return np.array([[v for k, v in row.items() if k not in ("seconds", "phase")] for row in history])


WAYS = [
    ({}, 1),
    ({"augmentation": parse("flip"), "optimiser": "adam", "lr": 0.01}, 4),
    ({"augmentation": parse("right-angles"), "balance": "oversample"}, 4),
    ({"augmentation": parse("flip,right-angles"), "epochs": 8}, 8),
]


@pytest.mark.parametrize(("changes", "ways"), WAYS)
def test_keeping_gives_the_same_network_and_each_image_goes_through_once(tmp_path, changes, ways):
    kept, passed = learner(tmp_path / "kept")
    anew, every = learner()
    one = learn(kept, with_(**changes), kept_in=tmp_path / "a.pt")
    two = learn(anew, with_(**changes), kept_in=tmp_path / "b.pt")
    assert numbers(one.history) == pytest.approx(numbers(two.history), rel=1e-4)
    for (name, values), other in zip(
        kept.network.state_dict().items(), anew.network.state_dict().values(), strict=True
    ):
        assert torch.allclose(values, other, rtol=1e-3, atol=1e-5), name
    probes = 4  # two blank images through the beginning alone, and through the whole
    assert sum(passed) == ways * 64 + probes  # 45 images in two batches of 32, once for each way
    alike = 4  # images of noise, through the front together and one by one
    assert sum(every) == alike + sum(row["images"] + VALIDATION for row in two.history)
    assert one.notes == two.notes


def test_kept_by_one_training_is_there_for_the_next(tmp_path):
    first, _ = learner(tmp_path / "kept")
    learn(first, BASE, kept_in=tmp_path / "a.pt")
    second, passed = learner(tmp_path / "kept")
    learn(second, with_(l2=0.01), kept_in=tmp_path / "b.pt")
    assert sum(passed) == 4


class Killed(Exception):
    pass


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("changes", [{}, {"augmentation": parse("flip"), "optimiser": "adam", "lr": 0.01}])
def test_killed_and_resumed_is_the_same_to_the_bit(tmp_path, monkeypatch, changes, lost):
    monkeypatch.setattr("featx.training.loop.SHARE", 0)
    whole, _ = learner(tmp_path / "kept")
    state = learn(whole, with_(**changes), kept_in=tmp_path / "whole.pt")

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    broken, _ = learner(tmp_path / "kept")
    with pytest.raises(Killed):
        learn(broken, with_(**changes), kept_in=tmp_path / "broken.pt", on_epoch=kill)
    again, passed = learner(tmp_path / ("fresh" if lost else "kept"))  # the activations lost too, or still there
    resumed = learn(again, with_(**changes), kept_in=tmp_path / "broken.pt")
    assert (sum(passed) > 4) == lost
    assert plain(resumed.history) == plain(state.history)
    assert bits(again.network) == bits(whole.network)


def test_two_phases_keep_in_the_first_and_compute_in_the_second(tmp_path):
    kept, passed = learner(tmp_path / "kept", frozen=(BODY, NOTHING))
    anew, _ = learner(frozen=(BODY, NOTHING))
    one = learn(kept, with_(head_epochs=4, epochs=2), kept_in=tmp_path / "a.pt")
    two = learn(anew, with_(head_epochs=4, epochs=2), kept_in=tmp_path / "b.pt")
    assert sum(passed) == 64 + 4 + 2 * (TRAIN + VALIDATION)  # batch norm of the second phase looks from row to row
    assert numbers(one.history) == pytest.approx(numbers(two.history), rel=1e-3)


def test_what_is_frozen_stays_as_it_is_to_the_bit(tmp_path):
    one, _ = learner(tmp_path / "kept")
    before = bits(one.network.body)
    learn(one, with_(l2=0.1), kept_in=tmp_path / "a.pt")
    assert bits(one.network.body) == before


def settled(one, augmentation="none", *, epochs=5, frozen=BODY):
    frozen.apply(one.network)
    return passes_for(one, frozen, parse(augmentation), workers=Workers(1), epochs=epochs, at_most=8)


def test_nothing_is_kept_where_it_cannot_be_or_does_not_repay(tmp_path):
    one, _ = learner(tmp_path / "kept")
    assert isinstance(settled(one)[0], Behind)
    for how in (
        {"augmentation": "rotate"},  # a picture is another one each time
        {"augmentation": "flip", "epochs": 1},  # four forms of each picture, and one epoch
        {"frozen": NOTHING},
    ):
        passes, why = settled(one, **how)
        assert isinstance(passes, Whole) and why is None
    none, _ = learner(tmp_path / "kept", most=0.0)
    assert isinstance(settled(none)[0], Whole)
    small, _ = learner(tmp_path / "kept", most=100.0)
    passes, why = settled(small)
    assert isinstance(passes, Whole) and why.startswith("what is frozen is computed anew in each epoch: its activ")


def test_why_nothing_is_kept_is_told_once(tmp_path):
    small, _ = learner(tmp_path / "kept", most=100.0)
    state = learn(small, BASE, kept_in=tmp_path / "a.pt")
    (told,) = [note for note in state.notes if note.startswith("what is frozen")]
    assert "more than the 1e-07 allowed" in told


def test_memory_that_does_not_suffice_means_smaller_passes_of_the_beginning_too(tmp_path):
    one, passed = learner(tmp_path / "kept")

    def refuse(_, given):
        if len(given[0]) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes")

    one.network.body.conv.register_forward_pre_hook(refuse)
    state = learn(one, with_(batch_size=16), kept_in=tmp_path / "a.pt")
    assert state.micro == 4 and max(passed[-12:]) <= 4 and len(state.history) == 5


def test_ways_are_those_of_the_augmentation():
    rng = np.random.default_rng(0)
    for text in ("none", "flip", "right-angles", "flip,right-angles"):
        how = parse(text)
        draws = rng.random((200, augment.DRAWS))
        assert tuple(sorted(set(augment.ways_of(how, draws).tolist()))) == augment.every_way(how)
