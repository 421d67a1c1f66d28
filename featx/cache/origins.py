"""What computed the rows of a feature file: a few origins in its head, and in each row the tag of its own.

The tag stands where the record of a failed row says why it failed: a sound row has nothing to say there. Rows without
one are of a file that was made before there were tags, and have the tag ``""``. Knows words and counts, no features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from featx.cache.layout import OK, RECORD
from featx.cache.reader import FeatureFile
from featx.provenance import digest_json

COMPUTED = "computed"  # where origins stand in the environment of a file
UNTOLD = ""
LIBRARIES = ("featx", "torch", "torchvision", "openvino", "pillow", "pydicom", "simplejpeg")
PLAIN = ("runtime", "device", "hardware")

Origin = Mapping[str, Any]
Origins = dict[str, dict[str, Any]]


def tag_of(what: Mapping[str, Any]) -> str:
    """Return the tag of an origin: 8 hex digits of all that may change a feature's last digits."""
    return digest_json(what)[:8]


def origins_in(env: Mapping[str, Any]) -> Origins:
    """Return the origins that a file's environment tells of, by tag.

    Parameters
    ----------
    env : mapping
        The environment of a feature file; an older one tells of one origin, that of rows without a tag.

    Returns
    -------
    dict
        Each has ``what`` (runtime, device, hardware, versions), ``host``, ``since``, and ``agrees``: with which others
        it was compared, on how many rows, and how far apart the worst was.
    """
    if isinstance(env.get(COMPUTED), dict):
        return {tag: dict(origin) for tag, origin in env[COMPUTED].items()}
    told = env.get("versions")
    versions = {name: told.get(name) if isinstance(told, dict) else None for name in LIBRARIES}
    what = {**{name: env.get(name) for name in PLAIN}, "versions": versions}
    return {UNTOLD: {"what": what, "host": env.get("host"), "since": None, "agrees": {}}}


def tags_of(records: np.ndarray) -> np.ndarray:
    """Return the tag of each row, an array of bytes of shape (n,); it means something for rows that are OK."""
    return records["reason"]


def stamped(records: np.ndarray, tag: str) -> np.ndarray:
    """Return records in which the rows that are OK bear a tag.

    Parameters
    ----------
    records : ndarray of RECORD, shape (n,)
    tag : str
        As :func:`tag_of` returns it.
    """
    marked = np.array(records, RECORD)
    marked["reason"][marked["status"] == OK] = tag.encode()
    return marked


def rows_by_origin(file: FeatureFile) -> dict[str, int]:
    """Return how many sound rows with features each origin computed, by tag, the most first."""
    ours = tags_of(file.records())[file.status() == OK]
    return {tag.decode(errors="replace"): count for tag, count in Counter(ours.tolist()).most_common()}


def together(envs: Iterable[Mapping[str, Any]]) -> Origins:
    """Return the origins of several files as those of one."""
    found: Origins = {}
    for env in envs:
        for tag, origin in origins_in(env).items():
            agrees = {**found.get(tag, {}).get("agrees", {}), **origin.get("agrees", {})}
            found[tag] = {**origin, **found.get(tag, {}), "agrees": agrees}
    return found


def agreed(origins: Mapping[str, Origin], one: str, other: str) -> bool:
    """Return whether two origins are one, or rows of both were compared and found to agree."""
    pairs = ((one, other), (other, one))
    return one == other or any(there in origins.get(here, {}).get("agrees", {}) for here, there in pairs)


def differences(then: Origin, now: Origin) -> str:
    """Say in what two origins differ: ``runtime torch 2.15, now openvino 2026``."""
    was, is_ = then["what"], now["what"]
    told = [f"{name} {was.get(name)}, now {is_.get(name)}" for name in PLAIN if was.get(name) != is_.get(name)]
    before, after = was.get("versions") or {}, is_.get("versions") or {}
    changed = [name for name in after if before.get(name) != after[name]]
    told += [f"{name} {before.get(name) or 'none'}, now {after[name] or 'none'}" for name in changed]
    return "; ".join(told)
