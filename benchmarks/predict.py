"""`featx predict` against the script that one would write instead: torchvision, a pickled SVM, one loop over the files.

Paired: each round runs both as programs of their own, in turn; the medians are printed, with the time that each takes
for one image (start-up) told apart. Both decode the same files, squash them to 224 x 224 pixels with antialiasing, run
the same weights in float32 in batches of 16 and apply the same SVM, and their scores are compared. Prints a Markdown
table: seconds, and processor seconds, which a busy machine disturbs less. Run it as
``python benchmarks/predict.py [DATA BACKBONE WEIGHTS [IMAGES]]`` on a folder that ``featx extract`` reads, by default
on what FEATX_TEST_DATA holds; the script's own penultimate features are those of torchvision's SqueezeNet and ResNet
families.
"""

from __future__ import annotations

import csv
import os
import resource
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


def taken(*command: object) -> tuple[float, float]:
    """Return seconds, and processor seconds, of a program."""
    begin, before = time.perf_counter(), used()
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return time.perf_counter() - begin, used() - before


def used() -> float:
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told.ru_utime + told.ru_stime


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


def sides(folder: Path, backbone: str, weights: str) -> list[list[tuple[float, float]]]:
    """Return what each round of both sides took: of the script, then of featx."""
    times = []
    for _ in range(ROUNDS):
        script = taken(sys.executable, folder / "script.py", backbone, weights, folder / "svm.pkl", folder / "list",
                       folder / "script.txt")  # fmt: skip
        predict = f"{sys.executable} -m featx predict {folder}/model.featx - --cache {folder}/cache"
        times.append((script, taken("sh", "-c", f"{predict} -o {folder}/featx.csv < {folder}/list")))
    return [list(side) for side in zip(*times, strict=True)]


def row(what: str, script: tuple[float, float], own: tuple[float, float]) -> str:
    wall, processor = (
        f"{mine:.2f} | {other:.2f} | {other / mine:.2f}x" for mine, other in zip(own, script, strict=True)
    )
    return f"| {what} | {wall} | {processor} |"


def main(data: str = "", backbone: str = "squeezenet1_0", weights: str = "", count: str = "200") -> None:
    given = Path(os.environ.get("FEATX_TEST_DATA", "."))
    data = data or str(given / "data" / "isic2018_subset")
    weights = weights or str(next((given / "weights").glob(f"{backbone}*"), ""))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, data, backbone, weights)
        images = sorted(map(str, Path(data).rglob("*.jpg")))[: int(count)]
        told = {}
        for number in (1, len(images)):
            (folder / "list").write_text("\n".join(images[:number]))
            told[number] = [
                tuple(map(statistics.median, zip(*side, strict=True))) for side in sides(folder, backbone, weights)
            ]
        one, all_ = told[1], told[len(images)]
        rest = [tuple(b - a for a, b in zip(*both, strict=True)) for both in zip(one, all_, strict=True)]
        apart = f"scores differ by {worst(folder):.1e} of their spread"
        print(f"{backbone}, {len(images)} images, medians of {ROUNDS} rounds; {apart}")
        print("| | featx, s | script, s | ratio | featx, processor s | script, processor s | ratio |")
        print("|---|---|---|---|---|---|---|")
        print(row("start-up and one image", *one))
        print(row(f"the other {len(images) - 1} images", *rest))
        print(row("whole process", *all_))


if __name__ == "__main__":
    main(*sys.argv[1:])
