"""What a pipeline is, will do, and has found, as plain text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featx.description.words import aligned, shown_name

if TYPE_CHECKING:
    from featx.pipeline import Pipeline, Plan, Ran
    from featx.pipeline.steps import Step
    from featx.pipeline.tables import Made

WIDE, NARROW = 116, 18  # letters of a line of notes, and of a column's head
INDENT: Any = {"initial_indent": "  ", "subsequent_indent": "    "}


def checked_told(pipeline: Pipeline) -> str:
    """Return one line: the file is sound, and how much is in it."""
    from featx.pipeline.variants import variants

    count, points = len(pipeline.experiments), len(variants(pipeline, "full")[0])
    grid = f" ({points} with their grids)" if points != count else ""
    published = sum(_numbers(one.values) for table in pipeline.tables for one in table.published)
    return (
        f"ok: {pipeline.name}: {count} experiments{grid}, {len(pipeline.designs)} designs, "
        f"{len(pipeline.tables)} tables with {published} published numbers, {len(pipeline.figures)} figures, "
        f"{len(pipeline.readings)} readings"
    )


def _numbers(values: object) -> int:
    return sum(map(_numbers, values.values())) if isinstance(values, dict) else 1


def notes_told(plan: Plan) -> str:
    """Return what the user should know before anything runs."""
    head = f"featx runs the protocol of: {plan.pipeline.study.cite} (scale: {plan.asked.scale})"
    return "\n".join([head, *(f"Note: {shown_name(note)}" for note in plan.notes)])


def steps_told(plan: Plan, states: Sequence[tuple[Step, bool]], cache: str | os.PathLike[str] | None) -> str:
    """Return the list of steps, what is done, and what the cache holds already."""
    from featx.pipeline.cached import cached

    words = {
        step.digest: "done" if done else "cached" if cached(step, plan, cache) else "to do" for step, done in states
    }
    lines = [
        f"[{number}/{len(states)}] {words[step.digest]:6}  {step.name}" for number, (step, _) in enumerate(states, 1)
    ]
    count = {word: list(words.values()).count(word) for word in ("done", "cached", "to do")}
    total = ", ".join(f"{number} {word}" for word, number in count.items() if number)
    return "\n".join([notes_told(plan), *lines, f"{len(states)} steps: {total}"])


def ran_told(ran: Ran, *, verbose: bool = False) -> str:
    """Return the tables of a run, and where everything lies."""
    blocks = [table_told(table, title=ran.title) for table in ran.tables]
    notes = [f"Note: {shown_name(note)}" for note in (ran.notes if verbose else ran.notes[:0])]
    if ran.notes and not verbose:
        notes = [f"{len(ran.notes)} notes of the steps are in methods.md (or --verbose)"]
    end = f"{ran.done} steps, {ran.reused} of them done before; tables, figures and methods.md: {ran.out}"
    return "\n\n".join([*blocks, "\n".join([*notes, end])])


def table_told(table: Made, *, title: str) -> str:
    """Return one table with its notes; a key that is the one of the row above is left blank."""
    rows = [*_heads(table), *_without_repeats(table)]
    notes = [line for note in table.notes for line in textwrap.wrap(f"* {note}", WIDE, **INDENT)]
    return "\n".join([f"{table.title} · {table.data or title}", *aligned(rows, left=table.keys), *notes])


def _heads(table: Made) -> list[list[str]]:
    """Return the heads in as many lines as the longest takes, the last line beside the numbers."""
    wrapped = [textwrap.wrap(head, NARROW) or [""] for head in table.heads]
    most = max(map(len, wrapped))
    return [list(line) for line in zip(*([""] * (most - len(one)) + one for one in wrapped), strict=True)]


def _without_repeats(table: Made) -> list[list[str]]:
    found: list[list[str]] = []
    above: tuple[str, ...] = ()
    for row in table.rows:
        same = 0
        while same < table.keys - 1 and above and row[: same + 1] == above[: same + 1]:
            same += 1
        found.append([*[""] * same, *row[same:]])
        above = row
    return found
