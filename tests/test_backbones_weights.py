"""Weights: what may be asked for, strict loading, digests that agree, and what is remembered."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.backbones import BACKBONES, weights
from featx.backbones.weights import WeightsFacts, WeightsSource, load_network, parse_weights, remembered
from featx.errors import UsageError, WeightsError, WeightsUnavailable

DATA = os.environ.get("FEATX_TEST_DATA")


def small_network():
    """A toy with a batch norm, so that it has counters and buffers like the real ones."""
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))


TOY = dataclasses.replace(BACKBONES["resnet18"], name="toy", build=small_network)


@pytest.fixture
def state():
    import torch

    net = small_network()
    with torch.no_grad():
        net[1].running_mean += torch.arange(4.0)
        net[1].num_batches_tracked += 7
    return {key: tensor.clone() for key, tensor in net.state_dict().items()}


def saved(folder: Path, content, *, name="toy.pth") -> Path:
    import torch
    from safetensors.torch import save_file

    if name.endswith(".safetensors"):
        save_file(content, folder / name)
    else:
        torch.save(content, folder / name)
    return folder / name


def loaded(path: Path, backbone=TOY):
    return load_network(backbone, parse_weights(str(path), backbone), memo=path.parent / "memo.json")


# ---------------------------------------------------------------- what may be asked for


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("imagenet", WeightsSource("imagenet", "imagenet")),
        ("random", WeightsSource("random", "random0", seed=0)),
        ("random:12", WeightsSource("random", "random12", seed=12)),
    ],
)
def test_words_are_read(text, source):
    assert parse_weights(text, BACKBONES["vgg16"]) == source


def test_a_path_is_read_with_its_stem_as_a_label(tmp_path):
    path = tmp_path / "My best -- run (2).PTH"
    path.write_bytes(b"")
    assert parse_weights(str(path), TOY) == WeightsSource("file", "My-best-run-2", path=path)


@pytest.mark.parametrize("stem", ["imagenet", "random", "random3", "none", "été", "日本"])
def test_no_file_passes_for_a_word_or_has_an_empty_label(tmp_path, stem):
    path = tmp_path / f"{stem}.pth"
    path.write_bytes(b"")
    assert parse_weights(str(path), TOY).label in {f"file-{stem}", "t", "file-unnamed"}


@given(st.text(min_size=1, max_size=80))
def test_a_label_is_always_fit_for_a_file_name(stem):
    label = weights._slug(stem)
    assert 0 < len(label) <= 65
    assert "--" not in label
    assert "@" not in label
    assert label.isascii()
    assert "/" not in label
    assert not label.startswith(".")


@pytest.mark.parametrize("text", ["imagnet", "random:", "random:x", "random:-1", "random:99999999999999999999", "fc7"])
def test_a_word_that_means_nothing_is_a_usage_error(text):
    with pytest.raises(UsageError, match="random:SEED"):
        parse_weights(text, BACKBONES["vgg16"])


def test_a_path_to_nothing_a_folder_and_a_strange_ending_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "vgg.mat").write_text("")
    for name, reason in [
        ("absent.pth", "no such"),
        (".", "no such"),
        ("notes.txt", "are read"),
        ("vgg.mat", "are read"),
    ]:
        with pytest.raises(WeightsError, match=reason):
            parse_weights(str(tmp_path / name), BACKBONES["vgg16"])


@pytest.mark.parametrize("name", ["vit_h_14", "regnet_y_128gf", "maia-custom1"])
def test_imagenet_weights_that_nobody_publishes_are_unavailable(name):
    with pytest.raises(WeightsUnavailable, match="--weights FILE"):
        parse_weights("imagenet", BACKBONES[name])


def test_pixels_have_no_weights_whatever_was_asked(tmp_path):
    pixels = BACKBONES["pixels"]
    sources = {parse_weights(text, pixels) for text in ("imagenet", "random:4", "/nowhere/file.pth")}
    assert sources == {WeightsSource("none", "none")}
    net, facts = load_network(pixels, sources.pop(), memo=tmp_path / "memo.json")
    assert not list(net.parameters())
    assert facts == remembered(WeightsSource("none", "none"), pixels, memo=tmp_path / "memo.json")
    assert facts.normalise == "0..255"


# ---------------------------------------------------------------- digests


def test_files_of_the_same_tensors_have_one_digest(tmp_path, state):
    import torch

    paths = [saved(tmp_path, state, name=name) for name in ("a.pth", "b.pt", "c.safetensors")]
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    paths.append(saved(tmp_path, {"state_dict": state, "epoch": 3}, name="d.pth"))
    paths.append(saved(tmp_path, {f"module.{key}": value for key, value in state.items()}, name="e.pth"))
    without_counter = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    paths.append(saved(tmp_path, without_counter, name="f.safetensors"))
    paths.append(saved(tmp_path, {key: value.double() for key, value in state.items() if value.ndim}, name="g.pth"))
    facts = [loaded(path)[1] for path in [*paths, tmp_path / "old.pth"]]
    assert len({fact.digest for fact in facts}) == 1
    assert "state_dict" in facts[3].note
    assert "module." in facts[4].note


@pytest.mark.parametrize("key", ["0.weight", "1.running_mean", "4.bias"])
def test_one_other_bit_is_another_digest(tmp_path, state, key):
    import torch

    before = loaded(saved(tmp_path, state))[1].digest
    bits = state[key].view(torch.int32)
    bits.view(-1)[0] ^= 1
    assert loaded(saved(tmp_path, state, name="other.pth"))[1].digest != before


def test_half_precision_is_widened(tmp_path, state):
    import torch

    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    net, facts = loaded(saved(tmp_path, half))
    assert all(torch.equal(values, half[key].float()) for key, values in net.state_dict().items() if values.ndim)
    assert "float16 widened" in facts.note


def test_a_loaded_network_is_float32_at_rest_and_without_gradients(tmp_path, state):
    import torch

    net, facts = loaded(saved(tmp_path, state))
    assert not any(module.training for module in net.modules())
    assert {(p.dtype, p.requires_grad) for p in net.parameters()} == {(torch.float32, False)}
    assert all(torch.equal(values, state[key]) for key, values in net.state_dict().items())
    assert facts.file == str(tmp_path / "toy.pth")
    assert facts.normalise == "imagenet"


# ---------------------------------------------------------------- strictness


def test_a_missing_an_unexpected_and_a_misshapen_tensor_are_named(tmp_path, state):
    import torch

    del state["0.bias"]
    state["extra"] = torch.zeros(1)
    state["4.weight"] = torch.zeros(7, 4)
    with pytest.raises(WeightsError) as caught:
        loaded(saved(tmp_path, state))
    message = str(caught.value)
    for part in ("does not fit toy", "1 missing (0.bias)", "1 unexpected (extra)", "4.weight (7, 4) where (2, 4)"):
        assert part in message


def test_a_small_file_that_claims_a_huge_tensor_is_refused_before_it_is_copied(tmp_path, state):
    import torch

    state["4.weight"] = torch.zeros(1).expand(200_000, 200_000)
    with pytest.raises(WeightsError, match="200000, 200000"):
        loaded(saved(tmp_path, state))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, state, value):
    state["1.running_var"][2] = value
    with pytest.raises(WeightsError, match=r"1\.running_var holds values that are not finite"):
        loaded(saved(tmp_path, state))


def test_doubles_beyond_float32_are_refused(tmp_path, state):
    state["0.bias"] = state["0.bias"].double() + 1e300
    with pytest.raises(WeightsError, match="not finite in float32"):
        loaded(saved(tmp_path, state))


def test_whole_numbers_where_weights_belong_are_refused(tmp_path, state):
    state["0.bias"] = state["0.bias"].long()
    with pytest.raises(WeightsError, match="1 other kind"):
        loaded(saved(tmp_path, state))


def test_a_sparse_tensor_is_refused(tmp_path, state):
    state["4.weight"] = state["4.weight"].to_sparse()
    with pytest.raises(WeightsError, match=r"4\.weight is not a plain dense tensor"):
        loaded(saved(tmp_path, state))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"epoch": 3, "lr": 0.1}, "entry 'epoch' is a int, not a tensor"),
        ({}, "an empty table"),
        ([1, 2], "not a list"),
    ],
)
def test_anything_but_tensors_by_name_is_refused(tmp_path, content, reason):
    with pytest.raises(WeightsError, match=reason):
        loaded(saved(tmp_path, content))


class Evil:
    """Runs a command when unpickled by anything careless."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_an_evil_pickle_is_refused_and_not_run(tmp_path, state, zipped):
    import torch

    content = {**state, "0.bias": Evil(tmp_path / "pwned")}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="holds more than plain tensors") as caught:
        loaded(tmp_path / "evil.pth")
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_a_plain_pickle_and_a_whole_module_are_refused(tmp_path):
    import torch

    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(tmp_path / "pwned")))
    torch.save(small_network(), tmp_path / "module.pth")
    for name in ("plain.pth", "module.pth"):
        with pytest.raises(WeightsError, match=name):
            loaded(tmp_path / name)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["toy.pth", "toy.safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 60, 0.5, 0.98])
def test_a_file_cut_short_is_refused(tmp_path, state, name, kept):
    path = saved(tmp_path, state, name=name)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(WeightsError, match=name):
        loaded(path)


def test_auxiliary_heads_are_dropped_because_the_backbone_says_so(tmp_path):
    import torch
    from torchvision import models

    theirs = models.googlenet(weights=None, aux_logits=True, init_weights=False).state_dict()
    assert any(key.startswith("aux1.") for key in theirs)
    path = saved(tmp_path, theirs)
    net, facts = loaded(path, BACKBONES["googlenet"])
    assert "auxiliary heads dropped" in facts.note
    assert facts.normalise == "-1..1"
    assert all(torch.equal(value, theirs[key]) for key, value in net.state_dict().items())
    undeclared = dataclasses.replace(BACKBONES["googlenet"], ignored=())
    with pytest.raises(WeightsError, match=r"unexpected \(aux1"):
        loaded(path, undeclared)


def test_keys_as_older_files_spell_them_are_renamed():
    old = {
        "densenet121": (
            "features.denseblock1.denselayer1.norm.1.weight",
            "features.denseblock1.denselayer1.norm1.weight",
        ),
        "vit_b_16": ("encoder.layers.encoder_layer_0.mlp.linear_2.bias", "encoder.layers.encoder_layer_0.mlp.3.bias"),
    }
    import torch

    for name, (spelled, key) in old.items():
        with torch.device("meta"):
            own = BACKBONES[name].build().state_dict()
        assert key in own
        assert BACKBONES[name].rename(spelled) == key
        assert all(BACKBONES[name].rename(key) == key for key in own)
    assert BACKBONES["vit_b_16"].rename("a.mlp.linear_1.bias") == "a.mlp.0.bias"


def test_a_real_network_survives_the_way_through_a_file(tmp_path):
    import torch

    backbone = BACKBONES["mnasnet0_5"]
    source = parse_weights("random:5", backbone)
    drawn, facts = load_network(backbone, source, memo=tmp_path / "memo.json")
    read, again = loaded(saved(tmp_path, drawn.state_dict(), name="m.safetensors"), backbone)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert again.digest == facts.digest
    assert torch.equal(drawn(image), read(image))


# ---------------------------------------------------------------- random weights


def test_random_weights_depend_on_the_seed_alone(tmp_path):
    import torch

    before = torch.random.get_rng_state()
    digests = [
        load_network(TOY, parse_weights(text, TOY), memo=tmp_path / "memo.json")[1].digest
        for text in ("random", "random:0", "random:1")
    ]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_random_weights_are_those_that_torchvision_draws(tmp_path):
    import torch
    from torchvision import models

    net, _ = load_network(BACKBONES["squeezenet1_1"], WeightsSource("random", "random3", seed=3), memo=tmp_path / "m")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = models.squeezenet1_1(weights=None)
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in theirs.state_dict().items())


