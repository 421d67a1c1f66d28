"""The same with timm: ``create_model(..., num_classes=0)`` and timm's own transform, told to squash.

timm's VGG has convolutions where torchvision has linear layers; the same weights are poured into its shapes.

    python extract_timm.py FOLDER OUT.h5 --weights FILE [--threads 2]
"""

from __future__ import annotations

import timm
import torch
from extract_given import IMAGENET, SIDE, arguments, tell, write

RENAMED = {
    "classifier.0": ("pre_logits.fc1", (4096, 512, 7, 7)),
    "classifier.3": ("pre_logits.fc2", (4096, 4096, 1, 1)),
}


def main() -> None:
    given = arguments()
    model = timm.create_model(given.backbone, pretrained=False, num_classes=0)
    model.load_state_dict(poured(torch.load(given.weights, map_location="cpu")))
    model.eval()
    mean, std = IMAGENET
    how = {"interpolation": "bilinear", "mean": mean, "std": std, "crop_pct": 1.0, "crop_mode": "squash"}
    tell(timm=timm.__version__)
    write(given, model, timm.data.create_transform(input_size=(3, SIDE, SIDE), **how))


def poured(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return torchvision's VGG weights under timm's names, without the last layer."""
    found = {}
    for key, tensor in state.items():
        module, kind = key.rsplit(".", 1)
        name, shape = RENAMED.get(module, (module, tensor.shape))
        if module != "classifier.6":
            found[f"{name}.{kind}"] = tensor.reshape(shape) if kind == "weight" else tensor
    return found


if __name__ == "__main__":
    main()
