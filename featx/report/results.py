"""The chapter on results: scores, differences, clinical numbers and subgroups, as the run's tables have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featx import charts
from featx.page import Cell, Figure, Part, Section, Table
from featx.report.reading import Design, Key, Row
from featx.report.shown import RESULTS, Shown

SHOWN = ("average_precision", "balanced_accuracy", "sensitivity", "specificity", "f1_macro", "auc_ovr")
MOST_SORTED = 120  # rows of a table that can be sorted
MOST_RANGES = 24  # points with a range that one picture holds
HALF, NINETY = 0.5, "_at_specificity_"
PAIR = ("design", "first_features", "first_classifier", "second_features", "second_classifier")
CHOSEN = "chosen inside the train halves"
EVERY = "every one"  # in the place of a classifier, of what is the same for all of them


def comparison(shown: Sequence[Shown]) -> Section:
    """Return the table of all cells of all runs."""
    several = len(shown) > 1
    labels = list(dict.fromkeys(features for one in shown for _, features, _ in one.run.scores))
    rows = [row for one in shown for row in _comparison_rows(one, several=several, features=len(labels) > 1)]
    metrics = [name for name in SHOWN if any(name in cells for _, cells in rows)]
    which = (*(["run"] * several), "design", "classifier", *(["features"] * (len(labels) > 1)))
    header = (*which, "metric", "mean", "low", "high", "lowest split", "highest split", *metrics)
    cells = tuple((*own, *(told.get(name) for name in metrics)) for own, told in rows)
    units = " and ".join(dict.fromkeys(one.run.unit for one in shown))
    caption = f"Means over the splits by {units}; low and high end a 95 % interval, which is not the spread of splits"
    parts: list[Part] = [Table(caption, header, cells, sortable=True, most=MOST_SORTED)]
    parts += [f"All on the features {labels[0]}."] if len(labels) == 1 else []
    parts += [part for one in shown for part in (*_estimates(one), *_ranges(one), *_winners(one))]
    return Section("Comparison", tuple(parts), RESULTS)


def _comparison_rows(
    one: Shown, *, several: bool, features: bool
) -> Iterator[tuple[tuple[Cell, ...], dict[str, float]]]:
    about: tuple[Cell, ...] = (str(one.number),) if several else ()
    for design in one.run.designs:
        for key in one.run.keys(design):
            values = one.run.scores[key]
            main = values[design.metric]
            told = {name: round(float(values[name].mean()), 4) for name in SHOWN if name in values}
            numbers = (_rounded(float(main.mean())), *_ends(interval_of(one, key)), *_ends((main.min(), main.max())))
            yield (*about, design.name, key[2], *([key[1]] * features), design.metric, *numbers), told
        if chosen := _chosen(one, design):
            main, interval = chosen
            numbers = (_rounded(float(main.mean())), *_ends(interval), *_ends((main.min(), main.max())))
            yield (*about, design.name, CHOSEN, *([""] * features), design.metric, *numbers), {}


def interval_of(one: Shown, key: Key) -> tuple[Any, Any]:
    """Return the ends of the interval that the record has of a cell's mean, None where it has none."""
    if one.run.external:
        found = [r for r in one.run.record["results"] if (r["design"], r["classifier"]) == (key[0], key[2])]
        return (found[0]["low"], found[0]["high"]) if found else (None, None)
    own = [result for result in one.run.record["results"] if result["design"] == key[0]]
    order = [(result["features"], result["classifier"]) for result in own]
    interval = _judged(one, key[0])["intervals"][order.index((key[1], key[2]))]
    return (None, None) if interval is None else (interval["low"], interval["high"])


def _judged(one: Shown, design: str) -> Mapping[str, Any]:
    return next(judged for judged in one.run.record["judged"] if judged["design"] == design)


def _chosen(one: Shown, design: Design) -> tuple[np.ndarray, tuple[Any, Any]] | None:
    """Return what choosing inside the train halves scores, where the run asked."""
    judged = {} if one.run.external else _judged(one, design.name)
    if not judged.get("chosen_inside"):
        return None
    interval = judged["intervals"][-1]
    return np.array(judged["chosen_inside"]), (interval["low"], interval["high"]) if interval else (None, None)


def _estimates(one: Shown) -> list[Part]:
    told = [str(one.run.record["kind"])] if "kind" in one.run.record else []
    intervals = [i for judged in one.run.record.get("judged", ()) for i in judged["intervals"] if i]
    told += [f"The intervals are of {text}" for text in dict.fromkeys(i["estimates"] for i in intervals) if text]
    return [f"{'. '.join(told)}."] if told else []


