"""What a feature file is, what was found wrong with it, what lies in a cache, and what merging came to."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.cache import FeatureFile
from featx.cache.merging import Merged
from featx.cache.origins import PLAIN, Origins, origins_in, rows_by_origin
from featx.cache.places import Places
from featx.cache.shards import shard_of
from featx.cache.verifying import OTHER_BYTES, Verification
from featx.datasets import ADAPTERS, from_table
from featx.datasets.base import slug
from featx.description.words import aligned, dataset_line, shown_name
from featx.errors import FeatxError
from featx.housekeeping import REASONS, Entry, Section

SHOWN = 10
NOT_TOLD = ("merged", "versions", "command", "root", "weights", "weights_file", "weights_note", "dataset")


def of_features(path: Path) -> str:
    """Return what a feature file holds, from what it was made, and the command that makes it again."""
    with FeatureFile.open(path) as file:
        spec, env, done = file.spec, file.env, file.finished if file.complete else None
        lines = [
            f"{path}: {file.n} rows x {file.dim} features, {file.dtype}, {size(path.stat().st_size)}",
            _data_line(file),
            _state_line(file, done),
            f"backbone {spec.get('backbone')}, layer {spec.get('layer')}, pool {spec.get('pool')}, "
            f"precision {spec.get('precision')}",
            _weights_line(spec, env),
            f"transform {_values(spec.get('transform'))}",
            f"normalise {_values(spec.get('normalise'))}",
            f"images under {env.get('root')}" + ("" if Path(str(env.get("root"))).is_dir() else " (not there now)"),
            f"key {file.key}",
            *([f"content {done['content']}, finished {done['finished']}"] if done else []),
            "computed with " + ", ".join(f"{name} {v}" for name, v in env.get("versions", {}).items() if v),
            "on "
            + ", ".join(f"{name} {value}" for name, value in env.items() if name not in NOT_TOLD and _short(value)),
            *_history(file),
            f"made by: {shown_name(str(env.get('command')))}",
            f"again: {command(file)}",
        ]
    return "\n".join(lines)


def _data_line(file: FeatureFile) -> str:
    """Return what the dataset is; a shard carries the table of the whole."""
    part = shard_of(file.path)
    if part is None:
        return dataset_line(from_table(file.table, file.paths))
    return f"shard {part[1]} of {part[0].name}; `featx merge` puts shards together"


def _state_line(file: FeatureFile, done: Mapping[str, Any] | None) -> str:
    if done:
        return f"complete: {done['ok']} with features, {done['failed']} failed"
    lacking = int((~file.valid()).sum())
    return f"not complete: {lacking} of {file.n} rows are missing or damaged; run the extraction again for just these"


def _weights_line(spec: Mapping[str, Any], env: Mapping[str, Any]) -> str:
    source = f", {shown_name(str(env['weights_file']))}" if env.get("weights_file") else ""
    return (
        f"weights {env.get('weights')} ({env.get('weights_note')}{source}), sha256 of the tensors {spec.get('weights')}"
    )


def _values(value: Any) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def _short(value: Any) -> bool:
    """Return whether a value of the environment fits into a line of many."""
    return isinstance(value, str | int) and bool(value)


def _history(file: FeatureFile) -> list[str]:
    """Return what had a hand in the rows: what computed how many of them, merged shards."""
    env, origins = file.env, origins_in(file.env)
    counts = rows_by_origin(file)
    lines = [_origin_line(tag, count, origins) for tag, count in counts.items()] if len(counts) > 1 else []
    if merged := env.get("merged"):
        lines.append(f"merged from {len(merged)} shards: " + ", ".join(str(part.get("file")) for part in merged))
    return lines


def _origin_line(tag: str, count: int, origins: Origins) -> str:
    """Return what computed some rows, and with which others it was compared."""
    origin = origins.get(tag, {})
    words = [str(part) for name in PLAIN if (part := origin.get("what", {}).get(name))]
    words += [f"{name} {version or 'none'}" for name, version in _other_versions(origin, origins)]
    words += [f"host {origin['host']}"] if origin.get("host") else []
    agreed = [f"{told['rows']} rows of others computed again: {told['worst']}" for told in _agreements(origin)]
    rows = f"{count} row{'s' * (count != 1)}"
    return "; ".join([f"{rows} by {', '.join(words) or 'what is not told'}", *agreed])


def _other_versions(origin: Mapping[str, Any], origins: Origins) -> list[tuple[str, Any]]:
    """Return the versions in which an origin differs from any other of the file."""
    told = [one["what"].get("versions") or {} for one in origins.values()]
    own = origin.get("what", {}).get("versions") or {}
    return [(name, version) for name, version in own.items() if any(one.get(name) != version for one in told)]


def _agreements(origin: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [told for told in origin.get("agrees", {}).values() if isinstance(told, dict)]


def command(file: FeatureFile) -> str:
    """Return the command that makes a feature file again; what is featx's default is left out.

    Labels that lay elsewhere, and columns that were named, stand only in the command that made it.
    """
    spec, env = file.spec, file.env
    transform, weights = spec.get("transform") or {}, str(env.get("weights"))
    words = ["featx", "extract", str(env.get("root")), *_dataset_words(file), "--backbone", str(spec.get("backbone"))]
    words += ["--layer", str(spec.get("layer")), *_weights_words(weights, env)]
    told = {
        "--precision": (spec.get("precision"), None),
        "--pool": (spec.get("pool"), "avg"),
        "--size": (transform.get("size"), None),
        "--resize": (transform.get("resize"), "squash"),
        "--interpolation": (transform.get("interpolation"), "bilinear"),
    }
    for option, (value, default) in told.items():
        words += [option, str(value)] if value not in (None, default) else []
    words += ["--no-antialias"] if transform.get("antialias") is False else []
    words += ["--trim"] if transform.get("trim") else []
    return shlex.join([*words, *_place_words(file)])


def _dataset_words(file: FeatureFile) -> list[str]:
    """Return the format of the dataset and its name, as far as the table in the file tells them."""
    try:
        dataset = from_table(file.table, file.paths)
    except FeatxError:  # a shard carries the table of the whole
        return []
    words = ["--dataset", dataset.adapter] if dataset.adapter in ADAPTERS else []
    return [*words, "--name", dataset.name] if dataset.name != slug(dataset.root.name) else words


def _place_words(file: FeatureFile) -> list[str]:
    """Return the cache that a file lies in, where that is not the usual one."""
    root = file.path.absolute().parent.parent
    return [] if root == Places.at().root.absolute() else ["--cache", str(root)]


def _weights_words(label: str, env: Mapping[str, Any]) -> list[str]:
    if label == "none":
        return []
    if label.startswith("random"):
        return ["--weights", f"random:{label.removeprefix('random')}"]
    return ["--weights", label if label == "imagenet" else str(env.get("weights_file") or label)]


def verified(found: Verification, *, verbose: bool = False) -> str:
    """Return what a look at every row of a feature file found, and what to do about it."""
    head = "sound" if found.sound else "NOT SOUND"
    lines = [f"{found.path}: {head}; {found.rows} rows: {found.ok} with features, {found.failed} of failed images"]
    lines += [f"  {what}" for what in (found.name, found.finish) if what]
    if found.bad:
        lines.append(f"  {len(found.bad)} bad row{'s' * (len(found.bad) > 1)}:")
        shown = list(found.bad.items())[: None if verbose else SHOWN]
        lines += [f"    {shown_name(name)}: {what}" for name, what in shown]
        lines += [f"    ... and {len(found.bad) - len(shown)} more (--verbose)"] if len(found.bad) > len(shown) else []
    lines.append(f"  {_images_line(found)}")
    if found.bad or found.finish:
        lines.append(f"  mend: {_mending(found)}")
    return "\n".join(lines)


def _images_line(found: Verification) -> str:
    if found.root is None:
        return "images were not looked at: their folder is not there (--root FOLDER), or --no-images was given"
    absent = f"; {len(found.absent)} are not there" if found.absent else ""
    where = shown_name(str(found.root))
    return f"{found.images} images in {where} have the bytes that their rows were computed from{absent}"


def _mending(found: Verification) -> str:
    with FeatureFile.open(found.path) as file:
        again = command(file)
    unseen = any(what == OTHER_BYTES for what in found.bad.values())
    return f"{again}{' --verify-images' if unseen else ''}   (it computes just these rows)"


def listed(
    entries: Sequence[Entry],
    rest: Mapping[str, int],
    *,
    places: Places,
    sections: Sequence[Section] = (),
    verbose: bool = False,
) -> str:
    """Return what lies in a cache, with size, age and what is against it."""
    if not entries and not rest and not sections:
        return f"{places.root} holds nothing yet"
    lines = []
    if entries:
        rows = [["file", "size", "age", "rows", ""], *(_row(entry, places.root) for entry in entries)]
        lines += _left_last(rows)
    if verbose:
        lines += [f"  {entry.path.name}: {why}" for entry in entries for why in entry.stale.values()]
    if sections:
        rows = [["made again when wanted", "size", "newest", "oldest", "files", ""], *map(_section_row, sections)]
        lines += ["", *_left_last(rows)] if entries else _left_last(rows)
    if verbose:
        rows = [_row(entry, places.root) for section in sections for entry in section.entries]
        lines += _left_last([["file", "size", "age", ""], *([*row[:3], row[4]] for row in rows)]) if rows else []
    total = sum(entry.size for entry in entries)
    other = "".join(f"; {name} {size(count)}" for name, count in rest.items())
    other += f"; made again when wanted {size(sum(_size_of(section) for section in sections))}" if sections else ""
    lines.append(f"{places.root}: features {size(total)} in {_files(len(entries))}{other}")
    return "\n".join(lines)


def _section_row(section: Section) -> list[str]:
    ages = [entry.age(time.time()) for entry in section.entries]
    against = Counter(reason for entry in section.entries for reason in entry.stale)
    told = ", ".join(f"{count} {reason}" for reason, count in against.items())
    name = f"{section.what} ({section.folder}/)"
    return [name, size(_size_of(section)), age(min(ages)), age(max(ages)), f"{len(ages):,}", told]


def _size_of(section: Section) -> int:
    return sum(entry.size for entry in section.entries)


def _left_last(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return columns of which the last, words of any length, stands to the left."""
    lines = aligned([row[:-1] for row in rows])
    return [f"{line}  {row[-1]}".rstrip() for line, row in zip(lines, rows, strict=True)]


