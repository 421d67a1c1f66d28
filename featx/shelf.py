"""A shelf: a table of names, each with an object that is loaded when it is asked for.

Every choice that a user makes by name (dataset, backbone, design, classifier ...) stands on a shelf, so that
a new one is one line and a mistyped one gets the nearest name. This file knows none of the things on shelves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from featx.errors import UnknownName

T = TypeVar("T")


class Shelf(Mapping[str, T], Generic[T]):
    """Read-only table of names; an item written as ``"module:attribute"`` is imported on first use.

    Parameters
    ----------
    kind : str
        What stands here, for messages ("design", "backbone").
    items : mapping of str to object or str
        The objects, or the addresses to import them from.
    aliases : mapping of str to str, optional
        Other names for items.

    Raises
    ------
    UnknownName
        On a look-up of a name that is neither an item nor an alias; it suggests the nearest.
    """

    def __init__(self, kind: str, items: Mapping[str, Any], *, aliases: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._items = dict(items)
        self._aliases = dict(aliases or {})

    def canonical(self, name: str) -> str:
        """Return the name under which an item stands, given it or an alias of it."""
        name = self._aliases.get(name, name)
        if name not in self._items:
            raise UnknownName(self.kind, name, [*self._items, *self._aliases])
        return name

    def __getitem__(self, name: str) -> T:
        name = self.canonical(name)
        item = self._items[name]
        if isinstance(item, str):
            module, _, attribute = item.partition(":")
            item = self._items[name] = getattr(import_module(module), attribute)
        return item

    def __contains__(self, name: object) -> bool:
        return name in self._items or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
