from __future__ import annotations

from pathlib import Path

import pytest

from featx.datasets import Columns
from featx.datasets.imagefolder import ADAPTER
from featx.errors import DataError, UsageError

ROWS = "file_name,label,patient_id,age\n1.png,mel,P1,50\nsub/2.png,nv,P1,\n3.png,nv,,40\n"


def touch(root: Path, *paths: str, content: bytes = b"image") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def table(root: Path, text: str = ROWS, *, folder: str = "", name: str = "metadata.csv") -> Path:
    return touch(root, f"{folder}{name}", content=text.encode())


def make(root: Path, folder: str = "", text: str = ROWS) -> Path:
    touch(root, *(f"{folder}{path}" for path in ("1.png", "sub/2.png", "3.png")))
    return table(root, text, folder=folder)


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def by_id(found, what: str) -> dict[str, str]:
    return {sample.id: getattr(sample, what) for sample in found.samples}


def parts(found) -> dict[str, str | None]:
    return {sample.id: sample.attributes.get("split") for sample in found.samples}


def test_one_table_beside_the_images(tmp_path):
    found = read(make(tmp_path / "skin"))
    assert by_id(found, "path") == {"1.png": "1.png", "sub/2.png": "sub/2.png", "3.png": "3.png"}
    assert by_id(found, "diagnosis") == {"1.png": "mel", "sub/2.png": "nv", "3.png": "nv"}
    assert by_id(found, "group") == {"1.png": "P1", "sub/2.png": "P1", "3.png": "image 3.png"}
    assert by_id(found, "attributes") == {"1.png": {"age": "50"}, "sub/2.png": {"age": ""}, "3.png": {"age": "40"}}
    assert (found.group_kind, found.unit_kind, found.designs) == ("patient", "patient", ())
    assert found.notes == (
        "columns: image 'file_name', label 'label', group 'patient_id'",
        "1 images have no patient_id: each is a group of its own",
    )


def test_one_table_in_each_part(tmp_path):
    for part in ("train", "validation", "test"):
        make(tmp_path, f"{part}/")
    found = read(tmp_path)
    assert len(found.samples) == 9  # the three tables are alike to the byte, and none is a copy
    assert parts(found)["validation/sub/2.png"] == "validation"
    assert by_id(found, "path")["test/1.png"] == "test/1.png"
    assert sum(sample.group == "P1" for sample in found.samples) == 6  # a patient is one in whichever part
    assert len({sample.group for sample in found.samples}) == 4
    assert not any("copies" in note or "not used" in note for note in found.notes)


@pytest.mark.parametrize("data", ["", "data/"])
def test_the_parts_may_lie_a_level_deeper(tmp_path, data):
    make(make(tmp_path, f"{data}train/"), f"{data}test/")
    assert ADAPTER.recognise(tmp_path) == f"{data}test/metadata.csv, {data}train/metadata.csv"
    assert set(parts(read(tmp_path)).values()) == {"train", "test"}


def test_one_table_at_the_top_of_the_parts(tmp_path):
    touch(tmp_path, "train/1.png", "val/1.png", "test/x/1.png", "loose/1.png")
    table(tmp_path, "file_name,dx\ntrain/1.png,a\nval/1.png,b\ntest/x/1.png,a\nloose/1.png,b\n")
    expected = {"train/1.png": "train", "val/1.png": "validation", "test/x/1.png": "test", "loose/1.png": None}
    assert parts(read(tmp_path)) == expected


def test_a_split_column_says_the_part(tmp_path):
    make(tmp_path, text="file_name,label,Split\n1.png,a,training\nsub/2.png,b,val\n3.png,b,\n")
    found = read(tmp_path)
    assert parts(found) == {"1.png": "train", "sub/2.png": "validation", "3.png": None}
    assert by_id(found, "attributes")["3.png"] == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("holdout", r"metadata.csv, line 2: split 'holdout' is none of train, training"),
        ("test", r"metadata.csv, line 2: split says 'test', but train/1.png lies in the part 'train'; correct one"),
    ],
)
def test_a_part_that_cannot_be_is_refused(tmp_path, said, told):
    touch(table(tmp_path, f"file_name,label,split\n1.png,a,{said}\n", folder="train/"), "train/1.png")
    with pytest.raises(DataError, match=told):
        read(tmp_path)


def test_paths_are_exact_where_one_name_lies_in_several_folders(tmp_path):
    touch(tmp_path, "1.bmp", "0/1.bmp", "0/1.png", "a/0/1.bmp", content=b"of one size")
    table(tmp_path, "file_name,label\n1.bmp,x\n0/1.bmp,y\n")
    found = read(tmp_path)
    assert by_id(found, "path") == {"1.bmp": "1.bmp", "0/1.bmp": "0/1.bmp"}
    assert "2 image files are in no row of the tables and are not used (0/1.png, ...)" in found.notes


def test_images_of_a_part_without_a_table_are_told(tmp_path):
    found = read(touch(make(tmp_path, "train/"), "test/1.png", "test/3.png"))
    assert len(found.samples) == 3
    assert "2 image files are in no row of the tables and are not used (test/1.png, ...)" in found.notes


