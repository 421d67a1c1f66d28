from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.isic2020 import ADAPTER
from featx.errors import DataError

V1, V2 = "ISIC_2020_Training_GroundTruth.csv", "ISIC_2020_Training_GroundTruth_v2.csv"
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target\n"
ROWS = """ISIC_1,IP_1,male,45.0,head/neck,unknown,benign,0
ISIC_2,IP_1,male,45.0,torso,melanoma,malignant,1
ISIC_3,IP_2,female,50.0,torso,nevus,benign,0
ISIC_4,IP_3,female,,,atypical melanocytic proliferation,benign,0
ISIC_5,IP_4,female,,,cafe-au-lait macule,benign,0
ISIC_6,,female,,,lentigo NOS,benign,0
"""
NO_PAIRS = "ISIC_2020_Training_Duplicates.csv was not found: its 425 pairs of duplicates are not joined"


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def make(root: Path, *, name: str = V1, text: str = HEADER + ROWS, **more: str) -> Path:
    return tree(root, **{name: text}, **{f"train/ISIC_{n}.jpg": "image" for n in range(1, 7)}, **more)


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def test_the_download_is_read_as_it_is(tmp_path):
    found = read(make(tmp_path))
    assert [s.diagnosis for s in found.samples] == [
        "benign", "melanoma", "nevus", "benign", "cafe-au-lait macule", "lentigo NOS"
    ]  # fmt: skip
    assert [s.group for s in found.samples] == ["IP_1", "IP_1", "IP_2", "IP_3", "IP_4", "image ISIC_6"]
    assert [s.unit for s in found.samples] == [f"image {s.id}" for s in found.samples]
    assert (found.group_kind, found.unit_kind) == ("patient", None)
    assert found.samples[0].attributes == {
        "patient_id": "IP_1", "sex": "male", "age": "45.0", "localization": "head/neck",
        "benign_malignant": "benign", "target": "0", "diagnosis_text": "unknown",
    }  # fmt: skip
    assert found.samples[3].attributes["diagnosis_text"] == "atypical melanocytic proliferation"
    assert found.notes == (
        "isic2020: 6 of the 33,126 published rows: a part of the set",
        "1 images have neither patient nor lesion: what they share is unknown",
        NO_PAIRS,
    )


def test_images_of_a_pair_share_a_group_and_so_do_their_patients(tmp_path):
    pairs = "image_name_1,image_name_2\nISIC_2,ISIC_3\nISIC_6,ISIC_5\nISIC_1,ISIC_99\n"
    found = read(make(tmp_path, **{f"csv/{DUPLICATES}": pairs}))
    groups = {s.id: s.group for s in found.samples}
    assert groups["ISIC_1"] == groups["ISIC_2"] == groups["ISIC_3"] == "IP_1"
    assert groups["ISIC_5"] == groups["ISIC_6"] != groups["ISIC_4"]
    assert found.samples[2].attributes["patient_id"] == "IP_2"
    assert NO_PAIRS not in found.notes


def test_the_second_version_comes_first_and_its_lesions_are_units(tmp_path):
    second = HEADER.replace("patient_id", "lesion_id,patient_id") + "".join(
        line.replace(",IP", f",IL_{n}," + "IP", 1) if ",IP" in line else line.replace(",,", ",,,", 1)
        for n, line in enumerate(ROWS.splitlines(keepends=True))
    )
    root = make(tmp_path, **{f"v2/{V2}": second, "train.csv": HEADER + ROWS})
    assert ADAPTER.recognise(root) == V2
    found = read(root)
    assert (found.group_kind, found.unit_kind) == ("patient", "lesion")
    assert [s.unit for s in found.samples][:3] == ["IL_0", "IL_1", "IL_2"]
    assert found.samples[5].unit == "image ISIC_6"


