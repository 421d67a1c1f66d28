from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.datasets import demo_picture as art


def draw(diagnosis: str, *, lesion: int = 0, view: int = 0, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    drawn = art.picture(diagnosis, np.random.default_rng(lesion), view=np.random.default_rng([view, 1]), size=size)
    return np.asarray(drawn)


def straight(height: int, width: int, *, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> art.View:
    x = (np.arange(width) - (width - 1) / 2) * (2 / height)
    y = (np.arange(height) - (height - 1) / 2) * (2 / height)
    return art.View(x, y, np.eye(2) / zoom, np.array(shift))


@pytest.mark.parametrize("diagnosis", art.DIAGNOSES)
def test_every_diagnosis_can_be_drawn(diagnosis):
    image = draw(diagnosis)
    assert image.shape == (96, 128, 3) and image.dtype == np.uint8
    assert image.std() > 5


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (40, 17), (200, 160)])
def test_any_size_can_be_drawn(size):
    assert draw("mel", size=size).shape == (*size, 3)


def test_the_same_numbers_draw_the_same_picture():
    np.testing.assert_array_equal(draw("bcc", lesion=4, view=2), draw("bcc", lesion=4, view=2))


def test_a_view_leaves_the_lesion_as_it_is():
    after = []
    for view in range(6):
        lesion = np.random.default_rng(3)
        art.picture("bcc", lesion, view=np.random.default_rng(view), size=(32, 48))
        after.append(lesion.bit_generator.state)
    assert all(state == after[0] for state in after)


def test_a_field_is_the_sum_of_its_waves():
    view = art.look_through(np.random.default_rng(1), (12, 20))
    vectors, phases = art.waves(np.random.default_rng(2), 2, 9, count=7)
    u, v = view.on_skin()
    expected = sum(np.cos(u * k[0] + v * k[1] + phase) for k, phase in zip(vectors, phases, strict=True))
    np.testing.assert_allclose(view.field((vectors, phases)), expected * np.sqrt(2 / 7), atol=1e-5)


@given(st.integers(0, 1000), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_pixels_and_skin_are_inverse_to_each_other(seed, u, v):
    view = art.look_through(np.random.default_rng(seed), (30, 40))
    (column, row), *_ = view.in_pixels(np.array([[u, v]]))
    x, y = column * 2 / 30 + view.x[0], row * 2 / 30 + view.y[0]
    np.testing.assert_allclose(view.turn @ ([x, y] - view.shift), [u, v], atol=1e-9)


def test_a_window_is_a_part_of_the_view():
    view = art.look_through(np.random.default_rng(1), (30, 40))
    waves = art.waves(np.random.default_rng(2), 2, 9, count=7)
    part = view.window(slice(5, 20), slice(8, 31)).field(waves)
    np.testing.assert_allclose(part, view.field(waves)[5:20, 8:31], atol=1e-5)


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_window_holds_all_that_is_inside(row, column):
    inside = np.zeros((31, 31), bool)
    inside[15, 15] = inside[row, column] = True
    rows, columns = art.around(inside)
    assert inside[rows, columns].sum() == inside.sum()
    assert inside[rows, columns].shape[0] >= 8


def test_a_window_round_nothing_is_still_a_window():
    rows, columns = art.around(np.zeros((20, 30), bool))
    assert (rows, columns) == (slice(0, 8), slice(0, 8))


@given(st.floats(-5, 5), st.floats(0.01, 3))
def test_a_ramp_climbs_from_0_to_1(low, width):
    values = art.ramp(np.linspace(low - 1, low + width + 1, 200), low, low + width)
    assert values[0] == 0 and values[-1] == 1
    assert np.all(np.diff(values) >= 0)


def test_pigment_darkens_and_scars_lighten():
    def middle(**amounts: float) -> np.ndarray:
        look = dict.fromkeys(art.LOOKS, 0.0) | {"radius": 0.5, "elongation": 1.0, "softness": 0.2} | amounts
        density = art.Lesion(look, np.random.default_rng(0), straight(60, 80)).draw()
        return density[:, 25:35, 35:45].mean(axis=(1, 2))

    red, green, blue = middle(pigment=1.0) - middle()
    assert 0 < red < green < blue
    assert np.all(middle(pigment=1.0, centre=1.0) < middle(pigment=1.0))
    assert np.argmax(middle(blood=1.0) - middle()) == 1
    assert np.argmax(middle(nests=0.0, veil=3.0) - middle()) == 0


def test_a_lesion_is_its_own_mixture_of_two_profiles():
    looks = [art.look_of("vasc", np.random.default_rng(k)) for k in range(300)]
    lacunae = np.array([look["lacunae"] for look in looks])
    assert lacunae.std() > 0.2
    assert 0.6 < lacunae.mean() < 1.0
    assert all(0.16 <= look["radius"] <= 0.85 and 1 <= look["elongation"] <= 1.9 for look in looks)


def test_every_diagnosis_has_lookalikes_that_are_others():
    assert set(art.LOOKALIKES) == set(art.DIAGNOSES)
    for diagnosis, others in art.LOOKALIKES.items():
        assert others and diagnosis not in others and set(others) <= set(art.DIAGNOSES)


def test_what_comes_with_the_view_does_not_depend_on_the_diagnosis():
    states = []
    for diagnosis in art.DIAGNOSES:
        view = np.random.default_rng(8)
        art.picture(diagnosis, np.random.default_rng(12), view=view, size=(32, 48))
        states.append(view.bit_generator.state)
    assert all(state == states[0] for state in states)


@pytest.mark.parametrize("thing", [art.hairs, art.ruler, art.corners])
def test_things_before_the_skin_take_light(thing):
    density = thing(np.random.default_rng(5), straight(90, 120))
    assert density.shape == (90, 120)
    assert density.min() >= 0 and density.max() > 0.05


def test_bubbles_give_light():
    density = art.bubbles(np.random.default_rng(5), straight(90, 120))
    assert density.max() <= 0 and density.min() < -0.05