def test_a_path_may_lack_its_ending_or_folders_where_it_is_one_file(tmp_path):
    touch(tmp_path, "a/1.png", "a/2.png", "b/2.png")
    table(tmp_path, "file_name,label\n1,x\na/2,y\nb/2.png,y\n")
    assert by_id(read(tmp_path), "path") == {"1": "a/1.png", "a/2": "a/2.png", "b/2.png": "b/2.png"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (",nv,P1,", "line 5: file_name is empty"),
        ("1.png,nv,P1,", "line 5: the id '1.png' stands in line 2 already"),
        ("../1.png,nv,P1,", r"line 5: the path '../1.png' may lead out of"),
        ("1,nv,P1,", r"the image 1.png is meant by two rows, '1.png' and '1'; take one out"),
    ],
)
def test_a_wrong_row_is_refused(tmp_path, row, told):
    with pytest.raises(DataError, match=told):
        read(make(tmp_path, text=f"{ROWS}{row}\n"))


def test_rows_without_an_image_or_a_label_are_dropped(tmp_path):
    found = read(make(tmp_path, text=f"{ROWS}4.png,nv,,\n5.png,,,\n"))
    assert (found.found, found.dropped) == (5, {"no image file": 1, "no label": 1})


# ---- columns


@pytest.mark.parametrize("label", ["label", "diagnosis", "dx", "class", "target", "DX"])
def test_labels_go_by_their_usual_names(tmp_path, label):
    assert len({s.diagnosis for s in read(make(tmp_path, text=ROWS.replace("label", label))).samples}) == 2


def test_columns_can_be_named(tmp_path):
    make(tmp_path, text=ROWS.replace("label", "finding").replace("patient_id", "ward"))
    with pytest.raises(UsageError, match=r"metadata.csv has the columns .* say which with --label-column"):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"no column 'findings' \(--label-column\); did you mean 'finding'"):
        read(tmp_path, label="findings")
    found = read(tmp_path, label="finding", group="ward", unit="age")
    assert (found.group_kind, found.unit_kind) == ("ward", "age")
    assert by_id(found, "unit") == {"1.png": "50", "sub/2.png": "P1", "3.png": "40"}
    assert by_id(found, "attributes")["1.png"] == {}


def test_a_part_may_come_without_labels(tmp_path):
    make(make(tmp_path, "train/"), "test/", "file_name\n1.png\n3.png\n")
    for columns in ({}, {"label": "label"}):
        found = read(tmp_path, **columns)
        assert (len(found.samples), found.dropped) == (3, {"no label": 2})


def test_groups_of_two_kinds_are_refused(tmp_path):
    make(make(tmp_path, "train/"), "test/", ROWS.replace("patient_id", "lesion_id"))
    with pytest.raises(UsageError, match=r"groups of several kinds \(lesion_id, patient_id\); .* --group-column"):
        read(tmp_path)


def test_without_groups_it_is_said_how_to_name_them(tmp_path):
    found = read(make(tmp_path, text=ROWS.replace("patient_id", "ward")))
    assert (found.group_kind, found.unit_kind) == (None, None)
    assert found.notes == ("columns: image 'file_name', label 'label', no group column (name one with --group-column)",)


# ---- whose folder it is


def test_it_is_recognised_by_the_column(tmp_path):
    assert ADAPTER.recognise(make(tmp_path)) == "metadata.csv"
    assert ADAPTER.recognise(tmp_path / "metadata.csv") == "metadata.csv"
    assert len(read(tmp_path / "metadata.csv").samples) == 3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("isic_id,diagnosis_1\nISIC_1,Benign\n", "metadata.csv"),
        ("isic_id,file_name,label\nISIC_1,1.png,a\n", "metadata.csv"),
        ("image,label\n1.png,a\n", "metadata.csv"),
        ("", "metadata.csv"),
        (ROWS, "labels.csv"),
        (ROWS, "HAM10000_metadata.csv"),
        (ROWS, "__MACOSX/metadata.csv"),
        (ROWS, ".cache/metadata.csv"),
    ],
)
def test_other_tables_are_not_claimed(tmp_path, text, name):
    root = table(touch(tmp_path, "1.png"), text, name=name)
    assert ADAPTER.recognise(root) is None
    assert name.startswith((".", "__")) or ADAPTER.recognise(root / name) is None
    with pytest.raises(DataError, match=r"has no metadata.csv with a column file_name; a folder with"):
        read(root)


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_the_table_may_be_given(tmp_path, inside):
    root = touch(tmp_path / "images", "train/1.png", "train/sub/2.png", "train/3.png")
    text = ROWS if inside else ROWS.replace("\n", "\ntrain/").removesuffix("train/")
    table(tmp_path, text, folder="images/train/" if inside else "tables/", name="mine.csv")
    found = read(root, labels=tmp_path / ("images/train/mine.csv" if inside else "tables/mine.csv"))
    assert by_id(found, "path")["train/sub/2.png"] == "train/sub/2.png"
    assert set(parts(found).values()) == {"train"}
