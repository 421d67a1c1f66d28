"""What the sets of fundus photographs share: the two columns, the grades, and which folders are theirs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from featx import designs
from featx.datasets import aptos2019, eyepacs, idrid, messidor
from featx.datasets.base import Columns
from featx.datasets.graded import without_ending
from featx.datasets.tables import header_of
from featx.errors import DataError

TABLES = {
    "eyepacs": (eyepacs.ADAPTER, "trainLabels.csv", "image,level", "{}_left"),
    "aptos2019": (aptos2019.ADAPTER, "train.csv", "id_code,diagnosis", "{}"),
    "idrid": (idrid.ADAPTER, "labels.csv", "image,retinopathy_grade", "{}"),
    "messidor": (messidor.ADAPTER, "Annotation_Base11.csv", "Image name,Retinopathy grade", "{}"),
}


def make(root: Path, which: str, grades, *, header: str | None = None):
    adapter, name, usual, image = TABLES[which]
    names = [image.format(number) for number in range(len(grades))]
    lines = [header or usual, *(f"{name},{grade}" for name, grade in zip(names, grades, strict=True))]
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n")
    for name in names:
        (root / "images" / f"{name}.png").write_bytes(b"image")
    return adapter


def read(adapter, root: Path):
    return adapter.read(root, columns=Columns())


@pytest.mark.parametrize("which", TABLES)
def test_every_design_that_is_offered_works_on_the_grades(tmp_path, which):
    adapter = make(tmp_path, which, TABLES[which][0].grades)
    found = read(adapter, tmp_path)
    assert found.adapter == which
    for design in found.designs:
        assert sum(designs.get(design).assign([s.diagnosis for s in found.samples]).counts.values()) == len(
            found.samples
        )
    assert found.refusal("mel-vs-benign") == "its images are of the back of the eye"


@pytest.mark.parametrize("which", TABLES)
@pytest.mark.parametrize("grade", ["5", "-1", "1.5", "mild", "nan"])
def test_an_unknown_grade_is_refused_at_its_line(tmp_path, which, grade):
    adapter = make(tmp_path, which, ["0", grade])
    with pytest.raises(DataError, match=rf"{TABLES[which][1]}, line 3: unknown .+ '{grade}'; known"):
        read(adapter, tmp_path)


@pytest.mark.parametrize("which", TABLES)
def test_a_grade_with_a_point_is_the_grade_and_an_empty_one_drops_the_row(tmp_path, which):
    found = read(make(tmp_path, which, ["2.0", "", "1"]), tmp_path)
    assert [s.diagnosis for s in found.samples] == ["2", "1"]
    assert (found.found, found.dropped) == (3, {"no label": 1})


@pytest.mark.parametrize("which", TABLES)
def test_an_image_without_a_name_is_refused(tmp_path, which):
    adapter = make(tmp_path, which, ["0"])
    with (tmp_path / TABLES[which][1]).open("a") as file:
        file.write(",1\n")
    with pytest.raises(DataError, match=r"line 3: .+ is empty; the name of an image was expected"):
        read(adapter, tmp_path)


@pytest.mark.parametrize("which", TABLES)
def test_the_columns_are_known_in_any_case_order_and_company(tmp_path, which):
    adapter, name, usual, _ = TABLES[which]
    make(tmp_path, which, ["0", "1"])
    rows = [line.split(",") for line in (tmp_path / name).read_text().splitlines()[1:]]
    image, grade = usual.upper().split(",")
    table = [[grade, "Unnamed: 0", "", image, "camera"]]
    table += [[value, str(n), str(n), label, "A"] for n, (label, value) in enumerate(rows)]
    (tmp_path / name).write_text("\ufeff" + "\r\n".join(";".join(row) for row in table), encoding="utf-8")
    assert adapter.recognise(tmp_path) == name
    found = read(adapter, tmp_path)
    assert [s.diagnosis for s in found.samples] == ["0", "1"]
    assert set(found.samples[0].attributes) - {"eye", "base"} == {"camera"}


@pytest.mark.parametrize("which", ["eyepacs", "aptos2019", "idrid"])
def test_a_table_of_that_name_with_other_columns_is_not_claimed(tmp_path, which):
    adapter = make(tmp_path, which, ["0"], header="image_name,target")
    assert adapter.recognise(tmp_path) is None
    with pytest.raises(DataError, match=rf"{TABLES[which][1]}: no column .+ among image_name, target"):
        read(adapter, tmp_path)


@pytest.mark.parametrize("which", TABLES)
def test_no_set_claims_the_folder_of_another(tmp_path, which):
    make(tmp_path, which, ["0"])
    assert [name for name, (adapter, *_) in TABLES.items() if adapter.recognise(tmp_path)] == [which]
    (tmp_path / "train.csv").unlink(missing_ok=True)
    assert aptos2019.ADAPTER.recognise(tmp_path) is None


def test_a_table_given_with_labels_is_known_by_its_header_too(tmp_path):
    make(tmp_path, "eyepacs", ["0", "1"])
    table = tmp_path / "trainLabels.csv"
    assert eyepacs.ADAPTER.recognise(table) == "trainLabels.csv"
    assert aptos2019.ADAPTER.recognise(table) is None
    found = eyepacs.ADAPTER.read(tmp_path / "images", columns=Columns(labels=table))
    assert Counter(s.diagnosis for s in found.samples) == {"0": 1, "1": 1}


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"\xef\xbb\xbfImage ,LEVEL\r\n1,2\r\n", ("image", "level")),
        (b"a\tb\rc\td\r", ("a", "b")),
        (b'"a;b";c\n', ("a;b", "c")),
        (b"", ()),
        (b"\n1,2\n", ()),
        (b"\xd0\xcf\x11\xe0", ()),
    ],
    ids=["BOM", "CR", "quoted", "empty", "empty line", "no text"],
)
def test_the_header_of_a_file_is_read_without_the_rest(tmp_path, content, fields):
    (tmp_path / "t.csv").write_bytes(content)
    assert header_of(tmp_path / "t.csv") == fields
    assert header_of(tmp_path / "gone.csv") == ()


def test_only_endings_of_images_are_endings():
    assert [without_ending(name) for name in ("a.tif", "a.JPEG", "a.b", "a")] == ["a", "a", "a.b", "a"]
