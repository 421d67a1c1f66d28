from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.isic2019 import ADAPTER
from featx.errors import DataError

TRAIN, TEST = (f"ISIC_2019_{part}_GroundTruth.csv" for part in ("Training", "Test"))
HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
WORDS = ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc", "scc", "unk")
METADATA = "image,age_approx,anatom_site_general,lesion_id,sex\n"


def tree(root: Path, **files: str) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def row(name: str, word: str) -> str:
    return ",".join([name, *("1.0" if word == other else "0.0" for other in WORDS)]) + "\n"


TRAINING = HEADER + "".join(
    row(name, word)
    for name, word in (
        ("ISIC_0000000", "nv"), ("ISIC_0000001_downsampled", "nv"), ("ISIC_0000002", "mel"),
        ("ISIC_0024306", "bcc"), ("ISIC_0053457", "akiec"), ("ISIC_0053458", "scc"), ("ISIC_0053459", "akiec"),
    )
)  # fmt: skip
TOLD = METADATA + "ISIC_0000000,55.0,anterior torso,,female\nISIC_0000001_downsampled,,,,\nISIC_0000002,30.0,,,male\n"
TOLD += "ISIC_0024306,45.0,head/neck,HAM_1,male\nISIC_0053457,,,BCN_1,male\nISIC_0053458,,,BCN_2,male\n"
TOLD += "ISIC_0053459,,,BCN_1,male\n"


def make(root: Path, *, training: str = TRAINING, told: str = TOLD) -> Path:
    folder = "ISIC_2019_Training_Input/ISIC_2019_Training_Input"
    images = [f"{folder}/{line.split(',')[0]}.jpg" for line in TRAINING.splitlines()[1:]]
    tables = {TRAIN: training, "more/ISIC_2019_Training_Metadata.csv": told}
    return tree(root, **tables, **dict.fromkeys(images, "image"))


def read(root: Path):
    return ADAPTER.read(root, columns=Columns())


def test_the_download_is_read_as_it_is(tmp_path):
    found = read(make(tmp_path))
    assert [s.diagnosis for s in found.samples] == ["nv", "nv", "mel", "bcc", "akiec", "scc", "akiec"]
    assert found.samples[1].id == "ISIC_0000001_downsampled"
    assert found.samples[1].path.endswith("/ISIC_0000001_downsampled.jpg")
    assert found.samples[0].attributes == {
        "age": "55.0", "localization": "anterior torso", "sex": "female", "split": "train"
    }  # fmt: skip
    assert (found.group_kind, found.dropped) == ("lesion", {})
    assert found.notes == (
        "isic2019 train: 7 of the 25,331 published rows: a part of the set",
        "3 images have no lesion: each is a group of its own, and what they share is unknown",
        "1 of the images are those of HAM10000: never train on the one and test on the other",
    )


def test_lesions_that_are_not_said_are_never_one_group(tmp_path):
    groups = [s.group for s in read(make(tmp_path)).samples]
    assert groups[:3] == ["image ISIC_0000000", "image ISIC_0000001_downsampled", "image ISIC_0000002"]
    assert groups[3:] == ["HAM_1", "BCN_1", "BCN_2", "BCN_1"]


def test_without_the_metadata_all_stand_alone_and_it_is_told(tmp_path):
    make(tmp_path)
    (tmp_path / "more" / "ISIC_2019_Training_Metadata.csv").unlink()
    found = read(tmp_path)
    assert found.group_kind is None
    assert "no table that says which images share a lesion was found: each is a group of its own" in found.notes


def test_a_test_truth_with_weights_and_unknown_lesions_is_read(tmp_path):
    truth = f"{HEADER[:-1]},score_weight,validation_weight\n{row('ISIC_0034321', 'unk')[:-1]},1.0,0.0\n"
    make(tmp_path)
    tree(tmp_path, **{f"t/{TEST}": truth, "t/ISIC_0034321.jpg": "image"})
    sample = read(tmp_path).samples[-1]
    assert (sample.diagnosis, sample.attributes["split"], sample.attributes["score_weight"]) == ("unk", "test", "1.0")


def test_copies_without_unk_and_with_another_order_are_read_alike(tmp_path):
    expected = read(make(tmp_path))
    lines = [line.split(",") for line in TRAINING.splitlines()]
    copy = "".join(";".join([*reversed(line[1:-1]), line[0]]) + "\r\n" for line in lines)
    assert read(make(tmp_path, training="\ufeff" + copy.replace("AK;", "akiec;"))) == expected


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("ISIC_1,1,1,0,0,0,0,0,0,0\n", "line 9: 2 of the columns MEL, NV, BCC, AK, BKL, DF, VASC, SCC, UNK are 1"),
        ("ISIC_1,0,0,0,0,0,0,0,0,0\n", "line 9: 0 of the columns"),
        (row("ISIC_0000002", "mel"), "line 9: the id 'ISIC_0000002' stands in line 4 already"),
    ],
)
def test_a_wrong_row_is_refused_at_its_line(tmp_path, more, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, training=TRAINING + more))


def test_a_lesion_of_two_classes_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 7: lesion 'BCN_1' is scc here and akiec above"):
        read(make(tmp_path, told=TOLD.replace("BCN_2", "BCN_1")))


def test_every_skin_design_can_be_asked(tmp_path):
    found = read(make(tmp_path))
    diagnoses = [s.diagnosis for s in found.samples]
    assert designs.get("malignant-vs-benign").assign(diagnoses).y.tolist() == [0, 0, 1, 1, -1, 1, -1]
    assert designs.get("mel-vs-benign").assign(diagnoses).y.tolist() == [0, 0, 1, -1, -1, -1, -1]
    assert designs.get("bcc-vs-mel-vs-benign").assign(diagnoses).y.tolist() == [2, 2, 1, 0, -1, -1, -1]
    assert designs.get("malignant-vs-benign").assign([*diagnoses, "unk"]).dropped["unk: diagnosis unknown"] == 1
    assert all(found.refusal(name) is None for name in found.designs)


def test_it_is_recognised_by_its_truth_alone(tmp_path):
    assert ADAPTER.recognise(make(tmp_path / "2019")) == TRAIN
    others = ("ISIC_2019_Training_Metadata.csv", "ISIC2018_Task3_Training_GroundTruth.csv", "train.csv")
    assert ADAPTER.recognise(tree(tmp_path / "other", **dict.fromkeys(others, TRAINING))) is None


def test_the_whole_set_equals_what_was_published_to_the_row(tmp_path):
    words = [word for word, count in ADAPTER.published["train"].items() for _ in range(count)]
    truth = HEADER + "".join(row(f"I{n}", word) for n, word in enumerate(words))
    found = read(tree(tmp_path, **{TRAIN: truth, "I0.jpg": "image"}))
    assert found.notes[0] == "isic2019 train: the 25,331 rows and their classes are the published ones"
