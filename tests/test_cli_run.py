"""`featx run` as a person uses it: what it says, where it writes, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from networks import dataset
from studies import TEXT

from featx.cli import main

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("data") / "toy", hint=2)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(TEXT[: TEXT.index("figures:")])
    return path


def run(*words, code=0):
    found = CliRunner().invoke(main, ["run", *map(str, words)])
    assert found.exit_code == code, found.output
    assert "Traceback" not in found.output
    return found


def test_check_and_schema(file):
    assert run(file, "--check").output == (
        "ok: toy: 4 experiments (5 with their grids), 1 designs, 2 tables with 4 published numbers, "
        "0 figures, 0 readings\n"
    )
    told = json.loads(run("--schema").output)
    assert told["title"] == "Pipeline" and "experiments" in told["required"]


def test_a_run_and_what_it_leaves(file, data, tmp_path):
    about = [file, "--data", data, "--cache", tmp_path / "cache", "--out", tmp_path / "out"]
    dry = run(*about, "--dry-run").output
    assert "[1/5] to do   frozen: extract" in dry and dry.endswith("5 steps: 5 to do\n")
    assert "left out: source, begun: no The Other Toy Set is given (--with other=DIR)" in dry
    assert not (tmp_path / "out" / "steps").exists()
    told = run(*about)
    assert "featx runs the protocol of: A. Toy. On toys. 2020 (scale: smoke)" in told.stderr
    assert "[5/5] learned 0.0001: compare, argmax on mel-vs-benign" in told.stderr
    assert (
        told.stdout.startswith("Table one · toy\n")
        and f"5 steps, 0 of them done before; tables, figures and methods.md: {tmp_path / 'out'}" in told.stdout
    )
    assert f"all of it as a page: featx report {tmp_path / 'out'}\n" in told.stdout
    files = {path.name for path in (tmp_path / "out").rglob("*.*")}
    assert {"methods.md", "pipeline.json", "one.csv", "one.md", "one.tex", "run.json"} <= files
    again = run(*about)
    assert again.stderr.count(": done before") == 5 and "5 of them done before" in again.stdout
    assert again.stdout.splitlines()[:-1] == told.stdout.splitlines()[:-1]
    assert run(*about, "--dry-run").output.endswith("5 steps: 5 done\n")
    elsewhere = run(*about[:-1], tmp_path / "other", "--dry-run").output
    assert "[1/5] cached  frozen: extract" in elsewhere
    assert "Note" not in run(*about, "--quiet").output


def test_tables_for_papers_carry_their_data(file, data, tmp_path):
    run(file, "--data", data, "--cache", tmp_path / "cache", "--out", tmp_path / "out", "--quiet")
    latex = (tmp_path / "out" / "tables" / "one.tex").read_text()
    assert r"\multicolumn{6}{l}{\footnotesize toy} \\" in latex and r"f1\_melanoma" in latex and r"$\pm$" in latex
    markdown = (tmp_path / "out" / "tables" / "one.md").read_text()
    assert markdown.startswith("**Table one** (toy)\n\n| train.l2 | AUC |")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which study to run: ham10000_mobilenet_densenet, maia2019, menegola2017, patel2019, trivedi2016"),
        (["menegola"], "unknown pipeline 'menegola'; did you mean 'menegola2017'?"),
        (["none.yaml"], "there is no pipeline file none.yaml; give one, or a name: "),
        (["menegola2017", "--with", "retina"], "'retina' is no NAME=DIR"),
        (["menegola2017", "--weights", "a=b", "--weights", "a=c"], "'a' came twice"),
        (["menegola2017", "--scale", "tiny"], "'tiny' is not one of 'smoke', 'full'"),
        (["menegola2017", "--data", "nowhere"], "there is no folder or table 'nowhere'"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, said, tmp_path):
    code = 1 if "nowhere" in words else 2
    assert said in " ".join(run(*words, "--cache", tmp_path, code=code).output.split())


def test_an_unknown_key_is_refused_with_its_line(file):
    file.write_text(TEXT.replace("weights: random", "weight: random"))
    assert run(file, "--check", code=2).stderr == (
        f"Error: {file}, line 11: unknown key 'weight' in experiments[0]; did you mean 'weights'?\n"
    )


def test_the_wheel_takes_the_pipelines_from_their_one_folder():
    pytest.importorskip("setuptools")
    script = (
        "import setuptools; import distutils.core as core; dist = core.run_setup('setup.py', stop_after='config'); "
        "build = dist.get_command_obj('build_py'); build.ensure_finalized(); "
        "print('\\n'.join(build.get_outputs(include_bytecode=0)))"
    )
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    names = {path.replace("\\", "/").rpartition("/featx/")[2] for path in told.stdout.splitlines()}
    shipped = {path.name for path in (ROOT / "pipelines").glob("*.yaml")}
    assert {f"pipelines/{name}" for name in shipped} <= names and len(shipped) == 5
    assert {"pipeline/schema.py", "templates/page.html", "cli/run.py"} <= names
    assert not [name for name in names if name.startswith(("tests", "pipelines/README"))]
