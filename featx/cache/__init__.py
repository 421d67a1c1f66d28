"""The feature store: one HDF5 file a layer, whole at birth, in which each row vouches for itself.

A row counts when its hash fits, and for no other reason: there is no list of finished rows that could be wrong. So a
process may be killed at any moment and lose only what was not yet synced, a flipped bit is seen when it is read, and
``h5py.File(f)["features"][:]`` works at any time, also beside a running writer. The bytes are drawn in ``layout``, a
file is made in ``birth``, read in ``reader``, written in ``writer`` by whoever holds the ``lock``.

This package must never know torch, a dataset by name, or what the sample table says: it carries the table unread.
"""

from __future__ import annotations

from featx.cache.layout import FORMAT, FORMAT_VERSION, OK, PENDING, RECORD, key_of, new_record
from featx.cache.reader import FeatureFile, differences
from featx.cache.writer import FeatureWriter, create, renew

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "OK",
    "PENDING",
    "RECORD",
    "FeatureFile",
    "FeatureWriter",
    "create",
    "differences",
    "key_of",
    "new_record",
    "renew",
]
