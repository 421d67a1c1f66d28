"""Designs: which diagnosis belongs to which class, what is dropped, and why.

A design is a question put to a dataset ("melanoma or benign?"). It maps diagnoses to classes and counts every row that
it leaves out. It knows nothing of images, features or classifiers.

The three skin designs are those of Menegola et al. (2017). The paper's Atlas has neither actinic keratosis / Bowen's
disease (``akiec``) nor squamous cell carcinoma (``scc``), so what to do with them is a policy for the user to set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx.errors import DataError, UsageError, suggestion
from featx.shelf import Shelf

READINGS = ("drop", "benign", "malignant")
BENIGN = ("nv", "bkl", "vasc", "df")
AVERAGES = ("micro", "macro", "weighted")  # a class of such a name would be taken for an average (f1_micro)


class Assignment(NamedTuple):
    """What a design makes of a dataset's rows.

    Attributes
    ----------
    classes : tuple of str
        Class names; the code of a class is its place. For two classes the second is the positive one.
    y : numpy.ndarray of int64, shape (n,)
        Class code of each row, -1 where the row is dropped.
    dropped : dict of str to int
        Rows left out, by reason.
    """

    classes: tuple[str, ...]
    y: np.ndarray
    dropped: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class."""
        return {name: int((self.y == code).sum()) for code, name in enumerate(self.classes)}


