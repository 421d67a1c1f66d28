"""What an evaluation on other data found."""

from __future__ import annotations

from collections import Counter

from featx import evaluation, significance
from featx.classifiers import CLASSIFIERS
from featx.datasets import SYNTHETIC
from featx.description.words import BESIDE, SHORT, aligned, dataset_line
from featx.metrics import main_metric
from featx.numerals import number, probability, signed


def evaluation_told(found: evaluation.Evaluation, *, verbose: bool = False) -> str:
    """Return what an evaluation found: both files, what they share, and for each design counts, scores, differences."""
    train, test = found.train.dataset, found.test.dataset
    what = "external validation" if found.kind == evaluation.EXTERNAL else "held-out test"
    lines = [
        f"{what}: trained on {train.title}, tested on {test.title} · scored by {found.unit}",
        f"train: {dataset_line(train)}",
        f"test: {dataset_line(test)}",
        _overlap_told(found),
    ]
    blocks = ["\n".join(lines), *(_evaluation_block(found, q, verbose=verbose) for q in found.questions)]
    return "\n\n".join(filter(None, [*blocks, _evaluation_footnotes(found)]))


def _overlap_told(found: evaluation.Evaluation) -> str:
    overlap = found.overlap
    if overlap:
        return f"OVERLAP ALLOWED: both files hold {overlap.told}; {len(overlap.ids)} test images are behind it"
    asked = ["images"] + ([f"{overlap.kind}s"] if overlap.kind else [])
    asked += [] if found.run["settings"]["near_duplicates"] == "ignore" else ["near-duplicates"]
    return f"overlap: none found (compared: {', '.join(asked)})"


def _evaluation_block(found: evaluation.Evaluation, question: evaluation.Question, *, verbose: bool) -> str:
    lines = [f"{question.design.name}:"]
    for word, side in (("train", question.train), ("test", question.test)):
        counts = ", ".join(f"{count} {name}" for name, count in side.counts.items())
        lines.append(f"  {word}: {counts}{_test_units_told(found, question) if word == 'test' else ''}")
        lines += [f"    dropped {count} {reason}" for reason, count in side.dropped.items()]
    if touched := sum(name in found.overlap.ids for name in question.test.ids):
        lines.append(f"  {touched} of {len(question.test.ids)} test images overlap with the train file")
    cells = found.of(question.design.name)
    main, beside = main_metric(len(question.classes)), BESIDE[min(len(question.classes), 3)]
    header = ["classifier", SHORT[main], "95 % interval", *(SHORT[metric] for metric in beside)]
    rows = [
        [
            cell.classifier,
            number(cell.scores[main]),
            _between(cell.interval.low, cell.interval.high),
            *(number(cell.scores[metric]) for metric in beside),
        ]
        for cell in cells
    ]
    lines += aligned([header, *rows])
    lines += [
        f"  {_contrast_told(contrast)}" for contrast in found.contrasts if contrast.design == question.design.name
    ]
    if verbose:
        chosen = ((cell, CLASSIFIERS[cell.classifier].grid, cell.verdict.chosen) for cell in cells)
        lines += [
            f"  {cell.classifier}: " + ", ".join(f"{name}={values[name]:g}" for name in grid)
            for cell, grid, values in chosen
            if grid
        ]
    return "\n".join(lines)


def _test_units_told(found: evaluation.Evaluation, question: evaluation.Question) -> str:
    """Return the number of test units of each class, where scores are not of images."""
    if found.unit == "image":
        return ""
    held = Counter(code for _, code in set(zip(question.test.units, question.test.y.tolist(), strict=True)))
    counts = (f"{held[code]} {name}" for code, name in enumerate(question.classes))
    return f" images; {', '.join(counts)} {found.unit}s"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{number(low)} {number(high)}"


def _contrast_told(contrast: evaluation.Contrast) -> str:
    test = contrast.difference
    between = "" if test.low is None or test.high is None else f" ({signed(test.low)} to {signed(test.high)})"
    told = f"{contrast.first} less {contrast.second}: {signed(test.difference)}{between}, p {probability(test.p)}"
    told += f", Holm {probability(contrast.holm)}"
    if contrast.holm < significance.LEVEL:
        return told
    if not test.smallest:
        return f"{told}: no difference shown ({test.note})"
    return f"{told}: no difference shown; the smallest that this test side could show, tested alone, is " + number(
        test.smallest
    )


def _evaluation_footnotes(found: evaluation.Evaluation) -> str:
    lines = []
    if found.kind == evaluation.EXTERNAL:
        lines.append(
            "external: the datasets have different names; whether their images share a source is yours to know"
        )
    if methods := sorted({cell.method for cell in found.cells if cell.method}):
        lines.append(f"95 % interval ({', '.join(methods)}): of this very model; other train rows would give another")
    without: dict[tuple[str, str], list[str]] = {}
    for cell in found.cells:
        if cell.interval.low is None:
            without.setdefault((cell.design, cell.interval.note), []).append(cell.classifier)
    lines += [f"{design}, {', '.join(names)}: no interval: {note}" for (design, note), names in without.items()]
    for cell in found.cells:
        if cell.verdict.at_edge:
            lines.append(f"{cell.design}, {cell.classifier}: the last value of the grid was chosen")
        if not cell.verdict.converged:
            lines.append(f"{cell.design}, {cell.classifier}: the solver did not converge")
        asked = found.run["settings"]["classifiers"][cell.classifier]["inner"]
        if cell.verdict.inner_scheme not in ("", asked):
            lines.append(
                f"{cell.design}, {cell.classifier}: too few groups for {asked}, so that 3 grouped parts were taken"
            )
    if SYNTHETIC in found.title:
        lines.append(f"{SYNTHETIC}: no clinical result")
    return "\n".join(lines)
