"""Simulated power cuts, and a stop at every write boundary, of runs that create, write, overwrite, renew and finish."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from featx.cache import OK, FeatureFile
from featx.errors import CacheError
from fire.common import Job, Tally
from fire.disk import Disk, State, after_kill, after_power_cut

N, DIM = 24, 96
STORY = 200  # power cuts of one run


class Moment(NamedTuple):
    """A state of the disk, and what a file may hold then: versions allowed of each row, and which rows must be there.

    ``allowed`` has a set of versions a row; ``must`` holds the rows that were saved and are not being changed.
    """

    state: State
    allowed: tuple[frozenset[int], ...]
    must: frozenset[int]


class Story:
    """A run of a writer on a watched disk, with what may be found at every moment of it."""

    def __init__(self, folder: Path, *, seed: int, no_sync: bool = False) -> None:
        self.job = Job(folder / f"story-{seed}.h5", n=N, dim=DIM)
        self.disk, self.moments = Disk(folder), []
        self._allowed: list[set[int]] = [set() for _ in range(N)]
        self._must: set[int] = set()
        with self.disk.watching(no_sync=no_sync):
            self._play(np.random.default_rng(seed))
        self.job.path.unlink()

    def _play(self, rng: np.random.Generator) -> None:
        """Write all rows in odd batches, finish; then change some, as for images that changed, renew, finish again."""
        with self.job.open() as writer:
            self._rows(writer, rng.permutation(N), 0, rng)
            writer.finish()
            self._mark()
            changed = np.sort(rng.permutation(N)[: int(rng.integers(1, N))])
            self._rows(writer, changed, 1, rng)
            writer.finish()
            self._mark()
            writer.renew(paths=self.job.about["paths"], table="[2]", env={"host": "later"})
            self._mark()
            writer.finish()

    def _rows(self, writer, rows, version, rng) -> None:
        waiting: set[int] = set()
        while len(rows):
            some, rows = np.split(rows, [int(rng.integers(1, 7))])
            for row in some.tolist():
                self._allowed[row].add(version)
                self._must.discard(row)
                waiting.add(row)
            self.job.put(writer, some, version)
            self._mark()
            if rng.random() < 0.6 or not len(rows):
                writer.sync()
                self._mark()
                for row in waiting:
                    self._allowed[row] = {version}
                    self._must.add(row)
                waiting.clear()
                self._mark(saved=True)

    def _mark(self, *, saved: bool = False) -> None:
        """Give every state since the last mark what may be found in it."""
        allowed, must = tuple(map(frozenset, self._allowed)), frozenset(self._must)
        for state in self.disk.states[len(self.moments) :]:
            self.moments.append(Moment(state, allowed, must))
        if saved and self.disk.states:
            self.moments[-1] = Moment(self.disk.states[-1], allowed, must)

    def found(self, content: bytes | None, moment: Moment, tally: Tally) -> None:
        """Judge what is left of the file."""
        tally.trials += 1
        if content is None:
            tally.lost += len(moment.must)
            tally.count("no file yet")
            return
        self.job.path.write_bytes(content)
        try:
            with FeatureFile.open(self.job.path) as file:
                status, features, complete = file.status(), file.load(), file.complete
        except CacheError:
            tally.unreadable += 1
            return
        finally:
            self.job.path.unlink()
        ok = status == OK
        tally.count("complete", int(complete))
        tally.count(
            "unsynced rows that came through", int(ok.sum()) - len(moment.must & set(np.flatnonzero(ok).tolist()))
        )
        tally.wrong += int(complete and not ok.all())
        tally.lost += len(moment.must - set(np.flatnonzero(ok).tolist()))
        for row in np.flatnonzero(ok).tolist():
            one = np.array([row])
            tally.wrong += not any((features[row] == self.job.features(one, v)[0]).all() for v in moment.allowed[row])


def power_cuts(folder: Path, trials: int, *, seed: int = 0, no_sync: bool = False) -> Tally:
    """Cut the power at random moments of random runs; any unsynced sectors are gone.

    Parameters
    ----------
    no_sync : bool
        Control: the program never waits for the disk.
    """
    tally, rng = Tally(), np.random.default_rng(seed)
    while tally.trials < trials:
        story = Story(folder, seed=int(rng.integers(1 << 30)), no_sync=no_sync)
        for _ in range(min(STORY, trials - tally.trials)):
            moment = story.moments[int(rng.integers(len(story.moments)))]
            story.found(after_power_cut(moment.state, story.job.path.name, rng), moment, tally)
    return tally


def boundaries(folder: Path, *, seed: int = 0) -> Tally:
    """Stop a run after each of its system calls, and within each write: at every 512 bytes, and at odd places."""
    story, tally, rng = Story(folder, seed=seed), Tally(), np.random.default_rng(seed)
    name, before = story.job.path.name, None
    for moment in story.moments:
        if before is not None and before.names.get(name) == moment.state.names.get(name):  # a rename is never half done
            for content in _torn(after_kill(before, name), after_kill(moment.state, name), rng):
                story.found(content, moment, tally)
                tally.count("torn writes")
        story.found(after_kill(moment.state, name), moment, tally)
        before = moment.state
    tally.count("boundaries", len(story.moments))
    return tally


def many_boundaries(folder: Path, runs: int, *, seed: int = 0) -> Tally:
    """Stop many different runs after each of their system calls."""
    total = Tally()
    for run in range(runs):
        total.add(boundaries(folder, seed=seed + run))
    return total


def _torn(before: bytes | None, after: bytes | None, rng: np.random.Generator):
    """Yield what stands there when a write was cut short."""
    if before is None or after is None or len(before) != len(after) or before == after:
        return
    differ = np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))
    first, last = int(differ[0]), int(differ[-1]) + 1
    places = {*range(-(-first // 512) * 512, last, 512), *rng.integers(first, last, 3).tolist()}
    for place in sorted(places):
        if first < place < last:
            yield after[:place] + before[place:]
