"""Units: a unit's score is the mean of its images', and ties stay ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.datasets import Dataset, Sample
from featx.errors import DataError, UsageError
from featx.units import mean_scores, units_of


def dataset(*rows):
    samples = tuple(Sample(f"i{n}", f"i{n}.jpg", "nv", group, unit) for n, (group, unit) in enumerate(rows))
    return Dataset("toy", "csv", Path("."), samples, group_kind="patient", unit_kind="lesion")


def test_images_lesions_and_patients_are_units():
    data = dataset(("p", "a"), ("p", "a"), ("p", "b"))
    y = np.zeros(3, dtype=int)
    told = {unit: units_of(data, data.samples, unit=unit, y=y) for unit in ("image", "lesion", "patient")}
    assert told == {"image": ["i0", "i1", "i2"], "lesion": ["a", "a", "b"], "patient": ["p", "p", "p"]}


def test_units_of_two_classes_or_groups_and_unknown_units_are_refused():
    data = dataset(("p", "a"), ("q", "a"), ("q", "b"))
    with pytest.raises(UsageError, match="toy knows image, lesion, patient"):
        units_of(data, data.samples, unit="eye", y=np.zeros(3, dtype=int))
    with pytest.raises(DataError, match="lesion 'a' has images of two groups"):
        units_of(data, data.samples, unit="lesion", y=np.zeros(3, dtype=int))
    with pytest.raises(DataError, match="patient 'q' has images of two classes"):
        units_of(data, data.samples, unit="patient", y=np.array([0, 0, 1]))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-1, 1)), min_size=1, max_size=20))
def test_scores_are_means_and_equal_scores_stay_equal(rows):
    units = [unit for unit, _ in rows]
    scores = np.array([[score] for _, score in rows])
    found = mean_scores(units, scores, y=np.zeros(len(rows), dtype=int), groups=units)
    assert found.groups.tolist() == sorted(set(units))
    for unit, score in zip(found.groups, found.scores[:, 0], strict=True):
        assert score == pytest.approx(np.mean([value for name, value in rows if name == unit]), abs=1e-12)
    same = mean_scores(units, np.full((len(rows), 1), 0.1), y=np.zeros(len(rows), dtype=int), groups=units)
    assert (same.scores == 0.1).all()
