"""A pipeline from data to tables: what is laid out, left out and told, what is kept, and what a table may show."""

import csv
import json
from dataclasses import replace

import pytest
from networks import dataset
from studies import asked, toy

from featx import pipeline as study
from featx.cache.places import Places
from featx.errors import FeatxError, TrainingError, UnknownName, UsageError
from featx.pipeline import calls, given, keeping, reading
from featx.pipeline.cached import cached
from featx.pipeline.facts import Fact, facts_of
from featx.pipeline.published import headed
from featx.pipeline.tables import made
from featx.pipeline.unfolding import unfold

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return dataset(folder / "toy", hint=2), dataset(folder / "other", first=900, seed=4, hint=2)


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    """The toy, run once at smoke, with its cache and folder."""
    folder = tmp_path_factory.mktemp("ran")
    plan = study.planned(toy(), asked(data[0], others={"other": data[1]}), cache=folder / "cache")
    return study.run(plan, cache=folder / "cache", out=folder / "out"), folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def planned(data, tmp_path, **changes):
    swap = changes.pop("swap", [])
    return study.planned(toy(swap=swap), asked(data, **changes), cache=tmp_path)


def bare(plan):
    """Return a plan without figures, whose drawing takes most of the time of a run of the toy."""
    plan.pipeline = plan.pipeline.model_copy(update={"figures": ()})
    return plan


# ---- what is laid out


def test_steps_are_the_product_and_sources_come_first(data, tmp_path):
    plan = planned(data[0], tmp_path, others={"other": data[1]}, scale="full")
    kinds = [step.kind for step in plan.steps.values()]
    assert [kinds.count(kind) for kind in ("extract", "train", "compare")] == [2, 3, 6]
    assert next(iter(plan.steps.values())).name == "source: train, mel-vs-benign"
    names = [step.name for step in plan.steps.values()]
    assert names.count("learned 0.0001: compare, argmax on mel-vs-benign") == 1
    assert [one.variant.axes for one in plan.askings][-1] == {"train.l2": "0.01"}
    for step in plan.steps.values():  # whatever is needed stands before
        assert all(names.index(one.name) < names.index(step.name) for one in step.needs)


def test_what_decides_the_result_decides_the_digest(data, tmp_path):
    base = planned(data[0], tmp_path)
    same = planned(data[0], tmp_path)
    assert list(base.steps) == list(same.steps)
    for swap in (
        [("size: 16", "size: 24")],
        [("params: [C=1]", "params: [C=2]")],
        [("holdout:50/50", "holdout:60/40")],
    ):
        other = planned(data[0], tmp_path, swap=swap)
        assert set(other.steps) != set(base.steps)
    assert not set(planned(data[1], tmp_path).steps) & set(base.steps)
    assert not set(planned(data[0], tmp_path, seed=1).steps) & {d for d, s in base.steps.items() if s.kind != "extract"}


def test_a_changed_image_is_another_step(data, tmp_path):
    folder = dataset(tmp_path / "own")
    before = planned(folder, tmp_path)
    image = next(folder.parent.glob("*.png"))
    image.write_bytes(image.read_bytes() + b" ")
    assert not set(planned(folder, tmp_path).steps) & set(before.steps)


def test_what_is_not_given_is_left_out_and_told(data, tmp_path):
    plan = planned(data[0], tmp_path)
    assert set(plan.left_out) == {"source", "begun"}
    assert "left out: source, begun: no The Other Toy Set is given (--with other=DIR)" in plan.notes
    assert not [step for step in plan.steps.values() if "begun" in step.name or "source" in step.name]


def test_draws_and_folds_of_the_user(data, tmp_path):
    plan = planned(data[0], tmp_path, swap=[("id: frozen, title: frozen", "id: frozen, draws: 3, title: frozen")])
    own = [one for one in plan.askings if one.variant.experiment.id == "frozen"]
    assert [one.step.about["seed"] for one in own] == [0, 1, 2] and len({one.step.needs[0].digest for one in own}) == 1
    plan = planned(data[0], tmp_path, folds={"": "kfold:2"})
    assert {one.step.about["folds"][0] for one in plan.askings} == {"kfold:2"}
    plan = planned(data[0], tmp_path, folds={"mel-vs-benign": "kfold:3"})
    assert {one.step.about["folds"][0] for one in plan.askings} == {"kfold:3"}


