"""APTOS 2019 Blindness Detection (Asia Pacific Tele-Ophthalmology Society), as downloaded from Kaggle.

A file ``train.csv`` names the images and their grades; neither patients nor eyes are published. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from featx.datasets.graded import GradedSet
from featx.datasets.published import Row
from featx.datasets.tables import read_table

COUNTS = {"0": 1805, "1": 370, "2": 999, "3": 193, "4": 295}


class Aptos2019(GradedSet):
    """The adapter ``aptos2019``."""

    name = "aptos2019"
    expects = "a folder with train.csv (id_code, diagnosis) and its images, as in train_images/"
    tables = (r"train\.csv",)
    image_names = ("id_code",)
    grade_names = ("diagnosis",)
    published = {"": COUNTS}
    prefer = (".png",)

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows."""
        for found in self.graded(read_table(tables[0])):
            yield Row(found.image, found.grade, found.where, attributes=found.told)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return what is said of the set's duplicates."""
        return ["the set is said to hold some images twice, and names no patients: look for near duplicates first"]


ADAPTER = Aptos2019()
