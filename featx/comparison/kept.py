"""Finished cells, kept: a comparison that was killed goes on where it was, and no cell is computed twice.

A cell's key covers all that goes into it: features by their content, rows, classes, splits, classifier, settings, seed
and the versions of what computes. Computes no score.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from featx import atomic
from featx.classifiers import Verdict
from featx.comparison.question import Question
from featx.matrix import Features
from featx.provenance import digest_json, versions

RULES = 2  # raised whenever a change here or in a classifier gives other verdicts from the same key
COMPUTING = ("featx", "scikit-learn", "numpy", "scipy")


def key_of(table: Features, question: Question, *, classifier: str, settings: Mapping[str, Any]) -> str:
    """Return the digest of everything that a cell is computed from."""
    splits = [[split.train.tolist(), split.test.tolist()] for split in question.splits]
    about = {
        "rules": RULES,
        "features": [table.about["key"], table.about["finished"]],
        "rows": [question.ids, question.groups, question.y.tolist()],
        "splits": digest_json(splits),
        "classifier": classifier,
        "settings": dict(settings),
        "versions": versions(COMPUTING),
    }
    return digest_json(about)


def save(folder: Path, key: str, verdicts: Sequence[Verdict]) -> None:
    """Keep the verdicts of a cell, one a split."""
    plain = ("chosen", "at_edge", "converged", "inner_score", "inner_scheme")
    facts = [{name: getattr(verdict, name) for name in plain} for verdict in verdicts]
    stream = io.BytesIO()
    scores = {f"scores{number}": verdict.scores for number, verdict in enumerate(verdicts)}
    scores |= {f"inner{number}": verdict.inner for number, verdict in enumerate(verdicts) if verdict.inner is not None}
    np.savez(stream, facts=np.array(json.dumps(facts)), **scores)  # type: ignore[arg-type]
    atomic.write_bytes(folder / f"{key[:32]}.npz", stream.getvalue())


def load(folder: Path, key: str) -> list[Verdict] | None:
    """Return the verdicts of a cell, or None where it is not kept, or damaged."""
    path = folder / f"{key[:32]}.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            facts = json.loads(str(held["facts"]))
            return [
                Verdict(
                    scores=held[f"scores{number}"],
                    inner=held.get(f"inner{number}"),
                    **one,
                )
                for number, one in enumerate(facts)
            ]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None
