"""Several devices: one process each, the rows of one run to the bit, and nothing lost however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from perils import FRAGILE
from PIL import Image

from featx.backbones import BACKBONES
from featx.cache import OK, FeatureFile
from featx.errors import ComputeError, TooManyFailures, UsageError
from featx.extraction import crew as crews
from featx.extraction import extract, process, several
from featx.extraction.several import Several, kind_of, surroundings_of

N, SIZE, BATCH = 26, 16, 4
CPUS = ("cpu", "cpu")


@pytest.fixture(autouse=True)
def _on_the_shelf(monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "fragile", FRAGILE)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A folder of images and what one run on one device makes of it."""
    root = tmp_path_factory.mktemp("one")
    for row in range(N):
        path = root / "skin" / ("scc" if row == N - 1 else "nv") / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(row).integers(20, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES._items, "fragile", FRAGILE)
        return run(root / "skin", cache=root / "cache", device="cpu")


@pytest.fixture
def data(one, tmp_path):
    """The same images, beside a cache that holds the converted network alone: torch is not needed."""
    for folder in ("runtime", "weights"):
        if (one.files[0].parents[1] / folder).exists():
            copytree(one.files[0].parents[1] / folder, tmp_path / "cache" / folder)
    return copytree(one.dataset.root, tmp_path / "skin")


def run(data, **options):
    about = {"backbone": "fragile", "weights": "random", "size": SIZE, "batch_size": BATCH, "precision": "fp32"}
    return extract(data, **{**about, "cache": data.parent / "cache", **options})


def rows_of(found):
    with FeatureFile.open(found.files[0]) as file:
        return file.load(), file.records()["status"].copy(), file.complete


def test_rows_of_two_devices_are_those_of_one_run_to_the_bit(one, data):
    told = []
    two = run(data, devices=CPUS, on_progress=lambda done, total: told.append((done, total)))
    assert rows_of(two)[0].tobytes() == rows_of(one)[0].tobytes() and rows_of(two)[2]
    assert [path.name for path in two.files] == [path.name for path in one.files]
    assert (two.computed, two.passes, two.runtime) == (N, -(-N // BATCH), one.runtime)
    dones = [done for done, _ in told]
    assert dones == sorted(dones) and told[-1] == (N, N)  # one count for all


def test_rows_of_two_devices_are_those_of_one_run_by_torch_too(data):
    one, two = (
        run(data, cache=data.parent / name, runtime="torch", layers=["conv", "fc"], **options)
        for name, options in (("1", {"device": "cpu"}), ("2", {"devices": CPUS}))
    )
    for mine, plain in zip(two.files, one.files, strict=True):
        with FeatureFile.open(mine) as file, FeatureFile.open(plain) as oracle:
            assert file.complete and file.load().tobytes() == oracle.load().tobytes()
            assert file.env["device"] == "cpu" and file.env["batch_size"] == BATCH


def test_each_device_has_a_process_and_a_share(data, monkeypatch):
    made = []

    class Spied(crews.Process):
        def __init__(self, threads, surroundings=None):
            super().__init__(threads, surroundings)
            made.append((self._popen.pid, threads, surroundings))

    monkeypatch.setattr(crews, "Process", Spied)
    monkeypatch.setattr(several, "cores", lambda: 4)
    run(data, devices=CPUS)
    assert len({pid for pid, *_ in made}) == 2
    assert {threads for _, threads, _ in made} == {2}
    assert all(about == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} for *_, about in made)
    assert all(gone(pid) for pid, *_ in made)


def gone(pid, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_what_one_run_left_another_finishes_on_other_devices(one, data):
    def stop(done, total):
        if done >= N // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, devices=CPUS, on_progress=stop)
    again = run(data, device="cpu")
    assert again.reused >= N // 2 and again.computed == N - again.reused
    assert rows_of(again)[0].tobytes() == rows_of(one)[0].tobytes()
    for name in sorted(data.rglob("*.png"))[:5]:
        name.write_bytes(name.read_bytes() + b" ")  # the same picture in other bytes: to be computed again
    last = run(data, devices=("cpu",) * 3)
    assert (last.computed, last.reused) == (5, N - 5)
    assert rows_of(last)[0].tobytes() == rows_of(one)[0].tobytes()


def test_a_deadly_image_costs_itself_and_no_other(one, data, monkeypatch):
    monkeypatch.setattr(process, "IMAGE_SECONDS", 3.0)
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.1)
    bad = {3: b"SEGV", 9: b"HANG", 17: b"EXIT"}
    for row, how in bad.items():
        (data / "nv" / f"{row:02}.png").write_bytes(how)
    found = run(data, devices=CPUS, max_failures=0.5)
    assert {path: why.partition(":")[0] for path, why in found.failed.items()} == {
        "nv/03.png": "decoder_crash", "nv/09.png": "timeout", "nv/17.png": "decoder_crash",
    }  # fmt: skip
    sound = np.isin(np.arange(N), list(bad), invert=True)
    assert rows_of(found)[0][sound].tobytes() == rows_of(one)[0][sound].tobytes()


def test_too_many_failures_end_all_processes(data):
    for row in range(12):
        (data / "nv" / f"{row:02}.png").write_bytes(b"<html>")
    with pytest.raises(TooManyFailures):
        run(data, devices=CPUS, max_failures=0.1)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from perils import FRAGILE
from featx.backbones import BACKBONES
from featx.extraction import extract
BACKBONES._items["fragile"] = FRAGILE

def tell(done, total):
    print(done, flush=True)
    time.sleep(0.5)  # so that the end comes in the middle

extract({data!r}, backbone="fragile", weights="random", size=16, batch_size=4, precision="fp32", devices=("cpu", "cpu"),
        cache={cache!r}, on_progress=tell)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_where_it_was(one, data, how):
    cache = data.parent / "cache"
    code = KILLED.format(tests=str(Path(__file__).parent), data=str(data), cache=str(cache))
    command = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in command.stdout:
        if line.strip() == str(2 * BATCH):
            break
    children = children_of(command.pid)
    command.send_signal(how)
    command.communicate(timeout=20)
    assert command.returncode != 0 and len(children) == 2 and all(map(gone, children))
    again = run(data, devices=CPUS)
    features, status, complete = rows_of(again)
    assert complete and (status == OK).all() and again.computed + again.reused == N
    assert again.computed > 0 and (how == signal.SIGKILL or again.reused >= 2 * BATCH)
    assert features.tobytes() == rows_of(one)[0].tobytes()


def children_of(parent):
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and f"PPid:\t{parent}\n" in words_of(pid)]