@dataclass(frozen=True)
class Design:
    """A map from diagnoses to classes.

    Parameters
    ----------
    name : str
        Its name on the shelf.
    members : mapping of str to tuple of str
        Diagnoses of each class, in the order of the codes; empty for a design that takes each diagnosis as a class.
    drops : mapping of str to str
        Diagnoses left out, with the reason.
    synonyms : mapping of str to str
        Other words for diagnoses.
    policies : mapping of str to str
        The readings chosen for diagnoses that the study is silent about (``{"akiec": "drop"}``).
    typed : bool
        Whether it was typed for one dataset, so that a diagnosis that no row has is a slip.
    """

    name: str
    members: Mapping[str, tuple[str, ...]]
    drops: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    typed: bool = False

    def assign(self, diagnoses: Sequence[str]) -> Assignment:
        """Give each row its class code, or -1 and a reason.

        Raises
        ------
        DataError
            Where a diagnosis has no place in the design, or a class has no row.
        """
        words = [self.synonyms.get(diagnosis, diagnosis) for diagnosis in diagnoses]
        if self.typed:
            self._refuse_slips(words)
        members = self.members or {word: (word,) for word in sorted(set(words))}
        codes = {word: code for code, group in enumerate(members.values()) for word in group}
        self._refuse_strangers(words, codes)
        y = np.array([codes.get(word, -1) for word in words], dtype=np.int64)
        dropped = Counter(f"{word}: {self.drops[word]}" for word in words if word not in codes)
        assignment = Assignment(tuple(members), y, dict(sorted(dropped.items())))
        self._refuse_empty(assignment, words)
        return assignment

    def readings(self, diagnoses: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return the class counts that each reading of a policy would give, for the policies that touch a row.

        Returns
        -------
        dict
            ``{"akiec": {"drop": {"benign": 8061, ...}, "benign": {...}, "malignant": {...}}}``.
        """
        present = {self.synonyms.get(diagnosis, diagnosis) for diagnosis in diagnoses}
        return {
            about: {
                reading: DESIGNS[self.name](**{**self.policies, about: reading}).assign(diagnoses).counts
                for reading in READINGS
            }
            for about in self.policies
            if about in present
        }

    def describe(self) -> dict[str, Any]:
        """Return the design as plain values, for records."""
        return {
            "name": self.name,
            "classes": {name: list(group) for name, group in self.members.items()},
            "drops": dict(self.drops),
            "synonyms": dict(self.synonyms),
            "policies": dict(self.policies),
        }

    def _refuse_slips(self, words: Sequence[str]) -> None:
        for named in [word for group in self.members.values() for word in group] + list(self.drops):
            if named not in words:
                raise DataError(f"no row has the diagnosis {named!r}; {suggestion(named, set(words))}")

    def _refuse_strangers(self, words: Sequence[str], codes: Mapping[str, int]) -> None:
        strangers = Counter(word for word in words if word not in codes and word not in self.drops)
        if strangers:
            told = ", ".join(f"{word!r} ({count} rows)" for word, count in sorted(strangers.items()))
            raise DataError(
                f"design {self.name!r} has no place for the diagnoses {told}; name them with --positive, --negative "
                "and --drop, or take another --design"
            )

    def _refuse_empty(self, assignment: Assignment, words: Sequence[str]) -> None:
        if taken := [name for name in assignment.classes if name in AVERAGES]:
            raise DataError(f"design {self.name!r} has a class {taken[0]!r}, the name of an average; rename it")
        empty = [name for name, count in assignment.counts.items() if count == 0]
        if empty or len(assignment.classes) < 2:
            missing = f"no row of class {empty[0]!r}" if empty else "fewer than two classes"
            raise DataError(
                f"design {self.name!r} finds {missing} in these data; their diagnoses are "
                + ", ".join(sorted(set(words)))
            )


def _skin(name: str, classes: Mapping[str, tuple[str, ...]], *, akiec: str, scc: str) -> Design:
    """Build a skin design from its classes without the two diagnoses that the study is silent about."""
    members = {name: list(group) for name, group in classes.items()}
    drops = {"unk": "diagnosis unknown"}
    if not any("bcc" in group for group in members.values()):
        drops["bcc"] = "malignant, but not melanoma"
    for diagnosis, reading in (("akiec", akiec), ("scc", scc)):
        if reading not in READINGS:
            raise UsageError(f"--{diagnosis} takes {', '.join(READINGS)}; {reading!r} came")
        if reading == "drop":
            drops[diagnosis] = f"policy --{diagnosis} drop"
        elif reading in members:
            members[reading].append(diagnosis)
        else:
            drops[diagnosis] = "malignant, but no class of this design"
    return Design(
        name,
        {name: tuple(group) for name, group in members.items()},
        drops,
        policies={"akiec": akiec, "scc": scc},
    )


def _malignant_vs_benign(*, akiec: str = "drop", scc: str = "malignant") -> Design:
    """Melanoma and basal cell carcinoma against the rest."""
    classes = {"benign": BENIGN, "malignant": ("mel", "bcc")}
    return _skin("malignant-vs-benign", classes, akiec=akiec, scc=scc)


def _mel_vs_benign(*, akiec: str = "drop", scc: str = "malignant") -> Design:
    """Melanoma against the rest, other malignant lesions left out."""
    return _skin("mel-vs-benign", {"benign": BENIGN, "melanoma": ("mel",)}, akiec=akiec, scc=scc)


def _bcc_vs_mel_vs_benign(*, akiec: str = "drop", scc: str = "malignant") -> Design:
    """Basal cell carcinoma, melanoma and the rest."""
    classes = {"bcc": ("bcc",), "melanoma": ("mel",), "benign": BENIGN}
    return _skin("bcc-vs-mel-vs-benign", classes, akiec=akiec, scc=scc)


def _diagnosis(**_: str) -> Design:
    """Every diagnosis as a class of its own."""
    return Design("diagnosis", {})


DESIGNS: Shelf[Any] = Shelf(
    "design",
    {
        "malignant-vs-benign": _malignant_vs_benign,
        "mel-vs-benign": _mel_vs_benign,
        "bcc-vs-mel-vs-benign": _bcc_vs_mel_vs_benign,
        "diagnosis": _diagnosis,
    },
    aliases={"three-class": "bcc-vs-mel-vs-benign"},
)


def get(name: str, *, akiec: str = "drop", scc: str = "malignant") -> Design:
    """Return a design by name, or read it from a YAML file.

    Parameters
    ----------
    name : str
        A name of the shelf, or a path that ends in ``.yaml`` or ``.yml``.
    akiec, scc : {"drop", "benign", "malignant"}
        How the skin designs read the two diagnoses that Menegola's Atlas does not have. ``malignant`` puts them with
        the malignant class where there is one and leaves them out elsewhere.

    Raises
    ------
    UnknownName
        A name that is no design; the nearest is suggested.
    UsageError
        A reading that is none, or a file that cannot be understood.
    """
    if name.endswith((".yaml", ".yml")):
        return from_file(name)
    return DESIGNS[name](akiec=akiec, scc=scc)


def custom(positive: Iterable[str], negative: Iterable[str], *, drop: Iterable[str] = ()) -> Design:
    """Make a two-class design from lists of diagnoses.

    Raises
    ------
    UsageError
        Where a list is empty or a diagnosis stands twice.
    """
    positive, negative, drop = tuple(positive), tuple(negative), tuple(drop)
    if not positive or not negative:
        raise UsageError("a design of one's own needs both --positive and --negative, each with at least one diagnosis")
    name = "+".join(positive) + "-vs-" + "+".join(negative)
    members = {"negative": negative, "positive": positive}
    return _checked(Design(name, members, dict.fromkeys(drop, "dropped by --drop"), typed=True))


def from_file(path: str) -> Design:
    """Read a design from YAML: ``classes`` (class: list of diagnoses), and optionally ``name``, ``drop``, ``synonyms``.

    Raises
    ------
    UsageError
        Where the file is missing, is no YAML, or has other keys or shapes.
    """
    value = _read_yaml(path)
    known = {"name", "classes", "drop", "synonyms"}
    if not isinstance(value, dict) or not isinstance(value.get("classes"), dict) or len(value["classes"]) < 2:
        raise UsageError(f"{path}: expected a key 'classes' with at least two classes, each a list of diagnoses")
    if strange := set(value) - known:
        raise UsageError(f"{path}: unknown key {min(map(str, strange))!r}; known: {', '.join(sorted(known))}")
    members = {str(name): _words(group, path=path) for name, group in value["classes"].items()}
    if len(members) < len(value["classes"]):
        raise UsageError(f"{path}: two classes have one name; each class needs a name of its own")
    drops = dict.fromkeys(_words(value.get("drop", []), path=path), f"dropped by {Path(path).name}")
    synonyms = value.get("synonyms") or {}
    if not isinstance(synonyms, dict):
        raise UsageError(f"{path}: 'synonyms' takes a map from a label to a diagnosis")
    named = {str(label): str(diagnosis) for label, diagnosis in synonyms.items()}
    return _checked(Design(str(value.get("name", Path(path).stem)), members, drops, named))


def _read_yaml(path: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no design file {path!r}; give a file that exists, or a design of the shelf") from None
    except (YAMLError, UnicodeDecodeError, OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise UsageError(f"{path} is no readable YAML: {told}") from error


def _words(value: Any, *, path: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{path}: expected a list of diagnoses (text; quote words such as 'no'), {value!r} came")
    return tuple(value)


def _checked(design: Design) -> Design:
    words = Counter([word for group in design.members.values() for word in group] + list(design.drops))
    if twice := [word for word, count in words.items() if count > 1]:
        raise UsageError(f"design {design.name!r} names the diagnosis {twice[0]!r} twice; each belongs in one place")
    if taken := [label for label, diagnosis in design.synonyms.items() if label in words and label != diagnosis]:
        raise UsageError(f"design {design.name!r} gives {taken[0]!r} both a place and a synonym; keep one of them")
    if empty := [name for name, group in design.members.items() if not group]:
        raise UsageError(f"design {design.name!r} has no diagnosis in class {empty[0]!r}")
    return design
