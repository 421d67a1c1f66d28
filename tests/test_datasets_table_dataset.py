from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.datasets import Columns, open_dataset
from featx.errors import DataError, UsageError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"image")
    return root


def write(root: Path, *rows: tuple[str, ...], name: str = "labels.csv") -> Path:
    with open(root / name, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return root


def paths(root: Path, *fields: str) -> list[str]:
    """Return the paths of the images that fields of a table name."""
    write(root, ("image", "label"), *((field, "a") for field in fields))
    return [sample.path for sample in open_dataset(root).samples]


def groups(root: Path, *columns: str, wanted: Columns | None = None):
    """Return a dataset of two images with columns beside image and label, filled with ``<column><row>``."""
    touch(root, "1.jpg", "2.jpg")
    write(root, ("image", "label", *columns), *((n, "ab"[int(n) - 1], *(f"{c}{n}" for c in columns)) for n in "12"))
    return open_dataset(root, columns=wanted)


# ---- columns


def test_a_table_in_a_folder_names_images_and_labels(tmp_path):
    root = touch(tmp_path / "set", "1.jpg", "2.jpg")
    write(root, ("image", "label", "age"), ("1.jpg", "a", "50"), ("2.jpg", "b", ""))
    found = open_dataset(root)
    assert (found.adapter, found.name, found.root) == ("csv", "set", root)
    assert [(s.id, s.path, s.diagnosis, dict(s.attributes)) for s in found.samples] == [
        ("1.jpg", "1.jpg", "a", {"age": "50"}),
        ("2.jpg", "2.jpg", "b", {"age": ""}),
    ]
    assert open_dataset(root / "labels.csv") == found


@pytest.mark.parametrize("image", ["image", "image_id", "Image_Name", "isic_id", "FILE", "filename", "path"])
@pytest.mark.parametrize("label", ["label", "Diagnosis", "dx", "class", "target"])
def test_usual_columns_are_found_whatever_their_case(tmp_path, image, label):
    touch(tmp_path, "1.jpg")
    write(tmp_path, (label, image), ("a", "1"))
    found = open_dataset(tmp_path)
    assert (found.samples[0].id, found.samples[0].diagnosis) == ("1", "a")
    assert f"image {image!r}, label {label!r}" in found.notes[0]


def test_named_columns_beat_usual_ones(tmp_path):
    touch(tmp_path, "1.jpg", "x.jpg")
    write(tmp_path, ("image", "label", "photo", "grade"), ("1", "a", "x", "3"))
    found = open_dataset(tmp_path, columns=Columns(image="photo", label="grade"))
    assert (found.samples[0].id, found.samples[0].diagnosis) == ("x", "3")
    assert found.samples[0].attributes == {"image": "1", "label": "a"}


@pytest.mark.parametrize("column", ["image", "label", "group", "unit", "split"])
def test_a_mistyped_column_gets_a_suggestion(tmp_path, column):
    touch(tmp_path, "1.jpg")
    write(tmp_path, ("image", "label", "stadium"), ("1", "a", "s"))
    with pytest.raises(UsageError, match=rf"no column 'stadiun' \(--{column}-column\); did you mean 'stadium'"):
        open_dataset(tmp_path, columns=Columns(**{column: "stadiun"}))


@pytest.mark.parametrize(("header", "what"), [(("photo", "label"), "image"), (("image", "grade"), "label")])
def test_a_column_that_cannot_be_found_is_asked_for(tmp_path, header, what):
    touch(tmp_path, "1.jpg")
    write(tmp_path, header, ("1", "a"))
    with pytest.raises(
        UsageError, match=f"columns {', '.join(header)}; none is known to hold the {what}.*--{what}-column"
    ):
        open_dataset(tmp_path)


# ---- groups and units


@pytest.mark.parametrize(
    ("columns", "taken", "kind"),
    [
        (("patient_id",), "patient_id", "patient"),
        (("lesion_id", "patient_id"), "patient_id", "patient"),
        (("case", "lesion"), "lesion", "lesion"),
        (("Patient ID",), "Patient ID", "patient"),
        (("PatientID",), "PatientID", "patient"),
        (("patient_or_case",), "patient_or_case", "patient_or_case"),
        (("case_num",), "case_num", "case_num"),
        (("subject",), "subject", "subject"),
        (("group",), "group", "group"),
    ],
)
def test_a_column_that_names_people_lesions_or_cases_is_the_group(tmp_path, columns, taken, kind):
    found = groups(tmp_path, *columns)
    assert (found.group_kind, found.unit_kind) == (kind, kind)
    assert [s.group for s in found.samples] == [s.unit for s in found.samples] == [f"{taken}1", f"{taken}2"]
    known = kind in ("patient", "subject")
    assert found.grouping == f"no {kind} straddles" + ("" if known else "; patients unknown")
    assert f"group {taken!r}" in found.notes[0]


@pytest.mark.parametrize("column", ["patient_age", "age_group", "lesion_location", "showcase", "case_type", "sex"])
def test_columns_that_only_sound_like_a_group_are_none(tmp_path, column):
    found = groups(tmp_path, column)
    assert found.group_kind is None
    assert "no group column (name one with --group-column)" in found.notes[0]
    assert found.samples[0].attributes == {column: f"{column}1"}


def test_a_named_group_column_beats_the_usual_one(tmp_path):
    found = groups(tmp_path, "patient_id", "family", wanted=Columns(group="family"))
    assert (found.group_kind, found.samples[0].group) == ("family", "family1")
    assert found.samples[0].attributes == {"patient_id": "patient_id1"}


def test_the_label_is_never_its_own_group(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, ("image", "group"), ("1", "control"), ("2", "case"))
    found = open_dataset(tmp_path, columns=Columns(label="group"))
    assert (found.group_kind, found.samples[0].diagnosis) == (None, "control")


def test_a_unit_may_be_finer_than_the_group(tmp_path):
    found = groups(tmp_path, "patient_id", "lesion_id", wanted=Columns(unit="lesion_id"))
    assert (found.group_kind, found.unit_kind) == ("patient", "lesion")
    assert (found.samples[0].group, found.samples[0].unit) == ("patient_id1", "lesion_id1")


def test_images_without_a_lesion_are_groups_of_their_own_and_it_is_told(tmp_path):
    touch(tmp_path, *(f"{n}.jpg" for n in range(4)))
    write(tmp_path, ("image", "label", "lesion_id"), ("0", "a", "L"), ("1", "a", "L"), ("2", "b", ""), ("3", "b", " "))
    found = open_dataset(tmp_path)
    assert Counter(Counter(s.group for s in found.samples).values()) == {2: 1, 1: 2}
    assert found.notes[1] == "2 images have no lesion_id: each is a group of its own"


# ---- splits


@pytest.mark.parametrize(
    ("word", "split"), [("Train", "train"), ("val", "validation"), ("VALID", "validation"), ("testing", "test")]
)
def test_the_split_column_is_the_official_split(tmp_path, word, split):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, ("image", "label", "split"), ("1", "a", word), ("2", "a", ""))
    assert [dict(s.attributes) for s in open_dataset(tmp_path).samples] == [{"split": split}, {}]


