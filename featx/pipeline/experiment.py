"""One experiment of a pipeline file: a network, what it starts from, how it learns, and who judges its features.

The fields of ``train`` are those of :class:`featx.training.settings.Settings`, so that a setting has one name
everywhere. Knows no data and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, Field, create_model, field_validator, model_validator

from featx import augment
from featx.backbones import BACKBONES
from featx.classifiers import CLASSIFIERS
from featx.errors import UsageError
from featx.pipeline.base import Part, on_shelf
from featx.training.settings import Settings

ALL = "all"  # folds that leave nothing out: weights to start from on other data
ARGMAX, LOGITS = "argmax", "logits"
Backbone = Annotated[str, AfterValidator(lambda name: on_shelf(BACKBONES, name))]
Classifiers = Annotated[tuple[str, ...], AfterValidator(lambda names: tuple(on_shelf(CLASSIFIERS, n) for n in names))]
_ELSEWHERE = ("augmentation", "seed")  # said by ``augment``, and by the pipeline's seed
_HINTS = get_type_hints(Settings)
_GIVEN: dict[str, Any] = {
    one.name: (_HINTS[one.name], "fp32" if one.name == "precision" else one.default)
    for one in fields(Settings)
    if one.name not in _ELSEWHERE
}
Learning: Any = create_model("Learning", __base__=Part, **_GIVEN)


class Transform(Part):
    """How images become what a network takes; as the options of ``featx extract``."""

    size: int | None = Field(default=None, ge=8, le=4096, description="side in pixels; 224, or the network's only size")
    resize: Literal["squash", "crop"] = "squash"
    interpolation: Literal["bilinear", "bicubic", "lanczos", "box", "nearest"] = "bilinear"
    antialias: bool = True
    trim: bool = False
    normalise: Literal["imagenet", "mean-only", "caffe", "-1..1", "unit", "0..255"] | None = None


class Train(Learning):  # type: ignore[misc]
    """How a network learns: what is frozen, its head, and the settings of training."""

    freeze: str = "none"
    cut: str | None = None
    head: str = "linear"
    dropout: float | None = None
    augment: str = Field(default="none", description="as --augment of featx finetune: flip,right-angles or paper")

    @model_validator(mode="after")
    def _sound(self) -> Train:
        try:
            self.settings(seed=0)
        except UsageError as error:
            option = re.sub(r"^--[a-z-]+", lambda found: found[0][2:].replace("-", "_"), str(error))
            raise ValueError(option) from None
        return self

    def settings(self, *, seed: int) -> Settings:
        """Return them as training takes them."""
        given = {name: getattr(self, name) for name in _GIVEN}
        return Settings(**given, augmentation=augment.parse(self.augment), seed=seed)


class Point(Part):
    """One value of an axis of a grid: how it is called, and what it sets.

    ``set`` maps dotted fields of the experiment (``train.l2``) to values.
    """

    label: str = Field(pattern=r"\S")
    set: dict[str, Any]


Axis = tuple[Point, ...]


class Experiment(Part):
    """A network and its features under all designs, classifiers and folds asked for; times the points of a grid."""

    id: str = Field(pattern=r"^[\w.+-]+$")
    title: str
    data: str = Field(default="main", description="a name of `datasets`")
    backbone: Backbone
    weights: str = Field(default="imagenet", pattern=r"^(imagenet|random(:\d+)?)$")
    start: str | None = Field(default=None, alias="from", description="another experiment, whose folds are `all`")
    layers: tuple[str, ...] = ("penultimate",)
    pool: Literal["avg", "max", "flatten", "gem"] = "avg"
    transform: Transform = Field(default_factory=Transform)
    train: Train | None = None
    train_share: float = Field(default=1.0, gt=0, le=1, description="share of the rows of each train side that is used")
    folds: str = "5x2"
    draws: int = Field(default=1, ge=1, le=100, description="plans of folds drawn, with seeds one after the other")
    designs: tuple[str, ...] | None = Field(default=None, description="those of the pipeline by default")
    classifiers: Classifiers = ("svm",)
    scale: Literal["l2", "standard", "none"] | None = None
    inner: Literal["kfold", "shuffle10"] = "kfold"
    params: tuple[str, ...] = ()
    accelerate: Literal["none", "numba", "intel"] = "none"
    unit: str = "image"
    grid: tuple[dict[str, Axis], ...] = Field(
        default=(), description="products of axes; several are put one after the other"
    )
    note: str | None = None

    @field_validator("grid", mode="before")
    @classmethod
    def _grids(cls, value: Any) -> Any:
        """Take one product for a list of one, and a plain value for a point that sets the field named by its axis."""
        products = [value] if isinstance(value, dict) else value
        if not isinstance(products, (list, tuple)) or not all(isinstance(one, dict) for one in products):
            raise ValueError("a map from axes to lists of values is expected, or a list of such maps")
        return [{axis: _points(axis, points) for axis, points in one.items()} for one in products]

    @model_validator(mode="after")
    def _agrees(self) -> Experiment:
        if self.source and self.train is None:
            raise ValueError(f"experiment {self.id!r}: folds `all` are for training; give it a `train` block")
        if self.source and (self.draws > 1 or self.train_share < 1):
            raise ValueError(f"experiment {self.id!r}: folds `all` go with neither draws nor train_share")
        for text in self.params:
            if not fixed([text], self.classifiers):
                raise ValueError(f"params: none of {', '.join(self.classifiers)} has {text!r}; write NAME=VALUE (C=1)")
        if ARGMAX in self.classifiers and self.train is None:
            raise ValueError(f"experiment {self.id!r}: argmax is the verdict of a network that has a `train` block")
        return self

    @property
    def source(self) -> bool:
        """Whether it only makes weights for others to start from."""
        return self.folds == ALL

    def layers_for(self, classifier: str) -> tuple[str, ...]:
        """Return the layers that a classifier is asked on: the network's own verdict stands in its logits."""
        return (LOGITS,) if classifier == ARGMAX else tuple(name for name in self.layers if name != LOGITS)


def fixed(params: Sequence[str], classifiers: Sequence[str]) -> list[str]:
    """Return the fixed hyperparameters (``C=1``, ``svm:C=1``) that one of these classifiers has."""
    found = []
    for text in params:
        whose, _, name = text.partition("=")[0].rpartition(":")
        if any(whose in ("", one) and name in CLASSIFIERS[one].defaults for one in classifiers):
            found.append(text)
    return found


def _points(axis: str, points: Any) -> Any:
    if not isinstance(points, (list, tuple)) or not points:
        raise ValueError(f"axis {axis!r} takes a list of values")
    return [p if isinstance(p, (dict, Point)) else {"label": _label(p), "set": {axis: p}} for p in points]


def _label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