# ---------------------------------------------------------------- memory


def test_what_was_loaded_is_remembered_without_torch(tmp_path, state):
    path = saved(tmp_path, state)
    _, facts = loaded(path)
    code = (
        "import sys; from pathlib import Path; from featx.backbones import BACKBONES;"
        "from featx.backbones.weights import *; import dataclasses;"
        "toy = dataclasses.replace(BACKBONES['resnet18'], name='toy');"
        "print(remembered(parse_weights(sys.argv[1], toy), toy, memo=Path(sys.argv[2])).digest);"
        "assert not {'torch', 'torchvision', 'safetensors', 'scipy'} & set(sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(path), str(tmp_path / "memo.json")]
    told = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == facts.digest


def test_a_changed_file_is_not_remembered(tmp_path, state):
    path = saved(tmp_path, state)
    memo = tmp_path / "memo.json"
    source = parse_weights(str(path), TOY)
    _, facts = loaded(path)
    assert remembered(source, TOY, memo=memo) == facts
    os.utime(path, ns=(0, 12345))
    assert remembered(source, TOY, memo=memo) is None
    loaded(path)
    assert remembered(source, TOY, memo=memo) == facts
    path.unlink()
    assert remembered(source, TOY, memo=memo) is None


def test_memories_are_kept_apart_by_backbone_its_code_and_the_seed(tmp_path):
    memo = tmp_path / "memo.json"
    source = parse_weights("random:1", TOY)
    _, facts = load_network(TOY, source, memo=memo)
    assert remembered(source, TOY, memo=memo) == facts
    assert remembered(parse_weights("random:2", TOY), TOY, memo=memo) is None
    assert remembered(source, dataclasses.replace(TOY, code_version=2), memo=memo) is None
    assert remembered(source, dataclasses.replace(TOY, name="other"), memo=memo) is None


def test_random_weights_of_another_torch_are_not_remembered(tmp_path, monkeypatch):
    memo = tmp_path / "memo.json"
    source = parse_weights("random", TOY)
    load_network(TOY, source, memo=memo)
    monkeypatch.setattr(weights.provenance, "version", lambda library: "99.0")
    assert remembered(source, TOY, memo=memo) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '"text"', "\x00"])
