"""What learns: by layers in forward order; what is frozen does not change by a bit."""

import numpy as np
import pytest
import torch

from featx.backbones import BACKBONES
from featx.backbones.heads import parse_head
from featx.backbones.trained import backbone_as, head_path, structure_for
from featx.errors import UnknownName, UsageError
from featx.training.plan import Frozen, blocks, frozen_for, with_norms_kept


def network_of(name, *, head="linear", cut=None, size=64, device="meta"):
    shelf = BACKBONES[name]
    structure = structure_for(shelf, parse_head(head), cut=cut, outputs=2, size=size, normalise=shelf.normalise)
    backbone = backbone_as(shelf, structure)
    with torch.device(device):
        return backbone.build(), backbone, head_path(shelf, structure)


def learning(name, text, **how):
    network, backbone, head = network_of(name, **how)
    frozen = frozen_for(network, backbone, text, head=head)
    return [key for key, _ in network.named_parameters() if key not in frozen.parameters], head, backbone


def test_none_and_all():
    every, head, _ = learning("resnet18", "none")
    only, _, _ = learning("resnet18", "all")
    assert len(every) > 60 and only == [key for key in every if key.startswith(head)]


def test_up_to_a_layer_freezes_all_before_it():
    names, _, _ = learning("resnet18", "upto:layer3")
    assert {name.split(".")[0] for name in names} == {"layer4", "fc"}


@pytest.mark.parametrize(
    ("text", "tops"),
    [
        ("all-but:last", {"layer4", "fc"}),
        ("blocks:last", {"conv1", "bn1", "layer1", "layer2", "layer3", "fc"}),
        ("all-but:first,last", {"conv1", "bn1", "layer4", "fc"}),
        ("blocks:2,layer3", {"conv1", "bn1", "layer2", "layer4", "fc"}),
    ],
)
def test_blocks_of_a_residual_network(text, tops):
    names, _, _ = learning("resnet18", text)
    assert {name.split(".")[0] for name in names} == tops


def test_blocks_of_vgg_end_with_its_poolings():
    names, head, backbone = learning("vgg11", "all-but:last", cut="pool5", head="gap+16")
    assert [layer.name for layer in blocks(backbone)] == [f"pool{n}" for n in range(1, 6)]
    body = [name for name in names if not name.startswith(head)]
    assert {name.rpartition(".")[0] for name in body} == {"body.features.16", "body.features.18"}


def test_words_that_are_none():
    network, backbone, head = network_of("maia-custom2")
    for text in ("half", "upto:", "blocks", "below:conv1_1"):
        with pytest.raises(UsageError):
            frozen_for(network, backbone, text, head=head)
    with pytest.raises(UnknownName, match="did you mean 'pool1'"):
        frozen_for(network, backbone, "blocks:pol1", head=head)
    with pytest.raises(UnknownName):
        frozen_for(network, backbone, "upto:fc9", head=head)


@pytest.mark.parametrize("text", ["all", "upto:block3", "blocks:first,last", "all-but:last"])
def test_what_is_frozen_does_not_change_by_a_bit_batch_norm_included(text):
    network, backbone, head = network_of("mobilenet_v3_small", device="cpu")
    frozen = frozen_for(network, backbone, text, head=head)
    frozen.apply(network)
    before = {key: values.clone() for key, values in network.state_dict().items()}
    optimiser = torch.optim.SGD(
        [values for values in network.parameters() if values.requires_grad], lr=0.1, momentum=0.9, weight_decay=0.1
    )
    batch = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 64, 64)).astype(np.float32))
    for _ in range(2):
        frozen.train(network)
        network(batch).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    after = network.state_dict()
    owners = {key.rpartition(".")[0] for key in frozen.parameters}
    still = [key for key in after if key.rpartition(".")[0] in owners]
    moved = [key for key in after if key not in still]
    assert any("running_mean" in key for key in still)
    assert [key for key in still if not torch.equal(after[key], before[key])] == []
    assert [key for key in moved if key.endswith("weight") and torch.equal(after[key], before[key])] == []
    if text != "all":
        assert all(not torch.equal(after[key], before[key]) for key in moved if key.endswith("running_mean"))


def test_norms_that_are_kept_keep_their_statistics_while_their_weights_learn():
    network, _, head = network_of("mobilenet_v3_small", device="cpu", head="8bn")
    frozen = with_norms_kept(Frozen(frozenset(), ()), network, head=head)
    frozen.apply(network)
    before = {key: values.clone() for key, values in network.state_dict().items()}
    frozen.train(network)
    batch = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 64, 64)).astype(np.float32))
    network(batch).square().sum().backward()
    moved = {key for key, values in network.state_dict().items() if not torch.equal(values, before[key])}
    assert moved == {f"{head}.bn1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    assert all(values.grad is not None for values in network.parameters())
