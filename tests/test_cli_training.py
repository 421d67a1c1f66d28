"""`featx finetune` and `featx train` as a person uses them."""

import json

from click.testing import CliRunner
from networks import DESIGN, SIDE, dataset

from featx.cli import main

QUICK = ["--backbone", "maia-custom2", "--size", str(SIDE), "--epochs", "1", "--folds", "holdout:50/50",
         "--design", DESIGN, "--validation", "25%", "--precision", "fp32"]  # fmt: skip


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_train_then_compare_takes_the_sets_made_last(tmp_path):
    data, cache = dataset(tmp_path / "toy"), tmp_path / "cache"
    told = run("train", data, *QUICK, "--augment", "flip", "--as", "first", "--cache", cache)
    assert told.exit_code == 0, told.output
    assert "0x0  epoch   1/1  loss" in told.output and "weights learned, on cpu in fp32" in told.output
    assert told.output.count(".set.json") == 2 and "maia-custom2@random0+first" in told.output
    again = run("train", data, *QUICK, "--augment", "flip", "--as", "first", "--cache", cache, "-v")
    assert "1 of 1 networks had been trained before" in again.output and "epoch   1/1" not in again.output
    compared = run("compare", "--clf", "svm,argmax", "--param", "svm:C=1", "--design", DESIGN,
                   "--folds", "holdout:50/50", "--cache", cache, "--out", tmp_path / "out")  # fmt: skip
    assert compared.exit_code == 0, compared.output
    cells = json.loads((tmp_path / "out" / "run.json").read_text())["results"]
    assert [(cell["features"].split("--")[1], cell["classifier"]) for cell in cells] == [
        ("fc1", "svm"), ("logits", "svm"), ("logits", "argmax"),
    ]  # fmt: skip
    manifest = next((cache / "toy").glob("*logits*.set.json"))
    assert "each file serves its own split alone" in run("info", manifest).output
    assert manifest.name in run("info", "--cache", cache).output


def test_weights_for_other_data_are_told_how_to_be_used(tmp_path):
    data, cache = dataset(tmp_path / "toy"), tmp_path / "cache"
    told = run("train", data, *QUICK, "--folds", "all", "--seed", "3", "--cache", cache)
    assert told.exit_code == 0, told.output
    (path,) = (cache / "weights").glob("*.safetensors")
    assert path.name.startswith("maia-custom2@random3+toy--") and f"weights and curves: {path}" in told.output
    other = dataset(tmp_path / "other", first=900, seed=4)
    found = run("finetune", other, *QUICK, "--weights", path, "--head", "8", "--freeze", "all", "--cache", cache)
    assert found.exit_code == 0, found.output
    assert "maia-custom2@random3+toy+other--hidden1--" in found.output
    assert "4,122 of 56,794 weights learned" in found.output  # 512 x 8 + 8 and 8 x 2 + 2


def test_a_grid_chooses_inside_each_train_side_and_frozen_parts_are_kept(tmp_path):
    data, cache = dataset(tmp_path / "toy"), tmp_path / "cache"
    told = run("finetune", data, *QUICK, "--weights", "random", "--freeze", "upto:pool1", "--epochs", "2",
               "--grid", "l2=0,1e-3", "--cache", cache)  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "0x0 l2=0.001  epoch   2/2  loss" in told.output and "chosen by the lowest loss" in told.output
    assert len(list(cache.glob("weights/*.grid.csv"))) == len(list(cache.glob("frozen/*.act"))) == 1
    none = run("finetune", data, *QUICK, "--weights", "random", "--freeze", "upto:pool1", "--keep-frozen", "1e-6",
               "--cache", cache)  # fmt: skip
    assert "Note: 0x0: what is frozen is computed anew in each epoch: its activations would take" in none.output


def test_mistakes_are_told_in_one_sentence(tmp_path):
    data = dataset(tmp_path / "toy")
    for words, said in (
        (["--head", "foo"], "is no part of a head"),
        (["--augment", "flipp"], "did you mean 'flip'"),
        (["--lr", "0"], "--lr takes a value above 0"),
        (["--backbone", "pixels"], "nothing can be learned"),
        (["--cut", "conv9"], "unknown layer"),
        (["--grid", "lr"], "write a name and numbers, such as l2=1e-4,1e-3"),
        (["--grid", "dropout=0.1"], "unknown setting that a grid may try 'dropout'"),
        (["--grid", "lr=1", "--grid", "lr=2"], "--grid lr came twice"),
    ):
        told = run("train", data, *QUICK, *words, "--cache", tmp_path / "cache")
        assert told.exit_code == 2 and said in told.output and "Traceback" not in told.output
