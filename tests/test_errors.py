"""Errors: one tree with exit codes, and messages that help."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx import errors
from featx.errors import FeatxError, ImageError, UnknownName, UsageError, suggestion

ALL = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_a_featx_error_with_its_exit_code_and_stands_in_the_drawing(error):
    assert issubclass(error, FeatxError)
    assert error.exit_code == (2 if issubclass(error, UsageError) else 1)
    assert error.__name__ in errors.__doc__


def test_the_drawing_shows_who_descends_from_whom():
    above = [("FeatxError", -1)]
    for line in errors.__doc__.splitlines():
        depth = line.find("── ")
        if depth < 0:
            continue
        name = line[depth + 3 :].split()[0]
        while above[-1][1] >= depth:
            above.pop()
        assert getattr(errors, name).__bases__ == (getattr(errors, above[-1][0]),)
        above.append((name, depth))


def test_an_image_error_has_a_code_and_a_sentence():
    assert (ImageError("empty", "zero bytes").reason, str(ImageError("empty", "zero bytes"))) == (
        "empty",
        "empty: zero bytes",
    )
    assert str(ImageError("empty")) == "empty"


def test_an_unknown_name_tells_kind_name_and_the_nearest():
    assert str(UnknownName("layer", "fc77", ["fc6", "fc7"])) == "unknown layer 'fc77'; did you mean 'fc7'?"


def test_what_is_near_nothing_gets_the_list_in_order():
    assert suggestion("xyz", iter(["pear", "apple"])) == "known: apple, pear"


@given(st.lists(st.text("abcdefgh", min_size=3, max_size=12), min_size=1, unique=True), st.data())
def test_a_known_name_in_capitals_is_suggested_itself(names, data):
    name = data.draw(st.sampled_from(names))
    assert suggestion(name.upper(), names) == f"did you mean {name!r}?"
