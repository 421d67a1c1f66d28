"""The feature store under fire: prints the table of what it survived.

``python benchmarks/fire.py`` makes as many trials as the tests do, ``--long`` as many as before a release (some
twenty minutes on two cores); ``--only kills,power`` makes some. Each line names its control: the same trials with one
safeguard off, which must fail. Ends with 1 where anything was lost, wrong or unreadable, or a control did not fail.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fire.common import Tally, apart

from featx.provenance import version

UNSAFE = {"no_hash_check": True}


class Trial(NamedTuple):
    """One line of the table: what is done, how often (in the tests, and long), and the control that must fail."""

    key: str
    told: str
    address: str
    count: str
    short: int
    long: int
    options: dict
    control: tuple[str, dict] | None
    in_one: bool = False  # whether its trials are no trials unless they are made together


TRIALS = [
    Trial(
        "kills",
        "SIGKILL at a random moment, a third in creation and finish; resumed; compared bit for bit",
        "kills.killed_chains",
        "kills",
        300,
        5_000,
        {},
        ("rows kept in the process", {"kills": 30, "buffered": True}),
    ),
    Trial(
        "boundaries",
        "stopped after each system call and within each write of a run",
        "power.many_boundaries",
        "runs",
        3,
        100,
        {},
        ("no hash check", {"runs": 3, **UNSAFE}),
    ),
    Trial(
        "power",
        "simulated power loss: any unsynced 512-byte sectors dropped",
        "power.power_cuts",
        "trials",
        3_000,
        100_000,
        {},
        ("no sync", {"trials": 500, "no_sync": True}),
    ),
    Trial(
        "flips",
        "one flipped bit anywhere",
        "damage.damaged",
        "trials",
        2_000,
        20_000,
        {"kind": "flipped"},
        ("no hash check", {"trials": 300, "kind": "flipped", **UNSAFE}),
    ),
    Trial("cuts", "cut short or made longer", "damage.damaged", "trials", 300, 2_000, {"kind": "cut"}, None),
    Trial(
        "sectors",
        "sectors zeroed, moved, of an earlier time; rows swapped",
        "damage.damaged",
        "trials",
        300,
        2_000,
        {"kind": "misplaced"},
        ("no hash check", {"trials": 300, "kind": "misplaced", **UNSAFE}),
    ),
    Trial("limit", "limit on file size (RLIMIT_FSIZE) at many sizes", "full.limited", "sizes", 20, 200, {}, None),
    Trial("refusals", "each single write, sync, rename refused (ENOSPC, EIO)", "full.refused", "", 0, 0, {}, None),
    Trial("full", "a disk of 20 MB, full at birth and later", "full.small_disk", "", 0, 0, {}, None),
    Trial(
        "writers",
        "2 to 16 writers at once, the one that proceeds killed",
        "writers.contended",
        "rounds",
        25,
        500,
        {},
        ("no lock", {"rounds": 5, "no_lock": True}),
    ),
    Trial(
        "writers-hdf5",
        "the same with HDF5_USE_FILE_LOCKING=FALSE",
        "writers.contended",
        "rounds",
        25,
        500,
        {},
        None,
    ),
    Trial("signals", "SIGINT and SIGTERM while writing", "writers.stopped", "times", 12, 300, {}, None),
    Trial("shards", "four shards by four processes, each killed, merged", "sharded.many", "runs", 1, 20, {}, None),
    Trial(
        "commands",
        "four shards by four `featx extract`, each killed ten times, `featx merge`",
        "commands.many",
        "runs",
        1,
        4,
        {},
        None,
    ),
    Trial(
        "images",
        "mutated image files of each format, sound ones between them",
        "mutated.many",
        "each",
        20,
        400,
        {},
        None,
        in_one=True,
    ),
]


def made(trial: Trial, *, long: bool, jobs: int) -> Tally:
    """Make the trials of a line, spread over processes with seeds of their own."""
    count, total = trial.long if long else trial.short, Tally()
    if not trial.count:
        return in_folder(trial.address, trial.options)
    jobs = 1 if trial.in_one else jobs
    shares = [share for part in range(jobs) if (share := count * (part + 1) // jobs - count * part // jobs)]
    calls = [{**trial.options, trial.count: share, "seed": 1000 * (part + 1)} for part, share in enumerate(shares)]
    with ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(lambda call: in_folder(trial.address, call), calls):
            total.add(tally)
    return total


def in_folder(address: str, options: dict) -> Tally:
    with tempfile.TemporaryDirectory(prefix="featx-fire-") as folder:
        return apart(address, Path(folder), **options)


def line(trial: Trial, tally: Tally, seconds: float) -> tuple[str, bool]:
    """Return a line of the table, and whether it is as it must be."""
    control, fails = "", True
    if trial.control:
        name, options = trial.control
        found = in_folder(trial.address, options)
        fails = not found.clean
        parts = [f"{getattr(found, what):,} {what}" for what in ("lost", "wrong", "unreadable") if getattr(found, what)]
        control = f"{name}: {', '.join(parts) or 'NOTHING, AND IT SHOULD'} in {found.trials:,}"
    cells = [trial.told, f"{tally.trials:,}", tally.lost, tally.wrong, tally.unreadable, control, f"{seconds:.0f} s"]
    return f"| {' | '.join(map(str, cells))} |", tally.clean and fails


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="as many trials as before a release")
    parser.add_argument("--only", default="", metavar="A,B", help=", ".join(trial.key for trial in TRIALS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    wanted = [key for key in asked.only.split(",") if key]
    if unknown := set(wanted) - {trial.key for trial in TRIALS}:
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("featx", "numpy", "h5py", "xxhash"))
    print(f"{datetime.now(UTC).date()}, {platform.platform()}, Python {platform.python_version()}, {libraries}\n")
    print("| under fire | trials | rows lost | wrong rows served | files unreadable | control | took |")
    print("|---|---|---|---|---|---|---|", flush=True)
    right, met = True, {}
    for trial in TRIALS:
        if wanted and trial.key not in wanted:
            continue
        os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE" if trial.key == "writers-hdf5" else "TRUE"
        begin = time.monotonic()
        try:
            tally = made(trial, long=asked.long, jobs=asked.jobs)
            text, good = line(trial, tally, time.monotonic() - begin)
        except RuntimeError as error:
            text, good = f"| {trial.told} | {str(error).splitlines()[-1]} | | | | | |", trial.key == "full"
        print(text, flush=True)
        right = right and good
        met[trial.key] = tally.told if trial.in_one else {}
    for key, told in met.items():
        print(*[f"\n{key}:", *(f"{number:,} {what};" for what, number in sorted(told.items()))] if told else [], end="")
    print()
    sys.exit(not right)


if __name__ == "__main__":
    main()
