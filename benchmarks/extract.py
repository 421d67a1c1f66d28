"""What extraction costs beside what a user would write instead (``benchmarks/peers``), in one run, whole processes.

Every side gets the same JPEGs, seeded random weights, and cores, and its features are compared with ours. Each is run
on all images and on a few of them: the difference is what an image costs once it runs, start-up apart. ``processor``
is the same in seconds of processors, which other work on the machine changes least. Sides take turns; the quickest of
the rounds counts, and ``nan`` stands where noise was larger than the difference. The compiled network of an earlier run
is there, features are not. Prints Markdown, like for like first.

    python benchmarks/extract.py [--quick] [--images N] [--only ROW ...] [--rounds 2] [--folder DIR]
        [--thingsvision PYTHON]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import extract_inputs as inputs
import extract_sides as sides
from extract_sides import Featx, Peer, Side, Spent, Work

from featx.engine import cores

VGG16_GFLOP = 30.9  # to fc7, for one image of 224 x 224
FEW = 16
NETWORKS = {"resnet50": 12, "densenet201": 8, "googlenet": 10, "mobilenet_v2": 8}  # and the ratio that is wanted


class Setting(NamedTuple):
    """What all rows share: images by kind, rounds, the runtime, and thingsvision's own interpreter if there is one."""

    root: Path
    small: int
    large: int
    rounds: int
    runtime: str
    thingsvision: str | None

    def work(self, backbone: str) -> Work:
        """Return a network with its weights."""
        return Work(backbone, inputs.weights(self.root, backbone), self.root)

    def featx(self, precision: str) -> Featx:
        """Return our side."""
        return Featx(precision, self.runtime)