def test_a_damaged_memo_is_no_memory_and_is_mended(tmp_path, content):
    memo = tmp_path / "memo.json"
    memo.write_text(content)
    source = parse_weights("random", TOY)
    assert remembered(source, TOY, memo=memo) is None
    _, facts = load_network(TOY, source, memo=memo)
    assert remembered(source, TOY, memo=memo) == facts


@pytest.mark.parametrize("entry", [None, 3, {}, {"stamp": None, "facts": {}}, {"stamp": 1, "facts": None}, ["x"]])
def test_a_damaged_entry_is_no_memory(tmp_path, entry):
    memo = tmp_path / "memo.json"
    source = parse_weights("random", TOY)
    load_network(TOY, source, memo=memo)
    memo.write_text(json.dumps(dict.fromkeys(json.loads(memo.read_text()), entry)))
    assert remembered(source, TOY, memo=memo) is None


def test_a_memo_that_cannot_be_written_does_not_stop_a_run(tmp_path):
    (tmp_path / "file").write_text("in the way of a folder")
    _, facts = load_network(TOY, parse_weights("random", TOY), memo=tmp_path / "file" / "memo.json")
    assert isinstance(facts, WeightsFacts)


# ---------------------------------------------------------------- real files


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="FEATX_TEST_DATA is unset")
@pytest.mark.parametrize("name", ["mobilenet_v2_imagenet_fp16", "squeezenet1_0_imagenet"])
def test_real_imagenet_files_load_strictly(tmp_path, name):
    import torch

    backbone = BACKBONES[name.partition("_imagenet")[0]]
    path = Path(str(DATA)) / "weights" / f"{name}.pth"
    net, facts = load_network(backbone, parse_weights(str(path), backbone), memo=tmp_path / "memo.json")
    assert facts.normalise == "imagenet"
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert net(image).std() > 0.1
