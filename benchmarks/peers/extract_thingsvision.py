"""The same with thingsvision (Muttenthaler and Hebart 2021), in an environment of its own.

It pins older versions of torch and tensorflow: ``python3 -m venv DIR && DIR/bin/pip install thingsvision``, then run
this with ``DIR/bin/python``.

    DIR/bin/python extract_thingsvision.py FOLDER OUT.h5 --weights FILE [--threads 2]
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import h5py
from extract_given import LAST, arguments, network, relative, squashed, tell
from thingsvision import get_extractor_from_model
from thingsvision.utils.data import DataLoader, ImageDataset


def main() -> None:
    given = arguments()
    transform = squashed(given.backbone)
    extractor = get_extractor_from_model(model=network(given), device="cpu", backend="pt")
    notes = Path(f"{given.out}.notes")  # thingsvision writes the list of files into a folder
    images = ImageDataset(root=str(given.folder), out_path=str(notes), backend="pt", transforms=transform)
    batches = DataLoader(dataset=images, batch_size=given.batch_size, backend="pt")
    module = LAST[given.backbone]
    features = extractor.extract_features(batches, module, flatten_acts=False, output_type="ndarray")
    with h5py.File(given.out, "w") as file:
        file["path"] = relative(given, map(str, images.samples))
        file["features"] = features
    tell(thingsvision=version("thingsvision"), tensorflow=version("tensorflow"))


if __name__ == "__main__":
    main()
