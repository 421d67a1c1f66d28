"""Designs of the user's own: from lists of diagnoses, or from a YAML file. Knows no design by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from featx.designs.base import Design
from featx.errors import UsageError


def custom(positive: Iterable[str], negative: Iterable[str], *, drop: Iterable[str] = ()) -> Design:
    """Make a two-class design from lists of diagnoses.

    Raises
    ------
    UsageError
        Where a list is empty or a diagnosis stands twice.
    """
    positive, negative, drop = tuple(positive), tuple(negative), tuple(drop)
    if not positive or not negative:
        raise UsageError("a design of one's own needs both --positive and --negative, each with at least one diagnosis")
    name = "+".join(positive) + "-vs-" + "+".join(negative)
    members = {"negative": negative, "positive": positive}
    return _checked(Design(name, members, dict.fromkeys(drop, "dropped by --drop"), typed=True))


def from_file(path: str) -> Design:
    """Read a design from YAML: ``classes`` (class: list of diagnoses), and optionally ``name``, ``drop``, ``synonyms``.

    Raises
    ------
    UsageError
        Where the file is missing, is no YAML, or has other keys or shapes.
    """
    value = _read_yaml(path)
    known = {"name", "classes", "drop", "synonyms"}
    if not isinstance(value, dict) or not isinstance(value.get("classes"), dict) or len(value["classes"]) < 2:
        raise UsageError(f"{path}: expected a key 'classes' with at least two classes, each a list of diagnoses")
    if strange := set(value) - known:
        raise UsageError(f"{path}: unknown key {min(map(str, strange))!r}; known: {', '.join(sorted(known))}")
    members = {str(name): _words(group, path=path) for name, group in value["classes"].items()}
    if len(members) < len(value["classes"]):
        raise UsageError(f"{path}: two classes have one name; each class needs a name of its own")
    drops = dict.fromkeys(_words(value.get("drop", []), path=path), f"dropped by {Path(path).name}")
    synonyms = value.get("synonyms") or {}
    if not isinstance(synonyms, dict):
        raise UsageError(f"{path}: 'synonyms' takes a map from a label to a diagnosis")
    named = {str(label): str(diagnosis) for label, diagnosis in synonyms.items()}
    return _checked(Design(str(value.get("name", Path(path).stem)), members, drops, named))


def _read_yaml(path: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no design file {path!r}; give a file that exists, or a design of the shelf") from None
    except (YAMLError, UnicodeDecodeError, OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise UsageError(f"{path} is no readable YAML: {told}") from error


def _words(value: Any, *, path: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UsageError(f"{path}: expected a list of diagnoses (text; quote words such as 'no'), {value!r} came")
    return tuple(value)


def _checked(design: Design) -> Design:
    words = Counter([word for group in design.members.values() for word in group] + list(design.drops))
    if twice := [word for word, count in words.items() if count > 1]:
        raise UsageError(f"design {design.name!r} names the diagnosis {twice[0]!r} twice; each belongs in one place")
    if taken := [label for label, diagnosis in design.synonyms.items() if label in words and label != diagnosis]:
        raise UsageError(f"design {design.name!r} gives {taken[0]!r} both a place and a synonym; keep one of them")
    if empty := [name for name, group in design.members.items() if not group]:
        raise UsageError(f"design {design.name!r} has no diagnosis in class {empty[0]!r}")
    return design
