"""OpenVINO gives what torch gives: any backbone, any layer, any place in the batch; converted once."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from small import small_network
from torch import nn

from featx.backbones import BACKBONES
from featx.backbones.base import Layer
from featx.errors import ConversionError, UsageError
from featx.images import NORMALISATIONS
from featx.runtime import OpenVINORuntime, TorchRuntime, conversion
from featx.runtime.conversion import Plan, converted, is_converted

pytest.importorskip("openvino")

SIZE, BATCH = 16, 4
LAYERS = (
    Layer("conv", "relu1"),
    Layer("fc-pre", "fc", kind="vector"),
    Layer("fc", "relu2", kind="vector"),
    Layer("in", "last", "input", "vector"),
)
IMAGES = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
# one of each kind of network; with --long the whole shelf but those that no test machine has memory for
KINDS = (
    "alexnet",
    "maia-custom2",
    "mobilenet_v3_small",
    "pixels",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
)
GIANTS = ("regnet_y_128gf", "vit_h_14")


def plan(layers=LAYERS, **options):
    about = {"size": SIZE, "normalise": NORMALISATIONS["imagenet"], "batch_size": BATCH, **options}
    return Plan("0" * 64, "small 1", tuple(layers), **about)


def both(folder, layers=LAYERS, *, network=small_network, precision="fp32", streams=1, **options):
    about = plan(layers, **options)
    fast = OpenVINORuntime(network, plan=about, folder=folder, precision=precision, streams=streams)
    slow = TorchRuntime(
        network(),
        layers=about.layers,
        size=about.size,
        normalise=about.normalise,
        pool=about.pool,
        batch_size=about.batch_size,
        device="cpu",
    )
    return fast, slow


def close(found, expected, *, within=1e-4):
    assert list(found) == list(expected)
    for name, features in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], features, atol=within * max(np.abs(features).max(), 1e-6), err_msg=name)


@pytest.mark.parametrize("pool", ["avg", "max", "flatten", "gem"])
def test_it_gives_what_torch_gives(tmp_path, pool):
    fast, slow = both(tmp_path, pool=pool)
    assert fast.dims == slow.dims and fast.passes == 0
    close(fast(IMAGES), slow(IMAGES))
    assert fast.passes == 1


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_pixels_reach_the_network_normalised(tmp_path, name):
    close(*(run(IMAGES) for run in both(tmp_path, normalise=NORMALISATIONS[name])))


def names_of_the_shelf(config):
    return [name for name in BACKBONES if name not in GIANTS] if config.getoption("--long") else KINDS


def pytest_generate_tests(metafunc):
    if "backbone" in metafunc.fixturenames:
        metafunc.parametrize("backbone", names_of_the_shelf(metafunc.config))


def test_every_named_layer_of_a_backbone_is_what_torch_gives(tmp_path, backbone):
    shelf = BACKBONES[backbone]
    torch.manual_seed(0)
    net = shelf.build().float().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    size = shelf.fixed_size or max(64, shelf.min_size)
    about = {"size": size, "normalise": NORMALISATIONS[shelf.normalise], "batch_size": 2}
    fast, slow = both(tmp_path, shelf.layers, network=lambda: net, **about)
    noise = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    close(fast(noise), slow(noise))


def test_a_dotted_path_is_a_layer_too(tmp_path):
    path = Layer("layer1.0.conv2", "layer1.0.conv2", kind="auto")
    net = BACKBONES["resnet18"].build().eval()
    fast, slow = both(tmp_path, [path], network=lambda: net, size=32)
    noise = np.random.default_rng(1).integers(0, 256, (BATCH, 32, 32, 3), dtype=np.uint8)
    close(fast(noise), slow(noise))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_bit_equal_at_its_place_with_any_neighbours_and_in_any_stream(tmp_path, precision):
    run, _ = both(tmp_path, precision=precision, streams=2)
    streams = [run.stream(), run.stream()]
    others = np.random.default_rng(1).integers(0, 256, IMAGES.shape, dtype=np.uint8)
    for place in range(BATCH):
        alone = run(IMAGES[:1], places=[place])
        for stream in streams:
            stream.pixels[...] = others
            stream.pixels[place] = IMAGES[0]
            for name, rows in stream().items():
                assert rows[place].tobytes() == alone[name][0].tobytes(), (name, place)


def test_streams_of_several_threads_do_not_mix(tmp_path):
    run, slow = both(tmp_path, streams=2)
    sets = [np.random.default_rng(seed).integers(0, 256, IMAGES.shape, dtype=np.uint8) for seed in range(2)]
    expected, found = [slow(images) for images in sets], [[], []]

    def work(number):
        stream = run.stream()
        for _ in range(30):
            stream.pixels[...] = sets[number]
            found[number].append({name: rows.copy() for name, rows in stream().items()})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for mine, want in zip(found, expected, strict=True):
        assert len(mine) == 30
        for one in mine:
            close(one, want)
    assert run.passes == 60


def test_bf16_points_the_same_way_and_is_not_fp32(tmp_path):
    exact, _ = both(tmp_path)
    rough, _ = both(tmp_path, precision="bf16")
    first, second = exact(IMAGES), rough(IMAGES)
    for name, rows in first.items():
        cosine = (rows * second[name]).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(second[name], axis=1)
        assert cosine.min() > 0.99
    assert any((rows != second[name]).any() for name, rows in first.items())


# converted once


def test_a_network_is_converted_once(tmp_path):
    made = []

    def network():
        made.append(1)
        return small_network()

    assert not is_converted(plan(), tmp_path)
    for precision in ("fp32", "bf16", "fp32"):  # one graph serves both
        OpenVINORuntime(network, plan=plan(), folder=tmp_path, precision=precision)
    assert made == [1] and is_converted(plan(), tmp_path)


@pytest.mark.parametrize(
    "other",
    [{"pool": "max"}, {"size": 20}, {"batch_size": 3}, {"normalise": NORMALISATIONS["unit"]}, {"layers": LAYERS[:1]}],
)
def test_whatever_changes_a_graph_makes_another(other):
    assert plan(**other).key() != plan().key()
    assert Plan("1" * 64, *list(vars(plan()).values())[1:]).key() != plan().key()


@pytest.mark.parametrize("name", ["graph.bin", "graph.xml", "about.json"])
def test_a_damaged_graph_is_made_again(tmp_path, name):
    file = converted(small_network, plan=plan(), folder=tmp_path).file
    content = bytearray((file.parent / name).read_bytes())
    content[len(content) // 2] ^= 64
    (file.parent / name).write_bytes(content)
    made = []
    converted(lambda: made.append(1) or small_network(), plan=plan(), folder=tmp_path)
    assert made == [1]
    converted(None, plan=plan(), folder=tmp_path)


def test_graphs_that_were_not_used_for_longest_are_forgotten(tmp_path, monkeypatch):
    import os

    monkeypatch.setattr(conversion, "KEPT", 2)
    plans = [plan(batch_size=size) for size in (1, 2, 3)]
    for age, about in enumerate(plans[:2]):
        home = converted(small_network, plan=about, folder=tmp_path).file.parent
        os.utime(home / "about.json", (10 + age, 10 + age))
    converted(None, plan=plans[0], folder=tmp_path)  # used: the other one is older now
    converted(small_network, plan=plans[2], folder=tmp_path)
    assert [is_converted(about, tmp_path) for about in plans] == [True, False, True]
    assert len(list(tmp_path.iterdir())) == 2  # and nothing half made


def test_a_graph_is_read_without_torch_and_nobody_is_told_of_its_use(tmp_path):
    converted(small_network, plan=plan(LAYERS[:1]), folder=tmp_path)
    program = (
        "import sys, pathlib\nfrom featx.backbones.base import Layer\nfrom featx.images import NORMALISATIONS\n"
        "from featx.runtime import OpenVINORuntime\nfrom featx.runtime.conversion import Plan\n"
        f"plan = Plan('0' * 64, 'small 1', (Layer('conv', 'relu1'),), size={SIZE},\n"
        f"            normalise=NORMALISATIONS['imagenet'], batch_size={BATCH})\n"
        f"run = OpenVINORuntime(None, plan=plan, folder=pathlib.Path({str(tmp_path)!r}))\n"
        "run.stream()()\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False"], done.stderr


def test_the_converter_that_reports_its_use_is_not_called(tmp_path, monkeypatch):
    import openvino_telemetry

    def sent(*_, **__):
        raise AssertionError("telemetry")

    monkeypatch.setattr(openvino_telemetry.Telemetry, "init", sent)
    monkeypatch.setattr(openvino_telemetry.Telemetry, "send_event", sent)
    converted(small_network, plan=plan(), folder=tmp_path)


# what it cannot take


class Odd(nn.Module):
    """What no graph can hold: a choice by the values that come."""

    def __init__(self):
        super().__init__()
        self.out = nn.Flatten()

    def forward(self, x):
        return self.out(x * 2 if float(x.sum()) > 0 else x * 3)


def test_a_network_that_a_graph_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="'x' differs by"):
        converted(Odd, plan=plan([Layer("x", "out", kind="vector")]), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_openvino_does_not_know_is_refused(tmp_path):
    class Unknown(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Flatten()

        def forward(self, x):
            return self.out(torch.special.bessel_j0(x))

    with pytest.raises(ConversionError, match="OpenVINO cannot take this network"):
        converted(Unknown, plan=plan([Layer("x", "out", kind="vector")]), folder=tmp_path)


def test_a_size_or_layer_that_torch_refuses_is_a_usage_error_as_there(tmp_path):
    with pytest.raises(UsageError, match="20 x 20"):
        converted(small_network, plan=plan(size=20), folder=tmp_path)
    with pytest.raises(UsageError, match=r"features\.99"):
        converted(small_network, plan=plan([Layer("f", "features.99", kind="auto")]), folder=tmp_path)
    assert not list(tmp_path.iterdir())
