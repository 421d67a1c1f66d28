from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import designs
from featx.datasets import open_dataset
from featx.errors import DataError, UsageError

PART = "ham10000: 4 of the 10,015 published rows: a part of the set"
HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
ROWS = [
    ("HAM_0000118", "ISIC_0027419", "bkl", "histo", "80.0", "male", "scalp"),
    ("HAM_0000118", "ISIC_0025030", "bkl", "histo", "80.0", "male", "scalp"),
    ("HAM_0002730", "ISIC_0026769", "nv", "follow_up", "", "female", "back"),
    ("HAM_0001466", "ISIC_0031633", "mel", "histo", "75.0", "unknown", "ear"),
]


def text(rows=ROWS, header=HEADER, delimiter=",") -> str:
    return "".join(delimiter.join(row) + "\n" for row in (header, *rows))


def make(root: Path, rows=ROWS, *, name="HAM10000_metadata.csv", table=None, images=True) -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_text(text(rows) if table is None else table, encoding="utf-8")
    for number, row in enumerate(rows if images else ()):
        put(root, f"{PARTS[number % 2]}/{row[1]}.jpg")
    return root


def put(root: Path, *paths: str, content: bytes = b"image") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def test_the_download_is_read_as_it_is(tmp_path):
    found = open_dataset(make(tmp_path / "ham"))
    assert (found.adapter, found.name, found.root) == ("ham10000", "ham", tmp_path / "ham")
    assert [s.id for s in found.samples] == [row[1] for row in ROWS]
    assert [s.path for s in found.samples] == [f"{PARTS[n % 2]}/{row[1]}.jpg" for n, row in enumerate(ROWS)]
    assert [s.diagnosis for s in found.samples] == ["bkl", "bkl", "nv", "mel"]
    assert [s.group for s in found.samples] == [s.unit for s in found.samples] == [row[0] for row in ROWS]
    assert found.samples[2].attributes == {
        "dx_type": "follow_up", "age": "", "sex": "female", "localization": "back"
    }  # fmt: skip
    assert (found.found, found.dropped, found.notes, found.synthetic) == (4, {}, (PART,), False)


def test_its_groups_are_lesions_and_patients_stay_unknown(tmp_path):
    found = open_dataset(make(tmp_path))
    assert (found.group_kind, found.unit_kind) == ("lesion", "lesion")
    assert found.grouping == "no lesion straddles; patients unknown"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("HAM10000_metadata", text()),
        ("HAM10000_metadata", text(delimiter="\t")),
        ("HAM10000_metadata.tab", text(delimiter="\t")),
        ("HAM10000_metadata.tab", text([[f'"{v}"' for v in row] for row in ROWS], delimiter="\t")),
        ("HAM10000_metadata.tsv", text(delimiter="\t")),
        ("HAM10000_metadata.csv", "\ufeff" + text()),
        ("HAM10000_metadata.csv", text(delimiter=";")),
        ("ham10000_metadata.CSV", text().replace("\n", "\r\n")),
    ],
    ids=["no ending", "no ending, tabs", "tab", "tab, quoted", "tsv", "BOM", "semicolons", "lower case, CRLF"],
)
def test_every_form_of_the_metadata_is_read_alike(tmp_path, name, table):
    expected = open_dataset(make(tmp_path / "ham"))
    (tmp_path / "ham" / "HAM10000_metadata.csv").unlink()
    assert open_dataset(make(tmp_path / "ham", name=name, table=table)) == expected


def test_the_newer_column_dataset_is_an_attribute(tmp_path):
    rows = [(*row, "vidir_modern") for row in ROWS]
    found = open_dataset(make(tmp_path, rows, table=text(rows, (*HEADER, "dataset"))))
    assert found.samples[0].attributes["dataset"] == "vidir_modern"
    assert not found.synthetic


def test_the_demo_dataset_is_known_for_what_it_is(tiny_demo):
    found = open_dataset(tiny_demo)
    assert (found.adapter, found.synthetic, found.found, len(found.samples)) == ("ham10000", True, 126, 126)
    assert "synthetic demo data" in found.title


