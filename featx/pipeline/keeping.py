"""Finished steps on the disk: one small JSON each, so that a run that was stopped goes on where it was.

A result counts while every file that it names is there. Knows no kind of step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featx import runs
from featx.pipeline.steps import Step

FORMAT = "featx-step"
RULES = 2  # raised whenever a change here or in ``calls`` gives another result for the same step


def path_for(out: Path, step: Step) -> Path:
    """Return where the result of a step lies."""
    return out / "steps" / f"{step.kind}-{step.digest[:16]}.json"


def load(out: Path, step: Step) -> dict[str, Any] | None:
    """Return the result of a step that was finished before, None where it has to be done."""
    try:
        value = json.loads(path_for(out, step).read_text(encoding="utf-8"))
        result = value["result"]
        whole = (value["format"], value["rules"], value["digest"]) == (FORMAT, RULES, step.digest)
        there = all(Path(name).exists() for name in result.get("files", ()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return result if whole and there else None


def save(out: Path, step: Step, result: Mapping[str, Any]) -> None:
    """Write the result of a step; it appears whole or not at all."""
    value = {"format": FORMAT, "rules": RULES, "digest": step.digest, "kind": step.kind, "name": step.name,
             "about": step.about, "result": dict(result)}  # fmt: skip
    runs.write_json(path_for(out, step), value)
