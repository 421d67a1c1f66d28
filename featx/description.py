"""Words for a person: what a dataset, a feature file, a network, an extraction or a comparison is, as plain text.

Returns text and prints nothing. Computes nothing that is not told elsewhere too.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from featx import evaluation, significance
from featx.audit import Audit
from featx.backbones import BACKBONES
from featx.cache import FeatureFile
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS
from featx.comparison import Cell, Comparison, Question
from featx.comparison.certainty import CHOSEN, Judged, Pair
from featx.comparison.clinic import clinic_told
from featx.comparison.sanity import sanity_told
from featx.comparison.tables import winners_told
from featx.datasets import ADAPTERS, SYNTHETIC, Dataset, from_table
from featx.extraction import Extraction
from featx.metrics import main_metric
from featx.provenance import environment
from featx.significance import Interval

PAIRS = 6  # differences shown of a design without --verbose
BESIDE = {
    2: ("average_precision", "balanced_accuracy", "sensitivity", "specificity"),
    3: ("auc_ovr", "average_precision", "balanced_accuracy", "f1_macro"),
}
SHORT = {
    "auc": "AUC",
    "auc_ovo": "AUC ovo",
    "auc_ovr": "AUC ovr",
    "average_precision": "AP",
    "balanced_accuracy": "bal.acc",
    "sensitivity": "sens",
    "specificity": "spec",
    "f1_macro": "F1 macro",
}


def extraction_told(found: Extraction, *, verbose: bool = False) -> str:
    """Return what an extraction did: samples, forward passes, files, failures by reason."""
    lines = [dataset_line(found.dataset)]
    if not found.computed:
        lines.append(f"all {found.reused} images are in the cache already: no forward pass")
    else:
        reused = f", {found.reused} were in the cache already" if found.reused else ""
        lines.append(f"{found.computed} images computed in {found.passes} forward passes{reused}")
    if found.failed:
        reasons = Counter(reason.partition(":")[0] for reason in found.failed.values())
        lines.append(f"{len(found.failed)} images skipped: " + ", ".join(f"{n} {why}" for why, n in reasons.items()))
        shown = list(found.failed.items())[: None if verbose else 5]
        lines += [f"  {shown_name(path)}: {reason}" for path, reason in shown]
    lines += [f"features: {path}" for path in found.files]
    return "\n".join(lines)


def dataset_line(dataset: Dataset) -> str:
    """Return name, found = kept + dropped, and what the groups promise."""
    dropped = "".join(f" + {count} dropped ({why})" for why, count in dataset.dropped.items())
    return f"{dataset.title}: {dataset.found} found = {len(dataset.samples)} kept{dropped}; {dataset.grouping}"


def shown_name(name: str) -> str:
    """Return a file's name with everything that a terminal would act on escaped."""
    decoded = name.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in decoded)


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


def signed(value: float) -> str:
    """Return a difference with its sign, three decimals and no leading zero."""
    return f"{value:+.3f}".replace("0.", ".", 1)


def probability(value: float) -> str:
    """Return a p value as papers write it."""
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


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
    for cell in found.cells:
        if edge := sum(verdict.at_edge for verdict in cell.verdicts):
            lines.append(f"{cell.design}, {cell.classifier}: the last value of the grid was chosen in {edge} splits")
        if stuck := sum(not verdict.converged for verdict in cell.verdicts):
            lines.append(f"{cell.design}, {cell.classifier}: the solver did not converge in {stuck} splits")
    asked = found.run["settings"]["inner"]
    for cell in found.cells:
        if other := sum(verdict.inner_scheme not in ("", asked) for verdict in cell.verdicts):
            lines.append(
                f"{cell.design}, {cell.classifier}: too few groups for {asked} in {other} splits: 3 grouped parts"
            )
    if SYNTHETIC in found.title:
        lines.append(f"{SYNTHETIC}: no clinical result")
    return "\n".join(lines)


