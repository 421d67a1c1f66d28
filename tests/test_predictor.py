"""Models that travel: the same scores as the refit, safe files, images in and a table out."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import featx
from featx.classifiers import CLASSIFIERS
from featx.cli import main
from featx.errors import FeatxError, ModelError, UsageError, WeightsUnavailable
from featx.matrix import read_features
from featx.predictor import Predictor, file, listing, refit, scorers
from featx.predictor.far import distances, share_as_far, summary
from featx.predictor.network import Read
from featx.predictor.saving import save_evaluated

ABOUT = {"backbone": "maia-custom2", "weights": "random", "size": 16, "precision": "fp32", "isolate": False}
NAMES = [name for name in CLASSIFIERS if name != "argmax"]
WAYS = [(name, "ovr") for name in NAMES] + [
    (name, "ovo") for name in NAMES if "multiclass" in CLASSIFIERS[name].defaults
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_demo):
    """A folder with features, runs and a model of each classifier."""
    folder = tmp_path_factory.mktemp("models")
    files = featx.extract(tiny_demo, cache=folder / "cache", **ABOUT).files
    for name in ("svm", "rf", "knn", "svm-rbf"):
        params = ["n_estimators=5"] if name == "rf" else []
        run = featx.compare(
            files, classifiers=[name], params=params, folds="kfold:2", cache=folder / "cache", out=folder / name
        )
        inside = {"embed_weights": name == "svm", "cache": folder / "cache"}
        save_evaluated(folder / f"{name}.featx", run.run, run.questions, **inside)
    return folder, files[0], tiny_demo


def rows(classes, seed=0, n=60, d=20):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = (rng.normal(size=(n, d)) + 0.7 * np.eye(classes, d)[y]).astype(np.float32)
    return X, y, [f"g{at // 6}" for at in range(n)]


# ---- scorers


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("name", "multiclass"), WAYS)
def test_our_scores_are_those_of_the_estimator_from_scikit_learn(name, classes, multiclass):
    classifier = CLASSIFIERS[name]
    X, y, _ = rows(classes)
    X, fresh = X.astype(np.float64), rows(classes, seed=1)[0].astype(np.float64)
    params = {**classifier.defaults, **({"multiclass": multiclass} if "multiclass" in classifier.defaults else {})}
    if name == "rf":
        params["n_estimators"] = 7
    if classes == 2 and "multiclass" in params:
        params["multiclass"] = "ovr"
    estimator = classifier.build(seed=0, **params).fit(X, y)
    arrays = refit._TAKEN[name](estimator, X, y)
    settings = {key: params[key] for key in ("multiclass", "n_neighbors") if key in params}
    own = scorers.scores(name, fresh, arrays=arrays, settings=settings, classes=classes)
    if name == "rf" or not hasattr(estimator, "decision_function") or (name == "logreg" and classes > 2):
        wanted = estimator.predict_proba(fresh)
    else:
        wanted = np.asarray(estimator.decision_function(fresh))
        wanted = np.column_stack([-wanted, wanted]) if wanted.ndim == 1 else wanted
    np.testing.assert_allclose(own, wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("solver", ["auto", "sklearn"])
@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf", "logreg", "tree"])
def test_a_refit_scores_its_rows_as_the_verdict_does(name, solver):
    X, y, groups = rows(3)
    found = refit.refit(CLASSIFIERS[name], X, y=y, groups=groups, params={}, solver=solver)
    scaled = refit.scaled(X.astype(np.float64), X[:0], scale=found.scale)[0]
    own = scorers.scores(name, scaled, arrays=found.fitted, settings=found.settings, classes=3)
    np.testing.assert_allclose(own, found.verdict.scores, atol=1e-9 * max(1, np.abs(own).max()))


def test_a_refit_that_says_something_else_is_refused(monkeypatch):
    X, y, groups = rows(2)
    monkeypatch.setitem(refit._TAKEN, "tree", lambda *_: {**_stump(), "share": np.full((1, 2), 0.5)})
    with pytest.raises(FeatxError, match="otherwise than the fit does"):
        refit.refit(CLASSIFIERS["tree"], X, y=y, groups=groups, params={"min_samples_leaf": 1})


def _stump():
    one = np.zeros(1, dtype=np.int32)
    return {"roots": one, "feature": one - 1, "left": one - 1, "right": one - 1, "threshold": np.zeros(1)}


def test_compiled_forests_are_taken_apart_too():
    pytest.importorskip("numba")
    from featx.classifiers import accelerated

    X, y, groups = rows(2)
    (forest,) = accelerated([CLASSIFIERS["rf"]], "numba")
    found = refit.refit(forest, X, y=y, groups=groups, params={"n_estimators": 3})
    assert len(found.fitted["roots"]) == 3  # and refit itself compares the scores


# ---- far


def test_what_was_moved_away_is_far_and_a_training_row_is_not():
    X, _, groups = rows(2, n=120)
    known = summary(X, groups, seed=0)
    fresh = rows(2, seed=5, n=120)[0]
    assert share_as_far(fresh, known).mean() > 0.3
    assert (share_as_far(fresh + 20, known) == 0).all()
    assert (np.diff(known["distances"]) >= 0).all() and len(known["distances"]) == 120


def test_distance_is_mahalanobis_where_all_components_are_kept(monkeypatch):
    monkeypatch.setattr("featx.predictor.far.COMPONENTS", 4)
    X = np.random.default_rng(0).normal(size=(200, 4)) @ np.diag([1, 2, 3, 4])
    known = summary(X, [str(at) for at in range(200)], seed=0)
    centred = X - X.mean(0)
    wanted = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(X.T)), centred))
    np.testing.assert_allclose(distances(X, known), wanted, rtol=1e-6)


# ---- the file


@pytest.mark.parametrize("name", ["svm", "rf", "knn", "svm-rbf"])
def test_a_saved_model_scores_cached_features_as_its_refit_does(place, name):
    folder, path, _ = place
    features, predictor = read_features(path), Predictor.load(folder / f"{name}.featx")
    X = features.X[features.usable]
    again = Predictor.load(folder / f"{name}.featx")
    assert np.array_equal(predictor.scores(X), again.scores(X))
    assert predictor.header["evaluation"]["folds"] == "kfold:2"
    assert predictor.header["data"]["synthetic"] is True
    assert predictor.scores(X).shape == (len(X), 2)


def test_in_an_empty_folder_images_get_the_very_scores_of_the_refit(place, tmp_path, monkeypatch):
    folder, path, data = place
    features = read_features(path)
    shutil.copy(folder / "svm.featx", tmp_path / "model.featx")
    images = [data / sample.path for sample in features.dataset.samples]
    monkeypatch.chdir(tmp_path)
    found = Predictor.load("model.featx").predict(images, isolate=False)
    wanted = Predictor.load(folder / "svm.featx").scores(features.X)
    assert np.array_equal([list(one.scores.values()) for one in found], wanted)
    assert {one.seen for one in found} == {True, False}  # the design left some diagnoses out


def test_a_network_with_batch_norm_travels_whole(tmp_path, tiny_demo):
    """Its counters of batches are numbers, not arrays, and must come out as they went in."""
    cache, about = tmp_path / "cache", {**ABOUT, "backbone": "mobilenet_v3_small", "size": 32}
    files = featx.extract(tiny_demo, cache=cache, **about).files
    found = featx.compare(files, classifiers=["svm"], params=["C=1"], folds="kfold:2", cache=cache)
    save_evaluated(tmp_path / "m.featx", found.run, found.questions, cache=cache, embed_weights=True)
    predictor, features = Predictor.load(tmp_path / "m.featx"), read_features(files[0])
    images = [features.dataset.root / sample.path for sample in features.dataset.samples]
    got = predictor.predict(images, cache=tmp_path / "elsewhere", isolate=False)
    assert np.array_equal([list(one.scores.values()) for one in got], predictor.scores(features.X))


def test_a_network_that_was_trained_here_travels_with_what_it_has_seen(tmp_path):
    import networks

    data, cache = networks.dataset(tmp_path / "d"), tmp_path / "cache"
    networks.trained(data, cache)
    weights = sorted((cache / "weights").glob("*.safetensors"))[0]
    files = featx.extract(data, cache=cache, **{**ABOUT, "weights": str(weights)}).files
    about = {"designs": [networks.DESIGN], "folds": "kfold:2", "allow_seen": True}
    found = featx.compare(files, classifiers=["svm"], cache=cache, **about)
    save_evaluated(tmp_path / "m.featx", found.run, found.questions, cache=cache, embed_weights=True)
    predictor, features = Predictor.load(tmp_path / "m.featx"), read_features(files[0])
    assert predictor.header["threshold"]["value"] is None and predictor.chain.platt is None  # no honest scores
    images = [features.dataset.root / sample.path for sample in features.dataset.samples]
    got = predictor.predict(images, cache=tmp_path / "elsewhere", isolate=False)
    assert np.array_equal([list(one.scores.values()) for one in got], predictor.scores(features.X))
    assert all(one.seen for one in got)


def test_without_weights_inside_they_are_found_by_digest_or_asked_for(place, tmp_path):
    folder, _, data = place
    images, predictor = sorted(data.rglob("*.jpg"))[:2], Predictor.load(folder / "rf.featx")
    assert len(predictor.predict(images, cache=folder / "cache", isolate=False)) == 2
    with pytest.raises(ModelError, match="other weights"):
        predictor.predict(images, cache=folder / "cache", weights="random:5", isolate=False)
    header = json.loads(json.dumps(predictor.header))
    header["network"]["label"] = "gone"
    file.write(tmp_path / "m.featx", header, file.read(folder / "rf.featx").arrays)
    with pytest.raises(WeightsUnavailable, match="give them by --weights"):
        Predictor.load(tmp_path / "m.featx").predict(images, cache=tmp_path / "empty", isolate=False)


@pytest.mark.parametrize(
    ("part", "entry", "value", "told"),
    [
        ("spec", "code", 99, "version 99"),
        ("transform", "decode", "pillow, rules 1", "decoded by"),
        ("transform", "resize", "crop", None),
    ],
)
def test_another_network_or_decoding_is_refused(place, tmp_path, part, entry, value, told):
    folder, _, data = place
    model = file.read(folder / "rf.featx")
    header = json.loads(json.dumps(model.header))
    (header["spec"] if part == "spec" else header["spec"]["transform"])[entry] = value
    file.write(tmp_path / "m.featx", header, model.arrays)
    predict = Predictor.load(tmp_path / "m.featx").predict
    images = sorted(data.rglob("*.jpg"))[:1]
    if told is None:  # the model says how it wants its images: there is nothing that a user could set otherwise
        assert predict(images, cache=folder / "cache", isolate=False)
        return
    with pytest.raises(ModelError, match=told):
        predict(images, cache=folder / "cache", isolate=False)


def test_pickles_archives_and_other_tensors_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for name, data in {
        "a.featx": pickle.dumps(Evil()),
        "b.joblib": b"anything",
        "c.featx": b"PK\3\4",
        "d.featx": b"",
        "e.featx": to_bytes({"x": np.zeros(3)}),
        "f.featx": (2**62).to_bytes(8, "little") + b"{}",
        "g.featx": (2).to_bytes(8, "little") + b"[[",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError):
            Predictor.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelError, match="no such model"):
        Predictor.load(tmp_path / "none")


@pytest.mark.parametrize("longer", range(0, 256, 8))
def test_no_length_of_a_header_passes_for_a_pickle(place, tmp_path, longer):
    """The first byte of a safetensors file is a length; among 32 lengths, one is what a pickle begins with."""
    model = file.read(place[0] / "knn.featx")
    header = {**model.header, "design": {"told": "x" * longer}}
    file.write(tmp_path / "m.featx", header, model.arrays)
    assert Predictor.load(tmp_path / "m.featx").header["design"] == header["design"]


def test_a_changed_byte_is_found(place, tmp_path):
    data = bytearray((place[0] / "knn.featx").read_bytes())
    data[-100] ^= 1
    (tmp_path / "m.featx").write_bytes(data)
    with pytest.raises(ModelError):
        Predictor.load(tmp_path / "m.featx")


# ---- mutated files, each with a digest that is right


def _mutated(model, rng):
    """Change a model in one to three places, as whoever means ill would, and return header text and arrays."""
    header, arrays = json.loads(json.dumps(model.header)), {k: v.copy() for k, v in model.arrays.items()}
    for _ in range(rng.integers(1, 4)):
        (_mutate_header if rng.random() < 0.4 else _mutate_array)(header, arrays, rng)
    return json.dumps(header), arrays


STRANGE = [None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, float("nan"), "", "x", "../../etc", [], {}, [[]] * 3, "rf"]


def _mutate_header(header, arrays, rng):
    at = header
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        if isinstance(at[key], (dict, list)) and rng.random() < 0.8:
            at = at[key]
            continue
        if isinstance(at, dict) and rng.random() < 0.2:
            del at[key]
        else:
            at[key] = STRANGE[rng.integers(len(STRANGE))]
        return


def _mutate_array(header, arrays, rng):
    names = sorted(arrays)
    if not names:
        return
    name = names[rng.integers(len(names))]
    array, what = arrays[name], rng.integers(7)
    if what == 0:
        del arrays[name]
    elif what == 1:
        arrays[name] = array[: rng.integers(0, len(array) + 1)]
    elif what == 2:
        with np.errstate(all="ignore"):
            arrays[name] = array.astype([np.float32, np.int64, np.int8, np.float16][rng.integers(4)])
    elif what == 3:
        arrays[name] = array.reshape(-1) if rng.random() < 0.5 else array[None]
    elif what == 4:
        arrays[f"{name}x"] = array
    elif array.size:
        arrays[name] = array.copy()
        arrays[name].flat[rng.integers(array.size)] = _strange_number(array, rng)


def _strange_number(array, rng):
    values = [np.nan, np.inf, -1.0, 0.0, 1e300, 2.0**31 - 1, -(2.0**31), float(array.flat[0]), float(len(array))]
    value = values[rng.integers(len(values))]
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.dtype.type(value)
    limits = np.iinfo(array.dtype)
    return max(limits.min, min(limits.max, int(np.nan_to_num(value))))


@pytest.mark.parametrize("name", ["svm", "rf", "knn", "svm-rbf"])
def test_mutated_models_are_refused_or_harmless(place, tmp_path, name, many):
    """Nothing else than a FeatxError comes of a file, and what is accepted scores rows within bounds."""
    model = file.read(place[0] / f"{name}.featx")
    rng = np.random.default_rng([0, *name.encode()])
    X = rng.normal(size=(5, model.header["width"])).astype(np.float32)
    refused = accepted = 0
    base = model._replace(header={**model.header, "network": {**model.header["network"], "embedded": False}})
    for _ in range(many(150, 5000)):
        text, arrays = _mutated(base, rng)
        digest = file.digest_of(text, arrays)
        path = tmp_path / "m.featx"
        path.write_bytes(to_bytes(arrays, {file.MARK: text, "sha256": digest}))
        try:
            predictor = Predictor.load(path)
        except FeatxError:
            refused += 1
            continue
        try:
            read = Read(
                X if predictor.chain.width == X.shape[1] else np.zeros((5, predictor.chain.width)), [""] * 5, {}
            )
            found = predictor.of_features(read, names=list("abcde"))
            assert all(one.predicted in predictor.classes for one in found)
            accepted += 1
        except FeatxError:
            refused += 1
    assert refused > accepted > 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_tree_that_runs_in_circles_is_refused(place, tmp_path, side):
    model = file.read(place[0] / "rf.featx")
    arrays = {**model.arrays, f"fitted.{side}": model.arrays[f"fitted.{side}"].copy()}
    at = int(np.flatnonzero(arrays["fitted.left"] > 0)[-1])
    arrays[f"fitted.{side}"][at] = at
    with pytest.raises(ModelError, match="after its parent"):
        file.write(tmp_path / "m.featx", model.header, arrays)


def test_a_header_of_ten_thousand_brackets_is_refused(place, tmp_path):
    model = file.read(place[0] / "knn.featx")
    for text in ("[" * 100_000, '{"format": ' + "9" * 10_000 + "}", "NaN"):
        digest = file.digest_of(text, model.arrays)
        (tmp_path / "m.featx").write_bytes(to_bytes(model.arrays, {file.MARK: text, "sha256": digest}))
        with pytest.raises(ModelError, match=r"JSON|expected"):
            Predictor.load(tmp_path / "m.featx")


# ---- words: the command line


def run(*words, **about):
    return CliRunner().invoke(main, list(map(str, words)), standalone_mode=True, **about)


@pytest.fixture
def told(place, tmp_path):
    folder, *_ = place
    out = tmp_path / "out.csv"

    def tell(*words, model="svm", **about):
        got = run("predict", folder / f"{model}.featx", *words, "-o", out, "--cache", folder / "cache", **about)
        return got, out.read_text().splitlines() if out.exists() else []

    return tell


def test_predict_takes_folders_files_and_a_list(told, place):
    images = sorted(place[2].rglob("*.jpg"))
    got, lines = told(images[0].parent)
    assert got.exit_code == 0, got.output
    assert len(lines) == 1 + len(list(images[0].parent.glob("*.jpg")))
    assert '"seen_in_training"' in lines[0] and '"probability_melanoma"' in lines[0]
    assert "synthetic demo data" in got.output and "trained on, so that" in got.output
    got, lines = told("-", input=f"{images[3]}\n\n{images[1]}\n")
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == [str(images[3]), str(images[1])]


def test_images_that_fail_stay_in_the_table_and_formulas_stay_text(told, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("=1+1.jpg").write_bytes(b"no image")
    shutil.copy(sorted(place[2].rglob("*.jpg"))[0], "@ok.jpg")
    got, lines = told("=1+1.jpg", "@ok.jpg", "gone.jpg")
    assert got.exit_code == 0, got.output
    assert lines[1].startswith('"\'=1+1.jpg",""') and "not_an_image" in lines[1]
    assert lines[2].startswith('"\'@ok.jpg",') and "missing" in lines[3]
    assert "2 without a prediction" in got.output


def test_units_have_the_mean_score_of_their_images(told, place, tmp_path):
    images = sorted(place[2].rglob("*.jpg"))[:4]
    table = tmp_path / "units.csv"
    table.write_text("image_id,lesion\n" + "".join(f"{one.stem},L{at // 2}\n" for at, one in enumerate(images)))
    got, lines = told(*images, "--table", table, "--unit-column", "lesion")
    assert got.exit_code == 0, got.output
    assert lines[0].startswith('"lesion","images","predicted"') and len(lines) == 3
    predictor = Predictor.load(place[0] / "svm.featx")
    each = predictor.predict(images, cache=place[0] / "cache", isolate=False)
    score = float(lines[1].split(",")[6])
    assert score == pytest.approx(np.mean([one.scores["melanoma"] for one in each[:2]]), rel=1e-4)
    got, _ = told(*images, sorted(place[2].rglob("*.jpg"))[5], "--table", table, "--unit-column", "lesion")
    assert got.exit_code == 1 and "says of 1 images not" in got.output


def test_an_image_of_noise_is_far_and_a_training_image_is_not(place, tmp_path):
    folder, _, data = place
    rng = np.random.default_rng(0)
    noise = tmp_path / "noise.png"
    Image.fromarray(rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)).save(noise)
    predictor = Predictor.load(folder / "svm.featx")
    images = [noise, *sorted(data.rglob("*.jpg"))[:20]]
    found = predictor.predict(images, cache=folder / "cache", isolate=False)
    assert "far from the training images" in found[0].warning and found[0].share_as_far == 0
    assert sum(bool(one.warning) for one in found[1:]) <= 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x.jpg", "--unit-column", "lesion"], "go together"),
        (["--watch", ".", "x.jpg"], "leave IMAGES"),
        (["x.jpg", "--unsafe-pickle"], "go together"),
        (["x.jpg", "--sha256", "ab"], "go together"),
        ([], "no image was named"),
        (["--watch", "not-there"], "no such folder"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(told, words, said):
    got, _ = told(*words)
    assert got.exit_code == 2 and said in got.output


def test_what_arrives_is_predicted_once_it_is_whole(tmp_path, place):
    image = sorted(place[2].rglob("*.jpg"))[0].read_bytes()
    looks = []

    def sleep(_):
        looks.append(None)
        if len(looks) == 2:
            (tmp_path / "a.jpg").write_bytes(image[:100])
        if len(looks) == 3:
            (tmp_path / "a.jpg").write_bytes(image)
        if len(looks) > 8:
            raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        for names in listing.arrivals(tmp_path, seconds=1, sleep=sleep):
            found.append((len(looks), names))
    assert found == [(4, [str(tmp_path / "a.jpg")])]


def test_watching_writes_rows_and_ends_by_ctrl_c(told, place, tmp_path, monkeypatch):
    box = tmp_path / "box"
    box.mkdir()
    first, second = sorted(place[2].rglob("*.jpg"))[:2]
    shutil.copy(first, box / "a.jpg")
    looks = []

    def sleep(_):
        looks.append(None)
        if len(looks) == 2:
            shutil.copy(second, box / "b.jpg")
        if len(looks) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(listing.arrivals, "__kwdefaults__", {"sleep": sleep})
    got, lines = told("--watch", box)
    assert got.exit_code == 0, got.output
    assert [Path(line.split(",")[0].strip('"')).name for line in lines] == ["image", "a.jpg", "b.jpg"]
    assert "stopped after 2 images" in got.output


def test_fit_saves_what_predict_takes(place, tmp_path):
    folder, path, _ = place
    about = ["--features", path, "--folds", "kfold:2", "--cache", folder / "cache", "--out", tmp_path / "run"]
    model = tmp_path / "m.featx"
    got = run("fit", "--clf", "logreg", *about, "--save", model, "--operating-point", "sensitivity=0.95")
    assert got.exit_code == 0, got.output
    assert "saved:" in got.output and "sensitivity=0.95" in got.output and "is no forecast" in got.output
    predictor = Predictor.load(model)
    features = featx.load_features(path, "mel-vs-benign")
    called = predictor.chain.codes(predictor.scores(features.X))
    assert called[features.y == 1].mean() >= 0.9
    for words, said in {
        ("--embed-weights",): "about the model that --save",
        ("--save", tmp_path / "no" / "m.featx"): "a folder that is there",
        ("--save", model, "--operating-point", "specificity=2"): "above 0 and at most 1",
    }.items():
        got = run("fit", "--clf", "svm", *about, *words)
        assert got.exit_code == 2 and said in got.output


# ---- export


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_scores_as_the_model_does(name, classes):
    from featx.predictor.chain import Chain
    from featx.predictor.export import pipeline_of, scores_of

    X, y, groups = rows(classes)
    params = {"n_estimators": 5} if name == "rf" else {"C": 1.0} if "C" in CLASSIFIERS[name].defaults else {}
    for multiclass in ("ovr", "ovo") if "multiclass" in CLASSIFIERS[name].defaults else ("",):
        fixed = {**params, **({"multiclass": multiclass} if multiclass else {})}
        found = refit.refit(CLASSIFIERS[name], X, y=y, groups=groups, params=fixed)
        names = tuple("zyx"[:classes])
        chain = Chain(found.kind, found.scale, found.settings, names, X.shape[1], None, found.fitted, found.scaler,
                      {}, None)  # fmt: skip
        fresh = rows(classes, seed=3)[0].astype(np.float64)
        own = chain.scores(fresh)
        np.testing.assert_allclose(scores_of(pipeline_of(chain), fresh), own, atol=1e-9 * max(1, np.abs(own).max()))


def test_a_pickle_is_taken_only_by_the_digest_that_is_typed(place, tmp_path, told):
    folder, path, _ = place
    out = tmp_path / "m.joblib"
    got = run("export", folder / "svm.featx", "--format", "joblib", "-o", out)
    assert got.exit_code == 0 and "pipeline" in got.output, got.output
    with pytest.raises(ModelError, match="looks like a pickle"):
        Predictor.load(out)
    with pytest.raises(ModelError, match="is not the file that --sha256 names"):
        Predictor.load(out, unsafe_sha256="0" * 64)
    from featx.provenance import digest_file

    X = read_features(path).X
    trusted = Predictor.load(out, unsafe_sha256=digest_file(out))
    np.testing.assert_allclose(trusted.scores(X), Predictor.load(folder / "svm.featx").scores(X), atol=1e-9)
    other = io.BytesIO()
    pickle.dump({"featx": 1}, other)
    out.write_bytes(other.getvalue())
    with pytest.raises(ModelError, match="is not what"):
        Predictor.load(out, unsafe_sha256=digest_file(out))


def test_skops_holds_the_same_pipeline(place, tmp_path):
    skops = pytest.importorskip("skops.io")
    got = run("export", place[0] / "svm.featx", "-o", tmp_path / "m.skops")
    assert got.exit_code == 0, got.output
    X = read_features(place[1]).X
    margin = skops.load(tmp_path / "m.skops").decision_function(X.astype(np.float64))
    np.testing.assert_allclose(margin, Predictor.load(place[0] / "svm.featx").scores(X)[:, 1], atol=1e-9)


@pytest.mark.parametrize("name", ["svm", "rf"])
def test_onnx_gives_the_same_classes(place, tmp_path, name):
    pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    from featx.predictor.export import pipeline_of

    got = run("export", place[0] / f"{name}.featx", "--format", "onnx", "-o", tmp_path / "m.onnx")
    assert got.exit_code == 0, got.output
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    X = read_features(place[1]).X.astype(np.float64)
    codes = session.run(None, {session.get_inputs()[0].name: X})[0]
    wanted = pipeline_of(Predictor.load(place[0] / f"{name}.featx").chain).predict(X)
    assert (codes == wanted).mean() > 0.97  # it computes in single precision


def test_onnx_refuses_what_its_converter_writes_wrongly(place, tmp_path):
    got = run("export", place[0] / "svm-rbf.featx", "--format", "onnx", "-o", tmp_path / "m.onnx")
    assert got.exit_code == 2 and "take skops" in got.output


# ---- the transformer


def test_the_transformer_gives_the_features_of_the_cache_and_clones(place):
    from sklearn.base import clone

    folder, path, data = place
    features = read_features(path)
    about = {name: ABOUT[name] for name in ("weights", "size", "precision", "isolate")}
    eyes = clone(featx.FeatureExtractor("maia-custom2", cache=folder / "cache", **about))
    images = [data / sample.path for sample in features.dataset.samples]
    assert np.array_equal(eyes.fit(images).transform(images), features.X)
    pixels = [np.asarray(Image.open(images[0]).convert("RGB")), np.zeros((9, 9), np.uint8)]
    np.testing.assert_allclose(eyes.transform(pixels)[0], features.X[0], atol=1e-5)
    with pytest.raises(UsageError, match="uint8 pixels"):
        eyes.transform([np.zeros((4, 4, 4))])
    with pytest.raises(FeatxError, match="missing"):
        eyes.transform(["gone.jpg"])


def test_a_model_holds_what_it_says(place):
    """The header is JSON that anyone can read, and the file holds arrays alone."""
    with safe_open(place[0] / "svm.featx", framework="numpy") as content:
        header = json.loads(content.metadata()[file.MARK])
        names = list(content.keys())
    assert header["network"]["embedded"] is True
    assert any(name.startswith(file.NETWORK) for name in names)
    assert header["threshold"]["how"].startswith("specificity=0.9, on the scores of training images by inner fits")
    assert header["spec"]["weights"] and header["chosen"]["C"] > 0