def words_of(pid):
    try:
        return Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return ""


def test_an_error_of_one_ends_the_others_and_they_can_work_again():
    class Broken:
        def __init__(self, error=None):
            self.error, self.stopped, self.rested = error, False, 0

        def kept(self):
            return several.ThreadPoolExecutor(1)  # any context

        def work(self, waiting):
            while waiting and not self.stopped:
                if self.error:
                    raise self.error
                waiting.append(waiting.popleft())  # never done
                time.sleep(0.001)
                yield "done"

        def stop(self):
            self.stopped = True

        def rest(self):
            self.rested += 1

    crew = Several(CPUS)
    crew._children = [Broken(), Broken(ComputeError("the runtime failed"))]
    with pytest.raises(ComputeError, match="the runtime failed"):
        list(crew.work(deque([["batch"]] * 3)))
    assert all(child.stopped and child.rested == 1 for child in crew._children)


@pytest.mark.parametrize("words", [["gpu"], ["0", "cpu"], ["-1"], ["1.5"], ["cpu"] * 65, ["cuda:0"]])
def test_what_is_no_device_is_refused(words):
    with pytest.raises(UsageError, match="--devices takes"):
        kind_of(words)


def test_devices_do_not_go_with_one_device_or_this_process(data):
    for options in ({"device": "cpu"}, {"isolate": False}):
        with pytest.raises(UsageError, match="--devices starts a process for each device"):
            run(data, devices=CPUS, **options)


def test_each_process_sees_its_own_gpu(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [surroundings_of(device) for device in ("0", "3")] == [{"CUDA_VISIBLE_DEVICES": one} for one in ("0", "3")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-8a")
    assert surroundings_of("1") == {"CUDA_VISIBLE_DEVICES": "GPU-8a"}
    with pytest.raises(UsageError, match="shows 2 GPUs, counted from 0"):
        surroundings_of("2")


def test_a_gpu_that_is_not_there_is_told(data):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError, match="no GPU here"):
        run(data, devices=("0", "1"))
