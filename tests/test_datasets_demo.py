from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.datasets import demo
from featx.errors import DataError, UsageError

IMAGES = 180
SMALL = (48, 64)


def rows_of(root: Path) -> list[dict[str, str]]:
    with open(root / demo.TABLE, newline="") as stream:
        return list(csv.DictReader(stream))


def pixels_of(root: Path, row: dict[str, str]) -> np.ndarray:
    (path,) = root.glob(f"*/{row['image_id']}.jpg")
    return np.asarray(Image.open(path), float)


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return demo.generate(tmp_path_factory.mktemp("demo") / "data", images=IMAGES, size=SMALL, jobs=2)


def test_the_layout_is_that_of_ham10000(made):
    rows = rows_of(made)
    assert tuple(rows[0]) == ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
    files = sorted(path.relative_to(made) for path in made.rglob("*.jpg"))
    assert {path.parts[0] for path in files} == {"HAM10000_images_part_1", "HAM10000_images_part_2"}
    assert sorted(path.stem for path in files) == sorted(row["image_id"] for row in rows)
    assert files[0].name == "ISIC_0024306.jpg"
    assert Counter(path.parts[0] for path in files).most_common() == [(demo.PARTS[0], 90), (demo.PARTS[1], 90)]
    assert {path.name for path in made.iterdir()} == {"README.txt", demo.TABLE, *demo.PARTS}


def test_ids_are_distinct_and_the_table_is_not_sorted_by_them(made):
    ids = [row["image_id"] for row in rows_of(made)]
    assert len(set(ids)) == IMAGES
    assert ids != sorted(ids)
    assert all(len(row["lesion_id"]) == 11 and row["lesion_id"].startswith("HAM_") for row in rows_of(made))


def test_a_lesion_has_one_diagnosis_and_one_set_of_attributes(made):
    lesions = defaultdict(set)
    for row in rows_of(made):
        lesions[row["lesion_id"]].add(tuple(value for name, value in row.items() if name != "image_id"))
    assert all(len(kinds) == 1 for kinds in lesions.values())


def test_nearly_half_of_the_images_show_a_lesion_that_is_shown_again(made):
    sizes = Counter(row["lesion_id"] for row in rows_of(made))
    again = sum(size for size in sizes.values() if size > 1)
    assert 0.40 < again / IMAGES < 0.50
    assert set(sizes.values()) == {1, 2, 3}


def test_everything_says_that_it_is_synthetic(made):
    assert {row["dataset"] for row in rows_of(made)} == {"synthetic demo data"}
    assert (made / "README.txt").read_text().startswith("synthetic demo data\n")
    for path in made.rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.info["comment"] == b"synthetic demo data"
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))


def test_attributes_are_plausible(made):
    rows = rows_of(made)
    assert {row["sex"] for row in rows} <= {"male", "female", "unknown"}
    assert all(row["dx_type"] == "histo" for row in rows if row["dx"] in ("mel", "bcc", "akiec"))
    assert all(row["dx"] == "nv" for row in rows if row["dx_type"] == "follow_up")
    ages = [row["age"] for row in rows]
    assert 0 < ages.count("") < 20
    assert all(age.endswith(".0") and float(age) % 5 == 0 and 5 <= float(age) <= 85 for age in ages if age)


def test_one_job_and_two_write_the_same_bytes(tmp_path):
    one = demo.generate(tmp_path / "one", images=21, size=SMALL, seed=3, jobs=1)
    two = demo.generate(tmp_path / "two", images=21, size=SMALL, seed=3, jobs=2)
    assert bytes_of(one) == bytes_of(two)


def test_another_seed_is_another_dataset(tmp_path):
    one = demo.generate(tmp_path / "one", images=8, size=SMALL, seed=0)
    two = demo.generate(tmp_path / "two", images=8, size=SMALL, seed=1)
    pictures = [{data for name, data in bytes_of(root).items() if name.endswith(".jpg")} for root in (one, two)]
    assert len(pictures[0] | pictures[1]) == 16


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path):
    few = {shot.lesion + shot.view: shot.row for shot in demo.plan(tmp_path, images=40, seed=5)}
    many = {shot.lesion + shot.view: shot.row for shot in demo.plan(tmp_path, images=400, seed=5)}
    for key, row in few.items():
        assert {name: row[name] for name in ("dx", "age", "localization")}.items() <= many[key].items()


