"""The loop: killed and resumed is not killed, memory is halved, divergence is told, the best weights are kept."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from featx.augment import parse
from featx.errors import TrainingError, UnknownName, UsageError
from featx.images import NORMALISATIONS
from featx.training import checkpoint
from featx.training.loop import learn
from featx.training.pixels import Examples, Feed
from featx.training.plan import Frozen
from featx.training.settings import Settings
from featx.training.state import Learner

SIDE = 8
BASE = Settings(lr=0.05, epochs=4, batch_size=8, stop=0, decay="none", balance="none", precision="fp32")
NOTHING = Frozen(frozenset(), ())


def with_(**changes):
    import dataclasses

    return dataclasses.replace(BASE, **changes)


class Net(nn.Module):
    """A small network with a norm and dropout, whose passes are counted."""

    def __init__(self, *, norm=True, dropout=0.3):
        super().__init__()
        conv = [("conv", nn.Conv2d(3, 6, 3)), *([("norm", nn.BatchNorm2d(6))] if norm else []), ("relu", nn.ReLU())]
        self.body = nn.Sequential(OrderedDict(conv))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(6, 2))
        self.sizes = []

    def forward(self, images):
        if self.training:
            self.sizes.append(len(images))
        return self.head(self.body(images))


def examples(n, seed, *, told=True):
    """Return rows whose second class is brighter, or not."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = 0, 1
    pixels = rng.integers(0, 120, (n, SIDE, SIDE, 3)) + (90 * y[:, None, None, None] if told else 0)
    return Examples(lambda at: pixels[at].astype(np.uint8), y)


def learner(*, net=None, frozen=(NOTHING,), train=None, validation=None, told=True):
    torch.manual_seed(0)
    network = net or Net()
    feed = Feed(NORMALISATIONS["unit"], device="cpu")
    train, validation = train or examples(30, 1, told=told), validation or examples(12, 2, told=told)
    return Learner(network, "head", tuple(frozen), feed, train, validation, 2, "cpu", "fp32")


def bits(network):
    return b"".join(values.numpy().tobytes() for values in network.state_dict().values())


def plain(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


class Killed(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": "adam", "lr": 0.01, "l2": 0.01, "decay": "cosine"},
        {"decay": "plateau", "patience": 1, "balance": "oversample", "augmentation": parse("flip,rotate")},
        {"optimiser": "nesterov", "head_epochs": 2, "epochs": 2, "balance": "sample"},
    ],
)
def test_killed_and_resumed_is_the_same_as_not_killed(tmp_path, monkeypatch, changes, epoch):
    monkeypatch.setattr("featx.training.loop.SHARE", 0)
    frozen = (
        (Frozen(frozenset({"body.conv.weight"}), ("body.norm",)), NOTHING) if "head_epochs" in changes else (NOTHING,)
    )
    whole = learner(frozen=frozen)
    state = learn(whole, with_(**changes), kept_in=tmp_path / "whole.pt")

    def kill(row):
        if row["epoch"] == epoch:
            raise Killed

    broken = learner(frozen=frozen)
    with pytest.raises(Killed):
        learn(broken, with_(**changes), kept_in=tmp_path / "broken.pt", on_epoch=kill)
    again = learner(frozen=frozen)
    torch.rand(7)  # the generators of others are not ours
    rows = []
    resumed = learn(again, with_(**changes), kept_in=tmp_path / "broken.pt", on_epoch=rows.append)
    assert len(rows) == 4 - epoch
    assert plain(resumed.history) == plain(state.history)
    assert bits(again.network) == bits(whole.network)


def test_no_generator_of_others_is_touched(tmp_path):
    one = learner()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    learn(one, with_(augmentation=parse("paper")), kept_in=tmp_path / "a.pt")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_damaged_checkpoint_means_the_beginning(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"PK\x03\x04 nothing")
    assert checkpoint.load(path) is None
    state = learn(learner(), BASE, kept_in=path)
    assert len(state.history) == 4
    assert checkpoint.load(path)["state"]["ended"]


def test_it_learns_and_keeps_the_epoch_with_the_lowest_validation_loss(tmp_path):
    one = learner()
    state = learn(one, with_(epochs=20, lr=0.2), kept_in=tmp_path / "a.pt")
    losses = [row["validation_loss"] for row in state.history]
    assert state.best_epoch == int(np.argmin(losses)) + 1
    assert state.history[state.best_epoch - 1]["validation_auc"] > 0.9
    examples_ = one.validation
    with torch.inference_mode():
        logits = one.network(one.feed(examples_.pixels(np.arange(len(examples_.y)))))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(examples_.y))
    assert float(loss) == pytest.approx(min(losses), rel=1e-5)


def test_stopping_and_plateaus_count_epochs_without_a_lower_loss(tmp_path):
    # a validation side of the other sign: what is learned makes it worse from the first epoch on
    bad = examples(12, 2)
    turned = Examples(bad.pixels, 1 - bad.y)
    state = learn(
        learner(net=Net(dropout=0), validation=turned),
        with_(epochs=40, lr=0.2, stop=5, decay="plateau", patience=2, factor=0.5),
        kept_in=tmp_path / "a.pt",
    )
    assert len(state.history) == state.best_epoch + 5
    after = [row["lr_head"] for row in state.history[state.best_epoch :]]
    assert np.allclose(np.array(after) / after[0], [1, 1, 0.5, 0.5, 0.25])


