"""Clinical numbers and subgroups as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from featx.comparison.clinic import Clinic, ClinicalRow
from featx.comparison.subgroups import SubgroupRow

SHOWN = 4  # cells side by side in a text, at most  # cells side by side, at most
HEADS = {
    "sensitivity_at_specificity_90": "sens. at spec. .90",
    "specificity_at_sensitivity_90": "spec. at sens. .90",
    "ppv_at_specificity_90": "PPV at spec. .90",
    "npv_at_sensitivity_90": "NPV at sens. .90",
    "brier": "Brier",
    "calibration_slope": "slope",
}


def clinic_told(found: Clinic) -> str:
    """Return the leading numbers and the subgroups as text, a table for each design and unit."""
    blocks = [_clinical_block(rows) for rows in _by(found.clinical, lambda row: (row.design, row.unit))]
    blocks += [_subgroup_block(rows) for rows in _by(found.subgroups, lambda row: (row.design, row.unit))]
    return "\n\n".join([*blocks, *found.notes])


def _by(rows: Sequence[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def _clinical_block(rows: Sequence[ClinicalRow]) -> str:
    """Return a line a cell; a number of no cell takes no column."""
    told = {row.quantity for row in rows if row.value is not None}
    shown = [(name, head) for name, head in HEADS.items() if name in told]
    head = f"{rows[0].design}, per {rows[0].unit}: thresholds and probabilities from the train sides' own scores"
    if not shown:
        return f"{head}\n  none: {rows[0].note}"
    lines = [["", *(short for _, short in shown)]]
    name = _namer(rows)
    for own in _by(rows, lambda row: (row.classifier, row.features)):
        held = {row.quantity: row for row in own}
        lines.append([name(own[0]), *(_between(held[quantity]) for quantity, _ in shown)])
    return "\n".join([head, *_aligned(lines)])


def _subgroup_block(rows: Sequence[SubgroupRow]) -> str:
    """Return a line a subgroup; those that are too few in one line."""
    name = _namer(rows)
    cells = list(dict.fromkeys(map(name, rows)))
    columns = cells if len(cells) <= SHOWN else ["lowest", "highest"]
    lines, few = [["", "n", "positive", *columns]], []
    for own in _by(rows, lambda row: (row.column, row.subgroup)):
        first = own[0]
        told = [row for row in own if row.value is not None]
        if not told:
            few.append(f"{first.column} {first.subgroup} ({first.positives} of {first.n} positive)")
            continue
        between = [_between(row) for row in own]
        if len(cells) > SHOWN:
            ends = [pick(told, key=lambda row: row.value) for pick in (min, max)]
            between = [f"{_between(row)} {name(row)}" for row in ends]
        lines.append([f"{first.column} {first.subgroup}", str(first.n), str(first.positives), *between])
    text = _aligned(lines) if len(lines) > 1 else []
    text += [f"  no AUC, with too few: {', '.join(few)}"] if few else []
    return "\n".join([f"{rows[0].design}, AUC of subgroups, per {rows[0].unit}; no difference is tested", *text])


def _namer(rows: Sequence[Any]) -> Callable[[Any], str]:
    """Return what calls a row's cell by its classifier, and by its features where there are several."""
    several = len({row.features for row in rows}) > 1
    return lambda row: f"{row.classifier} {row.features}" if several else row.classifier


def _between(row: ClinicalRow | SubgroupRow) -> str:
    if row.value is None:
        return "-"
    ends = "" if row.low is None or row.high is None else f" ({_short(row.low)} to {_short(row.high)})"
    return _short(row.value) + ends


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text.lstrip("0") if text.startswith("0.") else text


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
