"""Which failed images are tried again: those of which a process died when a decoder is another, all when asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from perils import FRAGILE
from PIL import Image

from featx.backbones import BACKBONES
from featx.cache import FeatureWriter, new_record
from featx.cache.layout import RECORD
from featx.description.extraction import extraction_told
from featx.extraction import extract, inventory, spotcheck

N = 9
REASONS = {1: "decoder_crash: the process that decodes died of SIGSEGV", 4: "timeout: not decoded in 60 seconds"}
OTHERS = {6: "truncated: image file is truncated", 7: "too_many_pixels: 9 x 9"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "fragile", FRAGILE)
    for row in range(N):
        path = tmp_path / "skin" / ("scc" if row % 2 else "nv") / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(row).integers(20, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return tmp_path / "skin"


def run(data, **options):
    about = {"backbone": "fragile", "weights": "random", "size": 16, "batch_size": 4, "precision": "fp32"}
    about |= {"device": "cpu", "runtime": "torch", "isolate": False, "cache": data.parent / "cache"}
    return extract(data, **about, max_failures=1.0, **options)


def fail(path, reasons):
    """Let rows look as if their image, which is sound, had failed in an earlier run."""
    with FeatureWriter.open(path) as writer:
        records = writer.records().copy()
        for row, reason in reasons.items():
            about = {name: records[row][name].item() for name in ("size", "mtime_ns")}
            records[row] = new_record(status=2, reason=reason, sha256=bytes(records[row]["sha256"]), **about)
        rows = np.array(list(reasons))
        writer.write(rows, np.full((len(rows), writer.dim), np.nan), records[rows].astype(RECORD))
        writer.finish()
        return {writer.paths[row]: reason for row, reason in reasons.items()}


@pytest.fixture
def failed(data):
    return fail(run(data).files[0], REASONS | OTHERS)


def test_failed_images_are_left_alone(data, failed):
    found = run(data)
    assert (found.computed, found.passes, found.opened) == (0, 0, 0) and found.failed == failed


def test_all_are_tried_again_when_asked_for(data, failed):
    found = run(data, retry_failed=True)
    assert (found.computed, found.failed) == (len(failed), {}) and found.opened == len(failed)
    assert run(data, retry_failed=True).computed == 0


def test_with_another_decoder_those_are_tried_once_that_were_the_death_of_one(data, failed, monkeypatch):
    for module in (inventory, spotcheck):
        now = module.versions
        monkeypatch.setattr(module, "versions", lambda names, now=now: {**now(names), "pillow": "99"})
    found = run(data)
    assert found.computed == len(REASONS) and found.checked == N - len(failed)
    assert {why.partition(":")[0] for why in found.failed.values()} == {"truncated", "too_many_pixels"}
    fail(found.files[0], REASONS)  # it was the death of the new one too
    assert run(data).computed == 0


def test_another_torch_is_no_reason_to_try_again(data, failed, monkeypatch):
    now = spotcheck.versions
    monkeypatch.setattr(spotcheck, "versions", lambda names: {**now(names), "torch": "99"})
    assert run(data).computed == 0


def test_it_is_told_when_they_are_tried_again(data, failed):
    found = run(data)
    (line,) = [line for line in extraction_told(found).splitlines() if "--retry-failed" in line]
    assert "2 of them" in line and "another version of a decoder" in line
    others = {path: why for path, why in failed.items() if why in OTHERS.values()}
    assert "--retry-failed" not in extraction_told(replace(found, failed=others))
