"""`featx predict` against the script that one would write instead: torchvision, a pickled SVM, one loop over the files.

Paired: each round runs both as programs of their own, in turn; the medians are printed, with the time that each takes
for one image (start-up) told apart. Both decode the same files, squash them to 224 x 224 pixels with antialiasing, run
the same weights in float32 in batches of 16 and apply the same SVM, and their scores are compared. Run it as
``python benchmarks/predict.py DATA BACKBONE WEIGHTS [IMAGES]`` on a folder that ``featx extract`` reads; the scripts'
own penultimate features are those of torchvision's SqueezeNet and ResNet families.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
SCRIPT = """
import pickle, sys
import numpy as np, torch, torchvision
from PIL import Image
from torchvision.transforms import v2

backbone, weights, svm, listed, out = sys.argv[1:]
net = getattr(torchvision.models, backbone)()
net.load_state_dict(torch.load(weights, weights_only=True))
net.eval()
if backbone.startswith("squeezenet"):
    net.classifier = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
else:
    net.fc = torch.nn.Identity()
prepare = v2.Compose([v2.Resize((224, 224), antialias=True), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),
                      v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
with open(svm, "rb") as stream:
    model = pickle.load(stream)
paths, rows = open(listed).read().split("\\n"), []
with torch.inference_mode():
    for at in range(0, len(paths), 16):
        batch = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths[at : at + 16]])
        rows.append(net(batch).numpy())
np.savetxt(out, model.decision_function(np.concatenate(rows).astype(np.float64)))
"""


def featx(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "featx", *map(str, words)], check=True, capture_output=True)


def taken(*command: object) -> float:
    begin = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return time.perf_counter() - begin


def prepared(folder: Path, data: str, backbone: str, weights: str) -> None:
    """Fit and save a model, and pickle its SVM."""
    import pickle

    from featx import Predictor
    from featx.predictor.export import pipeline_of

    where = ["--cache", folder / "cache"]
    featx("extract", data, "--backbone", backbone, "--weights", weights, "--precision", "fp32", *where)
    featx("fit", data, "--clf", "svm", "--folds", "kfold:2", "--save", folder / "model.featx", *where)
    (folder / "svm.pkl").write_bytes(pickle.dumps(pipeline_of(Predictor.load(folder / "model.featx").chain)))
    (folder / "script.py").write_text(SCRIPT)


def worst(folder: Path) -> float:
    """Return the largest difference of the two sides' scores, by the spread of the scores."""
    with (folder / "featx.csv").open() as stream:
        table = list(csv.DictReader(stream))
    column = [name for name in table[0] if name.startswith("score_")][-1]
    own = [float(row[column]) for row in table]
    other = [float(line) for line in (folder / "script.txt").read_text().split()]
    return max(abs(a - b) for a, b in zip(own, other, strict=True)) / statistics.pstdev(other)


def main(data: str, backbone: str, weights: str, count: str = "200") -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, data, backbone, weights)
        images = sorted(map(str, Path(data).rglob("*.jpg")))[: int(count)]
        told = {}
        for number in (1, len(images)):
            (folder / "list").write_text("\n".join(images[:number]))
            times = []
            for _ in range(ROUNDS):
                script = taken(sys.executable, folder / "script.py", backbone, weights, folder / "svm.pkl",
                               folder / "list", folder / "script.txt")  # fmt: skip
                predict = f"{sys.executable} -m featx predict {folder}/model.featx - --cache {folder}/cache"
                own = taken("sh", "-c", f"{predict} -o {folder}/featx.csv < {folder}/list")
                times.append((script, own))
            told[number] = [statistics.median(side) for side in zip(*times, strict=True)]
        more = [told[len(images)][side] - told[1][side] for side in (0, 1)]
        print(json.dumps({"images": len(images), "seconds": told, "scores differ by": worst(folder)}))
        print(f"start-up and one image: script {told[1][0]:.2f} s, featx {told[1][1]:.2f} s")
        print(f"the other images: script {more[0]:.2f} s, featx {more[1]:.2f} s: {more[0] / more[1]:.2f} times")


if __name__ == "__main__":
    main(*sys.argv[1:])
