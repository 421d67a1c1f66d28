"""Extraction: what is done is not done again, what changed is, and what was finished survives whatever happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from shutil import copytree

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from featx import extraction, images, load_features
from featx.backbones import BACKBONES, Backbone, Layer
from featx.cache import OK, PENDING, FeatureFile
from featx.cache.merging import merge
from featx.errors import (
    CacheError,
    CacheIncomplete,
    CacheMismatch,
    TooManyFailures,
    UnknownName,
    UsageError,
    WeightsUnavailable,
)
from featx.extraction import extract
from featx.extraction.filling import batches_of
from featx.runtime import TorchRuntime

N, SIZE, BATCH = 10, 16, 4
FULL = 3  # passes over N images


class Toy(nn.Sequential):
    """A small network that counts its forward passes."""

    passes = 0

    def __init__(self):
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(3, 6, 3),
                relu1=nn.ReLU(inplace=True),
                pool=nn.AdaptiveAvgPool2d(2),
                flat=nn.Flatten(),
                fc=nn.Linear(24, 12),
                relu2=nn.ReLU(inplace=True),
                last=nn.Linear(12, 12),
            )
        )

    def forward(self, x):
        Toy.passes += 1
        return super().forward(x)


TOY = Backbone(
    "toy",
    family="toy",
    layers=(
        Layer("conv", "relu1"),
        Layer("fc-pre", "fc", kind="vector"),
        Layer("fc", "relu2", kind="vector"),
        Layer("logits", "last", kind="vector"),
    ),
    build=Toy,
    penultimate="fc",
    min_size=3,
    imagenet=None,
)


class Counts:
    """Passes of the network (without the one that learns shapes) and image files read."""

    def __init__(self):
        self.read, self.probes, self._before = [], 0, Toy.passes

    @property
    def passes(self):
        return Toy.passes - self._before - self.probes

    def reset(self):
        self.read.clear()
        self.probes, self._before = 0, Toy.passes


@pytest.fixture
def counts(monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "toy", TOY)
    counts = Counts()
    read, probe = images.read, TorchRuntime._probe

    def reading(path):
        counts.read.append(os.path.basename(path))
        return read(path)

    def probing(self):
        counts.probes += 1
        return probe(self)

    monkeypatch.setattr(images, "read", reading)
    monkeypatch.setattr(TorchRuntime, "_probe", probing)
    return counts


def draw(path, seed):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path):
    for row in range(N):
        draw(tmp_path / "skin" / ("mel" if row % 2 else "nv") / f"{row:02}.png", row)
    return tmp_path / "skin"


HERE = {"isolate": False, "precision": "fp32", "runtime": "torch", "device": "cpu"}  # so that calls can be counted


def toy(data, **options):
    """Extract with the toy network, into a cache beside the data."""
    options = {"backbone": "toy", "weights": "random", "size": SIZE, "batch_size": BATCH, **HERE, **options}
    if "cache" not in options:
        options["cache"] = data.parent / "cache"
    return extract(data, **options)


def stored(path):
    """The features and the paths as any other tool reads them."""
    with h5py.File(path) as file:
        return file["features"][:], [os.fsdecode(name) for name in file["path"][:]]


def touch(path, *, after=5):
    found = os.stat(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + after * 10**9))


# what is done is not done again


def test_the_first_time_every_image_goes_through_the_network_once(data, counts):
    found = toy(data)
    assert (found.computed, found.reused, found.passes, found.opened) == (N, 0, FULL, N)
    assert (counts.passes, sorted(counts.read)) == (FULL, [f"{row:02}.png" for row in range(N)])
    (path,) = found.files
    assert re.fullmatch(r"toy@random0--fc--[0-9a-f]{8}\.h5", path.name)
    assert path.parent == data.parent / "cache" / "skin"


def test_features_are_those_of_the_network_on_the_images(data, counts):
    (path,) = toy(data, layers=["fc"]).files
    features, paths = stored(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(*list(Toy().eval())[:6])
    pixels = [np.asarray(Image.open(data / name).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for name in paths]
    batch = (np.stack(pixels) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        expected = net(torch.tensor(batch.transpose(0, 3, 1, 2), dtype=torch.float32))
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_nothing_changed_means_no_pass_and_no_image_opened(data, counts):
    first = toy(data)
    before = first.files[0].read_bytes()
    counts.reset()
    again = toy(data)
    assert (again.computed, again.reused, again.passes, again.opened) == (0, N, 0, 0)
    assert (counts.passes, counts.probes, counts.read) == (0, 0, [])
    assert again.files[0].read_bytes() == before


def test_nothing_changed_means_that_torch_is_not_imported(data):
    options = {"backbone": "maia-custom2", "weights": "random", "size": SIZE, "device": "cpu"}
    cache = str(data.parent / "cache")
    extract(data, cache=cache, **options)
    program = (
        "import json, sys\nfrom featx import extract\n"
        f"found = extract({str(data)!r}, cache={cache!r}, **json.loads({json.dumps(options)!r}))\n"
        "assert 'PIL.Image' not in sys.modules\n"
        "print(found.reused, found.passes, found.opened, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(N), "0", "0", "False"], done.stderr


def test_changed_bytes_of_one_image_mean_one_pass_and_one_new_row(data, counts):
    (path,) = toy(data).files
    before, paths = stored(path)
    draw(data / "nv" / "04.png", 99)
    touch(data / "nv" / "04.png")
    counts.reset()
    again = toy(data)
    after, _ = stored(path)
    row = paths.index("nv/04.png")
    assert (again.computed, again.passes, counts.passes, again.files) == (1, 1, 1, (path,))
    assert set(counts.read) == {"04.png"}
    assert (before[row] != after[row]).any()
    np.testing.assert_array_equal(np.delete(before, row, 0), np.delete(after, row, 0))


def test_a_touched_image_is_opened_once_and_goes_through_no_network(data, counts):
    (path,) = toy(data).files
    before, _ = stored(path)
    touch(data / "nv" / "04.png")
    counts.reset()
    again = toy(data)
    assert (again.computed, again.passes, counts.probes, again.opened) == (0, 0, 0, 1)
    assert counts.read == ["04.png"]
    np.testing.assert_array_equal(stored(path)[0], before)
    counts.reset()
    assert (toy(data).opened, counts.read) == (0, [])
    assert load_features(path).X.shape == (N, 12)


def test_bytes_changed_behind_size_and_time_are_found_with_verify_images(data, counts):
    for row in range(N):  # uncompressed, so that any content has the same size
        path = data / ("mel" if row % 2 else "nv") / f"{row:02}.png"
        Image.open(path).save(path, "BMP")
    before = stored(toy(data).files[0])[0]
    image = data / "mel" / "01.png"
    found = image.stat()
    Image.fromarray(255 - np.asarray(Image.open(image))).save(image, "BMP")
    os.utime(image, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert image.stat().st_size == found.st_size
    assert toy(data).opened == 0
    counts.reset()
    again = toy(data, verify_images=True)
    assert (again.computed, counts.passes) == (1, 1)
    assert (stored(again.files[0])[0] != before).any(1).sum() == 1
    assert sorted(set(counts.read)) == [f"{row:02}.png" for row in range(N)]


def test_other_weights_mean_all_passes_into_a_new_file_and_are_told(data, counts):
    first = toy(data, weights="random:1")
    counts.reset()
    second = toy(data, weights="random:2")
    assert (second.computed, counts.passes) == (N, FULL)
    assert first.files != second.files
    assert first.files[0].exists()
    assert len(second.notes) == 1
    assert first.files[0].name in second.notes[0]
    assert "weights is" in second.notes[0]


def test_a_weights_file_with_other_content_is_never_served_from_old_rows(data, counts, tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / "mine.safetensors"
    save_file(Toy().state_dict(), file)
    first = toy(data, weights=str(file))
    counts.reset()
    assert toy(data, weights=str(file)).passes == 0
    save_file({key: value + 0.5 for key, value in Toy().state_dict().items()}, file)
    touch(file)
    second = toy(data, weights=str(file))
    assert second.computed == N
    assert first.files != second.files
    assert (stored(first.files[0])[0] != stored(second.files[0])[0]).any()


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"precision": "bf16"}, "precision"),
        ({"size": 17}, "transform.size"),
        ({"resize": "crop"}, "transform.resize"),
        ({"interpolation": "bicubic"}, "transform.interpolation"),
        ({"antialias": False}, "transform.antialias"),
        ({"trim": True}, "transform.trim"),
        ({"normalise": "unit"}, "normalise.name"),
        ({"pool": "max"}, "pool"),
    ],
)
def test_whatever_changes_a_feature_makes_a_new_file_and_is_named(data, counts, option, told):
    first = toy(data, layers=["conv"])
    second = toy(data, layers=["conv"], **option)
    assert second.computed == N
    assert first.files != second.files
    assert f"{told} is" in second.notes[0]
    assert (stored(first.files[0])[0] != stored(second.files[0])[0]).any()


def test_the_batch_size_is_no_part_of_the_key_and_changes_a_row_by_rounding_at_most(data, counts):
    # bit-exact is a row among other neighbours at one batch size; across batch sizes, 1e-5 is kept
    one = toy(data, cache=data.parent / "one", batch_size=1)
    many = toy(data, cache=data.parent / "many", batch_size=7)
    assert one.files[0].name == many.files[0].name
    np.testing.assert_allclose(stored(one.files[0])[0], stored(many.files[0])[0], atol=1e-5)
    assert toy(data, cache=data.parent / "one", batch_size=7).passes == 0


@pytest.fixture
def threads():
    """Two threads, with which products add up the last rows of an odd batch in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("batch_size", [4, 6, 7])
