from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.ham10000 import ADAPTER as HAM10000
from featx.datasets.isic2018 import ADAPTER
from featx.errors import DataError, UsageError

TRAIN, VALIDATION, TEST = (f"ISIC2018_Task3_{part}_GroundTruth.csv" for part in ("Training", "Validation", "Test"))
HEADER = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
ROWS = "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
ROWS += "ISIC_0024310,1.0,0.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024329,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n"
GROUPINGS = "ISIC2018_Task3_Training_LesionGroupings.csv"
LESIONS = (
    "image,lesion_id,diagnosis_confirm_type\nISIC_0024306,HAM_1,serial imaging\nISIC_0024307,HAM_1,serial imaging\n"
)
METADATA = "lesion_id,image_id,dx,dx_type,age,sex,localization\nHAM_9,ISIC_0024306,nv,follow_up,45,male,back\n"
METADATA += "HAM_9,ISIC_0024307,nv,follow_up,45,male,back\nHAM_8,ISIC_0024310,mel,histo,60,female,face\n"
OVERLAP = "the training images are those of HAM10000: never train on the one and test on the other"


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def make(root: Path, *, training: str = HEADER + ROWS, **more: str) -> Path:
    images = [f"ISIC2018_Task3_Training_Input/ISIC_00243{n}.jpg" for n in ("06", "07", "10", "29")]
    return tree(root, **{f"{TRAIN[:-4]}/{TRAIN}": training}, **dict.fromkeys(images, "image"), **more)


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def test_the_lesions_come_from_the_challenges_own_table_in_another_folder(tmp_path):
    found = read(make(tmp_path, **{GROUPINGS: LESIONS}))
    assert [(s.id, s.diagnosis, s.group) for s in found.samples] == [
        ("ISIC_0024306", "nv", "HAM_1"),
        ("ISIC_0024307", "nv", "HAM_1"),
        ("ISIC_0024310", "mel", "image ISIC_0024310"),
        ("ISIC_0024329", "akiec", "image ISIC_0024329"),
    ]
    assert found.samples[0].attributes == {"diagnosis_confirm_type": "serial imaging", "split": "train"}
    assert (found.group_kind, found.unit_kind) == ("lesion", "lesion")
    assert found.notes == (
        "isic2018 train: 4 of the 10,015 published rows: a part of the set",
        "2 images have no lesion: each is a group of its own, and what they share is unknown",
        OVERLAP,
    )


def test_without_it_they_come_from_the_metadata_of_ham10000(tmp_path):
    root = make(tmp_path, **{"meta/HAM10000_metadata.csv": METADATA})
    found = read(root)
    assert [s.group for s in found.samples] == ["HAM_9", "HAM_9", "HAM_8", "image ISIC_0024329"]
    assert found.samples[2].attributes == {
        "dx_type": "histo", "age": "60", "sex": "female", "localization": "face", "split": "train"
    }  # fmt: skip
    found = read(tree(root, **{GROUPINGS: LESIONS}))
    assert [s.group for s in found.samples[:3]] == ["HAM_1", "HAM_1", "HAM_8"]
    assert found.samples[0].attributes["age"] == "45"


def test_without_either_each_image_is_its_own_group_and_it_is_told(tmp_path):
    found = read(make(tmp_path))
    assert found.group_kind is None
    assert any(note.startswith("no table that says which images share a lesion was found") for note in found.notes)


def test_all_three_parts_are_read(tmp_path):
    more = {
        f"v/{VALIDATION}": f"{HEADER}ISIC_0034321,0,0,1,0,0,0,0\n",
        f"t/{TEST}": f"{HEADER[:-1]},score_weight\nISIC_0034524,0,0,0,0,0,0,1,0.5\n",
    }
    images = {"v/ISIC_0034321.jpg": "image", "t/ISIC_0034524.jpg": "image"}
    found = read(make(tmp_path, **more, **images))
    assert [(s.diagnosis, s.attributes) for s in found.samples[4:]] == [
        ("bcc", {"split": "validation"}),
        ("vasc", {"score_weight": "0.5", "split": "test"}),
    ]


def test_the_test_truth_of_dataverse_is_laid_out_as_the_metadata_of_ham10000(tmp_path):
    tab = "lesion_id\timage_id\tdx\tdx_type\tage\tsex\tlocalization\tdataset\n"
    tab += "HAMTEST_1\tISIC_0034525\tnv\thisto\t70.0\tmale\tabdomen\trosendahl\n"
    name = TEST.replace(".csv", ".tab")
    found = read(tree(tmp_path, **{name: tab, "i/ISIC_0034525.jpg": "image"}))
    (sample,) = found.samples
    assert (sample.diagnosis, sample.group, sample.attributes["age"]) == ("nv", "HAMTEST_1", "70.0")
    assert (sample.attributes["split"], "dx" in sample.attributes) == ("test", False)
    assert not any("HAM10000" in note for note in found.notes)
    with pytest.raises(DataError, match="line 2: unknown dx 'nevus'; known: akiec"):
        read(tree(tmp_path, **{name: tab.replace("\tnv\t", "\tnevus\t")}))


