"""The report: its numbers are those of the run and of scikit-learn, its checks can fail, and data stay text."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from pages import csv_behind
from PIL import Image
from sklearn import metrics as sk

from featx.cache import OK, FeatureWriter, new_record
from featx.cli import main
from featx.comparison import compare
from featx.comparison.question import pairs_told
from featx.datasets.base import Dataset, Sample
from featx.errors import RunError, UsageError
from featx.evaluation import evaluate
from featx.matrix import read_features
from featx.page import Figure, Verdict, render
from featx.report import Report, curves, report
from featx.report.cases import mistakes
from featx.report.checks import NOT_LOOKED, checks
from featx.report.data import cases
from featx.report.learning import learning
from featx.report.mapping import map_of
from featx.report.reading import read_run
from featx.report.shown import Shown

WORDS = ("nv", "bkl", "mel", "bcc", "nv", "akiec")
N = 96
DESIGNS = ["malignant-vs-benign", "three-class"]
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>\u202e'
VOID = {"meta", "link", "br", "img", "input", "hr"}


def made(folder, *, first=0, name="net", naming=str, failed=(), pictures=False, twin=False, env=None, **dataset):
    """Write a feature file of N rows, two a lesion, in which the first features hint at the diagnosis."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, digests = [], []
    for row in range(first, first + N):
        lesion, word = f"lesion {row // 2}", WORDS[row // 2 % len(WORDS)]
        facts = {"sex": ("male", "female")[row // 2 % 2], "age": str(20 + row % 50), "localization": naming("back")}
        samples.append(Sample(naming(f"i{row}"), f"i{row}.jpg", word, naming(lesion), naming(lesion), facts))
        data = f"image {row}".encode()
        if pictures:
            Image.fromarray(np.full((40, 60, 3), row % 256, np.uint8)).save(folder / f"i{row}.jpg")
            data = (folder / f"i{row}.jpg").read_bytes()
        digests.append(hashlib.sha256(data).hexdigest())
    if twin:
        digests[4] = digests[0]
    kinds = sorted(set(WORDS))
    X = np.random.default_rng(first).normal(size=(N, 10)).astype(np.float32)
    X[np.arange(N), [kinds.index(sample.diagnosis) for sample in samples]] += 1.5
    records = np.stack([new_record(status=OK, size=1, mtime_ns=1, sha256=digest) for digest in digests])
    for row in failed:
        records[row] = new_record(status=2, size=1, mtime_ns=1, sha256=bytes(32).hex(), reason="truncated: at byte 7")
    settings = {"group_kind": "lesion", "unit_kind": "lesion", "dropped": {"no label": 3}, **dataset}
    table = Dataset(settings.pop("called", "toy"), "csv", folder, tuple(samples), **settings).to_table()
    path = folder / f"{name}@random0--fc7--{first:08d}.h5"
    paths = [sample.path for sample in samples]
    spec = {"backbone": name, "weights": "0" * 64, "layer": "fc7", "pool": None, "precision": "fp32"}
    with FeatureWriter.open_or_create(
        path, spec=spec, paths=paths, table=table, dim=10, env=env or {"host": "h"}
    ) as file:
        file.write(np.arange(N), X, records)
        file.sync()
        file.finish()
    return path


def run(folder, features=None, **options):
    given = {"classifiers": ["svm", "tree"], "params": ["C=1", "min_samples_leaf=5"], "designs": DESIGNS, "jobs": 1}
    given |= {"cache": folder / "cache", "out": folder / "out", **options}
    return compare(features or made(folder / "cache" / "toy"), **given).folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with probabilities, for the tests that only read."""
    return run(tmp_path_factory.mktemp("whole"), probabilities=True)


@pytest.fixture(scope="module")
def page(whole):
    return report(whole)


@pytest.fixture
def copied(whole, tmp_path):
    """The run in a place of its own, to be changed; its record can be changed by a function."""
    folder = tmp_path / "copied"
    shutil.copytree(whole, folder)

    def change(function):
        record = json.loads((folder / "run.json").read_text())
        function(record)
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return change


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(html, name):
    """Return the rows of a CSV file of the page by the header's names."""
    (link,) = set(re.findall(rf'download="{re.escape(name)}" href="([^"]+)"', html))
    return list(csv.DictReader(io.StringIO(csv_behind(link), newline="")))


def verdicts(folder, heading, features=None):
    """Return level and words of the verdicts of a section of the checks."""
    (section,) = [one for one in checks([Shown(read_run(folder), features)]) if one.heading == heading]
    return [(part.level, part.text) for part in section.parts if isinstance(part, Verdict)]


class Tree(HTMLParser):
    """Names of elements with their attributes' names, in order; ids and texts aside."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    @property
    def kinds(self):
        """Names of elements, each alone and with each of its attributes."""
        return {(tag, name) for tag, names in self.elements for name in ("", *names)}


# ---- numbers


def test_the_comparison_table_is_that_of_the_scores(whole, page):
    (name,) = set(re.findall(r'download="(means-over[^"]+)"', page.html))
    scores = rows(whole / "scores.csv")
    for row in table(page.html, name):
        about = (row["design"], row["classifier"], row["metric"])
        own = [float(one["value"]) for one in scores if (one["design"], one["classifier"], one["metric"]) == about]
        if row["classifier"].startswith("chosen inside"):
            continue
        assert len(own) == 10 and float(row["mean"]) == pytest.approx(np.mean(own), abs=5.1e-5)
        assert float(row["lowest split"]) == pytest.approx(min(own), abs=5.1e-5)
        assert float(row["low"]) < float(row["mean"]) < float(row["high"])
    assert len(table(page.html, name)) == len(DESIGNS) * 3


def test_roc_and_precision_are_scikit_learns(whole):
    held = read_run(whole)
    design = held.designs[0]
    for key in held.keys(design):
        areas = held.scores[key]["auc"]
        for side, area in zip(held.sides[key], areas, strict=True):
            positive, score = side.y == 1, side.scores[:, 1]
            assert sk.roc_auc_score(positive, score) == pytest.approx(area, abs=1e-12)
            false, true, _ = sk.roc_curve(positive, score, drop_intermediate=False)
            np.testing.assert_allclose(curves.roc(positive, score), np.interp(curves.GRID, false, true), atol=1e-12)
            precision, recall, _ = sk.precision_recall_curve(positive, score)
            held_at = [precision[recall >= at - 1e-12][-1] for at in curves.GRID[1:]]
            np.testing.assert_allclose(curves.precision_recall(positive, score), held_at, atol=1e-12)


def test_the_numbers_of_the_roc_figure_are_the_means_over_the_halves(whole, page):
    held = read_run(whole)
    key = held.keys(held.designs[0])[0]
    (name,) = set(re.findall(r'download="(malignant-vs-benign-roc[^"]+)"', page.html))
    curve = f"{key[2]}, {held.mean(key, 'auc'):.3f}"
    own = table(page.html, name)
    each = []
    for side in held.sides[key]:
        false, true, _ = sk.roc_curve(side.y == 1, side.scores[:, 1], drop_intermediate=False)
        each.append([0.0, *np.interp(curves.GRID, false, true)])
    for column, told in (
        ("mean sensitivity", np.mean(each, 0)),
        ("lowest", np.min(each, 0)),
        ("highest", np.max(each, 0)),
    ):
        np.testing.assert_allclose([float(row[f"{curve}: {column}"]) for row in own], told, atol=5.1e-4)


def test_reliability_and_confusion_are_scikit_learns():
    rng = np.random.default_rng(0)
    probability, positive = rng.random(400), rng.random(400) < 0.4
    found = curves.reliability(positive, probability)
    came, told = sk_calibration(positive, probability)
    np.testing.assert_allclose(found.told, told)
    np.testing.assert_allclose(found.came, came)
    assert found.rows.sum() == 400
    alike = curves.reliability(positive, np.full(400, 0.3))
    assert alike.rows.tolist() == [400] and alike.came[0] == pytest.approx(positive.mean())
    y, called = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    found = curves.confusion([(y[:40], called[:40]), (y[40:], called[40:])], classes=3)
    assert (found == sk.confusion_matrix(y, called)).all()


def sk_calibration(positive, probability):
    from sklearn.calibration import calibration_curve

    return calibration_curve(positive, probability, n_bins=curves.BINS, strategy="quantile")


def test_scores_by_lesion_are_drawn_by_lesion_and_by_image_where_nobody_knows_lesions(tmp_path):
    folder = run(tmp_path, unit="lesion", designs=["malignant-vs-benign"])
    held = read_run(folder)
    features = read_features(next((tmp_path / "cache" / "toy").glob("*.h5")))
    key = held.keys(held.designs[0])[0]
    for number, side in enumerate(Shown(held, features).rows(key)):
        assert sk.roc_auc_score(side.y, side.scores[:, 1]) == pytest.approx(held.scores[key]["auc"][number], abs=1e-12)
    lost = report(folder, cache=tmp_path / "elsewhere")
    assert "Drawn by image, although the scores are by lesion" in lost.html
    assert lost.notes and "is not to be found" in lost.notes[0]


def test_mistakes_are_counted_over_all_tests(whole):
    held = read_run(whole)
    design = held.designs[0]
    best = held.keys(design)[0]
    told = rows(whole / "predictions.csv")
    own = [row for row in told if (row["design"], row["classifier"]) == (design.name, best[2])]
    found = mistakes(Shown(held, None), design)
    assert found and [case.margin for case in found] == sorted((case.margin for case in found), reverse=True)
    for case in found:
        tests = [row for row in own if row["sample"] == case.sample]
        wrong = [row for row in tests if row["predicted"] != row["truth"]]
        assert (case.tests, case.wrong, case.truth) == (len(tests), len(wrong), tests[0]["truth"]) and case.wrong > 2


def test_the_flow_adds_up(page):
    (name,) = set(re.findall(r'download="(malignant-vs-benign-from-the-rows[^"]+)"', page.html))
    told = {row["step"]: int(row["rows"]) for row in table(page.html, name)}
    assert told["found"] == told["kept"] + told["dropped: no label"] == N + 3
    left = sum(number for step, number in told.items() if step.startswith("left out"))
    assert told["with features"] - left == told["used"] == told["used as benign"] + told["used as malignant"]


# ---- checks


def test_a_run_without_sanity_has_no_all_clear(whole):
    for heading in ("Told without the picture", "Folds that ignore groups", "Where there is nothing to learn"):
        (told,) = verdicts(whole, heading)
        assert told[0] == "amber" and "--sanity" in told[1]


def sane(level, what="metadata: source", value=0.9, **more):
    return {"what": what, "design": "malignant-vs-benign", "value": value, "low": None, "high": None, "level": level,
            "sentence": "a sentence", **more}  # fmt: skip


def test_sanity_rows_keep_their_level(copied):
    entries = [sane("red"), sane("green", "dummy", 0.5), sane("info", "pixels", None),
               sane("info", "ungrouped folds", 0.1, low=0.05, high=0.15)]  # fmt: skip
    folder = copied(lambda record: record.update(sanity=entries))
    assert [level for level, _ in verdicts(folder, "Told without the picture")] == ["red"]
    assert [level for level, _ in verdicts(folder, "Where there is nothing to learn")] == ["amber", "green"]
    assert [level for level, _ in verdicts(folder, "Folds that ignore groups")] == ["amber"]


def test_fits_at_the_edge_or_not_converged_are_counted(copied):
    def change(record):
        record["results"][0]["splits"][0] |= {"at_edge": True, "converged": False}

    (edge, stopped) = verdicts(copied(change), "Choice and convergence")
    assert edge[0] == stopped[0] == "amber" and " in 1 of 40 " in edge[1] and stopped[1].startswith("1 of 40 ")


def test_seen_rows_are_red(copied, whole):
    assert [level for level, _ in verdicts(whole, "Rows that weights have seen")] == ["green"]
    seen = [{"features": "f", "repeat": 0, "half": 0, "samples": ["i1", "i2"]}]
    folder = copied(lambda record: record["settings"].update(seen=seen))
    assert verdicts(folder, "Rows that weights have seen")[0][1].startswith("2 rows")


def test_near_duplicates_are_judged_by_their_groups(copied):
    def judged(pairs, notes=(), mode="audit"):
        def change(record):
            record["settings"]["near_duplicates"] = {"mode": mode, "pairs": pairs}
            record["notes"] = list(notes)

        return verdicts(copied(change), "Groups and copies")[1]

    within, across = {"first": "i0", "second": "i1"}, {"first": "i0", "second": "i2"}
    assert judged([within])[0] == "green"
    assert judged([within, across]) == ("amber", judged([within, across])[1]) and "1 pair " in judged([across])[1]


def test_what_was_not_looked_at_is_no_all_clear(whole, copied):
    features = read_features(next((whole.parent / "cache" / "toy").glob("*.h5")))
    (note,) = pairs_told(features, [], 5, join=False)  # the very words of the comparison
    assert note.startswith(NOT_LOOKED)
    folder = copied(lambda record: record.update(notes=[note]))
    assert verdicts(folder, "Groups and copies")[1][0] == "amber"


def test_identical_files_with_differing_diagnoses_are_red(tmp_path):
    features = made(tmp_path / "cache" / "toy", twin=True)
    told = verdicts(run(tmp_path, features), "Groups and copies", read_features(features))
    assert ("red", "1 set of identical files with differing diagnoses: one is wrong.") in told


def test_images_left_out_are_counted(tmp_path):
    folder = run(tmp_path, made(tmp_path / "cache" / "toy", failed=(1, 2)))
    ((level, told),) = verdicts(folder, "Images left out")
    assert level == "amber" and "2 of 96" in told


# ---- runs of other kinds


def test_an_evaluation_and_several_runs_make_one_page(whole, tmp_path):
    train = made(tmp_path / "cache" / "toy", first=0)
    test = made(tmp_path / "cache" / "other", first=1000, called="other")
    given = {"classifiers": ["svm"], "params": ["C=1"], "designs": ["malignant-vs-benign"], "jobs": 1}
    folder = evaluate(train, test=test, cache=tmp_path / "cache", out=tmp_path / "out", **given).folder
    alone = report(folder, maps=False)
    assert "Report on other" in alone.html and not alone.notes
    both = report([whole, folder], maps=False)
    assert "Report on toy, other" in both.html and "run 2, other" in both.html
    (name,) = set(re.findall(r'download="(means-over[^"]+)"', both.html))
    assert {row["run"] for row in table(both.html, name)} == {"1", "2"}
    told = [part.text for section in both.sections for part in section.parts if isinstance(part, Verdict)]
    assert told.count("No two files are the same byte for byte.") == 1  # of both runs, and said once
    assert sum(text.startswith("Run 2: Near-duplicates of train and test images were not") for text in told) == 1
    flows = [part.numbers for section in both.sections if section.heading == "From found to used"
             for part in section.parts]  # fmt: skip
    assert len(flows) == len(DESIGNS) + 1 and sum("(run 2)" in one.caption for one in flows) == 1


def test_what_many_rows_say_is_said_once(copied):
    folder = copied(lambda record: None)
    told = rows(folder / "subgroups.csv")
    assert {row["classifier"] for row in told} == {"svm", "tree"} and not any(row["value"] for row in told)
    for number, row in enumerate(row for row in told if row["column"] == "sex"):
        row.update(value=0.5 + number / 100, low=0.4, high=0.9, note="models of this kind")
    with (folder / "subgroups.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, told[0], quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows(told)
    (section,) = [one for one in report(folder, maps=False).sections if one.heading == "Subgroups"]
    found, known = section.parts[-1].rows, [row for row in told if row["value"]]
    lacking = {(row["design"], row["column"], row["subgroup"]) for row in told if not row["value"]}
    assert "Where no note stands: models of this kind." in section.parts
    assert [row[1] for row in found] == [row["classifier"] for row in known] + ["every one"] * len(lacking)
    assert [row[6] for row in found[: len(known)]] == [row["value"] for row in known]
    assert {(row[0], row[2], row[3]) for row in found[len(known) :]} == lacking
    assert [row[9] for row in found[: len(known)]] == [""] * len(known) and "too few" in found[-1][9]
    assert all(isinstance(row[4], int) for row in found)


def test_one_run_twice_or_none_is_refused(whole):
    with pytest.raises(UsageError, match="twice"):
        report([whole, whole])
    with pytest.raises(UsageError, match="at least one"):
        report([])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", "[]"),
        ("run.json", "{"),
        ("run.json", '{"verb": "compare"}'),
        ("scores.csv", "design\n"),
        ("predictions.csv", ""),
        ("predictions.csv", "sample,group\na,b\n"),
    ],
)
def test_a_broken_run_is_refused_in_a_sentence(copied, file, content):
    folder = copied(lambda record: None)
    (folder / file).write_text(content)
    with pytest.raises(RunError):
        report(folder)


def test_files_of_two_runs_are_refused(copied):
    folder = copied(lambda record: None)
    lines = (folder / "scores.csv").read_text().splitlines()
    (folder / "scores.csv").write_text("\n".join(line for line in lines if '"tree"' not in line) + "\n")
    with pytest.raises(RunError, match="speak of different"):
        report(folder)


def test_learning_curves_are_those_beside_the_weights(tmp_path):
    losses = [{"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1.5 / epoch} for epoch in (1, 2, 3)]
    with (tmp_path / "w.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, losses[0], quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        writer.writerows(losses)
    features = made(tmp_path / "cache" / "toy", env={"host": "h", "weights_file": str(tmp_path / "w.safetensors")})
    (section, figure) = learned(run(tmp_path, features), features)
    assert section.heading == "Learning curves"
    assert figure.numbers.rows == tuple((str(one["epoch"]), round(one["train_loss"], 4), one["validation_loss"])
                                        for one in losses)  # fmt: skip
    assert learning(Shown(read_run(tmp_path / "out"), None)) is None


def learned(folder, features):
    """Return the section of learning curves and its only figure."""
    section = learning(Shown(read_run(folder), read_features(features)))
    (figure,) = section.parts
    return section, figure


def test_cells_are_called_by_what_tells_them_apart(tmp_path):
    features = [made(tmp_path / "cache" / "toy", name=name) for name in ("net", "other")]
    held = read_run(run(tmp_path, features, classifiers=["tree"], params=[], designs=["malignant-vs-benign"]))
    assert {held.name(key) for key in held.scores} == {"tree, net", "tree, other"}


# ---- the map


def test_the_map_is_the_same_twice_and_kept(tmp_path):
    features = read_features(made(tmp_path / "toy"))
    first = map_of(features)
    (kept,) = (tmp_path / "toy").glob("*.map-*.json")
    told = json.loads(kept.read_text())
    told["xy"][0] = [1e3, 1e3]
    kept.write_text(json.dumps(told))  # changed behind our back: it is made again
    again = map_of(features)
    assert (first.xy == again.xy).all() and first.xy.shape == (N, 2) and (first.rows == np.arange(N)).all()
    few = map_of(features, most=20)
    assert len(few.rows) == 20 and (np.diff(few.rows) > 0).all()
    assert map_of(features, most=9) is None


# ---- the page


def test_hostile_names_and_labels_stay_text(tmp_path, page):
    hostile = made(tmp_path / "hostile" / "cache" / "toy", naming=lambda text: f"{HOSTILE}{text}")
    told = report(run(tmp_path / "hostile", hostile, designs=DESIGNS[:1])).html
    assert "<img" not in told and "\u202e" not in told and told.count("<script") == 1
    assert Tree(told).kinds <= Tree(page.html).kinds
    assert "onerror=alert(1)" in unescape(told)


def test_hostile_designs_classes_and_classifiers_stay_text(copied, page):
    folder = copied(lambda record: record.update(data=HOSTILE, notes=[HOSTILE]))
    for path in folder.iterdir():
        text = path.read_text().replace("malignant-vs-benign", "<b>d</b>").replace("benign", "<i class=x>c</i>")
        path.write_text(text.replace('"svm"', '"<u onload=alert(2)>svm</u>"'))
    told = report(folder).html
    assert "onload=alert(2)" in unescape(told) and Tree(told).kinds <= Tree(page.html).kinds


def test_nothing_is_loaded_and_only_the_own_script_runs(page):
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page.html)[1])
    script = re.search(r"<script>(.*?)</script>", page.html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy and "img-src" not in policy
    links = re.findall(r'(?:href|src)="([^"]*)"', page.html)
    assert links and all(link.startswith(("#", "data:text/csv")) for link in links)
    assert page.html.count("not a medical device") == 2 and len(page.html) < 2e6


def test_thumbnails_come_only_when_asked_for_and_from_the_very_files(tmp_path):
    features = made(tmp_path / "cache" / "toy", pictures=True)
    shown = Shown(read_run(run(tmp_path, features, designs=DESIGNS[:1])), read_features(features))

    def told(thumbnails):
        return render("Page", lead="", sections=[cases(shown, thumbnails=thumbnails)])

    assert "data:image" not in told(False)
    html = told(True)
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="image i\d+"', html)
    assert pictures and "img-src data:" in html
    small = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert max(small.size) <= 96 and not small.getexif()
    for path in features.parent.glob("*.jpg"):
        Image.new("RGB", (40, 60)).save(path)
    assert "data:image" not in told(True)


def test_the_same_run_gives_the_same_page(whole, page):
    assert report(whole).html == page.html and "2026" not in page.html.partition("<footer>")[2].partition(" from ")[0]


def test_headings_captions_and_pictures_can_be_heard(page):
    levels = [int(level) for level in re.findall(r"<h(\d)", page.html)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.html.count("<table") == page.html.count("<caption")
    pictures = re.findall(r"<svg[^>]*>", page.html)
    assert pictures and all('role="img"' in one and re.search(r'aria-label="[^"]{10}', one) for one in pictures)
    ids = re.findall(r' id="([^"]+)"', page.html)
    assert len(ids) == len(set(ids))


def test_figures_are_printed_with_their_numbers(page, tmp_path):
    some = Report("", page.sections[:2], ())
    figures = sum(isinstance(part, Figure) for section in some.sections for part in section.parts)
    files = some.print_figures(tmp_path / "figures")
    assert len(files) == 3 * figures > 6 and len({path.suffix for path in files}) == 3
    first = next(path for path in files if path.suffix == ".pdf")
    assert first.read_bytes().startswith(b"%PDF") and b"/FontFile2" in first.read_bytes()
    assert next(path for path in files if path.suffix == ".svg").read_bytes().lstrip().startswith(b"<?xml")
    again = some.print_figures(tmp_path / "again")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


# ---- the command


def test_the_command_writes_a_page_and_says_where(whole, tmp_path):
    out = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(whole), "-o", str(out), "--no-map"], catch_exceptions=False)
    assert done.exit_code == 0 and f"written: {out}" in done.stderr and out.read_text().startswith("<!doctype html>")
    assert "t-SNE" not in out.read_text() and re.search(r"Made by featx \S+ on 20\d\d-\d\d-\d\d from", out.read_text())


def test_a_folder_without_a_run_is_refused_by_name(tmp_path):
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 1 and done.stderr.startswith(
        f"Error: {tmp_path} holds neither run.json nor pipeline.json; give a"
    )
