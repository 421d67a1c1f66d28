"""The command line as a user types it."""

import csv
import json
import os
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from featx.cli import main
from featx.datasets import SYNTHETIC

VERBS = {
    *("extract", "fit", "compare", "info", "datasets", "demo", "eda", "evaluate", "report", "verify", "cache"),
    *("merge", "doctor", "finetune", "train", "predict", "export", "explain", "activations", "run"),
}
DESIGNS = ("malignant-vs-benign", "mel-vs-benign", "bcc-vs-mel-vs-benign")
SMALL = ["--backbone", "maia-custom2", "--weights", "random", "--size", "64"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Type a command in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture(scope="module")
def extracted(tmp_path_factory, tiny_demo):
    """A cache with features of the tiny demo dataset."""
    cache = tmp_path_factory.mktemp("cache")
    result = CliRunner().invoke(main, ["extract", str(tiny_demo), *SMALL, "--cache", str(cache)])
    assert result.exit_code == 0, result.output
    return cache


def walk(command, path=()):
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


def test_the_verbs_are_these():
    assert set(main.commands) == VERBS


@pytest.mark.parametrize(
    "path, command", list(walk(main)), ids=lambda value: " ".join(value) or "featx" if isinstance(value, tuple) else ""
)
def test_every_verb_and_option_has_help(path, command, run):
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert command.help
    missing = [
        p.name for p in command.params if isinstance(p, click.Option) and not p.help and p.name != "interpolation"
    ]
    assert not missing


@pytest.mark.parametrize("verb", ["", *sorted(VERBS)])
def test_help_imports_neither_torch_nor_sklearn(verb):
    code = (
        "import sys; sys.argv = ['featx', *sys.argv[1:]]\n"
        "from featx.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'sklearn', 'numpy', 'h5py', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *filter(None, [verb]), "--help"], check=True, stdout=subprocess.DEVNULL)


def test_import_featx_is_light():
    code = "import sys, featx; assert not {'torch', 'sklearn', 'numpy', 'click'} & set(sys.modules); featx.FeatxError"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_two_commands_as_written(run, tiny_demo, monkeypatch):
    monkeypatch.setenv("FEATX_DATA", str(tiny_demo))
    assert run("extract", "--layer", "pool2", *SMALL).exit_code == 0
    result = run("fit", "--clf", "svm", "--design", "mel-vs-benign")
    assert result.exit_code == 0
    assert "maia-custom2@random0--pool2" in result.stderr  # says which features it took
    assert "no lesion straddles; patients unknown" in result.stdout
    assert "AUC" in result.stdout and "svm" in result.stdout


def test_a_second_extract_says_that_it_does_nothing(run, tiny_demo, extracted):
    result = run("extract", tiny_demo, *SMALL, "--cache", extracted)
    assert "no forward pass" in result.stdout


def test_compare_prints_a_table_and_writes_its_files(run, extracted, tmp_path):
    out = tmp_path / "out"
    result = run(
        "compare",
        "--clf",
        "svm,tree",
        "--param",
        "svm:C=1",
        "--param",
        "tree:min_samples_leaf=5",
        "--cache",
        extracted,
        "--out",
        out,
    )
    assert result.exit_code == 0
    for word in (
        "malignant-vs-benign",
        "mel-vs-benign",
        "bcc-vs-mel-vs-benign",
        "svm",
        "tree",
        "akiec",
        "models trained on half of this source",
    ):
        assert word in result.stdout
    assert {path.name for path in out.iterdir()} == {
        "run.json",
        "scores.csv",
        "predictions.csv",
        "differences.csv",
        "table.md",
        "table.tex",
        "clinical.csv",
        "subgroups.csv",
    }


def test_everything_made_of_demo_data_says_so(run, extracted, tmp_path):
    out = tmp_path / "out"
    result = run("fit", "--clf", "dummy", "--cache", extracted, "--out", out)
    assert SYNTHETIC in result.stdout
    for path in [*out.iterdir(), *(extracted / "folds").iterdir(), *(extracted / "tiny").glob("*.h5")]:
        assert SYNTHETIC.encode() in path.read_bytes(), path
    with (out / "scores.csv").open() as stream:
        assert all(SYNTHETIC in row["dataset"] for row in csv.DictReader(stream))


def test_a_design_of_ones_own(run, extracted):
    result = run(
        "fit",
        "--clf",
        "dummy",
        "--positive",
        "bcc,mel",
        "--negative",
        "nv",
        "--drop",
        "bkl,akiec,vasc,df",
        "--cache",
        extracted,
    )
    assert "bcc+mel-vs-nv" in result.stdout


def test_the_record_names_the_command(run, extracted, tmp_path):
    run("fit", "--clf", "dummy", "--cache", extracted, "--out", tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["verb"] == "fit"
    assert record["settings"]["folds"]["scheme"] == "5x2"
    assert record["features"][0]["spec"]["backbone"] == "maia-custom2"


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["extract", "nowhere"], 1, "no folder or table 'nowhere'"),
        (["extract", "{data}", "--backbone", "vg16"], 2, "did you mean 'vgg16'?"),
        (["extract", "{data}", "--layer", "fc77"], 2, "did you mean 'fc7'?"),
        (["extract", "{data}", "--weights", "imagnet"], 2, "imagenet"),
        (["extract", "{data}", "--max-failures", "many"], 2, "percentage"),
        (["extract", "{data}", *SMALL, "--max-failures", "7"], 2, "from 0 to 1"),
        (["extract", "{data}", "--dataset", "ham1000"], 2, "did you mean 'ham10000'?"),
        (["extract", "{data}", "--size", "12"], 2, "pixels"),
        (["fit"], 1, "featx extract"),
        (["fit", "--clf", "svn", "--cache", "{cache}"], 2, "did you mean 'svm'?"),
        (["fit", "--clf", "svm,rf", "--cache", "{cache}"], 2, "compare"),
        (["fit", "--design", "mel-vs-benin", "--cache", "{cache}"], 2, "did you mean 'mel-vs-benign'?"),
        (["fit", "--folds", "5x3", "--cache", "{cache}"], 2, "5x2"),
        (["fit", "--folds", "official", "--cache", "{cache}"], 1, "no official split"),
        (["fit", "--unit", "patient", "--cache", "{cache}"], 2, "lesion"),
        (["fit", "--param", "D=1", "--cache", "{cache}"], 2, "--param"),
        (["fit", "--positive", "mel", "--cache", "{cache}"], 2, "--negative"),
        (["fit", "--features", "no.h5"], 1, "no.h5"),
        (["info", "--backbone", "resnet5"], 2, "did you mean 'resnet50'?"),
        (["datasets", "check", "nowhere"], 1, "nowhere"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_gets_one_sentence_and_its_exit_code(run, tiny_demo, extracted, words, code, told):
    result = run(*(word.format(data=tiny_demo, cache=extracted) for word in words))
    assert result.exit_code == code
    assert told in result.stderr
    assert "Traceback" not in result.output
    if "Usage:" not in result.stderr:
        told_before = result.stderr.startswith("features: ")
        assert result.stderr.count("\n") == 1 + told_before


def test_debug_shows_the_traceback(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "featx", "--debug", "extract", "nowhere"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 1 and "Traceback" in result.stderr


def test_skipped_images_give_exit_code_3(run, tiny_demo, tmp_path):
    data = shutil.copytree(tiny_demo, tmp_path / "broken")
    victim = next((data / "HAM10000_images_part_1").iterdir())
    victim.write_bytes(b"no image")
    result = run("extract", data, *SMALL)
    assert result.exit_code == 3
    assert "1 images skipped: 1 not_an_image" in result.stdout and victim.name in result.stdout
    again = run("extract", data, *SMALL)
    assert again.exit_code == 3 and "no forward pass" in again.stdout


def test_too_many_failures_stop_with_exit_code_1(run, tiny_demo, tmp_path):
    data = shutil.copytree(tiny_demo, tmp_path / "broken")
    for victim in list((data / "HAM10000_images_part_1").iterdir())[:20]:
        victim.write_bytes(b"no image")
    result = run("extract", data, *SMALL)
    assert result.exit_code == 1 and "--max-failures" in result.stderr
    assert run("extract", data, *SMALL, "--max-failures", "50%").exit_code == 3


def test_several_datasets_ask_which(run, tiny_demo, tmp_path):
    for name in ("one", "two"):
        assert run("extract", tiny_demo, *SMALL, "--name", name).exit_code == 0
    result = run("fit", "--clf", "dummy")
    assert result.exit_code == 2 and "one, two" in result.stderr
    assert (
        run("fit", "--clf", "dummy", "--features", next((tmp_path / "features_cache" / "two").glob("*.h5"))).exit_code
        == 0
    )


def test_fit_takes_the_features_of_data(run, tiny_demo):
    run("extract", tiny_demo, *SMALL, "--name", "other")
    run("extract", tiny_demo, *SMALL)
    result = run("fit", tiny_demo, "--clf", "dummy")
    assert result.exit_code == 0 and "features_cache/tiny/" in result.stderr


def test_user_data_stop_where_imagenet_weights_cannot_be_had(run, tiny_demo, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("featx.backbones.weights.imagenet_file", unavailable)
    data = shutil.copytree(tiny_demo, tmp_path / "mine")
    table = data / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace(SYNTHETIC, "clinic"))
    result = run("extract", data, "--backbone", "squeezenet1_1")
    assert result.exit_code == 1 and "--weights" in result.stderr


def test_the_demo_goes_on_with_random_weights_and_says_so(run, tiny_demo, monkeypatch, tmp_path):
    monkeypatch.setattr("featx.backbones.weights.imagenet_file", unavailable)
    shutil.copytree(tiny_demo, tmp_path / "features_cache" / "demo_data")
    result = run("demo", "--backbone", "squeezenet1_1")
    assert result.exit_code == 0, result.stderr
    assert "random weights" in result.stderr and "not the quality" in result.stderr
    for word in (*DESIGNS, "svm", "rf", "tree", SYNTHETIC):
        assert word in result.stdout


def unavailable(backbone):
    from featx.errors import WeightsUnavailable

    raise WeightsUnavailable("no network; give --weights FILE or --weights random")


def test_info_lists_layers_with_their_shapes(run):
    result = run("info", "--backbone", "vgg16")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert "4096" in lines["fc7"] and "512 x 7 x 7" in lines["pool5"] and "64 x 224 x 224" in lines["conv1_1"]


def test_info_of_a_feature_file(run, extracted):
    path = next((extracted / "tiny").glob("*.h5"))
    result = run("info", path)
    assert "complete: 126 with features, 0 failed" in result.stdout and "random initial weights" in result.stdout


def test_info_of_the_installation(run, extracted):
    result = run("info", "--cache", extracted)
    assert "vgg16" in result.stdout and ".h5" in result.stdout


def test_datasets_lists_each_with_what_it_expects(run):
    result = run("datasets")
    for name in ("ham10000", "csv", "folder", "demo"):
        assert any(line.startswith(name) for line in result.stdout.splitlines())


def test_datasets_check_counts_and_finds_twins(run, tiny_demo, tmp_path):
    data = shutil.copytree(tiny_demo, tmp_path / "twins")
    first, second = sorted((data / "HAM10000_images_part_1").iterdir())[:2]
    shutil.copyfile(first, second)
    sorted((data / "HAM10000_images_part_2").iterdir())[0].unlink()
    result = run("datasets", "check", data)
    assert "126 found = 125 kept + 1 dropped (no image file)" in result.stdout
    assert "byte-identical images: 1 sets" in result.stdout and first.stem in result.stdout


def test_a_closed_pipe_is_no_traceback(tmp_path):
    code = f"{sys.executable} -m featx info | head -1"
    result = subprocess.run(
        code, shell=True, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert "Traceback" not in result.stderr and "Exception" not in result.stderr


def test_quiet_leaves_only_results(run, extracted):
    result = run("fit", "--clf", "dummy", "--cache", extracted, "--quiet")
    assert result.stderr == "" and "dummy" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "--clf", "rf", "--param", "max_features=2.5"], "rf cannot be fitted"),
        (["fit", "--clf", "svm", "--param", "C=1e300"], "from 1e-09 to 1e+06"),
        (["info", "--backbone", "vgg16", "--size", "5"], "5 x 5 pixels"),
        (["info", "--backbone", "pixels", "--size", "-4"], "-4 x -4 pixels"),
    ],
)
def test_numbers_beyond_sense_are_usage_errors(run, extracted, words, told):
    result = run(*words, "--cache", extracted)
    assert result.exit_code == 2 and told in result.stderr


def test_fit_finds_data_by_where_they_lie_whatever_they_were_called(run, tiny_demo, tmp_path):
    table = tmp_path / "tab" / "t.csv"
    table.parent.mkdir()
    rows = [f"{path.name},{'mel' if n % 2 else 'nv'}" for n, path in enumerate(sorted(tiny_demo.rglob("*.jpg"))[:40])]
    for row in rows:
        name = row.partition(",")[0]
        shutil.copyfile(next(tiny_demo.rglob(name)), table.parent / name)
    table.write_text("\n".join(["file,mydx", *rows]))
    assert run("extract", table, "--label-column", "mydx", "--name", "given", *SMALL).exit_code == 0
    assert run("fit", table, "--clf", "dummy").exit_code == 0
    assert run("fit", table.parent, "--clf", "dummy").exit_code == 0
    assert run("fit", tiny_demo, "--clf", "dummy").exit_code == 1


def test_two_runs_in_one_second_keep_both_records(run, extracted):
    before = len(list((extracted / "runs").glob("*")))
    for _ in range(3):
        run("fit", "--clf", "dummy", "--cache", extracted)
    assert len(list((extracted / "runs").glob("*/run.json"))) == before + 3


def test_out_that_is_a_file_is_refused_before_anything_is_fitted(run, extracted, tmp_path, monkeypatch):
    monkeypatch.setattr("featx.comparison.fit", None)
    (tmp_path / "file").write_text("")
    result = run("fit", "--cache", extracted, "--out", tmp_path / "file")
    assert result.exit_code == 2 and "is a file" in result.stderr


def test_check_lists_images_that_cannot_be_read(run, tiny_demo, tmp_path):
    data = shutil.copytree(tiny_demo, tmp_path / "empty")
    for victim in sorted((data / "HAM10000_images_part_1").iterdir())[:2]:
        victim.write_bytes(b"")
    result = run("datasets", "check", data)
    assert result.exit_code == 0 and "2 image files cannot be read" in result.stdout and victim.name in result.stdout


def test_data_and_features_together_are_refused(run, tiny_demo, extracted):
    path = next((extracted / "tiny").glob("*.h5"))
    result = run("fit", tiny_demo, "--features", path, "--clf", "dummy")
    assert result.exit_code == 2 and "give one of them" in result.stderr


def test_a_slip_in_a_design_of_ones_own_is_refused(run, extracted):
    design = ["--positive", "mel,bccc", "--negative", "nv", "--drop", "akiec,bkl,vasc,df,bcc"]
    result = run("fit", "--clf", "dummy", *design, "--cache", extracted)
    assert result.exit_code == 1 and "no row has the diagnosis 'bccc'; did you mean 'bcc'?" in result.stderr


def test_scores_by_lesion_tell_the_number_of_lesions_and_keep_ties(run, extracted):
    result = run("fit", "--clf", "dummy", "--unit", "lesion", "--folds", "kfold:3", "--cache", extracted)
    assert "lesions" in result.stdout and ".500  .000" in result.stdout
