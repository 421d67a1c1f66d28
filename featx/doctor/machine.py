"""Python, packages, processor, memory and GPU, as they are. This file must never know caches or datasets."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from featx.doctor.finding import NOTE, OK, WRONG, Finding
from featx.engine import cores
from featx.provenance import ABILITIES, version


def python() -> Finding:
    """Look at the interpreter."""
    told = f"{platform.python_version()} ({platform.machine()}, {platform.system()} {platform.release()})"
    if sys.version_info < (3, 11) or sys.maxsize < 1 << 32:
        return Finding("python", WRONG, told, "take Python 3.11 or newer, 64 bits wide")
    return Finding("python", OK, told)


def packages() -> Iterator[Finding]:
    """Hold what is installed against what this featx asks for; extras are told where they are."""
    try:
        asked = metadata.requires("featx") or []
    except metadata.PackageNotFoundError:
        yield Finding("packages", WRONG, "featx itself is not installed", "pip install . in its folder")
        return
    needs = [need for text in asked if "extra ==" not in text and (need := _need(text))]
    lacking = [f"{name}>={least}" for name, least in needs if _older(version(name), least)]
    told = ", ".join(f"{name} {version(name) or 'missing'}" for name, _ in needs)
    if lacking:
        yield Finding("packages", WRONG, told, f"pip install {' '.join(map(repr, lacking))}")
    else:
        yield Finding("packages", OK, told)
    yield Finding("extras", OK, _extras(asked))


def _need(text: str) -> tuple[str, str] | None:
    found = re.match(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)", text)
    return (found[1], found[2]) if found else None


def _older(have: str | None, least: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.match(r"[0-9.]*", text)[0].split(".") if part]  # type: ignore[index]

    return have is None or numbers(have) < numbers(least)


def _extras(asked: Sequence[str]) -> str:
    extras: dict[str, list[bool]] = {}
    for text in asked:
        extra, need = re.search(r"extra == ['\"]([^'\"]+)", text), _need(text)
        if extra and need and extra[1] != "dev":
            extras.setdefault(extra[1], []).append(not _older(version(need[0]), need[1]))
    return ", ".join(f"{name} {'yes' if all(there) else 'no'}" for name, there in sorted(extras.items()))


def processor() -> Iterator[Finding]:
    """Look at cores and at the instructions that make networks fast."""
    lines = _lines("/proc/cpuinfo")
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
    abilities = [flag for flag in ABILITIES if flag in flags]
    told = f"{name}, {cores()} of {os.cpu_count()} cores; {', '.join(abilities) or 'none of ' + ', '.join(ABILITIES)}"
    if platform.machine() == "x86_64" and "avx2" not in flags:
        yield Finding(
            "processor", NOTE, told, "networks will be slow without AVX2; take another machine for large sets"
        )
    else:
        yield Finding("processor", OK, told)
    fast = "amx_bf16" in flags or "avx512_bf16" in flags
    yield Finding(
        "bf16", OK, "in hardware" if fast else "not in hardware: --precision bf16 would not be faster on the CPU"
    )


def memory() -> Finding:
    """Look at what memory is left."""
    words = [line.split() for line in _lines("/proc/meminfo")]
    sizes = {name.rstrip(":"): count for name, count, *_ in words}
    total, free = (int(sizes.get(name, 0)) / 1e6 for name in ("MemTotal", "MemAvailable"))
    told = f"{free:.1f} of {total:.1f} GB available"
    if free and free < 2:
        return Finding(
            "memory", NOTE, told, "end other programs, or take a smaller --batch-size: VGG16 wants some 2 GB"
        )
    return Finding("memory", OK, told)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def gpu() -> Finding:
    """Look for a GPU that torch can use."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding(
            "gpu", WRONG, f"torch cannot be imported: {_first_line(error)}", "pip install --force-reinstall torch"
        )
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        return Finding("gpu", OK, ", ".join(f"{gpu.name} ({gpu.total_memory / 1e9:.0f} GB)" for gpu in names))
    if Path("/dev/nvidia0").exists():
        why = "is built without CUDA" if torch.version.cuda is None else f"{torch.version.cuda} does not start on it"
        return Finding("gpu", NOTE, f"there is one, but torch {why}", "install the torch build that fits its driver")
    return Finding("gpu", OK, "none; networks run on the processor")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
