"""The sections on rows: which were found and kept, which questions they answer, classes and groups."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from featx import charts, designs
from featx.datasets import SYNTHETIC
from featx.datasets.base import PEOPLE
from featx.designs import Assignment
from featx.eda.parts import count
from featx.eda.view import MOST_VALUES, View, lumped, ordered
from featx.errors import DataError
from featx.page import Bullets, Cell, Figure, Part, Section, Share, Table, Verdict

LONGEST_REASON = 240  # letters of why a design cannot be asked
UNEVEN = 10  # images of the largest class for one of the smallest, from which on accuracy alone says little


def flow(view: View) -> Section:
    """Return what became of every row, and what is known of the whole."""
    dataset = view.dataset
    parts: list[Part] = []
    if dataset.synthetic:
        parts.append(Verdict("red", f"This is {SYNTHETIC}: no number here says anything about patients."))
    parts.append(Table("From the rows found to the images that can be used", ("step", "rows"), tuple(_steps(view))))
    facts = (
        ("name", dataset.name),
        ("format", dataset.adapter),
        ("folder", str(dataset.root)),
        ("groups", dataset.grouping),
        ("unit of a result", dataset.unit_kind or "image"),
    )
    parts.append(Table("The dataset", ("fact", "as read"), facts))
    if dataset.notes:
        parts += ["Told when it was read:", Bullets(dataset.notes)]
    return Section("Where the rows went", tuple(parts))


def _steps(view: View) -> Iterable[tuple[Cell, ...]]:
    dataset, prints = view.dataset, view.fingerprints
    yield "found", dataset.found
    yield from ((f"dropped: {reason}", number) for reason, number in dataset.dropped.items())
    yield "kept", len(dataset.samples)
    if prints is None:
        return
    reasons = Counter(reason.partition(":")[0] for reason in prints.failed.values())
    yield from ((f"image cannot be used: {reason}", number) for reason, number in sorted(reasons.items()))
    yield "images that can be used", len(prints.of)


def questions(view: View) -> Section:
    """Return which designs can be asked of the dataset, with their class counts, and why not the others."""
    answers = {name: _answer(view, name) for name in designs.DESIGNS}
    asked = {name: answer for name, answer in answers.items() if isinstance(answer, Assignment)}
    refused = tuple((name, answer) for name, answer in answers.items() if isinstance(answer, str))
    parts: list[Part] = []
    if asked:
        rows = tuple(row for name, answer in asked.items() for row in _class_rows(view, name, answer))
        header = ("design", "class", "images", "share", f"{view.group_word}s")
        parts.append(Table("Classes of each design that can be asked", header, rows))
    if refused:
        parts.append(Table("Designs that cannot be asked", ("design", "why not"), refused))
    if not asked:
        parts.insert(0, Verdict("amber", "No design of the shelf fits: name one with --positive, --negative, --drop."))
    return Section("Which questions they answer", tuple(parts))


def _answer(view: View, name: str) -> Assignment | str:
    """Return the classes that a design makes, or why it cannot be asked."""
    if reason := view.dataset.refusal(name):
        return reason
    try:
        return designs.get(name).assign(view.diagnoses)
    except DataError as error:
        reason = str(error).partition("; ")[0]  # what follows is advice on another command
        return textwrap.shorten(reason, LONGEST_REASON, placeholder=" …")


def _class_rows(view: View, name: str, answer: Assignment) -> Iterable[tuple[Cell, ...]]:
    used = int((answer.y >= 0).sum())
    for code, word in enumerate(answer.classes):
        rows = np.flatnonzero(answer.y == code).tolist()
        yield name, word, len(rows), Share(len(rows) / used), len({view.groups[row] for row in rows})
    yield from ((name, f"left out: {reason}", number, None, None) for reason, number in answer.dropped.items())


def classes(view: View) -> Section:
    """Return samples and groups of each diagnosis, and how uneven they are."""
    images = Counter(view.diagnoses)
    held = Counter(name for name, _ in set(zip(view.diagnoses, view.groups, strict=True)))
    shown = lumped(view.diagnoses, view.order, most=MOST_VALUES)
    both = Counter(shown), Counter(name for name, _ in set(zip(shown, view.groups, strict=True)))
    order = ordered(both[0])
    caption = f"Images and {view.group_word}s of each diagnosis"
    says = f"{caption}: " + ", ".join(f"{name} {both[0][name]:,} and {both[1][name]:,}" for name in order)
    picture = charts.bars(
        order,
        np.array([[of[name] for of in both] for name in order]),
        says=says,
        series=("images", f"{view.group_word}s"),
    )
    total = len(view.diagnoses)
    rows = tuple(
        (name, images[name], Share(images[name] / total), held[name], round(images[name] / held[name], 2))
        for name in view.order
    )
    header = ("diagnosis", "images", "share", f"{view.group_word}s", f"images a {view.group_word}")
    return Section("Diagnoses", (*_evenness(images, total), Figure(picture, Table(caption, header, rows))))


def _evenness(images: Counter[str], total: int) -> tuple[Part, ...]:
    (most, largest), *_, (least, smallest) = [*images.most_common(), *images.most_common()[-1:]]
    if len(images) == 1:
        return (Verdict("red", f"Every image is {most}: there is nothing to tell apart."),)
    ratio = largest / smallest
    text = (
        f"{count(largest, 'image')} of {most} for {smallest:,} of {least}: {ratio:.1f} to 1. Who always says {most} is "
        f"right in {100 * largest / total:.1f} % of the images"
    )
    if ratio < UNEVEN:
        return (Verdict("green", f"{text}; hold accuracy against that."),)
    return (Verdict("amber", f"{text}: accuracy alone says little here; read AUC and balanced accuracy."),)


def groups(view: View) -> Section:
    """Return how many images a group has, and whether a group has one diagnosis."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(view.groups):
        members[group].append(row)
    sizes = Counter(len(rows) for rows in members.values())
    several = sum(number for size, number in sizes.items() if size > 1)
    word, images = view.group_word, len(view.groups)
    inside = sum(size * number for size, number in sizes.items() if size > 1)
    told = f"{count(images, 'image')} in {count(len(members), word)}; {several:,} of them have several images, "
    told += f"{inside:,} in all ({100 * inside / images:.1f} %)."
    parts: list[Part] = [told, _promise(view), *_mixed(view)]
    if several:
        parts.append(_sizes(sizes, word=word))
    return Section("Groups", tuple(parts))


