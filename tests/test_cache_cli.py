"""`featx verify`, `cache`, `merge`, `info FEATURES` and `doctor` as a user types them."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from click.testing import CliRunner
from fire.common import Job
from fire.sharded import write_shard

from featx.cache import FeatureFile
from featx.cache.shards import Shard
from featx.cli import main
from featx.doctor import OK, WRONG, Finding

SMALL = ["--backbone", "maia-custom2", "--weights", "random", "--size", "64"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_demo):
    """A cache with features of a copy of the tiny demo dataset, and that copy; never changed."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(tiny_demo, folder / "data")
    result = CliRunner().invoke(main, ["extract", str(folder / "data"), *SMALL, "--cache", str(folder / "cache")])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words, **options):
        result = CliRunner().invoke(main, [str(word) for word in words], **options)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def cache(made, tmp_path):
    """A copy of the cache, to be damaged."""
    return shutil.copytree(made / "cache", tmp_path / "cache")


def features_in(cache):
    return next(cache.glob("data/*.h5"))


def damage(path, row):
    with FeatureFile.open(path) as file:
        place = file.head.offsets["features"] + row * file.head.row_bytes
    content = bytearray(path.read_bytes())
    content[place + 2] ^= 1
    path.write_bytes(content)


def test_verify_says_sound_and_ends_with_0(run, cache):
    result = run("verify", "--cache", cache)
    assert result.exit_code == 0 and ": sound; 126 rows: 126 with features" in result.stdout
    assert "126 images in" in result.stdout
    assert run("verify", "--cache", cache, "--quiet").stdout == ""


def test_verify_names_bad_rows_ends_with_1_and_its_command_mends_them(run, cache):
    path = features_in(cache)
    damage(path, 5)
    result = run("verify", path)
    with FeatureFile.open(path) as file:
        name = file.paths[5]
    assert result.exit_code == 1 and "NOT SOUND" in result.stdout and f"{name}: its bytes are not" in result.stdout
    mend = next(line.partition("mend: ")[2] for line in result.stdout.splitlines() if "mend: " in line)
    again = run(*shlex.split(mend.partition("   (")[0])[1:])
    assert again.exit_code == 0 and "1 images computed" in again.stdout and "125 were in the cache" in again.stdout
    assert run("verify", path).exit_code == 0


def test_verify_goes_on_after_a_file_that_cannot_be_read(run, cache):
    whole = features_in(cache)
    broken = whole.with_name("broken.h5")
    broken.write_bytes(b"")
    result = run("verify", "--cache", cache, "--no-images")
    assert result.exit_code == 1 and "broken.h5" in result.stderr and ": sound" in result.stdout
    alone = run("verify", broken)
    assert alone.exit_code == 1 and alone.stderr.count("\n") == 1


def test_verify_of_nothing_says_what_to_do(run, tmp_path):
    assert "featx extract" in run("verify", "--cache", tmp_path / "none").stderr


def test_info_tells_what_a_file_is_and_the_command_that_makes_it_again(run, made, tmp_path):
    path = features_in(made / "cache")
    result = run("info", path)
    told = result.stdout
    for word in ("complete: 126", "maia-custom2", "random initial weights", "torch", "pillow", str(made / "data")):
        assert word in told
    again = shlex.split(next(line.partition("again: ")[2] for line in told.splitlines() if line.startswith("again: ")))
    made_again = run(*again[1:-1], tmp_path / "other")
    assert again[-2] == "--cache" and made_again.exit_code == 0
    with FeatureFile.open(path) as one, FeatureFile.open(next((tmp_path / "other").glob("*/*.h5"))) as other:
        assert one.key == other.key and (one.load() == other.load()).all() and one.path.name == other.path.name


def test_info_tells_what_is_missing(run, cache):
    damage(features_in(cache), 7)
    path = features_in(cache)
    content = bytearray(path.read_bytes())
    with FeatureFile.open(path) as file:
        content[file.head.offsets["finish"] + 9] ^= 1
    path.write_bytes(content)
    assert "not complete: 1 of 126 rows" in run("info", path).stdout


def test_cache_list_tells_sizes_ages_and_what_is_against_files(run, cache):
    features_in(cache).with_name("broken.h5").write_bytes(b"")
    result = run("cache", "list", "--cache", cache)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and any("broken.h5" in line and "damaged" in line for line in lines)
    assert any("maia-custom2@random0" in line and "126" in line and "kB" in line for line in lines)
    assert "2 files" in lines[-1]
    assert "holds nothing" in run("cache", "list", "--cache", cache / "none").stdout
    assert run("cache", "list", "dta", "--cache", cache).exit_code == 2


@pytest.mark.parametrize(("answer", "there"), [("n\n", True), ("", True), ("y\n", False)])
def test_prune_asks_first(run, cache, answer, there):
    broken = features_in(cache).with_name("broken.h5")
    broken.write_bytes(b"")
    result = run("cache", "prune", "--cache", cache, input=answer)
    assert result.exit_code == 0 and broken.exists() == there and "broken.h5" in result.stdout
    assert ("nothing was deleted" in result.stdout) == there


def test_prune_with_yes_asks_nothing_and_keeps_what_serves(run, cache):
    whole = features_in(cache)
    whole.with_name("broken.h5").write_bytes(b"")
    result = run("cache", "prune", "--yes", "--cache", cache)
    assert result.exit_code == 0 and "deleted 1 file," in result.stdout and whole.exists()
    assert "nothing in" in run("cache", "prune", "--yes", "--cache", cache).stdout
    assert run("cache", "prune", "--stale", "old", "--cache", cache).exit_code == 2


def test_merge_says_what_it_made_and_what_it_refuses(run, tmp_path):
    job = Job(tmp_path / "a.h5", n=64, dim=4)
    files = [write_shard(job, Shard(number, 2), pause=0) for number in (1, 2)]
    result = run("merge", *files)
    assert result.exit_code == 0 and "64 rows" in result.stdout and "complete" in result.stdout
    again = run("merge", *files)
    assert again.exit_code == 1 and "there already" in again.stderr and again.stderr.count("\n") == 1
    damage(files[1], 3)
    partly = run("merge", *files, "-o", tmp_path / "b.h5")
    assert partly.exit_code == 3 and "35.jpg" in partly.stderr and "incomplete" in partly.stdout
    assert run("merge", files[0], "-o", tmp_path / "c.h5").exit_code == 1
    assert run("merge").exit_code == 2


def test_info_of_a_shard_says_what_it_is_of(run, tmp_path):
    spec = {"backbone": "vgg16", "layer": "fc7"}
    shard = write_shard(Job(tmp_path / "a.h5", n=64, dim=4), Shard(2, 2), pause=0, spec=spec)
    assert "shard 2/2 of a.h5" in run("info", shard).stdout


@pytest.mark.parametrize(("state", "code"), [(OK, 0), (WRONG, 1)])
def test_doctor_ends_with_1_where_something_is_wrong(run, monkeypatch, state, code):
    monkeypatch.setattr("featx.doctor.examine", lambda cache, plan: [Finding("disk", state, "told", "todo")])
    result = run("doctor")
    assert result.exit_code == code and "-> todo" in result.stdout and ("WRONG" in result.stdout) == bool(code)


def test_doctor_refuses_data_that_are_none(run):
    assert run("doctor", "nowhere").exit_code == 1


def test_the_environment_in_a_file_is_json(made):
    with FeatureFile.open(features_in(made / "cache")) as file:
        json.dumps(file.env)