def test_what_else_is_to_do_does_not_change_a_bit(data, counts, threads, batch_size):
    options = {"batch_size": batch_size, "max_failures": 1.0, "layers": ["fc", "logits"]}
    whole = [stored(path)[0] for path in toy(data, cache=data.parent / "whole", **options).files]
    _, paths = stored(next((data.parent / "whole" / "skin").glob("*.h5")))
    content = {name: (data / name).read_bytes() for name in paths}
    for name in paths[1::3]:
        (data / name).write_bytes(b"<html>")
    assert len(toy(data, **options).failed) == 3
    for name in paths[1::3]:
        (data / name).write_bytes(content[name])
    found = toy(data, **options)
    assert (found.computed, found.failed) == (3, {})
    for path, expected in zip(found.files, whole, strict=True):
        assert stored(path)[0].tobytes() == expected.tobytes()


def test_other_rows_of_the_table_change_a_row_by_rounding_at_most(data, counts):
    # an image that comes to another row stands at another place in the batch
    whole, paths = stored(toy(data).files[0])
    (data / paths[0]).unlink()
    fewer, _ = stored(toy(data, cache=data.parent / "fewer").files[0])
    np.testing.assert_allclose(fewer, whole[1:], atol=1e-5)


@settings(max_examples=60)
@given(todo=st.lists(st.integers(0, 60), unique=True, max_size=40), size=st.integers(1, 9))
def test_batches_hold_each_row_once_at_a_place_of_its_own(todo, size):
    batches = batches_of(sorted(todo), size=size)
    assert sorted(row for rows in batches for row in rows) == sorted(todo)
    for rows in batches:
        assert 0 < len({row % size for row in rows}) == len(rows)


