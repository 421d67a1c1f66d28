"""The options of the command line, by what they are about, for the verbs to share.

Only names, kinds and help: nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*options: Decorator) -> Decorator:
    """Return options as one decorator, in the order in which help shows them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def names(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    """Read names that come as several options or with commas between."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def share(_: click.Context, __: click.Parameter, text: str) -> float:
    """Read 0.05 or 5%."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a share (0.05) nor a percentage (5%)") from None


def choice(name: str, *words: str, default: str | None, text: str | None = None) -> Decorator:
    """Return an option that takes one of some words."""
    return click.option(name, type=click.Choice(words), default=default, show_default=default is not None, help=text)


data_argument = click.argument("data", required=False, envvar="FEATX_DATA", type=click.Path(path_type=Path))

cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FEATX_CACHE",
    help="Folder of the cache [FEATX_CACHE, or features_cache].",
)

accelerate_option = choice(
    "--accelerate",
    "none",
    "numba",
    "intel",
    default="none",
    text="numba: rf and tree compiled, on 256 levels a feature (pip install 'featx[fast]'). intel: rf, and SVCs fitted "
    "one by one, by scikit-learn-intelex on all cores (featx[intel]). Scores are near scikit-learn's, not the same.",
)

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for run.json, scores.csv and predictions.csv [one of its own in the cache].",
)

weights_option = click.option(
    "--weights",
    metavar="imagenet|random[:SEED]|FILE",
    help="imagenet (downloaded once), random, or a .pth, .pt or .safetensors file (.mat for vggm) [imagenet].",
)

