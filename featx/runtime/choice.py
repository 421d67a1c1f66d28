"""Which runtime a run takes, settled without importing any: OpenVINO on processors where it is installed, else torch.

This file must never know networks or images.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from featx import provenance
from featx.errors import UsageError
from featx.runtime.base import DEVICES, RUNTIMES, refuse_unknown
from featx.runtime.torch_runtime import pick_device

GPU_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
GAIN = (
    "this run goes through torch; on a processor OpenVINO is about 1.3 times as fast in fp32, and twice as fast in "
    "bf16: pip install 'featx[cpu]'"
)


class Choice(NamedTuple):
    """What runs a network.

    Attributes
    ----------
    runtime : str
        ``torch`` or ``openvino``.
    device : str
        ``cpu`` or ``cuda``.
    note : str or None
        What another installation would gain.
    """

    runtime: str
    device: str
    note: str | None = None


def choose(runtime: str, *, device: str) -> Choice:
    """Settle ``auto``.

    Parameters
    ----------
    runtime : {"auto", "torch", "openvino"}
        ``auto`` takes OpenVINO where it is installed and the network runs on a processor.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one.

    Raises
    ------
    UnknownName
        On another word.
    UsageError
        Where OpenVINO was asked for and is not installed, or together with a GPU; where there is no GPU.
    """
    refuse_unknown("runtime", runtime, RUNTIMES)
    refuse_unknown("device", device, DEVICES)
    if runtime == "openvino":
        return _openvino(device)
    found = device_of(device)
    if runtime == "torch" or found == "cuda":
        return Choice("torch", found)
    return Choice("openvino", "cpu") if _installed() else Choice("torch", "cpu", GAIN)


def device_of(device: str) -> str:
    """Return ``cpu`` or ``cuda``, without torch where no graphics driver is there to be asked."""
    if device == "cpu" or (device == "auto" and not any(Path(node).exists() for node in GPU_NODES)):
        return "cpu"
    return pick_device(device)


def _openvino(device: str) -> Choice:
    if device == "cuda":
        raise UsageError("--runtime openvino runs on the processor; take --device cpu, or --runtime torch")
    if not _installed():
        raise UsageError("--runtime openvino: OpenVINO is not installed; pip install 'featx[cpu]', or --runtime torch")
    return Choice("openvino", "cpu")


def _installed() -> bool:
    return provenance.version("openvino") is not None
