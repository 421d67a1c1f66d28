"""Pipeline files: what is refused, in which words and with which line; and that what is shipped is sound."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import TEXT, toy

from featx import pipeline as study
from featx.errors import UnknownName, UsageError
from featx.pipeline import reading, shipped
from featx.pipeline.experiment import Train
from featx.pipeline.published import value_at
from featx.pipeline.schema import Pipeline
from featx.training.settings import Settings

LINES = TEXT.splitlines()
OWN = ("menegola2017", "trivedi2016")


def line_of(text):
    return next(number for number, line in enumerate(LINES, start=1) if text in line)


def swapped(old, new):
    assert old in TEXT
    return TEXT.replace(old, new)


BAD = [
    ("cite:", "cit:", "unknown key 'cit' in study; did you mean 'cite'?", "study: {"),
    ("id: frozen,", "id: frozen, layer: fc1,", "unknown key 'layer' in experiments[0]; did you", "id: frozen"),
    ("size: 16", "sise: 16", "unknown key 'sise' in experiments[0].transform; did you mean 'size'?", "transform:"),
    ("epochs: 2,", "epoch: 2,", "unknown key 'epoch' in experiments[1].train; did you mean 'epochs'?", "train: {lr"),
    ("title: A toy of a study", "", "'title' is missing; it has to be there", None),
    ("backbone: maia-custom2", "backbone: maia-custom3", "unknown backbone 'maia-custom3'; did you mean", "backbone:"),
    ("[svm, argmax]", "[svn, argmax]", "unknown classifier 'svn'; did you mean 'svm'?", "classifiers:"),
    ("designs: [mel-vs-benign]", "designs: [mel-vs-bening]", "unknown design 'mel-vs-bening'; did you", "designs:"),
    ("adapters: [csv]", "adapters: [cvs]", "unknown dataset 'cvs'; did you mean 'csv'?", "main: {title"),
    ("from: source", "from: sourc", "unknown experiment to start from (folds: all) 'sourc'; did", "id: begun"),
    ("id: begun,", "id: frozen,", "the experiment 'frozen' stands twice", "id: begun"),
    ("lr: 0.05", "lr: -1", "lr takes a value above 0", "train: {lr"),
    ('folds: "holdout:50/50"', "folds: all", "folds `all` are for training; give it a `train` block", "id: frozen"),
    ("data: other,", "data: othr,", "unknown dataset 'othr'; did you mean 'other'?", "id: source"),
    ("rows: [train.l2]", "rows: []", "tables[0].rows: tuple should have at least 1 item", "rows: [train.l2]"),
    ("layout: below", "layout: under", "tables[1].layout: input should be 'beside' or 'below'", "layout:"),
    ("  smoke:", "  smok:", "scales are smoke and full; 'smok' came", "scales:"),
    ("images: 48", "images: many", "datasets.main.images: input should be a valid integer", "main: {title"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said", "at"), BAD, ids=[new or old for old, new, *_ in BAD])
def test_what_is_wrong_is_said_with_its_line(old, new, said, at):
    with pytest.raises(UsageError) as error:
        reading.parse(swapped(old, new), where="toy.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    line = int(re.match(r"toy\.yaml, line (\d+): ", str(error.value))[1])
    if at is not None:
        assert line == line_of(at)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", 'line 2: no readable YAML: found duplicate key "name"'),
        ("name: &x toy\ntitle: *x\n", "line 1: anchors and aliases"),
        ("name: [a\n", "no readable YAML"),
        ("- a\n- b\n", "a pipeline file is a map"),
        ("", "a pipeline file is a map"),
        ("name: \x00", "no readable YAML"),
    ],
)
def test_what_is_no_such_yaml_is_refused(text, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        reading.parse(text, where="toy.yaml")


@given(st.text(max_size=80))
def test_any_text_is_a_pipeline_or_one_sentence(text):
    with pytest.raises(UsageError) as error:
        reading.parse(text, where="toy.yaml")
    assert str(error.value).startswith("toy.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(VALUES, st.sampled_from(sorted(Pipeline.model_fields)))
def test_any_value_of_a_key_is_taken_or_told_with_the_line_of_the_key(value, key):
    lines = json.dumps({"name": "toy", key: value}, indent=0).splitlines()
    with pytest.raises(UsageError, match=r"^toy\.yaml, line \d+: "):
        reading.parse("\n".join(lines), where="toy.yaml")


def test_files_that_are_none_are_told(tmp_path):
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (reading.LARGEST + 1))
    with pytest.raises(UsageError, match="more than 1,000,000 bytes"):
        reading.read(large)
    large.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        reading.read(large)
    with pytest.raises(UsageError, match="there is no pipeline file"):
        shipped.find(str(tmp_path / "none.yaml"))
    with pytest.raises(UnknownName, match="did you mean 'menegola2017'"):
        shipped.find("menegola")


def test_numbers_and_words_are_yaml_1_2():
    found = toy()
    (learned,) = [one for one in found.experiments if one.id == "learned"]
    assert [point.set for point in learned.grid[0]["train.l2"]] == [{"train.l2": 1e-4}, {"train.l2": 1e-2}]
    assert [point.label for point in learned.grid[0]["train.l2"]] == ["0.0001", "0.01"]


def test_defaults_are_put_under_and_train_only_where_there_is_a_block():
    found = toy()
    assert found.experiment("frozen").train is None
    assert found.experiment("learned").train.epochs == 2
    assert found.experiment("frozen").layers == ("gap", "fc1")


def test_training_has_every_setting_but_those_said_elsewhere():
    own = set(Settings.__dataclass_fields__) - {"augmentation", "seed"}
    assert own <= set(Train.model_fields)
    assert Train().settings(seed=3) == Settings(seed=3, precision="fp32")


@pytest.mark.parametrize("name", shipped.names())
def test_what_is_shipped_is_sound(name):
    assert study.opened(name).name == name


def test_the_schema_knows_every_key():
    told = reading.schema()
    assert set(told["properties"]) == set(Pipeline.model_fields)
    assert told["additionalProperties"] is False


PUBLISHED = [  # spot values, as the sources have them
    ("table1", 0, ("malignant-vs-benign", "A"), 76.0),
    ("table1", 0, ("malignant-vs-benign", "D"), 79.1),
    ("table1", 0, ("mel-vs-benign", "F"), 80.9),
    ("table1", 0, ("bcc-vs-mel-vs-benign", "E"), 83.6),
    ("table1", 0, ("bcc-vs-mel-vs-benign", "B"), 71.4),
    ("table1", 1, ("malignant-vs-benign", "A"), 62.3),
    ("table1", 1, ("mel-vs-benign", "E"), 79.0),
    ("table1", 1, ("bcc-vs-mel-vs-benign", "D"), 75.3),
    ("table1", 1, ("malignant-vs-benign", "F"), None),
]


@pytest.mark.parametrize(("table", "number", "place", "value"), PUBLISHED)
def test_published_numbers_of_menegola(table, number, place, value):
    found = study.opened("menegola2017")
    (one,) = [made for made in found.tables if made.id == table]
    assert value_at(one, one.published[number], (*place, "main")) == value


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{frozen: {gap: 0.7", "{frozn: {gap: 0.7", "unknown experiment 'frozn'; did you mean 'frozen'?"),
        ("values: {0.0001: 70.5", "values: {0.0002: 70.5", "unknown train.l2 '0.0002'"),
        ("0.01: 71}", "0.01: high}", "a number is expected; 'high' came"),
        ("rows: [train.l2]", "rows: [lambda]", "unknown key 'lambda'"),
        ("kind: lines", "kind: line", "unknown kind of figure 'l2' 'line'; did you mean 'lines'?"),
        ("x: train.l2", "x: train.l3", "unknown key of figure 'l2' 'train.l3'; did you mean 'train.l2'?"),
        ("smoke: {set: {train.epochs", "smoke: {set: {train.epoks", "unknown field 'epoks'; did you mean 'epochs'?"),
        ("grid: {train.l2: [0.0001]}", "grid: {train.l2: [7]}", "unknown value of axis 'train.l2' '7'"),
        ("grid: {train.l2: [0.0001]}", "grid: {l2: [7]}", "unknown axis of toy 'l2'"),
    ],
)
def test_keys_that_lead_nowhere_are_told_before_anything_runs(tmp_path, old, new, said):
    path = tmp_path / "toy.yaml"
    path.write_text(swapped(old, new))
    with pytest.raises(UsageError) as error:
        study.opened(str(path))
    assert said in str(error.value)