def _winners(one: Shown) -> Iterator[Part]:
    for judged in one.run.record.get("judged", ()):
        if winner := judged.get("winner"):
            yield (
                f"{judged['design']}: the best by test scores has {winner['told']:.3f}; corrected for having been "
                f"picked, {winner['corrected']:.3f}."
            )
        yield from (f"{judged['design']}: {note}." for note in judged["notes"])


def _ranges(one: Shown) -> Iterator[Figure]:
    for design in one.run.designs:
        cells = [(one.run.name(key), one.run.mean(key, design.metric), *interval_of(one, key))
                 for key in one.run.keys(design)]  # fmt: skip
        caption = one.caption(f"{design.name}: mean {design.metric} and 95 % interval (line: chance)")
        yield from ranges(cells, caption=caption, name="classifier", marks=(HALF,))


def ranges(
    cells: Sequence[tuple[str, Any, Any, Any]],
    *,
    caption: str,
    name: str,
    marks: Sequence[float],
    zero: bool = False,
) -> Iterator[Figure]:
    """Give a picture of points with their ranges, with all that are known in its table; nothing where none is."""
    known = [cell for cell in cells if cell[1] is not None and np.isfinite(cell[1])]
    if not known:
        return
    drawn = known[:MOST_RANGES]
    values = np.array([(v, v if low is None else low, v if high is None else high) for _, v, low, high in drawn])
    ends = [*marks, values.min(), values.max()]
    span = (float(min(ends)), float(max(ends)) if zero else 1.0)
    more = f" (the first {len(drawn)} of {len(known)} are drawn)" if len(known) > len(drawn) else ""
    names, numbered = [cell[0] for cell in drawn], _round_numbers(*span)
    picture = charts.intervals(names, values, span=span, marks=tuple(marks), says=caption, ticks=numbered)
    rows = tuple((cell[0], *(_rounded(value) for value in cell[1:])) for cell in known)
    yield Figure(picture, Table(f"{caption}{more}", (name, "value", "low", "high"), rows))


