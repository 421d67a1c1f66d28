"""Whether the files of a run belong together, and its record holds what a page asks of it. Reads no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featx.report.reading import Run

NEEDED: dict[bool, dict[str, set[str]]] = {  # what the page asks of each entry of a record, by whether it is external
    False: {
        "results": {"design", "classifier", "features", "splits"},
        "judged": {"design", "intervals", "chosen_inside", "winner", "notes"},
        "sanity": {"what", "design", "value", "low", "high", "level", "sentence"},
        "notes": set(),
    },
    True: {"results": {"design", "classifier", "low", "high", "at_edge", "converged"}, "notes": set()},
}
REQUIRED = ("results", "judged", "notes")


def check(run: Run) -> None:
    """Refuse files that are of different runs.

    Raises
    ------
    ValueError, KeyError, TypeError
        What does not fit.
    """
    asked = {design.name for design in run.designs}
    if {key[0] for key in run.scores} != asked or set(run.scores) != set(run.sides):
        raise ValueError("run.json, scores.csv and predictions.csv speak of different designs, features or classifiers")
    for design in run.designs:
        for key in run.keys(design):
            splits = {metric: len(values) for metric, values in run.scores[key].items()}
            if splits[design.metric] != len(run.sides[key]):
                raise ValueError("scores.csv and predictions.csv have different splits")
    if not isinstance(run.record["settings"], dict) or not isinstance(run.dataset["kept"], int):
        raise ValueError("the record's settings or dataset are not as featx writes them")
    for name, wanted in NEEDED[run.external].items():
        for entry in run.record[name] if name in REQUIRED else run.record.get(name) or ():
            if lacking := wanted - set(entry):
                raise ValueError(f"an entry of {name} in run.json lacks {', '.join(sorted(lacking))}")
    for told in run.features:
        _ = told["label"], told["file"], told["key"]
    _ = run.record["data"], run.record["id"], run.dataset["name"], run.dataset["grouping"], run.dataset["found"]
