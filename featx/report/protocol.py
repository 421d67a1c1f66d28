"""The chapter on a study: its own tables with the published numbers, its figures, and what was done otherwise.

Published numbers stand where the study's run has put them, by its rule; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx import charts
from featx.errors import RunError
from featx.page import Bullets, Cell, Figure, Part, Section, Table, Verdict
from featx.report.study import AGAIN, Study

STUDY = "Study"
STANDINGS = {  # how published numbers stand to a dataset: the level, and what is said
    "own": ("green", "{title} is the study's {study} by its format and size: published numbers stand beside."),
    "withheld": ("amber", "{title}: no data of the study ({study}). The published numbers are withheld."),
    "other": ("amber", "{title} is another dataset than the study's ({study}): published numbers are headed so, and "
                       "are not to be compared number by number."),
}  # fmt: skip


def protocol(study: Study) -> list[Section]:
    """Return the sections on a study.

    Raises
    ------
    RunError
        Where its record is not as ``featx run`` writes it.
    """
    try:
        return list(_sections(study))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        told = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RunError(f"{study.folder} does not hold a whole run of a study ({told}); {AGAIN}") from error


def _sections(study: Study) -> Iterator[Section]:
    record, own = study.record, study.record["pipeline"]
    yield Section("What was run", tuple(_run(study)), STUDY)
    if record["tables"]:
        yield Section("Tables of the study", tuple(_tables(record["tables"])), STUDY)
    if record["figures"]:
        yield Section("Figures of the study", tuple(_figure(told) for told in record["figures"]), STUDY)
    if own["differs"]:
        yield Section("What differs from the study", (Bullets(tuple(map(str, own["differs"]))),), STUDY)
    if own["readings"]:
        yield Section("How the study was read", (_readings(own["readings"]),), STUDY)
    if record["notes"]:
        notes = tuple(dict.fromkeys(map(str, record["notes"])))
        yield Section("What this run changed, left out or was told", (Bullets(notes),), STUDY)


def _run(study: Study) -> Iterator[Part]:
    record = study.record
    yield (
        f"featx runs the protocol of {study.cite}. Scale: {record['scale']}; seed {record['seed']}; "
        f"{len(record['comparisons'])} comparisons. All of it in words: methods.md in the run's folder."
    )
    for told in record["datasets"].values():
        level, words = STANDINGS[told["standing"]]
        yield Verdict(level, words.format(title=told["title"], study=told["study"]))
    if record["scale"] != "full":
        yield Verdict("amber", f"Scale {record['scale']}: fewer images and epochs than the study's, so that these "
                               "numbers say nothing of its results.")  # fmt: skip
    if record["random"]:
        names = ", ".join(record["random"])
        yield Verdict("amber", f"Random weights in the place of ImageNet's, as none were given: {names}.")
    reasons: dict[str, list[str]] = {}
    for name, why in record["left_out"].items():
        reasons.setdefault(str(why), []).append(str(name))
    yield from (Verdict("amber", f"Left out: {', '.join(names)}: {why}.") for why, names in reasons.items())
    rows = tuple((str(one["title"]), str(one["study"]), int(one["found"]), int(one["used"]))
                 for one in record["datasets"].values())  # fmt: skip
    yield Table("Datasets", ("dataset", "for the study's", "images found", "used"), rows)


# ---- tables, figures, readings


def _tables(tables: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    for told in tables:
        heads = tuple(map(str, told["heads"]))
        rows = tuple(_row(*both) for both in zip(told["rows"], told["values"], strict=True))
        if any(len(row) != len(heads) for row in rows):
            raise ValueError(f"table {told['id']} has rows of another length than its head")
        caption = str(told["title"]) + (f" · {told['data']}" if told["data"] else "")
        yield Table(caption, heads, rows)
        if told["notes"]:
            yield Bullets(tuple(map(str, told["notes"])))


def _row(shown: Sequence[str], values: Sequence[Any]) -> tuple[Cell, ...]:
    """Return numbers as numbers, with the digits that a reader can use, and all else as the study's table shows it."""
    return tuple(_cell(*both) for both in zip(shown, values, strict=True))


def _cell(shown: str, value: Any) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value)
    return str(shown) or None


def _figure(told: Mapping[str, Any]) -> Figure:
    title = str(told["title"])
    picture = charts.draw(str(told["kind"]), told["given"], says=title)
    rows = tuple(tuple(map(_number, row)) for row in told["rows"])
    return Figure(picture, Table(title, tuple(map(str, told["heads"])), rows))


def _number(value: Any) -> Cell:
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.6g}")
    return value if value is None or isinstance(value, int) else str(value)


def _readings(readings: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple((str(one["about"]), str(one["says"]), str(one["here"])) for one in readings)
    return Table("Where the study is silent or contradicts itself", ("about", "the study", "here"), rows)
