"""Killed, cut off and stopped at any moment: no saved row is lost, no wrong one served, no file unreadable."""

from __future__ import annotations

import pytest
from fire import power
from fire.common import apart, no_hash_check


@pytest.mark.parametrize("seed", range(3))
def test_chains_of_kills_lose_nothing(tmp_path, many, seed):
    count = many(300, 5_000) // 3
    tally = apart("kills.killed_chains", tmp_path, kills=count, seed=seed)
    assert tally.clean and tally.told["temporary files left"] == 0, tally
    outer = sum(tally.told[f"killed in {phase}"] for phase in ("creation", "open", "finish"))
    assert outer >= count / 3 and tally.told["chains ended"] > count / 20, tally


def test_a_writer_that_keeps_rows_in_its_process_loses_them(tmp_path):
    assert apart("kills.killed_chains", tmp_path, kills=12, buffered=True).lost > 0


def test_a_run_may_stop_at_any_write_and_within_it(tmp_path, many):
    for seed in range(many(3, 100)):
        tally = power.boundaries(tmp_path, seed=seed)
        assert tally.clean and tally.told["torn writes"] > 50 and tally.told["boundaries"] > 50, tally


def test_without_the_hash_check_a_torn_row_is_served(tmp_path):
    with no_hash_check():
        assert sum(power.boundaries(tmp_path, seed=seed).wrong for seed in range(3)) > 0


def test_power_cuts_lose_nothing_that_was_synced(tmp_path, many):
    tally = power.power_cuts(tmp_path, many(3_000, 100_000), seed=1)
    assert tally.clean and tally.told["complete"] > 0 and tally.told["unsynced rows that came through"] > 0, tally


def test_without_waiting_for_the_disk_a_power_cut_loses_rows_and_files(tmp_path):
    tally = power.power_cuts(tmp_path, 200, no_sync=True)
    assert tally.lost > 0 and tally.unreadable > 0, tally


def test_without_the_hash_check_a_power_cut_makes_wrong_rows(tmp_path):
    with no_hash_check():
        assert power.power_cuts(tmp_path, 400).wrong > 0


@pytest.mark.parametrize("locking", ["TRUE", "FALSE"])
def test_of_many_writers_one_proceeds_and_the_next_when_it_is_killed(tmp_path, many, monkeypatch, locking):
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", locking)
    tally = apart("writers.contended", tmp_path, rounds=many(25, 500), seed=len(locking))
    assert tally.clean, tally


def test_without_the_lock_several_proceed(tmp_path):
    assert apart("writers.contended", tmp_path, rounds=3, no_lock=True).wrong > 0


def test_signals_stop_a_writer_at_once_and_lose_nothing(tmp_path, many):
    tally = apart("writers.stopped", tmp_path, times=many(12, 300))
    assert tally.clean, tally


def test_shards_of_killed_workers_merge_to_what_one_run_makes(tmp_path, many):
    for seed in range(many(1, 20)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        tally = apart("sharded.sharded", folder, seed=seed, kills=many(5, 10))
        assert tally.clean, tally