class Cost(NamedTuple):
    """Images a second of the whole process, once it runs, and seconds of processors an image once it runs."""

    whole: float
    further: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="96 small and 12 large images instead of 400 and 40")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, help="how often each side runs [2; 1 with --quick]")
    parser.add_argument("--images", type=int, help="small images [400; 96 with --quick]")
    parser.add_argument("--runtime", default="auto", help="of featx [auto]")
    parser.add_argument("--folder", type=Path, help="where images and weights are made and kept [a temporary one]")
    parser.add_argument("--thingsvision", metavar="PYTHON", help="the interpreter of an environment that has it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (given.folder or Path(temporary)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        small, large = (96, 12) if given.quick else (400, 40)
        small = given.images or small
        rounds = given.rounds or (1 if given.quick else 2)
        setting = Setting(root, small, large, rounds, given.runtime, given.thingsvision)
        print(f"{machine()}, {small} JPEGs of 600 x 450, {large} of 4000 x 3000, rounds: {rounds}\n")
        for name in given.only:
            ROWS[name](setting)


def machine() -> str:
    """Name the processor, the cores and the versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    known = {line.split(":")[0].strip(): line.split(":")[1] for line in lines if ":" in line}
    units = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16", "amx_int8") if flag in known.get("flags", "")]
    return f"{cores()} cores of {model} ({', '.join(units)}), Python {platform.python_version()}"


# rows


def like_for_like(setting: Setting) -> None:
    head("VGG16 to fc7, like for like")
    folder = inputs.small(setting.root, setting.small)
    for precision, wanted in (("fp32", 1.5), ("bf16", 2.2)):
        how = "fp32" if precision == "fp32" else "bf16, channels_last"
        peer = Peer(f"torchvision script, {how}", "extract_torchvision.py", precision, threads=cores())
        compare(setting, "vgg16", setting.featx(precision), [(peer, wanted)], folder)


def as_users_run_them(setting: Setting) -> None:
    head("VGG16 to fc7 in bf16, against others as their users run them, in fp32")
    others = [
        Peer("torchvision script", "extract_torchvision.py", threads=cores()),
        Peer("timm", "extract_timm.py", threads=cores()),
    ]
    if setting.thingsvision:
        script = "extract_thingsvision.py"
        others.append(Peer("thingsvision", script, python=setting.thingsvision, threads=cores()))
    folder = inputs.small(setting.root, setting.small)
    compare(setting, "vgg16", setting.featx("bf16"), [(peer, 12) for peer in others], folder)


def networks(setting: Setting) -> None:
    head("Other networks in bf16, against a plain torchvision script in fp32")
    plain = Peer("torchvision script", "extract_torchvision.py", threads=cores())
    for backbone, wanted in NETWORKS.items():
        folder = inputs.small(setting.root, setting.small)
        compare(setting, backbone, setting.featx("bf16"), [(plain, wanted)], folder)


def large(setting: Setting) -> None:
    head("JPEGs of 4000 x 3000, resnet50 in bf16, against a plain torchvision script in fp32")
    source = inputs.small(setting.root, setting.small)
    folder = inputs.large(setting.root, setting.large, source=source)
    plain = Peer("torchvision script", "extract_torchvision.py", threads=cores())
    compare(setting, "resnet50", setting.featx("bf16"), [(plain, 3)], folder)


def share(setting: Setting) -> None:
    """Matrix products and extraction take turns, so that both see the same machine."""
    print("\n| VGG16 fc7 in bf16, end to end | TFLOP/s | share of the matrix products | wanted |\n|---|---|---|---|")
    folder, work, ours = inputs.small(setting.root, setting.small), setting.work("vgg16"), setting.featx("bf16")
    warm(ours, work, folder)
    rates, runs = [product()], []
    for _ in range(max(2, setting.rounds)):
        runs.append(once(ours, work, folder))
        rates.append(product())
    rate, found = max(rates), cost(runs, setting.small)
    print(f"| bf16 matrix products of these cores, one thread each | {rate:.2f} | | |")
    for what, speed in (("once it runs", found.further), ("whole process", found.whole)):
        done = speed * VGG16_GFLOP / 1000
        print(f"| `featx extract`, {what} | {done:.2f} | {done / rate:.0%} | 75 % |", flush=True)


def product() -> float:
    script = sides.PEERS / "extract_matrix_product.py"
    return json.loads(sides.run([sys.executable, str(script), "--threads", str(cores())]))["tflops"]


def start_and_memory(setting: Setting) -> None:
    """One image, whole process: what is waited for until the first features are there."""
    folder = inputs.small(setting.root, setting.small)
    one = inputs.few(folder, 1)
    print("\n| start-up and memory | featx bf16 | torchvision script, fp32 | wanted |\n|---|---|---|---|")
    for backbone in ("vgg16", "resnet50"):
        work = setting.work(backbone)
        both = (setting.featx("bf16"), Peer("torchvision script", "extract_torchvision.py", threads=cores()))
        warm(both[0], work, folder)
        times: list[list[float]] = [[], []]
        for _ in range(3):
            for side, kept in zip(both, times, strict=True):
                kept.append(sides.spent(side, work, one).wall)
        ours, theirs = (f"{statistics.median(kept):.1f}" for kept in times)
        print(
            f"| {backbone}: seconds from the command to its end, one image | {ours} | {theirs} | under 3 |", flush=True
        )
        peaks = [sides.peak(side, work, folder) for side in both]
        own = work.weights.stat().st_size / 2**20
        ours, theirs = (f"{peak - own:,.0f}" for peak in peaks)
        what = f"{backbone}: peak memory in MB over the network's own {own:,.0f}"
        print(f"| {what} | {ours} | {theirs} | under 1,000 |", flush=True)


ROWS: dict[str, Callable[[Setting], None]] = {
    "like-for-like": like_for_like,
    "others": as_users_run_them,
    "networks": networks,
    "large": large,
    "share": share,
    "start": start_and_memory,
}


# one comparison


def compare(setting: Setting, backbone: str, ours: Featx, others: Iterable[tuple[Peer, float]], folder: Path) -> None:
    """Let our side and the others take turns, and print a line for each of the others."""
    work, wanted = setting.work(backbone), dict(others)
    warm(ours, work, folder)
    told = {peer: sides.versions(peer, work, few(folder)) for peer in wanted}
    runs: dict[Side, list[tuple[Spent, Spent]]] = {side: [] for side in (ours, *wanted)}
    for _ in range(setting.rounds):
        for side, kept in runs.items():
            kept.append(once(side, work, folder))
    images = len(list(folder.rglob("*.jpg")))
    costs = {side: cost(kept, images) for side, kept in runs.items()}
    for peer in wanted:
        same = sides.parity(sides.features(ours, work, folder), sides.features(peer, work, folder))
        line(f"{backbone}, {ours.name}", peer, (costs[ours], costs[peer]), wanted[peer], same, told[peer])


def warm(ours: Featx, work: Work, folder: Path) -> None:
    """Have the network compiled and kept, and everybody's files in the machine's memory."""
    sides.spent(ours, work, few(folder))


def once(side: Side, work: Work, folder: Path) -> tuple[Spent, Spent]:
    """Run a side on a few images and on all; all last, so that its features are those that lie there."""
    return sides.spent(side, work, few(folder)), sides.spent(side, work, folder)


def few(folder: Path) -> Path:
    return inputs.few(folder, few_of(len(list(folder.rglob("*.jpg")))))


def few_of(images: int) -> int:
    return min(FEW, images // 4)


def cost(runs: list[tuple[Spent, Spent]], images: int) -> Cost:
    """Return what the quickest of the rounds say, since other work on the machine only ever adds."""
    more = images - few_of(images)
    short, long = (Spent(*map(min, zip(*kind, strict=True))) for kind in zip(*runs, strict=True))
    return Cost(images / long.wall, more / positive(long.wall - short.wall), positive(long.cpu - short.cpu) / more)


def positive(seconds: float) -> float:
    """Return seconds, or NaN where other work on the machine made few images cost more than many."""
    return seconds if seconds > 0 else float("nan")


def head(title: str) -> None:
    print(f"\n**{title}**\n")
    columns = "work | against | featx, images/s | instead | ratio | processor | whole process | wanted"
    print(f"| {columns} | worst cosine; relative error |\n|" + "---|" * 9, flush=True)


def line(
    work: str,
    peer: Peer,
    costs: tuple[Cost, Cost],
    wanted: float,
    same: tuple[float, float],
    told: dict[str, str],
) -> None:
    ours, theirs = costs
    named = ", ".join(f"{name} {value}" for name, value in told.items() if name != "python")
    ratios = [ours.further / theirs.further, theirs.cpu / ours.cpu, ours.whole / theirs.whole]
    cells = [work, f"{peer.name} ({named})", f"{ours.further:.1f}", f"{theirs.further:.1f}"]
    cells += [*(f"{ratio:.1f}x" for ratio in ratios), f"{wanted:g}x", f"{same[0]:.5f}; {same[1]:.1e}"]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
