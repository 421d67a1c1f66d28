"""Raw pixels as features: whole numbers from the image to the tree, a byte each, and old files are read as ever."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.backbones import BACKBONES
from featx.cache import OK, RECORD, FeatureFile, FeatureWriter, key_of, new_record
from featx.classifiers import CLASSIFIERS, accelerated, judge, scale_of
from featx.cli import main
from featx.comparison import compare
from featx.errors import CacheDamaged, CacheError
from featx.extraction import extract
from featx.matrix import load_features, read_features
from featx.predictor import Predictor
from featx.predictor.saving import save_evaluated

SIDE, N = 7, 12
HERE = {"isolate": False, "device": "cpu"}
TREES = ("tree", "rf")
ACCELERATE = ("none", "numba")


@pytest.fixture
def data(tmp_path):
    """A folder of pictures whose class can be seen in their pixels."""
    rng = np.random.default_rng(0)
    for row in range(N):
        kind = row % 2
        path = tmp_path / "skin" / ("nv", "mel")[kind] / f"{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((rng.integers(0, 160, (20, 24, 3)) + 12 * kind).astype(np.uint8)).save(path)
    return tmp_path / "skin"


def pixels_of(data, tmp_path, **options):
    about = {"size": SIDE, "cache": tmp_path / "cache", "runtime": "torch", **HERE, **options}
    (path,) = extract(data, backbone="pixels", **about).files
    return path


def resized(data, name):
    return np.asarray(Image.open(data / name).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


# ---- extraction


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_they_are_the_resized_image_to_the_bit_whatever_computes(data, tmp_path, runtime, precision):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    path = pixels_of(data, tmp_path, runtime=runtime, precision=precision)
    with FeatureFile.open(path) as file:
        assert (file.dtype, file.spec["stored"], file.spec["normalise"]["name"]) == ("uint8", "uint8", "0..255")
        assert file.spec["precision"] == ("bf16" if precision == "bf16" else "fp32")
        assert path.stat().st_size < file.n * file.dim + 60_000
        for row, name in zip(file.load(), file.paths, strict=True):
            assert np.array_equal(row.reshape(SIDE, SIDE, 3), resized(data, name))


@pytest.mark.parametrize("normalise", ["unit", "imagenet", "-1..1"])
def test_under_another_normalisation_they_are_floats(data, tmp_path, normalise):
    path = pixels_of(data, tmp_path, normalise=normalise)
    with FeatureFile.open(path) as file:
        assert (file.dtype, file.spec["stored"]) == ("float32", "float32")
        if normalise == "unit":
            np.testing.assert_allclose(file.load()[0].reshape(SIDE, SIDE, 3), resized(data, file.paths[0]) / 255,
                                       atol=1e-6)  # fmt: skip


def test_files_of_pixels_in_0_to_1_keep_the_key_that_they_had():
    """So that they are found, and not computed again, under ``--normalise unit``."""
    backbone = BACKBONES["pixels"]
    assert backbone.code_version == 1 and backbone.stored_under("unit") == "float32"
    assert BACKBONES["vgg16"].stored_under(BACKBONES["vgg16"].normalise) == "float32"


def test_an_image_that_fails_is_no_row_of_zeros_to_anyone(data, tmp_path):
    (data / "nv" / "02.png").write_bytes(b"no picture")
    path = pixels_of(data, tmp_path, max_failures=0.5)
    found = read_features(path)
    failed = [sample.path for sample in found.dataset.samples].index("nv/02.png")
    assert not found.usable[failed] and found.usable.sum() == N - 1 and not found.X[failed].any()
    loaded = load_features(path)
    assert len(loaded.X) == N - 1 and loaded.X.dtype == np.uint8 and loaded.X.any(1).all()


def test_shards_are_merged_to_the_same_bytes(data, tmp_path):
    from featx.cache.merging import merge

    whole = pixels_of(data, tmp_path)
    about = {"cache": tmp_path / "other", "batch_size": 2}
    shards = [pixels_of(data, tmp_path, shard=f"{number}/2", **about) for number in (1, 2)]
    assert np.array_equal(load_features(merge(shards).path).X, load_features(whole).X)


# ---- the cache


def written(path, rows, *, records=None, paths=None, finish=True):
    rows = np.asarray(rows)
    names = paths or [f"{row}.jpg" for row in range(len(rows))]
    about = {"spec": {"layer": "pixels"}, "paths": names, "table": "[]", "dim": rows.shape[1], "env": {}}
    with FeatureWriter.open_or_create(path, dtype="uint8", **about) as file:
        records = np.array([new_record(status=OK)] * len(rows), RECORD) if records is None else records
        file.write(np.arange(len(rows)), rows, records)
        if finish:
            file.finish()
    return path


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_whole_numbers_come_back_as_they_were(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 9)))
    seed = data.draw(st.integers(0, 999))
    rows = np.random.default_rng(seed).integers(0, 256, shape).astype(data.draw(st.sampled_from(["u1", "f4", "i8"])))
    path = written(tmp_path_factory.mktemp("u") / "a.h5", rows)
    with FeatureFile.open(path) as file:
        assert file.complete and file.valid().all() and file.load().dtype == np.uint8
        assert np.array_equal(file.load(), rows)
    with h5py.File(path) as plain:
        assert np.array_equal(plain["features"][()], rows)


@pytest.mark.parametrize("wrong", [3.5, 256.0, -1.0, np.nan, np.inf, 1e30])
def test_what_is_no_such_number_is_refused(tmp_path, wrong):
    rows = np.ones((3, 4), np.float32)
    rows[1, 2] = wrong
    with pytest.raises(CacheError, match=r"1 row: 1 \(1.jpg\) are not whole numbers from 0 to 255 as uint8"):
        written(tmp_path / "a.h5", rows)


def test_rows_that_were_not_written_are_pending_though_they_are_zeros(tmp_path):
    path = written(tmp_path / "a.h5", np.zeros((3, 4)), finish=False)
    with FeatureWriter.open(path) as file:
        file.renew(paths=["0.jpg", "new.jpg", "2.jpg"], table="[]", env={})
        assert file.valid().tolist() == [True, False, True]
        assert file.never_written().tolist() == [False, True, False]


def test_a_changed_pixel_is_found(tmp_path):
    path = written(tmp_path / "a.h5", np.arange(40).reshape(4, 10))
    with FeatureFile.open(path) as file:
        place = file.head.offsets["features"] + 13
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with FeatureFile.open(path) as file, pytest.raises(CacheDamaged, match=r"1 \(1.jpg\)"):
        file.load()


def test_features_of_one_kind_do_not_go_into_a_file_of_another(tmp_path):
    assert key_of({"stored": "uint8"}) != key_of({"stored": "float32"})
    path = written(tmp_path / "a.h5", np.zeros((2, 3)))
    about = {"spec": {"layer": "pixels"}, "paths": ["0.jpg", "1.jpg"], "table": "[]", "dim": 3, "env": {}}
    with pytest.raises(CacheError, match="as uint8, not 3 as float32"):
        FeatureWriter.open_or_create(path, dtype="float32", **about)


# ---- trees


def rows_of(n=90, d=40, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (n, d)).astype(np.uint8)
    y = np.arange(n) % classes
    X[:, 0] = np.clip(X[:, 0] // 3 + 60 * y, 0, 255)
    return X, y, [str(row) for row in range(n)]


@pytest.mark.parametrize("accelerate", ACCELERATE)
@pytest.mark.parametrize("name", TREES)
def test_bytes_are_judged_as_the_same_numbers_as_floats(name, accelerate):
    (classifier,) = accelerated([CLASSIFIERS[name]], accelerate)
    X, y, groups = rows_of()
    params = {"n_estimators": 8} if name == "rf" else {}
    told = [
        judge(classifier, rows[:60], y=y[:60], groups=groups[:60], X_test=rows[60:], params=params, scale=scale)
        for rows, scale in ((X, None), (X.astype(np.float32), "none"), (X, "standard"))
    ]
    assert np.array_equal(told[0].scores, told[1].scores) and np.array_equal(told[0].scores, told[2].scores)
    assert told[0].chosen == told[1].chosen and told[0].scores.std() > 0.1


def test_only_what_goes_by_order_leaves_whole_numbers_unscaled():
    X = np.zeros((2, 2), np.uint8)
    assert [scale_of(CLASSIFIERS[name], None, X) for name in ("rf", "tree", "svm", "knn")] == [
        "none",
        "none",
        "l2",
        "l2",
    ]
    assert scale_of(CLASSIFIERS["rf"], None, X.astype(np.float32)) == "standard"
    assert scale_of(CLASSIFIERS["svm"], "standard", X) == "standard"


@pytest.mark.parametrize("name", TREES)
def test_no_copy_of_pixels_as_floats_is_made(name):
    """A tree on n rows asks for what it keeps of them: bytes. As float32 they would be four times that."""
    (classifier,) = accelerated([CLASSIFIERS[name]], "numba")
    X, y, groups = rows_of(120, 30_000, classes=2)
    params = {"n_estimators": 2} if name == "rf" else {"min_samples_leaf": 20}
    about = {"y": y[:90], "groups": groups[:90], "X_test": X[90:], "params": params}
    judge(classifier, X[:90, :50].copy(), **{**about, "X_test": X[90:, :50].copy()})  # compiled and imported
    tracemalloc.start()
    judge(classifier, X[:90], **about)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.6 * X.nbytes


def test_all_rows_in_their_order_are_no_copy(data, tmp_path):
    found = read_features(pixels_of(data, tmp_path))
    ids = [sample.id for sample in found.dataset.samples]
    assert found.matrix_of(ids) is found.X
    assert np.array_equal(found.matrix_of(ids[::-1]), found.X[::-1]) and len(found.matrix_of(ids[:3])) == 3


# ---- for a user


@pytest.mark.parametrize("accelerate", ACCELERATE)
def test_a_model_on_pixels_says_of_images_what_its_fit_says(data, tmp_path, accelerate):
    path, cache = pixels_of(data, tmp_path), tmp_path / "cache"
    found = compare(path, classifiers=["rf"], designs=["mel-vs-benign"], folds="kfold:2", cache=cache,
                    params=["rf:n_estimators=9"], accelerate=accelerate, near_duplicates="ignore")  # fmt: skip
    save_evaluated(tmp_path / "m.featx", found.run, found.questions, cache=cache)
    model = Predictor.load(tmp_path / "m.featx")
    loaded = load_features(path, "mel-vs-benign")
    told = model.predict([data / sample.path for sample in read_features(path).dataset.samples], isolate=False)
    assert np.array_equal([[one.scores[name] for name in model.classes] for one in told], model.scores(loaded.X))
    assert len(np.unique(model.scores(loaded.X))) > 4
    assert model.header["spec"]["stored"] == "uint8" and model.header["scale"] == "none"


def test_the_commands_as_a_user_gives_them(data, tmp_path):
    run, cache = CliRunner(), ["--cache", str(tmp_path / "cache")]
    made = run.invoke(main, ["extract", str(data), "--backbone", "pixels", "--size", str(SIDE), *cache])
    assert made.exit_code == 0, made.output
    fitted = run.invoke(main, ["compare", "--clf", "tree,rf", "--design", "mel-vs-benign", "--folds", "kfold:2",
                               "--param", "rf:n_estimators=9", "--accelerate", "numba", *cache])  # fmt: skip
    assert fitted.exit_code == 0 and "pixels" in fitted.output, fitted.output
    (path,) = (tmp_path / "cache").glob("*/*.h5")
    assert f"{N} rows x {3 * SIDE**2} features, uint8" in run.invoke(main, ["info", str(path)]).output
    assert run.invoke(main, ["verify", *cache]).exit_code == 0
