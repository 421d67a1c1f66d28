"""`featx activations`: maps are those of the layer, beside those of other weights; filters are the network's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from featx.backbones import BACKBONES
from featx.backbones.weights import load_network, parse_weights
from featx.cli import main
from featx.errors import ImageError, UsageError
from featx.explain import activations, filters, panels
from featx.explain.activations import _map_shape
from featx.extraction.crew import Here
from featx.images import Transform

NAME = "maia-custom2"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "$x$<b>.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)).save(path)
    return path


def taken(paths, tmp_path, **about):
    given = {"backbone": NAME, "weights": ["random"], "transform": Transform(size=32), "cache": tmp_path / "cache"}
    return activations(paths, **{**given, "isolate": False, **about})[0]


@pytest.mark.parametrize("isolate", [False, True])
def test_maps_are_those_of_the_network(image, tmp_path, isolate):
    found = taken([image], tmp_path, layer="conv2_1", isolate=isolate)
    backbone = BACKBONES[NAME]
    net, _ = load_network(backbone, parse_weights("random", backbone), memo=tmp_path / "memo.json")
    pixels = torch.tensor(Transform(size=32)(image.read_bytes()), dtype=torch.float32).permute(2, 0, 1)[None]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        values = (pixels / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
        wanted = net.relu2_1(net.conv2_1(net.pool1(net.relu1_1(net.conv1_1(values)))))
    np.testing.assert_allclose(found.maps, wanted.numpy(), rtol=1e-4, atol=1e-5)
    assert np.array_equal(found.pixels[0], Transform(size=32)(image.read_bytes()))
    assert (found.layer, found.weights) == ("conv2_1", "random0")


def test_more_images_than_a_batch_keep_their_order(image, tmp_path):
    other = tmp_path / "black.png"
    Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8)).save(other)
    paths = [image, other] * 9
    found = taken(paths, tmp_path)
    assert found.maps.shape == (18, 32, 32, 32) and found.layer == "conv1_1"
    np.testing.assert_allclose(found.maps[::2], np.repeat(found.maps[:1], 9, axis=0), atol=1e-5)
    assert not np.allclose(found.maps[0], found.maps[1])


@pytest.mark.parametrize(
    ("backbone", "layer", "size", "shape"),
    [
        ("vgg16", "conv1_1", 224, (64, 224, 224)),
        ("vgg16", "features.3", 64, (64, 64, 64)),
        ("swin_t", "stage1", 224, (96, 56, 56)),
        ("vit_b_16", "block3", 224, (768, 14, 14)),
    ],
)
def test_maps_with_channels_last_and_patches_are_maps_too(backbone, layer, size, shape):
    assert _map_shape(BACKBONES[backbone], BACKBONES[backbone].layer(layer), size=size) == shape


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"backbone": "vgg16", "layer": "fc7"}, "gives 4096 numbers and no map; layers with maps: conv1_1, conv1_2"),
        ({"backbone": "pixels", "weights": ["none"]}, "none of its layers gives maps"),
        ({"layer": "conv7"}, "did you mean"),
        ({"transform": Transform(size=2)}, "images from 4 pixels on"),
    ],
)
def test_layers_without_a_map_are_refused_with_those_that_have_one(image, tmp_path, about, told):
    with pytest.raises(UsageError, match=told):
        taken([image], tmp_path, **about)


def test_an_image_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"no\.jpg: not_an_image"):
        taken([tmp_path / "no.jpg"], tmp_path)


def test_filters_are_the_first_convolution(tmp_path):
    found = filters(backbone="mobilenet_v2", weights="random:3", cache=tmp_path)
    backbone = BACKBONES["mobilenet_v2"]
    net, _ = load_network(backbone, parse_weights("random:3", backbone), memo=tmp_path / "memo.json")
    assert np.array_equal(found.filters, net.features[0][0].weight.numpy())
    assert (found.module, found.weights) == ("features.0.0", "random3")
    with pytest.raises(UsageError, match="no convolution over the colours"):
        filters(backbone="pixels", weights="none", cache=tmp_path)


def test_each_map_goes_from_black_to_white_in_a_grid():
    maps = np.stack([np.arange(16.0).reshape(4, 4), np.full((4, 4), 7.0), -np.arange(16.0).reshape(4, 4)])
    found = panels.grid(maps, columns=2, tile=8)
    assert found.shape == (18, 18, 3)
    assert found[0, 0, 0] == 0 and found[7, 7, 0] == 255 and found[10, 0, 0] == 255
    assert not found[:8, 10:].any()  # the same everywhere
    assert (found[10:, 10:] == 128).all()  # no map there
    assert panels.flat(maps) == 1
    colours = panels.grid(np.stack([np.eye(3)[:, :, None] * np.ones(3)]), tile=3)
    assert colours.shape == (3, 3, 3) and colours[0, 0].tolist() == [255, 0, 0]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys.modules["featx.explain.activations"], "Child", Here)  # a process of its own takes seconds

    def call(*words):
        given = ["activations", "--backbone", NAME, *map(str, words)]
        result = CliRunner().invoke(main, given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_one_set_of_weights_beside_another(run, image):
    both = ["--weights", "random", "--weights", "random:1"]
    result = run(image, *both, "--size", 32, "--maps", 16, "--filters", "-o", "a.png")
    assert result.exit_code == 0, result.output
    assert "layer conv1_1: 32 maps of 32 x 32" in result.stderr and "@random1" in result.stderr
    with Image.open("a.png") as picture:
        width, height = picture.size
    assert width == 384 + 2 * (8 * 98 - 2) + 4 * 20 and height > 384
    assert run(image, *both, "--size", 32, "--maps", 16, "--filters", "-o", "b.png").exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_filters_alone_need_no_image(run):
    result = run("--filters", "--weights", "random")
    assert result.exit_code == 0 and Path("activations.png").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give an IMAGE, or --filters"),
        (["x.png", "-o", "a.jpg"], "the picture ends in .png"),
        (["x.png"], "publishes no ImageNet"),
        (["x.png", "--weights", "random", "--layer", "gap"], "no map"),
        (["x.png", "--weights", "random"], "x.png: missing"),
        ([f"{at}.png" for at in range(21)], "too many for one picture"),
    ],
)
def test_what_cannot_be_is_one_sentence(run, words, told):
    result = run(*words)
    assert result.exit_code in (1, 2) and told in result.stderr and "Traceback" not in result.output


def test_the_verb_needs_no_scikit_image(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    assert run("--filters", "--weights", "random", "-q").exit_code == 0
