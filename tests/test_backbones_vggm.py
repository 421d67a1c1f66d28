"""VGG-M: the network against plain numpy and scipy, and the reading of its MATLAB files."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from scipy.io import savemat
from scipy.signal import correlate

from featx.backbones import BACKBONES, find_module, vggm
from featx.backbones.weights import load_network, parse_weights
from featx.errors import WeightsError, WeightsUnavailable

WIDTH = 1 / 64  # 2, 4, 8 channels and 64 hidden units
SMALL = dataclasses.replace(BACKBONES["vggm"], build=partial(vggm.network, width=WIDTH, classes=5))
MEAN = [123.0, 117.5, 104.25]
# name, (height, width, in, out), stride
CONVOLUTIONS = [
    ("conv1", (7, 7, 3, 2), 2),
    ("conv2", (5, 5, 2, 4), 2),
    ("conv3", (3, 3, 4, 8), 1),
    ("conv4", (3, 3, 8, 8), 1),
    ("conv5", (3, 3, 8, 8), 1),
    ("fc6", (6, 6, 8, 64), 1),
    ("fc7", (1, 1, 64, 64), 1),
    ("fc8", (1, 1, 64, 5), 1),
]


def filters_and_biases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    made = {}
    for name, shape, _ in CONVOLUTIONS:
        scale = 1 / np.sqrt(np.prod(shape[:3]))
        made[name] = (rng.normal(0, scale, shape).astype("f4"), rng.normal(0, 0.1, (1, shape[3])).astype("f4"))
    return made


def cell(structs) -> np.ndarray:
    row = np.empty((1, len(structs)), dtype=object)
    row[0, :] = structs
    return row


def matconvnet(*, newer: bool, strides: dict[str, int] | None = None, mean_image: np.ndarray | None = None) -> dict:
    """Return the variables of a MatConvNet file, laid out as its older or newer releases do."""
    learned, structs = filters_and_biases(), []
    for name, _, stride in CONVOLUTIONS:
        stored = learned[name]
        values = {"weights": cell(stored)} if newer else {"filters": stored[0], "biases": stored[1]}
        stride = float((strides or {}).get(name, stride))
        structs.append({"type": "conv", "name": name, "stride": stride, "pad": 0.0, **values})
        if name != "fc8":
            structs.append({"type": "relu", "name": f"relu{name[-1]}"})
        if name in ("conv1", "conv2"):
            kind = "lrn" if newer else "normalize"
            structs.append({"type": kind, "name": f"norm{name[-1]}", "param": np.array([[5, 2, 1e-4, 0.75]])})
        if name in ("conv1", "conv2", "conv5"):
            stride = (strides or {}).get(f"pool{name[-1]}", 2)
            structs.append({"type": "pool", "name": f"pool{name[-1]}", "stride": np.full((1, 2), stride)})
    structs.append({"type": "softmax", "name": "prob"})
    normalization = {"averageImage": np.array(MEAN).reshape(1, 1, 3) if mean_image is None else mean_image}
    around = {"meta": {"normalization": normalization}} if newer else {"normalization": normalization}
    return {"layers": cell(structs), **around}


def saved(folder, variables) -> str:
    savemat(folder / "imagenet-vgg-m.mat", variables)
    return str(folder / "imagenet-vgg-m.mat")


def loaded(folder, variables):
    source = parse_weights(saved(folder, variables), SMALL)
    return load_network(SMALL, source, memo=folder / "memo.json")


# ---------------------------------------------------------------- an independent forward pass, [H, W, C] in float64


def convolved(x, filters, biases, *, stride=1, pad=0):
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    maps = [
        correlate(x, filters[..., k].astype("f8"), mode="valid")[::stride, ::stride, 0] for k in range(filters.shape[3])
    ]
    return np.stack(maps, axis=-1) + biases.ravel()


def rectified(x):
    return np.maximum(x, 0)


def response_normalised(x):
    squares = np.pad(x**2, ((0, 0), (0, 0), (2, 2)))
    around = sum(squares[..., offset : offset + x.shape[2]] for offset in range(5))
    return x / (2 + 1e-4 * around) ** 0.75


def pooled(x, *, after=0):
    x = np.pad(x, ((0, after), (0, after), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
    return windows[::2, ::2].max(axis=(-2, -1))


def expected_layers(image) -> dict[str, np.ndarray]:
    """``image`` is [224, 224, 3] without its mean; the published network, step by step."""
    w, at = filters_and_biases(), {}
    at["conv1"] = rectified(convolved(image, *w["conv1"], stride=2))
    at["pool1"] = pooled(response_normalised(at["conv1"]))
    at["conv2"] = rectified(convolved(at["pool1"], *w["conv2"], stride=2, pad=1))
    at["pool2"] = pooled(response_normalised(at["conv2"]), after=1)
    at["conv3"] = rectified(convolved(at["pool2"], *w["conv3"], pad=1))
    at["conv4"] = rectified(convolved(at["conv3"], *w["conv4"], pad=1))
    at["conv5"] = rectified(convolved(at["conv4"], *w["conv5"], pad=1))
    at["pool5"] = pooled(at["conv5"])
    at["fc6-pre"] = convolved(at["pool5"], *w["fc6"])
    at["fc6"] = rectified(at["fc6-pre"])
    at["fc7-pre"] = convolved(at["fc6"], *w["fc7"])
    at["fc7"] = rectified(at["fc7-pre"])
    at["fc8"] = convolved(at["fc7"], *w["fc8"])
    return at


@pytest.mark.parametrize("newer", [False, True])
def test_a_mat_file_gives_the_features_of_an_independent_computation(tmp_path, newer):
    import torch

    net, facts = loaded(tmp_path, matconvnet(newer=newer))
    image = np.random.default_rng(1).uniform(0, 255, (224, 224, 3)).astype("f4") - np.array(MEAN, dtype="f4")
    seen = {}
    for layer in SMALL.layers:
        module = find_module(net, layer)
        module.register_forward_hook(lambda _, args, out, name=layer.name: seen.update({name: out.clone()}))
    net(torch.from_numpy(image).permute(2, 0, 1)[None])
    expected = expected_layers(image.astype("f8"))
    assert {*expected} == {*seen} - {"norm1", "norm2"}
    for name, values in expected.items():
        ours = seen[name][0].numpy()
        ours = ours.transpose(1, 2, 0) if ours.ndim == 3 else ours.reshape(1, 1, -1)
        assert ours.shape == values.shape, name
        np.testing.assert_allclose(ours, values, rtol=1e-3, atol=1e-4 * np.abs(values).max(), err_msg=name)
    assert facts.normalise == {"name": "mean-only", "mean": MEAN}


def test_both_layouts_give_one_digest(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    _, old = loaded(tmp_path / "old", matconvnet(newer=False))
    _, new = loaded(tmp_path / "new", matconvnet(newer=True))
    assert old.digest == new.digest


def test_variables_inside_a_struct_net_are_found(tmp_path):
    _, facts = loaded(tmp_path, {"net": matconvnet(newer=True)})
    assert facts.normalise["mean"] == MEAN


def test_a_mean_image_is_reduced_to_its_mean_for_each_channel(tmp_path):
    image = np.random.default_rng(2).uniform(90, 130, (224, 224, 3)).astype("f4")
    _, facts = loaded(tmp_path, matconvnet(newer=False, mean_image=image))
    np.testing.assert_allclose(facts.normalise["mean"], image.reshape(-1, 3).mean(axis=0), rtol=1e-5)


def test_a_mean_in_a_column_is_read(tmp_path):
    _, facts = loaded(tmp_path, matconvnet(newer=True, mean_image=np.array(MEAN).reshape(3, 1)))
    assert facts.normalise["mean"] == MEAN


def test_vgg_s_is_refused_although_its_shapes_are_the_same(tmp_path):
    with pytest.raises(WeightsError, match=r"not VGG-M: its conv layers have strides \[2, 1, "):
        loaded(tmp_path, matconvnet(newer=False, strides={"conv2": 1}))
    with pytest.raises(WeightsError, match=r"not VGG-M: its pool layers have strides \[3, 2, 3\]"):
        loaded(tmp_path, matconvnet(newer=True, strides={"pool1": 3, "pool5": 3}))


def test_another_response_normalisation_is_refused(tmp_path):
    variables = matconvnet(newer=False)
    norm = next(struct for struct in variables["layers"][0] if struct["type"] == "normalize")
    norm["param"] = np.array([[5, 1, 2e-5, 0.75]])
    with pytest.raises(WeightsError, match="response normalisation"):
        loaded(tmp_path, variables)


def test_the_small_file_does_not_fit_the_published_network(tmp_path):
    arrays, _ = vggm.read_mat(_as_path(tmp_path))
    assert arrays["fc6.weight"].shape == (64, 8 * 36)
    with pytest.raises(WeightsError, match=r"does not fit vggm: .*other shape"):
        source = parse_weights(str(_as_path(tmp_path)), BACKBONES["vggm"])
        load_network(BACKBONES["vggm"], source, memo=tmp_path / "memo.json")


def _as_path(folder):
    saved(folder, matconvnet(newer=False))
    return folder / "imagenet-vgg-m.mat"


@pytest.mark.parametrize(
    "variables",
    [{"x": 1.0}, {"layers": 3.0}, {"layers": cell([{"type": "conv"}])}, {"net": np.zeros((0, 0))}],
    ids=["no layers", "a number", "a bare layer", "an empty net"],
)
def test_a_mat_file_of_something_else_is_refused(tmp_path, variables):
    with pytest.raises(WeightsError, match=r"imagenet-vgg-m\.mat"):
        loaded(tmp_path, variables)


def test_a_mean_of_four_channels_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="averageImage"):
        loaded(tmp_path, matconvnet(newer=False, mean_image=np.zeros((1, 1, 4))))


def test_a_file_that_is_no_mat_is_refused(tmp_path):
    path = tmp_path / "vgg.mat"
    path.write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(WeightsError, match="not a readable MATLAB file"):
        vggm.read_mat(path)


def test_imagenet_weights_of_vggm_ask_for_the_mat_file():
    with pytest.raises(WeightsUnavailable, match=r"imagenet-vgg-m\.mat"):
        parse_weights("imagenet", BACKBONES["vggm"])


def test_the_published_width_has_the_published_sizes():
    import torch

    with torch.device("meta"):
        net = vggm.network()
    shapes = [tuple(values.shape) for key, values in net.state_dict().items() if key.endswith("weight")]
    convolutions = [(96, 3, 7, 7), (256, 96, 5, 5), (512, 256, 3, 3), (512, 512, 3, 3), (512, 512, 3, 3)]
    assert shapes == [*convolutions, (4096, 18432), (4096, 4096), (1000, 4096)]
