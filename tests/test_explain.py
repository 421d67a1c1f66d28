"""Explanations of any predict function: LIME beside its authors' package, occlusion and Grad-CAM by closed form."""

from __future__ import annotations

import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import small_network
from torch import nn

from featx.backbones import Layer
from featx.errors import UsageError
from featx.explain import gradcam, lime, occlusion, superpixels
from featx.explain.lime import line, masks_for, nearness
from featx.explain.occlusion import steps
from featx.explain.segments import covers, masked, numbered
from featx.images import NORMALISATIONS

SIDE = 64
QUARTERS = np.kron([[0, 1], [2, 3]], np.ones((SIDE // 2, SIDE // 2), dtype=int))


def skin(seed=0, *, at=(20, 40), radius=11):
    """Skin with a dark lesion, and where the lesion is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = (y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2
    colour = np.where(inside[..., None], (90, 50, 40), (215, 170, 150))
    return np.clip(colour + rng.normal(scale=4, size=(SIDE, SIDE, 3)), 0, 255).astype(np.uint8), inside


def darkness(inside):
    """A predictor that looks at one region alone."""
    return lambda batch: 1 - batch[:, inside].mean((1, 2)) / 255


class Counted:
    """A predictor that remembers how many images it was handed at a time."""

    def __init__(self, predict):
        self.predict, self.calls = predict, []

    def __call__(self, batch):
        self.calls.append(len(batch))
        return self.predict(batch)


def grid(k, side=SIDE):
    """k upright stripes as superpixels."""
    return np.broadcast_to(np.arange(side) * k // side, (side, side)).copy()


# ---- LIME


@pytest.mark.parametrize("seed", range(3))
def test_the_superpixels_that_speak_most_cover_a_planted_lesion(seed):
    pytest.importorskip("skimage")
    rng = np.random.default_rng(seed)
    pixels, inside = skin(seed, at=rng.integers(16, 48, 2))
    found = lime(pixels, darkness(inside), count=10, top=2, samples=300)
    own = np.bincount(found.segments[inside], minlength=len(found.weights))
    assert found.top[0] == own.argmax()
    assert np.isin(found.segments[inside], found.top).mean() > 0.75
    assert found.r2 > 0.8
    assert found.value == pytest.approx(darkness(inside)(pixels[None])[0], abs=1e-12)


def test_a_lesion_that_is_one_superpixel_is_found_unless_it_is_hidden_in_its_own_colour():
    pixels, inside = skin()
    segments = np.where(inside, 1, 2 * (np.arange(SIDE) // 32))
    found, own = (lime(pixels, darkness(inside), segments=segments, hide=hide) for hide in ("rest", "own"))
    assert found.top == (1,) and found.weights[1] > 0.3
    assert np.abs(own.weights).max() < 0.01  # its own mean colour is a lesion's


def test_the_fit_is_that_of_the_lime_package():
    base = pytest.importorskip("lime.lime_base")
    masks = masks_for(12, samples=200, seed=3)
    values = np.random.default_rng(0).normal(size=200) + masks @ np.linspace(-1, 2, 12)
    distance = 1 - np.sqrt(masks.mean(1))
    explainer = base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
    labels = np.column_stack([-values, values])
    intercept, weights, r2, _ = explainer.explain_instance_with_data(
        masks.astype(float), labels, distance, 1, 12, feature_selection="none"
    )
    own, start, fit = line(masks, values, kernel=nearness(masks, width=0.25), penalty=1.0)
    np.testing.assert_allclose(own, [weight for _, weight in sorted(weights)], rtol=1e-9)
    assert (start, fit) == (pytest.approx(intercept), pytest.approx(r2))


def test_the_distance_is_the_cosine_distance_of_the_package():
    from sklearn.metrics import pairwise_distances

    masks = masks_for(7, samples=128, seed=0)
    wanted = pairwise_distances(masks.astype(float), masks[:1].astype(float), metric="cosine").ravel()
    np.testing.assert_allclose(nearness(masks, width=0.3), np.sqrt(np.exp(-(wanted**2) / 0.09)), atol=1e-12)


def test_the_ranking_is_that_of_the_lime_package_on_the_same_superpixels():
    lime_image = pytest.importorskip("lime.lime_image")
    pixels, inside = skin(1)
    segments = grid(8)
    looks = np.linspace(0, 1, SIDE) ** 2 * inside + 0.02 * np.linspace(1, 0, SIDE)

    def predict(batch):
        return ((255.0 - batch.mean(3)) * looks).mean((1, 2)) / 255

    def both(batch):
        told = predict(np.asarray(batch))
        return np.column_stack([1 - told, told])

    theirs = lime_image.LimeImageExplainer(random_state=0).explain_instance(
        pixels, both, labels=(1,), top_labels=None, num_samples=256, segmentation_fn=lambda _: segments
    )
    found = lime(pixels, predict, segments=segments, samples=256, hide="own")
    weights = dict(theirs.local_exp[1])
    told = np.array([weights[number] for number in range(8)])
    noise = np.std(
        [lime(pixels, predict, segments=segments, samples=200, hide="own", seed=s).weights for s in range(8)], axis=0
    )
    assert (np.abs(found.weights - told) < 6 * noise.max()).all()
    apart = np.abs(found.weights[:, None] - found.weights) > 6 * noise.max()
    assert ((found.weights[:, None] > found.weights) == (told[:, None] > told))[apart].all() and apart.any()
    assert found.top[0] == told.argmax()


def test_weights_and_r2_are_those_of_scikit_learn():
    from sklearn.linear_model import Ridge

    masks, rng = masks_for(9, samples=150, seed=1), np.random.default_rng(1)
    values, kernel = rng.normal(size=150), rng.uniform(0.1, 1, 150)
    ridge = Ridge(alpha=0.7).fit(masks, values, sample_weight=kernel)
    weights, intercept, r2 = line(masks, values, kernel=kernel, penalty=0.7)
    np.testing.assert_allclose(weights, ridge.coef_, rtol=1e-9)
    assert intercept == pytest.approx(ridge.intercept_)
    assert r2 == pytest.approx(ridge.score(masks, values, sample_weight=kernel))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 9), st.integers(0, 1000), st.floats(-5, 5))
def test_what_is_a_straight_line_is_found_as_it_is(k, seed, start):
    wanted = np.random.default_rng(seed).normal(size=k)
    masks = masks_for(k, samples=600, seed=seed)
    weights, intercept, r2 = line(masks, start + masks @ wanted, kernel=nearness(masks, width=0.25), penalty=0.0)
    np.testing.assert_allclose(weights, wanted, atol=1e-8)
    assert intercept == pytest.approx(start, abs=1e-8) and r2 == pytest.approx(1)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(4)), st.integers(0, 99))
def test_how_superpixels_are_numbered_does_not_matter(order, seed):
    pixels, inside = skin(seed)
    about = {"samples": 16, "seed": 0}  # all masks
    found = lime(pixels, darkness(inside), segments=QUARTERS, **about)
    again = lime(pixels, darkness(inside), segments=10 * np.array(order)[QUARTERS] - 7, **about)
    np.testing.assert_allclose(again.weights[order], found.weights, atol=1e-12)


def test_a_seed_gives_the_same_explanation_and_another_seed_another():
    pixels, inside = skin()
    first, same, other = (
        lime(pixels, darkness(inside), segments=grid(16), samples=80, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.weights, same.weights) and first.r2 == same.r2
    assert not np.array_equal(first.weights, other.weights)


def test_each_mask_is_asked_about_once_and_in_batches():
    pixels, inside = skin()
    counted = Counted(darkness(inside))
    found = lime(pixels, counted, segments=grid(8), samples=200, at_once=32)
    drawn = np.random.default_rng(0).integers(0, 2, (200, 8))
    drawn[0] = 1
    assert found.masks == 200 and found.passes == sum(counted.calls) == len(np.unique(drawn, axis=0)) < 200
    assert set(counted.calls[:-1]) == {32} and len(counted.calls) == -(-found.passes // 32)


def test_all_masks_are_taken_where_there_are_no_more_than_were_asked_for():
    masks = masks_for(6, samples=64, seed=0)
    assert len(np.unique(masks, axis=0)) == 64 and masks[0].all()
    assert np.array_equal(masks, masks_for(6, samples=64, seed=1))
    assert len(masks_for(6, samples=63, seed=0)) == 63
    assert masks_for(300, samples=5, seed=0).shape == (5, 300)


def test_what_is_hidden_has_its_mean_colour_and_what_is_shown_its_pixels():
    pixels, _ = skin()
    hidden = covers(pixels, QUARTERS)
    for quarter in range(4):
        own = quarter == QUARTERS
        assert (np.abs(hidden[own] - pixels[~own].mean(0)) <= 0.5).all()
        assert (np.abs(covers(pixels, QUARTERS, hide="own")[own] - pixels[own].mean(0)) <= 0.5).all()
    batch = masked(pixels, hidden, QUARTERS, masks=np.array([[1, 1, 1, 1], [1, 0, 1, 1]], dtype=bool))
    assert np.array_equal(batch[0], pixels)
    assert np.array_equal(batch[1] != pixels, (hidden != pixels) & (QUARTERS == 1)[..., None])


def test_where_hiding_changes_nothing_there_is_nothing_to_tell():
    found = lime(skin()[0], lambda batch: np.full(len(batch), 0.3), segments=QUARTERS)
    assert not found.weights.any() and np.isnan(found.r2) and found.top == () and found.value == 0.3


def test_no_superpixel_that_speaks_against_is_among_the_top():
    pixels, inside = skin()
    found = lime(pixels, lambda batch: -darkness(inside)(batch), segments=grid(8), top=8)
    assert all(found.weights[at] > 0 for at in found.top)
    assert found.weights.min() < 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"segments": np.zeros((SIDE, SIDE), int)}, "but one superpixel"),
        ({"samples": 1}, "samples are at least 2"),
        ({"width": 0.0}, "wider than 0"),
        ({"top": 0}, "top 1"),
        ({"pixels": skin()[0].astype(float)}, "uint8 of shape"),
        ({"predict": lambda batch: np.ones((len(batch), 2))}, "one finite number for each of"),
        ({"predict": lambda batch: np.full(len(batch), np.nan)}, "not finite"),
    ],
)
def test_what_makes_no_sense_is_refused(change, told):
    about = {"pixels": skin()[0], "predict": lambda batch: np.ones(len(batch)), "segments": QUARTERS, **change}
    with pytest.raises(UsageError, match=told):
        lime(about.pop("pixels"), about.pop("predict"), **about)


def test_without_scikit_image_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(UsageError, match=r"pip install 'featx\[explain\]'"):
        superpixels(skin()[0])


def test_superpixels_are_numbered_without_gaps_and_follow_the_lesion():
    pytest.importorskip("skimage")
    pixels, inside = skin()
    found = superpixels(pixels, count=12)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1)) and found.dtype == np.int64
    mixed = [min(part.mean(), 1 - part.mean()) for n in range(found.max() + 1) if len(part := inside[found == n])]
    assert np.mean(mixed) < 0.15
    assert np.array_equal(numbered(np.array([[7, 7, -2]])), [[1, 1, 0]])


# ---- occlusion


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.integers(9, 14), st.integers(9, 14))
def test_occlusion_of_a_linear_function_is_its_closed_form(seed, patch, stride, height, width):
    rng, stride = np.random.default_rng(seed), min(stride, patch)
    pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    slope = rng.normal(size=pixels.shape)
    found = occlusion(pixels, lambda batch: (batch * slope).sum((1, 2, 3)), patch=patch, stride=stride, at_once=7)
    lost = (slope * (pixels - np.rint(pixels.mean((0, 1))))).sum(2)
    wanted = [lost[y : y + patch, x : x + patch].sum() for y, x in found.places]
    np.testing.assert_allclose(found.drops, wanted, atol=1e-8)
    covers = np.array([(y <= 4 < y + patch) and (x <= 6 < x + patch) for y, x in found.places])
    assert found.heat[4, 6] == pytest.approx(np.array(wanted)[covers].mean())
    assert np.isfinite(found.heat).all()  # no pixel is left out


def test_occlusion_finds_a_planted_lesion_and_counts_its_passes():
    pixels, inside = skin()
    counted = Counted(darkness(inside))
    found = occlusion(pixels, counted, at_once=50)
    assert (found.patch, found.stride) == (8, 4)
    assert found.passes == sum(counted.calls) == 15 * 15 + 1 and max(counted.calls) == 50
    assert inside.ravel()[np.argsort(-found.heat.ravel())[:100]].all()
    assert steps(64, 8, 4)[-1] == 56


@pytest.mark.parametrize(("patch", "stride"), [(65, 1), (8, 9), (8, 0), (0, 1)])
def test_patches_that_do_not_fit_are_refused(patch, stride):
    with pytest.raises(UsageError, match="a side from 1 to 64 pixels"):
        occlusion(skin()[0], darkness(QUARTERS == 0), patch=patch, stride=stride)


# ---- Grad-CAM

PLAIN = {"layer": Layer("map", "conv"), "features": Layer("vector", "flat", kind="vector")}


def averaging_network(channels=5):
    torch.manual_seed(1)
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, channels, 3, padding=1), gap=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten())
    ).eval()


def prepared(pixels, name="imagenet"):
    told = NORMALISATIONS[name]
    values = (pixels[..., ::-1] if told.bgr else pixels) * told.scale
    return torch.tensor((values - np.array(told.mean)) / np.array(told.std), dtype=torch.float32).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", ["imagenet", "caffe"])
def test_behind_a_global_average_gradcam_is_the_weighted_map(name):
    pixels, net = skin()[0], averaging_network()
    slope = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    found = gradcam(pixels, net, gradient=lambda row: slope, normalise=NORMALISATIONS[name], **PLAIN)
    with torch.no_grad():
        maps = net.conv(prepared(pixels, name))[0].numpy()
    wanted = np.maximum(0, np.einsum("c,chw->hw", slope, maps) / SIDE**2)
    np.testing.assert_allclose(found.map, wanted, atol=1e-6)
    np.testing.assert_allclose(found.features, maps.mean((1, 2)), atol=1e-5)


@pytest.mark.parametrize("layer", [Layer("relu1", "relu1"), Layer("conv1", "conv1"), Layer("pool", "pool")])
def test_gradcam_is_that_of_captum_where_activations_are_overwritten_too(layer):
    captum = pytest.importorskip("captum.attr")
    pixels, net = skin()[0][:16, :16], small_network().eval().requires_grad_(False)
    given = {"features": Layer("last", "last", kind="vector"), "normalise": NORMALISATIONS["imagenet"]}
    apart = small_network().eval()  # captum hooks the activation itself, which must not be overwritten for it
    apart.relu1, apart.relu2 = nn.ReLU(), nn.ReLU()
    theirs = captum.LayerGradCam(apart, getattr(apart, layer.module))
    seen = False
    for target in range(5):
        found = gradcam(pixels, net, layer=layer, gradient=lambda row, at=target: np.eye(5)[at], **given)
        batch = prepared(pixels).requires_grad_()
        wanted = theirs.attribute(batch, target=target, relu_attributions=True)[0, 0].detach().numpy()
        np.testing.assert_allclose(found.map, wanted, atol=1e-7 + 1e-4 * np.abs(wanted).max())
        seen |= bool(found.map.any())
    assert seen and found.layer == layer.name
    assert not any(module._forward_hooks for module in net.modules())


def test_gradcam_of_a_map_with_channels_last_and_of_a_pooled_map():
    pixels, net = skin()[0], averaging_network()

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.turn = net, nn.Identity()

        def forward(self, images):
            return self.turn(self.net.conv(images).permute(0, 2, 3, 1)).mean((1, 2))

    about = {"gradient": lambda row: np.arange(5.0) - 1, "normalise": NORMALISATIONS["unit"]}
    last = Layer("last", "turn", kind="map-last")
    wanted = gradcam(pixels, net, **PLAIN, **about)
    for found in (
        gradcam(pixels, Turned(), layer=last, features=last, pool="avg", **about),
        gradcam(pixels, net, layer=PLAIN["layer"], features=PLAIN["layer"], pool="avg", **about),
    ):
        np.testing.assert_allclose(found.map, wanted.map, atol=1e-6)


def test_gradcam_refuses_what_is_no_map_and_what_comes_later():
    pixels, net = skin()[0], small_network().eval()
    about = {"gradient": lambda row: np.ones(len(row)), "normalise": NORMALISATIONS["unit"]}
    with pytest.raises(UsageError, match="no map"):
        gradcam(pixels[:16, :16], net, layer=Layer("fc", "fc", kind="vector"), features=Layer("l", "last"), **about)
    with pytest.raises(UsageError, match="does not come before"):
        gradcam(pixels[:16, :16], net, layer=Layer("pool", "pool"), features=Layer("conv1", "conv1"), **about)
    with pytest.raises(UsageError, match="cannot be run on images of 64 x 64"):
        gradcam(pixels, net, layer=Layer("pool", "pool"), features=Layer("last", "last"), **about)
