"""Explanations as panels, rows of tables, sentences and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.description.words import shown_name
from featx.explain import GradCam, Lime, Occlusion
from featx.explain import panels as draw
from featx.explain.lime import PENALTY
from featx.explain.panels import Panel
from featx.explain.segments import COMPACTNESS
from featx.explain.sheet import Row, sheet
from featx.page import Pictures, Section, Table, Thumbnail, Verdict, render
from featx.predictor import Predictor
from featx.predictor.explaining import Explained
from featx.spreadsheet import csv_text

POOR = 0.5  # R2 below which a straight line tells little
SEEN = "the model learned from this very image, so that its answer here is no test of it"
RESEARCH = "Research use only: this is no medical device."
LIMITS = (
    "An explanation tells what this model's answer hangs on in this image, not whether the answer is right, nor what a "
    "disease looks like."
)
HEADERS = {
    "lime": ("superpixel", "pixels", "share_of_image", "weight", "rank", "shown"),
    "occlusion": ("row", "column", "side", "drop"),
    "gradcam": ("row", "column", "value"),
}


def title_of(predictor: Predictor, *, method: str) -> str:
    """Return what a page or picture of explanations is."""
    return f"{ {'lime': 'LIME', 'occlusion': 'Occlusion', 'gradcam': 'Grad-CAM'}[method] }: {_model(predictor)}"


def _model(predictor: Predictor) -> str:
    spec, header = predictor.header["spec"], predictor.header
    return f"{header['kind']} on {spec['backbone']}@{header['network']['label']}, layer {spec['layer']}"


def method_told(predictor: Predictor, *, method: str, of: str, about: dict[str, Any]) -> list[str]:
    """Return how explanations were made, what a published study leaves open included."""
    what = f"Explained is the class's {of}."
    if method == "lime":
        told = lime_told(about)
    elif method == "occlusion":
        told = "Occlusion (Zeiler and Fergus 2014): a patch in the image's mean colour goes over the image."
    else:
        told = (
            "Grad-CAM (Selvaraju et al. 2017): the channels of a convolutional map, added up by their mean gradient, "
            "and what is below zero cut; in fp32."
        )
    trained = f"The model was fitted on {predictor.header['data']['title']}; its digest is {predictor.digest[:16]}."
    return [f"{told} {what}", LIMITS, trained, RESEARCH]


def lime_told(about: dict[str, Any]) -> str:
    """Return how LIME was done, and what of it a published study states."""
    hidden = {"rest": "the mean colour of the rest of the image", "own": "its own mean colour"}[about["hide"]]
    return (
        f"LIME (Ribeiro et al. 2016): SLIC was asked for {about['count']} superpixels (compactness {COMPACTNESS:g}); "
        f"{about['samples']} random masks of seed {about['seed']}, or all masks where there are no more; a hidden "
        f"superpixel has {hidden}; kernel of width {about['width']:g} over the cosine distance; ridge with a penalty "
        f"of {PENALTY:g}. A published study of HAM10000 states 10 superpixels, random masks and the top 4, and neither "
        "how many masks nor the kernel, the segmenter or what hides."
    )


def panels_of(one: Explained) -> tuple[Panel, ...]:
    """Return an explanation as pictures."""
    assert one.pixels is not None and one.found is not None
    shown = draw.picture(one.pixels)
    whole = Panel(shown, "The image", f"as the network takes it, {one.pixels.shape[1]} x {one.pixels.shape[0]} pixels")
    if isinstance(one.found, Lime):
        return (whole, *_lime_panels(one.found, shown, str(one.target)))
    return (whole, _heat_panel(one.found, shown, str(one.target)))


def _lime_panels(found: Lime, shown: np.ndarray, target: str) -> tuple[Panel, ...]:
    strongest = float(np.abs(found.weights).max())
    evidence = draw.tinted(shown, draw.enlarged(found.weights[found.segments], smooth=False))
    count = len(found.top)
    top = f"the {count} superpixel{'s' * (count != 1)} that speak{'s' * (count == 1)} most for {target}"
    return (
        Panel(
            draw.bordered(shown, found.segments, numbers=True),
            "Superpixels",
            f"{len(found.weights)}, numbered as in the table",
        ),
        Panel(
            draw.only(shown, found.segments, kept=found.top),
            f"Top {count}" if count else "None for it",
            f"{top}; the others in grey" if count else f"no superpixel speaks for {target}",
        ),
        Panel(
            draw.bordered(evidence, found.segments),
            "For and against",
            f"orange speaks for {target}, blue against; the strongest weighs {strongest:.3g}. {fit_told(found)}",
        ),
    )


def _heat_panel(found: Occlusion | GradCam, shown: np.ndarray, target: str) -> Panel:
    if isinstance(found, GradCam):
        size = f"{found.map.shape[1]} x {found.map.shape[0]}"
        told = f"orange: where layer {found.layer} ({size}) speaks for {target}"
        told = told if found.map.any() else f"nothing in layer {found.layer} speaks for {target}"
        return Panel(draw.tinted(shown, draw.enlarged(found.map, smooth=True)), "Grad-CAM", told)
    strongest = float(np.abs(found.heat).max())
    told = (
        f"orange: covering it lowers what is said for {target}; blue: it raises it; by {strongest:.3g} at most. "
        f"Patches of {found.patch} pixels, every {found.stride}"
    )
    return Panel(draw.tinted(shown, draw.enlarged(found.heat, smooth=False)), "Occlusion", told)


def fit_told(found: Lime) -> str:
    """Return how well the straight line fits."""
    if math.isnan(found.r2):
        return "Hiding superpixels changes nothing at all"
    return f"The straight line fits with R2 {found.r2:.2f}"


def prediction_told(predictor: Predictor, one: Explained, *, of: str) -> str:
    """Return what the model says of an image, and what is explained."""
    said = one.prediction
    if said.scores is None:
        return said.warning
    text = f"Called {said.predicted}"
    if (least := predictor.header["threshold"]["value"]) is not None:
        positive = predictor.classes[1]
        text += f": score {said.scores[positive]:.3f} for {positive}, which is called so from {least:.3f} on"
    if said.probabilities is not None:
        text += "; probability " + ", ".join(f"{p:.2f} {name}" for name, p in said.probabilities.items())
    return f"{text}. Explained is the {of} of {one.target}."


def cautions_of(one: Explained) -> list[str]:
    """Return what should make a reader careful."""
    told = []
    if one.prediction.seen:
        told.append(SEEN)
    if one.prediction.warning and one.found is not None:
        told.append(one.prediction.warning)
    if isinstance(one.found, Lime) and not one.found.r2 >= POOR:
        told.append(f"{fit_told(one.found)}: the weights tell little of what the model does")
    return [f"{text[0].upper()}{text[1:]}." for text in told]


def rows_of(one: Explained) -> list[list[Any]]:
    """Return an explanation's numbers as rows of a table."""
    found = one.found
    if isinstance(found, Lime):
        pixels = np.bincount(found.segments.ravel())
        rank = {at: place for place, at in enumerate(np.argsort(-found.weights, kind="stable").tolist(), start=1)}
        shown = dict.fromkeys(found.top, "yes")
        return [
            [at, int(pixels[at]), float(pixels[at] / pixels.sum()), weight, rank[at], shown.get(at, "no")]
            for at, weight in enumerate(found.weights.tolist())
        ]
    if isinstance(found, Occlusion):
        corners = zip(found.places.tolist(), found.drops.tolist(), strict=True)
        return [[row, column, found.patch, drop] for (row, column), drop in corners]
    assert found is not None
    return [[row, column, float(value)] for (row, column), value in np.ndenumerate(found.map)]


