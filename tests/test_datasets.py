from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.datasets import ADAPTERS, Columns, Dataset, Sample, base, from_table, open_dataset
from featx.datasets.base import image_files, refuse_repeats, slug
from featx.errors import DataError, UnknownName, UsageError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"image")
    return root


def dataset(**kwargs) -> Dataset:
    return Dataset("d", "csv", Path("/data"), (Sample("1", "1.jpg", "a", "g", "u"),), **kwargs)


# ---- the way from a path to a dataset


def test_a_path_where_nothing_is_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no folder or table .*nowhere.*FEATX_DATA"):
        open_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"], ids=["too long", "NUL"])
def test_a_name_that_no_file_can_have_is_a_data_error(name):
    with pytest.raises(DataError, match="no folder or table"):
        open_dataset(name)


def test_an_empty_folder_has_no_images(tmp_path):
    with pytest.raises(DataError, match=r"has no images.*featx datasets"):
        open_dataset(tmp_path)


def test_a_flat_folder_of_images_says_that_labels_are_missing(tmp_path):
    touch(tmp_path, "1.jpg", "2.png")
    with pytest.raises(DataError, match="holds 2 images, but no table and no class folders"):
        open_dataset(tmp_path)


def test_an_image_instead_of_a_folder_is_no_table(tmp_path):
    touch(tmp_path, "1.jpg")
    with pytest.raises(DataError, match="is a file but no table"):
        open_dataset(tmp_path / "1.jpg")