def test_all_rows_are_batched_in_their_order_and_full():
    assert batches_of(range(10), size=4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


# datasets that change


def test_added_images_are_computed_and_the_others_kept(data, counts):
    (path,) = toy(data).files
    before, paths = stored(path)
    draw(data / "bcc" / "new.png", 50)
    counts.reset()
    again = toy(data)
    after, now = stored(path)
    assert (again.computed, again.passes, counts.read) == (1, 1, ["new.png"])
    assert now == sorted([*paths, "bcc/new.png"])
    np.testing.assert_array_equal(after[[now.index(name) for name in paths]], before)
    assert load_features(path).X.shape == (N + 1, 12)


def test_removed_images_leave_the_file_without_a_pass(data, counts):
    (path,) = toy(data).files
    before, paths = stored(path)
    (data / paths[3]).unlink()
    counts.reset()
    again = toy(data)
    after, now = stored(path)
    assert (again.computed, again.passes, counts.probes, counts.read) == (0, 0, 0, [])
    assert now == paths[:3] + paths[4:]
    np.testing.assert_array_equal(after, np.delete(before, 3, 0))
    assert len(load_features(path).ids) == N - 1


def test_corrected_labels_replace_the_table_without_a_pass(data, counts):
    table = data / "labels.csv"
    rows = [f"{'mel' if row % 2 else 'nv'}/{row:02}.png,{'mel' if row % 2 else 'nv'},g{row}" for row in range(N)]
    table.write_text("\n".join(["image,label,group", *rows]))
    (path,) = toy(table).files
    before, _ = stored(path)
    rows[0] = "nv/00.png,bcc,g1"
    table.write_text("\n".join(["image,label,group", *rows]))
    counts.reset()
    again = toy(table)
    assert (again.files, again.passes, counts.probes, counts.read) == ((path,), 0, 0, [])
    matrix = load_features(path)
    assert matrix.y.tolist()[:2] == ["bcc", "mel"]
    assert matrix.groups[0] == matrix.groups[1] != matrix.groups[2]
    np.testing.assert_array_equal(matrix.X, before)


def test_another_folder_under_the_same_name_is_refused(data, counts):
    (path,) = toy(data).files
    before = path.read_bytes()
    other = data.parent / "elsewhere" / "skin"
    draw(other / "nv" / "a.png", 1)
    draw(other / "mel" / "b.png", 2)
    with pytest.raises(CacheMismatch, match="--name"):
        toy(other, cache=data.parent / "cache")
    assert path.read_bytes() == before
    assert toy(other, cache=data.parent / "cache", name="other").computed == 2


def test_a_dataset_that_moved_is_recognised_by_its_bytes(data, counts):
    before, _ = stored(toy(data).files[0])
    moved = data.parent / "moved" / "skin"
    copytree(data, moved)
    for image in moved.glob("*/*.png"):
        touch(image)
    draw(moved / "nv" / "00.png", 77)
    counts.reset()
    again = toy(moved, cache=data.parent / "cache")
    assert (again.computed, again.passes) == (1, 1)
    assert (stored(again.files[0])[0] != before).any(1).sum() == 1


@pytest.mark.parametrize("name", ["a/b", "../out", "..", "a b", "/tmp"])
def test_a_name_that_is_no_folder_of_the_cache_is_refused(data, counts, name):
    with pytest.raises(UsageError, match="--name"):
        toy(data, name=name)


# layers


def test_several_layers_take_one_pass_each_batch(data, counts):
    found = toy(data, layers=["conv", "fc-pre", "fc", "logits"])
    assert (found.passes, counts.passes, len(counts.read), len(found.files)) == (FULL, FULL, N, 4)
    alone = toy(data, layers=["fc-pre"], cache=data.parent / "other")
    assert stored(alone.files[0])[0].tobytes() == stored(found.files[1])[0].tobytes()


def test_a_second_layer_later_leaves_the_first_file_alone(data, counts):
    (first,) = toy(data, layers=["fc"]).files
    before = first.read_bytes()
    counts.reset()
    found = toy(data, layers=["fc", "logits"])
    assert (found.computed, counts.passes, len(counts.read)) == (N, FULL, N)
    assert first.read_bytes() == before
    assert found.files[0] == first


def test_a_layer_named_twice_is_one_file(data, counts):
    found = toy(data, layers=["fc", "penultimate", "fc"])
    assert [path.name.split("--")[1] for path in found.files] == ["fc"]
    assert toy(data).passes == 0  # the default is the penultimate


def test_a_dotted_path_is_a_layer_too(data, counts):
    found = toy(data, backbone="squeezenet1_1", layers=["features.0"], size=64)
    features, _ = stored(found.files[0])
    assert features.shape == (N, 64)


def test_unknown_names_get_the_nearest(data, counts):
    with pytest.raises(UnknownName, match="did you mean 'mobilenet_v2'"):
        toy(data, backbone="mobilnet_v2")
    with pytest.raises(UnknownName, match="did you mean 'logits'"):
        toy(data, layers=["logit"])


def test_pixels_are_the_resized_image_in_0_to_1_where_that_is_asked_for(data):
    (path,) = extract(data, backbone="pixels", normalise="unit", size=5, cache=data.parent / "cache", **HERE).files
    features, paths = stored(path)
    for row, name in zip(features, paths, strict=True):
        pixels = Image.open(data / name).resize((5, 5), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(row.reshape(5, 5, 3), np.asarray(pixels) / 255, atol=1e-6)


# images that fail


def test_failed_images_are_recorded_with_the_reason_and_skipped(data, counts):
    (data / "nv" / "00.png").write_bytes(b"<html>")
    (data / "mel" / "01.png").write_bytes((data / "mel" / "03.png").read_bytes()[:500])
    found = toy(data, max_failures=0.2)
    assert {path: reason.partition(":")[0] for path, reason in found.failed.items()} == {
        "nv/00.png": "not_an_image",
        "mel/01.png": "truncated",
    }
    features, paths = stored(found.files[0])
    assert np.isnan(features[[paths.index(name) for name in found.failed]]).all()
    matrix = load_features(found.files[0])
    assert len(matrix.X) == N - 2
    assert np.isfinite(matrix.X).all()
    assert not set(matrix.ids) & set(found.failed)
    counts.reset()
    again = toy(data, max_failures=0.2)
    assert (again.failed, again.passes, counts.probes, counts.read) == (found.failed, 0, 0, [])


def test_too_many_failures_stop_with_everything_kept(data, counts):
    for name in ("nv/06.png", "nv/08.png"):
        (data / name).write_bytes(b"<html>")
    with pytest.raises(TooManyFailures, match=r"2 of 10 images failed, more than the 10.0%.*not_an_image"):
        toy(data, max_failures=0.1)
    (path,) = (data.parent / "cache" / "skin").glob("*.h5")
    with FeatureFile.open(path) as file:
        assert (file.status() == OK).sum() >= BATCH
        kept = int((file.status() != PENDING).sum())
    with pytest.raises(CacheIncomplete):
        load_features(path)
    assert toy(data, max_failures=0.2).reused == kept


def test_too_many_failures_of_an_earlier_run_are_counted(data, counts):
    (data / "nv" / "00.png").write_bytes(b"")
    toy(data, max_failures=0.1)
    with pytest.raises(TooManyFailures, match="1 of 10"):
        toy(data, max_failures=0.05)


def test_a_mended_image_is_taken_in(data, counts):
    good = (data / "nv" / "00.png").read_bytes()
    (data / "nv" / "00.png").write_bytes(b"<html>")
    toy(data, max_failures=0.1)
    (data / "nv" / "00.png").write_bytes(good)
    counts.reset()
    again = toy(data)
    assert (again.failed, again.computed, counts.passes) == ({}, 1, 1)


def test_an_image_that_could_not_be_read_is_tried_again(data, counts, monkeypatch):
    # a change of rights, or a disk that is back, changes neither size nor time
    whole = stored(toy(data, cache=data.parent / "whole").files[0])[0]
    read, denied = images.read, True

    def reading(path):
        if denied and Path(path).name == "00.png":
            raise images.ImageError("unreadable", "[Errno 13] Permission denied")
        return read(path)

    monkeypatch.setattr(images, "read", reading)
    assert list(toy(data, max_failures=0.1).failed) == ["nv/00.png"]
    denied = False
    again = toy(data, max_failures=0.1)
    assert (again.failed, again.computed) == ({}, 1)
    assert stored(again.files[0])[0].tobytes() == whole.tobytes()


def test_an_image_that_vanishes_is_recorded_as_missing(data, counts):
    table = data / "labels.csv"
    table.write_text("image,label\n" + "\n".join(f"nv/{row:02}.png,nv" for row in range(0, N, 2)))
    found = toy(table)
    target = data / "nv" / "04.png"
    for row in (0, 4):
        draw(data / "nv" / f"{row:02}.png", 60 + row)
        touch(data / "nv" / f"{row:02}.png")
    read = images.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "read", lambda path: (target.unlink(missing_ok=True), read(path))[1])
        again = toy(table, max_failures=0.5)
    assert again.files == found.files
    assert again.failed == {"nv/04.png": "missing: no such file"}


def test_names_that_are_no_utf8_or_hold_a_line_end_go_through(data, counts, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["featx", os.fsdecode(b"bad\xff")])
    for name in (b"new\nline.png", b"bad\xff.png"):
        os.rename(data / "nv" / ("00.png" if b"\n" in name else "02.png"), os.path.join(os.fsencode(data / "nv"), name))
    root = Path(os.fsdecode(os.path.join(os.fsencode(data.parent), b"root\xfe")))
    data.rename(root)
    found = toy(root)
    assert found.computed == N
    _, paths = stored(found.files[0])
    assert {os.fsdecode(b"nv/bad\xff.png"), "nv/new\nline.png"} < set(paths)
    assert os.fsdecode(b"nv/bad\xff.png") in load_features(found.files[0]).ids
    assert toy(root).passes == 0


# interruption


class Stop(Exception):
    """What stops a run in these tests."""


@pytest.mark.parametrize("stop", [1, 2])
@pytest.mark.parametrize("batch_size", [BATCH, 6])
def test_after_ctrl_c_what_was_finished_is_kept_and_the_end_is_byte_equal(data, counts, threads, stop, batch_size):
    whole = stored(toy(data, cache=data.parent / "whole", batch_size=batch_size).files[0])[0]

    def press(done, total):
        assert total == N
        if done >= stop * batch_size or done == N:
            raise KeyboardInterrupt

    counts.reset()
    with pytest.raises(KeyboardInterrupt):
        toy(data, on_progress=press, batch_size=batch_size)
    (path,) = (data.parent / "cache" / "skin").glob("*.h5")
    with FeatureFile.open(path) as file:
        assert not file.complete
        kept = int((file.status() == OK).sum())
    assert kept == min(stop * batch_size, N)
    with pytest.raises(CacheIncomplete, match="featx extract"):
        load_features(path)
    again = toy(data, batch_size=batch_size)
    assert (again.reused, again.computed) == (kept, N - kept)
    assert stored(path)[0].tobytes() == whole.tobytes()


DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from featx.extraction import extract, filling
torch.set_num_threads(1)
data, cache, seed, progress = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [int(n) for n in sys.argv[4:]]
filling.SYNC_SECONDS = 0.001

def start(cache):
    # a process of its own by fork: torch is imported once
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            extract(data, backbone="maia-custom2", weights="random", size=16, batch_size=4, device="cpu", cache=cache,
                    isolate=False, runtime="torch", precision="fp32",
                    on_progress=lambda done, total: os.write(writer, b"."))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    os.close(writer)
    return pid, reader

def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

pid, _ = start(cache / "whole")
assert wait(pid) == 0
rng = random.Random(seed)
killed = 0
for done in progress:
    pid, reader = start(cache / "killed")
    for _ in range(done):
        os.read(reader, 1)
    time.sleep(rng.uniform(0, 0.02 if done else 0.06))
    os.kill(pid, signal.SIGKILL)
    code = wait(pid)
    assert code in (0, -signal.SIGKILL), code
    killed += code == -signal.SIGKILL
    os.close(reader)
pid, _ = start(cache / "killed")
assert wait(pid) == 0
print(killed)
"""


def test_killed_at_random_moments_and_resumed_the_features_are_byte_equal(tmp_path):
    for row in range(120):
        draw(tmp_path / "skin" / ("mel" if row % 2 else "nv") / f"{row:03}.png", row)
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "skin"), str(tmp_path), "0", "0", "1", "3", "5", "1", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4  # the run was really cut
    (whole,), (killed,) = ((tmp_path / name / "skin").glob("*.h5") for name in ("whole", "killed"))
    assert stored(whole)[0].tobytes() == stored(killed)[0].tobytes()
    assert stored(whole)[1] == stored(killed)[1]
    assert load_features(killed).X.shape == (120, 512)


def test_a_damaged_row_is_computed_again(data, counts):
    (path,) = toy(data).files
    before, _ = stored(path)
    flip(path, row=3)
    counts.reset()
    again = toy(data)
    assert (again.computed, counts.passes) == (1, 1)
    assert stored(path)[0].tobytes() == before.tobytes()


def flip(path, *, row):
    """Change a bit of a row's first feature."""
    with FeatureFile.open(path) as file:
        at = file.head.offsets["features"] + row * file.dim * 4 + 1
    with open(path, "r+b") as stream:
        stream.seek(at)
        value = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([value ^ 1]))


