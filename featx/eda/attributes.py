"""The sections on what the data say beside picture and diagnosis: age, sex, site and the rest, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from featx.eda.parts import count, counted, heat, spread, summary, two_way
from featx.eda.view import (
    CONFIRMED,
    MISSING,
    MOST_DIAGNOSES,
    MOST_VALUES,
    Cross,
    Numbers,
    View,
    crossed,
    is_missing,
    lumped,
    ordered,
)
from featx.page import Cell, Part, Section, Share, Table, Verdict
from featx.shortcuts import AGE, SEX, SITE

YEARS = 5.0  # the narrowest bin of ages: many tables round to it
OLDEST = 120  # years; beyond it an age is a slip
JUDGED = 10  # images of a diagnosis from which on its share of missing values is judged
TELLING = 0.2  # difference of such shares from which on that something is missing tells the diagnosis


def ages(view: View) -> Section | str:
    """Return how old the patients are, overall and by diagnosis."""
    if view.age is None:
        return _lacking("age", AGE)
    numbers = view.numbers(view.age)
    if not len(numbers.known):
        return f"No age that is a number: the column {view.age} holds {', '.join(numbers.strange[:5])}."
    series = view.by_diagnosis(numbers.values)
    parts: list[Part] = [*_strange_ages(view, numbers)]
    parts.append(spread({"images": numbers.known}, caption="Age, all images", axis="years", least=YEARS))
    parts.append(spread(series, caption="Age by diagnosis, each to its own height", axis="years", least=YEARS))
    whole = {"all": numbers.known, **series}
    parts.append(summary(whole, caption=f"Age in years, as the column {view.age} says", name="diagnosis"))
    return Section("Age", tuple(parts))


def _strange_ages(view: View, numbers: Numbers) -> Iterable[Part]:
    if numbers.strange:
        told = ", ".join(numbers.strange[:5])
        different = count(len(numbers.strange), "different value")
        yield Verdict("amber", f"{different} of {view.age} that are no numbers ({told}); left out below.")
    if slips := int(((numbers.known < 0) | (numbers.known > OLDEST)).sum()):
        yield Verdict("amber", f"{count(slips, 'age')} below 0 or above {OLDEST} years: slips, or codes for unknown.")


def sexes(view: View) -> Section | str:
    """Return the sexes, overall and by diagnosis."""
    if view.sex is None:
        return _lacking("sex", SEX)
    values = view.values(view.sex)
    own = counted(values, caption="Images of each sex", name=view.sex)
    return Section("Sex", (own, two_way(view.diagnoses, values, names=("diagnosis", view.sex))))


def sites(view: View) -> Section | str:
    """Return the places on the body, by sex and by diagnosis too."""
    if view.site is None:
        return _lacking("localisation", SITE)
    values = view.values(view.site)
    parts = [counted(values, caption="Images of each localisation", name=view.site)]
    if view.sex is not None:
        parts.append(two_way(values, view.values(view.sex), names=(view.site, view.sex)))
    parts.append(two_way(values, view.diagnoses, names=(view.site, "diagnosis")))
    return Section("Localisation", tuple(parts))


def confirmed(view: View) -> Section | str:
    """Return how the diagnoses were confirmed, and whether that goes with the diagnosis."""
    if view.confirmed is None:
        return _lacking("word on how a diagnosis was confirmed", CONFIRMED)
    values = view.values(view.confirmed)
    own = counted(values, caption="How the diagnosis was confirmed", name=view.confirmed)
    both = two_way(values, view.diagnoses, names=(view.confirmed, "diagnosis"))
    return Section("How the diagnosis was confirmed", (*_telling_ways(view, values), own, both))


def _telling_ways(view: View, values: Sequence[str]) -> Iterable[Part]:
    """Tell of ways that stand for one diagnosis: nobody biopsies what is plainly harmless."""
    cross = crossed(values, view.diagnoses)
    told = [
        f"all {counts.sum():,} images confirmed by {way} are {cross.columns[int(counts.argmax())]}"
        for way, counts in zip(cross.rows, cross.counts, strict=True)
        if way != MISSING and JUDGED <= counts.sum() == counts.max()
    ]
    if told and len(cross.columns) > 1:
        yield Verdict("amber", f"This column gives diagnoses away, never use it to predict: {'; '.join(told)}.")


def others(view: View) -> Section | str:
    """Return every other attribute: value by value where there are at most 20, in one line where there are more."""
    told = {view.age, view.sex, view.site, view.confirmed}
    rest = {name: view.values(name) for name in view.attributes if name not in told}
    rest = {name: values for name, values in rest.items() if set(values) != {MISSING}}
    if not rest:
        return "No further attribute."
    few = {name: values for name, values in rest.items() if len(set(values) - {MISSING}) <= MOST_VALUES}
    parts: list[Part] = []
    for name, values in few.items():
        parts.append(counted(values, caption=f"Images by {name}", name=name))
        if name in view.sources and len(set(values)) > 1:
            parts.append(two_way(values, view.diagnoses, names=(name, "diagnosis")))
    if many := [name for name in rest if name not in few]:
        rows = tuple(_many_valued(view, name) for name in many)
        header = ("attribute", "different values", "lowest", "median", "highest")
        parts.append(Table(f"Attributes with more than {MOST_VALUES} values", header, rows))
    return Section("Other attributes", tuple(parts))


def _many_valued(view: View, name: str) -> tuple[Cell, ...]:
    """Return how many values an attribute has, and their range where all are numbers; names are not told."""
    numbers, different = view.numbers(name), len(set(view.values(name)) - {MISSING})
    if numbers.strange or not len(numbers.known):
        return name, different, None, None, None
    return name, different, *np.quantile(numbers.known, [0, 0.5, 1]).tolist()


def missing(view: View) -> Section | str:
    """Return how many values are missing, by attribute and diagnosis, and what filling them would put in."""
    if not view.attributes:
        return "No attribute beside the diagnosis, so that none is missing."
    gaps = {name: np.array([is_missing(word) for word in view.column(name)]) for name in view.attributes}
    rows = tuple((name, int(gap.sum()), Share(gap.mean()), _written(view, name)) for name, gap in gaps.items())
    table = Table("Missing values", ("attribute", "images without", "share", "written as"), rows)
    gaps = {name: gap for name, gap in gaps.items() if gap.any()}
    parts: list[Part] = [*_filling(view, gaps), table]
    if gaps:
        cross, images = _by_diagnosis(view, gaps)
        parts[:0] = _telling_gaps(cross, images)
        caption = "Missing values by diagnosis (shade: share of the diagnosis)"
        parts.append(heat(cross, shade=cross.counts / images, caption=caption, name="attribute"))
    return Section("Missing values", tuple(parts))


def _written(view: View, name: str) -> str:
    counts = Counter(word for word in view.column(name) if is_missing(word))
    return ", ".join(f"{word.strip() or 'empty'} ({number:,})" for word, number in counts.most_common())


def _filling(view: View, gaps: dict[str, np.ndarray]) -> Iterable[Part]:
    yield (
        "featx fills nothing: features are computed from the images alone, no attribute is given to a classifier, and "
        "a sample with a missing value is kept."
    )
    known = view.numbers(view.age).known if view.age else np.array([])
    if view.age in gaps and len(known):
        gap = gaps[view.age]
        yield (
            f"A fill by the mean, as some studies do, would put an age of {known.mean():.2f} years into "
            f"{count(int(gap.sum()), 'image')} ({100 * gap.mean():.2f} %), an age that no patient may have."
        )


def _by_diagnosis(view: View, gaps: dict[str, np.ndarray]) -> tuple[Cross, np.ndarray]:
    """Return the missing values of each attribute by diagnosis, and the images of each diagnosis."""
    shown = lumped(view.diagnoses, view.order, most=MOST_DIAGNOSES)
    images = Counter(shown)
    columns, at = ordered(images), np.array(shown)
    counts = np.array([[int((gap & (at == name)).sum()) for name in columns] for gap in gaps.values()])
    return Cross(tuple(gaps), columns, counts), np.array([images[name] for name in columns])


def _telling_gaps(cross: Cross, images: np.ndarray) -> Iterable[Part]:
    """Tell of attributes that one diagnosis lacks far more often than another."""
    judged = images >= JUDGED
    names, told = np.array(cross.columns)[judged], []
    for attribute, counts in zip(cross.rows, cross.counts, strict=True):
        own = 100 * counts[judged] / images[judged]
        if len(own) and np.ptp(own) >= 100 * TELLING:
            high, low = names[own.argmax()], names[own.argmin()]
            told.append(f"{attribute} in {own.max():.0f} % of {high} and {own.min():.0f} % of {low}")
    if told:
        yield Verdict("amber", f"Missing goes with the diagnosis, so that a gap tells of it: {'; '.join(told)}.")


def _lacking(what: str, names: Sequence[str]) -> str:
    return f"No {what}: no attribute with a known value is called {', '.join(names)}."
