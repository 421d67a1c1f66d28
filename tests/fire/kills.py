"""SIGKILL at random moments of creation, writing and finish, in chains: killed, judged, resumed, killed again."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from pathlib import Path

import numpy as np

from featx.cache import writer
from fire.common import Job, Tally, forked, judge

PHASES = ("rows", "rows", "rows", "rows", "open", "finish")  # a third in creation and finish


def killed_chains(folder: Path, kills: int, *, seed: int = 0, buffered: bool = False) -> Tally:
    """Kill writers ``kills`` times; after each kill look at what is left, and at a chain's end compare with no kill.

    Parameters
    ----------
    buffered : bool
        Control: the writer keeps its bytes in the process until the end, as HDF5 does without a flush.
    """
    job, tally, moments = Job(folder / "killed.h5"), Tally(), random.Random(seed)
    usual, saved = _usual(job), np.zeros(0, int)
    while tally.trials < kills:
        # creation happens once a chain: new chains begin as often as creation is to be killed
        phase = "open" if not job.path.exists() and moments.random() < 0.6 else moments.choice(PHASES)
        creating = phase == "open" and not job.path.exists()
        hit, more = _kill(job, phase, usual, moments, buffered=buffered)
        tally.trials += hit
        tally.count(f"killed in {'creation' if creating else phase}", hit)
        saved = np.union1d(saved, more).astype(int)
        if not job.path.exists():
            tally.lost += len(saved)
            continue
        if judge(job, saved, tally) or not hit:
            tally.wrong += job.held() != job.whole()
            tally.count("chains ended")
            job.path.unlink()
            saved = saved[:0]
    tally.count("temporary files left", max(0, len(list(folder.glob("*.tmp*"))) - 1))
    if not buffered:
        job.run()
        tally.wrong += job.held() != job.whole()
    return tally


def _usual(job: Job) -> dict[str, float]:
    """Return how long opening, a batch and finishing take when nobody is killed."""
    times, at = {"open": 0.0, "saved": 0.0, "finish": 0.0}, time.perf_counter()
    steps = {"opened": "open", "saved": "saved", "done": "finish"}

    def tell(what, rows=()):
        nonlocal at
        now = time.perf_counter()
        if what in steps:
            times[steps[what]] = max(times[steps[what]], now - at)
        at = now

    job.run(tell)
    job.path.unlink()
    return times


def _kill(job: Job, phase: str, usual: dict[str, float], moments: random.Random, *, buffered: bool):
    """Start a writer, wait for a phase, kill it somewhere within; return whether it was hit, and the rows it saved."""
    reader, pipe = os.pipe()

    def work():
        os.close(reader)
        if buffered:
            _keep_in_process()
        job.run(lambda what, rows=(): os.write(pipe, _message(what, rows)))

    child = forked(work)
    os.close(pipe)
    with os.fdopen(reader, "rb", buffering=0) as stream:
        heard, told = bytearray(), 0
        wanted = {"open": ("open", 1), "rows": ("saved", moments.randint(0, 9)), "finish": ("finish", 1)}[phase]
        while told < wanted[1] and (part := stream.read(1 << 12)):
            heard += part
            told = sum(what == wanted[0] for what, _ in _messages(heard))
        time.sleep(moments.random() * 1.2 * usual[{"rows": "saved"}.get(phase, phase)])
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        heard += stream.read()
    saved = [row for what, rows in _messages(heard) if what == "saved" for row in rows]
    return os.WIFSIGNALED(status), np.array(saved, int)


def _message(what: str, rows) -> bytes:
    body = what.encode().ljust(8) + np.asarray(rows, "<u4").tobytes()
    return struct.pack("<I", len(body)) + body


def _messages(heard: bytes):
    at = 0
    while at + 4 <= len(heard):
        length = struct.unpack_from("<I", heard, at)[0]
        if at + 4 + length > len(heard):
            return
        body = bytes(heard[at + 4 : at + 4 + length])
        yield body[:8].decode().strip(), np.frombuffer(body[8:], "<u4").tolist()
        at += 4 + length


def _keep_in_process() -> None:
    """Hold back every row until the end that never comes, as a library with a cache of its own would."""
    kept = []
    writer.write_at = lambda descriptor, data, at: kept.append((bytes(data), at))
    writer.flush = lambda descriptor: None