def test_an_unknown_split_is_refused_at_its_line(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, ("image", "label", "split"), ("1", "a", "train"), ("2", "a", "fold3"))
    with pytest.raises(DataError, match="line 3: split 'fold3' is none of train"):
        open_dataset(tmp_path)


# ---- which file a field names


@pytest.mark.parametrize("field", ["a/1.jpg", "a/1", "./a/1.jpg", "a//1.jpg", "1.jpg", "1", "a/./1"])
def test_an_image_is_named_by_path_or_by_name_with_or_without_its_ending(tmp_path, field):
    assert paths(touch(tmp_path, "a/1.jpg", "b/2.jpg"), field) == ["a/1.jpg"]


@pytest.mark.parametrize("field", ["scan.v2", "scan.v2.png"])
def test_a_dot_in_a_name_is_no_ending(tmp_path, field):
    assert paths(touch(tmp_path, "a/scan.v2.png", "a/scan.v3.png"), field) == ["a/scan.v2.png"]


@pytest.mark.parametrize("field", ["1", "1.jpg"])
def test_a_name_in_two_folders_is_refused_at_its_line(tmp_path, field):
    with pytest.raises(DataError, match=rf"line 2: '{field}' may be any of a/1.jpg, b/1.jpg; write its path"):
        paths(touch(tmp_path, "a/1.jpg", "b/1.jpg"), field)
    assert paths(tmp_path, "a/1", "b/1.jpg") == ["a/1.jpg", "b/1.jpg"]


