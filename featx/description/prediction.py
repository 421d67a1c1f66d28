"""What a saved model is, and what it says of images, as words and rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from featx.description.words import shown_name
from featx.predictor import Prediction, Predictor
from featx.predictor.far import FAR
from featx.predictor.saving import Saved


def saved_told(found: Saved) -> str:
    """Return what was saved: what it was fitted on, how it decides, and what was found of it before."""
    header, told = found.header, found.header["evaluation"]
    spec, data = header["spec"], header["data"]
    classes = " vs ".join(header["classes"])
    score = f"{told['metric']} {told['mean']:.3f} over {told['folds']}" if told["mean"] is not None else "no evaluation"
    inner = f", {told['inner']:.3f} by inner fits" if told["inner"] is not None else ""
    lines = [
        f"saved: {found.path} (sha256 {found.digest[:16]}...)",
        f"  {header['kind']} on {spec['backbone']}@{header['network']['label']}, layer {spec['layer']}: {classes}",
        f"  fitted on all {data['rows']} rows of {data['title']}; chosen: {_params(header['chosen'])}",
        f"  called {header['classes'][1]} from {header['threshold']['value']:.6g} on: {header['threshold']['how']}"
        if header["threshold"]["value"] is not None
        else f"  called by {header['threshold']['how']}",
        f"  before, of models fitted on train sides: {score}{inner}. The AUC on the rows that it was fitted on, "
        f"{told['apparent']:.3f}, is no forecast.",
    ]
    inside = "inside" if header["network"]["embedded"] else "not inside: they are found in the cache, or by --weights"
    return "\n".join([*lines, f"  the network's weights are {inside}"])


def _params(chosen: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in chosen.items()) or "nothing"


def header_of(predictor: Predictor, *, unit: str) -> list[str]:
    """Return the names of the columns of predictions."""
    classes = predictor.classes
    return [
        unit,
        *(["images"] if unit != "image" else []),
        "predicted",
        *(f"probability_{name}" for name in classes),
        *(f"score_{name}" for name in classes),
        "seen_in_training",
        "share_as_far",
        "warning",
        "model",
        "data",
    ]


def rows_of(predictor: Predictor, found: Sequence[Prediction], *, unit: str) -> Iterator[list[Any]]:
    """Yield the rows of predictions; where an image could not be used, they say so and hold no number."""
    nothing = dict.fromkeys(predictor.classes)
    for one in found:
        yield [
            one.name,
            *([one.images] if unit != "image" else []),
            one.predicted,
            *(one.probabilities or nothing).values(),
            *(one.scores or nothing).values(),
            "yes" if one.seen else "no",
            one.share_as_far,
            one.warning,
            predictor.digest[:16],
            f"trained on {predictor.header['data']['title']}",
        ]


def predictions_told(predictor: Predictor, found: Sequence[Prediction]) -> str:
    """Return how many of each class there are, and what was unusual."""
    counts = {name: sum(one.predicted == name for one in found) for name in predictor.classes}
    lines = [", ".join(f"{count} {name}" for name, count in counts.items())]
    lost = [one for one in found if one.predicted is None]
    seen = sum(one.seen for one in found)
    far = sum(one.share_as_far is not None and one.share_as_far < FAR for one in found)
    if lost:
        lines.append(f"{len(lost)} without a prediction, for instance {shown_name(lost[0].name)}: {lost[0].warning}")
    if seen:
        lines.append(f"{seen} were trained on, so that what is said of them tests nothing")
    if far:
        lines.append(
            f"{far} lie farther from the training images than {1 - FAR:.0%} of those do: look at them yourself"
        )
    if predictor.header["data"]["synthetic"]:
        lines.append("the model was fitted on synthetic demo data: it knows nothing of real images")
    return "\n".join(lines)


def exported_told(predictor: Predictor, path: Path, format: str) -> str:
    """Return what was exported, and what it does not hold."""
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(predictor.classes))
    held = "a dict: its entry 'pipeline' is the scikit-learn pipeline" if format == "joblib" else "the pipeline"
    lines = [
        f"written: {path}, {held} from {predictor.chain.width} features to the codes {codes}",
        "it holds neither the network nor the model's threshold and probabilities",
    ]
    return "\n".join([*lines, *([_trust_told(path)] if format == "skops" else [])])


def _trust_told(path: Path) -> str:
    """Return how a skops file is loaded: skops wants to be told of every type that it does not know itself."""
    from skops.io import get_untrusted_types

    types = get_untrusted_types(file=path)
    if not types:
        return "load it by skops.io.load(FILE)"
    return f"load it by skops.io.load(FILE, trusted={types}): compiled parts of scikit-learn, which skops wants named"
