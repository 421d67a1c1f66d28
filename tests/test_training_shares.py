"""A step's images in parts: the sum of its parts is the whole, on any number of cores to the bit."""

import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from featx.augment import parse
from featx.images import NORMALISATIONS
from featx.training.loop import learn
from featx.training.pixels import Examples, Feed
from featx.training.plan import Frozen, with_norms_kept
from featx.training.settings import Settings
from featx.training.shares import FEW, PART, Shares, parts_of, shared, workers_for
from featx.training.state import Learner
from featx.training.workers import Workers

SIDE = 12


class Net(nn.Module):
    """Convolutions with norms, one of them around a shortcut, and a head with dropout."""

    def __init__(self, *, dropout=0.4):
        super().__init__()
        self.body = nn.Sequential(OrderedDict(
            conv=nn.Conv2d(3, 8, 3, bias=False), norm=nn.BatchNorm2d(8), relu=nn.ReLU6(inplace=True),
            point=nn.Conv2d(8, 8, 1), bare=nn.ReLU(inplace=True), tanh=nn.Tanh()))  # fmt: skip
        self.again, self.behind = nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8, 2))

    def forward(self, images):
        images = self.body(images)
        return self.head(images + self.behind(self.again(images)))


def made(**how):
    """Return a network whose norms are kept, in training mode."""
    torch.manual_seed(0)
    network = Net(**how)
    for norm in (network.body.norm, network.behind):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    with_norms_kept(Frozen(frozenset(), ()), network, head="head").train(network)
    return network


