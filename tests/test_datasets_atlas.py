from __future__ import annotations

from pathlib import Path

import pytest

from featx import designs
from featx.datasets import Columns
from featx.datasets.atlas import ADAPTER
from featx.datasets.atlas_tables import CODES
from featx.designs import SKIN
from featx.errors import DataError, UsageError

LEVELS = {"aal002": 1, "aal002bis": 1, "nel026": 0, "adl387": 2, "adl387bis": 2, "fhl022": 2}  # as in protocol3
PROTOCOLS = {
    "protocol1": {name: int(level < 2) for name, level in LEVELS.items()},
    "protocol2": {name: int(level == 1) for name, level in LEVELS.items() if level},
    "protocol3": LEVELS,
}
HEADER = "dataset;split;image;image_type;diagnosis;diagnosis_difficulty;lesion_location;age;sex;case;alias"
CASES = [
    "edraAtlas;;aal002;dermoscopic;3.2.;high;TRUNK.BACK;50;male;4A12;",
    "edraAtlas;;aal002bis;dermoscopic;3.2.1.;low;LIMBS.ARMS;37;male;4A12;",
    "edraAtlas;;aal001;clinical;3.2.;high;TRUNK.BACK;50;male;4A12;",
    "edraAtlas;;adl387;dermoscopic;1.1.3.;medium;TRUNK.BACK;38;female;4A386387;",
    "edraAtlas;;nel026;dermoscopic;3.1.1.;low;;60;;;",
]


def touch(root: Path, *paths: str, content: bytes = b"image") -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def protocol(folder: Path, name: str = "protocol3", **changes: int | str) -> Path:
    rows = {**PROTOCOLS[name], **changes}
    text = "image,level\n" + "".join(f"{image},{level}\n" for image, level in rows.items())
    touch(folder, f"{name}.csv", content=text.encode())
    return folder / f"{name}.csv"


def cases(folder: Path, rows=CASES, header=HEADER) -> Path:
    return touch(folder, "all-atlas.csv", content="\n".join((header, *rows)).encode()) / "all-atlas.csv"


def images(root: Path, names=LEVELS, folder: str = "") -> Path:
    return touch(root, *(f"{folder}{name}.jpg" for name in names))


def read(root: Path, **columns):
    return ADAPTER.read(root, columns=Columns(**columns))


def by_id(found, what: str) -> dict[str, str]:
    return {sample.id: getattr(sample, what) for sample in found.samples}


def test_protocol_3_says_three_classes_and_answers_every_design(tmp_path):
    protocol(images(tmp_path, folder="ready/"))
    found = read(tmp_path)
    words = {"aal002": "mel", "aal002bis": "mel", "nel026": "bcc", "adl387": "benign", "adl387bis": "benign"}
    assert by_id(found, "diagnosis") == {**words, "fhl022": "benign"}
    assert by_id(found, "path")["nel026"] == "ready/nel026.jpg"
    assert (found.found, found.dropped, found.designs) == (6, {}, (*SKIN, "diagnosis"))
    assert found.notes[0] == "atlas protocol3: 6 of the 975 published rows: a part of the set"


@pytest.mark.parametrize(
    ("name", "answers", "words"),
    [
        ("protocol1", ("malignant-vs-benign", "diagnosis"), {"benign", "malignant"}),
        ("protocol2", ("mel-vs-benign", "diagnosis"), {"benign", "mel"}),
        ("protocol3", (*SKIN, "diagnosis"), {"benign", "mel", "bcc"}),
    ],
)
def test_the_protocol_decides_the_words_and_the_designs(tmp_path, name, answers, words):
    protocol(images(tmp_path), name)
    found = read(tmp_path)
    assert {sample.diagnosis for sample in found.samples} == words
    assert found.designs == answers
    for design in (*SKIN, "diagnosis"):
        assert (found.refusal(design) is None) == (design in answers)
    for design in answers:
        assert min(designs.get(design).assign([s.diagnosis for s in found.samples]).counts.values()) > 0
    assert found.refusal("any-dr") == "its images are of skin lesions"


def test_a_refusal_names_the_file_that_says_more(tmp_path):
    protocol(images(tmp_path), "protocol1")
    assert read(tmp_path).refusal(SKIN[2]).endswith("protocol3.csv says more")