def test_copies_masks_and_other_tasks_are_not_taken_for_images(tmp_path):
    expected = read(make(tmp_path))
    other = ("ISIC2018_Task1-2_Training_Input/ISIC_0024306.jpg", "ISIC2018_Task1_x/ISIC_0024306_segmentation.png")
    found = read(tree(tmp_path, **dict.fromkeys(other, "another image")))
    assert found == expected
    tree(tmp_path, **{"isic2018_task3_training_input/ISIC_0024306.jpg": "image"})
    assert "1 further copies of images (same name in another folder) are not used" in read(tmp_path).notes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ISIC_1,1,1,0,0,0,0,0", "line 6: 2 of the columns MEL, NV, .* are 1; exactly one may be"),
        ("ISIC_1,0,0,0,0,0,0,0", "line 6: 0 of the columns"),
        ("ISIC_1,2,0,0,0,0,0,0", "line 6: MEL is '2'"),
        ("ISIC_0024306,1,0,0,0,0,0,0", "line 6: lesion 'HAM_1' is mel here and nv above"),
        ("ISIC_0024310,1,0,0,0,0,0,0", "line 6: the id 'ISIC_0024310' stands in line 4 already"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, training=f"{HEADER}{ROWS}{row}\n", **{GROUPINGS: LESIONS}))


def test_a_missing_class_is_named(tmp_path):
    with pytest.raises(DataError, match="no column 'vasc' among image, MEL"):
        read(make(tmp_path, training="image,MEL,NV,BCC,AKIEC,BKL,DF\nISIC_0024306,0,1,0,0,0,0\n"))


def test_it_beats_ham10000_only_where_its_training_truth_is_there(tmp_path):
    ham = tree(tmp_path / "ham", **{"HAM10000_metadata.tab": METADATA, f"a/{TEST}": HEADER, "a/b.jpg": "image"})
    assert ADAPTER.recognise(ham) is None
    assert HAM10000.recognise(ham) == "HAM10000_metadata.tab"
    both = make(tmp_path / "both", **{"HAM10000_metadata.csv": METADATA})
    assert ADAPTER.recognise(both) == TRAIN
    assert ADAPTER.precedence == HAM10000.precedence and "ham10000" in ADAPTER.supersedes
    assert ADAPTER.recognise(tree(tmp_path / "test", **{TEST: HEADER})) == TEST
    assert ADAPTER.recognise(tree(tmp_path / "other", **{GROUPINGS: LESIONS, "labels.csv": HEADER})) is None


def test_metadata_of_ham10000_that_differ_are_refused(tmp_path):
    root = make(tmp_path, **{"HAM10000_metadata.csv": METADATA, "HAM10000_metadata.tab": METADATA[:-1]})
    with pytest.raises(UsageError, match="several label tables that differ"):
        read(root)


def test_the_tables_may_lie_apart_from_the_images(tmp_path):
    tables = tree(tmp_path / "tables", **{TRAIN: HEADER + ROWS, GROUPINGS: LESIONS})
    root = make(tmp_path / "images", training="not a table")
    for labels in (tables, tables / TRAIN):
        found = read(root, labels=labels)
        assert (len(found.samples), found.samples[0].group) == (4, "HAM_1")


def test_every_skin_design_can_be_asked(tmp_path):
    more = {f"v/{VALIDATION}": f"{HEADER}ISIC_0034321,0,0,1,0,0,0,0\n", "v/ISIC_0034321.jpg": "image"}
    found = read(make(tmp_path, **more))
    diagnoses = [s.diagnosis for s in found.samples]
    assert designs.get("malignant-vs-benign").assign(diagnoses).y.tolist() == [0, 0, 1, -1, 1]
    assert designs.get("mel-vs-benign").assign(diagnoses).y.tolist() == [0, 0, 1, -1, -1]
    assert designs.get("three-class").assign(diagnoses).counts == {"bcc": 1, "melanoma": 1, "benign": 2}
    assert all(found.refusal(name) is None for name in found.designs)
    assert found.refusal("dr-grade") == "its images are of skin lesions"


@pytest.mark.data
def test_the_public_copy_is_read_with_the_lesions_of_ham10000(real, tmp_path):
    labels = real / "data" / "labels"
    text = (labels / TRAIN).read_text()
    images = {f"i/{line.split(',')[0]}.jpg": "" for line in text.splitlines()[1:]}
    found = read(tree(tmp_path, **images), labels=labels)
    assert (found.found, len(found.samples), found.group_kind) == (7470, 7470, "lesion")
    assert len({s.group for s in found.samples}) == 7470  # this copy holds one image a lesion
    assert found.notes[0] == "isic2018 train: 7,470 of the 10,015 published rows: a part of the set"
    assert {s.diagnosis for s in found.samples} == {"nv", "mel", "bkl", "bcc", "akiec", "vasc", "df"}
