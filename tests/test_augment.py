"""Augmentation: off is off, right angles move pixels and change none, warps go where their matrix says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from featx.augment import DRAWS, MOVES, USUAL, Augmentation, apply, matrices, move_lists, parse, turned
from featx.errors import UnknownName, UsageError


def pictures(n=6, side=8, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3, side, side)).astype(np.float32))


def draws(n=6, seed=1):
    return np.random.default_rng(seed).random((n, DRAWS))


def test_off_is_the_very_batch():
    batch = pictures()
    assert apply(batch, Augmentation(), draws=draws()) is batch


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_right_angles_and_flips_move_pixels_and_change_none(seed, flip, right):
    batch = pictures(seed=seed)
    moved = apply(batch, Augmentation(flip=flip, right_angles=right), draws=draws(seed=seed))
    assert np.array_equal(np.sort(moved.flatten(2).numpy(), axis=2), np.sort(batch.flatten(2).numpy(), axis=2))
    assert (moved is batch) == (not flip and not right)


def test_all_eight_ways_to_lay_a_picture_come_up():
    batch = pictures(1).repeat(400, 1, 1, 1)
    moved = apply(batch, Augmentation(flip=True, right_angles=True), draws=draws(400))
    assert len({picture.numpy().tobytes() for picture in moved}) == 8


def test_a_warp_by_right_angles_is_what_moving_gives():
    batch, told = pictures(64, side=9), draws(64)
    exact = apply(batch, Augmentation(flip=True, right_angles=True), draws=told)
    nearly = Augmentation(flip=True, right_angles=True, rotate=1e-9)
    assert not nearly.exact
    assert torch.allclose(apply(batch, nearly, draws=told), exact, atol=1e-5)


@pytest.mark.parametrize("degrees", [10.0, 33.0, 90.0])
def test_a_rotation_is_torchvisions(degrees):
    batch, told = pictures(1, side=16), np.full((1, DRAWS), 0.5)
    told[0, 3] = 1.0  # all of it, to one side
    ours = apply(batch, Augmentation(rotate=degrees), draws=told)
    theirs = [tv.rotate(batch, sign * degrees, interpolation=tv.InterpolationMode.BILINEAR) for sign in (1, -1)]
    assert min((ours - other).abs().max() for other in theirs) < 1e-4


def test_zoom_shear_and_shift_stay_within_what_was_asked():
    how = Augmentation(scale=1.3, shift=0.2)
    found = matrices(how, draws(2000))
    zooms = found[:, 0, 0]
    assert 1 / 1.3 <= zooms.min() < 0.8 and 1.25 < zooms.max() <= 1.3
    assert np.abs(found[:, :, 2]).max() <= 0.4  # coordinates run from -1 to 1
    assert np.median(np.log(zooms)) == pytest.approx(0, abs=0.03)
    sheared = matrices(Augmentation(shear=30), draws(2000))
    assert np.abs(sheared[:, 0, 1]).max() <= np.tan(np.deg2rad(30)) + 1e-12
    assert np.allclose(np.linalg.det(sheared[:, :, :2]), 1)


def test_a_picture_is_changed_by_its_own_draws_alone():
    batch, told = pictures(), draws()
    how = parse("paper")
    alone = torch.cat([apply(batch[at : at + 1], how, draws=told[at : at + 1]) for at in range(len(batch))])
    assert torch.equal(apply(batch, how, draws=told), alone)


def test_words():
    assert parse("none") == parse("") == Augmentation()
    assert parse("paper") == Augmentation(**{**USUAL, "flip": True})
    assert parse("right-angles").exact and not parse("rotate").exact
    with pytest.raises(UnknownName, match="did you mean 'flip'"):
        parse("flipp")
    for text in ("scale=0.5", "rotate=200", "shift=x", "flip=3", "right-angles=2"):
        with pytest.raises(UsageError):
            parse(text)


def test_copies_come_in_the_order_of_the_released_code():
    lists = move_lists(31)
    assert lists[:7] == [*((move,) for move in MOVES), ("flip-h", "flip-v"), ("flip-h", "turn-90")]
    assert len(set(lists)) == 31 and lists[-1] == MOVES and [len(one) for one in lists] == sorted(map(len, lists))
    assert move_lists(0) == [] and move_lists(3) == lists[:3]
    for count in (-1, 32):
        with pytest.raises(UsageError, match=f"at most 31 copies by flips and turns; {count} were asked for"):
            move_lists(count)


def test_moves_are_pillows():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    kinds = ("FLIP_LEFT_RIGHT", "FLIP_TOP_BOTTOM", "ROTATE_90", "ROTATE_180", "ROTATE_270")
    for move, kind in zip(MOVES, kinds, strict=True):
        theirs = np.asarray(Image.fromarray(picture).transpose(Image.Transpose[kind]))
        assert np.array_equal(turned(picture, [move]), theirs), move


def test_all_moves_together_lay_a_picture_in_eight_ways_and_one_of_the_first_seven_twice():
    picture = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    laid = [np.ascontiguousarray(turned(picture, moves)).tobytes() for moves in move_lists(31)]
    assert len({picture.tobytes(), *laid}) == 8
    assert len({picture.tobytes(), *laid[:7]}) == 7 and laid[5] == laid[3]


def test_an_unknown_move_is_refused():
    with pytest.raises(UnknownName, match="unknown move 'turn-9'; did you mean 'turn-90'"):
        turned(np.zeros((2, 2, 3)), ["turn-9"])
