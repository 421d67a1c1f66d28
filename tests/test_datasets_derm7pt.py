from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.derm7pt import ADAPTER, COUNTS
from featx.designs import SKIN
from featx.errors import DataError, UsageError

HEADER = "case_num,diagnosis,seven_point_score,pigment_network,location,sex,clinic,derm,case_id,notes"
ROWS = [
    "1,basal cell carcinoma,0,absent,back,female,NEL/Nel025.jpg,NEL/Nel026.jpg,,",
    "2,melanoma (in situ),5,atypical,arm,male,NAL/Nal001.jpg,NAL/Nal002.jpg,A7,",
    '3,clark nevus,1,typical,abdomen,male,Adl/Adl386.jpg,Adl/Adl387.jpg,A7,"seen twice, far"',
    "4,clark nevus,1,typical,abdomen,male,Adl/Adl386.jpg,Adl/Adl387bis.jpg,,",
]
PARTS = {"train": "0\n3", "valid": "1", "test": "2"}
PICTURES = [row.split(",")[place] for row in ROWS for place in (6, 7)]


def touch(root: Path, *paths: str, content: bytes = b"image") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def make(root: Path, rows=ROWS, *, header=HEADER, parts=PARTS, release="release_v0") -> Path:
    touch(root, *(f"{release}/images/{path}" for path in PICTURES))
    touch(root, f"{release}/meta/meta.csv", content="\n".join((header, *rows)).encode())
    for part, lines in parts.items():
        touch(root, f"{release}/meta/{part}_indexes.csv", content=f"indexes\n{lines}\n".encode())
    return root


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def each(found, what: str) -> list[str]:
    return [getattr(sample, what) for sample in found.samples]


def test_the_release_is_read_as_it_is(tmp_path):
    found = read(make(tmp_path))
    assert each(found, "id") == ["nel026", "nal002", "adl387", "adl387bis"]
    assert each(found, "path")[0] == "release_v0/images/NEL/Nel026.jpg"
    assert each(found, "diagnosis") == ["basal cell carcinoma", "melanoma (in situ)", "clark nevus", "clark nevus"]
    assert each(found, "group") == ["case_num 1", "case_id A7", "case_id A7", "case_num 4"]
    assert each(found, "unit") == each(found, "group")
    assert [s.attributes["split"] for s in found.samples] == ["train", "validation", "test", "train"]
    assert found.samples[2].attributes == {
        "seven_point_score": "1", "pigment_network": "typical", "localization": "abdomen", "sex": "male",
        "clinic": "Adl/Adl386.jpg", "notes": "seen twice, far", "split": "test",
    }  # fmt: skip
    assert (found.found, found.dropped, found.group_kind, found.unit_kind) == (4, {}, "case", "case")


def test_clinical_pictures_are_no_samples_and_nothing_to_be_told_of(tmp_path):
    root = touch(make(tmp_path), "release_v0/__MACOSX/images/NEL/._Nel026.jpg", "release_v0/images/NEL/._Nel026.jpg")
    assert read(root).notes == ("derm7pt: 4 of the 1,011 published rows: a part of the set",)


def test_pictures_in_no_row_are_told(tmp_path):
    notes = read(touch(make(tmp_path), "release_v0/images/NEL/Nel099.jpg")).notes
    assert notes[1].startswith("1 image files are in no row of the tables and are not used (release_v0/images/NEL/Nel")


@pytest.mark.parametrize("folder", [".", "release_v0", "release_v0/meta"])
def test_any_folder_of_the_release_may_be_given(tmp_path, folder):
    root = make(tmp_path)
    assert ADAPTER.recognise(root / folder) == "meta.csv"
    assert len(read(root, labels=root / folder).samples) == 4


def test_the_table_may_lie_apart_from_the_pictures(tmp_path):
    root = make(tmp_path / "pictures")
    (root / "release_v0/meta").rename(tmp_path / "meta")
    for labels in (tmp_path / "meta", tmp_path / "meta/meta.csv"):
        found = read(root, labels=labels)
        assert [s.attributes["split"] for s in found.samples] == ["train", "validation", "test", "train"]


def test_columns_are_found_by_name_in_any_order_and_case(tmp_path):
    names = HEADER.upper().split(",")[::-1]
    rows = ["\t".join(row.split(",")[::-1]) for row in (*ROWS[:2], ROWS[3])]
    found = read(make(tmp_path, rows, header="\ufeff" + "\t".join(names), parts={}))
    assert each(found, "id") == ["nel026", "nal002", "adl387bis"]
    assert each(found, "group") == ["case_num 1", "case_id A7", "case_num 4"]
    assert found.samples[0].attributes["sex"] == "female"
    assert [note for note in found.notes if "not used" in note] == [
        "1 image files are in no row of the tables and are not used (release_v0/images/Adl/Adl387.jpg, ...)"
    ]


