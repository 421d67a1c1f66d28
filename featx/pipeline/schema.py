"""What a pipeline file may say, as models that are checked once: a study, its data, designs, experiments and tables.

A new paper is one YAML of this schema. Knows no data, runs nothing, and never asks the disk for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from featx.datasets import ADAPTERS
from featx.designs import DESIGNS, READINGS, Design
from featx.designs import get as design_of_shelf
from featx.errors import UnknownName
from featx.pipeline.base import Part, merged, on_shelf
from featx.pipeline.experiment import Experiment
from featx.pipeline.leak.spec import LeakSpec
from featx.pipeline.shown import Figure, Pairs, Table

MAIN = "main"
SMOKE, FULL = "smoke", "full"


class Study(Part):
    """Whose protocol it is."""

    cite: str
    doi: str | None = None
    sources: tuple[str, ...] = Field(default=(), description="where the facts of this file are from")


class Data(Part):
    """A dataset that the study used."""

    title: str
    adapters: tuple[str, ...] = Field(default=(), description="formats that hold this very dataset")
    images: int | None = Field(default=None, ge=1, description="how many images the study had")
    tolerance: float = Field(default=0.02, ge=0, le=0.2, description="by what share a copy may differ and still be it")
    optional: bool = False
    shortcuts: bool = Field(False, description="whether to ask what tells its classes without the picture")
    notes: tuple[str, ...] = ()

    @field_validator("adapters")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(on_shelf(ADAPTERS, name) for name in names)


class DesignSpec(Part):
    """A question: a design of the shelf, or classes of its own; and what is asked instead of data without an answer."""

    ask: str
    title: str | None = None
    classes: dict[str, tuple[str, ...]] | None = None
    drop: dict[str, str] = Field(default_factory=dict, description="diagnosis: why it is left out")
    instead: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"ask": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _known(self) -> DesignSpec:
        for name in (*self.instead, *(() if self.classes else (self.ask,))):
            on_shelf(DESIGNS, name)
        if self.classes is not None and (self.ask in DESIGNS or len(self.classes) < 2):
            raise ValueError(f"design {self.ask!r} of one's own needs a name of its own and two classes at least")
        return self

    @property
    def shown(self) -> str:
        """What it is called in tables."""
        return self.title or self.ask

    def design(self, readings: Mapping[str, str]) -> Design:
        """Return the design."""
        if self.classes is None:
            return design_of_shelf(self.ask, **readings)
        return Design(self.ask, self.classes, self.drop)


class Scale(Part):
    """What is changed at a scale, by dotted fields of experiments (``train.epochs``); all of it is told."""

    images: dict[str, int] = Field(default_factory=dict, description="images drawn of each dataset, by its name")
    set: dict[str, Any] = Field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = Field(default_factory=dict, description="the same for one experiment")
    leaks: dict[str, dict[str, Any]] = Field(default_factory=dict, description="the same for one leak")
    grid: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="labels that are kept of an axis")
    leave_out: dict[str, str] = Field(default_factory=dict, description="experiment: why")

    @field_validator("grid", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {axis: [one if isinstance(one, str) else f"{one:g}" for one in kept] for axis, kept in value.items()}


class Reading(Part):
    """Where a study is silent or contradicts itself: what it says, and what is done here."""

    about: str
    says: str
    here: str


class Pipeline(Part):
    """A pipeline file."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    study: Study
    datasets: dict[str, Data]
    designs: tuple[DesignSpec, ...] = Field(min_length=1)
    policies: dict[str, str] = Field(default_factory=dict, description="akiec, scc: drop, benign or malignant")
    seed: int = Field(default=0, ge=0, lt=2**32)
    defaults: dict[str, Any] = Field(default_factory=dict, description="fields of every experiment; train where it has")
    experiments: tuple[Experiment, ...] = Field(min_length=1)
    leaks: tuple[LeakSpec, ...] = ()
    scales: dict[str, Scale] = Field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    pairs: tuple[Pairs, ...] = Field(default=(), description="results whose differences are tested")
    figures: tuple[Figure, ...] = ()
    readings: tuple[Reading, ...] = ()
    differs: tuple[str, ...] = Field(default=(), description="what featx does otherwise, and why")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        """Put the defaults under every experiment; those of ``train`` under the ones that train."""
        if not isinstance(value, dict) or not isinstance(value.get("defaults", {}), dict):
            return value
        defaults, asked = value.get("defaults", {}), value.get("experiments")
        if not isinstance(asked, (list, tuple)):
            return value
        return {**value, "experiments": [_over(defaults, one) if isinstance(one, dict) else one for one in asked]}

    @field_validator("policies")
    @classmethod
    def _readings(cls, policies: dict[str, str]) -> dict[str, str]:
        for about, reading in policies.items():
            if about not in ("akiec", "scc") or reading not in READINGS:
                raise ValueError(f"policies take akiec and scc, each {', '.join(READINGS)}; {about}: {reading} came")
        return policies

    @model_validator(mode="after")
    def _agrees(self) -> Pipeline:
        if MAIN not in self.datasets:
            raise ValueError(f"datasets has no {MAIN!r}, the one that --data gives")
        _once("experiment", [one.id for one in self.experiments])
        _once("leak", [one.id for one in self.leaks])
        _once("design", [one.ask for one in self.designs])
        shown = [*(one.id for one in self.tables), *(one.id for one in self.pairs), *(one.id for one in self.figures)]
        _once("table, pair or figure", shown)
        for experiment in self.experiments:
            self._check(experiment)
        for name, scale in self.scales.items():
            if name not in (SMOKE, FULL):
                raise ValueError(f"scales are {SMOKE} and {FULL}; {name!r} came")
            for named in scale.experiments:
                self._known("experiment", named, [one.id for one in self.experiments])
            for named in scale.leave_out:
                known = [*(one.id for one in self.experiments), *(one.id for one in self.leaks)]
                self._known("experiment or leak", named, known)
            for named in scale.leaks:
                self._known("leak", named, [one.id for one in self.leaks])
            for named in scale.images:
                self._known("dataset", named, self.datasets)
        for leak in self.leaks:
            self._known("dataset", leak.data, self.datasets)
            self._known("design", leak.design, [one.ask for one in self.designs])
        for published in (one for table in self.tables for one in table.published):
            self._known("dataset", published.data, self.datasets)
        return self

    def _check(self, experiment: Experiment) -> None:
        self._known("dataset", experiment.data, self.datasets)
        for design in experiment.designs or ():
            self._known("design", design, [one.ask for one in self.designs])
        sources = [one.id for one in self.experiments if one.source and one.id != experiment.id]
        if experiment.start is not None:
            self._known("experiment to start from (folds: all)", experiment.start, sources)
            other = self.experiment(experiment.start)
            if other.backbone != experiment.backbone:
                raise ValueError(f"experiment {experiment.id!r} is {experiment.backbone} and starts from {other.id!r}, "
                                 f"which is {other.backbone}; take one network")  # fmt: skip

    @staticmethod
    def _known(kind: str, name: str, known: Iterable[str]) -> None:
        if name not in (names := list(known)):
            raise ValueError(str(UnknownName(kind, name, names)))

    def experiment(self, name: str) -> Experiment:
        """Return an experiment by its id."""
        return next(one for one in self.experiments if one.id == name)

    def design(self, name: str) -> DesignSpec:
        """Return a design by the name that it is asked under."""
        return next(one for one in self.designs if one.ask == name)


def _over(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    given = (
        dict(defaults) if isinstance(own.get("train"), dict) else {k: v for k, v in defaults.items() if k != "train"}
    )
    return merged(given, own)


def _once(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {kind} {name!r} stands twice; each needs a name of its own")