def test_a_scale_is_told(data, tmp_path):
    plan = planned(data[0], tmp_path)
    assert "smoke: train.epochs 1 instead of 2 (source, learned)" in plan.notes
    assert "smoke: of train.l2 only 0.0001, 1 of 2 values" in plan.notes
    assert not [note for note in planned(data[0], tmp_path, scale="full").notes if note.startswith("smoke")]


def test_designs_that_data_cannot_answer_have_one_instead_or_are_left_out(tiny_demo, tmp_path):
    plan = planned(tiny_demo, tmp_path, swap=[("[mel-vs-benign]", "[{ask: any-dr, instead: [malignant-vs-benign]}, "
                                               "referable-dr]")])  # fmt: skip
    assert {design.name for design in plan.designs.values()} == {"malignant-vs-benign"}
    told = "\n".join(plan.notes)
    assert "cannot be asked any-dr (its images are of skin lesions): malignant-vs-benign is asked instead" in told
    assert "cannot be asked referable-dr (its images are of skin lesions): it is left out" in told
    with pytest.raises(UsageError, match="nothing is left to run"):
        planned(tiny_demo, tmp_path, swap=[("[mel-vs-benign]", "[any-dr]")])


def test_classes_of_its_own(data, tmp_path):
    plan = planned(
        data[0], tmp_path, swap=[("[mel-vs-benign]", "[{ask: mel-vs-rest, classes: {rest: [nv], mel: [mel]}}]")]
    )
    assert plan.designs["main", "mel-vs-rest"].assign(["nv", "mel"]).classes == ("rest", "mel")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"others": {"othr": "x"}}, UnknownName, "unknown dataset of toy 'othr'; did you mean 'other'?"),
        ({"others": {"main": "x"}}, UsageError, "--data and --with main=DIR"),
        ({"scale": "smokey"}, UnknownName, "unknown scale 'smokey'; did you mean 'smoke'?"),
        ({"folds": {"mel-vs-bening": "5x2"}}, UnknownName, "unknown design of toy 'mel-vs-bening'; did you mean"),
        ({"folds": {"": "protocol1.yml"}}, UsageError, "--folds protocol1.yml: there is no such file"),
        ({"params": ["gamma=1"]}, UsageError, "--param gamma=1: no classifier of toy has that"),
    ],
)
def test_mistakes_of_the_user(data, tmp_path, changes, error, said):
    with pytest.raises(error) as found:
        planned(data[0], tmp_path, **changes)
    assert said in str(found.value)


def test_weights_that_are_not_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr("featx.backbones.download.at_hand", lambda _: None)
    swap = [("weights: random", "weights: imagenet"), ("backbone: maia-custom2", "backbone: squeezenet1_0"),
            ("layers: [gap]", "layers: [penultimate]"), ("layers: [gap, fc1]", "layers: [penultimate]")]  # fmt: skip
    plan = planned(data[0], tmp_path, swap=swap)
    assert [step.about["weights"] for step in plan.steps.values() if step.kind == "extract"] == [["random"]]
    assert [
        note for note in plan.notes if note.startswith("RANDOM WEIGHTS: squeezenet1_0 has no ImageNet weights here")
    ]
    assert set(plan.random) == {"frozen", "learned"}
    full = planned(data[0], tmp_path, swap=swap, scale="full")
    assert not full.random and {s.about["weights"][0] for s in full.steps.values() if s.kind != "compare"} == {
        "imagenet"
    }
    file = tmp_path / "own.pth"
    file.write_bytes(b"-")
    given_ = planned(data[0], tmp_path, swap=swap, weights={"squeezenet1_0": file})
    assert not given_.random and {s.about["weights"][0] for s in given_.steps.values() if s.kind == "train"} == {
        str(file)
    }
    with pytest.raises(UsageError, match="there is no such file"):
        planned(data[0], tmp_path, swap=swap, weights={"squeezenet1_0": tmp_path / "none.pth"})
    none = [swap[0], ("backbone: maia-custom2", "backbone: vggm"), *swap[2:], ("size: 16", "size: 224")]
    with pytest.raises(UsageError, match=r"nothing is left to run.*vggm has no ImageNet weights to download"):
        planned(data[0], tmp_path, swap=none, scale="full")


