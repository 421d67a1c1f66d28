"""Origins: what computed a row stands in the row, and what that means in the head of its file."""

from __future__ import annotations

import numpy as np
import pytest

from featx.cache import OK, FeatureFile, FeatureWriter, new_record
from featx.cache.layout import RECORD
from featx.cache.origins import (
    COMPUTED,
    UNTOLD,
    agreed,
    differences,
    origins_in,
    rows_by_origin,
    stamped,
    tag_of,
    tags_of,
    together,
)

ONE = {"runtime": "torch 2", "device": "cpu", "hardware": "A", "versions": {"torch": "2", "pillow": None}}
OTHER = {**ONE, "runtime": "openvino 1", "versions": {"torch": "3", "pillow": None}}


def origin(what, **agrees):
    return {"what": what, "host": "here", "since": "now", "agrees": agrees}


def test_a_tag_is_of_all_that_computes():
    assert len(tag_of(ONE)) == 8 and tag_of(ONE) == tag_of(dict(reversed(ONE.items())))
    changed = [{**ONE, name: "x"} for name in ONE]
    assert len({tag_of(what) for what in [ONE, OTHER, *changed]}) == 6


def test_only_sound_rows_bear_a_tag_and_a_failed_one_keeps_its_reason():
    records = np.array([new_record(), new_record(status=2, reason="truncated: at 7")], RECORD)
    marked = stamped(records, "0123abcd")
    assert tags_of(marked).tolist() == [b"0123abcd", b"truncated: at 7"]
    assert tags_of(records)[0] == b"" and marked["status"].tolist() == [OK, 2]


def test_rows_are_counted_by_origin(tmp_path):
    paths = [str(row) for row in range(6)]
    records = np.array([new_record()] * 5 + [new_record(status=2, reason="empty")], RECORD)
    about = {"spec": {}, "paths": paths, "table": "", "dim": 2, "env": {COMPUTED: {"aaaaaaaa": origin(ONE)}}}
    with FeatureWriter.open_or_create(tmp_path / "a.h5", **about) as writer:
        writer.write(np.arange(3), np.ones((3, 2)), stamped(records[:3], "aaaaaaaa"))
        writer.write(np.arange(3, 6), np.ones((3, 2)), stamped(records[3:], "bbbbbbbb"))
    with FeatureFile.open(tmp_path / "a.h5") as file:
        assert rows_by_origin(file) == {"aaaaaaaa": 3, "bbbbbbbb": 2}
        assert origins_in(file.env) == {"aaaaaaaa": origin(ONE)}


def test_an_older_file_tells_of_one_origin_as_far_as_it_knows_it():
    env = {"runtime": "torch 2", "device": "cpu", "host": "there", "versions": {"torch": "2", "numpy": "1"}}
    found = origins_in(env)
    assert set(found) == {UNTOLD} and found[UNTOLD]["host"] == "there"
    assert found[UNTOLD]["what"]["versions"]["torch"] == "2" and found[UNTOLD]["what"]["hardware"] is None
    assert set(origins_in({})) == {UNTOLD}


def test_origins_of_several_files_come_together_with_what_agreed():
    one = {COMPUTED: {"a": origin(ONE), "b": origin(OTHER, a={"rows": 32})}}
    other = {COMPUTED: {"b": origin(OTHER, c={"rows": 5}), "c": origin(ONE)}}
    found = together([one, other])
    assert set(found) == {"a", "b", "c"} and set(found["b"]["agrees"]) == {"a", "c"}
    assert set(one[COMPUTED]["b"]["agrees"]) == {"a"}  # not changed on the way


@pytest.mark.parametrize(("pair", "expected"), [("ab", True), ("ba", True), ("aa", True), ("ac", False), ("dd", True)])
def test_agreement_goes_both_ways_and_no_further(pair, expected):
    origins = {"a": origin(ONE), "b": origin(OTHER, a={"rows": 32}, c={"rows": 3}), "c": origin(ONE)}
    assert agreed(origins, *pair) is expected


def test_differences_name_what_differs_and_nothing_else():
    told = differences(origin(ONE), origin(OTHER))
    assert told == "runtime torch 2, now openvino 1; torch 2, now 3"
    assert differences(origin(ONE), origin(ONE)) == ""
