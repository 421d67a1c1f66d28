"""What a pipeline file says of a leak: whose protocol, on which network, by which classifiers. Knows no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from featx.errors import UsageError
from featx.pipeline.base import Part, on_shelf, with_value
from featx.pipeline.experiment import ARGMAX, Backbone, Classifiers, Train, Transform
from featx.pipeline.leak.protocols import PROTOCOLS


class LeakSpec(Part):
    """A leak to be measured: the same pictures and classifier split as published, by image and by group."""

    id: str = Field(pattern=r"^[\w.+-]+$")
    title: str
    protocol: str = Field(description="whose leak: a name of featx.pipeline.leak.PROTOCOLS")
    data: str = Field("main", description="a name of `datasets`")
    design: str = Field(description="a design of the pipeline")
    backbone: Backbone
    weights: str = Field("imagenet", pattern=r"^(imagenet|random(:\d+)?)$")
    layer: str = "penultimate"
    transform: Transform = Transform()
    train: Train | None = Field(None, description="how the network learns, for argmax")
    classifiers: Classifiers = Field(("svm",), min_length=1)
    params: tuple[str, ...] = ()
    repeats: int = Field(20, ge=2, le=1000, description="hold-outs of each arm")

    @field_validator("protocol")
    @classmethod
    def _known_protocol(cls, name: str) -> str:
        return on_shelf(PROTOCOLS, name)

    @model_validator(mode="after")
    def _agrees(self) -> LeakSpec:
        if (ARGMAX in self.classifiers) != (self.train is not None):
            raise ValueError(f"leak {self.id!r}: a `train` block and the classifier argmax go together")
        return self

    @property
    def designs(self) -> tuple[str, ...]:
        """Its design, where an experiment has several."""
        return (self.design,)

    @property
    def start(self) -> None:
        """The experiment that it starts from: none."""
        return None

    def changed(self, changes: Mapping[str, Any]) -> LeakSpec:
        """Return it with some dotted fields changed.

        Raises
        ------
        UsageError
            Where that makes no sense.
        """
        raw = self.model_dump()
        for path, value in changes.items():
            raw = with_value(raw, path, value)
        try:
            return type(self).model_validate(raw)
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"leak {self.id!r}, {', '.join(changes)}: {told}") from None
