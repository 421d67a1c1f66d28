"""`featx explain`: saved models explained by their own network, as a page, a picture and a table."""

from __future__ import annotations

import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import featx
from featx.backbones import BACKBONES
from featx.cli import main
from featx.errors import UnknownName, UsageError
from featx.explain import panels
from featx.explain.panels import Panel
from featx.explain.sheet import Row, sheet
from featx.extraction.crew import Here
from featx.predictor import Predictor, scorers
from featx.predictor.chain import Chain
from featx.predictor.explaining import explain, map_before, values
from featx.predictor.gradient import gradient
from featx.predictor.saving import save_evaluated

pytest.importorskip("skimage")
ABOUT = {"backbone": "maia-custom2", "weights": "random", "size": 24, "precision": "fp32", "isolate": False}
HOSTILE = "=a<script>alert(1)</script>\u202e$x^2$.jpg"


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_demo):
    """A folder with models of two classifiers, and images: one sound, one of a hostile name, one that is none."""
    folder = tmp_path_factory.mktemp("explain")
    files = featx.extract(tiny_demo, cache=folder / "cache", **ABOUT).files
    for name in ("svm", "tree"):
        about = {"classifiers": [name], "folds": "kfold:2", "cache": folder / "cache", "out": folder / name}
        run = featx.compare(files, **about)
        save_evaluated(folder / f"{name}.featx", run.run, run.questions, cache=folder / "cache")
    images = sorted(tiny_demo.rglob("*.jpg"))
    (folder / "images").mkdir()
    shutil.copy(images[0], folder / "images" / "a.jpg")
    shutil.copy(images[1], folder / "images" / HOSTILE.replace("/", "-"))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture
