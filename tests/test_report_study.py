"""The report on what `featx run` leaves: its tables and curves are those of the run, its runs stand side by side."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html import unescape

import pytest
from click.testing import CliRunner
from networks import dataset
from pages import csv_behind
from studies import asked, toy

from featx import pipeline as study
from featx.cli import main
from featx.errors import RunError, UsageError
from featx.page import Figure, Verdict
from featx.report import report
from featx.report.joined import Named, joined
from featx.report.protocol import protocol
from featx.report.reading import read_run
from featx.report.study import Study, read
from featx.report.trainings import trainings

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data and a cache, and the toy run in it."""
    folder = tmp_path_factory.mktemp("study")
    data = dataset(folder / "toy", hint=2)
    study.run(study.planned(toy(), asked(data), cache=folder / "cache"), cache=folder / "cache", out=folder / "out")
    return folder


@pytest.fixture(scope="module")
def page(place):
    return report(place / "out", cache=place / "cache")


@pytest.fixture
def copied(place, tmp_path):
    """The run in a place of its own; its record can be changed by a function."""
    folder = tmp_path / "moved"
    shutil.copytree(place / "out", folder)

    def change(function):
        record = json.loads((folder / "pipeline.json").read_text())
        function(record)
        (folder / "pipeline.json").write_text(json.dumps(record))
        return folder

    return change


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def table(html, name):
    """Return the rows of a CSV file of the page."""
    (link,) = set(re.findall(rf'download="{re.escape(name)}" href="([^"]+)"', html))
    return list(csv.reader(io.StringIO(csv_behind(link), newline="")))


def verdicts(found):
    return [(part.level, part.text) for section in protocol(found) for part in section.parts
            if isinstance(part, Verdict)]  # fmt: skip


# ---- what a study has of its own


def test_its_tables_are_those_that_it_wrote_with_the_published_numbers(place, page):
    heads, *rows = table(page.html, "table-one-toy.csv")
    wanted, *own = rows_of(place / "out" / "tables" / "one.csv")
    assert heads == wanted[:-1] == ["train.l2", "AUC", "AUC, 95 % interval", "AUC, published", "f1_melanoma",
                                    "training.epochs"]  # fmt: skip
    for row, told in zip(rows, own, strict=True):
        assert row[0] == told[0]
        for at in (1, 3) if row[0] != "mean ± sd" else ():
            assert float(row[at]) == pytest.approx(float(told[at]), rel=1e-5)
    assert rows[0][3] == "0.705" and "± " in rows[-1][1]
    assert "published: Toy (2020)" in page.html
    assert ("green", "toy is the study's The Toy Set by its format and size: published numbers stand beside.") in (
        verdicts(read(place / "out"))
    )


@pytest.mark.parametrize(
    ("change", "standing", "shown"),
    [({"adapter": "folder"}, "is another dataset than the study", 1), ({"synthetic": True}, "are withheld.", 0)],
)
def test_the_rule_of_published_numbers_holds_on_the_page(place, tmp_path, change, standing, shown):
    plan = study.planned(toy(), asked(place / "toy" / "labels.csv"), cache=place / "cache")
    plan.material = replace(plan.material, datasets={"main": replace(plan.material.datasets["main"], **change)})
    plan.pipeline = plan.pipeline.model_copy(update={"figures": ()})
    study.run(plan, cache=place / "cache", out=tmp_path / "out")
    found = report(tmp_path / "out", cache=place / "cache", maps=False)
    assert any(level == "amber" and standing in told for level, told in verdicts(read(tmp_path / "out")))
    (name,) = set(re.findall(r'download="(table-one-[^"]+)"', found.html))
    heads, first, *_ = table(found.html, name)
    assert [head for head in heads if "published" in head] == (
        ["AUC, published, on The Toy Set (another dataset)"] * shown
    )
    assert ("0.705" in first) == bool(shown) and ("withheld here" in found.html) != bool(shown)