def test_kaggles_layout_is_read_and_its_jpegs_come_before_dicom(tmp_path):
    kaggle = {"train.csv": HEADER + ROWS, "test.csv": "image_name,patient_id\nISIC_9,IP_9\n"}
    images = {f"jpeg/train/ISIC_{n}.jpg": "image" for n in range(1, 7)}
    dicom = {f"train/ISIC_{n}.dcm": "a DICOM file" for n in range(1, 7)}
    found = read(tree(tmp_path, **kaggle, **images, **dicom))
    assert {s.path for s in found.samples} == set(images)
    assert ADAPTER.recognise(tmp_path) == "train.csv"


@pytest.mark.parametrize(
    "header",
    ["id_code,diagnosis", "image,level", "image_name,target", "isic_id,target,patient_id", "file,label", ""],
)
def test_a_train_csv_of_another_set_is_not_recognised(tmp_path, header):
    tree(tmp_path, **{"train.csv": f"{header}\na,0\n", "labels.csv": HEADER + ROWS, "train/a.jpg": "image"})
    assert ADAPTER.recognise(tmp_path) is None
    with pytest.raises(DataError, match="is not isic2020 as it is downloaded"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("melanoma,benign,0", "line 8: the diagnosis is 'melanoma' and the target 0; 1 means melanoma here"),
        ("nevus,malignant,1", "line 8: the diagnosis is 'nevus' and the target 1"),
        ("unknown,malignant,1", "line 8: the diagnosis is 'unknown' and the target 1"),
        ("nevus,malignant,0", "line 8: benign_malignant is 'malignant' and target is 0; they should agree"),
        ("nevus,,0", "line 8: benign_malignant is '' and target is 0"),
        ("naevus,benign,0", "line 8: unknown diagnosis 'naevus'; known: benign, nevus"),
        ("nevus,benign,2", "line 8: target is '2'; 0 or 1 was expected"),
        ("nevus,benign,", "line 8: target is ''"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, text=f"{HEADER}{ROWS}ISIC_7,IP_7,male,45.0,torso,{row}\n"))


def test_an_id_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 8: the id 'ISIC_3' stands in line 4 already"):
        read(make(tmp_path, text=HEADER + ROWS + ROWS.splitlines()[2] + "\n"))


def test_a_copy_with_the_target_alone_is_read_without_groups(tmp_path):
    found = read(make(tmp_path, text="target;image_name\n1.0;ISIC_1.jpg\n0.0;ISIC_2.jpg\n"))
    assert [(s.id, s.diagnosis) for s in found.samples] == [("ISIC_1", "melanoma"), ("ISIC_2", "benign")]
    assert (found.group_kind, found.unit_kind) == (None, None)
    assert "no column says which images share a patient or a lesion: each is a group of its own" in found.notes


@pytest.mark.parametrize("column", ["image_name", "target"])
def test_a_missing_column_is_named(tmp_path, column):
    with pytest.raises(DataError, match=f"no column '{column}' among"):
        read(make(tmp_path, text=(HEADER + ROWS).replace(column, "x", 1)))


def test_designs_supported_and_refused(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [s.diagnosis for s in found.samples]
    for name in found.designs[:2]:
        assert designs.get(name).assign(diagnoses).y.tolist() == [0, 1, 0, 0, 0, 0]
        assert designs.get(name).assign(list(ADAPTER.published[""])).counts["benign"] == 7
    assert designs.get("diagnosis").assign(diagnoses).counts["benign"] == 2
    assert found.refusal("bcc-vs-mel-vs-benign") == "none of its lesions is a BCC"


def test_the_whole_set_equals_what_was_published_to_the_row(tmp_path):
    written = {**ADAPTER.published[""], "unknown": 27124, "atypical melanocytic proliferation": 1}
    del written["benign"]
    words = [word for word, count in written.items() for _ in range(count)]
    truth = "image_name,diagnosis,target\n" + "".join(
        f"I{n},{word},{int(word == 'melanoma')}\n" for n, word in enumerate(words)
    )
    found = read(tree(tmp_path, **{V1: truth, "I0.jpg": "image"}))
    assert found.notes[0] == "isic2020: the 33,126 rows and their classes are the published ones"
