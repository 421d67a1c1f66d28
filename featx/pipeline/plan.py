"""What a run will do: steps, where their results stand in the tables, what is left out, and what is to be told.

Asks the disk for sizes and times of images alone. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from featx.datasets import Dataset
from featx.designs import Design
from featx.pipeline.experiment import Experiment
from featx.pipeline.given import Asked, Material
from featx.pipeline.schema import Pipeline
from featx.pipeline.steps import Step
from featx.pipeline.variants import Variant
from featx.provenance import digest_json


@dataclass(frozen=True)
class Asking:
    """A comparison of a variant, and where it stands in the tables.

    Attributes
    ----------
    variant : Variant
        What was compared.
    draw : int
        Number of the plan of folds.
    step : Step
        The comparison.
    training : Step or None
        What made its features, where a network was trained.
    """

    variant: Variant
    draw: int
    step: Step
    training: Step | None


@dataclass
class Plan:
    """What a run will do.

    Attributes
    ----------
    pipeline, asked, material, seed
        What it is made from.
    steps : dict of str to Step
        By digest, in an order in which they can be run.
    askings : list of Asking
        The comparisons, for the tables.
    designs : dict of tuple of str to Design
        What is asked of a dataset for a design of the study (``(data, design)``).
    left_out : dict of str to str
        Experiments that are not run, and why.
    sources : list of Experiment
        What is trained on all of a dataset, to start from.
    random : dict of str to str
        Experiments that begin with random weights where the study has ImageNet's, with what the tables say of it.
    notes : list of str
        What the user should know.
    """

    pipeline: Pipeline
    asked: Asked
    material: Material
    seed: int
    steps: dict[str, Step] = field(default_factory=dict)
    askings: list[Asking] = field(default_factory=list)
    designs: dict[tuple[str, str], Design] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    sources: list[Experiment] = field(default_factory=list)
    random: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, step: Step) -> Step:
        """Take a step once; return the one that is held."""
        return self.steps.setdefault(step.digest, step)

    @property
    def title(self) -> str:
        """The data of the run, for tables and records; synthetic ones say so in it."""
        return ", ".join(dataset.title for dataset in self.material.datasets.values())

    @cached_property
    def identities(self) -> dict[str, str]:
        """Digest of each dataset: its table, and size and time of every image."""
        return {name: _identity(dataset) for name, dataset in self.material.datasets.items()}


def stamped(text: str) -> list[Any]:
    """Return a file's name with its size and time, or a word."""
    return [text, *_stat(Path(text))] if Path(text).is_file() else [text]


def _stat(path: Path) -> Iterator[int]:
    found = path.stat()
    yield from (found.st_size, found.st_mtime_ns)


def _identity(dataset: Dataset) -> str:
    sizes = []
    for sample in dataset.samples:
        path = dataset.root / sample.path
        sizes.append([*_stat(path)] if path.is_file() else [])
    return digest_json([replace(dataset, notes=()).to_table(), [s.path for s in dataset.samples], sizes])