def test_a_damaged_row_never_passes_for_sound_because_its_image_was_touched(data, counts, monkeypatch):
    found = toy(data, layers=["fc", "logits"])
    before = [stored(path)[0] for path in found.files]
    _, paths = stored(found.files[1])
    flip(found.files[1], row=3)
    touch(data / paths[3])

    def stop(self, pixels):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(TorchRuntime, "infer", stop)
        with pytest.raises(Stop):
            toy(data, layers=["fc", "logits"])
    toy(data, layers=["fc", "logits"])
    for path, expected in zip(found.files, before, strict=True):
        assert stored(path)[0].tobytes() == expected.tobytes()


def test_a_row_that_one_layer_lacks_leaves_the_other_layers_file_alone(data, counts):
    first, second = toy(data, layers=["fc", "logits"]).files
    before = first.read_bytes()
    flip(second, row=3)
    counts.reset()
    assert toy(data, layers=["fc", "logits"]).computed == 1
    assert counts.read == [Path(stored(second)[1][3]).name]
    assert first.read_bytes() == before


def test_a_file_under_anothers_name_is_not_served(data, counts):
    fc, logits = toy(data, layers=["fc", "logits"]).files
    logits.write_bytes(fc.read_bytes())
    with pytest.raises(CacheMismatch, match="layer is"):
        toy(data, layers=["logits"])


