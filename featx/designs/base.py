"""What a design is: a map from diagnoses to classes that counts every row that it leaves out.

Knows nothing of images, features or classifiers, and no design by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from featx.errors import DataError, suggestion

READINGS = ("drop", "benign", "malignant")
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
        Other words for diagnoses; a word in small letters stands for every way of writing it.
    policies : mapping of str to str
        The readings chosen for diagnoses that the study is silent about (``{"akiec": "drop"}``).
    typed : bool
        Whether it was typed for one dataset, so that a diagnosis that no row has is a slip.
    reread : callable, optional
        Makes the design with other readings of its policies.
    """

    name: str
    members: Mapping[str, tuple[str, ...]]
    drops: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    typed: bool = False
    reread: Callable[..., Design] | None = field(default=None, compare=False, repr=False)

    def assign(self, diagnoses: Sequence[str]) -> Assignment:
        """Give each row its class code, or -1 and a reason.

        Raises
        ------
        DataError
            Where a diagnosis has no place in the design, or a class has no row.
        """
        words = [self.word(diagnosis) for diagnosis in diagnoses]
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

    def word(self, diagnosis: str) -> str:
        """Return the word that the design knows a diagnosis by."""
        return self.synonyms.get(diagnosis) or self.synonyms.get(diagnosis.casefold(), diagnosis)

    def readings(self, diagnoses: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return the class counts that each reading of a policy would give, for the policies that touch a row.

        Returns
        -------
        dict
            ``{"akiec": {"drop": {"benign": 8061, ...}, "benign": {...}, "malignant": {...}}}``.
        """
        present = {self.word(diagnosis) for diagnosis in diagnoses}
        if self.reread is None:
            return {}
        return {
            about: {
                reading: self.reread(**{**self.policies, about: reading}).assign(diagnoses).counts
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