def test_second_copies_of_the_folders_in_lower_case_are_not_used(tmp_path):
    root = make(tmp_path)
    for number, row in enumerate(ROWS):
        put(root, f"ham10000_images_part_{number % 2 + 1}/{row[1]}.jpg")
    found = open_dataset(root)
    assert found.found == len(found.samples) == 4
    assert {s.path.split("/")[0] for s in found.samples} == set(PARTS)
    assert found.notes == (PART, "4 further copies of images (same name in another folder) are not used")


def test_copies_that_are_not_the_same_file_are_refused(tmp_path):
    root = make(tmp_path)
    put(root, f"small/{ROWS[2][1]}.jpg", content=b"another image")
    with pytest.raises(DataError, match=r"part_1/ISIC_0026769.jpg and small/ISIC_0026769.jpg .* are different files"):
        open_dataset(root)


def test_masks_that_bear_the_names_of_their_images_are_not_taken_for_them(tmp_path):
    root = make(tmp_path)
    put(root, *(f"GroundTruth/{row[1]}.png" for row in ROWS), content=b"a mask")
    assert {s.path.split("/")[0] for s in open_dataset(root).samples} == set(PARTS)


def test_the_small_pictures_of_hmnist_are_ignored(tmp_path):
    root = make(tmp_path)
    for size in ("8_8_L", "8_8_RGB", "28_28_L", "28_28_RGB"):
        (root / f"hmnist_{size}.csv").write_text("pixel0000,label\n1,2\n")
    assert open_dataset(root) == open_dataset(root, adapter="ham10000")
    assert open_dataset(root).adapter == "ham10000"


def test_images_lie_in_any_folders(tmp_path):
    root = make(tmp_path, images=False)
    put(root, "ISIC_0027419.jpg", "a/ISIC_0025030.JPG", "a/b/c/ISIC_0026769.jpeg", "a/ISIC_0031633.png")
    assert len(open_dataset(root).samples) == 4


def test_litter_of_other_systems_is_no_image(tmp_path):
    root = make(tmp_path)
    put(root, f"__MACOSX/{PARTS[0]}/._ISIC_0027419.jpg", f"__MACOSX/{PARTS[0]}/ISIC_0027419.jpg", content=b"litter")
    assert open_dataset(root).notes == (PART,)


def test_rows_without_an_image_are_dropped_with_the_reason(tmp_path):
    root = make(tmp_path)
    (root / PARTS[0] / f"{ROWS[0][1]}.jpg").unlink()
    found = open_dataset(root)
    assert found.dropped == {"no image file": 1}
    assert (found.found, len(found.samples)) == (4, 3)


def test_images_without_a_row_are_told(tmp_path):
    root = make(tmp_path)
    put(root, "ISIC2018_Task3_Test_Images/ISIC_0034524.jpg", "ISIC2018_Task3_Test_Images/ISIC_0034525.jpg")
    found = open_dataset(root)
    assert found.found == 4
    told = (
        "2 image files are in no row of the tables and are not used (ISIC2018_Task3_Test_Images/ISIC_0034524.jpg, ...)"
    )
    assert found.notes == (PART, told)


def test_without_any_image_nothing_is_read(tmp_path):
    with pytest.raises(DataError, match=r"none of the 4 rows .* give the folder that holds tables and images"):
        open_dataset(make(tmp_path, images=False))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("HAM_1", "ISIC_1", "scc"), "line 6: unknown dx 'scc'; known: akiec, bcc, bkl, df, mel, nv, vasc"),
        (("HAM_1", "ISIC_1", "melanoma"), "line 6: unknown dx 'melanoma'"),
        (("HAM_1", "ISIC_1", ""), "line 6: unknown dx ''"),
        (("", "ISIC_1", "nv"), "line 6: lesion_id is empty"),
        (("HAM_1", "", "nv"), "line 6: image_id is empty"),
        (("HAM_1", "ISIC_0025030", "nv"), "line 6: the id 'ISIC_0025030' stands in line 3 already"),
        (("HAM_0000118", "ISIC_1", "mel"), "line 6: lesion 'HAM_0000118' is mel here and bkl above"),
    ],
)
@pytest.mark.parametrize("images", [True, False], ids=["with its image", "without"])
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, message, images):
    root = make(tmp_path)
    (root / "HAM10000_metadata.csv").write_text(text([*ROWS, (*row, "histo", "1", "male", "back")]))
    if images:
        put(root, f"{PARTS[0]}/ISIC_1.jpg")
    with pytest.raises(DataError, match=message):
        open_dataset(root)


