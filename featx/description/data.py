"""What a dataset holds, and the formats that can be read."""

from __future__ import annotations

import textwrap
from collections import Counter

from featx.audit import Audit
from featx.datasets import ADAPTERS
from featx.description.words import aligned, dataset_line, shown_name
from featx.numerals import number


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
