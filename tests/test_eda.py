"""The page on a dataset: every number on it is counted anew here, and what is not known is said."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from pages import csv_behind

from featx.datasets import Dataset, Sample, open_dataset
from featx.datasets.base import Columns
from featx.eda import page_of
from featx.eda.view import MISSING, OTHERS, View, crossed, lumped, ordered
from featx.fingerprints import Fingerprint, Fingerprints
from featx.near_duplicates import Pair
from featx.shortcuts import Shortcut

HOSTILE = "</svg><script>alert(1)</script>"


def dataset(n=60, *, diagnosis=lambda row: ("nv", "nv", "mel")[row % 3], attributes=lambda row: {}, **settings):
    group = settings.pop("group", lambda row: f"g{row}")
    samples = tuple(
        Sample(f"i{row}", f"i{row}.jpg", diagnosis(row), group(row), f"i{row}", attributes(row)) for row in range(n)
    )
    return Dataset("made", "csv", Path("/data"), samples, **{"group_kind": "lesion", **settings})


def prints(of, *, failed=(), **facts):
    """Make fingerprints; every fact is a function of the row."""
    usual = {"phash": 0, "bytes": 1000, "width": 64, "height": 48, "mode": "RGB", "format": "JPEG", "camera": ""}
    held = {
        s.id: Fingerprint(**{"sha256": f"{row:064x}", **usual, **{name: fact(row) for name, fact in facts.items()}})
        for row, s in enumerate(of.samples)
    }
    return Fingerprints(
        {k: v for k, v in held.items() if k not in failed}, dict.fromkeys(failed, "truncated: cut short")
    )


def table(page, name):
    """Return the rows of a CSV file of the page, without its header."""
    (link,) = set(re.findall(rf'download="{re.escape(name)}" href="([^"]+)"', page))
    return list(csv.reader(io.StringIO(csv_behind(link), newline="")))[1:]


def verdicts(page):
    """Return level and words of the verdicts in the sections."""
    body = page[page.index("<section") :]
    found = re.findall(r'<p class="verdict (\w+)"><b>\w+\.</b> (.*?)</p>', body, re.S)
    return [(level, unescape(text)) for level, text in found]


def headings(page):
    return [unescape(text) for text in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]


def unshown(page):
    return unescape(page[page.index("What is not shown, and why</h2>") :])


def test_found_is_kept_and_dropped():
    data = dataset(12, dropped={"no label": 2, "no image file": 3}, notes=("a <note>",))
    page = page_of(data, fingerprints=prints(data, failed=("i1",)))
    assert table(page, "from-the-rows-found-to-the-images-that-can-be-used.csv") == [
        ["found", "17"],
        ["dropped: no label", "2"],
        ["dropped: no image file", "3"],
        ["kept", "12"],
        ["image cannot be used: truncated", "1"],
        ["images that can be used", "11"],
    ]
    assert table(page, "image-files-that-cannot-be-read.csv") == [["i1", "nv", "truncated: cut short"]]
    assert "a &lt;note&gt;" in page and "12 images of 2 diagnoses in 12 lesions" in page


def test_designs_are_counted_or_refused_with_the_reason():
    data = dataset(
        designs=("mel-vs-benign", "diagnosis"),
        lacks={"": "its labels are others", "malignant-vs-benign": "too coarse"},
        diagnosis=lambda row: ("nv", "nv", "mel", "akiec")[row % 4],
    )
    page = page_of(data)
    rows = table(page, "classes-of-each-design-that-can-be-asked.csv")
    assert ["mel-vs-benign", "benign", "30", str(30 / 45), "30"] in rows
    assert ["mel-vs-benign", "left out: akiec: policy --akiec drop", "15", "", ""] in rows
    refused = dict(table(page, "designs-that-cannot-be-asked.csv"))
    assert refused["malignant-vs-benign"] == "too coarse" and refused["any-dr"] == "its labels are others"
    assert not {"mel-vs-benign", "diagnosis"} & set(refused)
    generic = dict(table(page_of(dataset()), "designs-that-cannot-be-asked.csv"))
    assert "has no place for the diagnoses" in generic["any-dr"] and "--positive" not in generic["any-dr"]


def test_diagnoses_are_counted_by_image_and_by_group():
    data = dataset(60, group=lambda row: f"g{row // 6}-{row % 3}")
    rows = table(page_of(data), "images-and-lesions-of-each-diagnosis.csv")
    assert rows == [["nv", "40", str(40 / 60), "20", "2.0"], ["mel", "20", str(20 / 60), "10", "2.0"]]


@pytest.mark.parametrize(("every", "level"), [(2, "green"), (20, "amber")])
def test_unevenness_is_judged(every, level):
    page = page_of(dataset(diagnosis=lambda row: "mel" if row % every == 0 else "nv"))
    (told,) = [(lv, text) for lv, text in verdicts(page) if "Who always says" in text]
    assert told[0] == level and f"{100 * max(1 / every, 1 - 1 / every):.1f} %" in told[1]


def test_one_diagnosis_alone_is_nothing_to_tell_apart():
    assert ("red", "Every image is nv: there is nothing to tell apart.") in verdicts(
        page_of(dataset(diagnosis=lambda _: "nv"))
    )


def test_groups_are_counted_and_those_of_several_diagnoses_are_told():
    data = dataset(12, group=lambda row: f"g{row // 2 if row < 8 else row}")
    page = page_of(data)
    assert table(page, "lesions-by-their-number-of-images.csv") == [["1", "4", "4"], ["2", "4", "8"]]
    mixed = table(page, "lesions-with-several-diagnoses.csv")
    assert mixed == [["g1", "mel 1, nv 1"], ["g2", "nv 1, mel 1"]]
    assert any(level == "amber" and "2 lesions with several diagnoses" in text for level, text in verdicts(page))
    patients = page_of(dataset(12, group=lambda row: f"g{row // 2}", group_kind="patient"))
    assert ("green", "What may not be divided between train and test: no patient straddles.") in verdicts(patients)
    assert not any("several diagnoses" in text for _, text in verdicts(patients))
    alone = page_of(dataset(group_kind=None))
    assert any(level == "amber" and "groups unknown" in text for level, text in verdicts(alone))


def test_ages_are_summed_up_and_what_is_no_age_is_told():
    ages = ["30", "40.0", "", "unknown", "NaN", "85+", "-1", "50"]
    data = dataset(8, attributes=lambda row: {"Age_Approx": ages[row]})
    page = page_of(data)
    whole = table(page, "age-in-years-as-the-column-age-approx-says.csv")[0]
    known = np.array([30, 40, -1, 50])
    assert whole[:3] == ["all", "4", str(known.mean())] and float(whole[3]) == pytest.approx(
        known.std(ddof=1), abs=1e-3
    )
    assert sum(int(row[1]) for row in table(page, "age-all-images.csv")) == 4
    told = {text: level for level, text in verdicts(page)}
    assert told["1 different value of Age_Approx that are no numbers (85+); left out below."] == "amber"
    assert told["1 age below 0 or above 120 years: slips, or codes for unknown."] == "amber"
    assert "would put an age of 29.75 years into 3 images (37.50 %)" in page


def test_two_way_counts_are_those_of_the_rows():
    sexes, sites = ["male", "female", "unknown"], ["back", "face", "", "back"]
    data = dataset(attributes=lambda row: {"sex": sexes[row % 3], "localization": sites[row % 4], "dx_type": "histo"})
    page = page_of(data)
    want = Counter((sites[row % 4] or MISSING, sexes[row % 3].replace("unknown", MISSING)) for row in range(60))
    rows = table(page, "localization-by-sex-shade-share-of-the-column.csv")
    for row in rows:
        for sex, count in zip(("female", "male", MISSING), row[1:], strict=True):
            assert int(count) == want[row[0], sex]
    assert sum(int(count) for row in rows for count in row[1:]) == 60
    for name in ("diagnosis-by-sex", "localization-by-diagnosis", "dx-type-by-diagnosis"):
        cells = table(page, f"{name}-shade-share-of-the-column.csv")
        assert sum(int(count) for row in cells for count in row[1:]) == 60


def test_a_way_of_confirming_that_stands_for_one_diagnosis_is_told():
    data = dataset(attributes=lambda row: {"dx_type": "follow_up" if row % 3 == 0 else "histo"})
    assert any("all 20 images confirmed by follow_up are nv" in text for _, text in verdicts(page_of(data)))
    alike = dataset(attributes=lambda row: {"dx_type": "histo"})
    assert not any("confirmed by" in text for _, text in verdicts(page_of(alike)))


def test_other_attributes_are_shown_value_by_value_or_in_a_line():
    data = dataset(attributes=lambda row: {"camera": f"c{row % 2}", "id": f"p{row}", "score": str(row), "blank": ""})
    page = page_of(data)
    assert [row[:2] for row in table(page, "images-by-camera.csv")] == [["c0", "30"], ["c1", "30"]]
    assert "camera-by-diagnosis" in page
    many = table(page, "attributes-with-more-than-20-values.csv")
    assert many == [["id", "60", "", "", ""], ["score", "60", "0.0", "29.5", "59.0"]]
    assert "p17" not in page and "images-by-blank" not in page


def test_missing_values_are_counted_as_they_are_written_and_by_diagnosis():
    words = ["", "unknown", "NA", "nan", " Unknown ", "50"]
    data = dataset(attributes=lambda row: {"age": words[row % 6], "sex": "male"} if row else {"sex": "male"})
    page = page_of(data)
    age, sex = sorted(table(page, "missing-values.csv"))
    assert age[:3] == ["age", "50", str(50 / 60)] and sex[:3] == ["sex", "0", "0.0"]
    assert Counter(age[3].split(", ")) == Counter(["empty (10)", "unknown (10)", "NA (10)", "nan (10)", "Unknown (10)"])
    (row,) = table(page, "missing-values-by-diagnosis-shade-share-of-the-diagnosis.csv")
    gaps = Counter(s.diagnosis for s in data.samples if s.attributes.get("age", "") != "50")
    assert row == ["age", str(gaps["nv"]), str(gaps["mel"])]
    assert "featx fills nothing" in page


def test_a_gap_that_goes_with_the_diagnosis_is_told_but_not_of_a_handful():
    def gaps(row):
        return {"age": "" if row % 3 == 2 else "50"}

    assert any("age in 100 % of mel and 0 % of nv" in text for _, text in verdicts(page_of(dataset(attributes=gaps))))
    few = page_of(dataset(15, attributes=gaps))
    assert not any("Missing goes with" in text for _, text in verdicts(few))


def test_what_the_files_are_is_counted():
    data = dataset(attributes=lambda row: {"sex": "male"})
    held = prints(
        data,
        failed=("i0",),
        mode=lambda row: "L" if row % 3 == 2 else "RGB",
        width=lambda row: 64 + row % 2,
        bytes=lambda row: 1000 + row,
        camera=lambda row: "" if row % 2 else "Canon",
    )
    page = page_of(data, fingerprints=held)
    assert [row[:2] for row in table(page, "format-and-mode.csv")] == [["JPEG RGB", "39"], ["JPEG L", "20"]]
    assert [row[:2] for row in table(page, "width-x-height-in-pixels-as-stored.csv")] == [
        ["65 x 48", "30"],
        ["64 x 48", "29"],
    ]
    assert table(page, "format-and-mode-by-diagnosis-shade-share-of-the-column.csv") == [
        ["JPEG RGB", "39", "0"],
        ["JPEG L", "0", "20"],
    ]
    assert [row[0] for row in table(page, "camera-and-software-as-exif-says.csv")] == ["(not said)", "Canon"]
    assert sum(int(row[1]) for row in table(page, "file-size-all-images.csv")) == 59


def test_no_file_that_can_be_read_is_told_and_nothing_breaks():
    data = dataset(6)
    page = page_of(data, fingerprints=prints(data, failed=[s.id for s in data.samples]))
    assert any("6 image files cannot be read" in text for _, text in verdicts(page))


def test_identical_files_are_told_and_differing_diagnoses_are_red():
    data = dataset(9)
    held = prints(data, sha256=lambda row: f"{ {3: 0, 5: 4, 8: 4}.get(row, row):064x}")
    page = page_of(data, fingerprints=held, pairs=())
    assert table(page, "files-that-are-the-same.csv") == [
        ["1", "i4, i5, i8", "nv, mel", "g4, g5, g8", "yes"],
        ["2", "i0, i3", "nv", "g0, g3", "no"],
    ]
    told = verdicts(page)
    assert any(level == "red" and text.startswith("1 such set with differing diagnoses") for level, text in told)
    assert any("2 sets of files" in text and "3 files too many" in text for _, text in told)
    assert "9 images in 6 lesions" in page
    clean = page_of(data, fingerprints=prints(data), pairs=())
    assert ("green", "No two files are the same byte for byte.") in verdicts(clean)


def test_near_duplicates_within_groups_are_fine_and_across_are_not():
    data = dataset(9, group=lambda row: f"g{row // 3}")
    pairs = [Pair("i0", "i1", 0, None, 0.999), Pair("i0", "i5", 3, 0.98, 0.99), Pair("i1", "gone", 1, None, 0.999)]
    page = page_of(data, pairs=pairs)
    assert table(page, "near-duplicates-across-lesions.csv") == [["i0", "i5", "3", "0.98", "nv, mel", "g0, g1"]]
    (told,) = [text for level, text in verdicts(page) if level == "amber" and "across lesions" in text]
    assert told.startswith("1 pair across lesions, 1 of them with differing diagnoses")
    assert "1 pair of images that are nearly one within a lesion" in page
    fine = page_of(data, pairs=pairs[:1])
    assert any(level == "green" and text.startswith("None across lesions") for level, text in verdicts(fine))


def shortcut(what, auc, *, design="mel-vs-benign", best=None):
    return Shortcut(
        what, ("a", "b"), design, ("benign", "melanoma"), auc, auc - 0.02, auc + 0.01, "melanoma", best or auc
    )


def test_shortcuts_are_judged_by_the_class_that_is_told_best():
    found = [shortcut("file", 0.8, best=0.97), shortcut("source", 0.7), shortcut("names", 0.5)]
    page = page_of(dataset(), shortcuts=found)
    rows = table(page, "shortcuts.csv")
    assert [row[0] for row in rows] == ["file", "source", "names"]
    assert [row[-1].partition(":")[0] for row in rows] == ["red", "amber", "green"]
    assert rows[0][4:9] == ["0.8", "0.78", "0.81", "melanoma", "0.97"]
    levels = [level for level, text in verdicts(page) if text.startswith("mel-vs-benign")]
    assert sorted(levels) == ["amber", "red"]
    assert "no result on these data means anything until" in page
    fine = page_of(dataset(), shortcuts=[shortcut("names", 0.5)])
    assert ("green", "Nothing beside the picture tells much of the classes.") in verdicts(fine)


def test_a_kind_of_shortcut_is_told_once_by_its_strongest_design():
    found = [shortcut("file", 0.7), shortcut("file", 0.8, design="diagnosis"), shortcut("file", 0.75, design="x")]
    told = [
        text for level, text in verdicts(page_of(dataset(), shortcuts=found)) if level == "amber" and "a, b" in text
    ]
    assert [text.partition(":")[0] for text in told] == ["diagnosis"]


def test_what_is_not_known_is_said_and_is_no_all_clear():
    page = page_of(dataset())
    lines = unshown(page)
    lacking = ("age:", "sex:", "localisation:", "look at the image files", "look for images that are there twice")
    for told in (*lacking, "look for near-duplicates", "look for shortcuts"):
        assert f"No {told}" in lines
    assert not {"Age", "Sex", "Image files", "Near-duplicates", "Told without the picture"} & set(headings(page))
    assert "age_approx" in lines
    empty = unshown(page_of(dataset(), shortcuts=(), pairs=()))
    assert "No shortcut could be looked for" in empty and "No look for near-duplicates" not in empty


def test_hostile_data_stay_text():
    def attributes(row):
        return {"sex": HOSTILE, "age": HOSTILE if row else "5", "localization": f"{HOSTILE}{row}", HOSTILE: "=1+1"}

    data = dataset(
        diagnosis=lambda row: (HOSTILE, "$x_{", "\x00\udcff")[row % 3],
        attributes=attributes,
        group=lambda row: f"{HOSTILE}{row // 2}",
        notes=(HOSTILE,),
        dropped={HOSTILE: 1},
    )
    held = prints(data, failed=("i3",), camera=lambda row: HOSTILE, sha256=lambda row: "0" * 64)
    pairs = [Pair("i0", "i1", 0, None, 1.0)]
    page = page_of(data, fingerprints=held, pairs=pairs, shortcuts=[shortcut(HOSTILE, 0.99)], date=HOSTILE)
    assert "<script" not in page and "</svg><" not in page.replace("</svg></div>", "")
    page.encode()
    assert table(page, "images-by-svg-script-alert-1-script.csv")[0][0] == "'=1+1"


def test_the_page_is_the_same_twice_and_a_date_is_told_only_where_given():
    data = dataset(attributes=lambda row: {"sex": ("male", "female")[row % 2], "age": str(row)})
    held = prints(data)
    first, second = (page_of(data, fingerprints=held, pairs=(), shortcuts=()) for _ in range(2))
    assert first == second and "not a medical device" in first
    assert "on 2031-02-03" in page_of(data, date="2031-02-03") and "2031" not in first


def test_synthetic_data_say_so_at_the_head_and_at_the_end():
    page = page_of(dataset(synthetic=True))
    assert any(level == "red" and "synthetic demo data" in text for level, text in verdicts(page))
    assert (
        "made (synthetic demo data)" in page[: page.index("<main")]
        and "no clinical result" in page[page.index("<footer") :]
    )


def test_many_values_are_lumped_and_none_is_lost():
    data = dataset(900, diagnosis=lambda row: f"d{int(row**0.5)}", attributes=lambda row: {"site": f"s{row % 40}"})
    page = page_of(data)
    rows = table(page, "site-by-diagnosis-shade-share-of-the-column.csv")
    assert len(rows) == 20 and len(rows[0]) == 1 + 12 and rows[-1][0] == OTHERS
    assert sum(int(count) for row in rows for count in row[1:]) == 900
    assert len(table(page, "images-and-lesions-of-each-diagnosis.csv")) == 30


def test_values_come_in_an_order_that_a_reader_expects():
    assert ordered({"10": 5, "2": 1, "0": 9}) == ("0", "2", "10")
    assert ordered({"a": 1, "b": 5, MISSING: 9, OTHERS: 2}) == ("b", "a", OTHERS, MISSING)
    assert lumped(["a", "a", "b", "c", MISSING], ("a", "b", "c", MISSING), most=3).count(OTHERS) >= 1
    cross = crossed(["x", "x", "y"], ["0", "1", "1"])
    assert cross.counts.tolist() == [[1, 1], [0, 1]] and cross.shares.tolist() == [[1, 0.5], [0, 0.5]]


def test_a_column_is_found_in_any_case_where_it_says_something():
    data = dataset(attributes=lambda row: {"age": "", "Age_Approx": "5", "GENDER": "f", "split": "train"})
    view = View(data)
    assert (view.age, view.sex, view.site, view.sources) == ("Age_Approx", "GENDER", None, ("split",))


def test_the_page_of_ham10000s_size_is_small():
    words, sites = ["nv"] * 7 + ["mel", "bkl", "bcc"], [f"site {n}" for n in range(15)]
    data = dataset(
        10_015,
        diagnosis=lambda row: words[row % 10],
        attributes=lambda row: {
            "dx_type": "histo",
            "age": str(row % 18 * 5),
            "sex": "mf"[row % 2],
            "localization": sites[row % 15],
        },
        group=lambda row: f"g{row * 3 // 4}",
    )
    held = prints(data, bytes=lambda row: 10_000 + row * 7)
    page = page_of(data, fingerprints=held, pairs=(), shortcuts=[shortcut("file", 0.6)])
    assert len(page.encode()) < 1_000_000


@pytest.mark.data
def test_ham10000s_own_numbers(real, tmp_path):
    (tmp_path / "HAM10000_metadata.csv").write_bytes((real / "data" / "labels" / "HAM10000_metadata.csv").read_bytes())
    folder = tmp_path / "HAM10000_images_part_1"
    folder.mkdir()
    for number in range(24_306, 34_321):
        (folder / f"ISIC_{number:07d}.jpg").write_bytes(b"image")
    page = page_of(open_dataset(tmp_path, columns=Columns()))
    assert table(page, "images-and-lesions-of-each-diagnosis.csv")[0][:2] == ["nv", "6705"]
    assert [row[1] for row in table(page, "lesions-by-their-number-of-images.csv")] == [
        "5514",
        "1423",
        "490",
        "34",
        "5",
        "4",
    ]
    assert {row[0]: row[1] for row in table(page, "images-of-each-sex.csv")} == {
        "male": "5406",
        "female": "4552",
        MISSING: "57",
    }
    assert "an age of 51.86 years into 57 images" in page
    assert "all 3,704 images confirmed by follow_up are nv" in page
    assert ["lesion straddles" in page, "Each lesion has one diagnosis." in page] == [True, True]