@pytest.mark.parametrize(
    ("names", "word", "answers"),
    [
        (("protocol1", "protocol2", "protocol3"), "bcc", SKIN),
        (("protocol1", "protocol3"), "bcc", SKIN),
        (("protocol1", "protocol2"), "malignant", SKIN[:2]),
    ],
)
def test_of_several_protocols_the_finest_speaks(tmp_path, names, word, answers):
    images(tmp_path)
    for name in names:
        protocol(tmp_path / "folds", name)
    found = read(tmp_path)
    assert by_id(found, "diagnosis")["nel026"] == word
    assert by_id(found, "diagnosis")["aal002"] == "mel"
    assert found.designs == (*answers, "diagnosis")


@pytest.mark.parametrize(
    ("name", "image", "level", "told"),
    [
        ("protocol1", "nel026", 0, r"protocol1.csv, line 4: nel026 is benign here and bcc in .*protocol3.csv, line 4"),
        ("protocol1", "fhl022", 1, r"protocol1.csv, line 7: fhl022 is malignant here and benign in"),
        ("protocol2", "aal002", 0, r"protocol2.csv, line 2: aal002 is benign here and mel in"),
        ("protocol2", "nel026", 1, r"nel026 is mel here and bcc in"),
    ],
)
def test_protocols_that_do_not_agree_are_refused(tmp_path, name, image, level, told):
    protocol(images(tmp_path))
    protocol(tmp_path, name, **{image: level})
    with pytest.raises(DataError, match=told):
        read(tmp_path)


@pytest.mark.parametrize("labels", ["folds", "folds/protocol2.csv"], ids=["folder", "file"])
def test_labels_lie_at_a_path_that_is_given(tmp_path, labels):
    images(tmp_path / "pictures", names=[*LEVELS, "nel025"])
    protocol(tmp_path / "folds", "protocol1")
    protocol(tmp_path / "folds", "protocol2")
    found = read(tmp_path / "pictures", labels=tmp_path / labels)
    assert found.root == tmp_path / "pictures"
    assert by_id(found, "diagnosis").get("nel026") == ("malignant" if labels == "folds" else None)


@pytest.mark.parametrize("name", ["protocol3.yml", "protocol1.yaml"])
@pytest.mark.parametrize("given", ["file", "folder", "beside the images"])
def test_a_fold_file_holds_no_labels_and_is_sent_to_folds(tmp_path, name, given):
    images(tmp_path)
    folds = touch(tmp_path / "folds", name, content=b"Fold_1:\n- [nel026.tiff]\n- [aal002.tiff]\n") / name
    labels = {"file": folds, "folder": folds.parent, "beside the images": None}[given]
    with pytest.raises(UsageError, match=rf"{name} says which .* give {folds.stem}.csv, .* this file with --folds"):
        read(tmp_path, labels=labels)
    assert ADAPTER.recognise(folds) == name
    assert ADAPTER.recognise(tmp_path) is None


def test_a_fold_file_beside_the_labels_does_no_harm(tmp_path):
    protocol(images(tmp_path))
    touch(tmp_path, "protocol3.yml", content=b"Fold_1:")
    assert len(read(tmp_path).samples) == 6


def test_a_table_of_another_name_has_levels_of_unknown_meaning(tmp_path):
    images(tmp_path)
    table = protocol(tmp_path).rename(tmp_path / "isic.csv")
    with pytest.raises(UsageError, match=r"isic.csv: what its labels mean is told by the name .* all-atlas.csv was"):
        read(tmp_path, labels=table)


@pytest.mark.parametrize(
    ("name", "level"), [("protocol1", "2"), ("protocol2", "2"), ("protocol3", "3"), ("protocol3", "mel")]
)
def test_a_level_that_the_protocol_does_not_have_is_refused_at_its_line(tmp_path, name, level):
    protocol(images(tmp_path), name, zzz1=level)
    line = len(PROTOCOLS[name]) + 2
    with pytest.raises(DataError, match=rf"{name}.csv, line {line}: unknown level '{level}'; known: 0 \("):
        read(tmp_path)


def test_an_image_that_stands_twice_is_refused_in_any_case_of_letters(tmp_path):
    protocol(images(tmp_path), Nel026=0)
    with pytest.raises(DataError, match="line 8: the image 'nel026' stands in line 4 already"):
        read(tmp_path)


def test_an_empty_name_is_refused(tmp_path):
    touch(images(tmp_path), "protocol3.csv", content=b"image,level\nnel026,0\n,1\n")
    with pytest.raises(DataError, match=r"line 3: the name of the image is empty"):
        read(tmp_path)


