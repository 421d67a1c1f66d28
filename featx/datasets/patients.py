"""Sets that say of each image its lesion, its patient, both or neither: what may not be divided, and what it is called.

A patient is never divided; where the patient is not said, a lesion is not. Never looks at pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from featx.datasets.base import Dataset, known_name
from featx.datasets.published import PublishedSet, Row
from featx.folds import join_groups

PATIENT, LESION = "patient_id", "lesion_id"


class PatientSet(PublishedSet):
    """Base of the adapters whose rows went through :func:`by_patient`.

    What a group is called follows from the rows: a patient where all that have a group have a patient, else a lesion.
    A unit is a lesion, or the image where no lesion is said.
    """

    group_kind = "patient"

    def _dataset(self, root: Path, rows: Sequence[Row], *, notes: Sequence[str]) -> Dataset:
        found = super()._dataset(root, rows, notes=notes)
        lesions = any(_said(row, LESION) for row in rows)
        return replace(found, group_kind=_kind(rows), unit_kind="lesion" if lesions else None)

    def _groups_told(self, rows: Sequence[Row]) -> list[str]:
        kind, known = _kind(rows), sum(bool(_said(row, PATIENT)) for row in rows)
        if kind is None:
            return ["no column says which images share a patient or a lesion: each is a group of its own"]
        notes = []
        if lone := sum(not (_said(row, PATIENT) or _said(row, LESION)) for row in rows):
            notes.append(f"{lone:,} images have neither patient nor lesion: what they share is unknown")
        if known and kind == "lesion":
            notes.append(f"the patient is said for {known:,} of {len(rows):,} images, whose patients are not divided")
        return notes


def by_patient(rows: Sequence[Row], *, pairs: Iterable[tuple[str, str]] = ()) -> list[Row]:
    """Return the rows with their groups and units, from the attributes ``patient_id`` and ``lesion_id``.

    Parameters
    ----------
    rows : sequence of Row
        The rows; the groups and units that they have are not looked at.
    pairs : iterable of tuple of str
        Ids of images that are the same: their groups are one. Ids that no row has join nothing.

    Returns
    -------
    list of Row
        Images of one patient, of one lesion or of a pair share a group, and so do those that several of these link.
    """
    own = [_said(row, PATIENT) or _said(row, LESION) or f"image {row.id}" for row in rows]
    lesions = [_said(row, LESION) for row in rows]
    of = {row.id: group for row, group in zip(rows, own, strict=True)}
    known = [pair for pair in pairs if pair[0] in of and pair[1] in of]
    ends = [of[name] for pair in known for name in pair]
    marks = [f"pair {number}" for number in range(len(known)) for _ in range(2)]
    groups = join_groups([*own, *ends], [*lesions, *marks])[: len(own)]
    sizes = Counter(groups)
    return [
        replace(
            row,
            group="" if group == f"image {row.id}" and sizes[group] == 1 else group,
            unit=lesion or f"image {row.id}",
        )
        for row, group, lesion in zip(rows, groups, lesions, strict=True)
    ]


def _said(row: Row, column: str) -> str:
    return known_name(row.attributes.get(column, ""))


def _kind(rows: Sequence[Row]) -> str | None:
    told = [row for row in rows if _said(row, PATIENT) or _said(row, LESION)]
    if not told:
        return None
    return "patient" if all(_said(row, PATIENT) for row in told) else "lesion"
