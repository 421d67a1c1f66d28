"""A small network for the tests of runtimes."""

from collections import OrderedDict

import torch
from torch import nn


def small_network():
    """Batch norm, dropout, and activations that are overwritten in place."""
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, padding=1),
            bn=nn.BatchNorm2d(8),
            relu1=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(4),
            flat=nn.Flatten(),
            fc=nn.Linear(128, 20),
            relu2=nn.ReLU(inplace=True),
            drop=nn.Dropout(),
            last=nn.Linear(20, 5),
        )
    )
    net.bn.running_mean.uniform_(-1, 1)
    net.bn.running_var.uniform_(0.5, 2)
    return net
