from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from featx.datasets.patients import by_patient
from featx.datasets.published import Row


def row(name, *, patient="", lesion=""):
    return Row(name, "nv", f"line {name}", attributes={"patient_id": patient, "lesion_id": lesion})


def groups(rows, pairs=()):
    return [found.group for found in by_patient(rows, pairs=pairs)]


def test_a_patient_comes_before_a_lesion_and_nothing_stays_alone():
    rows = [row("a", patient="P", lesion="L"), row("b", patient="P"), row("c", lesion="M"), row("d")]
    assert groups(rows) == ["P", "P", "M", ""]
    assert [found.unit for found in by_patient(rows)] == ["L", "image b", "M", "image d"]


def test_a_lesion_whose_patient_is_said_but_once_is_one_group_with_that_patients_images():
    rows = [row("a", patient="P", lesion="L"), row("b", lesion="L"), row("c", patient="P")]
    assert groups(rows) == ["L", "L", "L"]


def test_pairs_join_patients_and_lone_images():
    rows = [row("a", patient="P"), row("b", patient="Q"), row("c", patient="Q"), row("d"), row("e"), row("f")]
    joined = groups(rows, [("a", "b"), ("d", "e"), ("f", "not a row")])
    assert joined == ["P", "P", "P", "image d", "image d", ""]


@given(st.lists(st.tuples(st.sampled_from(["", "P", "Q", "R"]), st.sampled_from(["", "L", "M", "N"])), max_size=12))
def test_no_patient_and_no_lesion_is_divided(said):
    rows = by_patient([row(str(n), patient=patient, lesion=lesion) for n, (patient, lesion) in enumerate(said)])
    for key in ("patient_id", "lesion_id"):
        owners = {(found.attributes[key], found.group) for found in rows if found.attributes[key]}
        assert len({value for value, _ in owners}) == len(owners)
    assert all(
        bool(found.group) == bool(patient or lesion) for found, (patient, lesion) in zip(rows, said, strict=True)
    )
