"""Shelves: a name gives its object, and a wrong name the nearest one."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from featx.errors import UnknownName, UsageError
from featx.shelf import Shelf


def shelf():
    return Shelf("fruit", {"apple": 1, "pear": 2, "join": "os.path:join"}, aliases={"pomme": "apple"})


def test_a_name_gives_its_object():
    assert shelf()["apple"] == 1


def test_an_alias_gives_the_object_of_its_name():
    fruits = shelf()
    assert fruits["pomme"] == 1
    assert fruits.canonical("pomme") == fruits.canonical("apple") == "apple"


def test_an_address_is_imported_when_it_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "planted_module.py").write_text("thing = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    things = Shelf("thing", {"lazy": "planted_module:thing"})
    assert list(things) == ["lazy"] and "lazy" in things and len(things) == 1
    assert "planted_module" not in sys.modules
    assert things["lazy"] is things["lazy"] is sys.modules["planted_module"].thing
    del sys.modules["planted_module"]


def test_a_shelf_does_not_change_with_the_table_it_was_made_from():
    items = {"apple": 1}
    fruits = Shelf("fruit", items)
    items["plum"] = 2
    assert "plum" not in fruits


@pytest.mark.parametrize(("name", "told"), [("appel", "apple"), ("APPLE", "apple"), ("pome", "pomme")])
def test_a_mistyped_name_gets_the_nearest(name, told):
    with pytest.raises(UnknownName, match=f"unknown fruit {name!r}; did you mean {told!r}") as caught:
        shelf()[name]
    assert isinstance(caught.value, UsageError)


def test_a_name_far_from_all_gets_the_list():
    with pytest.raises(UnknownName, match="known: apple, join, pear, pomme"):
        shelf()["zzzzz"]


def test_a_shelf_is_a_mapping_of_its_names_without_the_aliases():
    fruits = shelf()
    assert isinstance(fruits, Mapping)
    assert list(fruits) == ["apple", "pear", "join"]
    assert len(fruits) == 3
    assert "pomme" in fruits and "plum" not in fruits
    assert dict(fruits.items())["pear"] == 2


def test_every_address_on_the_shelves_leads_to_something():
    from featx.backbones import BACKBONES
    from featx.classifiers import CLASSIFIERS
    from featx.datasets import ADAPTERS
    from featx.images import NORMALISATIONS

    for things in (BACKBONES, CLASSIFIERS, ADAPTERS, NORMALISATIONS):
        assert all(things[name] is not None for name in things)
