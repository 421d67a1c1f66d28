"""Activations of what is frozen: once an image, checked, found again to the bit, and never beyond their room."""

import errno
import json
import os

import numpy as np
import pytest
import torch
from torch import nn

from featx import augment
from featx.images import NORMALISATIONS
from featx.training import kept
from featx.training.kept import Bank, Kept, TooLarge
from featx.training.pixels import Feed
from featx.training.plan import Frozen
from featx.training.prefix import divide

SIDE, N = 8, 11
HOW = {"device": "cpu", "precision": "fp32"}


def divided(precision="fp32"):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3), nn.Flatten())
    network.append(nn.Linear(2, 2))
    frozen = Frozen(frozenset({"0.weight", "0.bias"}), ("0", "1"))
    frozen.apply(network)
    return divide(network, frozen, side=SIDE, device="cpu", precision=precision)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)


def store(folder, pixels, *, ways=(0,), together=4, precision="fp32", most=1e9, part=None):
    feed = Feed(NORMALISATIONS["unit"], device="cpu")
    about = {"ways": ways, "together": together, "device": "cpu", "precision": precision}
    return Kept(part or divided(precision), Bank(folder, "toy", pixels, most), feed, **about)


def test_each_image_goes_through_once_whoever_asks(tmp_path, pixels):
    one = store(tmp_path, pixels)
    assert one.fill({0: np.array([0, 5])}) == 8  # two batches of four
    assert one.fill({0: np.array([1, 9, 10])}) == 3  # of which one was there
    assert store(tmp_path, pixels).fill({0: np.arange(N)}) == 0


def test_they_are_what_the_beginning_makes_of_each_picture_laid_each_way(tmp_path, pixels):
    part, ways = divided(), augment.every_way(augment.parse("flip,right-angles"))
    one = store(tmp_path, pixels, ways=ways, part=part)
    one.fill(dict.fromkeys(ways, np.arange(N)))
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    for way in ways:
        places = np.array([7, 2, 10])
        with torch.inference_mode():
            expected = part.before(augment.laid(batch[places], way))
        assert torch.allclose(one.take(np.full(3, way), places), expected, atol=1e-6)
    mixed = one.take(np.array([3, 0, 3]), np.array([1, 1, 4]))
    alone = [one.take(np.array([way]), np.array([place])) for way, place in ((3, 1), (0, 1), (3, 4))]
    assert torch.equal(mixed, torch.cat(alone)) and mixed.is_contiguous(memory_format=torch.channels_last)


def test_a_row_is_the_same_bits_whatever_was_asked_for_before(tmp_path, pixels):
    one, other = store(tmp_path / "a", pixels), store(tmp_path / "b", pixels)
    one.fill({0: np.arange(N)})
    for place in (9, 3, 10):
        other.fill({0: np.array([place])})
        assert torch.equal(*(kept.take(np.array([0]), np.array([place])) for kept in (one, other)))


def test_pixels_that_changed_and_bytes_that_flipped_are_computed_again(tmp_path, pixels):
    one = store(tmp_path, pixels)
    one.fill({0: np.arange(N)})
    changed = pixels.copy()
    changed[6] += 1
    assert store(tmp_path, changed).fill({0: np.arange(N)}) == 4
    (file,) = tmp_path.glob("*.act")
    damaged = bytearray(file.read_bytes())
    damaged[-3] ^= 1
    file.write_bytes(damaged)
    assert store(tmp_path, changed).fill({0: np.arange(N)}) == 3
    file.write_bytes(damaged[:-5])
    assert store(tmp_path, changed).fill({0: np.arange(N)}) == N
    file.with_suffix(".json").write_text("{")
    assert store(tmp_path, changed).fill({0: np.arange(N)}) == N


def test_a_kill_loses_what_was_not_noted_and_no_more(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr(kept, "NOTED", 0.0)
    one = store(tmp_path, pixels)
    computed = one._computed

    def killed(rows, way):
        if rows.shape[0] == 3:  # the last batch
            raise KeyboardInterrupt
        return computed(rows, way)

    monkeypatch.setattr(one, "_computed", killed)
    with pytest.raises(KeyboardInterrupt):
        one.fill({0: np.arange(N)})
    assert store(tmp_path, pixels).fill({0: np.arange(N)}) == 3


def test_other_weights_operations_or_precision_have_files_of_their_own(tmp_path, pixels):
    one = store(tmp_path, pixels)
    one.fill({0: np.arange(N)})
    part = divided()
    with torch.no_grad():
        next(part.before.parameters()).mul_(1.5)
    for other in (
        store(tmp_path, pixels, part=part),
        store(tmp_path, pixels, precision="bf16"),
        store(tmp_path, pixels, together=3),
    ):
        assert other.fill({0: np.arange(N)}) == N
    assert one.fill({0: np.arange(N)}) == 0


def test_bf16_is_kept_as_it_is(tmp_path, pixels):
    part = divided("bf16")
    one = store(tmp_path, pixels, precision="bf16", part=part)
    one.fill({0: np.arange(N)})
    got = one.take(np.zeros(4, int), np.arange(4))
    batch = torch.from_numpy(pixels[:4]).permute(0, 3, 1, 2) / 255
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = part.before(batch)
    assert got.dtype == expected.dtype == torch.bfloat16 and torch.allclose(got, expected, rtol=1e-2)


def test_there_is_a_limit_and_it_is_told(tmp_path, pixels, monkeypatch):
    size = N * 4 * 3 * 3 * 4
    assert store(tmp_path, pixels, most=size).fill({0: np.arange(N)}) == N
    with pytest.raises(TooLarge, match="more than the"):
        store(tmp_path, pixels, most=size - 1)
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: _Usage(size))
    with pytest.raises(TooLarge, match="more than half of what the disk has free"):
        store(tmp_path / "other", pixels)


class _Usage:
    def __init__(self, free):
        self.free = free


def test_a_disk_that_is_full_is_told_before_anything_is_mapped(tmp_path, pixels, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kept.os, "posix_fallocate", full)
    with pytest.raises(TooLarge, match="No space left"):
        store(tmp_path, pixels)


def test_an_index_of_another_format_counts_as_none(tmp_path, pixels):
    store(tmp_path, pixels).fill({0: np.arange(N)})
    (index,) = tmp_path.glob("*.json")
    index.write_text(json.dumps({**json.loads(index.read_text()), "format": 0}))
    assert store(tmp_path, pixels).fill({0: np.arange(N)}) == N