@pytest.mark.parametrize(
    ("name", "scale", "trains", "extracts", "compares"),
    [("menegola2017", "smoke", 14, 3, 15), ("menegola2017", "full", 28, 4, 28), ("trivedi2016", "smoke", 3, 2, 8)],
)
def test_steps_of_the_studies(name, scale, trains, extracts, compares, tiny_demo, tmp_path):
    retina = dataset(tmp_path / "retina", words=("0", "1", "2", "3", "4"))
    file = tmp_path / "own.pth"
    file.write_bytes(b"-")
    pipeline = study.opened(name)
    others = {"retina": retina} if "retina" in pipeline.datasets else {}
    about = asked(tiny_demo, others=others, scale=scale, weights={"vggm": file, "googlenet": file})
    plan = study.planned(pipeline, about, cache=tmp_path)
    kinds = [step.kind for step in plan.steps.values()]
    assert [kinds.count(kind) for kind in ("train", "extract", "compare")] == [trains, extracts, compares]
    assert not any(title in plan.random for title in ("D", "E", "top"))
    if scale == "smoke" and others:
        assert list(plan.random) == ["D16"]
    if others:  # told as they are trained, not as the file has them for the full scale
        assert {source.train.epochs for source in plan.sources} == {1 if scale == "smoke" else 60}


# ---- what a run makes


def test_the_tables_are_the_comparisons_numbers(ran):
    found, folder = ran
    header, *rows = rows_of(folder / "out" / "tables" / "one.csv")
    assert header == ["train.l2", "AUC", "AUC, 95 % interval", "AUC, published", "f1_melanoma", "training.epochs",
                      "dataset"]  # fmt: skip
    assert (
        [row[0] for row in rows] == ["0.0001", "mean ± sd"]
        and rows[0][-1] == "toy"
        and rows[0][3:6:2] == ["0.705", "1.0"]
    )
    (step,) = [one.step for one in found.plan.askings if one.variant.experiment.id == "learned"
               and one.step.about["classifiers"] == ["svm"]]  # fmt: skip
    record = json.loads((folder / "out" / "comparisons" / step.digest[:16] / "run.json").read_text())
    assert float(rows[0][1]) == pytest.approx(record["results"][0]["mean"])
    assert float(rows[0][4]) == pytest.approx(record["results"][0]["means"]["f1_melanoma"])
    header, *rows = rows_of(folder / "out" / "tables" / "two.csv")
    assert header == ["experiment", "from", "gap", "fc1", "dataset"]
    assert [row[:2] for row in rows] == [
        ["frozen", "here"],
        ["frozen", "published"],
        ["begun: from the source", "here"],
    ]
    assert rows[1][2:4] == ["0.7", "0.8"] and rows[2][3] == ""  # no such layer was asked for


def test_figures_and_methods_say_what_and_of_which_data(ran):
    found, folder = ran
    names = {path.name for path in (folder / "out" / "figures").iterdir()}
    stems = {"auc-mel-vs-benign", "l2", "loss-mel-vs-benign", "table-learned-0.0001-mel-vs-benign-argmax-logits"}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "pdf", "csv")}
    picture = (folder / "out" / "figures" / "l2.svg").read_text()
    assert "AUC by L2 · toy, other" in picture
    counts = rows_of(folder / "out" / "figures" / f"{sorted(stems)[-1]}.csv")
    assert sum(int(cell) for row in counts[1:] for cell in row[1:3]) == 24
    text = (folder / "out" / "methods.md").read_text()
    for told in ("featx runs the protocol of A. Toy.", "(doi 10.1/toy)", "24 benign, 24 melanoma images in 24 groups",
                 "holdout:50/50, seed 0", "epochs: Nothing is said. Here: Two.", "the halves are drawn by group",
                 "smoke: train.epochs 1 instead of 2", "torch 2"):  # fmt: skip
        assert told in text
    assert "reproduc" not in text
    record = json.loads((folder / "out" / "pipeline.json").read_text())
    assert record["pipeline"]["name"] == "toy" and len(record["steps"]) == found.done


def test_a_second_run_computes_nothing_and_says_the_same(ran, data, monkeypatch):
    found, folder = ran
    monkeypatch.setattr(calls, "KINDS", {})  # every call would be a KeyError
    monkeypatch.setattr("featx.pipeline.running.KINDS", {})
    plan = study.planned(toy(), asked(data[0], others={"other": data[1]}), cache=folder / "cache")
    told = []
    again = study.run(
        bare(plan), cache=folder / "cache", out=folder / "out", on_step=lambda *about: told.append(about[3])
    )
    assert (again.reused, again.done) == (found.done, found.done) and told == [True] * found.done
    assert [table.values for table in again.tables] == [table.values for table in found.tables]