def _promise(view: View) -> Part:
    promise = f"What may not be divided between train and test: {view.dataset.grouping}."
    if view.dataset.group_kind in PEOPLE:
        return Verdict("green", promise)
    return promise if view.dataset.group_kind else Verdict("amber", promise)


def _sizes(sizes: Counter[int], *, word: str) -> Figure:
    caption = f"{word.capitalize()}s by their number of images"
    order = sorted(sizes)
    head, tail = order[: MOST_VALUES - 1], order[MOST_VALUES - 1 :]
    names, numbers = [str(size) for size in head], [sizes[size] for size in head]
    if tail:
        names, numbers = [*names, f"{tail[0]} to {tail[-1]}"], [*numbers, sum(sizes[size] for size in tail)]
    rows = tuple((str(size), sizes[size], size * sizes[size]) for size in order)
    picture = charts.bars(names, np.array(numbers), says=caption)
    return Figure(picture, Table(caption, ("images", f"{word}s", "images in all"), rows))


def _mixed(view: View) -> Iterable[Part]:
    """Tell of groups, as the data give them, with several diagnoses."""
    word = view.group_word
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in view.dataset.samples:
        held[sample.group][sample.diagnosis] += 1
    mixed = {group: counts for group, counts in held.items() if len(counts) > 1}
    if not mixed:
        yield Verdict("green", f"Each {word} has one diagnosis.")
        return
    one = count(len(mixed), word)
    if word == "lesion":
        yield Verdict("amber", f"{one} with several diagnoses, where one lesion has but one: look at the rows below.")
    else:
        yield f"{one} with several diagnoses: a {word} then counts in several classes, and still stays on one side."
    rows = tuple((group, ", ".join(f"{name} {n}" for name, n in counts.items())) for group, counts in mixed.items())
    yield Table(f"{word.capitalize()}s with several diagnoses", (word, "diagnoses (images)"), rows)
