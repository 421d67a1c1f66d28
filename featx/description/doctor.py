"""What a look at this machine found: one line a thing, and what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from featx.doctor import NOTE, WRONG, Finding

MARKS = {NOTE: "note", WRONG: "WRONG"}
WIDTH, INDENT = 118, 19


def finding_told(finding: Finding) -> str:
    """Return what was found of one thing."""
    head = f"{MARKS.get(finding.state, 'ok'):6}{finding.what:13}"
    lines = textwrap.wrap(finding.told, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False) or [""]
    if finding.todo:
        lines += [f"-> {finding.todo}"]
    return "\n".join([head + lines[0], *(" " * INDENT + line for line in lines[1:])])


def verdict(findings: Iterable[Finding]) -> str:
    """Return the sum of it all."""
    states = [finding.state for finding in findings]
    wrong, notes = states.count(WRONG), states.count(NOTE)
    if wrong:
        return f"{wrong} {'things are' if wrong > 1 else 'thing is'} wrong; what to do stands after the arrow"
    return "all is well" + (f"; {notes} {'notes' if notes > 1 else 'note'}" if notes else "")