def test_what_was_stopped_goes_on_from_there(ran, data, tmp_path, monkeypatch):
    found, folder = ran
    plan = study.planned(toy(), asked(data[0], others={"other": data[1]}), cache=folder / "cache")
    done, whole = [], dict(calls.KINDS)

    def counted(kind, stop):
        def call(step, bench):
            if len(done) == stop:
                raise KeyboardInterrupt
            done.append(step.digest)
            return whole[kind](step, bench)

        return call

    monkeypatch.setattr("featx.pipeline.running.KINDS", {kind: counted(kind, 3) for kind in whole})
    with pytest.raises(KeyboardInterrupt):
        study.run(bare(plan), cache=folder / "cache", out=tmp_path)
    assert len(done) == 3 and not (tmp_path / "pipeline.json").exists()
    monkeypatch.setattr("featx.pipeline.running.KINDS", {kind: counted(kind, -1) for kind in whole})
    again = study.run(plan, cache=folder / "cache", out=tmp_path)
    assert len(done) == len(set(done)) == again.done and again.reused == 3
    assert [table.values for table in again.tables] == [table.values for table in found.tables]


def test_a_result_whose_file_is_gone_is_made_again(ran, data, tmp_path):
    found, folder = ran
    step = next(one for one in found.plan.steps.values() if one.kind == "extract")
    result = keeping.load(folder / "out", step)
    assert result is not None
    keeping.save(tmp_path, step, {**result, "files": [str(tmp_path / "gone.h5")]})
    assert keeping.load(tmp_path, step) is None
    path = keeping.path_for(tmp_path, step)
    for text in ("", "{", "[]", '{"format": "featx-step"}', path.read_text().replace(step.digest, "0" * 64)):
        path.write_text(text)
        assert keeping.load(tmp_path, step) is None


def test_a_dry_run_knows_what_the_cache_holds(ran, data, tmp_path):
    found, folder = ran
    extraction = [one for one in found.plan.steps.values() if one.kind == "extract" and not one.needs]
    assert [cached(one, found.plan, folder / "cache") for one in extraction] == [True]
    assert [cached(one, found.plan, tmp_path) for one in extraction] == [False]
    other = study.planned(toy(swap=[("size: 16", "size: 24")]), asked(data[0]), cache=folder / "cache")
    assert not any(cached(one, other, folder / "cache") for one in other.steps.values())


def test_a_network_that_does_not_learn_is_a_result(ran, data, tmp_path, monkeypatch):
    def never(*_, **__):
        raise TrainingError("training diverged: the loss was not finite in epoch 1; take a lower --lr")

    monkeypatch.setattr("featx.training.finetune", never)
    plan = planned(data[0], tmp_path)
    found = study.run(bare(plan), cache=ran[1] / "cache", out=tmp_path / "out")
    table = next(one for one in found.tables if one.id == "one")
    assert table.rows[0] == ("0.0001", "diverged", ".705", "diverged", "diverged") and table.values[0][1] is None
    assert any(note.startswith("did not learn") for note in table.notes)
    assert any("training diverged" in note for note in found.notes)


def test_an_error_says_in_which_step(ran, data, tmp_path):
    plan = planned(data[0], tmp_path, swap=[("layers: [gap, fc1]", "layers: [gap, fc9]")])
    with pytest.raises(FeatxError, match=r"^frozen: extract: unknown layer of maia-custom2 'fc9'"):
        study.run(plan, cache=ran[1] / "cache", out=tmp_path / "out")
    plan = planned(data[0], tmp_path, swap=[("layers: [gap, fc1]", "layers: [penultimate, fc1]")])
    with pytest.raises(UsageError, match="are 1 layers only; name each of them once"):
        study.run(plan, cache=ran[1] / "cache", out=tmp_path / "out")


# ---- where published numbers may stand


def standing(plan, **changes):
    dataset_ = replace(plan.material.datasets["main"], **changes)
    return replace(plan.material, datasets={"main": dataset_}).standing("main", plan.pipeline.datasets["main"])


def test_the_rule_of_published_numbers(data, tmp_path):
    plan = planned(data[0], tmp_path)
    samples = plan.material.datasets["main"].samples
    assert standing(plan) == given.OWN
    assert standing(plan, adapter="folder") == given.OTHER
    assert standing(plan, samples=samples[:47]) == given.OTHER  # beyond 2 %
    assert standing(plan, synthetic=True) == given.WITHHELD
    assert plan.material.standing("other", plan.pipeline.datasets["other"]) == given.WITHHELD


