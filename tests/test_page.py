"""A page: one file that needs nothing, takes no text for markup, and can be read by everybody."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from pages import csv_behind

from featx import charts
from featx.page import Bullets, Figure, Section, Share, Table, Verdict, render

HOSTILE = '</svg></script><script>alert("1")</script>\x00\u202e\udcff{{ 7*7 }}'
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Tree(HTMLParser):
    """Elements with their attributes, texts, and whether each was closed."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def table(word="nv", caption="Counts"):
    return Table(caption, ("what", "images", "share"), ((word, 1_234, Share(0.25)), ("=1+1", None, None)))


def full(word="nv"):
    bars = charts.bars([word, "b"], np.array([2, 1]), says=word)
    many = np.ones((1, 30), dtype=int)
    wide = charts.heat_map(many, shade=many, rows=[word], columns=[word] * 30, says=word)
    parts = (word, Bullets((word,)), Verdict("green", word), Verdict("amber", word), table(word, word))
    return render(
        word,
        lead=word,
        sections=[
            Section(word, parts),
            Section("Second", (Verdict("red", "bad"), Figure(bars, table(word, word)), Figure(wide, table(word)))),
        ],
        foot=(word,),
    )


def csv_of(link):
    return list(csv.reader(io.StringIO(csv_behind(link), newline="")))


def test_the_policy_allows_the_one_style_sheet_and_nothing_else():
    page = full()
    (policy,) = [m["content"] for m in Tree(page).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["style-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


def test_nothing_is_loaded_and_nothing_runs():
    page = full()
    tree = Tree(page)
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint({tag for tag, _ in tree.elements})
    for _, attributes in tree.elements:
        assert "style" not in attributes and "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith(("#", "data:text/csv"))
    assert "url(" not in page and "@import" not in page and "http://" not in page and "https://" not in page


def test_texts_from_data_stay_text():
    page = full(HOSTILE)
    tree = Tree(page)
    assert not tree.all("script") and "<script" not in page and "{{ 7*7 }}" in page
    shown = '</svg></script><script>alert("1")</script>\\x00\\u202e\\udcff{{ 7*7 }}'
    assert tree.text.count(shown) >= 6
    page.encode()


def test_a_figure_is_markup_only_where_charts_made_it():
    page = render("t", lead="l", sections=[Section("s", (Figure(charts.Svg("<svg></svg>"), table()),))])
    assert "<svg></svg>" in page
    parts = (Bullets((str(charts.Svg("<svg id='x'></svg>")),)),)
    assert "<svg id" not in render("t", lead="l", sections=[Section("s", parts)])


def test_the_numbers_are_behind_a_link_and_harmless_to_a_spreadsheet():
    tree = Tree(full())
    links = [a for a in tree.all("a") if "download" in a]
    assert len(links) == 3
    assert csv_of(links[0]["href"]) == [["what", "images", "share"], ["nv", "1234", "0.25"], ["'=1+1", "", ""]]
    assert links[2]["download"] == "counts.csv"


def test_a_table_shows_its_first_rows_and_its_file_has_all():
    long = Table("Long", ("row", "n"), tuple((f"r{n}", n) for n in range(100)))
    page = render("t", lead="l", sections=[Section("s", (long,))])
    assert "r39<" in page and "r40<" not in page and "The first 40 of 100 rows" in page
    (link,) = [a["href"] for a in Tree(page).all("a") if "download" in a]
    assert len(csv_of(link)) == 101


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (1234567, "1,234,567"),
        (0.5, "0.500"),
        (40.0, "40"),
        (Share(0.123), "12.3 %"),
        (None, "–"),
        ("x", "x"),
        (-0.0, "0"),
    ],
)
def test_cells_are_told_for_a_person(cell, shown):
    page = render("t", lead="l", sections=[Section("s", (Table("c", ("a", "b"), (("r", cell),)),))])
    assert f">{shown}</td>" in page


def test_a_column_of_numbers_is_known_also_where_the_table_is_empty():
    assert Table("c", ("a", "b", "c"), (("r", 1, "x"), ("s", None, None))).numeric == (False, True, False)
    page = render("t", lead="l", sections=[Section("s", (Table("c", ("a", "b"), ()),))])
    assert "<tbody>" in page


def test_it_can_be_walked_by_keyboard_and_heard():
    tree = Tree(full())
    assert tree.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(tree.all(landmark)) == 1
    headings = [tag for tag, _ in tree.elements if re.fullmatch(r"h\d", tag)]
    assert headings == ["h1", "h2", "h2"]
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = [a["href"][1:] for a in tree.all("a") if a["href"].startswith("#")]
    pointed += [attributes["aria-labelledby"] for _, attributes in tree.elements if "aria-labelledby" in attributes]
    assert set(pointed) <= set(ids)
    assert all(th.get("scope") in ("col", "row") for th in tree.all("th"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in tree.all("svg"))
    scrolling = [div for div in tree.all("div") if div.get("class") == "scroll" and div.get("role")]
    assert all(div["tabindex"] == "0" for div in scrolling)
    assert len(tree.all("caption")) == len(tree.all("table")) == 3


def test_what_is_not_green_stands_at_the_head_red_first():
    page = full()
    head = page[page.index("<main") : page.index("<section")]
    assert re.findall(r'class="verdict (\w+)"', head) == ["red", "amber"]
    assert "Serious" in head and "Caution" in head and "#s2" in head
    quiet = render("t", lead="l", sections=[Section("s", (Verdict("green", "ok"),))])
    assert "What stands out" not in quiet and "Fine" in quiet


def test_a_wide_figure_has_a_row_of_its_own():
    assert [figure.get("class") for figure in Tree(full()).all("figure")] == [None, "wide"]


def test_the_same_parts_give_the_same_page():
    assert full() == full()


def test_an_alert_stands_at_the_head_and_nowhere_else():
    page = render("t", lead="l", sections=[Section("s", ("text",))], alerts=[Verdict("amber", "beware of this")])
    assert page.count("beware of this") == 1 and page.index("beware of this") < page.index("<section")
    assert 'href="#s0"' not in page


def test_columns_of_words_are_marked_once_for_a_table():
    told = Table("c", ("a", "b", "c", "d"), (("x", "word", 1.0, None), ("y", "more", 2.0, "seen")))
    assert told.wordy == "w2 w4"
    page = render("t", lead="l", sections=[Section("s", (told,))])
    assert '<table class="w2 w4">' in page
    assert ".w2 td:nth-child(2)" in page and ".w24 td:nth-child(24)" in page
