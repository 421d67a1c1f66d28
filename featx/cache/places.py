"""Where things lie in a features_cache folder.

::

    <dataset>/<backbone>@<weights>--<layer>--<key8>.h5     features
    <dataset>/<backbone>@<history>--<layer>--<key8>.set.json     features of one network a split (``sets``)
    <dataset>/last.json                                    which of them were extracted last
    <dataset>/fingerprints.json                            what its image files are
    folds/  runs/  cells/  weights/  pixels/  frozen/  demo_data/

Knows names of files only, not what is in them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from featx import atomic
from featx.errors import CacheError, UsageError

VARIABLE = "FEATX_CACHE"
DEFAULT = "features_cache"


class Places(NamedTuple):
    """The folders of one cache.

    Attributes
    ----------
    root : pathlib.Path
        The cache's folder; it need not exist.
    """

    root: Path

    @classmethod
    def at(cls, root: str | os.PathLike[str] | None = None) -> Places:
        """Return the places under a folder: the one given, that of ``FEATX_CACHE``, or ``features_cache`` here."""
        return cls(Path(root or os.environ.get(VARIABLE) or DEFAULT))

    @property
    def folds(self) -> Path:
        """Where plans of folds are kept."""
        return self.root / "folds"

    @property
    def runs(self) -> Path:
        """Where runs without a folder of their own are recorded."""
        return self.root / "runs"

    @property
    def cells(self) -> Path:
        """Where the finished cells of comparisons are kept."""
        return self.root / "cells"

    @property
    def memo(self) -> Path:
        """The file that remembers digests of weights."""
        return self.root / "weights" / "digests.json"

    @property
    def weights(self) -> Path:
        """Where networks trained here are kept, with what they have seen."""
        return self.root / "weights"

    @property
    def pixels(self) -> Path:
        """Where decoded images are kept for training."""
        return self.root / "pixels"

    @property
    def frozen(self) -> Path:
        """Where activations of frozen parts of networks are kept for training."""
        return self.root / "frozen"

    @property
    def demo_data(self) -> Path:
        """Where the built-in demo dataset is drawn."""
        return self.root / "demo_data"

    def features(self, dataset: str, *, backbone: str, weights: str, layer: str, key: str) -> Path:
        """Return the place of a feature file."""
        return self.root / dataset / f"{backbone}@{weights}--{layer}--{key[:8]}.h5"

    def fingerprints(self, dataset: str) -> Path:
        """Return the file that remembers the fingerprints of a dataset's images."""
        return self.root / dataset / "fingerprints.json"

    def datasets(self) -> list[str]:
        """Return the datasets that have features here."""
        files = (*self.root.glob("*/*.h5"), *self.root.glob("*/*.set.json"))
        return sorted({path.parent.name for path in files})

    def feature_files(self, dataset: str) -> list[Path]:
        """Return the feature files of a dataset."""
        return sorted((self.root / dataset).glob("*.h5"))

    def sets(self, dataset: str) -> list[Path]:
        """Return the feature sets of a dataset."""
        return sorted((self.root / dataset).glob("*.set.json"))

    def remember_last(self, files: Sequence[Path]) -> None:
        """Note which feature files of a dataset were extracted last."""
        text = json.dumps([path.name for path in files])
        last = files[0].parent / "last.json"
        if not last.exists() or last.read_text(encoding="utf-8") != text:
            atomic.write_text(last, text)
        else:
            os.utime(last)

    def last(self, dataset: str | None = None) -> list[Path]:
        """Return the feature files that were extracted last.

        Raises
        ------
        CacheError
            Where nothing was extracted yet.
        UsageError
            Where the cache holds several datasets and none is named.
        """
        names = self.datasets()
        if dataset is None and len(names) > 1:
            raise UsageError(
                f"{self.root} holds features of several datasets ({', '.join(names)}); "
                "say which with DATA or --features"
            )
        dataset = dataset or (names[0] if names else None)
        if dataset not in names:
            whose = f" of {dataset}" if dataset else ""
            raise CacheError(f"{self.root} holds no features{whose}; run `featx extract` first")
        try:
            files = [self.root / dataset / name for name in json.loads((self.root / dataset / "last.json").read_text())]
        except (OSError, ValueError, TypeError):
            files = []
        if files and all(path.is_file() for path in files):
            return files
        known = self.feature_files(dataset)
        if len(known) > 1:
            told = ", ".join(path.name for path in known)
            raise UsageError(f"{self.root / dataset} holds several feature files ({told}); say which with --features")
        return known


def label(path: Path) -> str:
    """Return what a feature file is called in tables: ``vgg16@imagenet--fc7``, its name without the key."""
    return path.stem.rpartition("--")[0] or path.stem
