"""Damaged image files of every format, and shards whose processes are killed: nothing beside them is touched."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from fire import mutated
from fire.common import apart
from PIL import Image


def test_damaged_files_of_every_format_cost_themselves_and_nothing_else(tmp_path, many):
    each = many(6, 400)
    tally = apart("mutated.many", tmp_path, each=each)
    assert tally.clean and tally.trials == each * len(mutated.formats()), tally
    told = tally.told
    assert told["sound neighbours"] > each and told["MB more than on sound files"] < 2_000
    assert sum(told.get(why, 0) for why in ("truncated", "decode_error", "not_an_image")) > each, tally


@pytest.mark.parametrize("kind", mutated.formats())
def test_what_is_damaged_was_sound_before(kind):
    from featx.images import Transform

    for seed in range(8):
        pixels = Transform(16)(mutated.formats()[kind](np.random.default_rng(seed)))
        assert pixels.shape == (16, 16, 3) and np.ptp(pixels) > 50


def test_damage_is_of_many_kinds_and_the_same_for_the_same_seed():
    stream = io.BytesIO()
    mutated.picture(np.random.default_rng(0)).save(stream, "PNG")
    sound = stream.getvalue()
    found = [mutated.damaged(sound, np.random.default_rng(seed)) for seed in range(60)]
    assert found == [mutated.damaged(sound, np.random.default_rng(seed)) for seed in range(60)]
    sizes = np.sign([len(one) - len(sound) for one in found])
    assert set(sizes.tolist()) == {-1, 0, 1} and len(set(found)) > 50
    with Image.open(io.BytesIO(sound)) as image:
        assert image.size == mutated.SIDES[::-1]


@pytest.mark.skipif(sys.platform != "linux", reason="kills processes")
def test_shards_of_killed_commands_merge_to_what_one_command_makes(tmp_path, many):
    tally = apart("commands.killed", tmp_path, images=many(64, 200), kills=many(1, 10))
    assert tally.clean and tally.told["rows the same to the bit"] == many(64, 200), tally
