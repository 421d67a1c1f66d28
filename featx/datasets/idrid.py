"""IDRiD, the Indian Diabetic Retinopathy Image Dataset (Porwal et al. 2018): its part on grading.

Two tables, of training and of testing; both number their images from ``IDRiD_001``, so that the folder says which is
meant and an id begins with its part. Copies with one ``labels.csv`` are read too. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from featx.datasets.base import Dataset, image_files
from featx.datasets.graded import GradedSet
from featx.datasets.published import Row
from featx.datasets.tables import read_table

TRAIN = {"0": 134, "1": 20, "2": 136, "3": 74, "4": 49}
TEST = {"0": 34, "1": 5, "2": 32, "3": 19, "4": 13}
OTHER_TASKS = r"(^|/)(A\. Segmentation|C\. Localization)/"
PARTS = {"training": "train", "testing": "test"}


class Idrid(GradedSet):
    """The adapter ``idrid``."""

    name = "idrid"
    expects = (
        "a folder with IDRiD_Disease Grading_Training Labels.csv and ..._Testing Labels.csv, or one labels.csv (image, "
        "retinopathy grade), and the images below it"
    )
    tables = (r".*IDRiD_Disease[ _]Grading_(Training|Testing)[ _]Labels\.csv", r"(idrid_)?labels\.csv")
    image_names = ("image name", "image_name", "image")
    grade_names = ("retinopathy grade", "retinopathy_grade")
    published = {"train": TRAIN, "test": TEST, "": Counter(TRAIN) + Counter(TEST)}
    skip = OTHER_TASKS

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows; those of an official table with its part."""
        for path in tables:
            part = next((part for word, part in PARTS.items() if word in path.name.lower()), "")
            for found in self.graded(read_table(path)):
                name = f"{part}/{found.image}" if part else found.image
                yield Row(
                    name,
                    found.grade,
                    found.where,
                    image=found.image,
                    folder=part,
                    part=part,
                    attributes=found.told,
                )

    def _dataset(self, root: Path, rows: Sequence[Row], *, notes: Sequence[str]) -> Dataset:
        """Make the dataset; where no folder of images names a part, the images of one part lie there alone."""
        folders = {path.rpartition("/")[0].lower() for path in image_files(root) if not re.search(OTHER_TASKS, path)}
        if not any(part in folder for part in PARTS.values() for folder in folders):
            rows = [replace(row, folder="") for row in rows]
        return super()._dataset(root, rows, notes=notes)


ADAPTER = Idrid()