def test_cosine_ends_near_nothing_and_parts_have_rates_of_their_own(tmp_path):
    settings = with_(epochs=10, decay="cosine", lr=0.01, head_lr=0.1)
    history = learn(learner(), settings, kept_in=tmp_path / "a.pt").history
    expected = [0.5 * (1 + math.cos(math.pi * epoch / 10)) for epoch in range(10)]
    assert np.allclose([row["lr_backbone"] for row in history], 0.01 * np.array(expected))
    assert np.allclose([row["lr_head"] for row in history], 0.1 * np.array(expected))


def test_two_phases_freeze_first_and_go_on_from_the_best(tmp_path):
    first = Frozen(frozenset({"body.conv.weight", "body.conv.bias", "body.norm.weight", "body.norm.bias"}),
                   ("body", "body.conv", "body.norm", "body.relu"))  # fmt: skip
    one = learner(frozen=(first, NOTHING))
    before = bits(one.network.body)
    seen = []

    def tell(row):
        seen.append((row["phase"], row["lr_backbone"], bits(one.network.body) == before))

    learn(one, with_(head_epochs=3, epochs=2), kept_in=tmp_path / "a.pt", on_epoch=tell)
    assert [phase for phase, _, _ in seen] == ["head"] * 3 + ["all"] * 2
    assert [rate for _, rate, _ in seen] == [0.0] * 3 + [0.05] * 2
    assert [same for _, _, same in seen] == [True] * 3 + [False] * 2


def test_l2_spares_biases_and_norms(tmp_path):
    one = learner(net=Net(dropout=0))
    with torch.no_grad():
        one.network.head[3].bias.fill_(5.0)
    before = [values.detach().clone() for values in one.network.parameters()]
    learn(one, with_(epochs=1, lr=1e-3, l2=10.0, momentum=0.0), kept_in=tmp_path / "b.pt")
    for (name, now), was in zip(one.network.named_parameters(), before, strict=True):
        ratio = float(now.detach().norm() / was.norm()) if was.norm() > 0 else 1.0
        assert (ratio < 0.97) == (now.ndim > 1), name  # four steps, each of which takes a hundredth


class Small(Net):
    """A network that has no memory for more than some images in one pass."""

    most = 3

    def forward(self, images):
        if len(images) > self.most:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 99 bytes"
            )
        return super().forward(images)


def test_out_of_memory_halves_the_pass_adds_up_gradients_and_says_so(tmp_path):
    plain_one, small = learner(net=Net(norm=False, dropout=0)), learner(net=Small(norm=False, dropout=0))
    one = learn(plain_one, BASE, kept_in=tmp_path / "a.pt")
    two = learn(small, BASE, kept_in=tmp_path / "b.pt")
    assert two.micro == 2 and max(small.network.sizes) <= 3
    assert [note.split(" images")[0] for note in two.notes] == ["out of memory: 4", "out of memory: 2"]
    for row, other in zip(one.history, two.history, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    for values, other in zip(plain_one.network.parameters(), small.network.parameters(), strict=True):
        assert torch.allclose(values, other, atol=1e-5)


def test_where_not_even_two_images_fit_it_ends(tmp_path):
    small = learner(net=Small())
    small.network.most = 1
    with pytest.raises(MemoryError, match="not even"):
        learn(small, BASE, kept_in=tmp_path / "a.pt")


class Explodes(Net):
    """A network whose outputs are no numbers after some passes."""

    after = 0

    def forward(self, images):
        told = super().forward(images)
        return told * float("nan") if self.training and len(self.sizes) > self.after else told


def test_divergence_in_the_first_epoch_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="epoch 1; take a lower --lr"):
        learn(learner(net=Explodes()), BASE, kept_in=tmp_path / "a.pt")


def test_divergence_later_keeps_the_best_and_says_so(tmp_path):
    one = learner(net=Explodes())
    one.network.after = 10  # four steps an epoch
    state = learn(one, BASE, kept_in=tmp_path / "a.pt")
    assert len(state.history) == 2 and "diverged: the loss was not finite in epoch 3" in state.notes[0]
    assert all(torch.isfinite(values).all() for values in one.network.state_dict().values())


def test_stuck_at_chance_is_told_and_learning_is_not(tmp_path):
    stuck = learn(learner(told=False), with_(lr=1e-6, epochs=2), kept_in=tmp_path / "a.pt")
    assert any(note.startswith("stuck at chance") for note in stuck.notes)
    fine = learn(learner(), with_(lr=0.2, epochs=20), kept_in=tmp_path / "b.pt")
    assert fine.notes == []


def test_settings_are_checked():
    with pytest.raises(UnknownName, match="did you mean 'nesterov'"):
        Settings(optimiser="nestrov")
    for changes in (
        {"lr": 0.0},
        {"epochs": 0},
        {"batch_size": 1},
        {"momentum": 1.0},
        {"validation": 0.95},
        {"seed": -1},
    ):
        with pytest.raises(UsageError):
            Settings(**changes)
