"""Flipped bits, cut files, moved, zeroed and stale sectors: damage is told, and no row is served that nobody wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featx.cache import OK, FeatureFile
from featx.errors import CacheDamaged
from fire.common import Job, Tally, alarm


class Victim:
    """Sound files, finished and half written, to be damaged again and again; and where their parts lie."""

    def __init__(self, folder: Path, *, n: int = 40, dim: int = 64) -> None:
        self.job = Job(folder / "victim.h5", n=n, dim=dim)
        self.earlier: list[bytes] = []
        with self.job.open() as writer:
            for at in range(0, n, 8):
                self.job.put(writer, np.arange(at, at + 8), 1)
                self.earlier.append(self.job.path.read_bytes())
            writer.finish()
            self.earlier.append(self.job.path.read_bytes())
            self.job.put(writer, np.arange(n))
            writer.finish()
            self.head = writer.head
        self.whole = self.job.path.read_bytes()
        with self.job.open() as writer:
            self.job.put(writer, np.arange(5))
        self.open = self.job.path.read_bytes()

    def judge(self, content: bytes, tally: Tally, *, finished: bool) -> None:
        """Count damage in a finished file that is not told, and rows served that are not as written."""
        tally.trials += 1
        self.job.path.write_bytes(content)
        try:
            with alarm(), FeatureFile.open(self.job.path) as file:
                status, complete = file.status(), file.complete
                features, records = file.load(), file.records()
        except CacheDamaged:
            tally.count("refused")
            return
        except Exception as error:
            tally.unreadable += 1
            tally.count(f"ended in {type(error).__name__}")
            return
        ok = np.flatnonzero(status == OK)
        same = (features[ok] == self.job.features(ok)).all(axis=1) & (records[ok] == self.job.records(ok))
        tally.wrong += int((~same).sum()) + int(finished and complete)
        tally.count("rows pending, the rest right")


def damaged(folder: Path, trials: int, kind: str, *, seed: int = 0) -> Tally:
    """Damage a file in one way ``trials`` times, three of four times a finished one.

    Parameters
    ----------
    kind : {"flipped", "cut", "misplaced"}
    """
    damage = {"flipped": flipped, "cut": cut, "misplaced": misplaced}[kind]
    victim, tally, rng = Victim(folder), Tally(), np.random.default_rng(seed)
    while tally.trials < trials:
        finished = bool(rng.random() < 0.75)
        sound = victim.whole if finished else victim.open
        content = damage(victim, sound, rng)
        if content == sound:
            tally.count("bytes equal after all")
            tally.trials += 1
            continue
        victim.judge(content, tally, finished=finished)
    return tally


def flipped(victim: Victim, sound: bytes, rng: np.random.Generator) -> bytes:
    """Flip one bit: half of them in the head, the rest anywhere or in one of the parts."""
    spans = [(0, 700), (0, victim.head.block), (0, len(sound)), *map(victim.head.span, victim.head.offsets)]
    first, last = spans[int(rng.choice(len(spans), p=_weights(len(spans))))]
    content = bytearray(sound)
    content[int(rng.integers(first, last))] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _weights(count: int) -> list[float]:
    return [0.25, 0.25, *[0.5 / (count - 2)] * (count - 2)]


def cut(victim: Victim, sound: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file, or let bytes follow it."""
    length = int(rng.integers(len(sound) + 600))
    return sound[:length].ljust(length, b"\0")


def misplaced(victim: Victim, sound: bytes, rng: np.random.Generator) -> bytes:
    """Zero a sector, put another in its place, swap two rows, or bring a sector of an earlier time back."""
    size, content = int(rng.choice([512, 4096])), bytearray(sound)
    here, there = (int(rng.integers(len(sound) // size)) * size for _ in range(2))
    kind = int(rng.integers(4))
    if kind == 0:
        content[here : here + size] = bytes(len(content[here : here + size]))
    elif kind == 1:
        content[here : here + size] = sound[there : there + size].ljust(size, b"\0")[: len(content[here : here + size])]
    elif kind == 2:
        _swap_rows(content, victim, rng)
    else:
        old = victim.earlier[int(rng.integers(len(victim.earlier)))]
        content[here : here + size] = old[here : here + size]
    return bytes(content)


def _swap_rows(content: bytearray, victim: Victim, rng: np.random.Generator) -> None:
    """Swap two rows with their records and hashes: all three lie in another's place."""
    one, two = rng.choice(victim.job.n, 2, replace=False).tolist()
    for name in ("features", "meta", "row_hash"):
        size = victim.head.item_bytes(name)
        first, second = (victim.head.offsets[name] + row * size for row in (one, two))
        content[first : first + size], content[second : second + size] = (
            content[second : second + size],
            content[first : first + size],
        )