def test_names_and_levels_are_read_however_they_are_written(tmp_path):
    images(tmp_path, names=["Nel026", "AAL002"])
    text = b"\xef\xbb\xbfLevel\tImage\n0.0\tNEL/Nel026.tiff\n1\taal002\n"
    touch(tmp_path, "Protocol3.CSV", content=text)
    assert by_id(read(tmp_path), "diagnosis") == {"nel026": "bcc", "aal002": "mel"}


# ---- groups


def test_without_the_cases_bis_shares_the_group_of_its_picture(tmp_path):
    protocol(images(tmp_path), nel100ter=0, nel100=0, newl45bisx=2)
    images(tmp_path, names=["nel100ter", "nel100", "newl45bisx"])
    found = read(tmp_path)
    groups = by_id(found, "group")
    assert groups["adl387"] == groups["adl387bis"] == "adl387"
    assert groups["nel100"] == groups["nel100ter"] == "nel100"
    assert (groups["newl45bisx"], groups["nel026"]) == ("newl45bisx", "nel026")
    assert (found.group_kind, found.unit_kind) == ("case", "case")
    assert any(note.startswith("groups: no all-atlas.csv, which knows the cases, was found") for note in found.notes)


@pytest.mark.parametrize("where", ["folds", "pictures"], ids=["beside the labels", "beside the images"])
def test_the_cases_are_the_groups_where_they_are_known(tmp_path, where):
    images(tmp_path / "pictures")
    table = protocol(tmp_path / "folds")
    cases(tmp_path / where)
    found = read(tmp_path / "pictures", labels=table)
    groups = by_id(found, "group")
    assert groups["aal002"] == groups["aal002bis"] == "4A12"
    assert groups["adl387"] == groups["adl387bis"] == "4A386387"  # the table does not have adl387bis
    assert (groups["nel026"], groups["fhl022"]) == ("nel026", "fhl022")  # an empty case, and none
    assert any("cases of all-atlas.csv; of the 3 images without a case there" in note for note in found.notes)
    assert by_id(found, "diagnosis")["aal002bis"] == "mel"


def test_what_the_cases_tell_of_an_image_travels_with_it(tmp_path):
    protocol(images(tmp_path))
    cases(tmp_path)
    told = by_id(read(tmp_path), "attributes")
    assert {key: told["aal002bis"][key] for key in ("age", "sex", "localization", "diagnosis_difficulty")} == {
        "age": "37", "sex": "male", "localization": "LIMBS.ARMS", "diagnosis_difficulty": "low"
    }  # fmt: skip
    assert told["fhl022"] == {}
    assert not {"split", "case", "diagnosis", "image"} & set(told["aal002"])


@pytest.mark.parametrize(("name", "word"), [("protocol1", "malignant"), ("protocol3", "mel")])
def test_where_the_two_sources_do_not_agree_the_protocol_is_taken_and_it_is_told(tmp_path, name, word):
    protocol(images(tmp_path), name, adl387=1)
    cases(tmp_path)
    found = read(tmp_path)
    assert by_id(found, "diagnosis")["adl387"] == word
    assert "all-atlas.csv says otherwise of 1 images (adl387); the protocols are taken" in found.notes


def test_sources_that_agree_as_far_as_they_go_are_not_told(tmp_path):
    protocol(images(tmp_path), "protocol1")
    cases(tmp_path, [*CASES, "edraAtlas;;fhl022;dermoscopic;2.1.;;;;;;"])
    assert not any("otherwise" in note for note in read(tmp_path).notes)


# ---- the table of the cases as labels


def test_the_cases_alone_say_the_diagnosis_of_the_dermoscopic_pictures(tmp_path):
    cases(images(tmp_path, names=[*LEVELS, "aal001"]), [*CASES, CASES[2]])
    found = read(tmp_path)
    assert by_id(found, "diagnosis") == {
        "aal002": "melanoma", "aal002bis": "melanoma (in situ)", "adl387": "clark nevus",
        "nel026": "basal cell carcinoma",
    }  # fmt: skip
    assert by_id(found, "group") == {"aal002": "4A12", "aal002bis": "4A12", "adl387": "4A386387", "nel026": "nel026"}
    assert "2 rows of all-atlas.csv are of pictures that are not dermoscopic and are left out" in found.notes
    assert found.designs == (*SKIN, "diagnosis")