def _round_numbers(low: float, high: float) -> list[float]:
    """Return the round numbers of an axis, five to ten of them."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, np.inf) if (high - low) / step <= 7)
    if not np.isfinite(step):
        return [low, high]
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [round(float(at), 2) + 0.0 for at in np.arange(first, last + 1) * step]


# ---- differences, clinical numbers, subgroups


def differences(one: Shown) -> Section | None:
    """Return the paired differences, each with its interval."""
    first: dict[tuple[str, ...], Row] = {}  # of the tests of a pair the one that counts comes first
    for row in one.run.tables.get("differences", []):
        first.setdefault(tuple(row[name] for name in PAIR), row)
    rows = [_difference_row(one, row) for row in first.values()]
    if not rows:
        return None
    header = ("design", "first", "less second", "test", "difference", "low", "high", "p", "p after Holm",
              "smallest that could be shown", "note")  # fmt: skip
    parts: list[Part] = [
        "Each line is the first less the second, on the same test rows, with a 95 % interval and p after Holm's "
        "correction over the pairs of its design; other tests of the same pairs are in the run's differences.csv."
    ]
    for design in one.run.designs:
        own = [row for row in rows if row[0] == design.name]
        caption = one.caption(f"{design.name}: differences of {design.metric} (line: none)")
        cells = [(f"{row[1]} - {row[2]}", row[4], row[5], row[6]) for row in own]
        parts += ranges(cells, caption=caption, name="difference", marks=(0.0,), zero=True)
    table = _sortable(one.caption("Paired differences"), header, rows)
    return one.section("Differences", [*parts, table], chapter=RESULTS)


def _difference_row(one: Shown, row: Row) -> tuple[Any, ...]:
    ends = [one.run.name((row["design"], row[f"{which}_features"], row[f"{which}_classifier"]))
            for which in ("first", "second")]  # fmt: skip
    numbers = [_number(row[name]) for name in ("difference", "low", "high", "p", "p_holm", "smallest_detectable")]
    return row["design"], *ends, row["test"], *numbers, row["note"]


def clinical(one: Shown) -> Section | None:
    """Return sensitivity at fixed specificity and the rest of the clinical numbers."""
    told = one.run.tables.get("clinical", [])
    if not told:
        return None
    parts: list[Part] = [
        "A threshold is chosen on the out-of-fold scores of the train side, so that it reaches the specificity (or "
        "sensitivity) in its name there; what is told is what it has on test rows."
    ]
    for design in one.run.designs:
        own = [row for row in told if row["design"] == design.name and row["unit"] == one.run.unit]
        wanted = [row for row in own if row["quantity"].startswith("sensitivity" + NINETY)]
        cells = [(f"{one.run.name(_key(row))}, {row['quantity'][-2:]} %", *_values(row)) for row in wanted]
        caption = one.caption(f"{design.name}: sensitivity at 90 and 95 % specificity, with 95 % interval")
        parts += ranges(cells, caption=caption, name="classifier, specificity", marks=(0.0, HALF))
    header = ("design", "classifier", "unit", "quantity", "value", "low", "high", "splits", "note")
    rows, said = _said_once([
        (*_key_cells(one, row), row["unit"], row["quantity"], *_values(row), _count(row["n_splits"]), row["note"])
        for row in told
    ])  # fmt: skip
    parts += said
    table = _sortable(one.caption("Clinical numbers"), header, rows)
    return one.section("Clinical numbers", [*parts, table], chapter=RESULTS)


def subgroups(one: Shown) -> Section | None:
    """Return the AUC on subgroups of the test rows."""
    told = one.run.tables.get("subgroups", [])
    if not told:
        return None
    parts: list[Part] = []
    for design in one.run.designs:
        best = one.run.keys(design)[0]
        own = [row for row in told if _key(row) == best]
        cells = [(f"{row['column']}: {row['subgroup']}", *_values(row)) for row in own]
        caption = one.caption(f"{design.name}: AUC of {one.run.name(best)} by subgroup, with 95 % interval")
        parts += ranges(cells, caption=caption, name="subgroup", marks=(HALF, one.run.mean(best, design.metric))
                        if design.metric == "auc" else (HALF,))  # fmt: skip
    if parts:
        parts.insert(0, "Lines: chance, and the mean over all rows. Subgroups that differ need not differ because of "
                        "what they are called: look at their sizes and intervals first.")  # fmt: skip
    header = ("design", "classifier", "column", "subgroup", "units", "positive", "value", "low", "high", "note")
    lacking = dict.fromkeys((row["design"], EVERY, *_counted(row), None, None, None, row["note"])
                            for row in told if not row["value"])  # fmt: skip
    known = [(*_key_cells(one, row), *_counted(row), *_values(row), row["note"]) for row in told if row["value"]]
    rows, said = _said_once([*known, *lacking])
    parts += said
    table = _sortable(one.caption("Subgroups"), header, rows)
    return one.section("Subgroups", [*parts, table], chapter=RESULTS)


def _key(row: Row) -> Key:
    return row["design"], row["features"], row["classifier"]


def _key_cells(one: Shown, row: Row) -> tuple[str, str]:
    return row["design"], one.run.name(_key(row))


def _counted(row: Row) -> tuple[str, str, int | None, int | None]:
    return row["column"], row["subgroup"], _count(row["n"]), _count(row["positives"])


def _sortable(caption: str, header: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> Table:
    """Return a table that can be sorted, without a last column in which nothing stands."""
    kept = len(header) - (not any(row[-1] for row in rows))
    return Table(caption, header[:kept], tuple(row[:kept] for row in rows), sortable=True, most=MOST_SORTED)


def _said_once(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[tuple[Cell, ...], ...], list[Part]]:
    """Return rows without the note in their last column that most of them have, and that note as a paragraph."""
    notes = Counter(str(row[-1]) for row in rows if row[-1])
    note, times = notes.most_common(1)[0] if notes else ("", 0)
    if times < 2 or not all(row[-1] for row in rows):
        return tuple(rows), []
    return tuple((*row[:-1], "" if row[-1] == note else row[-1]) for row in rows), [f"Where no note stands: {note}."]


def _values(row: Row) -> tuple[float | None, float | None, float | None]:
    value, low, high = (_number(row[name]) for name in ("value", "low", "high"))
    return value, low, high


def _number(text: str) -> float | None:
    return _rounded(float(text)) if text else None


def _count(text: str) -> int | None:
    return int(float(text)) if text else None


def _ends(ends: tuple[Any, Any]) -> tuple[float | None, float | None]:
    return _rounded(ends[0]), _rounded(ends[1])


def _rounded(value: Any) -> float | None:
    """Return a number with the digits that a reader can use; the run's own files have all of them."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
