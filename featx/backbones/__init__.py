"""The shelf of backbones: one family a file, loaded when a name is asked for.

Nothing here imports torch. This package must never know a dataset or the cache.
"""

from __future__ import annotations

from featx.backbones.base import KINDS, NORMALISATIONS, Backbone, Layer, find_module
from featx.shelf import Shelf

__all__ = ["BACKBONES", "KINDS", "NORMALISATIONS", "Backbone", "Layer", "find_module"]

_FAMILIES = {
    "alexnet": "alexnet",
    "convnext": "convnext_tiny convnext_small convnext_base convnext_large",
    "custom": "maia-custom1 maia-custom2",
    "densenet": "densenet121 densenet161 densenet169 densenet201",
    "efficientnet": "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 "
    "efficientnet_b6 efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l",
    "inception": "googlenet inception_v3",
    "maxvit": "maxvit_t",
    "mnasnet": "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3",
    "mobilenet": "mobilenet_v2 mobilenet_v3_large mobilenet_v3_small",
    "pixels": "pixels",
    "regnet": "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf "
    "regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf "
    "regnet_y_128gf",
    "resnet": "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d "
    "wide_resnet50_2 wide_resnet101_2",
    "shufflenet": "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    "squeezenet": "squeezenet1_0 squeezenet1_1",
    "swin": "swin_t swin_s swin_b swin_v2_t swin_v2_s swin_v2_b",
    "vgg": "vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn",
    "vggm": "vggm",
    "vit": "vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14",
}

BACKBONES: Shelf[Backbone] = Shelf(
    "backbone",
    {
        name: f"featx.backbones.{family}:{name.replace('-', '_')}"
        for family, names in _FAMILIES.items()
        for name in names.split()
    },
    aliases={"vgg-m": "vggm", "inception_v1": "googlenet"},
)