@pytest.mark.parametrize(
    ("column", "groups"),
    [
        ("case_id", ["case_num 1", "case_num 2", "case_num 3", "case_num 4"]),
        ("case_num", ["image nel026", "case_id A7", "case_id A7", "image adl387bis"]),
    ],
)
def test_one_of_the_two_case_columns_may_be_missing(tmp_path, column, groups):
    found = read(make(tmp_path, header=HEADER.replace(column, "other")))
    assert each(found, "group") == groups


def test_a_picture_that_is_missing_is_dropped(tmp_path):
    root = make(tmp_path)
    (root / "release_v0/images/NEL/Nel026.jpg").unlink()
    found = read(root)
    assert (found.found, found.dropped) == (4, {"no image file": 1})


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("5,lupus,0,absent,back,female,,NEL/Nel030.jpg,,", "line 6: unknown diagnosis 'lupus'; known: basal cell"),
        ("5,clark nevus,0,absent,back,female,NEL/Nel029.jpg,,,", "line 6: derm is empty"),
        ("5,clark nevus,0,absent,back,female,,XXX/nel026.jpg,,", "line 6: the id 'nel026' stands in line 2 already"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, told):
    with pytest.raises(DataError, match=told):
        read(make(tmp_path, [*ROWS, row]))


# ---- the official split


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("4", r"test_indexes.csv, line 2: there is no row 4 in meta.csv, which has 4, counted from 0"),
        ("2\n0", r"test_indexes.csv, line 3: row 0 is in the part 'train' already"),
        ("2\n2", r"test_indexes.csv, line 3: row 2 is in the part 'test' already"),
        ("-1", r"test_indexes.csv, line 2: '-1' is no place of a row"),
        ("nel026", r"test_indexes.csv, line 2: 'nel026' is no place of a row; a whole number was expected"),
    ],
)
def test_a_place_that_cannot_be_is_refused_at_its_line(tmp_path, lines, told):
    with pytest.raises(DataError, match=told):
        read(make(tmp_path, parts={**PARTS, "test": lines}))


@pytest.mark.parametrize("lines", ["2.0", "2"])
def test_the_places_are_rows_counted_from_0_without_the_header_and_empty_lines(tmp_path, lines):
    found = read(make(tmp_path, [ROWS[0], "", *ROWS[1:]], parts={**PARTS, "test": lines}))
    assert found.samples[2].attributes["split"] == "test"


def test_what_is_missing_of_the_split_is_told(tmp_path):
    found = read(make(tmp_path / "a", parts={"train": "0", "valid": "1"}))
    assert "no test_indexes.csv beside meta.csv: that part of the official split is missing" in found.notes
    assert "2 rows are in none of the *_indexes.csv and so in no part" in found.notes
    assert "split" not in found.samples[2].attributes
    found = read(make(tmp_path / "b", parts={}))
    told = "no train_indexes.csv, valid_indexes.csv, test_indexes.csv beside meta.csv: no official split"
    assert found.notes[-1] == told


def test_index_files_without_their_column_are_refused(tmp_path):
    touch(make(tmp_path), "release_v0/meta/test_indexes.csv", content=b"2\n3\n")
    with pytest.raises(DataError, match=r"test_indexes.csv: no column 'indexes' among 2"):
        read(tmp_path)


# ---- whose folder it is, and what can be asked


@pytest.mark.parametrize(
    "header", ["image,diagnosis", "file_name,label", "derm,label,clinic", "clinic,diagnosis", "derm,diagnosis"]
)
def test_other_tables_of_that_name_are_not_claimed(tmp_path, header):
    touch(tmp_path, "meta.csv", content=f"{header}\n{'a,' * header.count(',')}b\n".encode())
    assert ADAPTER.recognise(tmp_path) is None
    with pytest.raises(DataError, match="is not derm7pt as it is downloaded"):
        read(tmp_path)


def test_two_releases_that_differ_are_refused(tmp_path):
    make(tmp_path, release="a")
    make(tmp_path, ROWS[:3], release="b")
    with pytest.raises(UsageError, match=r"several label tables that differ .*a/meta/meta.csv, .*b/meta/meta.csv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("design", "counts"), [(SKIN[0], [717, 294]), (SKIN[1], [717, 252]), (SKIN[2], [42, 252, 717])]
)
def test_every_diagnosis_has_a_place_in_every_skin_design(tmp_path, design, counts):
    diagnoses = [word for word, count in COUNTS.items() for _ in range(count)]
    assert list(designs.get(design).assign(diagnoses).counts.values()) == counts
    assert read(make(tmp_path)).designs == (*SKIN, "diagnosis")


def test_designs_of_other_organs_are_refused(tmp_path):
    assert read(make(tmp_path)).refusal("any-dr") == "its images are of skin lesions"