def test_a_copy_with_repeated_rows_is_refused(tmp_path):
    root = make(tmp_path)
    (root / "HAM10000_metadata.csv").write_text(text([*ROWS, *ROWS[1:3]]))
    with pytest.raises(DataError, match="line 6: the id 'ISIC_0025030' stands in line 3 already"):
        open_dataset(root)


@pytest.mark.parametrize("column", ["lesion_id", "image_id", "dx"])
def test_a_missing_column_is_named(tmp_path, column):
    with pytest.raises(DataError, match=f"no column '{column}' among lesion"):
        open_dataset(make(tmp_path, table=text().replace(column, "lesion" if "_id" in column else "diagnosis", 1)))


def test_metadata_that_stand_twice_unchanged_are_one_table(tmp_path):
    root = make(tmp_path)
    (root / "HAM10000_metadata").write_text(text())
    assert len(open_dataset(root).samples) == 4


@pytest.mark.parametrize("folders", [("", ""), ("a/", "b/")], ids=["one folder", "two folders"])
def test_several_metadata_that_differ_are_listed(tmp_path, folders):
    names = f"{folders[0]}HAM10000_metadata.csv", f"{folders[1]}HAM10000_metadata.tab"
    for name, rows in zip(names, (ROWS, ROWS[:2]), strict=True):
        put(tmp_path, name, content=text(rows).encode())
    put(tmp_path, *(f"{folders[0]}{row[1]}.jpg" for row in ROWS))
    with pytest.raises(UsageError, match=rf"several label tables that differ .*{names[0]}, .*{names[1]}\); move away"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path / names[0]).samples) == 4


def test_metadata_at_the_top_beat_those_below(tmp_path):
    root = make(tmp_path)
    put(root, "old/HAM10000_metadata.csv", content=text(ROWS[:2]).encode())
    assert len(open_dataset(root).samples) == 4


def test_the_metadata_file_stands_for_its_folder(tmp_path):
    root = make(tmp_path)
    assert open_dataset(root / "HAM10000_metadata.csv") == open_dataset(root)


def test_a_file_of_another_name_is_read_where_the_adapter_is_named(tmp_path):
    root = make(tmp_path, name="ham.csv")
    assert open_dataset(root / "ham.csv", adapter="ham10000").group_kind == "lesion"
    with pytest.raises(DataError, match="is not ham10000 as it is downloaded; a folder with HAM10000_metadata"):
        open_dataset(root, adapter="ham10000")


@given(
    st.lists(st.tuples(st.sampled_from(["nv", "mel", "df"]), st.booleans()), min_size=1, max_size=12), st.integers(0, 3)
)
@settings(max_examples=40, deadline=None)
def test_found_is_kept_and_dropped_whatever_is_missing(tmp_path_factory, rows, extra):
    root = tmp_path_factory.mktemp("ham")
    table = [(f"{dx}{n % 2}", f"ISIC_{n}", dx, "histo", "1", "male", "back") for n, (dx, _) in enumerate(rows)]
    make(root, table, images=False)
    put(
        root, *(f"p/ISIC_{n}.jpg" for n, (_, there) in enumerate(rows) if there), *(f"p/X{n}.jpg" for n in range(extra))
    )
    kept = [n for n, (_, there) in enumerate(rows) if there]
    if not kept:
        with pytest.raises(DataError, match="none of the"):
            open_dataset(root)
        return
    found = open_dataset(root)
    assert found.found == len(rows) == len(found.samples) + sum(found.dropped.values())
    assert [s.id for s in found.samples] == [f"ISIC_{n}" for n in kept]
    assert any("are in no row of the tables" in note for note in found.notes) == bool(extra)