def csv_of(explained: Sequence[Explained], *, method: str) -> str:
    """Return the numbers of all explanations as CSV."""
    header = ["image", "explained", "predicted", *(["r2"] if method == "lime" else []), *HEADERS[method]]
    rows = [
        [one.prediction.name, one.target, one.prediction.predicted, *_r2(one), *row]
        for one in explained
        if one.found is not None
        for row in rows_of(one)
    ]
    return csv_text(header, rows)


def _r2(one: Explained) -> list[float | None]:
    if not isinstance(one.found, Lime):
        return []
    return [None if math.isnan(one.found.r2) else one.found.r2]


def page_of(
    predictor: Predictor, explained: Sequence[Explained], *, method: str, of: str, about: dict[str, Any]
) -> str:
    """Return explanations as one HTML page that needs no network."""
    lead = (
        f"What a model's answer hangs on in {len(explained)} image{'s' * (len(explained) != 1)}. {_model(predictor)}: "
        f"{' vs '.join(predictor.classes)}. {RESEARCH}"
    )
    told = method_told(predictor, method=method, of=of, about=about)
    foot = [*(line for line in told if line not in lead), "This page holds pictures of patients: think where it goes."]
    sections = [_section(predictor, one, method=method, of=of) for one in explained]
    title = title_of(predictor, method=method)
    return render(title, lead=lead, sections=sections, foot=foot, alerts=_alerts(explained))


