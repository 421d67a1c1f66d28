"""The chapter on checks: what may make a result look better than it is, each judged green, amber or red.

What nobody looked at is told amber with the command that looks: it is no all-clear. Reads the record; fits nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from featx.datasets.base import PEOPLE
from featx.eda.parts import count
from featx.page import Bullets, Part, Section, Table, Verdict
from featx.report.shown import CHECKS, Shown, runs_told

UNEVEN = 10.0  # images of the largest class for one of the smallest, from which on accuracy alone says little
FEW = 30  # images of a class below which a half has hardly any
SKIPPED = 0.05  # share of images from which on those left out may change what is asked
UNGROUPED, NOT_LOOKED = "ungrouped folds", "near-duplicates were not looked for"
BESIDE = ("metadata", "file properties")  # how the rows of shortcuts begin
SANITY = "`featx compare --sanity`"


def checks(shown: Sequence[Shown]) -> list[Section]:
    """Return the sections of the chapter."""
    makers: dict[str, Callable[[Shown], Iterator[Part]]] = {
        "Groups and copies": _groups,
        "Told without the picture": _shortcuts,
        "Folds that ignore groups": _ungrouped,
        "Choice and convergence": _fits,
        "Classes": _classes,
        "Images left out": _skipped,
        "Where there is nothing to learn": _sanity,
        "Rows that weights have seen": _seen,
    }
    sections = [_section(heading, make, shown) for heading, make in makers.items()]
    return [*sections, *_notes(shown)]


def _section(heading: str, make: Callable[[Shown], Iterator[Part]], shown: Sequence[Shown]) -> Section:
    """Return what there is to say under a heading; what holds for several runs is said once."""
    same: dict[Part, dict[int, Shown]] = {}
    for one in shown:
        for part in make(one):
            same.setdefault(part, {})[one.number] = one
    parts = tuple(_named(part, runs_told(list(runs.values()), shown)) for part, runs in same.items())
    return Section(heading, parts, CHECKS)


def _named(part: Part, runs: str) -> Part:
    """Return a part that says of which runs it is, unless it is of all; the caption of a table says it anyway."""
    if isinstance(part, Verdict) and runs:
        return replace(part, text=f"{runs.capitalize()}: {part.text}")
    return f"{runs.capitalize()}: {part}" if isinstance(part, str) and runs else part


def _notes(shown: Sequence[Shown]) -> list[Section]:
    """Return what was told when the runs were made."""
    same: dict[str, list[Shown]] = {}
    for one in shown:
        for note in dict.fromkeys(map(str, one.run.record["notes"])):
            same.setdefault(note, []).append(one)
    texts = [": ".join(filter(None, (runs_told(runs, shown).capitalize(), note))) for note, runs in same.items()]
    return [Section("Told when it was run", (Bullets(tuple(texts)),), CHECKS)] if texts else []


# ---- groups, copies, seen rows


def _groups(one: Shown) -> Iterator[Part]:
    promise = str(one.run.dataset["grouping"])
    people = any(promise.startswith(f"no {kind} straddles") for kind in PEOPLE)
    yield Verdict("green" if people else "amber", f"Groups: {promise}.")
    yield _near(one)
    yield _twins(one)


def _near(one: Shown) -> Verdict:
    told = one.run.record["settings"].get("near_duplicates")
    if one.run.external:
        return _overlap(one)
    if not isinstance(told, Mapping) or told["mode"] == "ignore":
        return Verdict("amber", "Near-duplicates were not looked for (--near-duplicates audit does).")
    notes = [str(note) for note in one.run.record["notes"]]
    if missed := [note for note in notes if note.startswith(NOT_LOOKED)]:
        return Verdict("amber", f"{missed[0].capitalize()}.")
    pairs = [(str(pair["first"]), str(pair["second"])) for pair in told["pairs"]]
    across = _across(one, pairs)
    if not across:
        joined = " (their groups are joined)" if told["mode"] == "join" else ""
        return Verdict("green", f"No two nearly identical images are in different groups; {count(len(pairs), 'pair')} "
                                f"within groups{joined}.")  # fmt: skip
    return Verdict("amber", f"{count(across, 'pair')} of nearly identical images in different groups: one may train "
                            "while the other is tested; --near-duplicates join keeps them together.")  # fmt: skip


def _across(one: Shown, pairs: Sequence[tuple[str, str]]) -> int:
    groups = {name: group for sides in one.run.sides.values() for side in sides
              for name, group in zip(side.samples, side.groups, strict=True)}  # fmt: skip
    return sum(first in groups and second in groups and groups[first] != groups[second] for first, second in pairs)


def _overlap(one: Shown) -> Verdict:
    overlap = one.run.record["overlap"]
    tested = sum(int(told["test"].get("overlapping", 0)) for told in one.run.record["designs"])
    if any(overlap.get("not_looked_at", {}).values()):
        return Verdict("amber", "Near-duplicates of train and test images were not looked for among all images.")
    if tested:
        return Verdict("red", f"{count(tested, 'tested row')} overlap with the training data: these scores flatter.")
    return Verdict("green", "No image, group or near-duplicate is in both the training and the test data.")


def _twins(one: Shown) -> Verdict:
    if one.features is None:
        return Verdict("amber", f"Identical files cannot be counted here: {one.lacking}.")
    diagnoses: dict[str, list[str]] = defaultdict(list)
    for sample, digest in zip(one.features.dataset.samples, one.features.digests, strict=True):
        diagnoses[digest].append(sample.diagnosis)
    twins = [told for digest, told in diagnoses.items() if digest and len(told) > 1]
    differing = sum(len(set(told)) > 1 for told in twins)
    if differing:
        return Verdict("red", f"{count(differing, 'set')} of identical files with differing diagnoses: one is wrong.")
    if twins:
        return Verdict(
            "green", f"{count(len(twins), 'set')} of identical files, each in one group and of one diagnosis."
        )
    return Verdict("green", "No two files are the same byte for byte.")


def _seen(one: Shown) -> Iterator[Part]:
    seen = one.run.record["settings"].get("seen") or []
    rows = {name for entry in seen for name in entry["samples"]}
    if rows:
        yield Verdict("red", f"{count(len(rows), 'row')} were tested although the weights were trained on them "
                             "(--allow-seen): these scores flatter.")  # fmt: skip
    elif one.run.external and one.run.record["settings"].get("allow_seen"):
        yield Verdict("amber", "Rows that the weights were trained on were allowed; the notes below say of any.")
    else:
        yield Verdict("green", "No row was tested that weights trained with featx have seen; of weights that came from "
                               "elsewhere nobody here knows what they saw.")  # fmt: skip


# ---- what --sanity asked


def _rows(one: Shown) -> list[Mapping[str, Any]]:
    return list(one.run.record.get("sanity") or [])


def _judged(rows: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    """Give a verdict for each row; what could not be asked is told once for all designs, what is not judged plainly."""
    lacking = dict.fromkeys((row["what"], row["sentence"]) for row in rows if row["value"] is None)
    yield from (Verdict("amber", f"{what.capitalize()}: {sentence}.") for what, sentence in lacking)
    for row in rows:
        if row["value"] is not None:
            told = f"{row['what'].capitalize()}, {row['design']}: {row['value']:.3f}; {row['sentence']}."
            yield told if row["level"] == "info" else Verdict(row["level"], told)


def _shortcuts(one: Shown) -> Iterator[Part]:
    rows = [row for row in _rows(one) if row["what"].startswith(BESIDE)]
    if rows:
        yield from _judged(rows)
    else:
        yield Verdict(
            "amber", f"Whether the label is told by age, sex, site, source or file was not asked; {SANITY} does."
        )


def _ungrouped(one: Shown) -> Iterator[Part]:
    rows = [row for row in _rows(one) if row["what"] == UNGROUPED]
    if not rows:
        yield Verdict("amber", f"What folds that ignore groups would have flattered was not asked; {SANITY} does.")
    for row in rows:
        shown = row["low"] is not None and row["low"] > 0
        more = "; scores over such folds, here or elsewhere, are not to be held beside these" if shown else ""
        yield Verdict("amber" if shown else "green", f"{row['design']}: {row['sentence']}{more}.")


def _sanity(one: Shown) -> Iterator[Part]:
    rows = [row for row in _rows(one) if row["what"] != UNGROUPED and not row["what"].startswith(BESIDE)]
    if rows:
        yield from _judged(rows)
    else:
        yield Verdict("amber", f"Permuted labels, pixels and random weights were not asked; {SANITY} does.")


# ---- fits, classes, images


def _fits(one: Shown) -> Iterator[Part]:
    results = one.run.record["results"]
    splits = [(result, split) for result in results for split in result.get("splits", [result])]
    edge = Counter(f"{result['design']}, {result['classifier']}" for result, split in splits if split["at_edge"])
    failed = Counter(
        f"{result['design']}, {result['classifier']}" for result, split in splits if not split["converged"]
    )
    total = count(len(splits), "fit")
    if edge:
        yield Verdict("amber", f"The chosen value lies at the end of its grid in {sum(edge.values()):,} of {total}: a "
                               "wider grid may do better.")  # fmt: skip
    else:
        yield Verdict("green", f"No chosen value lies at the end of its grid ({total}).")
    if failed:
        yield Verdict("amber", f"{sum(failed.values()):,} of {total} stopped before they converged.")
    else:
        yield Verdict("green", f"Every fit converged ({total}).")
    if edge or failed:
        rows = tuple((name, edge[name], failed[name]) for name in sorted({*edge, *failed}))
        header = ("design, classifier", "at the grid's end", "not converged")
        yield Table(one.caption("Fits that want a look"), header, rows)


def _classes(one: Shown) -> Iterator[Part]:
    for design in one.run.designs:
        most, least = (pick(design.counts, key=design.counts.__getitem__) for pick in (max, min))
        ratio = design.counts[most] / max(design.counts[least], 1)
        told = f"{design.name}: {design.counts[most]:,} {most} for {design.counts[least]:,} {least}, {ratio:.1f} to 1"
        if design.counts[least] < FEW:
            yield Verdict("amber", f"{told}; with fewer than {FEW} images of a class its numbers hang on a handful.")
        elif ratio >= UNEVEN:
            yield Verdict("amber", f"{told}; accuracy alone says little: read AUC and balanced accuracy.")
        else:
            yield Verdict("green", f"{told}.")


def _skipped(one: Shown) -> Iterator[Part]:
    whole: dict[int, list[str]] = defaultdict(list)
    for told in one.run.features:
        finished = told.get("finished") or {}
        first = finished["parts"][0] if "parts" in finished else finished
        failed, rows = int(first.get("failed", 0)), int(first.get("rows", 0))
        if failed:
            level = "red" if failed > SKIPPED * rows else "amber"
            yield Verdict(level, f"{told['label']}: {failed:,} of {rows:,} images could not be used and have no score.")
        else:
            whole[rows].append(str(told["label"]))
    for rows, labels in whole.items():
        which = labels[0] if len(labels) == 1 else f"{len(labels)} feature files"
        yield Verdict("green", f"{which}: every one of {rows:,} images has features.")