def number(value: float) -> str:
    """Return a score with three decimals and no leading zero."""
    return f"{value:.3f}".removeprefix("0")


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return rows of cells as lines with columns, the first ``left`` of them to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(cell.ljust(w) if at < left else cell.rjust(w) for at, (cell, w) in enumerate(cells))

    return [f"  {line(row)}".rstrip() for row in rows]


def of_adapters() -> str:
    """Return the formats that can be read, each with its layout and the designs that can be asked of it."""
    lines = []
    for name in ADAPTERS:
        adapter = ADAPTERS[name]
        asked = ", ".join(adapter.designs) or "whatever its diagnoses fit"
        lines += textwrap.wrap(f"{name:<15}{adapter.expects}", 110, subsequent_indent=" " * 15)
        lines += textwrap.wrap(f"designs: {asked}", 110, initial_indent=" " * 15, subsequent_indent=" " * 17)
    lines.append(f"{'demo':<15}built in: synthetic images laid out as HAM10000 (used where no DATA is given)")
    return "\n".join(lines)


def of_audit(found: Audit, *, verbose: bool = False) -> str:
    """Return what a dataset holds: found = kept + dropped, diagnoses, groups, designs, duplicates, shortcuts."""
    dataset, samples, most = found.dataset, found.dataset.samples, None if verbose else 10
    sizes = Counter(Counter(found.groups.values()).values())
    lines = [dataset_line(dataset), f"format: {dataset.adapter}; root: {dataset.root}"]
    lines += [f"note: {note}" for note in dataset.notes]
    counts = Counter(sample.diagnosis for sample in samples)
    groups = Counter(diagnosis for diagnosis, _ in {(s.diagnosis, found.groups[s.id]) for s in samples})
    kind = dataset.group_kind or "group"
    lines += aligned(
        [["diagnosis", "images", f"{kind}s"], *([d, str(n), str(groups[d])] for d, n in counts.most_common())]
    )
    lines.append(
        f"{len(set(found.groups.values()))} {kind}s; images in each: "
        + ", ".join(f"{size} ({count}x)" for size, count in sorted(sizes.items()))
    )
    lines += [f"designs: {', '.join(dataset.designs)}"] if dataset.designs else []
    return "\n".join(
        [
            *lines,
            *_failed_told(found, most=most),
            *_twins_told(found, most=most),
            *_pairs_told(found, most=most),
            *_shortcuts_told(found),
        ]
    )


def _failed_told(found: Audit, *, most: int | None) -> list[str]:
    failed = found.fingerprints.failed
    at_fault = [sample for sample in found.dataset.samples if sample.id in failed]
    shown = [f"  {shown_name(sample.path)}: {failed[sample.id]}" for sample in at_fault[:most]]
    return [f"{len(failed)} image files cannot be read", *shown] if failed else []


def _twins_told(found: Audit, *, most: int | None) -> list[str]:
    """Tell of images that are identical byte for byte."""
    sample_of = {sample.id: sample for sample in found.dataset.samples}
    lines = [
        f"byte-identical images: {len(found.twins)} sets" + (", each joined into one group" if found.twins else "")
    ]
    for same in found.twins[:most]:
        held = [sample_of[name] for name in same]
        told = ", ".join(f"{shown_name(s.id)} ({s.diagnosis}, {s.group})" for s in held)
        lines.append(f"  {told}{'; their diagnoses differ' if len({s.diagnosis for s in held}) > 1 else ''}")
    return lines


def _pairs_told(found: Audit, *, most: int | None) -> list[str]:
    """Tell of near-duplicates, those of different groups by name."""
    within = len(found.pairs) - len(found.straddling)
    lines = [f"near-duplicates: {within} pairs within a group, {len(found.straddling)} pairs across groups"]
    if found.straddling:
        lines[0] += " (`--near-duplicates join` keeps each pair on one side)"
    for pair in found.straddling[:most]:
        sure = "" if pair.cosine is None else f", cosine {pair.cosine:.4f}"
        lines.append(f"  {shown_name(pair.first)} ~ {shown_name(pair.second)} ({pair.distance} bits apart{sure})")
    return lines


