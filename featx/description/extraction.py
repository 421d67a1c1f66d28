"""What an extraction did, and what a feature file, a network or this installation is."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

from featx.backbones import BACKBONES
from featx.cache import FeatureFile
from featx.cache.places import Places
from featx.datasets import from_table
from featx.description.words import aligned, dataset_line, shown_name
from featx.extraction import Extraction
from featx.extraction.inventory import DEADLY
from featx.provenance import environment


def extraction_told(found: Extraction, *, verbose: bool = False) -> str:
    """Return what an extraction did: samples, forward passes, files, failures by reason."""
    lines = [dataset_line(found.dataset)]
    if not found.computed:
        lines.append(f"all {found.reused} images are in the cache already: no forward pass")
    else:
        reused = f", {found.reused} were in the cache already" if found.reused else ""
        how = f"in {found.passes} forward passes, {found.precision}, {found.runtime}"
        lines.append(f"{found.computed} images computed {how}{reused}")
    if found.failed:
        reasons = Counter(reason.partition(":")[0] for reason in found.failed.values())
        lines.append(f"{len(found.failed)} images skipped: " + ", ".join(f"{n} {why}" for why, n in reasons.items()))
        shown = list(found.failed.items())[: None if verbose else 5]
        lines += [f"  {shown_name(path)}: {reason}" for path, reason in shown]
        lines += _again(found)
    lines += [f"features: {path}" for path in found.files]
    return "\n".join(lines)


def _again(found: Extraction) -> list[str]:
    """Return when images are tried again of which a process died; others must plainly change first."""
    deadly = sum(reason.encode().startswith(DEADLY) for reason in found.failed.values())
    if not deadly:
        return []
    which = f"{deadly} of them ended or held up the process that decodes"
    return [f"{which}: tried again when they change, with another version of a decoder, or by --retry-failed"]


def of_features(path: Path) -> str:
    """Return what a feature file holds, and from what it was made."""
    with FeatureFile.open(path) as file:
        dataset = from_table(file.table, file.paths)
        done = file.finished if file.complete else None
        spec, env = file.spec, file.env
        lines = [
            f"{path}: {file.n} rows x {file.dim} features, {file.dtype}",
            dataset_line(dataset),
            f"complete: {done['ok']} with features, {done['failed']} failed"
            if done
            else "not complete; run the extraction again",
            f"backbone {spec['backbone']}, layer {spec['layer']}, pool {spec['pool']}, precision {spec['precision']}",
            f"weights {env.get('weights')} ({env.get('weights_note')}), sha256 of the tensors {spec['weights']}",
            f"transform {spec['transform']}",
            f"normalise {spec['normalise']}",
            f"key {file.key}",
            *([f"content {done['content']}, finished {done['finished']}"] if done else []),
            f"made by: {env.get('command')}",
            "versions: " + ", ".join(f"{k} {v}" for k, v in env.get("versions", {}).items()),
        ]
    return "\n".join(lines)


def of_backbone(name: str, *, size: int | None = None) -> str:
    """Return the layers of a backbone with their shapes at an input size."""
    import torch

    from featx.runtime import layer_shapes

    backbone = BACKBONES[name]
    size = size or backbone.fixed_size or 224
    with torch.device("meta"):
        network = backbone.build()
    shapes = layer_shapes(network, layers=backbone.layers, size=size)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    rows = [
        [
            layer.name,
            " x ".join(map(str, shapes[layer.name])),
            "vector" if layer.kind == "vector" else "pooled (--pool)",
            layer.module or "(the network)",
        ]
        for layer in backbone.layers
    ]
    head = f"{name}: {millions:.1f} million weights, input {size} x {size}, normalisation {backbone.normalise}"
    default = f"default layer: {backbone.layer('penultimate').name}; any dotted module path is a layer too"
    return "\n".join([head, *aligned([["layer", "shape", "features", "module"], *rows], left=4), default])


def of_installation(cache: Path | None = None) -> str:
    """Return versions, the networks on the shelf, and what the cache holds."""
    env, places = environment(), Places.at(cache)
    lines = [f"python {env['python']} on {env['system']}, {env['processors']} processors"]
    lines.append(", ".join(f"{name} {version or '(not installed)'}" for name, version in env["versions"].items()))
    lines += textwrap.wrap("backbones: " + ", ".join(BACKBONES), 100, subsequent_indent="  ")
    lines.append(f"cache: {places.root}" + ("" if places.root.exists() else " (empty)"))
    for dataset in places.datasets():
        lines += [
            f"  {dataset}/{path.name}  {path.stat().st_size / 1e6:.1f} MB" for path in places.feature_files(dataset)
        ]
        lines += [f"  {dataset}/{path.name}  one network a split" for path in places.sets(dataset)]
    return "\n".join(lines)
