"""Which precision, which runtime: measured and asked, never assumed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featx import provenance
from featx.errors import UnknownName, UsageError
from featx.runtime import Agreement, agreement, bf16_is_fast, choice, choose, precision


def test_agreement_is_the_cosine_over_images_and_layers():
    exact = {"a": np.array([[1.0, 0.0], [0.0, 2.0]]), "b": np.array([[3.0], [-1.0]])}
    rough = {"a": np.array([[1.0, 1.0], [0.0, 9.0]]), "b": np.array([[2.0], [-5.0]])}
    found = agreement(exact, rough)
    assert found.images == 2
    assert found.worst == pytest.approx(np.sqrt(0.5))
    assert found.mean == pytest.approx((np.sqrt(0.5) + 3) / 4)
    assert not found.sound


def test_rows_of_zeros_agree_with_each_other_only_and_nothing_agrees_with_what_is_not_finite():
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert agreement({"a": zero}, {"a": zero}).worst == 1
    assert agreement({"a": zero}, {"a": one}).worst == 0
    assert agreement({"a": one}, {"a": one * np.nan}).worst == 0
    assert agreement({"a": one}, {"a": one * np.inf}).worst == 0


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_a_scale_changes_nothing_and_noise_does(scale, seed):
    rows = np.random.default_rng(seed).normal(size=(5, 40))
    assert agreement({"a": rows}, {"a": rows * scale}).worst == pytest.approx(1)
    noisy = rows + np.random.default_rng(seed + 1).normal(size=rows.shape)
    assert agreement({"a": rows}, {"a": noisy}).worst < 0.999


def test_the_threshold_and_an_empty_comparison():
    assert Agreement(0.999, 1.0, 64).sound
    assert not Agreement(0.9989, 1.0, 64).sound
    assert not agreement({"a": np.zeros((0, 4))}, {"a": np.zeros((0, 4))}).sound


@pytest.fixture
def amx(tmp_path, monkeypatch):
    for name in precision.LIMITS:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile\n\nprocessor : 1\nflags : fpu\n")
    monkeypatch.setattr(precision, "CPUINFO", file)
    return file


def test_bf16_is_fast_where_the_processor_has_amx(amx):
    assert bf16_is_fast("cpu")
    amx.write_text("flags : fpu avx512f avx512_bf16\n")
    assert not bf16_is_fast("cpu")
    amx.unlink()
    assert not bf16_is_fast("cpu")


@pytest.mark.parametrize("name", precision.LIMITS)
@pytest.mark.parametrize(
    ("limit", "fast"),
    [("AVX512_CORE", False), ("AVX512_CORE_AMX", True), ("avx2", False), ("DEFAULT", True), ("", True)],
)
def test_the_switch_of_the_runtimes_own_library_is_obeyed(amx, monkeypatch, name, limit, fast):
    monkeypatch.setenv(name, limit)
    assert bf16_is_fast("cpu") is fast


def test_a_gpu_has_it_from_ampere_on(monkeypatch):
    for capability, fast in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda found=capability: found)
        assert bf16_is_fast("cuda") is fast


# which runtime


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Say what is installed and what hardware there is."""

    def say(*, openvino, gpu):
        node = tmp_path / "gpu"
        if gpu:
            node.touch()
        monkeypatch.setattr(choice, "GPU_NODES", (str(node),))
        monkeypatch.setattr(provenance, "version", lambda library: "1" if openvino else None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)

    return say


@pytest.mark.parametrize(
    ("openvino", "gpu", "asked", "device", "found"),
    [
        (True, False, "auto", "auto", ("openvino", "cpu")),
        (False, False, "auto", "auto", ("torch", "cpu")),
        (True, True, "auto", "auto", ("torch", "cuda")),
        (True, True, "auto", "cpu", ("openvino", "cpu")),
        (True, True, "torch", "auto", ("torch", "cuda")),
        (True, False, "torch", "auto", ("torch", "cpu")),
        (True, True, "openvino", "auto", ("openvino", "cpu")),
    ],
)
def test_auto_takes_openvino_on_a_processor_where_it_is_installed(here, openvino, gpu, asked, device, found):
    here(openvino=openvino, gpu=gpu)
    chosen = choose(asked, device=device)
    assert (chosen.runtime, chosen.device) == found
    assert (chosen.note is not None) == (asked == "auto" and found == ("torch", "cpu"))
    assert chosen.note is None or "pip install 'featx[cpu]'" in chosen.note


@pytest.mark.parametrize(
    ("openvino", "asked", "device", "told"),
    [
        (False, "openvino", "auto", "not installed"),
        (True, "openvino", "cuda", "on the processor"),
        (True, "torch", "cuda", "no GPU"),
    ],
)
def test_what_cannot_be_had_is_a_usage_error(here, openvino, asked, device, told):
    here(openvino=openvino, gpu=False)
    with pytest.raises(UsageError, match=told):
        choose(asked, device=device)


@pytest.mark.parametrize(("asked", "device"), [("onnx", "auto"), ("auto", "gpu")])
def test_an_unknown_word_is_not_taken_for_another(asked, device):
    with pytest.raises(UnknownName):
        choose(asked, device=device)
