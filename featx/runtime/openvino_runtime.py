"""The runtime for processors: OpenVINO, on a graph that was converted once and is kept on disk.

A stream is one thread's request on one core. The precision is always said: left to itself, OpenVINO takes bfloat16
wherever the processor has it. This file must never know images on disk, what holds features, or where weights are from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ConversionError, UsageError
from featx.runtime.base import PRECISIONS, Runtime, Stream, refuse_unknown
from featx.runtime.conversion import Plan, converted

if TYPE_CHECKING:
    from torch import nn

HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVINORuntime(Runtime):
    """A network run by OpenVINO on the processor; see :class:`Runtime`.

    Parameters
    ----------
    network : callable
        Returns the network (``torch.nn.Module``, float32); called only where it was not converted before, so that
        torch is not imported where it was.
    plan : Plan
        What the network is, and what is wanted of it.
    folder : pathlib.Path
        Where converted networks are kept.
    precision : {"fp32", "bf16"}
        Precision of weights and activations; features come out as float32.
    streams : int
        Threads that will run side by side, one core each.

    Raises
    ------
    ConversionError
        Where the network cannot be converted, or gives other features then.
    UsageError
        Where the processor does not offer the precision, or torch refuses the size or a layer.
    """

    device = "cpu"

    def __init__(
        self,
        network: Callable[[], nn.Module],
        *,
        plan: Plan,
        folder: Path,
        precision: str = "fp32",
        streams: int = 1,
    ) -> None:
        import openvino

        super().__init__()
        refuse_unknown("precision", precision, PRECISIONS)
        self.name = f"openvino {openvino.__version__.partition('-')[0]}"
        self.precision, self.size, self.batch_size = precision, plan.size, plan.batch_size
        graph = converted(network, plan=plan, folder=folder)
        self.dims = graph.dims
        self._model = compiled(graph.file, precision=precision, streams=streams)

    def stream(self) -> Stream:
        """Return a stream with a request of its own."""
        return _OpenVINOStream(self)


def compiled(file: Path, *, precision: str, streams: int) -> Any:
    """Return OpenVINO's compiled model: one thread and one request for each stream.

    Raises
    ------
    ConversionError
        Where OpenVINO cannot compile it for this processor.
    UsageError
        Where it would compute in another precision than the one asked for.
    """
    import openvino

    options = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        "ENABLE_CPU_PINNING": False,  # another process on the same machine would be pinned to the same core
    }
    try:
        model = openvino.Core().compile_model(file, "CPU", options)
    except RuntimeError as error:
        told = " ".join(str(error).split())[-200:]
        raise ConversionError(f"OpenVINO cannot compile this network here ({told})") from error
    hint = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    if hint != HINTS[precision]:
        raise UsageError(
            f"--precision {precision}: OpenVINO would compute in {hint} on this processor; take --precision fp32, "
            "or --runtime torch"
        )
    return model


class _OpenVINOStream:
    """A request and its buffer."""

    def __init__(self, runtime: OpenVINORuntime) -> None:
        import openvino

        self._runtime = runtime
        self.pixels = np.zeros((runtime.batch_size, runtime.size, runtime.size, 3), dtype=np.uint8)
        self._request = runtime._model.create_infer_request()
        self._request.set_input_tensor(openvino.Tensor(self.pixels, shared_memory=True))

    def __call__(self) -> dict[str, np.ndarray]:
        self._runtime._counted()
        self._request.infer()
        return {name: self._request.get_output_tensor(at).data for at, name in enumerate(self._runtime.dims)}
