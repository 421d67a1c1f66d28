"""The pipeline of Patel (2019): its numbers as published, what it freezes and runs, and what it says of its data."""

from __future__ import annotations

import csv
from collections import Counter
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from sklearn.metrics import f1_score

from featx import pipeline
from featx.backbones import BACKBONES
from featx.backbones.heads import parse_head
from featx.backbones.trained import backbone_as, head_path, structure_for
from featx.pipeline import Asked, opened, planned
from featx.pipeline.shipped import find
from featx.training.plan import frozen_for

SKIN = ("DT", "RF", "random", "all-trainable", "last-block", "first-block", "first+last")
XRAY = ("X-DT", "X-RF", "X-random", "X-imagenet", "X-skin")
PUBLISHED = {  # in hundredths, in the order of the experiments
    "skin": {
        "akiec": (9, 25, 31, 36, 27, 0, 36), "bcc": (20, 38, 41, 64, 59, 0, 64), "bkl": (26, 40, 37, 64, 58, 0, 60),
        "df": (0, 0, 0, 27, 0, 0, 7), "mel": (19, 22, 34, 58, 54, 1, 53), "nv": (76, 84, 88, 92, 91, 80, 91),
        "vasc": (6, 0, 17, 78, 50, 0, 50), "micro": (57, 70, 72, 81, 79, 66, 79), "macro": (23, 30, 35, 60, 48, 11, 52),
    },
    "xray": {
        "normal": (75, 88, 89, 91, 90), "pneumonia": (91, 96, 96, 97, 96), "micro": (87, 94, 94, 95, 94),
        "macro": (83, 92, 92, 94, 93),
    },
}  # fmt: skip
HEADED = {"skin": SKIN, "xray": XRAY}


@pytest.fixture(scope="module")
def study():
    return opened("patel2019")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of X-rays as Kermany et al. name them, 13 patients of each class in each part, two films a patient."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("films") / "chest_xray"
    for part in ("train", "test"):
        for kind, name in (("NORMAL", "IM-{:04}-000{}.jpeg"), ("PNEUMONIA", "person{}_bacteria_{}.jpeg")):
            folder = root / part / kind
            folder.mkdir(parents=True)
            for patient in range(13):
                for film in (1, 2):
                    number = patient + 100 * (part == "test")
                    side = 30 if kind == "NORMAL" else 44  # so that the file alone tells the class
                    picture = rng.integers(0, 255, (side, side), dtype=np.uint8)
                    Image.fromarray(picture).save(folder / name.format(number, film))
    return root


# ---- the file


@pytest.mark.parametrize("table", PUBLISHED)
def test_published_numbers_are_those_of_the_study(study, table):
    (published,) = next(one for one in study.tables if one.id == table).published
    wanted = {
        f"f1_{row}": {name: value / 100 for name, value in zip(HEADED[table], values, strict=True)}
        for row, values in PUBLISHED[table].items()
    }
    assert published.values == wanted
    assert published.data == ("main" if table == "skin" else "xray")


@pytest.mark.parametrize("table", PUBLISHED)
def test_published_macro_is_the_mean_of_the_published_classes(table):
    classes = [values for row, values in PUBLISHED[table].items() if row not in ("micro", "macro")]
    assert np.abs(np.mean(classes, axis=0) - PUBLISHED[table]["macro"]).max() <= 1.0  # both are rounded


def test_trees_are_scikit_learns_defaults_on_whole_pixels(study):
    for name, classifier in (("DT", "tree"), ("RF", "rf"), ("X-DT", "tree"), ("X-RF", "rf")):
        one = study.experiment(name)
        assert (one.backbone, one.classifiers, one.folds) == ("pixels", (classifier,), "holdout:80/20")
        assert one.transform.normalise == BACKBONES["pixels"].normalise and one.transform.size == 224
        assert "class_weight=none" in one.params and "min_samples_leaf=1" in one.params
        assert study.scales["full"].experiments[name] == {"accelerate": "numba"} and one.accelerate == "none"