def test_two_files_that_differ_by_their_ending_are_not_guessed(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/1.png")
    for field in ("a/1", "1"):
        with pytest.raises(DataError, match=r"may be any of a/1.jpg, a/1.png; write its path"):
            paths(tmp_path, field)
    assert paths(tmp_path, "a/1.png") == ["a/1.png"]


def test_a_path_from_the_table_beats_the_same_name_below(tmp_path):
    assert paths(touch(tmp_path, "1.jpg", "a/1.jpg"), "1.jpg") == ["1.jpg"]
    assert paths(tmp_path, "1") == ["1.jpg"]


@pytest.mark.parametrize("field", ["../out.jpg", "a/../../out.jpg", "a/../a/1.jpg", ".."])
def test_paths_that_climb_are_refused_at_their_line(tmp_path, field):
    touch(tmp_path, "out.jpg", "set/a/1.jpg")
    with pytest.raises(DataError, match=r"line 2: the path .* may lead out of .*/set; put the table above its images"):
        paths(tmp_path / "set", field)


def test_absolute_paths_are_taken_as_they_are(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "set/2.jpg")
    field = str(tmp_path / "elsewhere/1.jpg")
    assert paths(tmp_path / "set", field, "2") == [field, "2.jpg"]


@pytest.mark.parametrize(
    "field", ["~/1.jpg", "file:///1.jpg", "C:\\1.jpg", "\\\\host\\1.jpg", "/nowhere/1.jpg", "a", "."]
)
def test_what_names_no_file_is_dropped_with_the_reason(tmp_path, field):
    touch(tmp_path, "2.jpg", "a/1.jpg")
    write(tmp_path, ("image", "label"), (field, "a"), ("2", "b"))
    found = open_dataset(tmp_path)
    assert ([s.path for s in found.samples], found.dropped) == (["2.jpg"], {"no image file": 1})


def test_odd_names_are_names(tmp_path):
    names = ["-rf.jpg", "=cmd.jpg", "a b, c.jpg", "<b>.jpg", "Läsion.jpg", 'quo"te.jpg']
    assert paths(touch(tmp_path, *names), *names) == names


def test_litter_and_files_that_are_no_utf_8_do_no_harm(tmp_path):
    touch(tmp_path, "1.jpg", "__MACOSX/1.jpg", "._1.jpg", os.fsdecode(b"x\xff.jpg"))
    assert paths(tmp_path, "1") == ["1.jpg"]


# ---- rows


def test_rows_without_label_or_image_are_dropped_with_their_reasons(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, ("image", "label"), ("1", "a"), ("2", ""), ("3", "b"), ("4", " "), ("", "a"))
    found = open_dataset(tmp_path)
    assert found.dropped == {"no label": 2, "no image file": 2}
    assert (found.found, len(found.samples)) == (5, 1)


def test_a_table_of_which_nothing_is_left_is_refused(tmp_path):
    touch(tmp_path, "1.jpg")
    write(tmp_path, ("image", "label"), ("1", ""), ("2", "a"))
    with pytest.raises(DataError, match=r"none of the 2 rows .* dropped: \{'no label': 1, 'no image file': 1\}"):
        open_dataset(tmp_path)


def test_an_id_that_stands_twice_is_refused_at_its_line(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    with pytest.raises(DataError, match=r"labels.csv, line 4: the id '1' stands in line 2 already"):
        paths(tmp_path, "1", "2", "1")


def test_two_names_of_one_image_are_refused_at_the_second(tmp_path):
    touch(tmp_path, "a/1.jpg")
    with pytest.raises(DataError, match=r"line 3: the image 'a/1.jpg' stands in line 2 already"):
        paths(tmp_path, "1", "a/1.jpg")


# ---- which table


def test_several_tables_are_listed(tmp_path):
    touch(tmp_path, "1.jpg")
    for name in ("train.csv", "test.tsv"):
        write(tmp_path, ("image", "label"), ("1", "a"), name=name)
    with pytest.raises(UsageError, match=r"several tables \(test.tsv, train.csv\); give the path"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path / "train.csv").samples) == 1


def test_a_text_file_is_a_table_only_where_its_path_is_given(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "list.txt").write_text("image\tlabel\n1\tx\n")
    assert open_dataset(tmp_path).adapter == "folder"
    assert open_dataset(tmp_path / "list.txt").samples[0].diagnosis == "x"


def test_any_file_is_read_where_the_adapter_is_named(tmp_path):
    touch(tmp_path, "1.jpg")
    (tmp_path / "labels").write_text("image,label\n1,x\n")
    assert open_dataset(tmp_path / "labels", adapter="csv").samples[0].diagnosis == "x"
    with pytest.raises(DataError, match="holds no table"):
        open_dataset(tmp_path, adapter="csv")


def test_a_table_that_says_synthetic_makes_synthetic_data(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg")
    write(tmp_path, ("image", "label", "dataset"), ("1", "a", "synthetic demo data"), ("2", "b", "real"))
    assert open_dataset(tmp_path).synthetic


ROW = st.tuples(st.booleans(), st.sampled_from(["a", "b", ""]), st.sampled_from(["g", "h", ""]))


@given(st.lists(ROW, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_found_is_kept_and_dropped_and_groups_join_only_equals(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("table")
    touch(root, *(f"i/{number}.jpg" for number, (there, _, _) in enumerate(rows) if there))
    write(root, ("image", "label", "patient"), *((str(n), label, group) for n, (_, label, group) in enumerate(rows)))
    kept = {str(n): row for n, row in enumerate(rows) if row[0] and row[1]}
    if not kept:
        with pytest.raises(DataError, match=f"none of the {len(rows)} rows"):
            open_dataset(root)
        return
    found = open_dataset(root)
    assert found.found == len(rows) == len(found.samples) + sum(found.dropped.values())
    assert [s.id for s in found.samples] == list(kept)
    assert found.dropped.get("no label", 0) == sum(not label for _, label, _ in rows)
    for one in found.samples:
        for other in found.samples:
            same = one.id == other.id or (kept[one.id][2] != "" and kept[one.id][2] == kept[other.id][2])
            assert (one.group == other.group) == same


# ---- real tables


@pytest.mark.data
def test_the_patients_of_the_chest_films_are_found(real):
    found = open_dataset(real / "data" / "chest_xray_subset")
    assert (found.adapter, found.found, len(found.samples)) == ("csv", 599, 599)
    assert Counter(s.diagnosis for s in found.samples) == {"no_findings": 218, "pneumonia": 257, "covid-19": 124}
    assert found.group_kind == "patient_or_case"
    assert found.grouping == "no patient_or_case straddles; patients unknown"
    sizes = Counter(s.group for s in found.samples)
    assert sum(size > 1 for size in sizes.values()) == 70


@pytest.mark.data
def test_the_fundus_images_want_a_label_column(real):
    with pytest.raises(UsageError, match=r"retinopathy_grade, risk_of_macular_edema; .*--label-column"):
        open_dataset(real / "data" / "idrid_subset", adapter="csv")
    columns = Columns(label="retinopathy_grade")
    found = open_dataset(real / "data" / "idrid_subset", adapter="csv", columns=columns)
    assert (found.found, len(found.samples)) == (413, 413)
    assert {s.diagnosis for s in found.samples} == set("01234")
    assert "groups unknown" in found.grouping


@pytest.mark.parametrize("nothing", ["nan", "NA", "unknown", "None", "-", ""])
def test_a_word_for_nothing_is_no_group(tmp_path, nothing):
    rows = "".join(f"i{n}.jpg,nv,{nothing if n < 3 else 'p'}\n" for n in range(5))
    (tmp_path / "t.csv").write_text(f"image,label,patient_id\n{rows}")
    for n in range(5):
        (tmp_path / f"i{n}.jpg").write_bytes(b"image")
    found = open_dataset(tmp_path)
    assert [s.group for s in found.samples] == ["image i0.jpg", "image i1.jpg", "image i2.jpg", "p", "p"]
    assert "3 images have no patient_id: each is a group of its own" in found.notes


def test_one_patient_as_a_number_and_as_a_decimal_is_one(tmp_path):
    (tmp_path / "t.csv").write_text("image,label,patient\na.jpg,nv,20\nb.jpg,nv,20.0\nc.jpg,nv,20.5\n")
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(b"image")
    assert [s.group for s in open_dataset(tmp_path).samples] == ["20", "20", "20.5"]


def test_other_capitals_accents_and_slashes_name_the_same_file(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("B20.JPG", "caf\u00e9.jpg", "sub/x.jpg"):
        (tmp_path / name).write_bytes(b"image")
    (tmp_path / "t.csv").write_text("image,label\nb20.jpg,nv\ncafe\u0301.jpg,mel\nsub\\x.jpg,nv\n", encoding="utf-8")
    assert [s.path for s in open_dataset(tmp_path).samples] == ["B20.JPG", "caf\u00e9.jpg", "sub/x.jpg"]


def test_labels_that_lie_elsewhere_are_read_over_the_images(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"image")
    (tmp_path / "labels.csv").write_text("image,label\n1.jpg,nv\n")
    found = open_dataset(tmp_path / "images", columns=Columns(labels=tmp_path / "labels.csv"))
    assert (found.root, [s.path for s in found.samples]) == (tmp_path / "images", ["1.jpg"])
    with pytest.raises(UsageError, match=r"no table of labels .*nowhere.csv.*--labels"):
        open_dataset(tmp_path / "images", columns=Columns(labels=tmp_path / "nowhere.csv"))
