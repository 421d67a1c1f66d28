"""Near-duplicates: every pair of one picture and no other, whatever the size of what is compared at once."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from featx import near_duplicates
from featx.cache.places import Places
from featx.datasets import open_dataset
from featx.datasets.base import Columns
from featx.errors import UsageError
from featx.fingerprints import Fingerprint, fingerprint, take
from featx.folds import join_groups
from featx.images import Source, Stat
from featx.near_duplicates import Pair, find, joined, straddling
from featx.provenance import digest_bytes

RNG = np.random.default_rng(0)
ONE, OTHER = (RNG.integers(-127, 128, 256) for _ in range(2))


def made(phash, spectrum=ONE, content=None):
    """Return a fingerprint of this hash and spectrum, of bytes that are its own."""
    text = "" if spectrum is None else np.asarray(spectrum, dtype=np.int8).tobytes().hex()
    digest = digest_bytes(str(content if content is not None else (phash, text)).encode())
    return Fingerprint(digest, phash, 9, 8, 7, "RGB", "JPEG", "", text)


def names(pairs):
    return [(pair.first, pair.second) for pair in pairs]


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def of(image, kind="PNG", **options):
    data = encoded(image, kind, **options)
    return fingerprint(Source(data, digest_bytes(data), Stat(len(data), 0)))


def textured(seed, size=(200, 150)):
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


# which pairs


def test_a_copy_is_found_however_it_was_saved_and_nothing_else():
    prints = {f"picture {seed}": of(textured(seed)) for seed in range(20)}
    image = textured(7)
    prints["worse"] = of(image, "JPEG", quality=50)
    prints["half"] = of(image.resize((100, 75)), "JPEG", quality=90)
    prints["bright"] = of(ImageEnhance.Brightness(image).enhance(1.1), "JPEG")
    prints["grey"] = of(image.convert("L"))
    family = ["picture 7", "worse", "half", "bright", "grey"]
    expected = {(a, b) for at, a in enumerate(family) for b in family[at + 1 :]}
    assert set(names(find(prints))) == expected


def test_near_hashes_of_unlike_spectra_are_no_pair():
    assert find({"a": made(0b111), "b": made(0b110, OTHER)}) == []


def test_like_spectra_of_far_hashes_are_no_pair():
    far = (1 << 13) - 1
    assert find({"a": made(0), "b": made(far)}) == []
    assert names(find({"a": made(0), "b": made(far)}, max_distance=13)) == [("a", "b")]


def test_a_pair_tells_its_distance_and_correlation():
    near = ONE.copy()
    near[:40] = 0
    (pair,) = find({"a": made(0), "b": made(2**63 + 1, near)}, min_correlation=0.5)
    cosine = ONE @ near / np.linalg.norm(ONE) / np.linalg.norm(near)
    assert pair[:4] == ("a", "b", 2, None) and pair.correlation == pytest.approx(cosine, abs=1e-6)
    assert find({"a": made(0), "b": made(2**63 + 1, near)}, min_correlation=cosine + 1e-5) == []


def test_opposite_spectra_are_no_pair():
    assert find({"a": made(0), "b": made(1, -ONE)}) == []


def test_byte_identical_images_are_no_pair_but_each_is_one_with_a_copy():
    prints = {"a": made(0, content="x"), "b": made(0, content="x"), "copy": made(1, content="y")}
    assert names(find(prints)) == [("a", "copy"), ("b", "copy")]


def test_flat_pictures_pair_with_nothing_not_even_with_each_other():
    greys = {f"grey {level}": of(Image.new("L", (60, 40), level)) for level in (0, 3, 128, 255)}
    noise = RNG.integers(126, 131, (4, 90, 90), dtype=np.uint8)
    greys |= {f"noise {at}": of(Image.fromarray(pixels)) for at, pixels in enumerate(noise)}
    assert len({one.sha256 for one in greys.values()}) == 8
    assert find(greys, features=np.ones((8, 3)), ids=list(greys)) == []


def test_of_nothing_come_no_pairs():
    assert find({}) == find({"a": made(1)}) == find({"a": made(1, None)}) == []
    assert find({}, features=np.ones((0, 4)), ids=[]) == []
    assert names(find({"a": made(1), "b": made(2)}, features=np.ones((0, 4)), ids=[])) == [("a", "b")]


def test_the_nearest_come_first_whatever_the_order_of_the_images():
    prints = {"c": made(0), "b": made(0b1), "a": made(0b111)}
    assert [pair.distance for pair in find(prints)] == [1, 2, 3]
    turned = find(dict(reversed(prints.items())))
    assert [pair.distance for pair in turned] == [1, 2, 3]
    assert [set(pair) for pair in names(turned)] == [set(pair) for pair in names(find(prints))]
    assert names(find(prints))[0] == ("c", "b") and names(turned)[0] == ("b", "c")


def test_of_equal_distances_the_likest_spectra_come_first():
    worse = ONE.copy()
    worse[:3] = 0
    prints = {"a": made(0), "b": made(1, worse), "c": made(2)}
    assert names(find(prints, min_correlation=0.9))[:2] == [("a", "c"), ("a", "b")]


@pytest.mark.parametrize("bits", [-1, 65])
def test_a_distance_beyond_the_hash_is_a_usage_error(bits):
    with pytest.raises(UsageError, match="from 0 to 64"):
        find({}, max_distance=bits)


@settings(deadline=None, max_examples=80)
@given(
    hashes=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 31), max_size=12),
    tile=st.integers(1, 13),
    sparse=st.sampled_from([0, 4, 10**9]),
    most=st.integers(0, 64),
    seed=st.integers(0, 99),
)
def test_pairs_are_those_of_a_comparison_one_by_one(hashes, tile, sparse, most, seed):
    rng = np.random.default_rng(seed)
    spectra = rng.integers(-127, 128, (3, 256))
    prints = {f"i{at}": made(each, spectra[rng.integers(3)], content=rng.integers(9)) for at, each in enumerate(hashes)}
    ids = [name for name in prints if rng.random() < 0.8]
    features = rng.normal(size=(len(ids), 2))
    expected = {}
    for at, first in enumerate(prints):
        for second in list(prints)[at + 1 :]:
            a, b = prints[first], prints[second]
            distance = bin(a.phash ^ b.phash).count("1")
            cosine = None
            if first in ids and second in ids:
                x, y = features[ids.index(first)], features[ids.index(second)]
                cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
            confirmed = a.spectrum == b.spectrum or (cosine is not None and cosine >= 0.9)
            if distance <= most and a.sha256 != b.sha256 and confirmed:
                expected[first, second] = (distance, cosine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "TILE", tile)
        patch.setattr(near_duplicates, "SPARSE", sparse)
        found = find(prints, features=features, ids=ids, max_distance=most, min_cosine=0.9)
    assert {(pair.first, pair.second): pair.distance for pair in found} == {
        both: distance for both, (distance, _) in expected.items()
    }
    for pair in found:
        assert pair.cosine == pytest.approx(expected[pair.first, pair.second][1], abs=1e-5)


def test_no_more_is_held_at_once_than_a_tile(monkeypatch):
    monkeypatch.setattr(near_duplicates, "TILE", 10)
    shapes = []
    distances = near_duplicates._distances
    monkeypatch.setattr(near_duplicates, "_distances", lambda a, b: shapes.append((len(a), len(b))) or distances(a, b))
    find({f"i{at}": made(int(each)) for at, each in enumerate(RNG.integers(0, 2**63, 35))})
    assert len(shapes) == 10 and max(shapes) == (10, 10)  # four sides: the ten tiles on and above the diagonal


# features


def test_features_confirm_a_near_hash_that_spectra_do_not():
    prints = {"a": made(0), "b": made(1, OTHER), "c": made(3, -OTHER)}
    features = np.array([[3.0, 4.0], [4.0, 3.0], [-4.0, 3.0]])
    (pair,) = find(prints, features=features, ids=["a", "b", "c"], min_cosine=0.95)
    assert names([pair]) == [("a", "b")] and pair.cosine == pytest.approx(24 / 25)
    assert find(prints, features=features, ids=["a", "b", "c"], min_cosine=0.97) == []


def test_features_confirm_no_far_hash():
    assert find({"a": made(0), "b": made((1 << 20) - 1, OTHER)}, features=np.ones((2, 3)), ids=["a", "b"]) == []


def test_unlike_features_take_no_pair_away_that_spectra_confirm():
    (pair,) = find({"a": made(0), "b": made(1)}, features=np.eye(2), ids=["a", "b"])
    assert pair.cosine == pytest.approx(0)


@pytest.mark.parametrize("row", [[np.nan, 1.0], [0.0, 0.0], [np.inf, 1.0]])
def test_a_row_without_features_confirms_nothing(row):
    features = np.array([[1.0, 1.0], row])
    assert find({"a": made(0), "b": made(1, OTHER)}, features=features, ids=["a", "b"]) == []
    (pair,) = find({"a": made(0), "b": made(1)}, features=features, ids=["a", "b"])
    assert pair.cosine is None


def test_rows_are_found_by_id_and_strangers_are_no_matter():
    prints = {"b": made(0), "no row": made(1, OTHER), "a": made(2, -OTHER)}
    features = np.array([[9.0, 1.0], [1.0, 0.0], [1.0, 0.05]], dtype=np.float16)
    (pair,) = find(prints, features=features, ids=["stranger", "a", "b"])
    assert names([pair]) == [("b", "a")]


@pytest.mark.parametrize("features", [np.ones((3, 2)), np.ones(2), np.ones((2, 2, 2))])
def test_features_that_do_not_fit_their_ids_are_refused(features):
    with pytest.raises(UsageError, match="with 2 ids"):
        find({"a": made(0)}, features=features, ids=["a", "b"])


def many(count):
    hashes = np.random.default_rng(5).integers(0, 2**64, count, dtype=np.uint64)
    return {f"i{at}": made(int(each), RNG.integers(-127, 128, 256)) for at, each in enumerate(hashes)}


def test_features_that_call_everything_alike_are_refused_and_told_why():
    prints = many(120)
    alike = 1 + 0.01 * np.random.default_rng(6).normal(size=(120, 8))
    with pytest.raises(UsageError, match=r"100% of the pairs .* nothing alike a cosine of 0.97.*higher min_cosine"):
        find(prints, features=alike, ids=list(prints))
    assert find(prints, features=alike, ids=list(prints), min_cosine=0.99999) == []


def test_features_that_tell_images_apart_are_not_refused_for_a_few_that_they_do_not():
    prints = many(120)
    features = np.random.default_rng(7).normal(size=(120, 8))
    features[1] = features[0]
    assert find(prints, features=features, ids=list(prints)) == []


def test_few_images_are_no_evidence_against_features():
    prints = many(10)
    assert find(prints, features=np.ones((10, 4)), ids=list(prints)) == []


# groups


PAIRS = [Pair("a", "b", 1, None, 1.0), Pair("b", "c", 2, None, 1.0), Pair("d", "e", 3, None, 1.0)]


def test_straddling_pairs_are_those_of_two_groups():
    assert straddling(PAIRS, {"a": "g", "b": "g", "c": "h", "d": "i", "e": "j"}) == PAIRS[1:]
    assert straddling(PAIRS, dict.fromkeys("abcde", "g")) == []


def test_a_pair_with_a_sample_of_no_group_is_not_asked_about():
    assert straddling(PAIRS, {"a": "g", "b": "h", "d": "i"}) == PAIRS[:1]
    assert joined(["g", "h", "i"], ["a", "b", "d"], PAIRS) == ["g", "g", "i"]


def test_joined_groups_carry_the_name_that_sorts_first():
    groups = ["z", "y", "x", "m", "n", "z"]
    assert joined(groups, list("abcdef"), PAIRS) == ["x", "x", "x", "m", "m", "x"]


def test_without_pairs_groups_stay():
    assert joined(["b", "a"], ["1", "2"], []) == ["b", "a"]
    assert joined([], [], PAIRS) == []


@settings(deadline=None)
@given(
    groups=st.lists(st.sampled_from("stuvwxyz"), min_size=1, max_size=12),
    shared=st.lists(st.integers(0, 5), max_size=12),
)
def test_pairs_of_equal_images_join_as_equal_digests_do(groups, shared):
    digests = [str(value) for value in shared[: len(groups)]] + [""] * max(0, len(groups) - len(shared))
    ids = [f"i{at}" for at in range(len(groups))]
    pairs = [
        Pair(ids[at], ids[of], 0, None, 1.0)
        for at in range(len(ids))
        for of in range(at)
        if digests[at] and digests[at] == digests[of]
    ]
    assert joined(groups, ids, pairs) == join_groups(groups, digests)


# real images


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "adapter", "label"),
    [
        ("isic2018_subset", "ham10000", None),
        ("idrid_subset", "csv", "retinopathy_grade"),
        ("chest_xray_subset/labels.csv", "csv", None),
    ],
)
def test_of_real_images_the_copies_are_found_and_no_pair_of_two_pictures(real, tmp_path, folder, adapter, label):
    dataset = open_dataset(real / "data" / folder, adapter=adapter, columns=Columns(label=label))
    some = replace(dataset, samples=dataset.samples[::2])
    prints = take(some, places=Places(tmp_path)).of
    copied = some.samples[::20]
    for sample in copied:
        with Image.open(some.root / sample.path) as image:
            small = image.convert("RGB").resize((image.width // 2, image.height // 2))
        prints[f"half of {sample.id}"] = of(small, "JPEG", quality=60)
    twins = {one.sha256: name for name, one in prints.items()}
    found = {(twins[prints[pair.first].sha256], pair.second) for pair in find(prints)}
    assert found == {(twins[prints[sample.id].sha256], f"half of {sample.id}") for sample in copied}