def test_a_damaged_neighbour_does_not_stop_another_extraction(data, counts):
    (path,) = toy(data).files
    path.write_bytes(path.read_bytes()[:1000])
    assert toy(data, size=20).computed == N


# weights that cannot be had, places, bounds


def test_without_imagenet_weights_the_users_data_stop(data, counts):
    with pytest.raises(WeightsUnavailable, match="--weights"):
        toy(data, weights=None)
    assert not (data.parent / "cache" / "skin").exists()


def test_without_imagenet_weights_the_demo_goes_on_with_random_ones_and_says_so(tmp_path, counts, monkeypatch):
    monkeypatch.setattr(extraction, "DEMO_IMAGES", 21)
    monkeypatch.setattr(extraction, "DEMO_SIZE", (48, 64))
    found = toy(None, cache=tmp_path, weights=None)
    assert found.dataset.synthetic
    assert found.computed == 21
    assert "random weights" in found.notes[0] and "not the quality" in found.notes[0]
    assert found.files[0].name.startswith("toy@random0--")
    with FeatureFile.open(found.files[0]) as file:
        assert "synthetic demo data" in json.dumps(file.env)
    monkeypatch.setattr("featx.extraction.crew.load_network", None)  # not tried again, so that torch is not needed
    again = toy(None, cache=tmp_path, weights=None)
    assert again.passes == 0 and "--weights imagenet tries again" in again.notes[0]


