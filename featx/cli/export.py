"""`featx export`: a saved model as what other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import choice


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@choice("--format", "joblib", "skops", "onnx", default="skops", text="What it is written as.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors.")
def export(model: Path, format: str, out: Path, quiet: bool) -> None:
    """Write the classifier of a MODEL as scikit-learn objects: from features to classes, without the network.

    joblib is a pickle: who loads it runs what is in it. skops holds the same without code, and onnx is read by
    onnxruntime (both: pip install 'featx[export]').
    """
    from featx.description.prediction import exported_told
    from featx.predictor import Predictor
    from featx.predictor.export import export as write

    predictor = Predictor.load(model)
    write(predictor, out, format=format)
    if not quiet:
        click.echo(exported_told(predictor, out, format))
