from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.isic_archive import ADAPTER
from featx.errors import DataError

HEADER = "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,"
HEADER += "image_type,lesion_id,patient_id,sex\n"
MELANOMA, VASCULAR = "Malignant melanocytic proliferations (Melanoma)", "Benign soft tissue proliferations - Vascular"
FOLLICULAR = "Malignant adnexal epithelial proliferations - Follicular"
ROWS = f"""\
ISIC_1,"Hospital A, B",CC-BY,35,head/neck,Benign,Benign melanocytic proliferations,Nevus,dermoscopic,IL_1,IP_1,male
ISIC_2,A,CC-BY,35,head/neck,Malignant,{MELANOMA},"Melanoma, NOS",dermoscopic,IL_2,IP_1,male
ISIC_3,A,CC-BY,,,Malignant,{FOLLICULAR},Basal cell carcinoma,clinical: close-up,IL_3,IP_2,
ISIC_4,A,CC-BY,,,Benign,{VASCULAR},,dermoscopic,IL_4,IP_3,
ISIC_5,A,CC-BY,,,Benign,Cysts,Comedo,dermoscopic,IL_5,IP_4,
ISIC_6,A,CC-BY,,,Indeterminate,Indeterminate epidermal proliferations,Solar or actinic keratosis,dermoscopic,IL_5,IP_4,
ISIC_7,A,CC-BY,,,,,,dermoscopic,IL_7,IP_5,
ISIC_8,A,CC-BY,,,Indeterminate,Indeterminate melanocytic proliferations,Atypical pigmented thing,dermoscopic,IL_8,IP_5,
"""


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def make(root: Path, text: str = HEADER + ROWS, *, name: str = "metadata.csv") -> Path:
    return tree(root, **{name: text}, **{f"images/ISIC_{n}.jpg": "image" for n in range(1, 9)})


def export(*rows: str, header: str) -> str:
    return "".join(f"{line}\n" for line in (header, *rows))


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def told(root: Path, *rows: str, header: str) -> list[str]:
    return [s.diagnosis for s in read(make(root, export(*rows, header=header))).samples]


def test_an_export_with_levels_is_read(tmp_path):
    found = read(make(tmp_path))
    assert [s.diagnosis for s in found.samples] == [
        "Nevus", "Melanoma, NOS", "Basal cell carcinoma", VASCULAR, "benign", "Solar or actinic keratosis",
        "indeterminate",
    ]  # fmt: skip
    assert (found.found, found.dropped) == (8, {"no label": 1})
    assert found.samples[4].attributes["diagnosis_text"] == "Comedo"
    first = found.samples[0].attributes
    assert (first["age"], first["sex"], first["localization"]) == ("35", "male", "head/neck")
    assert (first["attribution"], first["diagnosis_2"]) == ("Hospital A, B", "Benign melanocytic proliferations")
    assert found.notes == (
        "not all images are dermoscopic: 1 clinical: close-up",
        "2 rows have a diagnosis that the designs do not know by name (Comedo, Atypical pigmented thing): they count "
        "as benign, malignant, indeterminate or unknown, whichever the archive says",
    )


def test_patients_are_groups_and_lesions_are_units(tmp_path):
    found = read(make(tmp_path))
    assert [s.group for s in found.samples] == ["IP_1", "IP_1", "IP_2", "IP_3", "IP_4", "IP_4", "IP_5"]
    assert [s.unit for s in found.samples][:2] == ["IL_1", "IL_2"]
    assert (found.group_kind, found.unit_kind) == ("patient", "lesion")


def test_where_patients_are_said_for_some_the_lesion_is_promised_alone(tmp_path):
    rows = (
        "ISIC_1,nevus,IL_1,IP_1",
        "ISIC_2,nevus,IL_2,IP_1",
        "ISIC_3,nevus,IL_3,",
        "ISIC_4,nevus,IL_3,",
        "ISIC_5,nevus,,",
    )
    found = read(make(tmp_path, export(*rows, header="isic_id,diagnosis,lesion_id,patient_id")))
    assert [s.group for s in found.samples] == ["IP_1", "IP_1", "IL_3", "IL_3", "image ISIC_5"]
    assert (found.group_kind, found.grouping) == ("lesion", "no lesion straddles; patients unknown")
    assert "1 images have neither patient nor lesion: what they share is unknown" in found.notes
    assert "the patient is said for 2 of 5 images, whose patients are not divided" in found.notes