def test_without_a_basal_cell_carcinoma_three_classes_are_refused(tmp_path):
    cases(images(tmp_path), CASES[:4])
    found = read(tmp_path)
    assert found.designs == (*SKIN[:2], "diagnosis")
    assert "none basal cell carcinoma" in found.refusal(SKIN[2])


@pytest.mark.parametrize("design", SKIN)
def test_every_word_of_the_thesaurus_has_a_place_in_every_design(design):
    assigned = designs.get(design).assign(list(CODES.values()))
    assert min(assigned.counts.values()) > 0


@pytest.mark.parametrize("column", ["image_type", "case"])
def test_columns_that_may_be_missing_are_named(tmp_path, column):
    places = [place for place, name in enumerate(HEADER.split(";")) if name != column]
    header, *rows = (";".join(line.split(";")[place] for place in places) for line in (HEADER, *CASES))
    cases(images(tmp_path, names=[*LEVELS, "aal001"]), rows, header)
    found = read(tmp_path)
    assert f"all-atlas.csv has no column {column!r}" in found.notes
    assert len(found.samples) == (5 if column == "image_type" else 4)


def test_without_the_diagnosis_the_cases_are_groups_but_no_labels(tmp_path):
    cases(images(tmp_path), ["aal002,c", "nel026,c"], "image,case")
    with pytest.raises(DataError, match=r"all-atlas.csv: no column 'diagnosis'; take its labels from protocol3.csv"):
        read(tmp_path)
    protocol(tmp_path)
    assert by_id(read(tmp_path), "group")["nel026"] == "c"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("edraAtlas;;nel030;dermoscopic;1.1.9.;;;;;;", "line 7: unknown diagnosis '1.1.9.'; a code of the thesaurus"),
        ("edraAtlas;;aal002;dermoscopic;3.2.;;;;;;", "line 7: the image 'aal002' stands in line 2 already"),
        ("edraAtlas;;;dermoscopic;3.2.;;;;;;", "line 7: the name of the image is empty"),
    ],
)
def test_a_wrong_row_of_the_cases_is_refused_at_its_line(tmp_path, row, told):
    cases(images(tmp_path), [*CASES, row])
    with pytest.raises(DataError, match=told):
        read(tmp_path)


def test_an_image_without_a_diagnosis_is_dropped(tmp_path):
    cases(images(tmp_path, names=[*LEVELS, "nel030"]), [*CASES, "edraAtlas;;nel030;dermoscopic;;;;;;;"])
    assert read(tmp_path).dropped == {"no label": 1}


# ---- images, and whose folder it is


def test_the_trimmed_pictures_are_taken_where_the_script_left_both(tmp_path):
    protocol(images(tmp_path, folder="ready/"))
    touch(tmp_path, *(f"originals/{name}.jpg" for name in LEVELS), content=b"a larger image")
    found = read(tmp_path)
    assert {path.split("/")[0] for path in by_id(found, "path").values()} == {"ready"}
    assert any("folder ready, trimmed by the authors' script, are used" in note for note in found.notes)
    assert not any("not used (" in note for note in found.notes)


def test_images_that_are_missing_are_dropped_and_others_told(tmp_path):
    protocol(images(tmp_path, names=["nel026", "nel025", "aal002"]))
    found = read(tmp_path)
    assert found.dropped == {"no image file": 4}
    assert any(note.startswith("1 image files are in no row") for note in found.notes)


@pytest.mark.parametrize("name", ["labels.csv", "isic.csv", "train.csv", "metadata.csv"])
def test_other_tables_are_not_claimed(tmp_path, name):
    protocol(images(tmp_path)).rename(tmp_path / name)
    assert ADAPTER.recognise(tmp_path) is None


def test_tables_of_these_names_with_other_columns_are_not_claimed(tmp_path):
    touch(tmp_path, "protocol1.csv", content=b"step,reagent\n1,water\n")
    touch(tmp_path, "all-atlas.csv", content=b"page,country\n1,Chile\n")
    assert ADAPTER.recognise(tmp_path) is None


def test_the_tables_are_what_speaks_for_it(tmp_path):
    protocol(images(tmp_path, folder="ready/").joinpath("folds"))
    cases(tmp_path)
    touch(tmp_path, "__MACOSX/protocol1.csv", "._protocol2.csv", content=b"litter")
    assert ADAPTER.recognise(tmp_path) == "protocol3.csv, all-atlas.csv"
    assert ADAPTER.recognise(tmp_path / "folds/protocol3.csv") == "protocol3.csv"