def test_a_cache_that_cannot_be_written_is_one_sentence(data, counts):
    (data.parent / "file").write_text("")
    with pytest.raises(CacheError, match="file"):
        toy(data, cache=data.parent / "file" / "cache")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 2},
        {"batch_size": 0},
        {"max_failures": 1.5},
        {"max_failures": float("nan")},
        {"normalise": "imagnet"},
        {"resize": "stretch"},
        {"precision": "fp16"},
        {"pool": "mean", "layers": ["conv"]},
        {"device": "gpu"},
        {"weights": "imagenett"},
    ],
)
def test_an_option_that_makes_no_sense_is_a_usage_error_and_leaves_no_file(data, counts, options):
    with pytest.raises(UsageError):
        toy(data, **options)
    assert not list((data.parent / "cache").glob("*/*.h5"))


def test_a_backbone_of_one_size_takes_no_other(data):
    with pytest.raises(UsageError, match="224"):
        extract(data, backbone="vit_b_16", weights="random", size=128, cache=data.parent / "cache")


def test_the_same_weights_in_a_renamed_file_are_the_same_features(tmp_path):
    import torch

    from featx.backbones import BACKBONES

    draw(tmp_path / "skin" / "mel" / "a.png", 1)
    draw(tmp_path / "skin" / "nv" / "b.png", 2)
    state = BACKBONES["maia-custom2"].build().state_dict()
    found = []
    for name in ("one.pth", "two.pth"):
        torch.save(state, tmp_path / name)
        asked = {"backbone": "maia-custom2", "weights": str(tmp_path / name), "size": 32, "cache": tmp_path / "cache"}
        found.append(extract(tmp_path / "skin", **asked, **HERE))
    assert found[1].files == found[0].files and found[1].passes == 0