quiet_options = together(
    click.option("-q", "--quiet", is_flag=True, help="Only results and errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
)

dataset_options = together(
    click.option("--dataset", "adapter", metavar="NAME", help="Format of DATA (`featx datasets`) [found out]."),
    click.option("--name", help="Name of the dataset in the cache [the folder's name]."),
    click.option(
        "--labels",
        type=click.Path(path_type=Path),
        help="Table of labels (or a folder of such), where it does not lie beside the images.",
    ),
    click.option("--image-column", help="Column of the image in a table."),
    click.option("--label-column", help="Column of the diagnosis in a table."),
    click.option("--group-column", help="Column of what may not be divided: patient, lesion, case."),
    click.option("--unit-column", help="Column of what a result may be reported for."),
    click.option("--split-column", help="Column of the official split: train, test, validation."),
)

audit_options = together(
    click.option(
        "--design",
        "designs",
        multiple=True,
        callback=names,
        help="Designs to look for shortcuts in, with commas between [all that fit DATA].",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of folds and forests."),
    click.option("--jobs", type=click.IntRange(min=1), help="Threads [all cores]."),
)

image_options = (
    click.option("--size", type=int, help="Side of the image in pixels [224, or the backbone's only size]."),
    choice("--resize", "squash", "crop", default="squash", text="squash ignores the aspect ratio, as in the paper."),
    choice(
        "--interpolation", "bilinear", "bicubic", "lanczos", "box", "nearest", default="bilinear", text="Of pixels."
    ),
    click.option("--antialias/--no-antialias", default=True, show_default=True, help="When shrinking."),
    click.option("--trim", is_flag=True, help="Cut a nearly black border first."),
    choice(
        "--normalise",
        "imagenet",
        "mean-only",
        "caffe",
        "-1..1",
        "unit",
        "0..255",
        default=None,
        text="[what the weights expect]",
    ),
)

max_failures_option = click.option(
    "--max-failures", default="5%", show_default=True, callback=share, help="Share of images that may fail."
)

backbone_options = together(
    click.option("--backbone", default="vgg16", show_default=True, help="Network (`featx info` lists them)."),
    click.option(
        "--layer",
        "layers",
        multiple=True,
        callback=names,
        help="Layers by name (`featx info --backbone NAME`) or dotted path, in one pass [fc7; the penultimate].",
    ),
    weights_option,
    choice(
        "--precision",
        "auto",
        "fp32",
        "bf16",
        default="auto",
        text="Precision of the network. auto: bf16 where it is fast here and the first 64 images agree with fp32.",
    ),
    choice("--pool", "avg", "max", "flatten", "gem", default="avg", text="How a convolutional map becomes a vector."),
    *image_options,
    click.option("--batch-size", type=int, help="Images in a forward pass [16; 256 on a GPU]."),
    choice("--device", "auto", "cpu", "cuda", default="auto", text="auto takes a GPU where there is one."),
    click.option(
        "--devices",
        multiple=True,
        callback=names,
        metavar="0,1",
        help="A process for each of several GPUs, by number, or cpu,cpu; into the same files as one run.",
    ),
    choice(
        "--runtime",
        "auto",
        "torch",
        "openvino",
        default="auto",
        text="What runs the network. auto: OpenVINO (pip install 'featx[cpu]') on a processor, else torch.",
    ),
    click.option(
        "--shard", metavar="I/N", help="One of several parts, in a file of its own; `featx merge` puts them together."
    ),
    click.option("--verify-images", is_flag=True, help="Hash every image again instead of trusting size and time."),
    max_failures_option,
)


def diagnoses(name: str, text: str) -> Decorator:
    """Return an option that takes diagnoses with commas between."""
    return click.option(name, multiple=True, callback=names, metavar="A,B", help=text)


engine_options = (
    choice(
        "--engine",
        "threading",
        "loky",
        default="threading",
        text="What spreads the fits: threads, or loky's processes.",
    ),
    click.option("--jobs", type=click.IntRange(min=1), help="Fits at once [all cores]."),
)

classifiers_option = click.option(
    "--clf",
    "classifiers",
    multiple=True,
    callback=names,
    default=("svm,rf,tree",),
    show_default=True,
    help="Classifiers, with commas between.",
)

scale_option = choice(
    "--scale", "l2", "standard", "none", default=None, text="Scaling of features [standard for trees, else l2]."
)

allow_seen_option = click.option(
    "--allow-seen",
    is_flag=True,
    help="Test rows that the weights were trained on too, and mark them; they are refused else.",
)

reading_options = (
    choice(
        "--akiec", "drop", "benign", "malignant", default="drop", text="Reading of actinic keratosis / Bowen's disease."
    ),
    choice("--scc", "drop", "benign", "malignant", default="malignant", text="Reading of squamous cell carcinoma."),
)

own_design_options = (
    diagnoses("--positive", "Diagnoses of the positive class: a design of your own."),
    diagnoses("--negative", "Diagnoses of the negative class."),
    diagnoses("--drop", "Diagnoses that a design of your own leaves out."),
)

solving_options = (
    choice(
        "--inner",
        "kfold",
        "shuffle10",
        default="kfold",
        text="How C and the like are chosen inside train rows: 3 grouped parts, or the paper's ten draws.",
    ),
    choice("--solver", "auto", "sklearn", default="auto", text="auto solves SVMs that share train rows together."),
)

fit_options = together(
    click.option(
        "--features",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Feature file; several by several options [extracted last].",
    ),
    click.option(
        "--folds",
        default="5x2",
        show_default=True,
        help="5x2, kfold[:K], holdout[:80/20 or :60/20/20], official, by:COLUMN (one source left out in turn), "
        "or a file of folds (.json; .yml as Menegola et al. released them).",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of folds and classifiers."),
    scale_option,
    click.option(
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        help="Fix a hyperparameter (C=1, svm:C=1) instead of choosing it inside each train half.",
    ),
    click.option(
        "--unit", default="image", show_default=True, help="What a score is of: image, or the data's (lesion)."
    ),
    click.option(
        "--prevalence",
        type=float,
        help="Share of the positive class among those who will be tested: gives predictive values in clinical.csv.",
    ),
    click.option(
        "--probabilities",
        is_flag=True,
        help="Add probabilities to predictions.csv: Platt's map, made inside each train half.",
    ),
    allow_seen_option,
    click.option(
        "--sanity",
        is_flag=True,
        help="Score permuted labels, the prior, metadata, the files, pixels, random weights, ungrouped folds too.",
    ),
    choice(
        "--near-duplicates",
        "audit",
        "join",
        "ignore",
        default="audit",
        text="Images that are nearly the same, in different groups: tell them, or join their groups.",
    ),
    *reading_options,
    *own_design_options,
    *solving_options,
    accelerate_option,
    out_option,
    *engine_options,
)

save_options = together(
    click.option(
        "--save", type=click.Path(path_type=Path), metavar="MODEL", help="Then fit on all rows, and write model.featx."
    ),
    click.option("--embed-weights", is_flag=True, help="Put the network's weights into MODEL: it needs no other file."),
    click.option(
        "--operating-point",
        metavar="POINT",
        help="Where MODEL calls an image positive: specificity=SHARE, sensitivity=SHARE, or highest (score) "
        "[specificity=0.9].",
    ),
)

evaluate_options = together(
    click.option("--features", type=click.Path(path_type=Path), help="Feature file to train on [extracted last]."),
    click.option(
        "--test",
        required=True,
        type=click.Path(path_type=Path),
        help="Feature file to test on, of the same network and transform.",
    ),
    click.option(
        "--allow-overlap", is_flag=True, help="Go on, and tell, where both files hold the same images or groups."
    ),
    allow_seen_option,
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of classifiers."),
    scale_option,
    click.option(
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        help="Fix a hyperparameter (C=1, svm:C=1) instead of choosing it inside the train rows.",
    ),
    click.option(
        "--unit", default="image", show_default=True, help="What a score is of: image, or the test data's (lesion)."
    ),
    choice(
        "--near-duplicates",
        "audit",
        "join",
        "ignore",
        default="audit",
        text="Images of the two files that are nearly the same are an overlap; join also joins groups within a file.",
    ),
    *reading_options,
    *own_design_options,
    *solving_options,
    accelerate_option,
    out_option,
    *engine_options,
)
