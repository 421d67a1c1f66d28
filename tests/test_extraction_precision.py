"""Which precision a run takes, settled on its own first images before a file is made, and kept to afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
from PIL import Image
from torch import nn

from featx.backbones import BACKBONES, Backbone, Layer
from featx.cache import FeatureFile
from featx.errors import UnknownName
from featx.extraction import extract, settling
from featx.extraction.crew import Here
from featx.runtime import Choice, TorchRuntime, choice

N, SIZE, BATCH = 10, 16, 4


class Difference(nn.Module):
    """The small difference of two large numbers, of which bfloat16 leaves nothing."""

    def forward(self, x):
        large = x * 300
        return (large + x) - large


def network(last=nn.Identity):
    layers = OrderedDict(conv=nn.Conv2d(3, 6, 3), pool=nn.AdaptiveAvgPool2d(2), flat=nn.Flatten(), last=last())
    return nn.Sequential(layers)


def fragile():
    return network(Difference)


def backbone(name, build):
    layers = (Layer("flat", "flat", kind="vector"), Layer("last", "last", kind="vector"))
    return Backbone(name, family="toy", layers=layers, build=build, penultimate="last", min_size=3, imagenet=None)


@pytest.fixture(autouse=True)
def _hardware_with_bf16(monkeypatch):
    monkeypatch.setattr(settling, "bf16_is_fast", lambda device: True)
    monkeypatch.setitem(BACKBONES._items, "sturdy", backbone("sturdy", network))
    monkeypatch.setitem(BACKBONES._items, "brittle", backbone("brittle", fragile))


@pytest.fixture
def data(tmp_path):
    for row in range(N):
        path = tmp_path / "skin" / ("mel" if row % 2 else "nv") / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(row).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return tmp_path / "skin"


def run(data, net="sturdy", **options):
    about = {"backbone": net, "weights": "random", "size": SIZE, "batch_size": BATCH, "device": "cpu"}
    here = {"cache": data.parent / "cache", "isolate": False, "runtime": "torch"}
    return extract(data, **{**about, **here, **options})


def env(found):
    with FeatureFile.open(found.files[0]) as file:
        assert file.spec["precision"] == found.precision
        return file.env


def test_auto_takes_bf16_where_it_points_the_same_way_and_says_so(data):
    found = run(data)
    assert found.precision == "bf16"
    (note,) = found.notes
    assert "precision bf16: over the first 10 images the worst cosine to fp32 is 0.99" in note
    kept = env(found)["precision_agreement"]
    assert 0.999 <= kept["worst"] <= kept["mean"] <= 1 and kept["images"] == N


def test_auto_takes_fp32_where_it_does_not_and_says_so(data):
    found = run(data, "brittle")
    assert found.precision == "fp32"
    assert "under 0.999" in found.notes[0]
    assert env(found)["precision_agreement"]["worst"] < 0.999
    layers = run(data, "brittle", layers=["flat", "last"], name="both")
    assert layers.precision == "fp32"  # one layer is enough
    assert run(data, "brittle", layers=["flat"], name="one").precision == "bf16"


def test_it_is_settled_before_a_file_is_made(data, monkeypatch):
    seen = []
    work = Here.work
    monkeypatch.setattr(
        Here, "work", lambda self, batches: seen.append(list(data.parent.glob("cache/*/*.h5"))) or work(self, batches)
    )
    found = run(data)
    assert seen == [[], [], [*found.files]]


def test_only_the_first_images_are_compared(data, monkeypatch):
    monkeypatch.setattr(settling, "IMAGES", 6)
    batches, work = [], Here.work
    monkeypatch.setattr(Here, "work", lambda self, todo: batches.append(todo) or work(self, todo))
    run(data)
    rows = [[item.row for batch in todo for item in batch] for todo in batches]
    assert rows == [list(range(6)), list(range(6)), list(range(N))]


def test_images_that_fail_are_left_out_and_none_at_all_means_fp32(data):
    for path in sorted(data.glob("*/*.png"))[:3]:
        path.write_bytes(b"<html>")
    found = run(data, max_failures=1.0)
    assert env(found)["precision_agreement"]["images"] == N - 3
    for path in data.glob("*/*.png"):
        path.write_bytes(b"<html>")
    found = run(data, max_failures=1.0, name="none")
    assert found.precision == "fp32" and "nothing to compare" in found.notes[0]


def test_without_the_hardware_nothing_is_measured(data, monkeypatch):
    monkeypatch.setattr(settling, "bf16_is_fast", lambda device: False)
    passes, infer = [], TorchRuntime.infer
    monkeypatch.setattr(TorchRuntime, "infer", lambda self, pixels: passes.append(1) or infer(self, pixels))
    found = run(data)
    assert (found.precision, found.notes, len(passes)) == ("fp32", (), 3)


def test_features_that_are_there_in_either_precision_are_served_without_a_pass(data):
    for precision in ("fp32", "bf16"):
        pinned = run(data, precision=precision, name=precision)
        again = run(data, name=precision)
        assert (again.files, again.passes, again.precision) == (pinned.files, 0, precision)


def test_of_both_the_latest_is_served(data):
    files = {precision: run(data, precision=precision).files[0] for precision in ("bf16", "fp32")}
    for latest, path in files.items():
        os.utime(path, (2e9, 2e9))
        assert run(data).precision == latest
        os.utime(path, (1e9, 1e9))


def test_of_several_layers_the_precision_of_most_is_served(data):
    run(data, layers=["flat", "last"], precision="bf16")
    run(data, layers=["last"], precision="fp32")
    found = run(data, layers=["flat", "last"])
    assert (found.precision, found.passes) == ("bf16", 0)


def test_a_run_that_goes_on_keeps_the_precision_of_its_first_rows(data):
    def press(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, precision="fp32", on_progress=press)
    found = run(data)  # bf16 would agree
    assert (found.precision, found.reused) == ("fp32", BATCH)


def test_a_word_that_is_no_precision_is_refused(data):
    with pytest.raises(UnknownName, match="precision"):
        run(data, precision="fp16")


def test_what_openvino_would_gain_is_said_once(data, monkeypatch):
    monkeypatch.setattr(settling, "choose", lambda runtime, *, device: Choice("torch", "cpu", choice.GAIN))
    found = run(data, runtime="auto", precision="fp32")
    assert [note for note in found.notes if "featx[cpu]" in note] == [choice.GAIN]


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_with_amx_switched_off_it_works_in_fp32(data, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    words = ["extract", data, "--backbone", "maia-custom2", "--weights", "random", "--size", "32"]
    words += ["--runtime", runtime, "--cache", data.parent / "cache"]
    command = [sys.executable, "-m", "featx", *map(str, words)]
    switched_off = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=switched_off)
    assert done.returncode == 0, done.stderr
    assert f"forward passes, fp32, {runtime} " in done.stdout


@pytest.mark.data
def test_real_mobilenet_weights_do_not_agree_and_so_take_fp32(real, tmp_path):
    from featx.runtime import bf16_is_fast

    if not bf16_is_fast("cpu"):
        pytest.skip("this processor has no AMX")
    folder = real / "data" / "isic2018_subset"
    first = sorted(folder.rglob("*.jpg"))[:66]
    for number, path in enumerate(first):
        place = tmp_path / "skin" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).symlink_to(path)
    about = {"weights": str(real / "weights" / "mobilenet_v2_imagenet_fp16.pth"), "cache": tmp_path / "cache"}
    found = extract(tmp_path / "skin", backbone="mobilenet_v2", **about)
    assert found.precision == "fp32" and "under 0.999" in "".join(found.notes)
