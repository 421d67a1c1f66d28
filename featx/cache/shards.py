"""Which rows belong to a shard, and what its file is called: one worker, one file, one writer.

Shards are stretches of consecutive rows that begin at a multiple of the batch size, so that each image has the place
in its batch that it has in a run over all of them, and its features are the same to the bit. This file must never
know what is in a feature file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Self

from featx.errors import UsageError

MOST = 9999
_NAME = re.compile(r"(?P<file>.+\.h5)\.shard-(?P<number>[1-9]\d{0,3})-of-(?P<of>[1-9]\d{0,3})")


class Shard(NamedTuple):
    """One of several parts of an extraction.

    Attributes
    ----------
    number, of : int
        Which part, counted from 1, and of how many.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/8``.

        Raises
        ------
        UsageError
            Where the text names no part.

        Examples
        --------
        >>> Shard.parse("2/8")
        Shard(number=2, of=8)
        """
        found = re.fullmatch(r"\s*([0-9]{1,4})\s*/\s*([0-9]{1,4})\s*", text)
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(f"--shard takes I/N, for instance 1/4 to 4/4 with at most {MOST} parts; {text!r} came")
        return cls(number, of)

    def rows(self, n: int, *, batch_size: int) -> range:
        """Return which of ``n`` rows are this shard's: whole batches, as even as they come.

        Raises
        ------
        UsageError
            Where there are fewer batches than shards, so that one would have nothing to do.

        Examples
        --------
        >>> [Shard(number, 3).rows(70, batch_size=16) for number in (1, 2, 3)]
        [range(0, 16), range(16, 48), range(48, 70)]
        """
        batches = -(-n // batch_size)
        if batches < self.of:
            told = f"{n} images are {batches} batches of {batch_size}, too few for {self.of} shards"
            raise UsageError(f"{told}; take at most {batches}")
        first, last = ((batches * part // self.of) * batch_size for part in (self.number - 1, self.number))
        return range(min(first, n), min(last, n))

    def path(self, path: Path) -> Path:
        """Return the shard's own file beside the feature file that it is a part of."""
        return path.with_name(f"{path.name}.shard-{self.number}-of-{self.of}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_of(path: Path) -> tuple[Path, Shard] | None:
    """Return the feature file that a shard's file is a part of, and the shard; None for any other name.

    Examples
    --------
    >>> shard_of(Path("cache/a.h5.shard-2-of-8"))
    (PosixPath('cache/a.h5'), Shard(number=2, of=8))
    """
    found = _NAME.fullmatch(path.name)
    return (path.with_name(found["file"]), Shard(int(found["number"]), int(found["of"]))) if found else None
