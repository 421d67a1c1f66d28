"""What a pipeline file says of its tables, published numbers and figures. Knows no results."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from featx.pipeline.base import Part

METRIC = "metric"
Where = dict[str, tuple[str, ...]]


def _lists(value: Any) -> Any:
    return {k: [v] if isinstance(v, str) else v for k, v in value.items()} if isinstance(value, dict) else value


class Published(Part):
    """Numbers that were published, by the keys of the table's rows, then of its columns."""

    head: str = Field(default="published", description="what its column is called")
    source: str = Field(description="who published them, and where")
    data: str = Field(default="main", description="the dataset of `datasets` that they are of")
    unit: Literal["share", "percent"] = "share"
    metric: str | None = Field(default=None, description="the metric, where the values do not name it")
    values: dict[str, Any]

    @field_validator("values", mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        """Take numbers that name rows or columns (a sweep's values) for their labels."""
        if not isinstance(values, dict):
            return values
        return {f"{k:g}" if isinstance(k, float) else str(k): cls._named(v) for k, v in values.items()}


class Metric(Part):
    """A metric of a table: its name, and what it is called there. ``main`` is AUC, or Hand and Till's M."""

    name: str
    title: str

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"name": value, "title": value} if isinstance(value, str) else value


class Shown(Part):
    """What tables and figures share: which results they show."""

    id: str = Field(pattern=r"^[\w.-]+$")
    title: str
    metrics: tuple[Metric, ...] = (Metric(name="main", title="AUC"),)
    where: Where = Field(default_factory=dict, description="only results with these experiments, designs, axes ...")
    notes: tuple[str, ...] = ()

    _where = field_validator("where", mode="before")(_lists)


class Table(Shown):
    """A table: rows by some keys, columns by one; keys are experiment, design, classifier, layer, metric and axes."""

    rows: tuple[str, ...] = Field(min_length=1)
    columns: str = METRIC
    interval: bool = Field(False, description="whether the main metric has its 95 % interval beside it")
    summary: bool = Field(False, description="whether a last row has mean and population deviation of each column")
    decimals: int = Field(default=3, ge=0, le=6)
    layout: Literal["beside", "below"] = Field(
        default="beside", description="where published numbers stand: columns or rows"
    )
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> Table:
        keys = (*self.rows, self.columns)
        if len(set(keys)) < len(keys):
            raise ValueError(f"table {self.id!r}: a key stands twice in rows and columns ({', '.join(keys)})")
        return self


class Pairs(Part):
    """Results that are compared two by two, where they were scored on the same rows."""

    id: str = Field(pattern=r"^[\w.-]+$")
    title: str
    between: str = Field(default="experiment", description="the key in which the two of a pair differ")
    where: Where = Field(default_factory=dict, description="only results with these experiments, designs, axes ...")
    notes: tuple[str, ...] = ()

    _where = field_validator("where", mode="before")(_lists)


class Figure(Shown):
    """A figure; ``kind`` is a name of :data:`featx.pipeline.figures.KINDS`."""

    kind: str = "lines"
    x: str | None = Field(default=None, description="the key that runs to the right")
    series: str = "experiment"
    log: bool = False