def test_networks_are_as_the_study_has_them(study):
    for name in (*SKIN[2:], *XRAY[2:]):
        one = study.experiment(name)
        assert (one.backbone, one.folds, one.transform.normalise) == ("vgg16", "holdout:60/20/20", "-1..1")
        assert (one.train.head, one.train.balance, one.train.stop > 0) == ("flatten+dense2+dropout2", "none", True)
    assert study.experiment("X-skin").start == "skin" and study.experiment("skin").folds == "all"


@pytest.mark.parametrize(
    ("name", "learns"),
    [("all-trainable", "12345"), ("last-block", "5"), ("first-block", "1"), ("first+last", "15")],
)
def test_what_a_variant_leaves_free_are_those_blocks_and_the_head(study, name, learns):
    shelf, train = BACKBONES["vgg16"], study.experiment(name).train
    structure = structure_for(shelf, parse_head(train.head), cut=train.cut, outputs=7, size=32, normalise="-1..1")
    backbone = backbone_as(shelf, structure)
    with torch.device("meta"):
        network, head = backbone.build(), head_path(shelf, structure)
    still = frozen_for(network, backbone, train.freeze, head=head).parameters
    free = {key for key, _ in network.named_parameters() if key not in still}
    ends = [int(shelf.layer(f"pool{block}").module.rpartition(".")[2]) for block in range(1, 6)]

    def block(key):
        return str(1 + sum(int(key.split(".")[2]) > end for end in ends))

    assert {block(key) for key in free if key.startswith("body.")} == set(learns)
    assert sum(key.startswith(f"{head}.") for key in free) == 6 and all(
        key.startswith(("body.", "head.")) for key in free
    )


# ---- what is run


def steps_of(study, tmp_path, **asked):
    plan = planned(study, Asked(**asked), cache=tmp_path)
    return plan, [step.name for step in plan.steps.values()]


def test_without_x_rays_their_part_is_left_out_and_told(study, tiny_demo, tmp_path):
    plan, names = steps_of(study, tmp_path, data=tiny_demo)
    assert {*XRAY, "skin"} == set(plan.left_out)
    assert plan.left_out["skin"] == "nothing that is run starts from it"
    assert "--with xray=DIR" in plan.left_out["X-DT"] and not any(name.startswith(("X-", "skin")) for name in names)


def test_x_rays_begin_from_the_weights_of_the_skin(study, tiny_demo, films, tmp_path):
    plan, names = steps_of(study, tmp_path, data=tiny_demo, others={"xray": films}, scale="full")
    assert not plan.left_out and names.index("skin: train, diagnosis") < names.index("X-skin: train, pneumonia")
    (last,) = (step for step in plan.steps.values() if step.name == "X-skin: train, pneumonia")
    assert [need.name for need in last.needs] == ["skin: train, diagnosis"] and last.about["weights"] is None
    compared = Counter(step.about["accelerate"] for step in plan.steps.values() if step.kind == "compare")
    assert compared == {"numba": 4, "none": len(SKIN) + len(XRAY) - 4}


def quick(tmp_path):
    """The same file without its networks, on pictures of 12 pixels."""
    yaml = YAML()
    told = yaml.load(find("patel2019"))
    nets = [*SKIN[2:], "skin", *XRAY[2:]]
    told["scales"]["smoke"] = {"images": {"main": 140}, "set": {"transform.size": 12},
                               "leave_out": dict.fromkeys(nets, "for want of time")}  # fmt: skip
    told["figures"] = told["figures"][:1]
    path = tmp_path / "quick.yaml"
    with open(path, "w") as stream:
        yaml.dump(told, stream)
    return opened(str(path))


@pytest.fixture(scope="module")
def ran(tmp_path_factory, films):
    from featx.datasets import demo

    folder = tmp_path_factory.mktemp("ran")
    skin = demo.generate(folder / "skin", images=126, size=(24, 32))
    cache = folder / "cache"
    plan = planned(quick(folder), Asked(data=skin, others={"xray": films}), cache=cache)
    return pipeline.run(plan, cache=cache)


