from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.isic2016 import ADAPTER
from featx.errors import DataError

TRAIN, TEST = (f"ISBI2016_ISIC_Part3_{part}_GroundTruth.csv" for part in ("Training", "Test"))
TRAINING = "ISIC_0000000,benign\nISIC_0000002,malignant\n"


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def make(root: Path, *, training: str = TRAINING, test: str = "ISIC_0000003,0.0\nISIC_0000012,1.0\n", **more) -> Path:
    images = {f"ISBI2016_ISIC_Part3_Training_Data/ISIC_000000{n}.jpg": "image" for n in (0, 2)}
    images |= {f"ISBI2016_ISIC_Part3_Test_Data/ISIC_00000{n}.jpg": "image" for n in ("03", "12")}
    return tree(root, **{TRAIN: training, f"test/{TEST}": test}, **images, **more)


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def test_both_parts_are_read_as_downloaded_without_a_header(tmp_path):
    found = read(make(tmp_path))
    assert [(s.id, s.diagnosis, s.attributes) for s in found.samples] == [
        ("ISIC_0000000", "benign", {"split": "train"}),
        ("ISIC_0000002", "mel", {"split": "train"}),
        ("ISIC_0000003", "benign", {"split": "test"}),
        ("ISIC_0000012", "mel", {"split": "test"}),
    ]
    assert found.samples[3].path == "ISBI2016_ISIC_Part3_Test_Data/ISIC_0000012.jpg"
    assert (found.group_kind, found.unit_kind) == (None, None)
    assert (
        [s.group for s in found.samples] == [s.unit for s in found.samples] == [f"image {s.id}" for s in found.samples]
    )
    assert found.grouping.startswith("groups unknown: each image is its own group")
    assert found.notes == (
        "isic2016 train: 2 of the 900 published rows: a part of the set",
        "isic2016 test: 2 of the 379 published rows: a part of the set",
    )


@pytest.mark.parametrize(
    "training",
    [
        "img_id,Label\nISIC_0000000,benign\nISIC_0000002,malignant\n",
        "\ufeffISIC_0000000,benign\nISIC_0000002,malignant\n",
        "label;image\r\nBenign;ISIC_0000000.jpg\r\nmalignant;ISIC_0000002\r\n",
        "ISIC_0000000\t0\nISIC_0000002\t1\n",
    ],
    ids=["header", "BOM", "other order, semicolons, endings", "tabs, numbers"],
)
def test_copies_are_read_alike(tmp_path, training):
    assert read(make(tmp_path, training=training)) == read(make(tmp_path))


def test_masks_and_litter_are_no_images(tmp_path):
    expected = read(make(tmp_path))
    litter = ("Part1/ISIC_0000000_Segmentation.png", "__MACOSX/._ISIC_0000000.jpg", f"__MACOSX/{TRAIN}", f"._{TRAIN}")
    assert read(tree(tmp_path, **dict.fromkeys(litter, "x"))) == expected


def test_one_part_is_enough(tmp_path):
    root = tree(tmp_path, **{f"a/b/{TEST}": "ISIC_0000003,0.0\nISIC_0000012,1.0\n", "ISIC_0000003.jpg": "image"})
    found = read(root)
    assert (found.found, found.dropped) == (2, {"no image file": 1})
    assert ADAPTER.recognise(root) == TEST


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("ISIC_0000000,benign\nISIC_0000002,nevus\n", "line 2: unknown label 'nevus'; known: benign, malignant, 0 "),
        ("ISIC_0000000,2\n", "line 1: unknown label '2'"),
        ("image,label\nISIC_0000000,\n", "line 2: unknown label ''"),
        ("image,label\n,benign\n", "line 2: image is empty"),
        ("ISIC_0000000,benign\nISIC_0000000,benign\n", "line 2: the id 'ISIC_0000000' stands in line 1 already"),
        ("a,b\nISIC_0000000,benign\n", "no column 'image' among a, b"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, training, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, training=training))


def test_its_two_questions_are_one_and_three_classes_are_refused(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [s.diagnosis for s in found.samples]
    for name in found.designs:
        assert designs.get(name).assign(diagnoses).y.tolist() == [0, 1, 0, 1]
    assert found.refusal("bcc-vs-mel-vs-benign").endswith("there is no BCC")
    assert found.refusal("any-dr") == "its images are of skin lesions"


def test_other_sets_are_not_recognised(tmp_path):
    others = ("ISIC-2017_Training_Part3_GroundTruth.csv", "train.csv", "labels.csv", "HAM10000_metadata.csv")
    assert ADAPTER.recognise(tree(tmp_path, **dict.fromkeys(others, "image,label\na,benign\n"))) is None


@pytest.mark.data
def test_the_public_copy_has_the_published_counts(real, tmp_path):
    text = (real / "data" / "labels" / TRAIN).read_text()
    images = {f"{line.split(',')[0]}.jpg": "" for line in text.splitlines()[1:]}
    found = read(tree(tmp_path, **{TRAIN: text}, **images))
    assert (found.found, len(found.samples)) == (900, 900)
    assert found.notes == ("isic2016 train: the 900 rows and their classes are the published ones",)
