"""The photographs of EyePACS, as graded for Kaggle's Diabetic Retinopathy Detection (2015).

A file ``trainLabels.csv`` names the images, ``<patient>_left`` and ``<patient>_right``; the two eyes of a patient have
one grade in 87.2 % of the patients, so that a group is a patient. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from featx.datasets.graded import GradedSet
from featx.datasets.published import Row
from featx.datasets.tables import read_table
from featx.errors import DataError

COUNTS = {"0": 25810, "1": 2443, "2": 5292, "3": 873, "4": 708}
EYES = ("left", "right")


class EyePacs(GradedSet):
    """The adapter ``eyepacs``."""

    name = "eyepacs"
    expects = "a folder with trainLabels.csv (image, level) and the images <patient>_left, <patient>_right below it"
    tables = (r"trainLabels\.csv", r"trainLabels_cropped\.csv")
    image_names = ("image",)
    grade_names = ("level",)
    published = {"": COUNTS}
    prefer = (".jpeg", ".jpg")
    group_kind = "patient"

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows, each with its patient and its eye."""
        for found in self.graded(read_table(tables[0])):
            patient, _, eye = found.image.rpartition("_")
            if not patient or eye.lower() not in EYES:
                raise DataError(f"{found.where}: {found.image!r} is no <patient>_left or <patient>_right")
            told = {**found.told, "eye": eye.lower()}
            yield Row(found.image, found.grade, found.where, group=patient, attributes=told)


ADAPTER = EyePacs()