def test_older_exports_with_one_column_are_read(tmp_path):
    header = "isic_id,attribution,copyright_license,benign_malignant,diagnosis"
    rows = (
        "ISIC_1,A,CC-0,benign,nevus",
        "ISIC_2,A,CC-0,malignant,melanoma",
        "ISIC_3,A,CC-0,benign,",
        "ISIC_4,A,CC-0,indeterminate/malignant,other",
        "ISIC_5,A,CC-0,,other",
        "ISIC_6,A,CC-0,,scar",
    )
    assert told(tmp_path, *rows, header=header) == [
        "nevus", "melanoma", "benign", "indeterminate", "unknown", "scar"
    ]  # fmt: skip
    notes = read(tmp_path).notes
    assert "the export has no column age_approx, sex, anatom_site_general, lesion_id, patient_id" in notes
    assert "no column says which images share a patient or a lesion: each is a group of its own" in notes


def test_levels_go_before_the_one_column_and_deeper_ones_help(tmp_path):
    header = "isic_id,diagnosis,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4"
    rows = (
        "ISIC_1,vascular lesion,Benign,b,Hemangioma,",
        "ISIC_2,vascular lesion,Benign,b,Odd thing,",
        "ISIC_3,,Benign,b,Odd thing,Blue nevus",
    )
    assert told(tmp_path, *rows, header=header) == ["Hemangioma", "vascular lesion", "Blue nevus"]


def test_the_columns_of_the_challenge_of_2024_are_known(tmp_path):
    rows = ("ISIC_1,0,Benign,IP_1,", "ISIC_2,1,Malignant,IP_1,Melanoma in situ")
    make(tmp_path, export(*rows, header="isic_id,target,iddx_1,patient_id,iddx_3"), name="train-metadata.csv")
    assert ADAPTER.recognise(tmp_path) == "train-metadata.csv"
    assert [s.diagnosis for s in read(tmp_path).samples] == ["benign", "Melanoma in situ"]


def test_several_exports_add_up_whatever_they_are_called(tmp_path):
    nevi = export("ISIC_1,nevus", header="isic_id,diagnosis")
    melanomas = export("ISIC_2,melanoma", header="isic_id,diagnosis")
    images = {"a/ISIC_1.jpg": "image", "b/ISIC_2.jpg": "image"}
    found = read(tree(tmp_path, **{"a/metadata.csv": nevi, "b/metadata.csv": melanomas}, **images))
    assert [s.diagnosis for s in found.samples] == ["nevus", "melanoma"]
    tree(tmp_path, **{"b/metadata.csv": melanomas + "ISIC_1,nevus\n"})
    with pytest.raises(DataError, match=r"b/metadata.csv, line 3: the id 'ISIC_1' stands in .*a/metadata.csv, line 2"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ISIC_1,melanoma,benign", "line 2: the diagnosis is 'melanoma' and the lesion benign; one of them is wrong"),
        ("ISIC_1,nevus,evil", "line 2: unknown benign_malignant 'evil'; known: benign, malignant, indeterminate"),
        (",nevus,benign", "line 2: isic_id is empty"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        told(tmp_path, row, header="isic_id,diagnosis,benign_malignant")


def test_what_is_missing_is_named(tmp_path):
    make(tmp_path, export("ISIC_1,A,CC-0", header="isic_id,attribution,copyright_license"))
    assert ADAPTER.recognise(tmp_path) == "metadata.csv"
    with pytest.raises(DataError, match=r"no column 'diagnosis', 'diagnosis_1' or 'benign_malignant' among isic_id, "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("metadata.csv", "file_name,label"),
        ("HAM10000_metadata.csv", "lesion_id,image_id,dx"),
        ("ISIC_2019_Training_Metadata.csv", "image,age_approx,anatom_site_general,lesion_id,sex"),
        ("labels.csv", "isic_id,attribution,diagnosis"),
        ("metadata.csv", "isic_id,score,weight"),
    ],
)
def test_other_tables_are_not_recognised(tmp_path, name, header):
    assert ADAPTER.recognise(tree(tmp_path, **{name: f"{header}\n{'a,' * header.count(',')}b\n"})) is None


def test_every_skin_design_can_be_asked_of_all_that_it_yields(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [*(s.diagnosis for s in found.samples), "malignant", "unknown"]
    assert designs.get("malignant-vs-benign").assign(diagnoses).y.tolist() == [0, 1, 1, 0, 0, -1, -1, 1, -1]
    assert designs.get("mel-vs-benign").assign(diagnoses).y.tolist() == [0, 1, -1, 0, 0, -1, -1, -1, -1]
    assert designs.get("bcc-vs-mel-vs-benign").assign(diagnoses).y.tolist() == [2, 1, 0, 2, 2, -1, -1, -1, -1]
    assert all(found.refusal(name) is None for name in found.designs)
    assert found.refusal("pneumonia") == "its images are of skin lesions"


def test_words_of_the_archive_have_their_place_in_the_designs():
    words = {"Squamous cell carcinoma in situ": "akiec", MELANOMA: "mel", VASCULAR: "vasc", "nevus spilus": "nv"}
    words |= {"AIMP": "unk", "Scar": "benign", "merkel cell carcinoma": "malignant"}
    assert {word: designs.get("mel-vs-benign").word(word) for word in words} == words