def images(n):
    return torch.randn(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def step(network, forward, n):
    """Return logits and gradients, dropout drawn from one seed."""
    torch.manual_seed(2)
    network.zero_grad()
    logits = forward(n)
    nn.functional.cross_entropy(logits, torch.arange(n) % 2).backward()
    return [logits.detach(), *(values.grad.clone() for values in network.parameters())]


def in_parts(network, workers, *, slow=()):
    found = shared(network, workers=workers, shape=(3, SIDE, SIDE), precision="fp32", images=16)
    assert isinstance(found, Shares)

    def prepare(part, batch):
        time.sleep(0.02 * (part.start in slow))
        return batch[part]

    return lambda n: found(lambda part: prepare(part, images(n)), n)


@given(st.integers(1, 5000))
def test_parts_are_all_images_once_and_even(count):
    parts = parts_of(count)
    assert [at for part in parts for at in range(part.start, part.stop)] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= PART and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert (len(parts) == 1) == (count < FEW)


@pytest.mark.parametrize("n", [5, 16, 37])
def test_parts_give_what_the_whole_gives_dropout_too(n):
    network = made()
    whole = step(network, lambda n: network(images(n)), n)
    with Workers(2) as workers:
        parts = step(network, in_parts(network, workers), n)
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_neither_the_number_of_threads_nor_their_timing_changes_a_bit():
    n, network = 40, made()
    with Workers(1) as one, Workers(2) as two, Workers(4) as four:
        found = [
            step(network, in_parts(network, workers, slow=slow), n)
            for workers, slow in ((one, ()), (two, (0,)), (two, (10,)), (four, (0, 20)))
        ]
    for other in found[1:]:
        assert all(torch.equal(value, first) for value, first in zip(other, found[0], strict=True))


def test_gradients_of_several_passes_add_up():
    network = made(dropout=0.0)
    with Workers(2) as workers:
        forward = in_parts(network, workers)
        once = step(network, forward, 16)
        network.zero_grad()
        for _ in range(2):
            (nn.functional.cross_entropy(forward(16), torch.arange(16) % 2) / 2).backward()
    for values, gradient in zip(network.parameters(), once[1:], strict=True):
        torch.testing.assert_close(values.grad, gradient)


def test_norms_that_learn_from_their_batch_and_early_dropout_want_all_images_together():
    with Workers(2) as workers:
        about = {"workers": workers, "shape": (3, SIDE, SIDE), "precision": "fp32", "images": 16}
        assert shared(made().train(), **about) is None
        early = made()
        early.body.conv = nn.Sequential(nn.Dropout2d(0.1), early.body.conv)
        assert shared(early, **about) is None
        early.body.conv[0].p = 0.0
        assert shared(early, **about) is not None


class Mixes(nn.Module):
    """A network that looks from one image at another, in a way that no graph tells."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        found = self.conv(images)
        return (found - found.mean(0, keepdim=True)).mean((2, 3))


class Asks(Mixes):
    def forward(self, images):
        return super().forward(images) if len(images) > 1 else self.conv(images).mean((2, 3))


@pytest.mark.parametrize("kind", [Mixes, Asks])
def test_a_network_that_mixes_images_or_cannot_be_read_goes_whole(kind):
    with Workers(2) as workers:
        assert shared(kind(), workers=workers, shape=(3, SIDE, SIDE), precision="fp32", images=16) is None


def test_where_weights_outnumber_what_comes_out_images_stay_together_and_norms_by_themselves():
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 4, 1), nn.BatchNorm2d(4),
                            nn.AdaptiveAvgPool2d(1), nn.Flatten())  # fmt: skip
    with_norms_kept(Frozen(frozenset(), ()), network, head="head").train(network)
    with Workers(2) as workers:
        about = {"workers": workers, "shape": (3, 4, 4), "precision": "fp32"}
        few, many = (shared(network, **about, images=n) for n in (1, 64))
        assert (few.parted, len(few._folds)) == (False, 0) and (many.parted, len(many._folds)) == (True, 2)
        batch = torch.randn(16, 3, 4, 4)
        for found in (few, many):
            torch.testing.assert_close(found(lambda part: batch[part], 16), network(batch), rtol=1e-4, atol=1e-5)


def test_cores_that_are_left_over_help_within_operations(monkeypatch):
    monkeypatch.setattr("featx.training.shares.cores", lambda: 16)
    few, many, gpu = (workers_for(d, images=n) for d, n in (("cpu", 16), ("cpu", 512), ("cuda", 512)))
    assert [(one.count, one.each) for one in (few, many)] == [(2, 8), (16, 1)] and gpu.count == 1


# ---- in the loop


def learner(frozen=None):
    rng = np.random.default_rng(0)
    network = made()
    frozen = frozen or Frozen(frozenset(), ())
    sides = []
    for n in (37, 20):
        y = np.arange(n) % 2
        pixels = (rng.integers(0, 120, (n, SIDE, SIDE, 3)) + 90 * y[:, None, None, None]).astype(np.uint8)
        sides.append(Examples(lambda at, pixels=pixels: pixels[at], y))
    feed = Feed(NORMALISATIONS["unit"], device="cpu")
    return Learner(network, "head", (with_norms_kept(frozen, network, head="head"),), feed, *sides, 2, "cpu", "fp32")


BASE = Settings(lr=0.05, epochs=3, batch_size=16, stop=0, decay="none", balance="none", precision="fp32",
                augmentation=parse("flip"), norms="keep")  # fmt: skip


def bits(network):
    return b"".join(values.numpy().tobytes() for values in network.state_dict().values())


def plain(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.fixture
def counted(monkeypatch):
    """Count the passes that go in parts."""
    passes, before = [], Shares.before
    monkeypatch.setattr(Shares, "before", lambda self, *given: passes.append(given[1]) or before(self, *given))
    return passes


def test_the_loop_goes_in_parts_and_learns_what_it_learns_without(tmp_path, monkeypatch, counted):
    one = learner()
    state = learn(one, BASE, kept_in=tmp_path / "a.pt")
    assert counted[2:] == [13, 12, 12] * 3
    monkeypatch.setattr("featx.training.passes.shared", lambda *_, **__: None)
    two = learner()
    other = learn(two, BASE, kept_in=tmp_path / "b.pt")
    for row, same in zip(state.history, other.history, strict=True):
        assert row["train_loss"] == pytest.approx(same["train_loss"], rel=1e-4)
    for values, same in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(values, same, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_killed_and_resumed_on_other_cores_is_the_same_to_the_bit(tmp_path, monkeypatch, counted, count):
    monkeypatch.setattr("featx.training.loop.SHARE", 0)
    whole = learner()
    state = learn(whole, BASE, kept_in=tmp_path / "whole.pt")

    def kill(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(learner(), BASE, kept_in=tmp_path / "broken.pt", on_epoch=kill)
    monkeypatch.setattr("featx.training.loop.workers_for", lambda *_, **__: Workers(count))
    again = learner()
    resumed = learn(again, BASE, kept_in=tmp_path / "broken.pt")
    assert counted and plain(resumed.history) == plain(state.history)
    assert bits(again.network) == bits(whole.network)


def test_what_is_frozen_and_kept_statistics_stay_as_they_are_to_the_bit(tmp_path, counted):
    one = learner(Frozen(frozenset({"body.conv.weight", "body.norm.weight", "body.norm.bias"}),
                         ("body.conv", "body.norm")))  # fmt: skip
    before = {name: values.clone() for name, values in one.network.state_dict().items()}
    learn(one, BASE, kept_in=tmp_path / "a.pt")
    same = {name for name, values in one.network.state_dict().items() if torch.equal(values, before[name])}
    statistics = {f"{path}.{name}" for path in ("body.norm", "behind")
                  for name in ("running_mean", "running_var", "num_batches_tracked")}  # fmt: skip
    assert counted and same == statistics | {"body.conv.weight", "body.norm.weight", "body.norm.bias"}


def test_a_part_that_finds_no_memory_halves_the_pass(tmp_path, counted):
    one = learner()

    def refuse(_, given):
        if len(given[0]) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 99 bytes")

    one.network.body.tanh.register_forward_pre_hook(refuse)
    state = learn(one, BASE, kept_in=tmp_path / "a.pt")
    assert counted and len(state.history) == 3
    halved = [note.split(" images")[0] for note in state.notes if note.startswith("out")]
    assert halved == ["out of memory: 8", "out of memory: 4"]  # seven in one part are still too many
