"""What a GPU does with extraction: decoding, the network, and all of it, each beside the bound that it runs against.

Decoding on the processor's cores (featx's own) and by nvJPEG on the device; VGG16 to fc7 in bf16 with channels_last,
eager, as a CUDA graph and compiled, at several batch sizes; ``featx extract`` as a whole process. The network and the
whole also as a share of the bf16 matrix products that the same GPU does in the same run. Prints Markdown tables.

    python benchmarks/extract_gpu.py [--images 2000] [--folder DIR] [--backbone vgg16] [--no-compile]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import extract_inputs as inputs
import extract_sides as sides
import torch
from extract_sides import Featx, Work
from torch import nn

from featx.backbones import BACKBONES
from featx.engine import cores
from featx.images import NORMALISATIONS, Transform

GFLOP = {"vgg16": 30.9}  # to the penultimate layer, for one image of 224 x 224
BATCHES = (64, 128, 256, 512, 1024)
SIDE = 224
SECONDS = 2.0
PRODUCTS = (4096, 8192, 16384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="where images and weights are made and kept [a temporary one]")
    parser.add_argument("--backbone", choices=GFLOP, default="vgg16")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a minute")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no GPU here, and all that this script measures is one: run it where there is a GPU")
    with tempfile.TemporaryDirectory() as temporary:
        root = (given.folder or Path(temporary)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        report(root, given)


def report(root: Path, given: argparse.Namespace) -> None:
    folder, path = inputs.small(root, given.images), inputs.weights(root, given.backbone)
    print(f"{torch.cuda.get_device_name()}, {cores()} cores, torch {torch.__version__}, {given.images} small JPEGs\n")
    print("| | images/s | TFLOP/s | share of the matrix products |\n|---|---|---|---|")
    bound = max(product(size) for size in PRODUCTS)
    print(f"| bf16 matrix products, the best of {PRODUCTS} | | {bound:.0f} | |", flush=True)
    data = [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))]
    line(f"decode and resize, {cores()} threads, processor", on_processor(data), None, bound)
    line("decode by nvJPEG, resize on the device", on_device(data), None, bound)
    ways = {"eager": lambda network, _: network, "CUDA graph": graphed}
    ways |= {} if given.no_compile else {"torch.compile": compiled}
    for name, way in ways.items():
        for batch in BATCHES:
            rate = forward(given.backbone, path, batch, way)
            line(f"{given.backbone}, bf16, {name}, batch {batch}", rate, GFLOP[given.backbone], bound)
    whole(root, folder, given, bound)


def line(what: str, rate: float, gflop: float | None, bound: float) -> None:
    done = rate * (gflop or 0) / 1000
    print(f"| {what} | {rate:,.0f} | {f'{done:.0f} | {done / bound:.0%}' if gflop else '|'} |", flush=True)


def whole(root: Path, folder: Path, given: argparse.Namespace, bound: float) -> None:
    """Run ``featx extract`` on all images and on some: what an image costs once it runs, and the whole process."""
    ours, work = Featx("bf16", "auto"), Work(given.backbone, inputs.weights(root, given.backbone), root)
    some = inputs.few(folder, given.images // 10)
    sides.spent(ours, work, some)
    short, long = sides.spent(ours, work, some).wall, sides.spent(ours, work, folder).wall
    further = (given.images - given.images // 10) / max(long - short, 1e-9)
    line("`featx extract`, JPEG to HDF5, once it runs", further, GFLOP[given.backbone], bound)
    line("`featx extract`, whole process", given.images / long, GFLOP[given.backbone], bound)


# what is measured


def rate_of(work: Callable[[], object], amount: float) -> float:
    """Return how much is done a second, on the device's own clock, after one call that prepares."""
    work()
    torch.cuda.synchronize()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        work()
        calls += 1
        torch.cuda.synchronize()
    return calls * amount / (time.perf_counter() - start)


def product(size: int) -> float:
    """Return TFLOP/s of square bf16 matrix products."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    return rate_of(lambda: torch.mm(a, b, out=out), 2 * size**3 / 1e12)


def on_processor(data: Sequence[bytes]) -> float:
    """Return images a second that all cores decode and resize."""
    transform = Transform(SIDE)
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(transform, data[: 4 * cores()]))
        start = time.perf_counter()
        list(pool.map(transform, data, chunksize=1))
        return len(data) / (time.perf_counter() - start)


def on_device(data: Sequence[bytes], *, batch: int = 128) -> float:
    """Return images a second that nvJPEG decodes by batches and the device resizes with antialiasing."""
    from torchvision.io import ImageReadMode, decode_jpeg

    tensors = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in data]

    def decoded(part: Sequence[torch.Tensor]) -> None:
        for pixels in decode_jpeg(list(part), mode=ImageReadMode.RGB, device="cuda"):
            nn.functional.interpolate(pixels[None].float(), (SIDE, SIDE), mode="bilinear", antialias=True)

    decoded(tensors[:batch])
    torch.cuda.synchronize()
    start = time.perf_counter()
    for at in range(0, len(tensors), batch):
        decoded(tensors[at : at + batch])
    torch.cuda.synchronize()
    return len(tensors) / (time.perf_counter() - start)


def forward(backbone: str, weights: Path, batch: int, way: Callable[[nn.Module, torch.Tensor], Callable]) -> float:
    """Return images a second from uint8 on the device to features on the device."""
    network = Headless(backbone, weights).eval().requires_grad_(False)
    network = network.to("cuda", torch.bfloat16).to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (batch, SIDE, SIDE, 3), dtype=torch.uint8, device="cuda")
    try:
        with torch.inference_mode():
            prepared = way(network, images)
            return rate_of(lambda: prepared(images), batch)
    finally:
        del network
        torch.cuda.empty_cache()


class Headless(nn.Module):
    """A network to its penultimate layer, normalisation included."""

    def __init__(self, backbone: str, weights: Path) -> None:
        super().__init__()
        self.network = BACKBONES[backbone].build()
        self.network.load_state_dict(torch.load(weights, map_location="cpu"))
        self.network.classifier = self.network.classifier[:5]  # VGG16: up to fc7's ReLU
        way = NORMALISATIONS[BACKBONES[backbone].normalise]
        self.register_buffer("scale", way.scale / torch.tensor(way.std).view(1, 3, 1, 1))
        self.register_buffer("shift", -(torch.tensor(way.mean) / torch.tensor(way.std)).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features, shape (b, 4096), of uint8 images, shape (b, 224, 224, 3)."""
        pixels = images.permute(0, 3, 1, 2).to(self.scale.dtype)
        return self.network(pixels * self.scale + self.shift)


def graphed(network: nn.Module, images: torch.Tensor) -> Callable[[torch.Tensor], None]:
    """Record one pass as a CUDA graph and return what replays it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(images)
    return lambda _: graph.replay()


def compiled(network: nn.Module, images: torch.Tensor) -> Callable:
    prepared = torch.compile(network, mode="max-autotune", dynamic=False)
    prepared(images)
    return prepared


if __name__ == "__main__":
    main()
