"""`featx doctor`: what is wrong with this machine for featx, and what to do."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import cache_option, names


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--backbone", default="vgg16", show_default=True, help="Network that DATA are meant for.")
@click.option("--layer", "layers", multiple=True, callback=names, help="Layers that are meant [the penultimate].")
@cache_option
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, *, backbone: str, layers: list[str], cache: Path | None) -> None:
    """Look whether this machine can do what featx does, and say what to do where it cannot.

    Packages, processor, memory, GPU, disk and locks of the cache, weights at hand, and a tiny extraction. With DATA,
    the room on the disk is held against what extracting them takes.
    """
    from featx.description.doctor import finding_told, verdict
    from featx.doctor import WRONG, examine, planned

    plan = planned(data, backbone=backbone, layers=layers) if data else None
    findings = []
    for finding in examine(cache, plan=plan):
        click.echo(finding_told(finding))
        findings.append(finding)
    click.echo(verdict(findings))
    ctx.exit(1 if any(finding.state == WRONG for finding in findings) else 0)
