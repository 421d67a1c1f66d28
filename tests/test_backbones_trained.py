"""Backbones as trained here: the heads of the studies to the parameter, cuts that are the layers, files that tell."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featx.backbones import BACKBONES, order
from featx.backbones.heads import Head, build_head, parse_head
from featx.backbones.trained import (
    as_trained,
    backbone_as,
    history_of,
    is_trained,
    read_record,
    structure_for,
)
from featx.backbones.weights import load_network, parse_weights
from featx.errors import UsageError, WeightsError
from featx.runtime import layer_shapes


def structure_of(name, *, head="linear", cut=None, outputs=2, size=64, dropout=None):
    shelf = BACKBONES[name]
    asked = parse_head(head, dropout=dropout)
    return structure_for(shelf, asked, cut=cut, outputs=outputs, size=size, normalise=shelf.normalise)


def built(name, device="meta", **how):
    backbone = backbone_as(BACKBONES[name], structure_of(name, **how))
    with torch.device(device):
        return backbone, backbone.build()


def numbers(module):
    return sum(values.numel() for values in module.parameters())


@pytest.mark.parametrize(
    ("name", "head", "total"), [("mobilenet_v2", 2_622_727, 4_880_967), ("densenet201", 3_933_447, 22_255_687)]
)
def test_the_head_of_the_ham10000_report_to_the_parameter(name, head, total):
    """As published (128 pixels, seven classes): what its head learns, and all with the statistics of its norms."""
    _, network = built(name, head="flatten+128bn", cut={"mobilenet_v2": "head"}.get(name), outputs=7, size=128)
    assert numbers(network.head) == head
    statistics = sum(values.numel() for key, values in network.named_buffers() if "running" in key)
    assert numbers(network) + statistics == total


def test_maias_head_on_vgg16():
    backbone, network = built("vgg16", head="gap+512", cut="pool5", outputs=1)
    assert numbers(network.head) == 512 * 512 + 512 + 512 + 1
    assert numbers(network.body) == 14_714_688  # the convolutions of VGG16; none of its dense layers is left
    assert backbone.layer("penultimate").name == "hidden1"


@pytest.mark.parametrize(
    ("name", "cut"), [("resnet18", "layer2"), ("alexnet", "conv3"), ("mobilenet_v3_small", "block4")]
)
def test_a_cut_network_gives_its_head_what_the_whole_one_gives_at_that_layer(name, cut):
    backbone, network = built(name, device="cpu", cut=cut)
    torch.manual_seed(0)
    whole = BACKBONES[name].build().eval()
    body = {key.removeprefix("body."): key for key in network.state_dict() if key.startswith("body.")}
    network.load_state_dict({own: whole.state_dict()[key] for key, own in body.items()}, strict=False)
    batch = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))
    seen = {}
    layer = BACKBONES[name].layer(cut)
    dict(whole.named_modules())[layer.module].register_forward_hook(lambda _, __, out: seen.update(whole=out.clone()))
    network.head.pool.register_forward_pre_hook(lambda _, given: seen.update(cut=given[0].clone()))
    with torch.no_grad():
        whole(batch)
        network.eval()(batch)
    assert torch.equal(seen["cut"], seen["whole"])
    assert len(body) < len(whole.state_dict())
    shapes = layer_shapes(built(name, cut=cut)[1], layers=backbone.layers, size=64)
    assert list(shapes) and shapes["logits"] == (2,)


@pytest.mark.parametrize("name", ["squeezenet1_1", "swin_t", "vit_b_32", "googlenet", "maia-custom1"])
def test_every_kind_of_network_takes_a_head(name):
    size = BACKBONES[name].fixed_size or 64
    backbone, network = built(name, head="32", outputs=5, size=size)
    assert network.eval()(torch.zeros(2, 3, size, size, device="meta")).shape == (2, 5)
    missing = [one.name for one in backbone.layers if one.module not in dict(network.named_modules())]
    assert missing == []
    cut, partial = built(name, head="gap+16", outputs=5, size=size)
    assert partial.eval()(torch.zeros(2, 3, size, size, device="meta")).shape == (2, 5)
    assert cut.layer("penultimate").name == "hidden1"


def test_heads_are_read_and_refused():
    assert parse_head("512-128") == Head(widths=(512, 128), normed=(False, False))
    assert parse_head("flatten+dense2+dropout2") == Head("flatten", True, (512, 512), (False, False), 0.5)
    for text in ("lineer", "linear+512", "0", "gap+", "gap+512x", "linear+dropout", ""):
        with pytest.raises(UsageError):
            parse_head(text)
    with pytest.raises(UsageError, match="share"):
        parse_head("512", dropout=1.0)
    torch.manual_seed(0)
    head = build_head(parse_head("8bn", dropout=0.2), dim=4, outputs=3, kind="vector")
    assert [name for name, _ in head.named_children()] == ["pool", "fc1", "relu1", "bn1", "drop1", "logits"]
    assert float(head.logits.weight.detach().abs().max()) <= np.sqrt(6 / 11) and not head.logits.bias.any()


def test_a_flat_head_takes_one_size_and_what_cannot_learn_is_refused():
    assert backbone_as(BACKBONES["resnet18"], structure_of("resnet18", head="flatten")).fixed_size == 64
    assert backbone_as(BACKBONES["resnet18"], structure_of("resnet18")).fixed_size is None
    with pytest.raises(UsageError, match="nothing can be learned"):
        structure_of("pixels")
    with pytest.raises(UsageError, match="cannot be run"):
        structure_of("inception_v3", cut="Mixed_7c", size=64)
    with pytest.raises(UsageError, match="after a layer"):
        structure_of("resnet18", cut="penultimate")


def test_structures_have_code_versions_of_their_own():
    versions = {
        backbone_as(BACKBONES["maia-custom2"], structure_of("maia-custom2", **how)).code_version
        for how in ({}, {"head": "8"}, {"cut": "pool1"}, {"cut": "conv1_1"}, {"outputs": 3}, {"dropout": 0.5})
    }
    assert len(versions) == 6
    assert all(is_trained({"code": version}) for version in versions) and not is_trained({"code": 1})


def written(path, *, backbone="maia-custom2", **changes):
    import json

    structure = structure_of(backbone, head="8")
    network = backbone_as(BACKBONES[backbone], structure).build()
    record = {"structure": dataclasses.asdict(structure), "history": "random0+here", **changes}
    save_file(network.state_dict(), path, metadata={"featx": json.dumps(record)})
    return network


def test_a_file_loads_strictly_as_the_network_that_it_tells(tmp_path):
    path = tmp_path / "maia-custom2@random0+here--0123abcd.safetensors"
    network = written(path)
    backbone = as_trained(BACKBONES["maia-custom2"], read_record(path), path=path)
    source = parse_weights(str(path), backbone)
    assert source.label == "random0+here" == history_of(path)
    loaded, _ = load_network(backbone, source, memo=tmp_path / "memo.json")
    assert all(torch.equal(values, network.state_dict()[key]) for key, values in loaded.state_dict().items())
    with pytest.raises(WeightsError, match="does not fit"):
        load_network(BACKBONES["maia-custom2"], source, memo=tmp_path / "memo.json")


def test_a_file_of_another_backbone_or_version_or_damaged_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    written(path)
    with pytest.raises(WeightsError, match="give --backbone maia-custom2"):
        as_trained(BACKBONES["maia-custom1"], read_record(path), path=path)
    newer = dataclasses.replace(BACKBONES["maia-custom2"], code_version=2)
    with pytest.raises(WeightsError, match="train again"):
        as_trained(newer, read_record(path), path=path)
    written(path, structure={"backbone": "maia-custom2"})
    with pytest.raises(WeightsError, match="cannot be read"):
        read_record(path)
    save_file({"x": torch.zeros(1)}, path)
    assert read_record(path) is None and as_trained(BACKBONES["vgg16"], None, path=path) is BACKBONES["vgg16"]


def test_names_that_are_no_history():
    from pathlib import Path

    for name in ("vgg16@imagenet--01234567.safetensors", "x.safetensors", "vgg16@imagenet+a--01234567.pth"):
        assert history_of(Path(name)) is None


def test_spans_follow_the_order_of_calls():
    _, network = built("resnet18")
    found = order.spans(network, side=64)
    assert found["conv1"].start < found["conv1"].end < found["layer1"].start < found["layer4"].end < found["fc"].start
    assert order.unused(network, BACKBONES["resnet18"].layer("layer3"), side=64) == ["layer4", "avgpool", "fc"]
