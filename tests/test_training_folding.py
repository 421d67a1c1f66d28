"""Kept norms in the convolutions before them: the same function and gradients; what must stay is left alone."""

from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from featx.training.folding import fold


def net(**parts):
    return nn.Sequential(OrderedDict(parts))


def norm(channels, *, affine=True):
    one = nn.BatchNorm2d(channels, affine=affine)
    one.running_mean.normal_()
    one.running_var.uniform_(0.3, 3.0)
    if affine:
        nn.init.uniform_(one.weight, -1.5, 1.5)
        nn.init.normal_(one.bias)
    return one


def folded(network):
    graph = fx.symbolic_trace(network)
    return graph, fold(graph)


def words(graph):
    return [str(node.target) for node in graph.graph.nodes if node.op.startswith("call")]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 2, 4]), st.booleans(), st.booleans(), st.sampled_from(["", "relu", "relu6"]),
       st.integers(0, 2**31))  # fmt: skip
def test_value_and_gradients_are_those_of_convolution_and_norm(groups, bias, affine, function, seed):
    torch.manual_seed(seed)
    parts = {"conv": nn.Conv2d(4, 8, 3, groups=groups, bias=bias), "norm": norm(8, affine=affine)}
    parts |= {"relu": {"relu": nn.ReLU, "relu6": nn.ReLU6}[function]()} if function else {}
    network = net(**parts).eval()
    images, upstream = torch.randn(3, 4, 7, 7), torch.randn(3, 8, 5, 5)
    expected = torch.autograd.grad(network(images), list(network.parameters()), upstream)
    graph, (one,) = folded(network)
    assert words(graph) == ["conv"]
    one.both.weight, one.both.bias = one.effective()
    value = graph(images)
    torch.testing.assert_close(value, network(images), rtol=1e-4, atol=1e-4)
    found = torch.autograd.grad(value, list(network.parameters()), upstream)
    for gradient, other in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-3)


def test_the_network_that_it_is_made_of_stays_as_it_is():
    network = net(conv=nn.Conv2d(3, 4, 3), norm=norm(4), relu=nn.ReLU()).eval()
    modules, before = dict(network.named_modules()), {k: v.clone() for k, v in network.state_dict().items()}
    folded(network)
    assert dict(network.named_modules()) == modules
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Shared(nn.Module):
    """One convolution called twice, and one value that two take."""

    def __init__(self):
        super().__init__()
        self.twice, self.once, self.norm, self.other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), norm(3), norm(3)

    def forward(self, images):
        taken = self.once(self.twice(self.twice(images).relu()))
        return self.norm(taken) + self.other(taken)


LEFT = [
    (net(conv=nn.Conv2d(3, 4, 3), norm=norm(4)).train(), ["conv", "norm"]),  # learns its statistics
    (net(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4, track_running_stats=False)).eval(), ["conv", "norm"]),
    (net(conv=nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), norm=norm(4)).eval(), ["conv", "norm"]),
    (net(conv=nn.Conv2d(3, 4, 3, padding="same"), norm=norm(4)).eval(), ["conv", "norm"]),
    (net(conv=nn.Conv2d(3, 4, 3), tanh=nn.Tanh(), norm=norm(4)).eval(), ["conv", "tanh", "norm"]),
]


@pytest.mark.parametrize(("network", "expected"), LEFT)
def test_what_a_convolution_cannot_do_is_left(network, expected):
    graph, folds = folded(network)
    assert folds == [] and words(graph) == expected


def test_what_is_called_twice_or_taken_twice_is_left():
    graph, folds = folded(Shared().eval())
    assert folds == [] and len(words(graph)) == 7


def test_what_is_watched_is_left():
    network = net(conv=nn.Conv2d(3, 4, 3), norm=norm(4)).eval()
    network.norm.register_forward_hook(lambda *_: None)
    assert folded(network)[1] == []
