"""The frozen beginning: it ends before anything learns, draws or counts, and both parts together are the network."""

import pytest
import torch
from torch import nn

from featx.backbones import BACKBONES
from featx.backbones.heads import parse_head
from featx.backbones.trained import backbone_as, head_path, structure_for
from featx.training.plan import Frozen, frozen_for
from featx.training.prefix import divide

HOW = {"device": "cpu", "precision": "fp32"}


def network_of(name, text, *, head="linear", cut=None, side=64):
    shelf = BACKBONES[name]
    structure = structure_for(shelf, parse_head(head), cut=cut, outputs=2, size=side, normalise=shelf.normalise)
    backbone = backbone_as(shelf, structure)
    torch.manual_seed(0)
    network = backbone.build()
    frozen = frozen_for(network, backbone, text, head=head_path(shelf, structure))
    frozen.apply(network)
    return network, frozen


def images(side, n=3):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("name", "text", "about", "shape"),
    [
        ("resnet18", "all", {}, (512,)),
        ("resnet18", "upto:layer3", {}, (256, 4, 4)),
        ("mobilenet_v3_small", "all", {}, (1024,)),
        ("mobilenet_v3_small", "all-but:last", {}, (96, 2, 2)),
        ("maia-custom1", "upto:pool1", {"side": 16}, (32, 8, 8)),
        ("maia-custom1", "all", {"side": 16, "cut": "pool2", "head": "gap+8"}, (64,)),
        ("maia-custom1", "upto:conv1_2", {"side": 16, "cut": "conv2_1", "head": "flatten+8bn"}, (32, 8, 8)),
    ],
)
def test_both_parts_are_the_network_while_it_learns_and_while_it_is_judged(name, text, about, shape):
    network, frozen = network_of(name, text, **about)
    side = about.get("side", 64)
    found = divide(network, frozen, side=side, **HOW)
    assert found.shape == shape and found.dtype == "float32"
    x = images(side)
    with torch.inference_mode():
        kept = found.before(x).clone()
    kept = torch.from_numpy(kept.numpy())
    before = {key: values.clone() for key, values in network.state_dict().items()}
    sides = []
    for run in (lambda: network(x), lambda: found.learning(kept.clone())):
        network.load_state_dict(before)
        network.zero_grad()
        torch.manual_seed(7)  # dropout behind what is frozen
        out = run()
        out.square().sum().backward()
        sides.append((out.detach(), gradients(network), {k: v.clone() for k, v in network.state_dict().items()}))
    (out, grads, state), (out2, grads2, state2) = sides
    assert torch.allclose(out, out2, rtol=1e-4, atol=1e-5)
    learns = {key for key, _ in network.named_parameters()} - frozen.parameters
    assert set(grads) == set(grads2) == learns
    assert all(torch.allclose(grads[key], grads2[key], rtol=1e-3, atol=1e-4) for key in grads)
    assert all(torch.allclose(state[key], state2[key], rtol=1e-4, atol=1e-5) for key in state)  # running statistics
    network.eval()
    with torch.inference_mode():
        assert torch.allclose(found.judging(kept.clone()), network(x), rtol=1e-4, atol=1e-5)


def test_nothing_comes_before_where_the_first_block_learns():
    for text in ("blocks:last", "all-but:first"):
        network, frozen = network_of("maia-custom1", text, side=16)
        assert divide(network, frozen, side=16, **HOW) is None


class Skips(nn.Module):
    """Two convolutions with a way around the second, and dropout in a function."""

    def __init__(self, *, drop=0.0):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second, self.third = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.drop = nn.Linear(4, 2), drop

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        if self.drop:
            x = nn.functional.dropout(x, self.drop, self.training)
        x = self.third(x + self.second(x))
        return self.head(x.mean((2, 3)))


def frozen_parts(*names, still=()):
    return Frozen(frozenset(f"{name}.{kind}" for name in names for kind in ("weight", "bias")), (*names, *still))


@pytest.mark.parametrize(
    ("network", "frozen", "ends_with"),
    [
        (Skips(), frozen_parts("first", "norm", "second", "third"), "mean"),
        (Skips(), frozen_parts("first", "norm", "second"), "add"),
        (Skips(), frozen_parts("first", "norm", "third"), "relu"),
        (Skips(), frozen_parts("first", "norm"), "relu"),
        (Skips(), Frozen(frozen_parts("first", "norm").parameters, ("first",)), "first"),  # norm keeps count
        (Skips(drop=0.5), frozen_parts("first", "norm", "second", "third"), "relu"),  # dropout draws
    ],
)
def test_it_ends_at_the_last_value_that_everything_goes_through(network, frozen, ends_with):
    frozen.apply(network)
    found = divide(network, frozen, side=8, **HOW)
    last = next(node for node in reversed(found.before.graph.nodes) if node.op != "output")
    assert last.name.startswith(ends_with)


def test_the_network_is_left_as_it_learns():
    network, frozen = network_of("mobilenet_v3_small", "all-but:last")
    frozen.train(network)
    before = {name: module.training for name, module in network.named_modules()}
    state = torch.random.get_rng_state()
    divide(network, frozen, side=64, **HOW)
    assert {name: module.training for name, module in network.named_modules()} == before
    assert torch.equal(torch.random.get_rng_state(), state)


class Decides(Skips):
    """A network whose code looks at its values."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


def test_code_that_looks_at_values_is_told():
    network, frozen = Decides(), frozen_parts("first", "norm")
    frozen.apply(network)
    with pytest.raises(ValueError, match="cannot be read as a graph"):
        divide(network, frozen, side=8, **HOW)
