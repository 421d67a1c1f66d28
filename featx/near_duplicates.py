"""Near-duplicates: images that are one picture saved again, resized, brightened or cropped.

Where two of them lie on two sides of a split, a part of the test was seen in training. Works on fingerprints and,
where they are given, on features; never opens an image and knows no diagnoses.

The thresholds rest on 757 dermoscopic images (ISIC 2018 test, 610 lesions), 413 fundus images (IDRiD) and 599 chest
X-rays (NIH and Cohen), scaled to a short side of about 256 to 320: 550,000 pairs that are not byte-identical, and ten
copies each of 300 images.

- Hashes alone. Pairs of different lesions, images or patients within 0, 4, 8 and 12 bits: dermoscopy 0, 5, 42, 295;
  fundus 6, 241, 2144, 8463; chest 0, 1, 69, 1153. There is no distance at which false pairs vanish and copies stay, for
  fundus images of one camera may agree to the bit. Copies that were not cropped are at most 4 bits apart; cropped by
  5 % around the centre at most 14, nearly all within 12; by 5 % from one corner up to 26.
- Spectra. The highest correlation of two pictures that are not one: dermoscopy .89, fundus .985, chest .87. The lowest
  of a copy saved at quality 50 to 90, halved, doubled, 10 % brighter or darker, or made grey: .994. So from .992 on all
  2,400 such copies are found and no false pair; of cropped ones none.
- Cosines, of MobileNetV2 with ImageNet weights. The highest of two pictures that are not one: dermoscopy .91, fundus
  .965, chest .94. From .97 on, within 12 bits, 54 %, 99 % and 12 % of the copies cropped around the centre are found
  and 23 %, 83 % and 0 % of those cropped from a corner; from .96 on more (78 %, 100 % and 36 % around the centre), but
  among copies of fundus images also the first false pairs. Cosines alone would miss halved copies (from .78 on). Of
  the chest X-rays they find one pair in two groups that is plainly one picture (.981, correlation .978, 4 bits).
- Other networks have other cosines: from .97 on and within 12 bits, SqueezeNet's bring up 2, 163 and 2 pairs across
  groups. Random weights give .97 and more to 42, 86 and 96 % of the pairs that are nothing alike: they are refused.

The thresholds were chosen on these same images. Two images taken anew of one lesion are no near-duplicates in this
sense: none of 180 such pairs is found. How many false pairs come among tens of thousands of images of one camera was
not measured; their number grows with the square of the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.fingerprints import SPECTRUM_SIDE, Fingerprint
from featx.folds import join_groups

BITS = 64
MAX_DISTANCE = 12
MIN_CORRELATION = 0.992
MIN_COSINE = 0.97
TILE = 1024  # images a side of what is compared at once: 8 MB of hashes
SPARSE = 256  # below one candidate in so many, single products are cheaper than those of the whole tile
UNLIKE = 28  # bits of distance that no copy had, however cropped
JUDGED = 1000  # images that features are judged on, by the pairs among them that are unlike
EVIDENCE = 1000  # such pairs that a judgement needs
BLIND = 0.01  # share of them at the least cosine from which on features tell nothing


class Pair(NamedTuple):
    """Two images that are nearly one.

    Attributes
    ----------
    first, second : str
        Sample ids, in the order of the fingerprints.
    distance : int
        Bits in which their hashes differ, 0 to 64.
    cosine : float or None
        Of their features; None where either has none.
    correlation : float
        Of their spectra, -1 to 1.
    """

    first: str
    second: str
    distance: int
    cosine: float | None
    correlation: float


def find(
    fingerprints: Mapping[str, Fingerprint],
    *,
    features: np.ndarray | None = None,
    ids: Sequence[str] = (),
    max_distance: int = MAX_DISTANCE,
    min_correlation: float = MIN_CORRELATION,
    min_cosine: float = MIN_COSINE,
) -> list[Pair]:
    """Find the pairs of images that are one picture, but not one file.

    A pair of near hashes is confirmed by its spectra or, where features are given, by their cosine: the spectra know a
    picture that was saved again, resized, brightened or made grey, the features one that was cropped. Hashes alone
    confirm nothing. Byte-identical images are no pairs, for they share a group anyway, and flat pictures (one colour
    throughout) are in none.

    Parameters
    ----------
    fingerprints : mapping of str to Fingerprint
        By sample id.
    features : numpy.ndarray of float, shape (n, d), optional
        Of a network that was trained on many kinds of pictures; a row that is not finite counts as none.
    ids : sequence of str, length n
        The sample of each row of ``features``.
    max_distance : int
        Bits in which the hashes of a pair may differ.
    min_correlation, min_cosine : float
        What confirms a pair.

    Returns
    -------
    list of Pair
        The nearest hashes first.

    Raises
    ------
    UsageError
        A distance beyond 64 bits, ids that do not fit the features, or features that call pictures alike which are
        nothing alike, as those of random weights or of a network fine-tuned on the classes do.
    """
    if not 0 <= max_distance <= BITS:
        raise UsageError(f"max_distance is a number of bits from 0 to {BITS}; {max_distance} came")
    images = _Images.of(fingerprints, features=features, ids=ids)
    images.refuse_blind(min_cosine)
    found: list[Pair] = []
    for left, right in _tiles(len(images.names)):
        rows, columns = images.near(left, right, max_distance)
        if len(rows):
            correlation = _products(images.spectra[left], images.spectra[right], rows, columns)
            cosine = images.cosines(rows + left.start, columns + right.start)
            sure = (correlation >= min_correlation) | (cosine >= min_cosine)
            found += images.pairs(rows[sure] + left.start, columns[sure] + right.start, cosine[sure], correlation[sure])
    return sorted(found, key=lambda pair: (pair.distance, -pair.correlation, pair.first, pair.second))


def straddling(pairs: Iterable[Pair], groups: Mapping[str, str]) -> list[Pair]:
    """Return the pairs whose two images are in different groups, so that a split may part them.

    Parameters
    ----------
    pairs : iterable of Pair
        Near-duplicates.
    groups : mapping of str to str
        Group of each sample; a pair with a sample that is not here is left out, for it is not asked about.
    """
    return [
        pair
        for pair in pairs
        if pair.first in groups and pair.second in groups and groups[pair.first] != groups[pair.second]
    ]


def joined(groups: Sequence[str], ids: Sequence[str], pairs: Iterable[Pair]) -> list[str]:
    """Join the groups that share a near-duplicate, as :func:`featx.folds.join_groups` joins byte-identical images.

    Parameters
    ----------
    groups, ids : sequences of str, length n
        Group and sample id of each row.
    pairs : iterable of Pair
        Near-duplicates; those with a sample that is not among ``ids`` join nothing.

    Returns
    -------
    list of str
        Group of each row; joined groups carry the name that sorts first.
    """
    of = dict(zip(ids, groups, strict=True))
    shared = [(of[pair.first], of[pair.second]) for pair in pairs if pair.first in of and pair.second in of]
    ends = [group for both in shared for group in both]
    marks = [str(number) for number in range(len(shared)) for _ in range(2)]
    return join_groups([*groups, *ends], [""] * len(groups) + marks)[: len(groups)]


@dataclass(frozen=True)
class _Images:
    """The images that have a picture, and what they are compared by, a row each."""

    names: list[str]
    content: np.ndarray  # equal where the bytes are
    hashes: np.ndarray
    spectra: np.ndarray  # of length 1
    features: np.ndarray | None
    place: np.ndarray  # row in the features, -1 where there is none

    @classmethod
    def of(cls, fingerprints: Mapping[str, Fingerprint], *, features: np.ndarray | None, ids: Sequence[str]) -> _Images:
        if features is not None and (features.ndim != 2 or len(features) != len(ids)):
            raise UsageError(
                f"features of shape {features.shape} came with {len(ids)} ids; a matrix with an id for each row was "
                "expected"
            )
        features = features if len(ids) else None
        held = {name: one for name, one in fingerprints.items() if one.spectrum}
        row_of = {name: row for row, name in enumerate(ids)} if features is not None else {}
        spectra = np.frombuffer(bytes.fromhex("".join(one.spectrum for one in held.values())), dtype=np.int8)
        return cls(
            list(held),
            np.unique([one.sha256 for one in held.values()], return_inverse=True)[1],
            np.array([one.phash for one in held.values()], dtype=np.uint64),
            _unit(spectra.reshape(-1, SPECTRUM_SIDE**2)),
            features,
            np.array([row_of.get(name, -1) for name in held], dtype=np.int64),
        )

    def near(self, left: slice, right: slice, max_distance: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of the tile whose hashes are near and whose bytes differ, each pair once."""
        near = _distances(self.hashes[left], self.hashes[right]) <= max_distance
        rows, columns = np.nonzero(np.triu(near, 1) if left == right else near)
        differ = self.content[left][rows] != self.content[right][columns]
        return rows[differ], columns[differ]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return features of length 1; NaN where an image has none."""
        place = self.place[rows]
        if self.features is None:
            return np.full((len(place), 1), np.nan, dtype=np.float32)
        return np.where(place[:, None] >= 0, _unit(self.features[place]), np.float32(np.nan))

    def cosines(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the cosine of each pair; only images that are in one are made floats, for features may be wide."""
        left, at = np.unique(rows, return_inverse=True)
        right, beside = np.unique(columns, return_inverse=True)
        return _products(self.vectors(left), self.vectors(right), at, beside)

    def pairs(
        self, rows: np.ndarray, columns: np.ndarray, cosine: np.ndarray, correlation: np.ndarray
    ) -> Iterator[Pair]:
        """Yield the pairs of rows by name, with what was measured of them."""
        distance = np.bitwise_count(self.hashes[rows] ^ self.hashes[columns])
        facts = (distance.tolist(), cosine.tolist(), correlation.tolist())
        for row, column, bits, like, same in zip(rows, columns, *facts, strict=True):
            yield Pair(self.names[row], self.names[column], bits, None if np.isnan(like) else like, same)

    def refuse_blind(self, min_cosine: float) -> None:
        """Raise UsageError where features put images at the least cosine whose hashes are nothing alike."""
        if self.features is None or min_cosine > 1:  # then nothing rests on them
            return
        seen = np.flatnonzero(self.place >= 0)
        judged = seen[:: max(1, len(seen) // JUDGED)]
        vectors, hashes = self.vectors(judged), self.hashes[judged]
        unlike = _distances(hashes, hashes) >= UNLIKE
        share = np.mean((vectors @ vectors.T)[unlike] >= min_cosine) if unlike.sum() >= 2 * EVIDENCE else 0.0
        if share >= BLIND:
            raise UsageError(
                f"these features give {share:.0%} of the pairs of images that are nothing alike a cosine of "
                f"{min_cosine} or more, so that they cannot tell a copy; take those of a network trained on ImageNet, "
                "a higher min_cosine, or no features"
            )


def _tiles(count: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of the tiles on and above the diagonal."""
    sides = [slice(start, min(start + TILE, count)) for start in range(0, count, TILE)]
    return ((left, right) for at, left in enumerate(sides) for right in sides[at:])


def _distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the bits in which each hash differs from each of the others."""
    return np.bitwise_count(left[:, None] ^ right[None, :])


def _unit(matrix: np.ndarray) -> np.ndarray:
    """Return the rows at length 1 as float32; NaN where a row has no length, or none that is finite."""
    matrix = np.asarray(matrix, dtype=np.float32)
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.divide(matrix, length, out=np.full_like(matrix, np.nan), where=usable)


def _products(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the products of some rows of one matrix with some of another."""
    if len(rows) * SPARSE > len(left) * len(right):
        return (left @ right.T)[rows, columns]
    return np.einsum("ij,ij->i", left[rows], right[columns])
