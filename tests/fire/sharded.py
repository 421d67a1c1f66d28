"""Shards written by processes that are killed again and again, then merged: equal to one run, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np

from featx.cache import PENDING, FeatureFile, FeatureWriter
from featx.cache.merging import merge
from featx.cache.shards import Shard
from fire.common import Job, Tally, forked


def sharded(folder: Path, *, shards: int = 4, kills: int = 5, seed: int = 0) -> Tally:
    """Kill each of several workers several times, merge what they made, and hold it against one run."""
    whole, tally, moments = Job(folder / "whole.h5", n=500), Tally(), random.Random(seed)
    parts = [Shard(number, shards) for number in range(1, shards + 1)]
    for _ in range(kills):
        children = [forked(lambda part=part: write_shard(whole, part)) for part in parts]
        for child in moments.sample(children, len(children)):
            time.sleep(moments.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            tally.trials += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    for part in parts:
        write_shard(whole, part, pause=0)
    found = merge([part.path(whole.path) for part in parts])
    tally.lost += len(found.pending)
    with FeatureFile.open(whole.path) as file:
        tally.wrong += not file.complete or file.paths != whole.about["paths"]
    tally.wrong += whole.held() != whole.whole()
    return tally


def many(folder: Path, runs: int, *, seed: int = 0) -> Tally:
    """Do so several times over."""
    total = Tally()
    for run in range(runs):
        place = folder / str(run)
        place.mkdir()
        total.add(sharded(place, seed=seed + run, kills=10))
    return total


def write_shard(whole: Job, part: Shard, *, pause: float = 0.002, spec: dict | None = None, table: str = "[]") -> Path:
    """Write what is missing of a shard."""
    rows = np.array(part.rows(whole.n, batch_size=whole.batch))
    about = whole.about | {"paths": [whole.about["paths"][row] for row in rows], "table": table}
    about |= {"env": {"shard": {"number": part.number, "of": part.of}}, "spec": spec or whole.about["spec"]}
    with FeatureWriter.open_or_create(part.path(whole.path), **about) as writer:
        pending = np.flatnonzero(writer.status() == PENDING)
        for at in range(0, len(pending), whole.batch):
            here = pending[at : at + whole.batch]
            writer.write(here, whole.features(rows[here]), whole.records(rows[here]))
            writer.sync()
            time.sleep(pause)
        writer.finish()
    return part.path(whole.path)