def run(place, monkeypatch, tmp_path):
    """Type `featx explain` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("featx.predictor.network.Child", Here)  # a process of its own takes seconds
    monkeypatch.setenv("FEATX_CACHE", str(place / "cache"))

    def call(*words):
        result = CliRunner().invoke(main, ["explain", *map(str, words)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def explained(place, name="svm", images=("images/a.jpg",), **about):
    predictor = Predictor.load(place / f"{name}.featx")
    with predictor.network(cache=place / "cache", isolate=False) as network:
        return list(explain(predictor, [place / one for one in images], network=network, **about))


# ---- the model behind it


@pytest.mark.parametrize("of", ["score", "probability"])
def test_what_is_explained_is_what_the_model_says_of_the_file(place, of):
    (one,) = explained(place, of=of, segments=np.arange(24 * 24).reshape(24, 24) // 72)
    said = one.prediction.scores if of == "score" else one.prediction.probabilities
    assert one.target == one.prediction.predicted
    assert one.found.value == pytest.approx(said[one.target], abs=1e-5)
    assert one.pixels.shape == (24, 24, 3)


def test_the_other_class_of_two_is_explained_by_the_opposite(place):
    about = {"samples": 40, "method": "lime"}
    first, second = (explained(place, target=name, **about)[0] for name in ("benign", "melanoma"))
    np.testing.assert_allclose(first.found.weights, -second.found.weights, atol=1e-6)
    assert (first.target, second.target) == ("benign", "melanoma")


def test_pixels_get_the_features_of_their_file_in_another_process_too(place):
    predictor, path = Predictor.load(place / "svm.featx"), place / "images" / "a.jpg"
    got = []
    for isolate in (False, True):
        with predictor.network(cache=place / "cache", isolate=isolate, batch_size=4) as network:
            wanted = network.read([path]).X
            pixels = np.repeat(network.pixels(path)[None], 11, axis=0)
            got.append(network.features(pixels))
            np.testing.assert_allclose(got[-1], np.repeat(wanted, 11, axis=0), rtol=1e-5, atol=1e-7)
            assert values(predictor, network, code=1)(pixels).shape == (11,)
    np.testing.assert_allclose(got[0], got[1], rtol=1e-5, atol=1e-7)


def test_the_network_is_opened_once_for_all_batches(place, monkeypatch):
    from featx.extraction import crew

    opened = []
    real = crew.Here.open
    monkeypatch.setattr(crew.Here, "open", lambda self, job: (opened.append(job), real(self, job))[1])
    explained(place, method="occlusion", at_once=20)
    assert len(opened) == 1


def test_an_image_that_cannot_be_used_is_told_and_the_others_explained(place):
    found = explained(place, images=("broken.jpg", "images/a.jpg"), method="occlusion")
    assert [one.found is None for one in found] == [True, False]
    assert "not_an_image" in found[0].prediction.warning and found[0].target is None


@pytest.mark.parametrize(
    ("about", "error", "told"),
    [
        ({"target": "melanom"}, UnknownName, "did you mean 'melanoma'"),
        ({"method": "shap"}, UnknownName, "unknown method"),
        ({"method": "gradcam", "of": "probability"}, UsageError, "gradient of a score"),
        ({"method": "lime", "layer": "conv1_1"}, UsageError, "--layer is for gradcam"),
        ({"method": "gradcam", "samples": 3}, UsageError, "gradcam takes no samples"),
        ({"method": "gradcam", "layer": "conv9"}, UnknownName, "did you mean"),
        ({"method": "gradcam", "name": "tree"}, UsageError, "tree has none; take --method lime or occlusion"),
    ],
)
def test_questions_that_do_not_fit_are_refused(place, about, error, told):
    with pytest.raises(error, match=told):
        explained(place, **about)


def test_gradcam_of_a_linear_machine_follows_its_score(place):
    (one,) = explained(place, method="gradcam")
    assert one.found.layer == "pool2" and one.found.map.shape == (6, 6) and (one.found.map >= 0).all()
    (named,) = explained(place, method="gradcam", layer="conv1_1")
    assert named.found.map.shape == (24, 24)


def test_gradcam_of_a_network_that_was_trained_here(tmp_path):
    import networks

    data, cache = networks.dataset(tmp_path / "d"), tmp_path / "cache"
    networks.trained(data, cache)
    weights = sorted((cache / "weights").glob("*.safetensors"))[0]
    about = {**ABOUT, "weights": str(weights), "size": networks.SIDE}
    files = featx.extract(data, cache=cache, layers=["logits"], **about).files
    asked = {"designs": [networks.DESIGN], "folds": "kfold:2", "allow_seen": True}
    found = featx.compare(files, classifiers=["argmax"], cache=cache, **asked)
    save_evaluated(tmp_path / "m.featx", found.run, found.questions, cache=cache)
    shutil.copy(next((tmp_path / "d").glob("*.png")), tmp_path / "a.png")
    predictor = Predictor.load(tmp_path / "m.featx")
    with predictor.network(cache=cache, isolate=False) as network:
        both = {
            name: next(explain(predictor, [tmp_path / "a.png"], network=network, method="gradcam", target=name))
            for name in predictor.classes
        }
    assert all(one.prediction.seen for one in both.values())
    maps = [one.found.map for one in both.values()]
    assert maps[0].any() or maps[1].any()
    assert not ((maps[0] > 0) & (maps[1] > 0)).any()  # what speaks for one class speaks against the other


def test_gradcam_looks_at_the_last_map_before_the_features():
    assert map_before(BACKBONES["vgg16"], BACKBONES["vgg16"].layer("fc7")).name == "pool5"
    assert map_before(BACKBONES["vgg16"], BACKBONES["vgg16"].layer("conv3_1")).name == "conv3_1"
    assert map_before(BACKBONES["mobilenet_v2"], BACKBONES["mobilenet_v2"].layer("penultimate")).name == "head"
    assert map_before(BACKBONES["vgg16"], BACKBONES["vgg16"].layer("features.3"), layer="conv1_1").name == "conv1_1"
    for backbone, layer in (("vgg16", "features.3"), ("vit_b_16", "penultimate")):
        with pytest.raises(UsageError, match="name one by --layer"):
            map_before(BACKBONES[backbone], BACKBONES[backbone].layer(layer))


# ---- gradients


def chain(kind, scale, classes, multiclass="ovr", width=6):
    rng = np.random.default_rng(4)
    rows = 1 if classes == 2 else classes
    if kind == "argmax":
        width, fitted = (1, {}) if classes == 2 else (classes, {})
    else:
        fitted = {"coef": rng.normal(size=(rows, width)), "intercept": rng.normal(size=rows)}
    scaler = {"mean": rng.normal(size=width), "std": rng.uniform(0.5, 2, width)}
    names = tuple("abcd"[:classes])
    about = {"multiclass": multiclass} if kind.startswith("sv") else {}
    return Chain(kind, scale, about, names, width, None, fitted, scaler, {}, None)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scale", ["l2", "standard", "none"])
@pytest.mark.parametrize("kind", ["svm", "svc-linear", "logreg", "argmax"])
def test_gradients_are_differences_of_scores(kind, scale, classes):
    if kind == "argmax":
        scale = "none"
    told = chain(kind, scale, classes)
    row = np.random.default_rng(1).normal(size=told.width)

    def score(X, code):
        if kind in ("logreg", "argmax") and classes > 2:  # the output before it becomes a share
            X = told.scaled(X)
            return (X @ told.fitted["coef"].T + told.fitted["intercept"] if kind == "logreg" else X)[:, code]
        return told.scores(X)[:, code]

    step = 1e-6 * np.eye(told.width)
    for code in range(classes):
        wanted = (score(row + step, code) - score(row - step, code)) / 2e-6
        np.testing.assert_allclose(gradient(told, row, code=code), wanted, rtol=1e-5, atol=1e-8)


def test_two_outputs_are_explained_by_their_difference():
    told = replace(chain("argmax", "none", 2), width=2)
    assert gradient(told, np.ones(2), code=1).tolist() == [-1, 1]
    assert gradient(told, np.ones(2), code=0).tolist() == [1, -1]


@pytest.mark.parametrize("kind", sorted(set(scorers.KINDS) - {"svm", "svc-linear", "logreg", "argmax"}))
def test_classifiers_without_a_gradient_are_refused(kind):
    with pytest.raises(UsageError, match=f"{kind} has none; take --method lime"):
        gradient(replace(chain("svm", "none", 2), kind=kind), np.ones(6), code=0)
    with pytest.raises(UsageError, match="of pairs that vote has none"):
        gradient(chain("svm", "none", 3, multiclass="ovo"), np.ones(6), code=0)


# ---- pictures


def test_a_tint_is_warm_for_and_cold_against_and_none_at_zero():
    shown = np.full((2, 3, 3), 120, dtype=np.uint8)
    found = panels.tinted(shown, np.array([[1.0, 0.0, -1.0]] * 2)).astype(int)
    assert found[0, 0, 0] > found[0, 0, 2] and found[0, 2, 2] > found[0, 2, 0]
    assert len(set(found[0, 1].tolist())) == 1
    assert np.array_equal(panels.tinted(shown, np.zeros((2, 3))), found[:, 1:2].repeat(3, axis=1))


def test_superpixels_that_are_not_kept_are_grey():
    shown = np.zeros((384, 384, 3), dtype=np.uint8) + np.array([200, 10, 10], dtype=np.uint8)
    found = panels.only(shown, np.array([[0, 1], [2, 3]]), kept=(2,))
    assert found[300, 100].tolist() == [200, 10, 10]
    assert len(set(found[100, 100].tolist())) == 1
    assert found[191, 100].tolist() == list(panels.EDGE)


def test_a_sheet_holds_every_pixel_of_its_panels_and_the_same_bytes_twice():
    one = np.random.default_rng(0).integers(0, 256, (50, 80, 3)).astype(np.uint8)
    rows = [Row(HOSTILE * 20, (Panel(one, HOSTILE, "says " * 30), Panel(one[::-1], "b", "c")))]
    found = sheet(rows, title=HOSTILE, foot=["foot " * 40])
    page = np.asarray(Image.open(io.BytesIO(found)))
    assert any(np.array_equal(page[y : y + 50, 20:100], one) for y in range(len(page) - 50))
    assert sheet(rows, title=HOSTILE, foot=["foot " * 40]) == found
    assert not Image.open(io.BytesIO(found)).info


# ---- in Python


@pytest.mark.parametrize(("method", "about"), [("lime", {"samples": 30, "count": 6}), ("occlusion", {"patch": 8}),
                                               ("gradcam", {})])  # fmt: skip
def test_the_method_says_what_the_verb_says(run, place, method, about):
    predictor, path = Predictor.load(place / "svm.featx"), place / "images" / "a.jpg"
    (one,) = predictor.explain([path], method=method, cache=place / "cache", isolate=False, **about)
    words = {"samples": "--samples", "count": "--superpixels", "patch": "--patch"}
    options = [word for name, value in about.items() for word in (words[name], value)]
    assert run(place / "svm.featx", path, "--method", method, "-o", "out.html", "-q", *options).exit_code == 0
    rows = list(csv.DictReader(Path("out.csv").read_text(encoding="utf-8").splitlines()))
    column, told = {"lime": ("weight", "weights"), "occlusion": ("drop", "drops"), "gradcam": ("value", "map")}[method]
    np.testing.assert_allclose([float(row[column]) for row in rows], np.ravel(getattr(one.found, told)), rtol=1e-12)
    assert {row["explained"] for row in rows} == {one.target}


def test_a_network_at_hand_is_used_and_a_wrong_setting_refused_before_any_work(place, monkeypatch):
    predictor, path = Predictor.load(place / "svm.featx"), place / "images" / "a.jpg"
    with predictor.network(cache=place / "cache", isolate=False) as network:
        monkeypatch.setattr(Predictor, "network", None)
        (one,) = predictor.explain([path], method="occlusion", patch=12, network=network)
        assert one.found.patch == 12
        monkeypatch.setattr(network, "read", None)
        with pytest.raises(UnknownName, match=r"unknown setting of lime 'sample'; did you mean 'samples'\?"):
            predictor.explain([path], sample=3, network=network)
        with pytest.raises(UnknownName, match="unknown method 'shap'"):
            predictor.explain([path], method="shap", network=network)


# ---- the verb


def test_a_page_and_its_numbers(run, place):
    result = run(place / "svm.featx", place / "images", "-o", "out.html", "--samples", "60", "--top", "3")
    assert result.exit_code == 0, result.output
    assert "The straight line fits with R2" in result.stdout and "written: out.html" in result.stderr
    page = Path("out.html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page and "\u202e" not in page
    assert "img-src data:" in page and "script-src" not in page and not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count("data:image/jpeg;base64,") == 8
    assert page.count("no medical device") == 1 and "60 random masks" in page
    assert page.count("were learned from by this very model") == 1  # both are train images: told at the head alone
    rows = list(csv.DictReader(Path("out.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["shown"] for row in rows} == {"yes", "no"} and {row["r2"] for row in rows} != {""}
    for image in {row["image"] for row in rows}:
        own = [row for row in rows if row["image"] == image]
        assert sum(float(row["share_of_image"]) for row in own) == pytest.approx(1)
        assert sorted(int(row["rank"]) for row in own) == list(range(1, len(own) + 1))


@pytest.mark.parametrize("method", ["occlusion", "gradcam"])
def test_a_folder_has_a_picture_of_each_image(run, place, method):
    words = ["--patch", "12"] if method == "occlusion" else []
    result = run(place / "svm.featx", place / "images", "-o", "out", "--method", method, "-q", *words)
    assert result.exit_code == 0 and result.stdout == ""
    names = sorted(path.name for path in Path("out").iterdir())
    assert names[0].startswith("001-") and names[1].startswith("002-")
    assert names[2:] == ["explanations.csv", "explanations.html"]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)
    with Image.open(Path("out") / names[0]) as picture:
        assert picture.width == 2 * 384 + 3 * 20


def test_the_same_command_gives_the_same_picture(run, place):
    for name in ("a.png", "b.png"):
        assert run(place / "tree.featx", place / "images/a.jpg", "-o", name, "--samples", 30).exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (["--method", "gradcam", "--top", "3"], "--top is for --method lime; --method gradcam came", 2),
        (["--patch", "3"], "--patch is for --method occlusion", 2),
        (["-o", "a.pdf"], "a page ends in .html", 2),
        (["--class", "mel"], "unknown class 'mel'", 2),
        (["--method", "gradcam", "--layer", "fc1"], "no map", 2),
        (["--weights", "random:9"], "other weights", 1),
    ],
)
def test_what_cannot_be_is_one_sentence(run, place, words, told, code):
    result = run(place / "svm.featx", place / "images/a.jpg", *words)
    assert result.exit_code == code and told in result.stderr and "Traceback" not in result.output


def test_no_image_and_only_broken_images(run, place):
    assert "no image was named" in run(place / "svm.featx").stderr
    result = run(place / "svm.featx", place / "broken.jpg", "--method", "occlusion")
    assert result.exit_code == 1 and result.stderr.count("not_an_image") == 1
    assert not list(Path().iterdir())  # nothing to write


def test_more_images_than_a_file_takes_go_into_a_folder(run, place, monkeypatch):
    monkeypatch.setattr("featx.cli.explain.MOST", 1)
    result = run(place / "svm.featx", place / "images")
    assert result.exit_code == 2 and "give -o a folder" in result.stderr


def test_who_exports_to_skops_is_told_which_types_to_trust(place, tmp_path):
    io_ = pytest.importorskip("skops.io")
    for name, types in (("svm", None), ("tree", ["sklearn.tree._tree.Tree"])):
        out = tmp_path / f"{name}.skops"
        result = CliRunner().invoke(main, ["export", str(place / f"{name}.featx"), "-o", str(out)])
        assert result.exit_code == 0
        assert (f"trusted={types}" in result.stdout) == (types is not None)
        assert hasattr(io_.load(out, trusted=types), "predict")
