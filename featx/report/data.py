"""The chapter on data: what was used of what was found, who the images are of, a map of them, and the hard ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from featx import charts
from featx.charts import Points
from featx.eda import attributes, rows
from featx.eda.view import OTHERS, View, lumped
from featx.page import Bullets, Cell, Figure, Part, Section, Table
from featx.report.cases import Case, hardest, mistakes
from featx.report.mapping import MOST_POINTS, map_of
from featx.report.reading import Design
from featx.report.shown import DATA, Shown, runs_told
from featx.report.thumbnails import thumbnail

Flow = tuple[tuple[str, int], ...]
LONGEST = 60  # letters of a value in what is told of a point
MISTAKES = (
    "Mistakes are counted over all the times that an image was tested. The lead is by how much the class called leads "
    "the true one when it is wrong, in standard deviations of such differences; none of this is a reason to leave an "
    "image out."
)


def data(shown: Sequence[Shown], *, maps: bool, thumbnails: bool) -> list[Section]:
    """Return the sections of the chapter."""
    found: list[Section] = [flows(shown)]
    told: list[str] = []
    datasets = _datasets(shown)
    for one in datasets:
        if one.features is None:
            told.append(f"{one.run.title}: no ages, sexes, sites and no map: {one.lacking}.")
            continue
        view = View(one.features.dataset)
        made = [rows.classes(view), attributes.ages(view), attributes.sexes(view), attributes.sites(view)]
        whose = f": {one.run.title}" if len(datasets) > 1 else ""
        found += [Section(own.heading + whose, own.parts, DATA) for own in made if isinstance(own, Section)]
        told += [own for own in made if isinstance(own, str)]
    for one in (mapped := _mapped(shown)) if maps else ():
        found += _map(one, most=MOST_POINTS // len(mapped))
    found += [cases(one, thumbnails=thumbnails) for one in shown]
    return [*found, Section("What is not shown, and why", (Bullets(tuple(told)),), DATA)] if told else found


def _datasets(shown: Sequence[Shown]) -> list[Shown]:
    """Return one run for each dataset, the first that has its features."""
    ranked = sorted(shown, key=lambda one: one.features is None)
    by_name = {str(one.run.dataset["name"]): one for one in reversed(ranked)}
    return [one for one in shown if any(one is own for own in by_name.values())]


def _mapped(shown: Sequence[Shown]) -> list[Shown]:
    """Return one run for each feature file."""
    by_file = {one.features.about["key"]: one for one in reversed(shown) if one.features is not None}
    return list(reversed(by_file.values()))


# ---- from found to used


def flows(shown: Sequence[Shown]) -> Section:
    """Return what became of every row, by design; runs of which the same is to be told share a picture."""
    same: dict[tuple[str, str, Flow], list[Shown]] = {}
    for one in shown:
        for design in one.run.designs:
            same.setdefault((one.run.title, design.name, _flow(one, design)), []).append(one)
    pictures = [_picture(design, own, runs_told(runs, shown)) for (_, design, own), runs in same.items()]
    return Section("From found to used", tuple(pictures), DATA)


def _flow(one: Shown, design: Design) -> Flow:
    told = one.run.dataset
    steps: list[tuple[str, int]] = [("found", int(told["found"]))]
    steps += [(f"dropped: {reason}", int(number)) for reason, number in told["dropped"].items()]
    steps += [("kept", int(told["kept"]))]
    if one.features is not None:
        steps += one.features.dropped.items()
        steps += [("with features", int(one.features.usable.sum()))]
    steps += [(f"left out: {why}", number) for why, number in design.dropped.items()]
    used = [(f"used as {name}", number) for name, number in design.counts.items()]
    return (*steps, ("used", sum(design.counts.values())), *used)


def _picture(design: str, own: Flow, runs: str) -> Figure:
    caption = f"{design}: from the rows found to those used" + (f" ({runs})" if runs else "")
    says = f"{caption}: " + ", ".join(f"{name} {number:,}" for name, number in own)
    picture = charts.bars([name for name, _ in own], np.array([number for _, number in own]), says=says)
    return Figure(picture, Table(caption, ("step", "rows"), own))


# ---- the map


def _map(one: Shown, *, most: int) -> Iterator[Section]:
    features = one.features
    found = map_of(features, most=most) if features is not None else None
    if features is None or found is None:
        return
    places = found.rows.tolist()
    samples = [features.dataset.samples[row] for row in places]
    diagnoses = [sample.diagnosis for sample in samples]
    view = View(features.dataset)
    shown = lumped(diagnoses, tuple(dict.fromkeys(diagnoses)), most=len(charts.COLOURS))
    names = [name for name in (*view.order, OTHERS) if name in set(shown)]
    kinds = np.array([names.index(name) for name in shown])
    told = [_told(view, row) for row in places]
    caption = one.caption(f"Map of the features {features.label}: each point is an image")
    says = f"{caption}. {len(samples):,} points of {len(names)} diagnoses: {', '.join(names)}"
    picture = charts.points(Points(found.xy, kinds, names, told), says=says)
    table = tuple((s.id, s.diagnosis, features.groups[row], *xy)
                  for s, row, xy in zip(samples, places, np.round(found.xy, 2).tolist(), strict=True))  # fmt: skip
    figure = Figure(picture, Table(caption, ("sample", "diagnosis", "group", "x", "y"), table), explored=True)
    usable = int(features.usable.sum())
    drawn = f" {len(samples):,} of {usable:,} images are drawn, chosen at random." if usable > len(samples) else ""
    text = (
        "Images that the network finds alike lie close (PCA to 50 numbers, then t-SNE, seed 0). How far apart distant "
        f"points lie means nothing, and no classifier sees this map.{drawn}"
    )
    yield one.section("Map of the features", [text, figure], chapter=DATA)


def _told(view: View, row: int) -> str:
    """Return what is said of an image where its point is looked at."""
    sample = view.dataset.samples[row]
    age, *rest = (sample.attributes.get(name, "") if name else "" for name in (view.age, view.sex, view.site))
    told = (sample.id, sample.diagnosis, f"{view.group_word} {sample.group}", age and f"age {age}", *rest)
    return ", ".join(part[:LONGEST] for part in told if part)


# ---- mistakes


def cases(one: Shown, *, thumbnails: bool) -> Section:
    """Return the most confident mistakes and the hardest images of each design."""
    parts: list[Part] = [MISTAKES]
    for design in one.run.designs:
        best = one.run.name(one.run.keys(design)[0])
        caption = f"{design.name}: the most confident mistakes of {best}"
        parts.append(_table(one, mistakes(one, design), caption, pictured=thumbnails))
        caption = f"{design.name}: the images that all classifiers together get wrong most often"
        parts.append(_table(one, hardest(one, design), caption, pictured=thumbnails))
    return one.section("Mistakes and hard images", parts, chapter=DATA)


def _table(one: Shown, found: Sequence[Case], caption: str, *, pictured: bool) -> Table:
    header = ("sample", *(["image"] * pictured), "diagnosis", "group", "true class", "called", "wrong", "tests", "lead")
    rows = tuple(_row(one, case, pictured=pictured) for case in found)
    return Table(one.caption(caption), header, rows, sortable=True)


def _row(one: Shown, case: Case, *, pictured: bool) -> tuple[Cell, ...]:
    diagnosis, picture = None, None
    if one.features is not None:
        row = one.row[case.sample]
        diagnosis = one.features.dataset.samples[row].diagnosis
        picture = thumbnail(one.features, row) if pictured else None
    told = (case.truth, case.called, case.wrong, case.tests, round(case.margin, 2))
    return (case.sample, *([picture] * pictured), diagnosis, case.group, *told)
