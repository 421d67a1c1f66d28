"""The sections on image files: what they are, which cannot be read, what is there twice, and what gives labels away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from featx import charts, near_duplicates
from featx.eda.parts import count, counted, spread, summary, two_way
from featx.eda.view import View
from featx.near_duplicates import Pair
from featx.page import Cell, Figure, Part, Section, Table, Verdict
from featx.shortcuts import PERFECT, STRONG, Shortcut

MEANING = {
    "red": "tells a class by itself",
    "amber": "tells something of a class",
    "green": "tells little",
}
TO_DO = (
    "Red: no result on these data means anything until the label cannot be told without the picture. Take all classes "
    "from one source, save all files alike (size, mode, format), and cut away borders and marks. Amber: state this AUC "
    "beside every result, and test on a source that was not trained on. Green: nothing found is no proof that there is "
    "nothing."
)


def files(view: View) -> Section | str:
    """Return sizes, modes, formats and bytes of the image files, overall and by diagnosis."""
    if view.fingerprints is None:
        return "No look at the image files: their sizes, formats and copies are not known here."
    parts: list[Part] = [*_failed(view)]
    held = [(sample.diagnosis, view.files[sample.id]) for sample in view.dataset.samples if sample.id in view.files]
    if not held:
        return Section("Image files", tuple(parts))
    diagnoses = [diagnosis for diagnosis, _ in held]
    prints = [own for _, own in held]
    kinds = [f"{one.format or 'other format'} {one.mode}" for one in prints]
    sizes = [f"{one.width} x {one.height}" for one in prints]
    parts.append(counted(sizes, caption="Width x height in pixels, as stored", name="width x height"))
    parts.append(counted(kinds, caption="Format and mode", name="format and mode"))
    if len(set(kinds)) > 1:
        parts.append(two_way(kinds, diagnoses, names=("format and mode", "diagnosis")))
    if any(one.camera for one in prints):
        cameras = [one.camera or "(not said)" for one in prints]
        parts.append(counted(cameras, caption="Camera and software, as EXIF says", name="camera"))
    parts += _weights(view)
    return Section("Image files", tuple(parts))


def _failed(view: View) -> Iterable[Part]:
    failed = view.fingerprints.failed if view.fingerprints else {}
    if not failed:
        yield Verdict("green", f"All {count(len(view.files), 'image file')} can be read.")
        return
    of = {sample.id: sample.diagnosis for sample in view.dataset.samples}
    yield Verdict("amber", f"{count(len(failed), 'image file')} cannot be read; they get no features and no score.")
    rows = tuple((name, of.get(name), reason) for name, reason in failed.items())
    yield Table("Image files that cannot be read", ("sample", "diagnosis", "why"), rows)


def _weights(view: View) -> Iterable[Part]:
    """Tell how large the files and their pictures are."""
    held = [view.files.get(sample.id) for sample in view.dataset.samples]
    size, width, height = (
        np.array([of(one) if one else np.nan for one in held], dtype=float)
        for of in (lambda one: one.bytes / 1000, lambda one: one.width, lambda one: one.height)
    )
    series = view.by_diagnosis(size)
    yield spread({"images": size[~np.isnan(size)]}, caption="File size, all images", axis="kB")
    yield spread(series, caption="File size by diagnosis, each to its own height", axis="kB")
    yield summary(series, caption="File size in kB by diagnosis", name="diagnosis")
    yield summary(view.by_diagnosis(width), caption="Width in pixels by diagnosis", name="diagnosis")
    yield summary(view.by_diagnosis(height), caption="Height in pixels by diagnosis", name="diagnosis")


def twins(view: View) -> Section | str:
    """Return the images that are the same byte for byte."""
    if view.fingerprints is None:
        return "No look for images that are there twice."
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(view.digests):
        if digest:
            rows_of[digest].append(row)
    sets = [rows for rows in rows_of.values() if len(rows) > 1]
    if not sets:
        return Section("The same file twice", (Verdict("green", "No two files are the same byte for byte."),))
    differing = [rows for rows in sets if len({view.diagnoses[row] for row in rows}) > 1]
    extra = sum(len(rows) - 1 for rows in sets)
    text = f"{count(len(sets), 'set')} of files that are the same byte for byte ({count(extra, 'file')} too many)"
    parts: list[Part] = [
        Verdict("amber", f"{text}; each set is joined into one group, so that no split parts it. All rows are kept.")
    ]
    if differing:
        parts.insert(0, Verdict("red", f"{count(len(differing), 'such set')} with differing diagnoses: one file cannot "
                                       "be both. Find out which is right, and take the other rows out."))  # fmt: skip
    ranked = sorted(sets, key=lambda rows: len({view.diagnoses[row] for row in rows}) == 1)  # differing ones first
    header = ("set", "samples", "diagnoses", "groups as given", "diagnoses differ")
    rows = tuple(_twin_row(view, number, own) for number, own in enumerate(ranked, start=1))
    parts.append(Table("Files that are the same", header, rows))
    return Section("The same file twice", tuple(parts))


def _twin_row(view: View, number: int, rows: Sequence[int]) -> tuple[Cell, ...]:
    samples = [view.dataset.samples[row] for row in rows]
    diagnoses = dict.fromkeys(sample.diagnosis for sample in samples)
    columns = ([sample.id for sample in samples], diagnoses, [sample.group for sample in samples])
    told = (", ".join(dict.fromkeys(values)) for values in columns)
    return str(number), *told, "yes" if len(diagnoses) > 1 else "no"


def near(view: View, pairs: Sequence[Pair] | None) -> Section | str:
    """Return the pairs of images that are nearly one, within groups and across them."""
    if pairs is None:
        return "No look for near-duplicates."
    groups = dict(zip((sample.id for sample in view.dataset.samples), view.groups, strict=True))
    held = [pair for pair in pairs if pair.first in groups and pair.second in groups]
    across = near_duplicates.straddling(held, groups)
    within = len(held) - len(across)
    told = f"{count(within, 'pair')} of images that are nearly one within a {view.group_word}: no split parts them."
    if not across:
        return Section("Near-duplicates", (Verdict("green", f"None across {view.group_word}s. {told}"),))
    of = {sample.id: sample.diagnosis for sample in view.dataset.samples}
    differing = sum(of[pair.first] != of[pair.second] for pair in across)
    text = f"{count(len(across), 'pair')} across {view.group_word}s"
    text += f", {differing:,} of them with differing diagnoses" if differing else ""
    rows = tuple(_pair_row(pair, of, groups) for pair in across)
    header = ("first", "second", "bits apart", "cosine", "diagnoses", "groups")
    return Section(
        "Near-duplicates",
        (
            Verdict("amber", f"{text}: a split may put one into training, the other into the test; join their groups."),
            told,
            Table(f"Near-duplicates across {view.group_word}s", header, rows),
        ),
    )


def _pair_row(pair: Pair, of: dict[str, str], groups: dict[str, str]) -> tuple[Cell, ...]:
    ends = (pair.first, pair.second)
    both = (", ".join(dict.fromkeys(told[name] for name in ends)) for told in (of, groups))
    return pair.first, pair.second, pair.distance, pair.cosine, *both


def shortcuts(view: View, found: Sequence[Shortcut] | None) -> Section | str:
    """Return how well the label is told without the picture."""
    if found is None:
        return "No look for shortcuts: whether the label is told without the picture is not known here."
    if not found:
        return "No shortcut could be looked for: nothing beside the picture to ask, or too few groups for folds."
    order = sorted(found, key=lambda one: -one.exposed_auc)
    strongest = {one.what: one for one in reversed(order)}.values()
    notes = [(one.level, f"{one.design}: {one.note}.") for one in reversed(strongest) if one.level != "green"]
    parts: list[Part] = [
        "How well a small forest tells the classes WITHOUT the picture, over grouped 5x2 folds: the mean AUC over ten "
        "halves, with the lowest and the highest; .5 is chance. The AUC of the class that is told best decides.",
        *(Verdict(level, text) for level, text in notes),
    ]
    if not notes:
        parts.append(Verdict("green", "Nothing beside the picture tells much of the classes."))
    parts += [TO_DO, _ranges(order), Table("Shortcuts", HEADER, tuple(_shortcut_row(one) for one in order))]
    return Section("Told without the picture", tuple(parts))


HEADER = ("told by", "columns", "design", "classes", "AUC", "lowest", "highest", "best told", "its AUC", "verdict")


def _shortcut_row(one: Shortcut) -> tuple[Cell, ...]:
    numbers = (round(value, 3) for value in (one.auc, one.low, one.high))
    about = (one.what, ", ".join(one.columns), one.design, ", ".join(one.classes))
    return *about, *numbers, one.exposed, round(one.exposed_auc, 3), f"{one.level}: {MEANING[one.level]}"


def _ranges(order: Sequence[Shortcut]) -> Figure:
    names = [f"{one.what}: {one.design}" for one in order]
    values = np.array([(one.auc, one.low, one.high) for one in order])
    caption = "AUC over all classes without the picture: mean and range (lines: chance, amber, red)"
    span = (min(0.4, float(values.min())), 1.0)
    picture = charts.intervals(names, values, span=span, marks=(0.5, STRONG, PERFECT), says=caption)
    rows = tuple((name, *(round(value, 3) for value in own)) for name, own in zip(names, values.tolist(), strict=True))
    return Figure(picture, Table(caption, ("told by: design", "mean", "lowest", "highest"), rows))