def test_its_figures_are_drawn_again_from_the_same_numbers(place, page):
    sections = {section.heading: section for section in page.sections}
    figures = [part for part in sections["Figures of the study"].parts if isinstance(part, Figure)]
    record = json.loads((place / "out" / "pipeline.json").read_text())
    assert [one.numbers.caption for one in figures] == [told["title"] for told in record["figures"]]
    assert len(figures) == len(list((place / "out" / "figures").glob("*.csv"))) == 4
    for one, told in zip(figures, record["figures"], strict=True):
        written = rows_of(place / "out" / "figures" / f"{told['id']}.csv")
        assert list(one.numbers.header) == written[0][:-1] and len(one.numbers.rows) == len(written) - 1


def test_learning_curves_are_the_histories_of_its_trainings(place, page):
    (figure,) = next(one for one in page.sections if one.heading == "Learning curves").parts
    (path,) = (place / "out" / "steps").glob("train-*.json")
    (network,) = json.loads(path.read_text())["result"]["networks"]
    wanted = [(row["epoch"], round(row["train_loss"], 4), round(row["validation_loss"], 4))
              for row in network["history"]]  # fmt: skip
    assert list(figure.numbers.rows) == wanted and figure.numbers.header == ("epoch", "train loss", "validation loss")
    assert ">1</text>" in figure.picture and ">0.95</text>" not in figure.picture  # epochs are whole


def test_several_networks_of_a_training_are_one_picture(copied):
    folder = copied(lambda record: None)
    (path,) = (folder / "steps").glob("train-*.json")
    told = json.loads(path.read_text())
    history_ = [{"epoch": at, "train_loss": 1 / at, "validation_loss": 2 / at} for at in (1, 2, 3)]
    other = [{**row, "train_loss": row["train_loss"] + 1, "validation_loss": None} for row in history_[:2]]
    told["result"]["networks"] = [{"name": "0x0", "history": history_}, {"name": "0x1", "history": other}]
    path.write_text(json.dumps(told))
    (figure,) = trainings(read(folder)).parts
    assert figure.numbers.rows == ((1, 1.5, 1.0, 2.0), (2, 1.0, 0.5, 1.5))  # as far as both; no loss is made up
    assert figure.numbers.header == ("epoch", "train loss", "train loss, lowest", "train loss, highest")
    assert "2 networks" in figure.numbers.caption and "(2 epochs)" in figure.numbers.caption


def test_what_differs_and_what_was_left_out_is_told(page):
    html = unescape(page.html)
    for told in ("the halves are drawn by group", "Nothing is said.", "smoke: train.epochs 1 instead of 2",
                 "Left out: source, begun: no The Other Toy Set is given", "featx runs the protocol of A. Toy.",
                 "Scale smoke: fewer images and epochs"):  # fmt: skip
        assert told in html, told
    assert "reproduc" not in html and len(page.html) < 2e6


# ---- its runs


def test_runs_over_the_same_splits_stand_side_by_side(place, page):
    found = read(place / "out")
    assert isinstance(found, Study) and len(found.runs) == 1
    (run,) = found.runs
    keys = {(features, classifier) for _, features, classifier in run.scores}
    learned = {("learned 0.0001", "svm"), ("learned 0.0001", "argmax")}
    assert keys == {("frozen gap", "svm"), ("frozen fc1", "svm"), *learned}
    (name,) = set(re.findall(r'download="(means-over[^"]+)"', page.html))
    heads, *rows = table(page.html, name)
    told = {(row[heads.index("features")], row[heads.index("classifier")]): row for row in rows}
    for told_of in found.record["comparisons"]:  # each cell has its own mean and its own interval
        record = json.loads((place / "out" / told_of["folder"] / "run.json").read_text())
        for result, judged in zip(record["results"], record["judged"][0]["intervals"], strict=False):
            layer = f" {result['features'].rpartition('--')[2]}" * (len(told_of["layers"]) > 1)
            own = told[f"{told_of['experiment']}{layer}", result["classifier"]]
            assert float(own[heads.index("mean")]) == pytest.approx(result["mean"], abs=5.1e-5)
            assert float(own[heads.index("low")]) == pytest.approx(judged["low"], abs=5.1e-5)
    assert "4 results stand side by side" in page.html and "ROC of melanoma" in page.html


