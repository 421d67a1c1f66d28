"""Folding batch norm changes no tapped layer, or is not done."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from featx.backbones import BACKBONES
from featx.backbones.base import Layer
from featx.images import NORMALISATIONS
from featx.runtime import TorchRuntime
from featx.runtime.folding import fold_batch_norm


def network():
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, bias=False),
            bn1=nn.BatchNorm2d(8),
            relu1=nn.ReLU(),
            bn2=nn.BatchNorm2d(8),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            last=nn.Linear(8, 5),
        )
    )
    for name in ("bn1", "bn2"):
        net.get_submodule(name).running_mean.uniform_(-1, 1)
        net.get_submodule(name).running_var.uniform_(0.5, 2)
    return net.eval()


def norms(net):
    return [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("tapped", ["relu1", "bn1", "last"])
def test_a_norm_behind_a_convolution_is_folded_and_another_is_not(tapped):
    net = network()
    folded = fold_batch_norm(net, layers=[Layer(tapped, tapped, kind="auto")], size=16)
    assert norms(folded) == ["bn2"] and norms(net) == ["bn1", "bn2"]
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(folded(x), net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [Layer("c", "conv1"), Layer("n", "bn1", "input")])
def test_what_is_taken_between_the_two_stays_what_it_is(layer):
    net = network()
    assert fold_batch_norm(net, layers=[Layer("last", "last", kind="vector"), layer], size=16) is net


def test_a_convolution_that_feeds_two_is_left_alone():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.sum = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Identity()

        def forward(self, x):
            y = self.conv(x)
            return self.sum(self.bn(y) + y)

    net = Both().eval()
    assert fold_batch_norm(net, layers=[Layer("sum", "sum")], size=16) is net


def test_what_cannot_be_traced_is_left_alone():
    class Choosing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

        def forward(self, x):
            return self.bn(self.conv(x)) if x.sum() > 0 else x

    net = Choosing().eval()
    assert fold_batch_norm(net, layers=[Layer("bn", "bn")], size=16) is net


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_named_layers_of_a_backbone_are_what_they_were(name):
    shelf = BACKBONES[name]
    torch.manual_seed(0)
    net = shelf.build().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    about = {"size": 64, "normalise": NORMALISATIONS[shelf.normalise], "batch_size": 2, "device": "cpu"}
    folded = fold_batch_norm(net, layers=shelf.layers, size=64)
    assert len(norms(folded)) < len(norms(net)) or name == "densenet121"
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    expected = TorchRuntime(net, layers=shelf.layers, **about)(images)
    for layer, rows in TorchRuntime(folded, layers=shelf.layers, **about)(images).items():
        np.testing.assert_allclose(rows, expected[layer], atol=1e-4 * np.abs(expected[layer]).max())
