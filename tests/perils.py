"""A small network, and images that are the death of whoever decodes them: in the process that decodes, and only there.

The process imports this file since the network is built by it.
"""

import os
import signal
import sys
import time
from collections import OrderedDict

from featx.backbones import Backbone, Layer

NETWORK_DIES = (13, 17, 19)  # the first pixel of an image that no network survives


def killed_by(number):
    os.kill(os.getpid(), number)
    time.sleep(600)  # the signal may come by way of another thread, a moment later


DEATHS = {
    b"SEGV": lambda: killed_by(signal.SIGSEGV),
    b"EXIT": lambda: os._exit(7),
    b"KILL": lambda: killed_by(signal.SIGKILL),
    b"HANG": lambda: time.sleep(600),
}


def build():
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 8, 3, bias=False),
            bn=nn.BatchNorm2d(8),
            relu=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(8, 6),
        )
    )


FRAGILE = Backbone(
    "fragile",
    family="tests",
    layers=(Layer("conv", "relu"), Layer("fc", "fc", kind="vector")),
    build=build,
    penultimate="fc",
    min_size=8,
    imagenet=None,
)


def _imperil():
    from featx import fingerprints, images
    from featx.extraction.bench import Bench

    into, features, fingerprint = images.Transform.into, Bench._features, fingerprints.fingerprint

    def looked_at(source):
        DEATHS.get(source.data[:4], lambda: None)()
        return fingerprint(source)

    def deadly(self, data, out):
        DEATHS.get(data[:4], lambda: None)()
        into(self, data, out)

    def inferred(self, rows, good, stream):
        if (stream.pixels[:, 0, 0] == NETWORK_DIES).all(1).any():
            killed_by(signal.SIGABRT)
        return features(self, rows, good, stream)

    images.Transform.into, Bench._features, fingerprints.fingerprint = deadly, inferred, looked_at


if "featx.extraction.child" in sys.modules:
    _imperil()