def _shortcuts_told(found: Audit) -> list[str]:
    """Tell how well the label is told without the picture: the AUC over grouped 5x2 folds, .5 is chance."""
    if not found.shortcuts:
        return ["shortcuts: nothing beside the picture to ask, or too few groups of a class to ask"]
    head = ["design", "told by", "AUC", "lowest, highest", "best told", "AUC", ""]
    mark = {"red": "RED", "amber": "amber", "green": ""}
    rows = [
        [s.design, f"{s.what}: {', '.join(s.columns)}", number(s.auc), f"{number(s.low)} {number(s.high)}",
         s.exposed, number(s.exposed_auc), mark[s.level]]
        for s in found.shortcuts
    ]  # fmt: skip
    lines = [
        "shortcuts: how well the label is told WITHOUT the picture (forest over grouped 5x2 folds; .500 is chance)"
    ]
    lines += aligned([head, *rows], left=2)
    notes = dict.fromkeys(s.note for s in found.shortcuts if s.level == "red")
    return [*lines, *(f"  RED: {note}" for note in notes)]


def of_features(path: Path) -> str:
    """Return what a feature file holds, and from what it was made."""
    with FeatureFile.open(path) as file:
        dataset = from_table(file.table, file.paths)
        done = file.finished if file.complete else None
        spec, env = file.spec, file.env
        lines = [
            f"{path}: {file.n} rows x {file.dim} features, {file.dtype}",
            dataset_line(dataset),
            f"complete: {done['ok']} with features, {done['failed']} failed"
            if done
            else "not complete; run the extraction again",
            f"backbone {spec['backbone']}, layer {spec['layer']}, pool {spec['pool']}, precision {spec['precision']}",
            f"weights {env.get('weights')} ({env.get('weights_note')}), sha256 of the tensors {spec['weights']}",
            f"transform {spec['transform']}",
            f"normalise {spec['normalise']}",
            f"key {file.key}",
            *([f"content {done['content']}, finished {done['finished']}"] if done else []),
            f"made by: {env.get('command')}",
            "versions: " + ", ".join(f"{k} {v}" for k, v in env.get("versions", {}).items()),
        ]
    return "\n".join(lines)


def of_backbone(name: str, *, size: int | None = None) -> str:
    """Return the layers of a backbone with their shapes at an input size."""
    import torch

    from featx.runtime import layer_shapes

    backbone = BACKBONES[name]
    size = size or backbone.fixed_size or 224
    with torch.device("meta"):
        network = backbone.build()
    shapes = layer_shapes(network, layers=backbone.layers, size=size)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    rows = [
        [
            layer.name,
            " x ".join(map(str, shapes[layer.name])),
            "vector" if layer.kind == "vector" else "pooled (--pool)",
            layer.module or "(the network)",
        ]
        for layer in backbone.layers
    ]
    head = f"{name}: {millions:.1f} million weights, input {size} x {size}, normalisation {backbone.normalise}"
    default = f"default layer: {backbone.layer('penultimate').name}; any dotted module path is a layer too"
    return "\n".join([head, *aligned([["layer", "shape", "features", "module"], *rows], left=4), default])


def of_installation(cache: Path | None = None) -> str:
    """Return versions, the networks on the shelf, and what the cache holds."""
    env, places = environment(), Places.at(cache)
    lines = [f"python {env['python']} on {env['system']}, {env['processors']} processors"]
    lines.append(", ".join(f"{name} {version or '(not installed)'}" for name, version in env["versions"].items()))
    lines += textwrap.wrap("backbones: " + ", ".join(BACKBONES), 100, subsequent_indent="  ")
    lines.append(f"cache: {places.root}" + ("" if places.root.exists() else " (empty)"))
    for dataset in places.datasets():
        lines += [
            f"  {dataset}/{path.name}  {path.stat().st_size / 1e6:.1f} MB" for path in places.feature_files(dataset)
        ]
    return "\n".join(lines)


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
    if SYNTHETIC in found.title:
        lines.append(f"{SYNTHETIC}: no clinical result")
    return "\n".join(lines)