def _alerts(explained: Sequence[Explained]) -> list[Verdict]:
    """Return what is unusual, counted over all images."""
    counts = {
        "could not be used": sum(one.found is None for one in explained),
        "were learned from by this very model: what it says of them is no test of it": sum(
            one.prediction.seen for one in explained
        ),
        "lie far from the training images": sum("far from" in one.prediction.warning for one in explained),
        f"have a straight line that fits poorly (R2 under {POOR:g})": sum(
            isinstance(one.found, Lime) and not one.found.r2 >= POOR for one in explained
        ),
    }
    return [Verdict("amber", f"{count} of {len(explained)} images {what}.") for what, count in counts.items() if count]


def _section(predictor: Predictor, one: Explained, *, method: str, of: str) -> Section:
    name, said = one.prediction.name, prediction_told(predictor, one, of=of)
    if one.found is None:
        return Section(name, (said,))
    shown = tuple((_thumbnail(panel), panel.says) for panel in panels_of(one))
    table = Table(f"Numbers of {name}", HEADERS[method], tuple(tuple(row) for row in rows_of(one)), most=12)
    return Section(name, (said, *cautions_of(one), Pictures(shown), table))


def _thumbnail(panel: Panel) -> Thumbnail:
    found = Thumbnail(panel.name)
    found.jpeg = draw.jpeg(panel.pixels)
    return found


def picture_of(
    predictor: Predictor, explained: Sequence[Explained], *, method: str, of: str, about: dict[str, Any]
) -> bytes:
    """Return explanations as one PNG, an image a row."""
    rows = [
        Row(one.prediction.name, panels_of(one), (prediction_told(predictor, one, of=of), *cautions_of(one)))
        for one in explained
        if one.found is not None
    ]
    foot = method_told(predictor, method=method, of=of, about=about)
    return sheet(rows, title=title_of(predictor, method=method), foot=foot)


def explained_told(predictor: Predictor, one: Explained, *, of: str) -> str:
    """Return an explanation in a few lines for a terminal."""
    lines = [shown_name(one.prediction.name), f"  {prediction_told(predictor, one, of=of)}"]
    if isinstance(one.found, Lime):
        order = np.argsort(-np.abs(one.found.weights), kind="stable")[:4]
        weights = ", ".join(f"{at} {one.found.weights[at]:+.3g}" for at in order.tolist())
        lines.append(f"  {fit_told(one.found)}; strongest superpixels: {weights}")
    return "\n".join([*lines, *(f"  {text}" for text in cautions_of(one))])