@pytest.mark.data
def test_the_subset_of_isic_2018_has_the_counts_that_it_should(real):
    found = open_dataset(real / "data" / "isic2018_subset")
    assert (found.adapter, found.found, len(found.samples)) == ("ham10000", 757, 757)
    assert len({s.group for s in found.samples}) == 610
    counts = {"nv": 453, "bkl": 112, "mel": 83, "bcc": 45, "vasc": 25, "df": 21, "akiec": 18}
    assert Counter(s.diagnosis for s in found.samples) == counts
    assert not found.synthetic


@pytest.mark.data
def test_untouched_originals_are_found_in_both_parts(real):
    found = open_dataset(real / "data" / "ham10000_originals")
    assert (found.found, len(found.samples)) == (21, 21)
    assert {s.path.split("/")[0] for s in found.samples} == set(PARTS)


@pytest.mark.data
def test_the_whole_metadata_pass_every_check(real, tmp_path):
    table = (real / "data" / "labels" / "HAM10000_metadata.csv").read_bytes()
    put(tmp_path, "HAM10000_metadata.csv", content=table)
    put(tmp_path, "p/ISIC_0027419.jpg")
    found = open_dataset(tmp_path)
    assert (found.found, found.dropped) == (10015, {"no image file": 10014})


@pytest.mark.data
def test_the_whole_set_equals_what_was_published_to_the_row(real, tmp_path):
    table = (real / "data" / "labels" / "HAM10000_metadata.csv").read_bytes()
    put(tmp_path, "HAM10000_metadata.csv", content=table)
    for number, line in enumerate(table.decode().splitlines()[1:]):
        put(tmp_path, f"{PARTS[number % 2]}/{line.split(',')[1]}.jpg")
    found = open_dataset(tmp_path)
    assert found.notes == ("ham10000: the 10,015 rows and their classes are the published ones",)
    lesions = Counter(sample.group for sample in found.samples)
    assert Counter(lesions.values()) == {1: 5514, 2: 1423, 3: 490, 4: 34, 5: 5, 6: 4}
    per_dx = Counter(dx for dx, _ in {(sample.diagnosis, sample.group) for sample in found.samples})
    assert per_dx == {"nv": 5403, "bkl": 727, "mel": 614, "bcc": 327, "akiec": 228, "vasc": 98, "df": 73}
    diagnoses = [sample.diagnosis for sample in found.samples]
    for design, images, groups in (("malignant-vs-benign", 9688, 7242), ("mel-vs-benign", 9174, 6915)):
        kept = designs.get(design).assign(diagnoses).y >= 0
        assert kept.sum() == images
        assert len({s.group for s, keep in zip(found.samples, kept, strict=True) if keep}) == groups
    assert list(designs.get("three-class").assign(diagnoses).counts.values()) == [514, 1113, 8061]


def test_other_counts_than_the_published_ones_are_told(tmp_path):
    rows = [(f"L{n}", f"I{n}", "nv", "histo", "", "", "") for n in range(10_015)]
    (told,) = open_dataset(make(tmp_path, rows)).notes
    assert told.startswith("ham10000: the counts are not the published ones: akiec 0 (published 327), ")
    more = [*rows, ("L", "I", "mel", "histo", "", "", "")]
    (told,) = open_dataset(make(tmp_path, more)).notes
    assert told == "ham10000: 10,016 rows where 10,015 were published: not the set as published (added copies?)"


def test_designs_of_other_organs_are_refused(tmp_path):
    found = open_dataset(make(tmp_path))
    assert found.refusal("mel-vs-benign") is None
    assert found.refusal("any-dr") == "its images are of skin lesions"


def test_more_of_one_class_than_was_published_is_no_part_of_the_set(tmp_path):
    rows = [(f"L{n}", f"I{n}", "mel", "histo", "", "", "") for n in range(2000)]
    (told,) = open_dataset(make(tmp_path, rows)).notes
    assert told == "ham10000: no part of the set as published: mel 2,000 (published 1,113)"
