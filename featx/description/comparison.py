"""The table of a comparison, its differences and its footnotes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from featx import significance
from featx.classifiers import CLASSIFIERS
from featx.comparison import Cell, Comparison, Question
from featx.comparison.certainty import CHOSEN, Judged, Pair
from featx.comparison.sanity import sanity_told
from featx.comparison.tables import winners_told
from featx.datasets import SYNTHETIC
from featx.description.clinic import clinic_told
from featx.description.words import BESIDE, SHORT, aligned
from featx.metrics import main_metric
from featx.numerals import number, probability, signed
from featx.significance import Interval

PAIRS = 6  # differences shown of a design without --verbose
# differences shown of a design without --verbose


def comparison_told(found: Comparison, *, verbose: bool = False) -> str:
    """Return the table of a comparison: for each design its counts, and a line for each classifier."""
    folds = found.run["settings"]["folds"]
    about = (found.title, f"{folds['scheme']} folds, seed {folds['seed']}", found.grouping, f"scored by {found.unit}")
    head = " · ".join(about)
    blocks = [head, *(_design_block(found, question, verbose=verbose) for question in found.questions)]
    if found.sanity:
        blocks.append(sanity_told(found.sanity))
    if verbose:
        blocks.append(clinic_told(found.clinic))
    blocks.append(_footnotes(found))
    return "\n\n".join(blocks)


def _design_block(found: Comparison, question: Question, *, verbose: bool) -> str:
    assignment = question.assignment
    counts = ", ".join(f"{count} {name}" for name, count in assignment.counts.items())
    lines = [f"{question.design.name}: {counts}{_units_told(found, question)}"]
    lines += [f"  dropped {count} {reason}" for reason, count in assignment.dropped.items()]
    for about, readings in question.readings.items():
        told = "; ".join(f"{reading}: " + "/".join(map(str, counts.values())) for reading, counts in readings.items())
        lines.append(f"  {about} read as {told}  ({'/'.join(assignment.counts)})")
    return "\n".join([*lines, *_design_table(found, question, verbose=verbose)])


def _units_told(found: Comparison, question: Question) -> str:
    """Return the number of units of each class, where scores are not of images."""
    if found.unit == "image":
        return ""
    held = {(unit, code) for unit, code in zip(question.units, question.y.tolist(), strict=True)}
    counts = Counter(code for _, code in held)
    classes = enumerate(question.assignment.classes)
    return " images; " + ", ".join(f"{counts[code]} {name}" for code, name in classes) + f" {found.unit}s"


def _design_table(found: Comparison, question: Question, *, verbose: bool) -> list[str]:
    classes = len(question.assignment.classes)
    main, beside = main_metric(classes), BESIDE[min(classes, 3)]
    judged = next(one for one in found.judged if one.design == question.design.name)
    cells = found.of(question.design.name)
    shown = [*cells, *([judged.chosen] if judged.chosen else [])]
    several = len({cell.features for cell in cells}) > 1
    many = len(question.splits) > 1
    each = [f"the {len(question.splits)} {'halves' if len(question.splits) == 10 else 'splits'}"] if many else []
    known = any(interval is not None for interval in judged.intervals)
    header = [*(["features"] if several else []), "classifier", SHORT[main], *(["95 % interval"] if known else [])]
    header += [*each, *(SHORT[metric] for metric in beside)]
    rows = [
        _cell_row(cell, interval, main, beside, several=several, known=known)
        for cell, interval in zip_longest(shown, judged.intervals)
    ]
    table = aligned([header, *rows], left=2 if several else 1)
    table += _differences_told(judged, several=several, verbose=verbose)
    if verbose:
        table += [f"  {cell.classifier}: {_chosen(cell)}" for cell in cells if CLASSIFIERS[cell.classifier].grid]
    return table


def _cell_row(
    cell: Cell, interval: Interval | None, main: str, beside: Sequence[str], *, several: bool, known: bool
) -> list[str]:
    values = cell.values(main)
    row = [*([cell.features] if several else []), cell.classifier, number(values.mean())]
    if known:
        low, high = (interval.low, interval.high) if interval else (None, None)
        row.append("" if low is None or high is None else f"{number(low)} {number(high)}")
    if len(values) > 1:
        row.append(" ".join(f"{value:.2f}".lstrip("0") for value in values))
    return row + [number(cell.values(metric).mean()) for metric in beside]


def _differences_told(judged: Judged, *, several: bool, verbose: bool) -> list[str]:
    """Tell the differences between cells, the surest first, and what the best is worth once it was picked."""
    pairs = sorted(judged.pairs, key=lambda pair: pair.main.p)
    lines = [f"  {_difference_told(pair, several=several)}" for pair in pairs[: None if verbose else PAIRS]]
    if len(pairs) > PAIRS and not verbose:
        lines.append(f"  {len(pairs) - PAIRS} more differences in differences.csv (or --verbose)")
    if judged.winner is not None:
        lines.append(f"  {winners_told(judged)}")
    return lines + [f"  {note}" for note in judged.notes]


def _difference_told(pair: Pair, *, several: bool) -> str:
    names = [f"{cell.features} {cell.classifier}" if several else cell.classifier for cell in (pair.first, pair.second)]
    test = pair.main
    between = "" if test.low is None or test.high is None else f" ({signed(test.low)} to {signed(test.high)})"
    told = f"{names[0]} less {names[1]}: {signed(test.difference)}{between}, p {probability(test.p)}"
    told += f", Holm {probability(pair.holm)}"
    if pair.holm < significance.LEVEL:
        return told
    smallest = f"; the smallest that this study could show is {number(test.smallest)}" if test.smallest else ""
    return f"{told}: no difference shown{smallest}{f' ({test.note})' if test.note else ''}"


def _chosen(cell: Cell) -> str:
    searched = CLASSIFIERS[cell.classifier].grid
    counts = Counter(
        ", ".join(f"{name}={value:g}" for name, value in verdict.chosen.items() if name in searched)
        for verdict in cell.verdicts
    )
    return "; ".join(f"{text} ({count}x)" for text, count in counts.most_common())


def _footnotes(found: Comparison) -> str:
    lines = []
    estimates = sorted({one.estimates for judged in found.judged for one in judged.intervals if one})
    if estimates:
        lines.append(f"95 % interval: {', '.join(estimates)}")
    if any(judged.chosen for judged in found.judged):
        lines.append(f"{CHOSEN}: in each split the row with the best AUC inside the train half, before any test row")
    if any(len(question.assignment.classes) > 2 for question in found.questions):
        lines.append("AUC ovo: Hand and Till's mean over class pairs; AUC ovr: mean over classes against the rest")
    lines += _remarks(found)
    if SYNTHETIC in found.title:
        lines.append(f"{SYNTHETIC}: no clinical result")
    return "\n".join(lines)


def _remarks(found: Comparison) -> list[str]:
    """Tell what went another way than was asked: each remark once, with the rows of the table that it is about."""
    asked = found.run["settings"]["inner"]
    several = len({cell.features for cell in found.cells}) > 1
    about: dict[tuple[str, str], list[str]] = {}
    for cell in found.cells:
        name = f"{cell.features} {cell.classifier}" if several else cell.classifier
        counts = {
            "the last value of the grid was chosen": sum(verdict.at_edge for verdict in cell.verdicts),
            "the solver did not converge": sum(not verdict.converged for verdict in cell.verdicts),
            f"too few groups for {asked}, so that 3 grouped parts were taken": sum(
                verdict.inner_scheme not in ("", asked) for verdict in cell.verdicts
            ),
        }
        for remark, count in counts.items():
            if count:
                about.setdefault((cell.design, remark), []).append(f"{name} in {count} of {len(cell.verdicts)} splits")
    return [f"{design}: {remark} ({', '.join(cells)})" for (design, remark), cells in about.items()]