def test_runs_over_other_splits_stand_apart_and_one_experiment_twice_is_refused(place):
    one, other, *_ = (read_run(path.parent) for path in sorted((place / "out" / "comparisons").glob("*/run.json")))
    settings = {**other.record["settings"], "folds": {"digest": "another", "scheme": "5x2"}}
    apart = replace(other, record={**other.record, "settings": settings})
    first, second = joined([Named(one, "a"), Named(apart, "b")])
    assert "5x2" in second.called and first.ids != second.ids and len(first.scores) == len(one.scores)
    with pytest.raises(RunError, match="two runs of the study are of one experiment"):
        joined([Named(one, "a"), Named(one, "a")])


def test_a_moved_folder_is_still_whole_and_a_run_in_it_can_be_shown_alone(place, copied):
    folder = copied(lambda record: None)
    assert report(folder, cache=place / "cache", maps=False).notes == ()
    alone = sorted((folder / "comparisons").iterdir())[0]
    found = report(alone, cache=place / "cache", maps=False)
    assert found.html.count("Curves and errors") == 2 and "Tables of the study" not in found.html
    with pytest.raises(UsageError, match="one run was given twice"):
        report([folder, alone], cache=place / "cache")


# ---- what is refused


def test_a_study_that_was_stopped_is_told_so(copied):
    folder = copied(lambda record: None)
    (folder / "pipeline.json").unlink()
    with pytest.raises(RunError, match="is of a study that was not run to its end; run `featx run` again"):
        report(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.clear(),
        lambda record: record.update(format=1),
        lambda record: record.update(comparisons=[{"folder": "../../etc"}]),
        lambda record: record.update(comparisons=7),
        lambda record: record["comparisons"].append({"folder": "comparisons/none", "experiment": "x"}),
        lambda record: record.update(tables=[{"id": "x"}]),
        lambda record: record["tables"][0]["rows"][0].pop(),
        lambda record: record["tables"][0].update(heads=["a"]),
        lambda record: record["figures"][0].update(kind="pie"),
        lambda record: record["figures"][0].update(given={"names": 3}),
        lambda record: record["trainings"][0].update(file="steps/../../passwd"),
        lambda record: record["trainings"].insert(0, 3),
        lambda record: record["datasets"]["main"].update(standing="best"),
        lambda record: record.pop("notes"),
        lambda record: record["pipeline"].pop("study"),
    ],
)
def test_a_record_that_is_not_whole_is_refused_in_a_sentence(copied, change):
    with pytest.raises(RunError, match=r"(run|compare)"):
        report(copied(change), maps=False)


def test_hostile_words_stay_text(copied, place, page):
    hostile = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u202e'

    def change(record):
        record["pipeline"].update(title=hostile, differs=[hostile])
        record.update(data=hostile, notes=[hostile], random={hostile: hostile})
        record["tables"][0].update(title=hostile, notes=[hostile], heads=[hostile, *record["tables"][0]["heads"][1:]])
        record["figures"][0]["title"] = hostile
        record["comparisons"][0]["experiment"] = hostile

    told = report(copied(change), cache=place / "cache").html
    assert "<img" not in told and "\u202e" not in told and told.count("<script") == page.html.count("<script") == 1
    assert "onerror=alert(1)" in unescape(told)


def test_the_command_takes_the_folder_of_a_study(place, tmp_path):
    words = ["report", place / "out", "-o", tmp_path / "page.html", "--cache", place / "cache", "--no-map"]
    done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0 and f"written: {tmp_path / 'page.html'}" in done.stderr
    assert "A toy of a study" in (tmp_path / "page.html").read_text()
