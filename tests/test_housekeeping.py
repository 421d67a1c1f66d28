"""What lies in a cache and what of it may go: nothing that can still serve goes unasked, nothing in use goes at all."""

from __future__ import annotations

import json
import os
import time

import pytest

from featx.cache import FeatureWriter, sets
from featx.cache.places import Places
from featx.errors import UnknownName
from featx.housekeeping import (
    REASONS,
    USELESS,
    everything,
    feature_files,
    holdings,
    leftovers,
    prunable,
    prune,
    sections,
    totals,
)
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


DAY = 86_400


def put(path, *, days=0, content=b"1234"):
    """Write a file that was last written and read some days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def graph(places, name, *, days=0, **then):
    """Write what looks like a converted network, made by the versions at hand unless told otherwise."""
    home = places.root / "runtime" / name
    for file in ("graph.xml", "graph.bin"):
        put(home / file, days=days)
    about = {"plan": {"versions": {**versions(("openvino", "torch")), **then}}}
    put(home / "about.json", days=days, content=json.dumps(about).encode())
    os.utime(home, (time.time() - days * DAY,) * 2)
    return home


def against(places, **options):
    found = {
        (section.folder, entry.path.name): set(entry.stale)
        for section in sections(places, **options)
        for entry in section.entries
    }
    return found


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
    (places.runs / "one").mkdir(parents=True)
    (places.runs / "one" / "run.json").write_bytes(b"12345")
    kept = put(places.weights / "unfinished" / "a.pt")
    put(places.weights / "b.safetensors")
    assert totals(places) == {"runs": 5, "weights": 4} and kept.exists()
    assert totals(Places.at(places.root / "none")) == {} and holdings(Places.at(places.root / "none")) == []


def test_what_is_made_again_is_listed_by_kind_with_what_is_against_it(places):
    put(places.pixels / "a--01234567.u8", content=b"123456")
    put(places.pixels / "a--01234567.json", content=b"12")
    put(places.pixels / "alone--01234567.u8")
    put(places.pixels / "index--01234567.json")
    graph(places, "0a")
    graph(places, "0b", torch="0.1")
    put(graph(places, "0c") / "about.json", content=b"{")
    put(places.cells / "c.npz")
    put(places.cells / "old.npz", days=91)
    put(places.weights / "unfinished" / "t.pt", days=400)
    put(places.weights / "done.safetensors", days=400)
    assert against(places) == {
        ("pixels", "a--01234567.u8"): set(),
        ("pixels", "alone--01234567.u8"): {"leftover"},
        ("pixels", "index--01234567.json"): {"leftover"},
        ("runtime", "0a"): set(),
        ("runtime", "0b"): {"other-versions"},
        ("runtime", "0c"): {"damaged"},
        ("cells", "c.npz"): set(),
        ("cells", "old.npz"): {"unused"},
        ("weights/unfinished", "t.pt"): {"unused"},
    }
    sizes = {entry.path.name: entry.size for section in sections(places) for entry in section.entries}
    assert sizes["a--01234567.u8"] == 8 and sizes["0a"] > 8
    assert against(places, unused_days=1000)["weights/unfinished", "t.pt"] == set()


def test_a_thing_that_was_read_of_late_is_in_use_however_old_it_is(places):
    read = put(places.cells / "read.npz", days=400)
    os.utime(read, (time.time() - DAY, time.time() - 400 * DAY))
    used = graph(places, "0a", days=400)
    os.utime(used / "about.json")  # as a runtime does that takes it
    graph(places, "0b", days=400)
    for _ in range(2):  # to list is not to use
        assert {key: bool(stale) for key, stale in against(places).items()} == {
            ("cells", "read.npz"): False,
            ("runtime", "0a"): False,
            ("runtime", "0b"): True,
        }


def test_temporary_files_are_leftovers_once_no_run_can_be_writing_them(places):
    old = [put(places.pixels / ".a.u8.77.tmp", days=2), put(places.runs / "one" / ".run.json.x1.tmp", days=2)]
    put(places.cells / ".b.npz.x2.tmp")
    new = places.root / "runtime" / ".new-1"
    put(new / "graph" / "graph.bin", days=2)
    os.utime(new, (time.time() - 2 * DAY,) * 2)
    found = leftovers(places)
    assert {entry.path for entry in found} == {*old, new} and all(set(entry.stale) == {"leftover"} for entry in found)
    gone, kept = prune(found)
    assert len(gone) == 3 and not kept and not any(path.exists() for path in (*old, new))


def test_pruning_takes_what_belongs_together_and_no_result(places, made):
    good = made("good.h5")
    result = [put(places.runs / "one" / "run.json", days=999), put(places.folds / "f.json", days=999)]
    result += [put(places.weights / "w.safetensors", days=999), put(places.weights / "digests.json", days=999)]
    pixels = [put(places.pixels / f"a--01234567.{ending}", days=99) for ending in ("u8", "json")]
    home = graph(places, "0a", days=99)
    assert prunable(everything(places)) == []
    gone, kept = prune(prunable(everything(places), ["unused"]))
    assert len(gone) == 2 and not kept
    assert not any(path.exists() for path in (*pixels, home))
    assert all(path.exists() for path in (good, *result)) and not list(places.root.rglob("*.u8.lock"))


def test_a_set_without_its_files_or_that_was_changed_is_told(places, made):
    one = made("net@history--fc7--01234567/split-0x0.h5")
    whole = places.root / "set" / f"net@history--fc7--01234567{sets.SUFFIX}"
    sets.write(sets.FeatureSet(whole, {"digest": "d"}, (sets.Member(0, 0, one, "k"),)))
    lacking = places.root / "set" / f"net@other--fc7--01234567{sets.SUFFIX}"
    sets.write(sets.FeatureSet(lacking, {"digest": "d"}, (sets.Member(0, 0, one.with_name("split-9x9.h5"), "k"),)))
    changed = places.root / "set" / f"net@third--fc7--01234567{sets.SUFFIX}"
    changed.write_text(whole.read_text().replace('"k"', '"x"'))
    found = reasons(places)
    assert found[whole.name] == set() and found[one.name] == set()
    assert found[lacking.name] == {"incomplete"} and found[changed.name] == {"damaged"}
    gone, _ = prune(prunable(holdings(places)))
    assert [entry.path for entry in gone] == [changed] and whole.exists() and one.exists()
