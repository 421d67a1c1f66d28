"""A smallest study, for the tests of pipelines: networks of seconds, a sweep, weights from another experiment."""

from networks import SIDE

from featx.pipeline import Asked, reading

TEXT = f"""
name: toy
title: A toy of a study
study: {{cite: "A. Toy. On toys. 2020", doi: 10.1/toy}}
datasets:
  main: {{title: The Toy Set, adapters: [csv], images: 48, tolerance: 0.02}}
  other: {{title: The Other Toy Set, optional: true}}
designs: [mel-vs-benign]
defaults:
  backbone: maia-custom2
  weights: random
  transform: {{size: {SIDE}}}
  layers: [gap]
  params: [C=1]
  folds: "holdout:50/50"
  train: {{lr: 0.05, epochs: 2, batch_size: 8, stop: 0, decay: none, validation: 0.25}}
experiments:
  - {{id: frozen, title: frozen, layers: [gap, fc1]}}
  - {{id: source, title: a source, data: other, folds: all, train: {{}}}}
  - {{id: begun, title: from the source, from: source}}
  - id: learned
    title: trained
    train: {{}}
    classifiers: [svm, argmax]
    grid: {{train.l2: [1e-4, 1e-2]}}
scales:
  smoke: {{set: {{train.epochs: 1}}, grid: {{train.l2: [0.0001]}}}}
tables:
  - id: one
    title: Table one
    where: {{experiment: [learned], classifier: svm}}
    rows: [train.l2]
    metrics: [{{name: main, title: AUC}}, f1_melanoma, training.epochs]
    interval: true
    summary: true
    published:
      - {{source: Toy (2020), unit: percent, metric: main, values: {{0.0001: 70.5, 0.01: 71}}}}
  - id: two
    title: Table two
    rows: [experiment]
    columns: layer
    layout: below
    where: {{experiment: [frozen, begun], classifier: svm}}
    published:
      - {{source: Toy (2020), values: {{frozen: {{gap: 0.7, fc1: 0.8}}}}}}
figures:
  - {{id: auc, kind: intervals, title: AUC}}
  - {{id: l2, kind: lines, title: AUC by L2, x: train.l2, log: true, where: {{classifier: svm, experiment: [learned]}}}}
  - {{id: table, kind: confusion, title: Confusion, where: {{experiment: [learned], classifier: argmax}}}}
  - {{id: loss, kind: curves, title: Loss, metrics: [{{name: training.train_loss, title: loss}}]}}
readings: [{{about: epochs, says: Nothing is said., here: Two.}}]
differs: [the halves are drawn by group]
"""


def toy(**changes):
    """Return the toy, with texts exchanged (old=new pairs come as ``swap=[(old, new)]``)."""
    text = TEXT
    for old, new in changes.get("swap", []):
        assert old in text, old
        text = text.replace(old, new)
    return reading.parse(text, where="toy.yaml")


def asked(data, **changes):
    """Return what is given to a run of the toy."""
    return Asked(**{"data": data, **changes})
