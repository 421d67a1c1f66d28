"""Designs: which diagnosis belongs to which class, what is dropped, and why.

A design is a question put to a dataset ("melanoma or benign?"). It maps diagnoses to classes and counts every row that
it leaves out. It knows nothing of images, features or classifiers.
"""

from __future__ import annotations

from typing import Any

from featx.designs.base import READINGS, Assignment, Design
from featx.designs.own import custom, from_file
from featx.shelf import Shelf

__all__ = ["DESIGNS", "READINGS", "SKIN", "Assignment", "Design", "custom", "from_file", "get"]


def _diagnosis(**_: str) -> Design:
    """Every diagnosis as a class of its own."""
    return Design("diagnosis", {})


SKIN = ("malignant-vs-benign", "mel-vs-benign", "bcc-vs-mel-vs-benign")

DESIGNS: Shelf[Any] = Shelf(
    "design",
    {
        "malignant-vs-benign": "featx.designs.skin:malignant_vs_benign",
        "mel-vs-benign": "featx.designs.skin:mel_vs_benign",
        "bcc-vs-mel-vs-benign": "featx.designs.skin:bcc_vs_mel_vs_benign",
        "pneumonia": "featx.designs.chest:pneumonia",
        "bacteria-vs-virus-vs-normal": "featx.designs.chest:bacteria_vs_virus_vs_normal",
        "any-dr": "featx.designs.fundus:any_dr",
        "referable-dr": "featx.designs.fundus:referable_dr",
        "dr-grade": "featx.designs.fundus:dr_grade",
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
