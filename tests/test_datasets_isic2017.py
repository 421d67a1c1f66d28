from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.isic2017 import ADAPTER
from featx.errors import DataError

TRAIN, VALIDATION, TEST = (f"ISIC-2017_{part}_Part3_GroundTruth.csv" for part in ("Training", "Validation", "Test_v2"))
HEADER = "image_id,melanoma,seborrheic_keratosis\n"
TRAINING = f"{HEADER}ISIC_0000000,0.0,0.0\nISIC_0000002,1.0,0.0\nISIC_0000004,0.0,1.0\n"


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def make(root: Path, *, training: str = TRAINING) -> Path:
    folder = "ISIC-2017_Training_Data/ISIC-2017_Training_Data"
    metadata = "image_id,age_approximate,sex\nISIC_0000000,55,female\nISIC_0000002,unknown,male\n"
    tables = {
        TRAIN: training,
        f"{folder}/ISIC-2017_Training_Data_metadata.csv": metadata,
        f"v/{VALIDATION}": f"{HEADER}ISIC_0001769,0,0\n",
        f"t/{TEST}": f"{HEADER}ISIC_0012086,0,0\n",
    }
    names = ("ISIC_0000000.jpg", "ISIC_0000000_superpixels.png", "ISIC_0000002.jpg", "ISIC_0000004.jpg")
    images = [f"{folder}/{name}" for name in names] + ["v/ISIC_0001769.jpg", "t/ISIC_0012086.jpg"]
    masks = ["ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png", "png/ISIC_0000002.png"]
    return tree(root, **tables, **dict.fromkeys(images, "image"), **dict.fromkeys(masks, "a mask"))


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def test_all_parts_are_read_wherever_their_tables_lie(tmp_path):
    found = read(make(tmp_path))
    assert [(s.id, s.diagnosis, s.attributes["split"]) for s in found.samples] == [
        ("ISIC_0000000", "nv", "train"),
        ("ISIC_0000002", "mel", "train"),
        ("ISIC_0000004", "seborrheic keratosis", "train"),
        ("ISIC_0001769", "nv", "validation"),
        ("ISIC_0012086", "nv", "test"),
    ]
    assert found.samples[0].attributes == {"age": "55", "sex": "female", "split": "train"}
    assert found.samples[2].attributes == {"split": "train"}
    assert all(s.path.endswith(f"{s.id}.jpg") for s in found.samples)
    assert (found.dropped, found.group_kind) == ({}, None)
    assert found.notes == ("isic2017 train: 3 of the 2,000 published rows: a part of the set",)


def test_copies_in_another_order_are_read_alike(tmp_path):
    copy = "seborrheic_keratosis\tmelanoma\timage_id\n0\t0\tISIC_0000000\n0\t1\tISIC_0000002\n1\t0\tISIC_0000004\n"
    assert read(make(tmp_path, training="\ufeff" + copy)) == read(make(tmp_path))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ISIC_1,1.0,1.0", "line 5: 2 of the columns melanoma, seborrheic_keratosis are 1; one or none may be"),
        ("ISIC_1,x,0", "line 5: melanoma is 'x'; 0 or 1 was expected"),
        ("ISIC_0000002,0,0", "line 5: the id 'ISIC_0000002' stands in line 3 already"),
        (",0,0", "line 5: image_id is empty"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, training=f"{TRAINING}{row}\n"))


def test_metadata_that_name_an_image_twice_are_refused(tmp_path):
    make(tmp_path)
    (path,) = tmp_path.rglob("*_metadata.csv")
    path.write_text("image_id,age_approximate,sex\nISIC_0000000,55,female\nISIC_0000000,60,female\n")
    with pytest.raises(DataError, match=r"metadata.csv, line 3: the image 'ISIC_0000000' stands in line 2 already"):
        read(tmp_path)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(DataError, match="no column 'seborrheic_keratosis' among image_id, melanoma"):
        read(make(tmp_path, training="image_id,melanoma\nISIC_0000000,0\n"))


def test_designs_supported_and_refused(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [s.diagnosis for s in found.samples]
    for name in found.designs[:2]:
        assert designs.get(name).assign(diagnoses).y.tolist() == [0, 1, 0, 0, 0]
    assert designs.get("diagnosis").assign(diagnoses).classes == ("mel", "nv", "seborrheic keratosis")
    assert found.refusal("bcc-vs-mel-vs-benign").endswith("there is no BCC")


def test_it_is_recognised_and_part_1_alone_is_not(tmp_path):
    assert ADAPTER.recognise(make(tmp_path / "2017")) == f"{TRAIN}, {VALIDATION}, {TEST}"
    others = ("ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "ISIC-2017_Training_Data_metadata.csv", "labels.csv")
    assert ADAPTER.recognise(tree(tmp_path / "other", **dict.fromkeys(others, TRAINING))) is None
