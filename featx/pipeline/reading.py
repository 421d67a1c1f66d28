"""A pipeline file as text becomes a :class:`featx.pipeline.schema.Pipeline`, or one sentence with the line.

YAML 1.2 (``1e-4`` is a number, ``no`` is a word). Anchors, aliases and keys that stand twice are refused: what a file
says should stand where it is read. Knows no data and runs nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from featx.errors import UsageError, suggestion
from featx.pipeline.schema import Pipeline

LARGEST = 1_000_000  # bytes
_ORIGINS = "Value error, "
_NAMING = ("id", "ask", "from", "data")  # keys whose values are names


def read(path: Path) -> Pipeline:
    """Read a pipeline file.

    Raises
    ------
    UsageError
        Where it cannot be read, or says what no pipeline says; with the line.
    """
    return parse(_text(path), where=str(path))


def parse(text: str, *, where: str) -> Pipeline:
    """Return the pipeline that a text describes.

    Parameters
    ----------
    text : str
        YAML.
    where : str
        What the text is called in messages.

    Raises
    ------
    UsageError
        As :func:`read`.
    """
    value, node = _loaded(text, where)
    if not isinstance(value, dict):
        raise UsageError(f"{where}: a pipeline file is a map (name, title, study ...); a {type(value).__name__} came")
    try:
        return Pipeline.model_validate(value)
    except ValidationError as error:
        raise UsageError(_told(error, node, where)) from None


def schema() -> dict[str, Any]:
    """Return the JSON schema of pipeline files, for editors."""
    return Pipeline.model_json_schema()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST:,} bytes; a pipeline file is some pages of YAML")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"{path} cannot be read ({reason}); give a pipeline file, or the name of a study") from None


def _loaded(text: str, where: str) -> tuple[Any, Any]:
    """Return the value of a text, and its tree of nodes, which know their lines."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def yaml() -> YAML:
        return YAML(typ="safe", pure=True)

    try:
        for event in yaml().parse(io.StringIO(text)):
            if getattr(event, "anchor", None) is not None:
                line = event.start_mark.line + 1
                raise UsageError(f"{where}, line {line}: anchors and aliases (&, *) are not taken; write it out")
        return yaml().load(text), yaml().compose(text)
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        told = " ".join(str(error.problem or error.context).split())
        raise UsageError(f"{where}{line}: no readable YAML: {told}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{where}: no readable YAML: {' '.join(str(error).split())[:200]}") from None


def _told(error: ValidationError, node: Any, where: str) -> str:
    """Return one sentence on the first thing that is wrong."""
    # a list whose items were refused is too short as well, which is no news
    first = min(error.errors(), key=lambda o: (o["type"] != "extra_forbidden", o["type"] == "too_short", len(o["loc"])))
    keys = _keys(first["loc"])
    told = first["msg"].removeprefix(_ORIGINS)
    if (word := told.partition(" ")[0]) in _fields_at(keys):  # what is said of a whole begins with its field
        keys.append(word)
    line = f", line {_line(node, keys) if keys else _line_of_name(node, first['msg'])}"
    inside = _address(keys[:-1])
    if first["type"] == "extra_forbidden":
        known = _fields_at(keys[:-1])
        return f"{where}{line}: unknown key {keys[-1]!r}{inside}; {suggestion(str(keys[-1]), known)}"
    if first["type"] == "missing":
        return f"{where}{line}: {keys[-1]!r} is missing{inside}; it has to be there"
    if first["type"] == "value_error":
        return f"{where}{line}: {told}"
    came = first["input"] if isinstance(first["input"], (str, int, float, bool)) else type(first["input"]).__name__
    which = _address(keys).removeprefix(" in ") or "the file"
    return f"{where}{line}: {which}: {told[0].lower()}{told[1:]}; {came!r} came"


def _keys(loc: Sequence[Any]) -> list[Any]:
    """Return the keys of the file in the address that pydantic gives; what it adds for unions is no key."""
    keys: list[Any] = []
    for one in loc:
        if isinstance(one, int) or not any(sign in one for sign in "[]()"):
            keys.append(one)
    return keys


def _address(keys: Sequence[Any]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    return f" in {text}" if text else ""


def _line(node: Any, keys: Sequence[Any]) -> int:
    """Return the line of a key; what stands only in ``defaults`` is found there."""
    found, depth = _descended(node, keys)
    if depth < len(keys) and len(keys) > 2 and keys[0] == "experiments":
        other, reached = _descended(node, ["defaults", *keys[2:]])
        if reached > 1 and reached + 1 >= depth:
            return int(other.start_mark.line) + 1
    return int(found.start_mark.line) + 1


def _line_of_name(node: Any, told: str) -> int:
    """Return the last line where the first name that a message quotes is given to something, or else stands."""
    named = re.search(r"'([^']+)'", told)
    found = [
        (key in _NAMING, one.start_mark.line + 1) for key, one in _scalars(node) if named and one.value == named[1]
    ]
    return max(found, default=(False, 1))[1]


def _scalars(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each scalar of a tree with the key that it stands under."""
    if not isinstance(node.value, list):
        yield key, node
        return
    for below in node.value:
        if isinstance(below, tuple):
            yield "", below[0]
            yield from _scalars(below[1], below[0].value)
        else:
            yield from _scalars(below, key)


def _descended(node: Any, keys: Sequence[Any]) -> tuple[Any, int]:
    """Return the node of the deepest key that is there, a mapping's key itself at the end, and how deep that is."""
    at = found = node
    for depth, key in enumerate(keys):
        below = getattr(at, "value", None)
        if not isinstance(below, list):
            return found, depth
        if isinstance(key, int):
            if key >= len(below) or isinstance(below[key], tuple):
                return found, depth
            at = found = below[key]
            continue
        pair = next((p for p in below if isinstance(p, tuple) and p[0].value == str(key)), None)
        if pair is None:
            return found, depth
        found, at = pair
    return found, len(keys)


def _fields_at(keys: Sequence[Any]) -> list[str]:
    """Return the keys that are known where an unknown one stands."""
    model: Any = Pipeline
    for key in keys:
        if isinstance(key, str) and isinstance(model, type) and issubclass(model, BaseModel):
            model = _model_of(next((f.annotation for n, f in model.model_fields.items() if key in (n, f.alias)), None))
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(annotation: Any) -> Any:
    """Return the model inside an annotation such as ``tuple[Model, ...]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_model_of(one) for one in get_args(annotation))
    return next((one for one in inside if one is not None), None)
