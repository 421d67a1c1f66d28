"""Every backbone: its names without torch, and its layers against the real network on the meta device."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.backbones import BACKBONES, KINDS, NORMALISATIONS, Backbone, Layer, find_module
from featx.errors import UnknownName

DIMENSIONS = {"vector": 2, "map": 4, "map-last": 4, "tokens": 3}
CLASSIFIERS = [name for name in BACKBONES if name != "pixels"]


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Build networks on the meta device; RegNet computes its widths with tensors, which need a real one."""
    import torch
    from torchvision.models import regnet

    widths = regnet.BlockParams.from_init_params

    def real(*args, **kwargs):
        with torch.device("cpu"):
            return widths(*args, **kwargs)

    with torch.device("meta"), mock.patch.object(regnet.BlockParams, "from_init_params", real):
        yield


def captured(net, layers: tuple[Layer, ...], image) -> dict[str, tuple[int, ...]]:
    """Run one forward pass and return the shape of what each layer takes, in the order in which it came."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        module = find_module(net, layer)
        if layer.take == "input":
            module.register_forward_pre_hook(lambda _, args, name=layer.name: shapes.update({name: args[0].shape}))
        else:
            module.register_forward_hook(lambda _, args, out, name=layer.name: shapes.update({name: out.shape}))
    net(image)
    return shapes


class Seen(Exception):
    """Ends a forward pass with what a layer gave."""


def seen_at(net, layer: Layer):
    """Return a function from a batch of images to what a layer gives; the pass ends there."""

    def stop(module, args, out):
        raise Seen(out.detach())

    def run(image):
        with pytest.raises(Seen) as caught:
            net(image)
        return caught.value.args[0]

    find_module(net, layer).register_forward_hook(stop)
    return run


@pytest.mark.parametrize("name", list(BACKBONES))
def test_each_layer_exists_and_gives_its_kind_in_forward_order(name):
    import torch

    backbone = BACKBONES[name]
    with without_memory():
        net = backbone.build().eval()
        shapes = captured(net, backbone.layers, torch.empty(2, 3, backbone.min_size, backbone.min_size))
    assert [*shapes] == [layer.name for layer in backbone.layers]
    for layer in backbone.layers:
        assert len(shapes[layer.name]) == DIMENSIONS[layer.kind], layer
        assert shapes[layer.name][0] == 2


@pytest.mark.parametrize("name", list(BACKBONES))
def test_a_backbone_says_consistent_things_of_itself(name):
    backbone = BACKBONES[name]
    names = [layer.name for layer in backbone.layers]
    assert backbone.name == name
    assert len(set(names)) == len(names)
    assert backbone.normalise in NORMALISATIONS
    assert {layer.kind for layer in backbone.layers} <= {*KINDS} - {"auto"}
    assert all("--" not in name and "/" not in name for name in names)
    assert backbone.layer("penultimate").name == backbone.penultimate
    assert backbone.fixed_size in (None, backbone.min_size)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_logits_name_what_the_network_returns(name):
    backbone = BACKBONES[name]
    logits = backbone.layer("logits")
    assert logits == backbone.layers[-1]
    assert logits.kind == "vector"


def test_the_shelf_holds_every_classification_model_of_torchvision():
    from torchvision import models

    assert {*BACKBONES} == {*models.list_models(module=models), "vggm", "maia-custom1", "maia-custom2", "pixels"}


def test_each_normalisation_is_the_one_that_torchvision_states_for_its_imagenet_weights():
    from torchvision.models import get_model_weights

    means = {"imagenet": [0.485, 0.456, 0.406], "-1..1": [0.5, 0.5, 0.5]}
    rescaled_inside = {"googlenet", "inception_v3"}
    for name in {*CLASSIFIERS} - {"vggm", "maia-custom1", "maia-custom2"} - rescaled_inside:
        published = {weights.name: weights for weights in get_model_weights(name)}
        assert (BACKBONES[name].imagenet is None) == ("IMAGENET1K_V1" not in published)
        if BACKBONES[name].imagenet:
            assert published[BACKBONES[name].imagenet].transforms().mean == means[BACKBONES[name].normalise]


def test_names_resolve_without_torch():
    code = (
        "import sys; from featx.backbones import BACKBONES;"
        "layers = [BACKBONES[name].layer('penultimate') for name in BACKBONES];"
        "assert len(layers) > 80 and not {'torch', 'torchvision', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_vgg16_has_the_names_of_the_literature_in_forward_order():
    names = [layer.name for layer in BACKBONES["vgg16"].layers]
    assert names[:6] == ["conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"]
    assert names[-9:] == ["conv5_1", "conv5_2", "conv5_3", "pool5", "fc6-pre", "fc6", "fc7-pre", "fc7", "fc8"]
    assert BACKBONES["vgg16"].layer("logits").name == "fc8"


@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn", "vgg19", "alexnet"])
def test_layers_named_after_convolutions_are_taken_after_the_relu(name):
    from torch import nn

    backbone = BACKBONES[name]
    with without_memory():
        net = backbone.build()
    for layer in backbone.layers:
        if layer.name.startswith("conv") or layer.name in ("fc6", "fc7"):
            assert isinstance(find_module(net, layer), nn.ReLU)
        elif layer.name.endswith("-pre") or layer.name == "fc8":
            assert isinstance(find_module(net, layer), nn.Linear)
        else:
            assert isinstance(find_module(net, layer), nn.MaxPool2d)


def test_widths_of_known_penultimate_layers():
    import torch

    expected = {"vgg16": 4096, "resnet50": 2048, "mobilenet_v2": 1280, "mobilenet_v3_large": 1280, "densenet201": 1920}
    expected |= {"googlenet": 1024, "inception_v3": 2048, "vit_b_16": 768, "swin_t": 768, "maia-custom1": 512}
    for name, width in expected.items():
        backbone = BACKBONES[name]
        layer = backbone.layer("penultimate")
        with without_memory():
            size = backbone.min_size
            shapes = captured(backbone.build().eval(), (layer,), torch.empty(1, 3, size, size))
        assert shapes[layer.name] == (1, width)


def test_a_mistyped_layer_gets_the_nearest_name():
    with pytest.raises(UnknownName, match=r"unknown layer of vgg16 'fc77'; did you mean 'fc7'\?"):
        BACKBONES["vgg16"].layer("fc77")


def test_a_mistyped_backbone_gets_the_nearest_name():
    with pytest.raises(UnknownName, match=r"did you mean 'resnet50'\?"):
        BACKBONES["resnet5O"]


def test_pixels_have_no_logits():
    with pytest.raises(UnknownName):
        BACKBONES["pixels"].layer("logits")


def test_a_dotted_path_reaches_any_module():
    backbone = BACKBONES["resnet18"]
    layer = backbone.layer("layer1.0.conv2")
    with without_memory():
        net = backbone.build()
    assert layer == Layer("layer1.0.conv2", "layer1.0.conv2", "output", "auto")
    assert find_module(net, layer) is net.layer1[0].conv2


def test_a_dotted_path_to_nowhere_gets_the_nearest_module():
    backbone = BACKBONES["resnet18"]
    with without_memory():
        net = backbone.build()
    with pytest.raises(UnknownName, match=r"did you mean 'layer1.0.conv2'\?"):
        find_module(net, backbone.layer("layer1.0.conv22"))


@given(st.text(max_size=12))
def test_any_text_is_a_layer_or_an_unknown_name(text):
    backbone = BACKBONES["vgg16"]
    try:
        layer = backbone.layer(text)
    except UnknownName:
        return
    assert layer in backbone.layers or layer == Layer(text, text, "output", "auto")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inception_at_minus_one_to_one_equals_torchvision_rescaling_inside(name):
    import torch
    from torchvision import models

    backbone = BACKBONES[name]
    ours = backbone.build().eval()
    theirs = getattr(models, name)(weights=None, aux_logits=False, transform_input=True, init_weights=False).eval()
    theirs.load_state_dict(ours.state_dict())
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    pixels = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    # The networks are one from the first convolution on, and untrained outputs hardly depend on the image.
    first = backbone.layers[0]
    here, there = (seen_at(net, first) for net in (ours, theirs))
    expected = there((pixels - mean) / std)
    assert torch.allclose(here(pixels * 2 - 1), expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
    assert not torch.allclose(here((pixels - mean) / std), expected, rtol=1e-3, atol=1e-2 * float(expected.std()))


def test_a_backbone_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BACKBONES["vgg16"].name = "other"
    assert dataclasses.replace(BACKBONES["vgg16"], code_version=2) != BACKBONES["vgg16"]
    assert isinstance(BACKBONES["vgg-m"], Backbone)


def test_pixels_are_the_image_row_by_row():
    import numpy as np
    import torch

    image = np.random.default_rng(0).random((2, 5, 4, 3), dtype=np.float32)
    with torch.no_grad():
        features = BACKBONES["pixels"].build()(torch.from_numpy(image).permute(0, 3, 1, 2))
    assert np.array_equal(features.numpy(), image.reshape(2, -1))


def test_the_small_networks_take_any_size_and_have_the_stated_convolutions():
    import torch
    from torch import nn

    expected = {"maia-custom1": [32, 32, 64, 64, 128, 128], "maia-custom2": [32, 64]}
    for name, widths in expected.items():
        net = BACKBONES[name].build()
        assert [m.out_channels for m in net if isinstance(m, nn.Conv2d)] == widths
        assert [m.out_features for m in net if isinstance(m, nn.Linear)] == [512] * (1 + (len(widths) > 2)) + [1]
        assert all(not m.bias.any() for m in net if isinstance(m, nn.Linear))
        for size in (16, 37):
            assert net(torch.zeros(1, 3, size, size)).shape == (1, 1)
