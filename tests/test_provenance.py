"""Provenance: digests agree where the content does and nowhere else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.provenance import (
    LIBRARIES,
    canonical_json,
    digest_arrays,
    digest_bytes,
    digest_file,
    digest_json,
    environment,
    version,
    versions,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_is_read_back_as_the_same_value(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    assert digest_json(value) == digest_json(dict(reversed(value.items())))


def test_canonical_json_has_no_spaces_and_keeps_letters():
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'


def test_a_file_name_that_is_no_utf8_has_a_digest_and_comes_back():
    name = os.fsdecode(b"bad\xff.jpg")
    assert json.loads(canonical_json([name]).encode()) == [name]
    assert digest_json([name]) != digest_json([os.fsdecode(b"bad\xfe.jpg")])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, -float("inf")]])
def test_json_without_a_meaning_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_digests_are_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert digest_bytes(b"content") == digest_file(tmp_path / "a") == expected
    assert digest_json({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3, np.float32)}


def test_arrays_agree_whatever_their_order_and_memory_layout():
    expected = digest_arrays(ARRAYS.items())
    assert digest_arrays(reversed(ARRAYS.items())) == expected
    assert digest_arrays({**ARRAYS, "w": np.asfortranarray(ARRAYS["w"])}.items()) == expected
    assert digest_arrays({**ARRAYS, "w": np.repeat(ARRAYS["w"], 2, axis=1)[:, ::2]}.items()) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"w": ARRAYS["w"].reshape(3, 2)},
        {"w": ARRAYS["w"].astype(np.float64)},
        {"w": ARRAYS["w"].view(np.int32)},
        {"w": np.nextafter(ARRAYS["w"], 9)},
        {"c": np.zeros(0, np.float32)},
        {"b": np.zeros((), np.float32)},
        {"b": -ARRAYS["b"]},
    ],
)
def test_any_other_name_shape_dtype_or_bit_is_another_digest(change):
    assert digest_arrays({**ARRAYS, **change}.items()) != digest_arrays(ARRAYS.items())


def test_content_cannot_move_from_one_array_to_the_next():
    one = {"a": np.array([1, 2], np.uint8), "b": np.array([3], np.uint8)}
    two = {"a": np.array([1], np.uint8), "b": np.array([2, 3], np.uint8)}
    assert digest_arrays(one.items()) != digest_arrays(two.items())


def test_versions_are_those_of_the_libraries():
    import PIL

    assert version("numpy") == np.__version__
    assert version("pillow") == PIL.__version__
    assert version("no-such-library-here") is None
    assert tuple(versions()) == LIBRARIES


def test_the_environment_is_json_and_takes_more(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/featx", "extract", "data"])
    found = environment({"device": "cpu"})
    assert json.loads(canonical_json(found)) == found
    assert found["command"] == "featx extract data"
    assert found["device"] == "cpu"
    assert found["versions"]["numpy"] == np.__version__
    monkeypatch.setattr(sys, "argv", [])
    assert environment()["command"] == ""


def test_versions_are_learnt_without_importing_what_is_heavy():
    program = "import sys; from featx.provenance import environment; environment(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
