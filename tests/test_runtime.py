"""The runtime: what comes out of a layer is the network's own activation, whatever else is in the batch."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from small import small_network
from torch import nn

from featx.backbones.base import Layer
from featx.errors import UnknownName, UsageError
from featx.images import NORMALISATIONS
from featx.runtime import GEM_POWER, TorchRuntime, layer_shapes, pick_device, pooled

SIZE, BATCH = 16, 6
CONV, POOL = Layer("conv", "relu1"), Layer("pool", "pool")
FC_PRE, FC = Layer("fc-pre", "fc", kind="vector"), Layer("fc", "relu2", kind="vector")
PENULTIMATE = Layer("penultimate", "last", "input", "vector")
LOGITS = Layer("logits", "last", kind="vector")
IMAGES = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)


def runtime(layers=(FC,), net=None, **options):
    options = {"size": SIZE, "batch_size": BATCH, "normalise": NORMALISATIONS["imagenet"], "device": "cpu", **options}
    return TorchRuntime(net or small_network(), layers=layers, **options)


def normalised(pixels, name="imagenet"):
    from torchvision.transforms.v2.functional import normalize

    way = NORMALISATIONS[name]
    return normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, way.mean, way.std)


def test_features_are_those_of_torchvisions_own_extractor():
    from torchvision.models.feature_extraction import create_feature_extractor

    layers = [CONV, POOL, FC, LOGITS]
    oracle = create_feature_extractor(small_network().eval(), {layer.module: layer.name for layer in layers})
    with torch.no_grad():
        expected = oracle(normalised(IMAGES))
    found = runtime(layers, pool="flatten")(IMAGES)
    for layer in layers:
        np.testing.assert_allclose(found[layer.name], expected[layer.name].flatten(1), atol=1e-5)


def test_squeezenet_gives_what_torchvisions_extractor_gives():
    from torchvision.models import squeezenet1_1
    from torchvision.models.feature_extraction import create_feature_extractor

    torch.manual_seed(1)
    net = squeezenet1_1(weights=None).eval()
    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = create_feature_extractor(net, {"features.12": "f"})(normalised(pixels))["f"].mean((2, 3)).numpy()
    found = runtime([Layer("f", "features.12")], net, size=64, batch_size=2)(pixels)["f"]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", sorted(NORMALISATIONS))
def test_pixels_reach_the_network_normalised(name):
    net = nn.Sequential(OrderedDict(same=nn.Identity(), flat=nn.Flatten()))
    found = runtime([Layer("x", "flat", kind="vector")], net, normalise=NORMALISATIONS[name])(IMAGES)["x"]
    way = NORMALISATIONS[name]
    seen = IMAGES[..., ::-1] if way.bgr else IMAGES
    expected = (seen * way.scale - np.array(way.mean)) / np.array(way.std)
    np.testing.assert_allclose(found.reshape(BATCH, 3, SIZE, SIZE).transpose(0, 2, 3, 1), expected, atol=2e-5)
    if way.scale != 1:
        np.testing.assert_allclose(found.reshape(BATCH, 3, SIZE, SIZE), normalised(IMAGES, name), atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_bit_equal_at_its_place_with_any_neighbours(precision):
    run = runtime([CONV, FC, LOGITS], precision=precision)
    others = np.random.default_rng(1).integers(0, 256, IMAGES.shape, dtype=np.uint8)
    for place in range(BATCH):
        alone = run(IMAGES[:1], places=[place])  # padded with blanks
        batch = others.copy()
        batch[place] = IMAGES[0]
        found = run(batch)
        for name, rows in alone.items():
            assert found[name][place].tobytes() == rows[0].tobytes(), (name, place)


def test_at_another_place_in_the_batch_a_row_changes_by_rounding_at_most():
    # not bit for bit: with several threads, products add up the last rows of an odd batch in another order
    run = runtime([CONV, FC, LOGITS])
    first = run(IMAGES[:1])
    for place in range(1, BATCH):
        for name, rows in run(IMAGES[:1], places=[place]).items():
            np.testing.assert_allclose(rows, first[name], atol=1e-5)


def test_rows_come_in_the_order_of_the_images_whatever_their_places():
    run = runtime([FC])
    found = run(IMAGES[:3], places=[4, 0, 2])["fc"]
    for row, place in enumerate([4, 0, 2]):
        np.testing.assert_array_equal(found[row], run(IMAGES[row : row + 1], places=[place])["fc"][0])


def test_a_short_batch_is_padded_and_gives_as_many_rows_as_came():
    shapes = []
    net = small_network()
    net.conv1.register_forward_pre_hook(lambda _, inputs: shapes.append(len(inputs[0])))
    run = runtime([FC], net)
    assert [len(run(IMAGES[:count])["fc"]) for count in (1, 3, BATCH)] == [1, 3, BATCH]
    assert shapes == [2, BATCH, BATCH, BATCH]  # the first is the probe
    assert run.passes == 3


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_another_batch_size_changes_a_row_by_rounding_at_most(batch_size):
    # bit-exact is only what shares a batch size: the shape of a product decides how it is summed
    expected = runtime([FC])(IMAGES)["fc"]
    run = runtime([FC], batch_size=batch_size)
    found = np.concatenate([run(IMAGES[at : at + batch_size])["fc"] for at in range(0, BATCH, batch_size)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_several_layers_in_one_pass_are_bit_equal_to_each_alone():
    layers = [CONV, POOL, FC_PRE, FC, PENULTIMATE, LOGITS]
    together = runtime(layers)(IMAGES)
    for layer in layers:
        np.testing.assert_array_equal(together[layer.name], runtime([layer])(IMAGES)[layer.name])


def test_an_activation_is_not_overwritten_by_the_next_one_in_place():
    found = runtime([FC_PRE, FC])(IMAGES)
    assert found["fc-pre"].min() < 0
    np.testing.assert_array_equal(found["fc"], np.maximum(found["fc-pre"], 0))


def test_the_input_of_a_module_can_be_taken():
    found = runtime([FC, PENULTIMATE])(IMAGES)
    np.testing.assert_array_equal(found["penultimate"], found["fc"])  # dropout does nothing in evaluation mode


def test_results_do_not_change_with_the_next_pass():
    run = runtime([CONV, FC])
    first = run(IMAGES)
    kept = {name: rows.copy() for name, rows in first.items()}
    run(IMAGES[::-1].copy())
    for name, rows in kept.items():
        np.testing.assert_array_equal(first[name], rows)


def test_the_network_is_in_evaluation_mode_without_gradients():
    net = small_network().train()
    before = net.bn.running_mean.clone()
    run = runtime([CONV, FC], net)
    grads = []
    net.fc.register_forward_hook(lambda *_: grads.append(torch.is_grad_enabled()))
    first, second = run(IMAGES), run(IMAGES)
    assert not any(module.training for module in net.modules())
    assert not any(values.requires_grad for values in net.parameters())
    assert grads == [False, False]
    torch.testing.assert_close(net.bn.running_mean, before, rtol=0, atol=0)
    np.testing.assert_array_equal(first["fc"], second["fc"])


def test_the_rest_of_the_network_does_not_run():
    net = small_network()
    run = runtime([CONV], net)
    calls = []
    for name in ("relu1", "pool", "last"):
        net.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: calls.append(name))
    run(IMAGES)
    assert calls == ["relu1"]
    runtime([LOGITS], net)(IMAGES)
    assert "last" in calls


class Twice(nn.Module):
    """One module called twice in a pass, and then another."""

    def __init__(self):
        super().__init__()
        self.relu, self.after = nn.ReLU(), nn.Identity()

    def forward(self, x):
        return self.after(self.relu(self.relu(x).flatten(1) - 1))


def test_of_a_module_that_is_called_twice_the_last_call_counts():
    run = runtime([Layer("relu", "relu", kind="auto")], Twice(), normalise=NORMALISATIONS["unit"])
    expected = np.maximum(IMAGES.transpose(0, 3, 1, 2).reshape(BATCH, -1) / 255 - 1, 0)
    np.testing.assert_allclose(run(IMAGES)["relu"], expected, atol=1e-6)


def test_bf16_points_the_same_way_as_fp32():
    exact, rough = runtime([CONV, FC, LOGITS])(IMAGES), runtime([CONV, FC, LOGITS], precision="bf16")(IMAGES)
    for name, rows in exact.items():
        cosine = (rows * rough[name]).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(rough[name], axis=1)
        assert cosine.min() > 0.99
        assert rough[name].dtype == np.float32
        assert (rough[name] != rows).any()


# pools


MAPS = torch.rand(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("avg", MAPS.mean((2, 3))),
        ("max", MAPS.amax((2, 3))),
        ("flatten", MAPS.reshape(2, -1)),
        ("gem", torch.nn.functional.lp_pool2d(MAPS, GEM_POWER, (3, 4)).flatten(1) / 12 ** (1 / GEM_POWER)),
    ],
)
def test_a_map_is_pooled_as_by_plain_torch(pool, expected):
    torch.testing.assert_close(pooled(MAPS, kind="map", pool=pool), expected)
    torch.testing.assert_close(pooled(MAPS, kind="auto", pool=pool), expected)
    torch.testing.assert_close(pooled(MAPS.permute(0, 2, 3, 1), kind="map-last", pool=pool), expected)
    tokens = torch.cat([torch.full((2, 1, 5), 1e3), MAPS.flatten(2).transpose(1, 2)], dim=1)  # the class token first
    torch.testing.assert_close(pooled(tokens, kind="tokens", pool=pool), expected)
    torch.testing.assert_close(pooled(tokens, kind="auto", pool=pool), expected)
    torch.testing.assert_close(
        pooled(MAPS.contiguous(memory_format=torch.channels_last), kind="map", pool=pool), expected
    )


@pytest.mark.parametrize("pool", ["avg", "max", "flatten", "gem"])
@pytest.mark.parametrize("kind", ["vector", "auto", "map"])
def test_a_vector_stays_what_it_is(pool, kind):
    vector = torch.tensor([[-1.0, 2.0], [3.0, -4.0]])
    torch.testing.assert_close(pooled(vector, kind=kind, pool=pool), vector, rtol=0, atol=0)


def test_gem_of_negative_values_is_finite():
    assert torch.isfinite(pooled(-MAPS, kind="map", pool="gem")).all()


def test_pooling_in_the_runtime_is_that_of_the_flattened_map():
    flat = runtime([CONV], pool="flatten")(IMAGES)["conv"].reshape(BATCH, 8, -1)
    np.testing.assert_allclose(runtime([CONV])(IMAGES)["conv"], flat.mean(2), atol=1e-6)
    np.testing.assert_array_equal(runtime([CONV], pool="max")(IMAGES)["conv"], flat.max(2))


def test_dims_and_shapes_are_told():
    run = runtime([CONV, FC], pool="flatten")
    assert run.shapes == {"conv": (8, SIZE, SIZE), "fc": (20,)}
    assert run.dims == {"conv": 8 * SIZE * SIZE, "fc": 20}
    assert run.passes == 0
    with torch.device("meta"):
        meta = small_network()
    assert layer_shapes(meta, layers=[CONV, PENULTIMATE], size=SIZE) == {"conv": (8, SIZE, SIZE), "penultimate": (20,)}


# what is refused


def test_a_size_that_the_network_does_not_take_is_a_usage_error():
    with pytest.raises(UsageError, match="20 x 20"):
        runtime([FC], size=20)


def test_a_missing_module_is_a_usage_error():
    with pytest.raises(UsageError, match=r"features\.99"):
        runtime([Layer("features.99", "features.99", kind="auto")])


class Odd(nn.Module):
    """Modules that give no row an image."""

    def __init__(self):
        super().__init__()
        self.pair, self.windows, self.total, self.unused = Pair(), nn.Identity(), Total(), nn.Identity()

    def forward(self, x):
        self.pair(x)
        self.windows(x.reshape(-1, 3, SIZE // 2, SIZE // 2))
        self.total(x)
        return x.flatten(1)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Total(nn.Module):
    def forward(self, x):
        return x.sum((1, 2, 3))


@pytest.mark.parametrize("module", ["pair", "windows", "total", "unused"])
def test_a_module_that_gives_no_row_an_image_is_a_usage_error(module):
    # windows of several images would pass for the rows of the first ones
    with pytest.raises(UsageError, match=module):
        runtime([Layer(module, module, kind="auto")], Odd())


@pytest.mark.parametrize("options", [{"pool": "mean"}, {"precision": "fp16"}, {"device": "gpu"}])
def test_an_unknown_word_is_not_taken_for_another(options):
    with pytest.raises(UnknownName, match=next(iter(options.values()))):
        runtime([FC], **options)


def test_a_gpu_that_is_not_there_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="no GPU"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (pick_device("auto"), pick_device("cuda"), pick_device("cpu")) == ("cuda", "cuda", "cpu")


# memory that does not suffice


class Narrow(nn.Module):
    """A network on a device that takes so many images at once, and counts them."""

    def __init__(self, most):
        super().__init__()
        self.inner, self.most, self.seen = small_network(), most, []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.inner(x)


def narrow(most):
    net = Narrow(most)
    run = runtime([Layer("fc", "inner.relu2", kind="vector")], net)
    net.seen.clear()
    return net, run


@pytest.mark.parametrize(
    ("most", "first", "later"), [(6, [6], [6]), (4, [6, 3, 3], [3, 3]), (2, [6, 3, 2, 2, 2], [2, 2, 2])]
)
def test_out_of_memory_halves_the_batch_and_goes_on(most, first, later):
    net, run = narrow(most)
    found = run(IMAGES)["fc"]
    assert net.seen == first
    np.testing.assert_allclose(found, runtime([FC])(IMAGES)["fc"], atol=1e-5)
    net.seen.clear()
    run(IMAGES[:4], places=[5, 0, 1, 3])
    assert net.seen == later and run.passes == 2  # it does not try the whole again


def test_a_part_of_a_batch_is_padded_so_that_a_row_does_not_hang_on_how_many_there_are():
    _, run = narrow(4)
    whole = run(IMAGES)["fc"]
    for place in range(BATCH):
        assert run(IMAGES[place : place + 1], places=[place])["fc"][0].tobytes() == whole[place].tobytes()


def test_where_not_even_one_image_fits_it_is_a_memory_error():
    net, run = narrow(6)
    net.most = 0
    with pytest.raises(MemoryError, match="16 x 16"):
        run(IMAGES)


def test_another_error_of_torch_is_not_taken_for_want_of_memory():
    net, run = narrow(6)
    net.inner.fc = nn.Linear(3, 3)
    with pytest.raises(RuntimeError, match="shapes"):
        run(IMAGES)
    assert net.seen == [6]


def test_streams_of_several_threads_do_not_mix():
    import threading

    run = runtime([CONV, FC])
    sets = [np.random.default_rng(seed).integers(0, 256, IMAGES.shape, dtype=np.uint8) for seed in range(2)]
    expected, found = [run(images) for images in sets], [[], []]

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
            for name, rows in want.items():
                np.testing.assert_allclose(one[name], rows, atol=1e-5)


def test_untapped_the_network_runs_to_its_end():
    net = small_network()
    run = runtime([CONV], net)
    run.untap()
    assert net(torch.zeros(1, 3, SIZE, SIZE)).shape == (1, 5)
    assert not any(module._forward_hooks for module in net.modules())
