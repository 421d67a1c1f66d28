"""Runs of one study put together where they scored the same rows over the same splits: one table, one picture.

A pipeline leaves a run for each of its experiments; a reader wants them beside one another. Computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from featx.errors import RunError
from featx.report.reading import Design, Key, Row, Run

LABELS = ("features", "first_features", "second_features")  # columns of a run's tables that name features
PICKED = "{} results stand side by side: the best of them by test scores was picked by its luck too, and flatters"


class Named(NamedTuple):
    """A run, and the experiment of a study that it is of."""

    run: Run
    experiment: str


def joined(named: Sequence[Named]) -> list[Run]:
    """Return the runs put together, in the order of the first of each.

    Features are called by their experiment, and by their layer too where a run has several.

    Raises
    ------
    RunError
        Where two runs over the same splits are of one experiment, design, layer and classifier.
    """
    parts: list[list[Named]] = []
    for one in named:
        fitting = (part for part in parts if _alike(part[0].run, one.run) and _agree(part, one.run))
        part = next(fitting, None)
        if part is None:
            parts.append([one])
        else:
            part.append(one)
    return [_together(part) for part in parts]


def _alike(first: Run, second: Run) -> bool:
    """Whether two runs have one dataset, one plan of folds and one unit."""
    return _splits(first) == _splits(second)


def _splits(run: Run) -> tuple[str, str, str]:
    return str(run.dataset["name"]), str(run.record["settings"]["folds"]["digest"]), run.unit


def _agree(part: Sequence[Named], run: Run) -> bool:
    """Whether designs of one name have the same rows: where images failed for one network they have not."""
    known = {design.name: design for one in part for design in one.run.designs}
    return all(known.get(design.name, design) == design for design in run.designs)


def _together(part: Sequence[Named]) -> Run:
    runs = [_renamed(one) for one in part]
    first = runs[0]
    designs = {design.name: design for run in runs for design in run.designs}
    scheme = str(first.record["settings"]["folds"]["scheme"])
    experiments = list(dict.fromkeys(one.experiment for one in part))
    who = experiments[0] if len(experiments) == 1 else f"{len(experiments)} experiments"
    return replace(
        first,
        record=_record(runs, designs),
        designs=tuple(designs.values()),
        scores=_all_of([run.scores for run in runs]),
        sides=_all_of([run.sides for run in runs]),
        tables={name: [row for run in runs for row in run.tables.get(name, [])]
                for name in dict.fromkeys(name for run in runs for name in run.tables)},
        about=f"{who}, {scheme}",
        members=tuple(str(run.record["id"]) for run in runs),
    )  # fmt: skip


def _all_of(parts: Sequence[Mapping[Key, Any]]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for part in parts:
        if twice := [key for key in part if key in found]:
            raise RunError(f"two runs of the study are of one experiment, design and classifier: {', '.join(twice[0])}")
        found |= part
    return found


# ---- one run, its features called by their experiment


def _renamed(one: Named) -> Run:
    run, labels = one.run, list(dict.fromkeys(features for _, features, _ in one.run.scores))
    names = {label: one.experiment if len(labels) == 1 else f"{one.experiment} {label.rpartition('--')[2]}"
             for label in labels}  # fmt: skip
    results = [{**result, "features": names[result["features"]]} for result in run.record["results"]]
    return replace(
        run,
        record={**run.record, "results": results},
        scores={(key[0], names[key[1]], key[2]): values for key, values in run.scores.items()},
        sides={(key[0], names[key[1]], key[2]): sides for key, sides in run.sides.items()},
        tables={name: [_row(row, names) for row in rows] for name, rows in run.tables.items()},
    )


def _row(row: Row, names: Mapping[str, str]) -> Row:
    return {**row, **{column: names.get(row[column], row[column]) for column in LABELS if column in row}}


# ---- one record of several


def _record(runs: Sequence[Run], designs: Mapping[str, Design]) -> dict[str, Any]:
    records = [run.record for run in runs]
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    features = {told["key"]: told for record in records for told in record["features"]}
    seen = [entry for record in records for entry in record["settings"].get("seen") or []]
    return {
        **records[0],
        "id": f"{records[0]['id']}{more}",
        "features": list(features.values()),
        "settings": {**records[0]["settings"], "seen": seen},
        "notes": list(dict.fromkeys(note for record in records for note in record["notes"])),
        "results": [result for record in records for result in record["results"]],
        "judged": [_judged(records, name) for name in designs],
        "sanity": [row for record in records for row in record.get("sanity") or []],
    }


def _judged(records: Sequence[Mapping[str, Any]], design: str) -> dict[str, Any]:
    """Return what was judged of a design; what choosing among a run's own cells gave says nothing of all together."""
    told = [
        (judged, sum(result["design"] == design for result in record["results"]))
        for record in records
        for judged in record["judged"]
        if judged["design"] == design
    ]
    if len(told) == 1:
        return dict(told[0][0])
    notes = dict.fromkeys(note for judged, _ in told for note in judged["notes"])
    picked = PICKED.format(sum(cells for _, cells in told))
    intervals = [interval for judged, cells in told for interval in judged["intervals"][:cells]]
    return {**told[0][0], "intervals": intervals, "chosen_inside": None, "winner": None, "notes": [*notes, picked]}
