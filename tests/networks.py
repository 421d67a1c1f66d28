"""Small datasets and small trainings for the tests of networks that learn."""

from pathlib import Path

import numpy as np
from PIL import Image

from featx.training import Settings, finetune

SIDE = 16
QUICK = Settings(lr=0.05, epochs=2, batch_size=8, stop=0, decay="none", validation=0.25, precision="fp32")
DESIGN = "mel-vs-benign"


def dataset(folder: Path, *, n=48, words=("nv", "mel"), seed=0, hint=60, first=0, planted=()) -> Path:
    """Draw images, two a lesion, whose brightness hints at the diagnosis; ``planted`` ids have a white corner."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = ["image,dx,lesion_id"]
    for row in range(n):
        kind = row // 2 % len(words)
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3)) + hint * kind
        name = f"i{first + row}"
        if name in planted:
            pixels[:8, :8] = 255
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
        lines.append(f"{name}.png,{words[kind]},L{(first + row) // 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def trained(data: Path, cache: Path, *, settings=QUICK, **changes):
    """Train the smallest network over two parts."""
    given = {"backbone": "maia-custom2", "weights": "random", "design": DESIGN, "folds": "kfold:2", "size": SIDE,
             "settings": settings, "cache": cache}  # fmt: skip
    return finetune(data, **{**given, **changes})
