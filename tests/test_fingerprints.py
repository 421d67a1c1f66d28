"""Fingerprints: true to the file, blind to how it was saved, remembered only for as long as the file is the same."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from featx import fingerprints, images
from featx.cache.places import Places
from featx.datasets import Dataset, Sample, open_dataset
from featx.datasets.base import Columns
from featx.errors import ImageError
from featx.fingerprints import Fingerprint, fingerprint, take
from featx.images import Source, Stat
from featx.provenance import digest_bytes, digest_json


def textured(seed, size=(200, 150)):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (*coarse.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def of(data):
    return fingerprint(Source(data, digest_bytes(data), Stat(len(data), 0)))


def apart(one, other):
    return (one.phash ^ other.phash).bit_count()


def likeness(one, other):
    a, b = (np.frombuffer(bytes.fromhex(each.spectrum), np.int8).astype(float) for each in (one, other))
    return a @ b / np.sqrt((a @ a) * (b @ b))


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def dataset(root, *names, name="set"):
    return Dataset(
        name, "folder", root, tuple(Sample(each.partition(".")[0], each, "nv", each, each) for each in names)
    )


@pytest.fixture
def three(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for seed, name in enumerate(("a.jpg", "b.jpg", "c.png")):
        (root / name).write_bytes(encoded(textured(seed), "PNG" if name.endswith("png") else "JPEG"))
    return dataset(root, "a.jpg", "b.jpg", "c.png")


@pytest.fixture
def opened(monkeypatch):
    names = []

    def reading(path):
        names.append(path.name)
        return images.read(path)

    monkeypatch.setattr(fingerprints, "read", reading)
    return names


# what a file is


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [("RGB", "JPEG", "RGB"), ("L", "JPEG", "L"), ("CMYK", "JPEG", "CMYK"), ("P", "PNG", "P")],
)
def test_size_mode_and_format_are_those_of_the_file(mode, kind, expected):
    data = encoded(textured(1).convert(mode), kind)
    found = of(data)
    assert (found.bytes, found.width, found.height) == (len(data), 200, 150)
    assert (found.mode, found.format, found.camera) == (expected, kind, "")
    assert found.sha256 == digest_bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_camera_is_make_model_and_software_without_what_cannot_be_printed(kind):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon\x07 ", "EOS\n5D", "x" * 500
    found = of(encoded(textured(1), kind, exif=exif))
    assert found.camera == ("Canon, EOS5D, " + "x" * 500)[:200]


def test_a_camera_that_only_says_its_model_has_no_empty_words():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "\0\0", "DermLite"
    assert of(encoded(textured(1), "JPEG", exif=exif)).camera == "DermLite"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
def test_a_damaged_exif_block_leaves_the_fingerprint(exif):
    sound, damaged = of(encoded(textured(1), "JPEG")), of(encoded(textured(1), "JPEG", exif=exif))
    assert damaged.camera == ""
    assert apart(sound, damaged) <= 2 and likeness(sound, damaged) > 0.999


def test_a_png_is_decoded_once_to_look_for_exif(monkeypatch):
    from PIL import PngImagePlugin

    loads = []
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_end", lambda image: loads.append(image))
    of(encoded(textured(1)))
    assert len(loads) == 1


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_size_is_as_stored_and_the_hash_of_the_upright_picture(kind, orientation):
    from PIL import ImageOps

    stored = encoded(textured(2), kind, exif=turned(orientation))
    upright = encoded(ImageOps.exif_transpose(Image.open(io.BytesIO(stored))))
    found = of(stored)
    assert (found.width, found.height) == (200, 150)
    assert apart(found, of(upright)) <= 2 and likeness(found, of(upright)) > 0.999


def test_a_format_that_only_the_decoder_knows_is_taken_as_decoded(monkeypatch):
    monkeypatch.setattr(fingerprints, "decode", lambda data: textured(3))
    found = of(b"\0" * 128 + b"some other format")
    assert (found.width, found.height, found.mode, found.format) == (200, 150, "RGB", "")
    assert found.phash == of(encoded(textured(3))).phash


# the hash and the spectrum


def cosine_transform(n):
    k, x = np.mgrid[:n, :n]
    matrix = np.sqrt(2 / n) * np.cos(np.pi * k * (2 * x + 1) / (2 * n))
    matrix[0] /= np.sqrt(2)
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_hash_and_spectrum_are_those_of_a_transform_by_hand(seed):
    grey = np.asarray(textured(seed, (32, 32)).convert("L"))
    matrix = cosine_transform(32)
    by_hand = np.round(matrix @ grey @ matrix.T, 3)
    low = by_hand[:8, :8].ravel()
    median = sorted(low[1:])[31]
    bits = "0" + "".join(str(int(value > median)) for value in low[1:])
    found = of(encoded(Image.fromarray(grey)))
    assert f"{found.phash:064b}" == bits and bits.count("1") == 31
    weighted = np.array([[by_hand[u, v] * (u * u + v * v) ** 0.5 for v in range(16)] for u in range(16)])
    expected = np.rint(weighted * 127 / np.abs(weighted).max())
    np.testing.assert_array_equal(np.frombuffer(bytes.fromhex(found.spectrum), np.int8).reshape(16, 16), expected)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), way=st.sampled_from(["q90", "q50", "half", "double", "bright", "dark", "grey"]))
def test_a_picture_that_is_saved_again_is_known_again(seed, way):
    image = textured(seed)
    copy = {
        "half": lambda: image.resize((100, 75), Image.Resampling.BICUBIC),
        "double": lambda: image.resize((400, 300), Image.Resampling.BICUBIC),
        "bright": lambda: ImageEnhance.Brightness(image).enhance(1.1),
        "dark": lambda: ImageEnhance.Brightness(image).enhance(0.9),
        "grey": lambda: image.convert("L"),
    }.get(way, lambda: image)()
    one, other = of(encoded(image)), of(encoded(copy, "JPEG", quality=50 if way == "q50" else 90))
    assert apart(one, other) <= 4
    assert likeness(one, other) > 0.99


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_another_picture_is_another(seed):
    one, other = of(encoded(textured(seed))), of(encoded(textured(seed + 1)))
    assert apart(one, other) > 12 and likeness(one, other) < 0.9


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_flat_picture_has_neither_hash_nor_spectrum(grey, kind):
    found = of(encoded(Image.new("RGB", (90, 70), (grey, grey, grey)), kind))
    assert (found.phash, found.spectrum) == (0, "")


def test_noise_around_one_grey_is_flat():
    noise = np.random.default_rng(0).integers(126, 131, (200, 200), dtype=np.uint8)
    assert of(encoded(Image.fromarray(noise))).spectrum == ""


@pytest.mark.parametrize("seed", range(3))
def test_frequencies_that_a_picture_does_not_have_are_no_bits(seed):
    quarter = np.random.default_rng(seed).integers(0, 256, (80, 80), dtype=np.uint8)
    mirrored = np.block([[quarter, quarter[:, ::-1]], [quarter[::-1], quarter[::-1, ::-1]]])
    found = of(encoded(Image.fromarray(mirrored)))
    bits = np.array(list(f"{found.phash:064b}")).reshape(8, 8)
    assert "1" in bits[::2, ::2]
    assert "1" not in bits[1::2] and "1" not in bits[:, 1::2]


def test_means_over_pixels_are_not_rounded_to_grey_levels():
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    means = grey.reshape(32, 2, 32, 2).mean((1, 3))
    matrix = cosine_transform(32)
    found = fingerprints.transformed(Image.fromarray(grey))
    np.testing.assert_allclose(found, matrix @ means @ matrix.T, atol=6e-4)


def test_a_tiny_picture_has_a_fingerprint():
    assert of(encoded(Image.new("L", (1, 1), 7))).spectrum == ""
    assert of(encoded(textured(1, (3, 2)))).spectrum


# refusals


def test_a_jpeg_is_decoded_small_and_never_in_full(monkeypatch):
    monkeypatch.setattr(fingerprints, "decode", lambda _: pytest.fail("the whole was decoded"))
    sizes = []
    monkeypatch.setattr(fingerprints, "transformed", lambda picture: sizes.append(picture.size) or np.zeros((32, 32)))
    of(encoded(textured(1, (1200, 900)), "JPEG"))
    assert sizes == [(300, 225)]


@pytest.mark.parametrize("cut", [lambda data: data[:-2], lambda data: data[: len(data) // 2]])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_refused_as_the_decoder_refuses_it(kind, cut):
    data = cut(encoded(textured(1), kind))
    reasons = []
    for function in (images.decode, of):
        try:
            function(data)
        except ImageError as error:
            reasons.append(str(error))
        else:
            reasons.append("")
    assert reasons[0] == reasons[1]
    assert kind == "PNG" or "truncated" in reasons[0]


@pytest.mark.parametrize(
    "data", [b"<html></html>", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ImageError, match="not_an_image"):
        of(data)


def test_the_pixel_limit_holds_for_jpegs_before_a_pixel_is_decoded(monkeypatch):
    data = encoded(textured(1), "JPEG")
    monkeypatch.setattr(images, "MAX_PIXELS", 200 * 150 - 1)
    monkeypatch.setattr(fingerprints, "MAX_PIXELS", 200 * 150 - 1)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("pixels were decoded"))
    with pytest.raises(ImageError, match="too_many_pixels"):
        of(data)


def test_floating_point_pixels_are_refused_as_everywhere():
    with pytest.raises(ImageError, match="unsupported_mode"):
        of(encoded(Image.new("F", (40, 40)), "TIFF"))


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255), kind=st.sampled_from(["JPEG", "PNG", "GIF"]))
def test_a_flipped_byte_gives_a_fingerprint_or_an_image_error(at, value, kind):
    data = bytearray(encoded(textured(4, (40, 30)), kind))
    data[at % len(data)] = value
    try:
        assert isinstance(of(bytes(data)), Fingerprint)
    except ImageError as error:
        assert error.reason.isidentifier()


# a whole dataset


def test_every_sample_has_a_fingerprint_or_a_reason(three, tmp_path):
    (three.root / "b.jpg").write_bytes((three.root / "b.jpg").read_bytes()[:500])
    whole = dataset(three.root, "a.jpg", "b.jpg", "c.png", "gone.png")
    found = take(whole, places=Places(tmp_path / "cache"))
    assert list(found.of) == ["a", "c"] and list(found.failed) == ["b", "gone"]
    assert found.failed["b"].startswith("truncated") and found.failed["gone"].startswith("missing")
    assert found.of["a"] == fingerprint(images.read(three.root / "a.jpg"))


def test_two_samples_of_one_file_open_it_once(three, tmp_path, opened):
    twice = Dataset("set", "csv", three.root, tuple(Sample(name, "a.jpg", "nv", name, name) for name in "xy"))
    found = take(twice, places=Places(tmp_path / "cache"))
    assert found.of["x"] == found.of["y"] and opened == ["a.jpg"]


@pytest.mark.parametrize("jobs", [1, 3])
def test_threads_change_nothing(three, tmp_path, jobs):
    assert take(three, places=Places(tmp_path / str(jobs)), jobs=jobs) == take(three, places=Places(tmp_path / "b"))


def test_an_unchanged_file_is_not_opened_again(three, tmp_path, opened):
    places = Places(tmp_path / "cache")
    first = take(three, places=places)
    before = places.fingerprints("set").stat().st_ino
    told = []
    assert take(three, places=places, on_progress=lambda *at: told.append(at)) == first
    assert sorted(opened) == ["a.jpg", "b.jpg", "c.png"] and told == []
    assert places.fingerprints("set").stat().st_ino == before


@pytest.mark.parametrize("change", ["size", "time"])
def test_only_the_file_that_changed_is_opened_and_told_of(three, tmp_path, opened, change):
    places = Places(tmp_path / "cache")
    first = take(three, places=places)
    opened.clear()
    path = three.root / "b.jpg"
    stat = path.stat()
    if change == "size":
        path.write_bytes(encoded(textured(9), "JPEG"))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    told = []
    second = take(three, places=places, on_progress=lambda *at: told.append(at))
    assert opened == ["b.jpg"] and told == [(1, 1)]
    assert (first.of["b"] == second.of["b"]) == (change == "time")
    assert (first.of["a"], first.of["c"]) == (second.of["a"], second.of["c"])


def test_a_file_that_broke_is_not_served_from_memory_and_one_that_was_mended_is_read(three, tmp_path):
    places = Places(tmp_path / "cache")
    first = take(three, places=places)
    sound = (three.root / "b.jpg").read_bytes()
    (three.root / "b.jpg").write_bytes(sound[:600])
    broken = take(three, places=places)
    assert list(broken.failed) == ["b"] and "b" not in broken.of
    (three.root / "b.jpg").write_bytes(sound)
    assert take(three, places=places) == first


def flipped(text):
    at = text.index('"L"' if '"L"' in text else '"RGB"') + 1
    return text[:at] + "X" + text[at + 1 :]


def other_rules(text):
    value = json.loads(text)
    value["rules"][0] += 1
    return json.dumps(value)


def another_shape(text):
    files = {name: row[:4] for name, row in json.loads(text)["files"].items()}
    return json.dumps({**json.loads(text), "files": files, "digest": digest_json(files)})


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "null",
        lambda _: "[]",
        lambda _: '{"files": 3}',
        lambda _: "[" * 100_000,
        lambda _: "\udcff",
        lambda text: text[:-20],
        flipped,
        other_rules,
        another_shape,
        lambda text: text.replace("featx-fingerprints", "featx-folds"),
    ],
)
def test_a_damaged_or_older_memory_is_made_again(three, tmp_path, opened, damage):
    places = Places(tmp_path / "cache")
    first = take(three, places=places)
    memo = places.fingerprints("set")
    whole = memo.read_bytes()
    memo.write_bytes(damage(whole.decode()).encode(errors="surrogateescape"))
    opened.clear()
    assert take(three, places=places) == first
    assert sorted(opened) == ["a.jpg", "b.jpg", "c.png"]
    assert memo.read_bytes() == whole


def test_other_rules_of_decoding_are_other_fingerprints(three, tmp_path, opened, monkeypatch):
    places = Places(tmp_path / "cache")
    take(three, places=places)
    monkeypatch.setattr(fingerprints, "DECODE_RULES", fingerprints.DECODE_RULES + 1)
    opened.clear()
    take(three, places=places)
    assert len(opened) == 3


def test_a_part_of_a_dataset_leaves_the_rest_remembered(three, tmp_path, opened):
    places = Places(tmp_path / "cache")
    take(dataset(three.root, "a.jpg", "b.jpg"), places=places)
    take(dataset(three.root, "c.png"), places=places)
    opened.clear()
    take(three, places=places)
    assert opened == []


def test_a_place_that_cannot_be_written_costs_the_memory_only(three, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(take(three, places=Places(tmp_path / "cache")).of) == 3


def test_any_name_of_a_file_is_remembered(three, tmp_path, opened):
    name = os.fsdecode(b"bad\xff \n<script>.jpg")
    shutil.copy(three.root / "a.jpg", three.root / name)
    odd = dataset(three.root, name)
    first = take(odd, places=Places(tmp_path / "cache"))
    assert len(first.of) == 1
    opened.clear()
    assert take(odd, places=Places(tmp_path / "cache")) == first and opened == []


# real images


@pytest.mark.data
def test_byte_identical_fundus_images_and_the_modes_of_chest_x_rays_are_seen(real, tmp_path):
    fundus = open_dataset(real / "data" / "idrid_subset", adapter="csv", columns=Columns(label="retinopathy_grade"))
    found = take(fundus, places=Places(tmp_path))
    assert len(found.of) == 413 and not found.failed
    assert len({one.sha256 for one in found.of.values()}) == 408
    chest = take(
        open_dataset(real / "data" / "chest_xray_subset" / "labels.csv", adapter="csv"), places=Places(tmp_path)
    )
    modes = [one.mode for one in chest.of.values()]
    assert (modes.count("RGB"), modes.count("L")) == (119, 480)


def test_files_of_the_same_bytes_and_another_time_are_remembered_without_being_opened(three, tmp_path, monkeypatch):
    places = Places(tmp_path / "cache")
    first = take(three, places=places)
    for name in ("a.jpg", "b.jpg"):
        os.utime(three.root / name, (1, 1))
    sources = {name: images.read(three.root / name)._replace(data=b"") for name in ("a.jpg", "b.jpg")}
    sources["b.jpg"] = sources["b.jpg"]._replace(sha256="0" * 64)  # as if other bytes were there now
    fingerprints.restamp(three, sources, places=places)
    opened, look = [], fingerprints._look
    monkeypatch.setattr(fingerprints, "_look", lambda path: opened.append(path.name) or look(path))
    assert take(three, places=places) == first and opened == ["b.jpg"]
