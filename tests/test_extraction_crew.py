"""Who computes: a process of its own, whose death costs the image that it died of, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from perils import FRAGILE, NETWORK_DIES
from PIL import Image

from featx import fingerprints, images
from featx.backbones import BACKBONES, Backbone
from featx.backbones.weights import load_network, parse_weights
from featx.cache import OK, FeatureFile
from featx.errors import CacheMismatch, ComputeError, UnknownName, UsageError, WeightsError
from featx.extraction import crew as crews
from featx.extraction import extract, looks, process, wire
from featx.extraction.crew import Child, Here
from featx.extraction.job import Done, Item, Job

N, SIZE, BATCH = 22, 16, 4
NAMES = [f"{'scc' if row == N - 1 else 'nv'}/{row:02}.png" for row in range(N)]
RUNTIMES = ["torch", "openvino"]


@pytest.fixture(autouse=True)
def _on_the_shelf(monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "fragile", FRAGILE)


@pytest.fixture
def data(tmp_path):
    for folder in ("nv", "scc"):
        (tmp_path / "skin" / folder).mkdir(parents=True)
    for row, name in enumerate(NAMES):
        pixels = np.random.default_rng(row).integers(20, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "skin" / name)
    return tmp_path / "skin"


def run(data, *, cache, **options):
    about = {"backbone": "fragile", "weights": "random", "size": SIZE, "batch_size": BATCH, "precision": "fp32"}
    return extract(data, cache=cache, **{**about, "device": "cpu", **options})


def stored(found):
    with FeatureFile.open(found.files[0]) as file:
        return file.load()


def job_for(data, memo, graphs, *, backbone=FRAGILE, runtime="torch", layers=("fc",), **options):
    source = parse_weights("random", backbone)
    about = {
        "root": data,
        "backbone": backbone,
        "source": source,
        "weights": load_network(backbone, source, memo=memo)[1].digest,
        "layers": tuple(backbone.layer(name) for name in layers),
        "transform": images.Transform(SIZE),
        "normalise": images.normalisation("imagenet"),
        "pool": "avg",
        "precision": "fp32",
        "batch_size": BATCH,
        "runtime": runtime,
        "device": "cpu",
        "strict": True,
        "memo": memo,
        "graphs": graphs,
    }
    return Job(**{**about, **options})


def batches():
    items = [Item(row, name) for row, name in enumerate(NAMES)]
    return [items[at : at + BATCH] for at in range(0, N, BATCH)]


# the same features, whoever computes


def test_every_runtime_gives_the_features_of_plain_torch_to_1e_4(data, tmp_path):
    pytest.importorskip("openvino")
    about = {"layers": ["conv", "fc"]}
    here = run(data, cache=tmp_path / "here", isolate=False, runtime="torch", **about)
    for runtime in RUNTIMES:
        found = run(data, cache=tmp_path / runtime, runtime=runtime, **about)
        assert found.runtime.startswith(f"{runtime} ") and found.passes == here.passes == -(-N // BATCH)
        for mine, plain in zip(found.files, here.files, strict=True):
            assert mine.name == plain.name  # what runs a network is no part of the key
            with FeatureFile.open(mine) as file, FeatureFile.open(plain) as oracle:
                expected = oracle.load()
                np.testing.assert_allclose(file.load(), expected, atol=1e-4 * np.abs(expected).max())
                assert file.env["runtime"] == found.runtime


def test_fingerprints_are_those_that_the_parent_would_take(data, tmp_path):
    from featx.cache.places import Places
    from featx.datasets import open_dataset

    run(data, cache=tmp_path / "cache", isolate=False, runtime="torch")
    dataset, places = open_dataset(data), Places.at(tmp_path / "cache")
    kept = places.fingerprints(dataset.name).read_text()
    places.fingerprints(dataset.name).unlink()
    fingerprints.take(dataset, places=places)
    assert places.fingerprints(dataset.name).read_text() == kept


# deaths


def test_images_that_are_deadly_are_named_and_their_neighbours_are_the_same_to_the_bit(data, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IMAGE_SECONDS", 1.5)
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.1)
    bad = {"nv/03.png": b"SEGV", "nv/09.png": b"HANG", "nv/10.png": b"EXIT", "scc/21.png": b"KILL"}
    for name, content in bad.items():
        (data / name).write_bytes(content)
    found = run(data, cache=tmp_path / "bad", max_failures=0.5)
    assert found.failed == {
        "nv/03.png": "decoder_crash: the process that decodes died of SIGSEGV",
        "nv/09.png": "timeout: not decoded in 1.5 seconds",
        "nv/10.png": "decoder_crash: the process that decodes ended with exit code 7",
        "scc/21.png": "decoder_crash: the process that decodes died of SIGKILL (out of memory?)",
    }
    for name in bad:
        (data / name).write_bytes(b"<html>")
    plain = run(data, cache=tmp_path / "plain", max_failures=0.5)
    assert set(plain.failed) == set(bad)
    assert stored(found).tobytes() == stored(plain).tobytes()


def test_a_deadly_image_is_not_opened_again_until_it_changes(data, tmp_path, monkeypatch):
    (data / "nv" / "05.png").write_bytes(b"SEGV")
    about = {"cache": tmp_path / "cache", "max_failures": 0.5}
    first = run(data, **about)
    monkeypatch.setattr(crews, "Process", None)
    again = run(data, **about)
    assert again.failed == first.failed and (again.opened, again.passes) == (0, 0)


# files looked at without a network


def test_files_are_looked_at_in_a_process_of_its_own_and_a_death_costs_one(data, tmp_path, perilous, monkeypatch):
    from featx.cache.places import Places
    from featx.datasets import open_dataset

    monkeypatch.setattr(process, "IMAGE_SECONDS", 1.5)
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.1)
    dataset, told = open_dataset(data), []
    sound = fingerprints.take(dataset, places=Places.at(tmp_path / "sound"))
    for name, content in {"nv/03.png": b"SEGV", "nv/09.png": b"HANG", "nv/11.png": b"<html>"}.items():
        (data / name).write_bytes(content)
    found = looks.take(dataset, places=Places.at(tmp_path / "bad"), on_progress=lambda *at: told.append(at))
    paths = {sample.id: sample.path for sample in dataset.samples}
    assert {paths[name]: why.partition(":")[0] for name, why in found.failed.items()} == {
        "nv/03.png": "decoder_crash",
        "nv/09.png": "timeout",
        "nv/11.png": "not_an_image",
    }
    assert found.of == {name: one for name, one in sound.of.items() if name not in found.failed}
    assert told[-1] == (N, N)


def test_an_audit_outlives_a_decoder_that_dies(data, tmp_path, perilous):
    from featx.audit import audit

    (data / "nv" / "03.png").write_bytes(b"SEGV")
    found = audit(data, cache=tmp_path / "cache")
    (reason,) = found.fingerprints.failed.values()
    assert reason == "decoder_crash: the process that decodes died of SIGSEGV" and len(found.fingerprints.of) == N - 1


def test_no_process_is_started_where_no_file_is_to_be_looked_at(data, tmp_path, monkeypatch):
    from featx.cache.places import Places
    from featx.datasets import open_dataset

    dataset, places = open_dataset(data), Places.at(tmp_path / "cache")
    first = looks.take(dataset, places=places)
    monkeypatch.setattr(crews, "Process", None)
    assert looks.take(dataset, places=places) == first and len(first.of) == N


def test_an_image_that_the_network_dies_of_is_found_one_by_one(data, tmp_path):
    pixels = np.full((20, 24, 3), NETWORK_DIES, dtype=np.uint8)
    Image.fromarray(pixels).save(data / "nv" / "06.png")
    found = run(data, cache=tmp_path / "bad", max_failures=0.5)
    assert found.failed == {"nv/06.png": "decoder_crash: the process that decodes died of SIGABRT"}
    plain = stored(run(data, cache=tmp_path / "plain", runtime="torch", isolate=False))
    mine = stored(found)
    np.testing.assert_allclose(np.delete(mine, 6, 0), np.delete(plain, 6, 0), atol=1e-5)


def test_a_process_that_dies_before_the_first_image_is_one_sentence(data, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "START", "import os; os.abort()")
    with pytest.raises(ComputeError, match="died of SIGABRT before the first image"):
        run(data, cache=tmp_path / "cache", runtime="torch")
    assert not list((tmp_path / "cache").glob("*/*.h5"))


def test_what_is_under_way_is_bounded(data, tmp_path, monkeypatch):
    under_way, most = 0, 0
    tell, listen = process.Process.tell, process.Process.listen

    def telling(self, order, *about):
        nonlocal under_way, most
        under_way += order == "batch"
        most = max(most, under_way)
        tell(self, order, *about)

    def listening(self):
        nonlocal under_way
        reply = listen(self)
        under_way -= reply.what == "done"
        return reply

    monkeypatch.setattr(process.Process, "tell", telling)
    monkeypatch.setattr(process.Process, "listen", listening)
    monkeypatch.setattr(crews, "cores", lambda: 2)
    run(data, cache=tmp_path / "cache", runtime="torch", batch_size=2)
    assert (most, under_way) == (4, 0)


# a process without torch, once a network is converted


def test_a_converted_network_is_run_without_torch(data, tmp_path):
    pytest.importorskip("openvino")
    job = job_for(data, tmp_path / "memo", tmp_path / "graphs", runtime="openvino")
    with Child() as crew:
        crew._job = job
        assert crew._made_ready()["spent"]  # torch was needed to convert it
    with Child() as crew:
        opened = crew.open(job)
        first = crew._process
        assert sorted(row for done in crew.work(batches()) for row in done.rows) == list(range(N))
        assert crew.open(job) is opened and crew._process is first
    with Child() as crew:
        crew._job = job
        assert not crew._made_ready()["spent"]


# what goes wrong there is told here


@pytest.mark.parametrize(
    ("option", "kind", "told"),
    [
        ({"weights": "0" * 64}, CacheMismatch, "changed while they were read"),
        ({"layers": ["a.b"]}, UsageError, "no module 'a.b'"),
        ({"pool": "mean"}, UnknownName, "unknown pool"),
    ],
)
def test_errors_of_the_other_process_are_the_same_here(data, tmp_path, option, kind, told):
    job = job_for(data, tmp_path / "memo", tmp_path / "graphs", **option)
    for crew in (Here(), Child()):
        with crew, pytest.raises(kind, match=told):
            crew.open(job)


@pytest.mark.parametrize("error", [WeightsError("no"), UnknownName("pool", "mean", ["avg"]), MemoryError("much")])
def test_an_error_keeps_kind_and_words_on_the_way(error):
    back = wire.as_error(wire.told(error))
    assert type(back) is type(error) and str(back) == str(error)


def test_an_error_of_no_kind_of_ours_keeps_its_traceback_for_debug():
    back = wire.as_error(wire.told(ZeroDivisionError("by what")))
    assert type(back) is ComputeError and "ZeroDivisionError: by what" in str(back)
    assert any("ZeroDivisionError" in note for note in back.__notes__)


def test_a_network_that_cannot_be_handed_over_is_one_sentence(data, tmp_path):
    local = Backbone("local", family="x", layers=FRAGILE.layers, build=lambda: None, penultimate="fc", imagenet=None)
    job = job_for(data, tmp_path / "memo", tmp_path / "graphs")
    with Child() as crew, pytest.raises(ComputeError, match="isolate=False"):
        crew.open(Job(**{**vars(job), "backbone": local}))


def test_messages_come_back_as_they_were():
    import multiprocessing

    near, far = multiprocessing.Pipe()
    rows = np.array([4, 1])
    record = np.stack([crews.failure(None, "truncated: at 7")] * 2)
    features = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.zeros((2, 0), np.float32)}
    wire.send(far, "done", {"number": 3}, Done(rows, record, features, 1, {4: ["x", 1]}))
    reply = wire.receive(near)
    assert (reply.what, reply.about) == ("done", {"number": 3})
    assert list(reply.done.features) == ["b", "a"] and reply.done.prints == {4: ["x", 1]} and reply.done.passes == 1
    np.testing.assert_array_equal(reply.done.features["b"], features["b"])
    assert list(reply.done.reasons()) == [(4, "truncated: at 7"), (1, "truncated: at 7")]
    wire.send(far, "opened", {"dims": {"fc": 3}})
    assert wire.receive(near).about == {"dims": {"fc": 3}}


# being stopped


def _children(pid):
    """Processes of which this one is the parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += [int(stat.parent.name)] if int(fields[1]) == pid else []
    return found


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for children in /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_stopped_by_a_signal_it_leaves_what_was_finished_and_no_process(data, tmp_path, name):
    cache = tmp_path / "cache"
    (data / "nv" / "19.png").write_bytes(b"HANG")  # so that it is still at work
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from perils import FRAGILE\nfrom featx.backbones import BACKBONES\nfrom featx.cli import main\n"
        "BACKBONES._items['fragile'] = FRAGILE\nmain()"
    )
    words = ["extract", data, "--backbone", "fragile", "--weights", "random", "--size", SIZE, "--batch-size", BATCH]
    words += ["--precision", "fp32", "--runtime", "torch", "--cache", cache]
    command = [sys.executable, "-c", program, *map(str, words)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert _until(lambda: _finished(cache) >= 16, seconds=60)
        children = _children(running.pid)
        assert len(children) == 1
        began = time.monotonic()
        running.send_signal(getattr(signal, name))
        _, told = running.communicate(timeout=20)
    finally:
        running.kill()
        running.communicate()
    assert time.monotonic() - began < 5
    assert _until(lambda: not _alive(children[0]), seconds=5)
    if name != "SIGKILL":
        assert running.returncode == 130
        assert "what `featx extract` had finished is kept" in told and "Traceback" not in told
    assert _finished(cache) >= 16


def _finished(cache):
    files = list(cache.glob("*/*.h5"))
    if not files:
        return 0
    with FeatureFile.open(files[0]) as file:
        return int((file.status() == OK).sum())


def _until(true, *, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_the_board_tells_what_is_decoded_and_since_when(tmp_path):
    with open(tmp_path / "board", "w+b") as file:
        file.truncate(wire.Board.size(3))
        mine, theirs = wire.Board(file, 3), wire.Board(file, 3)
    mine.clear()
    theirs.mark(0, 7)
    theirs.mark(1, wire.IDLE)
    theirs.mark(2, 0)
    assert mine.decoding() == [7, 0]
    assert mine.overdue(3600) == []
    time.sleep(0.01)
    assert mine.overdue(0.005) == [7, 0]
    theirs.mark(0, -2)
    assert mine.decoding() == [0]
    os.unlink(tmp_path / "board")