@pytest.mark.parametrize(
    ("change", "head"),
    [
        ({}, "published"),
        ({"adapter": "folder"}, "published, on The Toy Set (another dataset)"),
        ({"synthetic": True}, None),
    ],
)
def test_the_heads_of_published_columns(data, tmp_path, change, head):
    plan = planned(data[0], tmp_path, scale="full")
    own = replace(plan.material.datasets["main"], **change)
    plan.material = replace(plan.material, datasets={"main": own})
    facts = [Fact({"experiment": "learned", "classifier": "svm", "design": "mel-vs-benign", "layer": "gap",
                   "train.l2": label, "metric": "main"}, (0.5, 0.7)) for label in ("0.0001", "0.01")]  # fmt: skip
    table = made(plan.pipeline.tables[0], plan, facts)
    shown = [one for one in table.heads if "published" in one]
    assert shown == ([head] if head else [])
    if head:
        assert [row[-1] for row in table.rows] == [".705", ".710", ".708 ± .003"]
    else:
        assert any("withheld here" in note for note in table.notes)
    assert [row[1] for row in table.rows] == [".600", ".600", ".600 ± .000"]


def test_published_numbers_as_rows(data, tmp_path):
    plan = planned(data[0], tmp_path)
    facts = [Fact({"experiment": "frozen", "classifier": "svm", "layer": layer, "metric": "main"}, (0.5,)) for layer in
             ("gap", "fc1")]  # fmt: skip
    table = made(plan.pipeline.tables[1], plan, facts)
    assert table.rows == (("frozen", "here", ".500", ".500"), ("frozen", "published", ".700", ".800"))


def test_two_results_in_one_cell_are_refused(ran):
    found, _ = ran
    results = {step.digest: keeping.load(found.out, step) for step in found.plan.steps.values()}
    table = found.plan.pipeline.tables[0].model_copy(update={"where": {"experiment": ("learned",)}})
    with pytest.raises(UsageError, match=r"several results fall into one cell .*classifier"):
        made(table, found.plan, facts_of(found.plan, results))


def test_heads_never_say_reproduced(data, tmp_path):
    plan = planned(data[0], tmp_path)
    for standing_ in (given.OWN, given.OTHER, given.WITHHELD):
        told = headed(plan.pipeline.tables[0].published[0], standing_, plan.pipeline)
        assert "reproduc" not in " ".join(told)


def test_fewer_train_rows(ran, data, tmp_path):
    plan = planned(
        data[0], tmp_path, swap=[("id: frozen, title: frozen", "id: frozen, train_share: 0.5, title: frozen")]
    )
    found = study.run(bare(plan), cache=ran[1] / "cache", out=tmp_path / "out")
    (path,) = (tmp_path / "out" / "folds").glob("*.json")
    fewer = json.loads(path.read_text())
    assert [len(split["train"]) for split in fewer["splits"]] == [12]
    assert [len(split["test"]) for split in fewer["splits"]] == [24]
    assert any("50% of the rows of each train side are used" in note for note in found.notes)


def test_policies_reach_the_design():
    found = reading.parse("""
name: toy
title: t
study: {cite: c}
datasets: {main: {title: m}}
designs: [malignant-vs-benign]
policies: {akiec: malignant}
experiments: [{id: a, title: a, backbone: pixels}]
""", where="x")  # fmt: skip
    design = found.designs[0].design(found.policies)
    assert "akiec" in design.members["malignant"]


def test_the_demo_is_drawn_from_and_says_so(tmp_path, tiny_demo):
    pipeline = toy(swap=[("smoke: {set:", "smoke: {images: {main: 60}, set:")])
    material = given.gathered(pipeline, asked(tiny_demo), Places(tmp_path), seed=0)
    own = material.datasets["main"]
    assert 60 <= len(own.samples) < 126 and material.whole["main"] == 126 and own.synthetic
    assert own.found == 126 and own.name == f"tiny-{len(own.samples)}"
    assert any(f"{len(own.samples)} of 126 images, drawn by lesion" in note for note in material.notes)
    plan = unfold(pipeline, asked(tiny_demo), material, seed=0)
    assert "synthetic demo data" in plan.title
