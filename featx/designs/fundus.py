"""The designs of diabetic retinopathy, on the five grades of the international scale (Wilkinson et al. 2003).

Grade 0 is no retinopathy, 1 mild, 2 moderate, 3 severe, 4 proliferative; referable is grade 2 and above.
"""

from __future__ import annotations

from featx.designs.base import Design

GRADES = ("0", "1", "2", "3", "4")


def any_dr(**_: str) -> Design:
    """Any retinopathy against none."""
    return Design("any-dr", {"no-dr": GRADES[:1], "dr": GRADES[1:]})


def referable_dr(**_: str) -> Design:
    """Moderate retinopathy or worse against the rest."""
    return Design("referable-dr", {"not-referable": GRADES[:2], "referable": GRADES[2:]})


def dr_grade(**_: str) -> Design:
    """Each grade as a class."""
    return Design("dr-grade", {f"grade-{grade}": (grade,) for grade in GRADES})
