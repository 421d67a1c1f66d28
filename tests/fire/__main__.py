"""One kind of trial in a process of its own: ``python -m fire kills.killed_chains FOLDER '{"kills": 100}'``.

Trials fork, and a process that forks should have no threads: a test runner has. Prints the tally as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from importlib import import_module
from pathlib import Path

from fire.common import no_hash_check


def main(address: str, folder: str, options: str) -> None:
    module, _, name = address.partition(".")
    named = json.loads(options)
    control = no_hash_check() if named.pop("no_hash_check", False) else contextlib.nullcontext()
    with control:
        print(getattr(import_module(f"fire.{module}"), name)(Path(folder), **named).to_json())


main(*sys.argv[1:])
