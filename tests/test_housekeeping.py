"""What lies in a cache and what of it may go: nothing that can still serve goes unasked, nothing in use goes at all."""

from __future__ import annotations

import os

import pytest

from featx.cache import FeatureWriter
from featx.cache.places import Places
from featx.errors import UnknownName
from featx.housekeeping import REASONS, USELESS, feature_files, holdings, prunable, prune, totals
from featx.images import DECODE_RULES
from featx.provenance import versions

N = 5


@pytest.fixture
def places(tmp_path):
    return Places.at(tmp_path / "cache")


@pytest.fixture
def made(places, tmp_path):
    """Make a feature file: finished, of data that are there, unless told otherwise."""
    import numpy as np

    from featx.cache.layout import RECORD, new_record

    def make(name, *, rows=N, root=None, spec=None, env=None):
        path = places.root / "set" / name
        about = {"paths": [str(row) for row in range(N)], "table": "", "dim": 4}
        about["env"] = {"root": str(root or tmp_path), "versions": versions(), **(env or {})}
        with FeatureWriter.open_or_create(path, spec=spec or {"layer": "fc7"}, **about) as writer:
            writer.write(np.arange(rows), np.ones((rows, 4), "f4"), np.array([new_record()] * rows, RECORD))
            if rows == N:
                writer.finish()
        return path

    return make


def reasons(places):
    return {entry.path.name: set(entry.stale) for entry in holdings(places)}


def test_each_reason_is_found(places, made, tmp_path):
    made("good.h5")
    made("half.h5", rows=2)
    made("gone.h5", root=tmp_path / "nowhere")
    made("rules.h5", spec={"transform": {"decode": f"pillow, rules {DECODE_RULES - 1}"}})
    made("code.h5", spec={"backbone": "vgg16", "code": 0})
    made("old.h5", env={"versions": {**versions(), "torch": "1.0"}})
    made("part.h5.shard-1-of-2")
    broken = made("broken.h5")
    broken.write_bytes(broken.read_bytes()[:-1])
    (places.root / "set" / "x.h5.tmp-77").write_bytes(b"half")
    (places.root / "set" / "last.json").write_text("[]")
    assert reasons(places) == {
        "good.h5": set(),
        "half.h5": {"incomplete"},
        "gone.h5": {"no-dataset"},
        "rules.h5": {"outdated"},
        "code.h5": {"outdated"},
        "old.h5": {"other-versions"},
        "part.h5.shard-1-of-2": set(),
        "broken.h5": {"damaged"},
        "x.h5.tmp-77": {"leftover"},
    }
    entry = next(entry for entry in holdings(places) if entry.path.name == "half.h5")
    assert (entry.rows, entry.missing) == (N, N - 2) and "3 of 5" in entry.stale["incomplete"]


def test_only_what_can_never_serve_again_goes_unless_told_otherwise(places, made, tmp_path):
    keep = [made("good.h5"), made("half.h5", rows=2), made("gone.h5", root=tmp_path / "nowhere")]
    broken = made("broken.h5")
    broken.write_bytes(b"")
    gone, kept = prune(prunable(holdings(places), USELESS))
    assert [entry.path for entry in gone] == [broken] and not kept
    assert all(path.exists() for path in keep)
    prune(prunable(holdings(places), ["incomplete", "no-dataset"]))
    assert [path.exists() for path in keep] == [True, False, False]


def test_a_file_that_is_being_written_or_was_written_since_stays(places, made):
    one, other = made("one.h5", rows=2), made("other.h5", rows=2)
    entries = prunable(holdings(places), ["incomplete"])
    os.utime(other, (1, 1))
    with FeatureWriter.open(one):
        gone, kept = prune(entries)
    assert not gone and one.exists() and other.exists()
    assert "being written" in kept[one] and "since" in kept[other]


def test_files_of_a_set_are_found_too(places, made):
    one, other = made("one.h5"), made("vgg16@history--fc7--01234567/split-0x0.h5")
    assert feature_files(places) == [one, other]
    assert [entry.path for entry in holdings(places, "set")] == [one, other]


def test_slips_are_told(places, made):
    made("good.h5")
    with pytest.raises(UnknownName, match="did you mean 'incomplete'"):
        prunable(holdings(places), ["incomplet"])
    with pytest.raises(UnknownName, match="did you mean 'set'"):
        holdings(places, "sett")
    assert set(USELESS) < set(REASONS)


def test_what_else_takes_room_is_summed(places, made):
    made("good.h5")
    places.cells.mkdir(parents=True)
    (places.cells / "a.npz").write_bytes(b"12345")
    assert totals(places)["cells of comparisons"] == 5
    assert totals(Places.at(places.root / "none")) == {} and holdings(Places.at(places.root / "none")) == []