def test_an_image_whose_decoder_was_missing_is_tried_again(data, counts, monkeypatch):
    from featx import images
    from featx.errors import ImageError

    victim = min(data.rglob("*.png"))
    whole, into = victim.read_bytes(), images.Transform.into

    def without_decoder(self, content, out):
        if content == whole:
            raise ImageError("unreadable", "DICOM needs a decoder")
        into(self, content, out)

    monkeypatch.setattr(images.Transform, "into", without_decoder)
    assert len(toy(data, max_failures=1.0).failed) == 1
    monkeypatch.setattr(images.Transform, "into", into)
    again = toy(data)
    assert (again.computed, again.failed) == (1, {})


def test_other_images_of_the_same_names_sizes_and_times_are_no_images_of_this_name(data, counts):
    toy(data)
    other = data.parent / "elsewhere" / "skin"
    copytree(data, other)
    for image in other.glob("*/*.png"):
        stat, content = image.stat(), bytearray(image.read_bytes())
        content[-20] ^= 1
        image.write_bytes(content)
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(CacheMismatch, match=r"holds features of other data under the name 'skin'.*--name"):
        toy(other, cache=data.parent / "cache")


# shards


def test_shards_put_together_are_one_run_bit_for_bit(data, counts):
    (whole,) = toy(data, cache=data.parent / "one").files
    parts = [toy(data, shard=f"{number}/2") for number in (1, 2)]
    assert [part.computed for part in parts] == [BATCH, N - BATCH]  # whole batches, each image at its own place
    names = [path.name for part in parts for path in part.files]
    assert names == [f"{whole.name}.shard-1-of-2", f"{whole.name}.shard-2-of-2"]
    merged = merge([path for part in parts for path in part.files])
    np.testing.assert_array_equal(stored(merged.path)[0], stored(whole)[0])
    assert stored(merged.path)[1] == stored(whole)[1]
    counts.reset()
    again = toy(data)
    assert (again.computed, again.reused, counts.passes) == (0, N, 0) and again.files == (merged.path,)


def test_a_shard_that_was_stopped_is_done_where_it_was_left(data, counts):
    first = toy(data, shard="2/2")
    counts.reset()
    again = toy(data, shard="2/2")
    assert (again.computed, again.reused, counts.passes) == (0, N - BATCH, 0)
    assert again.files == first.files


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/99", "x/y"])
def test_a_shard_that_is_none_is_refused(data, counts, shard):
    with pytest.raises(UsageError, match="shard"):
        toy(data, shard=shard)
