"""Rows of another origin: some are computed again before new ones are put beside them, and the passes are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perils import FRAGILE
from PIL import Image

from featx.backbones import BACKBONES
from featx.cache import FeatureFile, FeatureWriter
from featx.cache.merging import merge
from featx.cache.origins import COMPUTED, UNTOLD, rows_by_origin
from featx.description.cache import of_features
from featx.errors import CacheMismatch
from featx.extraction import extract, spotcheck
from featx.extraction.bench import Bench
from featx.extraction.filling import batches_of
from featx.extraction.spotcheck import ROWS, drawn

N, SIZE, BATCH = 44, 16, 4


@pytest.fixture(autouse=True)
def _on_the_shelf(monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "fragile", FRAGILE)


def draw(data, row):
    path = data / ("scc" if row % 2 else "nv") / f"{row:02}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(row).integers(20, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def data(tmp_path):
    for row in range(N):
        draw(tmp_path / "skin", row)
    return tmp_path / "skin"


def run(data, **options):
    about = {"backbone": "fragile", "weights": "random", "size": SIZE, "batch_size": BATCH, "precision": "fp32"}
    about |= {"device": "cpu", "runtime": "torch", "isolate": False, "cache": data.parent / "cache"}
    return extract(data, **{**about, **options})


@pytest.fixture
def elsewhere(monkeypatch):
    """Another machine: other versions by name, and features that are ``off`` by a share of the largest."""
    features, versions = Bench._features, spotcheck.versions

    def move(name, *, off=0.0):
        def others(self, rows, good, stream):
            found = features(self, rows, good, stream)
            return {layer: values + off * np.nanmax(np.abs(values)) for layer, values in found.items()}

        monkeypatch.setattr(spotcheck, "versions", lambda libraries: {**versions(libraries), "torch": name})
        monkeypatch.setattr(Bench, "_features", others)

    return move


def origins(path):
    with FeatureFile.open(path) as file:
        return file.env[COMPUTED], rows_by_origin(file)


def test_the_same_origin_is_not_looked_at(data):
    (path,) = run(data).files
    draw(data, N)
    found = run(data)
    assert (found.computed, found.passes, found.checked, found.notes) == (1, 1, 0, ())
    (tag,) = origins(path)[0]
    assert origins(path)[1] == {tag: N + 1}


def test_rows_of_another_version_are_computed_again_and_told_in_one_line(data, elsewhere):
    (path,) = run(data).files
    with FeatureFile.open(path) as file:
        before, paths = file.load(), file.paths
    elsewhere("9.9", off=1e-6)
    draw(data, N)
    found = run(data)
    with FeatureFile.open(path) as file:
        after, now = file.load(), file.paths
    again = drawn(np.array([now.index(name) for name in sorted(paths)]), ROWS)
    assert found.checked == ROWS == len(again)
    assert found.passes == 1 + len(batches_of(again, size=BATCH)) and found.opened == 1 + ROWS
    (note,) = found.notes
    assert "32 finished rows" in note and "now 9.9" in note and "agree" in note and "\n" not in note
    np.testing.assert_array_equal(after[[now.index(name) for name in paths]], before)  # looked at, not replaced
    assert sorted(origins(path)[1].values()) == [1, N]


def test_what_agreed_once_is_not_computed_again(data, elsewhere):
    (path,) = run(data).files
    elsewhere("9.9")
    draw(data, N)
    assert run(data).checked == ROWS
    draw(data, N + 1)
    assert run(data).checked == 0
    elsewhere("8.8")
    draw(data, N + 2)
    assert run(data).checked == ROWS
    elsewhere("9.9")
    draw(data, N + 3)
    assert run(data).checked == 0
    assert sorted(origins(path)[1].values()) == [1, 3, N]


@pytest.mark.parametrize(
    ("precision", "off", "fits"),
    [("fp32", 5e-5, True), ("fp32", 5e-4, False), ("bf16", 5e-3, True), ("bf16", 5, False)],
)
def test_what_differs_by_more_than_the_precision_allows_is_refused(data, elsewhere, precision, off, fits):
    (path,) = run(data, precision=precision).files
    before = path.read_bytes()
    elsewhere("9.9", off=off)
    draw(data, N)
    if fits:
        assert run(data, precision=precision).computed == 1
        return
    with pytest.raises(CacheMismatch, match=r"another origin \(torch .*, now 9\.9\).*32 are not the same.*--cache"):
        run(data, precision=precision)
    assert path.read_bytes() == before


def test_one_row_that_differs_is_enough_and_is_named(data, elsewhere):
    (path,) = run(data).files
    with FeatureWriter.open(path) as writer:
        row = drawn(np.arange(N), ROWS)[7]
        features = writer.load()
        features[row] *= 1.001
        writer.write(np.array([row]), features[[row]], writer.records()[[row]])
        writer.finish()
        name = writer.paths[row]
    elsewhere("9.9")
    (data / "nv" / "00.png").unlink()  # so that rows have other numbers now
    draw(data, N)
    with pytest.raises(CacheMismatch) as refused:
        for more in range(N + 1, N + 40):  # rows are drawn by their number: until that one is among them
            run(data)
            elsewhere(f"9.{more}")
            draw(data, more)
    assert f"1 are not the same ({name} for one" in str(refused.value)


def test_openvino_and_torch_may_share_a_file_once_they_agree(data):
    pytest.importorskip("openvino")
    (path,) = run(data, layers=["conv"]).files
    draw(data, N)
    found = run(data, layers=["conv"], runtime="openvino")
    assert found.files == (path,) and found.checked == ROWS and "now openvino" in found.notes[-1]
    about, counts = origins(path)
    assert {about[tag]["what"]["runtime"].partition(" ")[0]: count for tag, count in counts.items()} == {
        "torch": N,
        "openvino": 1,
    }
    told = of_features(path)
    assert "44 rows by torch" in told and "1 row by openvino" in told and "32 rows of others computed again" in told


def test_a_file_that_gets_no_row_is_not_looked_at_and_left_alone(data, elsewhere):
    (conv,) = run(data, layers=["conv"]).files
    before = conv.read_bytes()
    elsewhere("9.9", off=1e-2)
    found = run(data, layers=["conv", "fc"])
    assert found.checked == 0 and conv.read_bytes() == before and len(origins(found.files[1])[0]) == 1


def test_rows_of_a_file_from_before_there_were_tags_are_looked_at(data):
    (path,) = run(data).files
    with FeatureWriter.open(path) as writer:
        records = writer.records().copy()
        records["reason"] = b""
        features, env = writer.load(), {name: value for name, value in writer.env.items() if name != COMPUTED}
        writer.renew(paths=writer.paths, table=writer.table, env=env)
        writer.write(np.arange(N), features, records)
        writer.finish()
    assert run(data).checked == 0  # nothing to do, nothing to look at
    draw(data, N)
    assert run(data).checked == ROWS
    assert origins(path)[1][UNTOLD] == N and UNTOLD in origins(path)[0]


def test_merged_shards_keep_their_origins(data, elsewhere):
    (one,) = run(data, shard="1/2").files
    elsewhere("9.9")
    (other,) = run(data, shard="2/2").files
    found = merge([one, other])
    about, counts = origins(found.path)
    assert set(about) == set(counts) and sum(counts.values()) == N and len(counts) == 2
    draw(data, N)
    assert run(data).checked == min(counts.values()) == 20  # all of the other machine's, which were never compared


@given(n=st.integers(0, 400), count=st.integers(1, 60), seed=st.integers(0, 9))
def test_rows_are_drawn_from_the_whole_file(n, count, seed):
    rows = np.arange(n) * 3
    found = drawn(rows, count, seed=seed)
    assert len(found) == min(n, count) == len(set(found)) and found == sorted(found)
    assert found == drawn(rows, count, seed=seed)
    edges = np.linspace(0, n, len(found) + 1).astype(int)
    assert all(3 * first <= row < 3 * last for row, first, last in zip(found, edges, edges[1:], strict=False))
