"""What a pipeline is, will do, and has found, as plain text."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from featx.description.words import aligned, shown_name

if TYPE_CHECKING:
    from featx.pipeline import Pipeline, Plan, Ran
    from featx.pipeline.steps import Step
    from featx.pipeline.tables import Made

WIDE, NARROW, NARROWEST, GAP = 116, 18, 12, 2  # letters: of a line of notes, a head, a folded key, between columns
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


def ran_told(ran: Ran, *, verbose: bool = False, width: int | None = None) -> str:
    """Return the tables of a run, no line of them longer than so many letters, and where everything lies."""
    blocks = [table_told(table, title=ran.title, width=width) for table in ran.tables]
    notes = [f"Note: {shown_name(note)}" for note in (ran.notes if verbose else ran.notes[:0])]
    if ran.notes and not verbose:
        notes = [f"{len(ran.notes)} notes of the steps are in methods.md (or --verbose)"]
    notes.append(f"all of it as a page: featx report {shlex.quote(shown_name(str(ran.out)))}")
    end = f"{ran.done} steps, {ran.reused} of them done before; tables, figures and methods.md: {ran.out}"
    return "\n\n".join([*blocks, "\n".join([*notes, end])])


def table_told(table: Made, *, title: str, width: int | None = None) -> str:
    """Return one table with its notes; a key that is the one of the row above is left blank.

    Where it is wider than ``width`` letters its keys are folded, and the columns that do not fit stand below, each time
    with the keys before them: as it takes the fewest lines.
    """
    rows = _without_repeats(table)
    lines = aligned([*_heads(table), *rows], left=table.keys)
    if width is not None and _widest(lines) > width:
        most = max(len(cell) for row in rows for cell in row[: table.keys])
        tries = [_laid(table, rows, width, at) for at in range(max(most, NARROWEST), NARROWEST - 1, -1)]
        lines = min(tries, key=lambda one: (_widest(one) > width, len(one)))
    notes = [line for note in table.notes for line in textwrap.wrap(f"* {note}", min(WIDE, width or WIDE), **INDENT)]
    head = f"{table.title} · {table.data or title}"
    return "\n".join([*(textwrap.wrap(head, width) if width else [head]), *lines, *notes])


def _widest(lines: Sequence[str]) -> int:
    return max(map(len, lines))


def _laid(table: Made, rows: Sequence[Sequence[str]], width: int, most: int) -> list[str]:
    """Return the lines of a table with its keys folded at so many letters."""
    folded = [line for row in rows for line in _folded(row, table.keys, most)]
    blocks = _blocks([*_heads(table, keys=most, rest=NARROWEST), *folded], table.keys, width)
    lines = [line for block in blocks for line in ("", *filter(None, aligned(block, left=table.keys)))]
    return lines[1:]


def _heads(table: Made, *, keys: int = NARROW, rest: int = NARROW) -> list[list[str]]:
    """Return the heads in as many lines as the longest takes, the last line beside the numbers."""
    wrapped = [textwrap.wrap(head, min(NARROW, keys) if at < table.keys else rest) or [""]
               for at, head in enumerate(table.heads)]  # fmt: skip
    most = max(map(len, wrapped))
    return [list(line) for line in zip(*([""] * (most - len(one)) + one for one in wrapped), strict=True)]


def _folded(row: Sequence[str], keys: int, most: int) -> list[list[str]]:
    """Return a row as several lines, its keys folded at so many letters."""
    parts = [textwrap.wrap(cell, most) or [""] if at < keys else [cell] for at, cell in enumerate(row)]
    return [list(line) for line in zip_longest(*parts, fillvalue="")]


def _blocks(rows: Sequence[Sequence[str]], keys: int, width: int) -> list[list[list[str]]]:
    """Return rows cut into blocks of columns that fit, each with the keys."""
    widths = [GAP + max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks: list[list[int]] = [[]]
    for at in range(keys, len(widths)):
        taken = sum(widths[:keys]) + sum(widths[one] for one in blocks[-1])
        if blocks[-1] and taken + widths[at] > width:
            blocks.append([])
        blocks[-1].append(at)
    return [[[row[at] for at in (*range(keys), *block)] for row in rows] for block in blocks]


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
