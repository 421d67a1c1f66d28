"""Damaged files and disks that refuse: damage is told, nothing wrong is served, and what was saved is kept."""

from __future__ import annotations

import pytest
from fire import damage, full
from fire.common import apart, no_hash_check

KINDS = [("flipped", 2_000, 20_000), ("cut", 300, 2_000), ("misplaced", 300, 2_000)]


@pytest.mark.parametrize(("kind", "short", "long"), KINDS)
def test_no_damage_is_served(tmp_path, many, kind, short, long):
    tally = damage.damaged(tmp_path, many(short, long), kind)
    assert tally.clean and tally.told["refused"] > 0, tally


@pytest.mark.parametrize("kind", ["flipped", "misplaced"])
def test_without_the_hash_check_damage_is_served(tmp_path, kind):
    with no_hash_check():
        assert damage.damaged(tmp_path, 200, kind).wrong > 0


def test_a_limit_on_the_size_of_files_stops_a_run_in_one_sentence_and_loses_nothing(tmp_path, many):
    tally = apart("full.limited", tmp_path, sizes=many(20, 200))
    assert tally.clean and tally.told["temporary files left"] == 0, tally


def test_every_single_write_and_wait_may_be_refused(tmp_path):
    tally = apart("full.refused", tmp_path)
    assert tally.clean and tally.told["refusals met"] > 30 and tally.told["temporary files left"] == 0, tally


def test_a_full_disk_is_told_at_birth_and_stops_nothing_later(tmp_path):
    try:
        with full.mounted(tmp_path / "trial", 1):
            pass
    except PermissionError as error:
        pytest.skip(str(error))
    tally = apart("full.small_disk", tmp_path)
    assert tally.clean and tally.told["refused at birth"] >= 3 and tally.told["born"] >= 1, tally
