"""The label files that the authors released for the Interactive Atlas of Dermoscopy: what each says of an image.

``protocol1.csv`` to ``protocol3.csv`` have a level whose meaning depends on the file; ``all-atlas.csv`` has codes of a
thesaurus, and cases. Knows nothing of image files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from featx.datasets.base import refuse_repeats
from featx.datasets.tables import header_of, read_table
from featx.errors import DataError

CASES = "all-atlas.csv"
LEVELS = {  # what a level means in each file
    "protocol1": {"0": "benign", "1": "malignant"},
    "protocol2": {"0": "benign", "1": "mel"},
    "protocol3": {"0": "bcc", "1": "mel", "2": "benign"},
}
COARSER = {  # what a file says of an image that a finer one gives this word
    "protocol1": {"benign": "benign", "malignant": "malignant", "mel": "malignant", "bcc": "malignant"},
    "protocol2": {"benign": "benign", "mel": "mel"},
    "protocol3": {"benign": "benign", "mel": "mel", "bcc": "bcc"},
}
CODES = {  # the thesaurus of the later study; its words, where the designs know them
    "1": "benign",
    "1.1": "nevus",
    "1.1.1": "common nevus",
    "1.1.1.1": "dermal nevus",
    "1.1.2": "congenital nevus",
    "1.1.3": "clark nevus",
    "1.1.4": "combined nevus",
    "1.1.5": "blue nevus",
    "1.1.6": "recurrent nevus",
    "1.1.7": "reed or spitz nevus",
    "1.2": "dermatofibroma",
    "1.3": "lentigo",
    "1.3.1": "lentigo nos",
    "1.3.1.1": "lentigo simplex",
    "1.3.1.2": "solar lentigo",
    "1.4": "melanosis",
    "1.5": "seborrheic keratosis",
    "1.5.1": "lichenoid keratosis",
    "1.6": "vascular lesion",
    "1.6.1": "angioma",
    "1.6.2": "hemangioma",
    "1.6.3": "pyogenic granuloma",
    "1.6.4": "benign",  # angiofibroma or fibrous papule
    "2": "akiec",  # pre-malignant
    "2.1": "actinic keratosis",
    "2.2": "bowen's disease",  # intraepithelial carcinoma
    "3": "malignant",
    "3.1": "malignant",  # carcinoma
    "3.1.1": "basal cell carcinoma",
    "3.1.2": "squamous cell carcinoma",
    "3.2": "melanoma",
    "3.2.1": "melanoma (in situ)",
    "3.2.1.1": "melanoma (in situ)",  # lentigo maligna
    "3.2.2": "melanoma",  # nodular
    "3.2.3": "melanoma metastasis",
    "4": "miscellaneous",
    "4.1": "miscellaneous",  # scar
    "5": "unk",
    "5.1": "unk",  # atypical melanocytic proliferation
}
_COARSE = {
    **dict.fromkeys(("mel", "melanoma", "melanoma (in situ)", "melanoma metastasis"), "mel"),
    **dict.fromkeys(("bcc", "basal cell carcinoma"), "bcc"),
    **dict.fromkeys(("malignant", "squamous cell carcinoma"), "malignant"),
    **dict.fromkeys(("", "unk", "akiec", "actinic keratosis", "bowen's disease"), ""),
}
_COMMON = {"age": "age", "sex": "sex", "lesion_location": "localization"}  # names that attributes go by


class Label(NamedTuple):
    """What a file says of an image, and where."""

    word: str
    where: str


class Lesion(NamedTuple):
    """A row of ``all-atlas.csv``."""

    id: str
    diagnosis: str
    where: str
    case: str
    dermoscopic: bool
    attributes: Mapping[str, str]


class Lesions(NamedTuple):
    """The rows of ``all-atlas.csv``, and the columns that it lacks."""

    rows: tuple[Lesion, ...] = ()
    lacking: tuple[str, ...] = ()


def is_cases(path: Path) -> bool:
    """Return whether a file bears the name of the table of the cases."""
    return path.name.lower() == CASES


def has_columns(path: Path) -> bool:
    """Return whether a file has the columns that its name promises."""
    header = set(header_of(path))
    return "image" in header and bool(header & ({"diagnosis", "case"} if is_cases(path) else {"level"}))


def read_protocols(tables: Iterable[Path]) -> dict[str, Label]:
    """Return what the finest of the protocols that has an image says of it.

    Raises
    ------
    DataError
        A level that is none, an image that stands twice, or protocols that do not agree.
    """
    labels: dict[str, Label] = {}
    for path in sorted(tables, key=lambda path: path.stem.lower(), reverse=True):
        for name, label in _protocol(path).items():
            finer = labels.setdefault(name, label)
            if COARSER[path.stem.lower()].get(finer.word) != label.word:
                raise DataError(
                    f"{label.where}: {name} is {label.word} here and {finer.word} in {finer.where}; take both files "
                    "from one release"
                )
    return labels


def read_lesions(tables: Iterable[Path]) -> Lesions:
    """Read ``all-atlas.csv`` where it is among the tables.

    Raises
    ------
    DataError
        A code that is not in the thesaurus, or a dermoscopic image that stands twice.
    """
    path = next(filter(is_cases, tables), None)
    if path is None:
        return Lesions()
    table = read_table(path)
    image = table.needed("image")
    columns = {name: table.find(None, names=(name,), option="") for name in ("diagnosis", "case", "image_type")}
    rows = [(line, _lesion(row, image, columns, where=f"{path}, line {line}")) for line, row in table.rows]
    refuse_repeats(((line, row.id) for line, row in rows if row.dermoscopic), what="image", table=path)
    return Lesions(tuple(row for _, row in rows), tuple(name for name, column in columns.items() if not column))


def coarse(diagnosis: str) -> str:
    """Return a diagnosis in the words of the protocols; empty where they have none for it."""
    return _COARSE.get(diagnosis, "benign")


def agree(one: str, other: str) -> bool:
    """Return whether two words of the protocols may be said of one image."""
    return one == other or ("malignant" in (one, other) and "benign" not in (one, other))


def _protocol(path: Path) -> dict[str, Label]:
    table = read_table(path)
    image, level = table.needed("image"), table.needed("level")
    words = LEVELS[path.stem.lower()]
    labels: dict[str, Label] = {}
    for line, row in table.rows:
        where = f"{path}, line {line}"
        code = re.sub(r"\.0*$", "", row[level])
        if code not in words:
            known = ", ".join(f"{key} ({word})" for key, word in words.items())
            raise DataError(f"{where}: unknown level {row[level]!r}; known: {known}")
        labels[_stem(row[image], where=where)] = Label(words[code], where)
    refuse_repeats(((line, _stem(row[image])) for line, row in table.rows), what="image", table=path)
    return labels


def _lesion(row: Mapping[str, str], image: str, columns: Mapping[str, str | None], *, where: str) -> Lesion:
    said = {name: row[column] if column else "" for name, column in columns.items()}
    untold = (image, columns["diagnosis"], columns["case"])
    return Lesion(
        id=_stem(row[image], where=where),
        diagnosis=_diagnosis(said["diagnosis"], where=where),
        where=where,
        case=said["case"],
        dermoscopic=not said["image_type"] or said["image_type"].lower().startswith("derm"),
        attributes=_told(row, without=untold),
    )


def _diagnosis(code: str, *, where: str) -> str:
    if code and code.rstrip(".") not in CODES:
        raise DataError(f"{where}: unknown diagnosis {code!r}; a code of the thesaurus was expected, such as 1.1.3.")
    return CODES[code.rstrip(".")] if code else ""


def _told(row: Mapping[str, str], *, without: Sequence[str | None]) -> dict[str, str]:
    kept = {key: value for key, value in row.items() if key and key not in without and key.lower() != "split"}
    return {_COMMON.get(key.lower(), key): value for key, value in kept.items()}


def _stem(name: str, *, where: str = "") -> str:
    if not name:
        raise DataError(f"{where}: the name of the image is empty")
    return PurePosixPath(name.replace("\\", "/")).stem.lower()
