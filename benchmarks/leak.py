"""What the intervals of a measured leak promise, counted over simulated studies.

A study is a sample of lesions, each with one to four images; features of an image are its class, its lesion and noise.
Copies are turned pictures: their features are the image's with some noise of their own. A ridge classifier is scored
in the arms of ``featx.pipeline.leak``, and its interval is held against the mean over all studies, which is what it
estimates.

    python benchmarks/leak.py --studies 400
"""

from __future__ import annotations

import argparse

import numpy as np

from featx.metrics import evaluate
from featx.pipeline.leak import PUBLISHED
from featx.pipeline.leak.arms import ORIGINALS, STEPS, arms_of
from featx.pipeline.leak.protocols import PROTOCOLS
from featx.pipeline.leak.scoring import optimism

METRICS = ("auc", "accuracy", "balanced_accuracy")


def study(protocol, *, lesions, dim, apart, copy_noise, repeats, seed):
    """Return the optimism rows of one simulated study."""
    rng = np.random.default_rng(seed)
    each = rng.choice([1, 2, 3, 4], size=lesions, p=[0.74, 0.19, 0.06, 0.01])
    kind = (rng.random(lesions) < 0.12).astype(int)
    kind[:12] = 1
    member = np.repeat(np.arange(lesions), each)
    y = kind[member]
    towards = np.zeros(dim)
    towards[:4] = apart
    own = rng.normal(size=(lesions, dim))[member] + 0.5 * rng.normal(size=(len(member), dim)) + np.outer(y, towards)
    versions = protocol.versions(y, seed=seed)
    of = np.array([v.of for v in versions])
    X = own[of] + copy_noise * rng.normal(size=(len(of), dim)) * np.array([v.copy > 0 for v in versions])[:, None]
    names = [f"{v.of}-{v.copy}" for v in versions]
    arms = arms_of(protocol, versions, names=names, y=y, groups=[f"L{m}" for m in member], repeats=repeats, seed=seed)
    original = np.array([v.copy == 0 for v in versions])
    scores: dict = {}
    for arm in arms:
        for split in arm.plan.splits:
            told = ridge(X[split.train], y[of[split.train]], X[split.test])
            truth = y[of[split.test]]
            scores.setdefault(arm.name, []).append(judged(truth, told))
            if arm.name == PUBLISHED:
                kept = original[split.test]
                scores.setdefault(ORIGINALS, []).append(judged(truth[kept], told[kept]))
    return optimism(scores, METRICS, ratio=protocol.ratio)


def ridge(X, y, X_test):
    """Return scores of a balanced ridge classifier."""
    weight = np.where(y == 1, 0.5 / (y == 1).sum(), 0.5 / (y == 0).sum())[:, None]
    A = np.hstack([X, np.ones((len(X), 1))])
    coef = np.linalg.solve(A.T @ (A * weight) + 1e-2 * np.eye(A.shape[1]), A.T @ (weight[:, 0] * (2 * y - 1)))
    return np.hstack([X_test, np.ones((len(X_test), 1))]) @ coef


def judged(y, score):
    return evaluate(y, (score > 0).astype(int), scores=np.column_stack([-score, score]), classes=["rest", "melanoma"])


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--studies", type=int, default=400)
    options.add_argument("--repeats", type=int, default=20)
    given = options.parse_args()
    for lesions, dim, apart in ((300, 60, 0.5), (600, 60, 0.5), (600, 200, 0.5)):
        about = {"lesions": lesions, "dim": dim, "apart": apart, "copy_noise": 0.3, "repeats": given.repeats}
        rows = [study(PROTOCOLS["maia2019"], seed=seed, **about) for seed in range(given.studies)]
        print(f"\n{lesions} lesions, {dim} features, {given.repeats} repeats, {given.studies} studies: "
              "mean, sd between studies, mean half-width, coverage of the 95 % interval")  # fmt: skip
        for at, (step, metric) in enumerate((s, m) for s in STEPS for m in METRICS):
            found = [one[at] for one in rows]
            values = np.array([one.difference for one in found])
            inside = np.mean([one.low <= values.mean() <= one.high for one in found])
            half = np.mean([(one.high - one.low) / 2 for one in found])
            print(f"  {step.leak:52} {metric:18} {values.mean():+.3f} {values.std(ddof=1):.3f} {half:.3f} {inside:.1%}")


if __name__ == "__main__":
    main()
