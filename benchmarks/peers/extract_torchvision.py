"""A plain script with torchvision: ``create_feature_extractor``, in fp32 or in bf16 with channels_last.

python extract_torchvision.py FOLDER OUT.h5 --weights FILE [--backbone vgg16] [--precision fp32|bf16] [--threads 2]
"""

from __future__ import annotations

import torch
from extract_given import LAST, arguments, network, squashed, write
from torchvision.models.feature_extraction import create_feature_extractor


def main() -> None:
    given = arguments()
    node = LAST.get(given.backbone, "flatten")
    model = create_feature_extractor(network(given), {node: "features"}).eval()
    if given.precision == "bf16":
        model = model.to(torch.bfloat16).to(memory_format=torch.channels_last)

    def forward(images: torch.Tensor) -> torch.Tensor:
        if given.precision == "bf16":
            images = images.to(torch.bfloat16).to(memory_format=torch.channels_last)
        return model(images)["features"]

    write(given, forward, squashed(given.backbone))


if __name__ == "__main__":
    main()