def test_f1_are_those_of_scikit_learn_on_the_predictions(ran):
    (table,) = (one for one in ran.tables if one.id == "xray")
    cells = {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.values if row[1] == "here"}
    assert table.heads[2:] == ("X-DT, decision tree on pixels", "X-RF, random forest on pixels")
    checked = 0
    for path in (ran.out / "comparisons").glob("*/predictions.csv"):
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream))
        if {row["truth"] for row in rows} != {"normal", "pneumonia"}:
            continue
        head = next(name for name in table.heads[2:] if {"tree": "DT", "rf": "RF"}[rows[0]["classifier"]] in name)
        y, told = ([row[name] for row in rows] for name in ("truth", "predicted"))
        for name, value in zip(("normal", "pneumonia"), f1_score(y, told, average=None), strict=True):
            assert cells[name][head] == pytest.approx(value)
        assert cells["macro"][head] == pytest.approx(f1_score(y, told, average="macro"))
        assert cells["micro"][head] == pytest.approx(f1_score(y, told, average="micro"))
        checked += 1
    assert checked == 2


def test_synthetic_pictures_have_no_published_numbers_beside_them_and_x_rays_of_another_size_are_headed_so(ran):
    skin, xray = (next(one for one in ran.tables if one.id == name) for name in ("skin", "xray"))
    assert {row[1] for row in skin.rows} == {"here"} and "withheld" in " ".join(skin.notes)
    assert {row[1] for row in xray.rows} == {
        "here", "published, on chest X-rays of Kermany et al. (2018) (another dataset)"
    }  # fmt: skip


def test_what_tells_the_classes_without_the_picture_stands_below_the_tables(ran):
    (told,) = (one for one in ran.tables if one.id == "shortcuts")
    (row,) = (row for row in told.values if "width" in row[2])
    assert row[1] == "pneumonia" and row[3] == 1.0 and row[-1] == "red"
    assert any("no result on these data means anything as it is; as where sources are confounded" in note
               for note in told.notes)  # fmt: skip
    assert any(
        "no result on these data means anything" in line for line in (ran.out / "methods.md").read_text().split("\n")
    )
    assert (ran.out / "tables" / "shortcuts.csv").is_file()


def test_a_dataset_that_no_one_wants_asked_is_not(ran, films, tmp_path):
    plan = planned(opened("trivedi2016"), Asked(data=films), cache=tmp_path)
    assert not any(step.kind == "shortcuts" for step in plan.steps.values())


def test_classes_are_drawn_with_their_counts(ran):
    drawn = {one.id: dict(one.rows) for one in ran.figures if one.id.startswith("classes")}
    assert drawn["classes-xray-pneumonia"] == {"normal": 52, "pneumonia": 52}
    assert sum(drawn["classes-main-diagnosis"].values()) == 126


def test_a_second_run_computes_nothing(ran, monkeypatch):
    from featx.forest import HistogramTreeClassifier
    from featx.pipeline import calls

    monkeypatch.setattr(HistogramTreeClassifier, "fit", None)
    monkeypatch.setattr(calls, "KINDS", dict.fromkeys(calls.KINDS))
    again = pipeline.run(ran.plan, cache=ran.out.parents[1])
    assert again.reused == again.done == len(ran.plan.steps)
    assert [one.rows for one in again.tables] == [one.rows for one in ran.tables]


@pytest.mark.data
def test_real_x_rays_are_told_to_be_confounded(study, real, tmp_path):
    from featx.cache.places import Places
    from featx.pipeline.calls import Bench
    from featx.pipeline.shortcuts import steps as shortcuts

    skin, films = copytree(real / "data/isic2018_subset", tmp_path / "skin"), real / "data/chest_xray_subset"
    plan = planned(study, Asked(data=skin, others={"xray": films}, scale="full"), cache=tmp_path / "cache")
    (step,) = (step for step in plan.steps.values() if step.kind == "shortcuts" and step.data == "xray")
    found = shortcuts.run(step, Bench(plan, Places.at(tmp_path / "cache"), tmp_path, {}))
    assert any(row["level"] in ("amber", "red") and row["what"].startswith("file") for row in found["rows"])
