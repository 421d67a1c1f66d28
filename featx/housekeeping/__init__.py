"""What lies in a cache, how large and how old it is, and what of it nobody can use any more.

``features`` looks at feature files, shards and sets, ``kept`` at what is made again when it is lacking (decoded pixels,
converted networks, cells, unfinished trainings), ``entries`` says what is against a thing, and deletes. Heads and
finish records are read, no rows, no image and no torch. This package must never know what features are for.
"""

from __future__ import annotations

from featx.cache.places import Places
from featx.housekeeping.entries import REASONS, USELESS, Entry, prunable, prune
from featx.housekeeping.features import feature_files, holdings
from featx.housekeeping.kept import UNUSED_DAYS, Section, leftovers, sections, totals

__all__ = [
    "REASONS",
    "UNUSED_DAYS",
    "USELESS",
    "Entry",
    "Section",
    "everything",
    "feature_files",
    "holdings",
    "leftovers",
    "prunable",
    "prune",
    "sections",
    "totals",
]


def everything(places: Places, *, unused_days: float = UNUSED_DAYS) -> list[Entry]:
    """Return whatever in a cache may be pruned: feature files, what is made again, and leftovers."""
    made_again = [entry for section in sections(places, unused_days=unused_days) for entry in section.entries]
    return [*holdings(places), *made_again, *leftovers(places)]