def test_two_views_of_a_lesion_differ_but_less_than_two_lesions(made):
    by_lesion = defaultdict(list)
    for row in rows_of(made):
        by_lesion[row["lesion_id"]].append(pixels_of(made, row).mean(axis=(0, 1)))
    pairs = [views[:2] for views in by_lesion.values() if len(views) > 1]
    same = [np.abs(first - second).max() for first, second in pairs]
    others = [np.abs(pairs[k][0] - pairs[k - 1][1]).max() for k in range(len(pairs))]
    assert min(same) > 0
    assert np.median(same) < 0.75 * np.median(others)


def test_no_two_images_are_the_same(made):
    images = [data for name, data in bytes_of(made).items() if name.endswith(".jpg")]
    assert len(set(images)) == IMAGES


@given(st.integers(1, 12_000))
@settings(max_examples=80, deadline=None)
def test_views_add_up_and_no_diagnosis_is_left_out(images):
    views = demo.views_per_lesion(images)
    assert sum(map(sum, views)) == images
    assert all(1 <= view <= 3 for lesion in views for view in lesion)
    assert min(map(len, views)) >= (8 if images >= 75 else 1 if images >= 10 else 0)


def test_as_many_images_as_ham10000_has_give_its_counts():
    views = demo.views_per_lesion(10_015)
    assert [len(lesions) for lesions in views] == demo.LESIONS.tolist()
    assert [sum(lesions) for lesions in views] == demo.IMAGES.tolist()
    again = sum(view for lesions in views for view in lesions if view > 1)
    assert again / 10_015 == pytest.approx(4501 / 10_015, abs=0.02)


@pytest.mark.parametrize("images", [1, 2, 7])
def test_a_handful_of_images_is_enough(tmp_path, images):
    root = demo.generate(tmp_path, images=images, size=(16, 16))
    assert len(rows_of(root)) == images == len(list(root.rglob("*.jpg")))


def test_progress_counts_every_image(tmp_path):
    heard = []
    demo.generate(tmp_path, images=5, size=(16, 16), jobs=2, on_progress=lambda done, of: heard.append((done, of)))
    assert heard == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_an_earlier_demo_dataset_is_replaced_whole(tmp_path):
    demo.generate(tmp_path, images=9, size=(16, 16))
    demo.generate(tmp_path, images=4, size=(16, 16))
    assert len(rows_of(tmp_path)) == 4 == len(list(tmp_path.rglob("*.jpg")))


def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / demo.TABLE).write_text("a real table")
    with pytest.raises(DataError, match="no demo dataset; give a new or an empty folder"):
        demo.generate(tmp_path, images=2, size=(16, 16))
    assert bytes_of(tmp_path) == {demo.TABLE: b"a real table"}


def test_an_interrupted_run_leaves_no_table(tmp_path):
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.generate(tmp_path, images=3, size=(16, 16), on_progress=stop)
    assert not (tmp_path / demo.TABLE).exists()
    assert len(rows_of(demo.generate(tmp_path, images=3, size=(16, 16)))) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"images": 0}, {"size": (15, 600)}, {"size": (450,)}, {"seed": -1}, {"jobs": 0}],
    ids=lambda wrong: str(wrong),
)
def test_numbers_without_sense_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(UsageError):
        demo.generate(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


def test_diagnoses_can_be_told_apart_but_overlap(made):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = rows_of(made)
    means = [pixels_of(made, row)[12:36, 16:48].mean(axis=(0, 1)) for row in rows]
    deviations = [pixels_of(made, row)[12:36, 16:48].std(axis=(0, 1)) for row in rows]
    melanoma = np.array([row["dx"] == "mel" for row in rows])
    groups = [row["lesion_id"] for row in rows]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    features = np.hstack([means, deviations])
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, melanoma, groups=groups, cv=folds, method="predict_proba")[:, 1]
    assert 0.65 < roc_auc_score(melanoma, scores) < 0.97
