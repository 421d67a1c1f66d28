"""What is found of one thing that featx needs. This file must never know what is looked at."""

from __future__ import annotations

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """What was found of one thing.

    Attributes
    ----------
    what : str
        The thing.
    state : {"ok", "note", "wrong"}
        ``note`` is worth knowing, ``wrong`` keeps featx from working.
    told : str
        What was found.
    todo : str
        What to do about it, empty where nothing is.
    """

    what: str
    state: str
    told: str
    todo: str = ""