def _row(entry: Entry, root: Path) -> list[str]:
    rows = f"{entry.rows - entry.missing:,}" if entry.rows else "-"
    reasons = ", ".join(
        f"{reason} ({entry.stale[reason]})" if reason != "damaged" else reason for reason in entry.stale
    )
    return [str(entry.path.relative_to(root)), size(entry.size), age(entry.age(time.time())), rows, reasons]


def to_prune(entries: Sequence[Entry], *, places: Places) -> str:
    """Return what would be deleted, and why."""
    lines = [f"  {e.path.relative_to(places.root)}  {size(e.size)}: {_reason(e)}" for e in entries]
    total = size(sum(entry.size for entry in entries))
    return "\n".join([f"to be deleted, {_files(len(entries))} of {total}:", *lines])


def _reason(entry: Entry) -> str:
    return "; ".join(f"{reason}: {why or REASONS[reason]}" for reason, why in entry.stale.items())


def pruned(gone: Sequence[Entry], kept: Mapping[Path, str]) -> str:
    """Return what was deleted, and what stays."""
    lines = [f"deleted {_files(len(gone))}, {size(sum(entry.size for entry in gone))}"]
    return "\n".join([*lines, *(f"stays: {path}: {why}" for path, why in kept.items())])


def merged(found: Merged) -> str:
    """Return what merging came to."""
    state = f"incomplete: {len(found.pending)} rows are pending" if found.pending else "complete"
    return f"{found.rows} rows, {found.failed} of failed images; {state}\nfeatures: {found.path}"


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def size(count: int) -> str:
    """Return bytes in a unit that suits them."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count} B"


def age(seconds: float) -> str:
    """Return an age in the largest unit that fits twice."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
