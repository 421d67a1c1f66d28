"""What all parts of a pipeline file have in common: no unknown key, nothing changed once it is read.

Knows no part by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from featx.errors import UnknownName


class Part(BaseModel):
    """A mapping of a pipeline file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def on_shelf(shelf: Any, name: str) -> str:
    """Return a name that stands on a shelf, as it is written.

    Raises
    ------
    ValueError
        Where it does not; the nearest is suggested.
    """
    try:
        shelf.canonical(name)
    except UnknownName as error:
        raise ValueError(str(error)) from None
    return name


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another one's values put over it, mappings inside mappings too."""
    found = dict(base)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def with_value(raw: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a mapping with the value at a dotted path (``train.l2``) exchanged."""
    first, _, rest = path.partition(".")
    if not rest:
        return {**raw, first: value}
    below = raw.get(first)
    return {**raw, first: with_value(below if isinstance(below, Mapping) else {}, rest, value)}