def test_a_table_beats_class_folders(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    assert open_dataset(tmp_path).adapter == "folder"
    (tmp_path / "labels.csv").write_text("image,label\n1,x\n2,y\n")
    assert open_dataset(tmp_path).adapter == "csv"


def test_metadata_of_ham10000_beat_other_tables(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "labels.csv").write_text("image,label\n1,x\n2,y\n")
    (tmp_path / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\nL1,1,nv\nL2,2,mel\n")
    assert open_dataset(tmp_path).adapter == "ham10000"


@pytest.mark.parametrize("name", ["csv", "folder"])
def test_a_named_adapter_is_taken_whatever_else_fits(tmp_path, name):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\nL1,1,nv\nL2,2,mel\n")
    assert open_dataset(tmp_path, adapter=name).adapter == name


def test_an_unknown_adapter_gets_a_suggestion(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'ham10000'"):
        open_dataset(tmp_path, adapter="ham1000")


def test_equal_adapters_are_listed(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "labels.csv").write_text("image,label\n1,x\n2,y\n")
    monkeypatch.setattr(type(ADAPTERS["folder"]), "precedence", ADAPTERS["csv"].precedence)
    with pytest.raises(UsageError, match=r"csv \(labels.csv\); folder \(a, b\); say which with --dataset"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, adapter="folder").adapter == "folder"


def test_one_dataset_is_the_same_by_every_spelling_of_its_path(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    whole = open_dataset(tmp_path)
    for spelling in (".", "sub/..", str(tmp_path) + "/"):
        assert open_dataset(spelling) == whole
    assert whole.root.is_absolute() and whole.name == slug(tmp_path.name)


def test_every_adapter_says_what_it_expects():
    for name, adapter in ADAPTERS.items():
        assert adapter.name == name
        assert len(adapter.expects) > 20 and "\n" not in adapter.expects


# ---- what a dataset says of itself


@pytest.mark.parametrize("kind", ["lesion", "case"])
def test_groups_that_are_no_people_leave_patients_unknown(kind):
    assert dataset(group_kind=kind).grouping == f"no {kind} straddles; patients unknown"


@pytest.mark.parametrize("kind", ["patient", "person", "subject"])
def test_groups_of_people_do_not_call_patients_unknown(kind):
    assert dataset(group_kind=kind).grouping == f"no {kind} straddles"


def test_without_groups_images_may_straddle_and_nothing_is_promised():
    assert dataset().grouping.startswith("groups unknown")
    assert "may straddle" in dataset().grouping


@pytest.mark.parametrize("kind", [None, "lesion", "patient"])
def test_no_grouping_ever_says_that_nothing_leaks(kind):
    assert "leak" not in dataset(group_kind=kind).grouping


def test_found_is_kept_and_dropped_together():
    assert dataset(dropped={"no image file": 3, "no label": 2}).found == 6


def test_synthetic_data_say_so_in_their_title():
    assert dataset().title == "d"
    assert dataset(synthetic=True).title == "d (synthetic demo data)"


# ---- the table that travels in a feature file

TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too, as in names that are not UTF-8
NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@st.composite
def datasets(draw) -> Dataset:
    made = st.builds(Sample, NAMES, NAMES, TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3))
    return Dataset(
        name=draw(TEXT),
        adapter="csv",
        root=Path("/", draw(NAMES)),
        samples=tuple(draw(st.lists(made, max_size=5))),
        dropped=draw(st.dictionaries(TEXT, st.integers(1, 10**9), max_size=3)),
        group_kind=draw(st.none() | TEXT),
        unit_kind=draw(st.none() | TEXT),
        synthetic=draw(st.booleans()),
        notes=tuple(draw(st.lists(TEXT, max_size=3))),
    )


@given(datasets())
@settings(max_examples=150, deadline=None)
def test_a_dataset_comes_back_from_its_table(made):
    stored = made.to_table().encode(errors="surrogatepass")
    again = from_table(stored.decode(errors="surrogatepass"), [sample.path for sample in made.samples])
    assert again == made
    assert again.to_table() == made.to_table()


def test_a_table_for_another_number_of_rows_is_refused():
    with pytest.raises(DataError, match="extract it again"):
        from_table(dataset().to_table(), ["1.jpg", "2.jpg"])


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", "3", "null", '"x"', '{"rows": 3}', '{"rows": [[1]]}', "[" * 10**5]
)
def test_a_text_that_is_no_table_is_refused(text):
    with pytest.raises(DataError, match="cannot be read"):
        from_table(text, ["1.jpg"])


def test_a_table_with_unknown_or_missing_fields_is_refused():
    value = json.loads(dataset().to_table())
    for wrong in ({**value, "colour": 1}, {k: v for k, v in value.items() if k != "root"}):
        with pytest.raises(DataError, match="cannot be read"):
            from_table(json.dumps(wrong), ["1.jpg"])


# ---- the files of a folder


def test_images_are_listed_by_their_endings_in_order(tmp_path):
    touch(tmp_path, "b.JPG", "a/c.png", "a/d.TIFF", "notes.txt", "labels.csv", "a.jpeg", "x.dcm", "x.mat")
    assert image_files(tmp_path) == ["a.jpeg", "a/c.png", "a/d.TIFF", "b.JPG", "x.dcm"]


def test_litter_of_other_systems_is_left_out(tmp_path):
    touch(tmp_path, "__MACOSX/a/._1.jpg", "__MACOSX/a/1.jpg", "._1.jpg", ".thumbs/1.jpg", "a/1.jpg", "lost+found/2.jpg")
    assert image_files(tmp_path) == ["a/1.jpg"]


def test_a_hidden_root_is_read(tmp_path):
    assert image_files(touch(tmp_path / ".data", "1.jpg")) == ["1.jpg"]


def test_links_are_followed_and_loops_end(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "root/a/2.jpg")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/itself").symlink_to(tmp_path / "root/itself")
    assert image_files(tmp_path / "root") == ["a/2.jpg", "b/1.jpg"]


def test_a_folder_that_two_links_name_is_read_once(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg")
    (tmp_path / "root").mkdir()
    for name in "xy":
        (tmp_path / "root" / name).symlink_to(tmp_path / "elsewhere")
    assert image_files(tmp_path / "root") == ["x/1.jpg"]


def test_a_dangling_link_stays_in_the_list_so_that_its_row_is_told(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere")
    assert image_files(tmp_path) == ["a.jpg"]


def test_a_folder_that_cannot_be_read_does_not_vanish(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    scandir = os.scandir

    def guarded(path):
        if Path(os.fsdecode(path)).name == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(base.os, "scandir", guarded)
    with pytest.raises(DataError, match=r"folder .*/b cannot be read \(Permission denied\)"):
        image_files(tmp_path)


def test_names_that_are_not_utf_8_are_kept(tmp_path):
    (tmp_path / os.fsdecode(b"x\xff.jpg")).write_bytes(b"image")
    (name,) = image_files(tmp_path)
    assert os.fsencode(name) == b"x\xff.jpg"


@pytest.mark.parametrize(
    ("text", "made"),
    [("My data (2)", "My-data-2"), ("../..", "data"), ("", "data"), ("Haut-Läsionen", "Haut-Läsionen"), ("a/b", "a-b"),
     (os.fsdecode(b"x\xff"), "x")],
)  # fmt: skip
def test_a_slug_is_one_part_of_a_path(text, made):
    assert slug(text) == made


@given(TEXT)
def test_a_slug_never_climbs_and_is_never_empty(text):
    made = slug(text)
    assert made and not made.startswith((".", "-")) and "/" not in made
    made.encode()


def test_a_repeat_is_refused_at_its_line():
    rows = [(2, "a"), (3, "b"), (4, "a")]
    with pytest.raises(DataError, match=r"t.csv, line 4: the id 'a' stands in line 2 already"):
        refuse_repeats(rows, what="id", table=Path("t.csv"))
    assert refuse_repeats(rows[:2], what="id", table=Path("t.csv")) is None


def test_columns_are_found_out_unless_given():
    assert Columns() == Columns(None, None, None, None, None)
