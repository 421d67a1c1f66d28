"""A real extraction that is stopped: it ends within seconds, says so in a line, and what was stored stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from featx.cache import OK, FeatureFile
from featx.errors import CacheError
from featx.extraction import extract

ABOUT = {"backbone": "squeezenet1_1", "weights": "random", "size": 224, "batch_size": 4}
PATIENCE, STOPS_WITHIN = 60, 5


def stored(cache):
    """Return which rows are stored, beside the running writer."""
    for path in cache.glob("*/*.h5"):
        try:
            with FeatureFile.open(path) as file:
                return np.flatnonzero(file.status() == OK)
        except CacheError:
            break
    return np.zeros(0, int)


def started(data, cache):
    """Start an extraction, and return it once some rows are stored."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in ABOUT.items()]
    words = [sys.executable, "-m", "featx", "extract", str(data), "--cache", str(cache), *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if len(stored(cache)):
            return process
        time.sleep(0.01)
    process.kill()
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=str)
def test_a_stopped_extraction_keeps_what_it_stored_and_goes_on_from_there(tmp_path, tiny_demo, signals):
    process = started(tiny_demo, tmp_path)
    before, begin = stored(tmp_path), time.monotonic()
    for number in signals:
        os.kill(process.pid, number)
        time.sleep(0.02)
    told = process.communicate(timeout=STOPS_WITHIN)[1]
    assert time.monotonic() - begin < STOPS_WITHIN
    assert process.returncode != 0 and "Traceback" not in told
    assert len(told.strip().splitlines()) == 1 and "goes on from there" in told
    left = stored(tmp_path)
    assert set(before.tolist()) <= set(left.tolist())
    again = extract(tiny_demo, cache=tmp_path, **{**ABOUT, "layers": []})
    assert again.reused >= len(left) and again.reused + again.computed == 126
