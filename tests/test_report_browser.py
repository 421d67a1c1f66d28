"""The report in a browser without a network: nothing fails, nothing is asked for, sorting and pointing work."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from featx import charts
from featx.page import Figure, Section, Table, render

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<script>window.hit = 1</script>"


@pytest.fixture(scope="module")
def browser():
    """A headless browser, or skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    at = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if at is None:
        pytest.skip(f"no browser found ({', '.join(BROWSERS)})")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=at, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with a table to sort and a map to explore."""
    rows = (("b", 0.5, None), ("a", 1234.0, 0.1), (HOSTILE, 0.75, 0.3))
    table = Table("Scores", ("classifier", "mean", "low"), rows, sortable=True)
    xy = np.array([[0.0, 0.0], [1.0, 0.1], [1.1, 1.0]])
    told = ["first", "second", HOSTILE]
    picture = charts.points(charts.Points(xy, np.array([0, 1, 0]), ["nv", "mel"], told), says="a map")
    line = charts.Line("svm", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    curve = charts.lines([line], axes=("x", "y"), says="a curve")
    parts = (table, Figure(curve, table), Figure(picture, Table("Map", ("x",), (("1",),)), explored=True))
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render("Page", lead="A page.", sections=[Section("All", parts, "Results")]), encoding="utf-8")
    return path


@pytest.fixture(params=[1280, 390], ids=["desktop", "telephone"])
def opened(browser, page, request):
    """The page, open; what the console said and what was asked for are looked at in the end."""
    context = browser.new_context(viewport={"width": request.param, "height": 800}, offline=True)
    tab, told, asked = context.new_page(), [], []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("request", lambda asking: asked.append(asking.url))
    tab.goto(page.as_uri())
    yield tab
    assert told == [] and asked == [page.as_uri()]
    assert tab.evaluate("window.hit") is None
    context.close()


def column(tab, at):
    return tab.locator("table[data-sortable]").first.locator(f"tbody tr > :nth-child({at})").all_inner_texts()


def test_every_figure_is_visible_and_nothing_is_wider_than_the_screen(opened):
    for figure in opened.locator("figure svg").all():
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert figure.is_visible() and box["width"] > 100 and box["height"] > 100
    wide, seen = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen


def test_a_press_on_a_head_sorts_by_number_or_by_word_and_the_unknown_stays_last(opened):
    heads = opened.locator("table[data-sortable] thead button")
    heads.nth(1).click()
    assert column(opened, 2) == ["1,234", "0.750", "0.500"]
    heads.nth(1).click()
    assert column(opened, 2) == ["0.500", "0.750", "1,234"]
    heads.nth(2).focus()
    opened.keyboard.press("Enter")
    assert column(opened, 3) == ["0.300", "0.100", "–"]
    opened.keyboard.press("Enter")
    assert column(opened, 3) == ["0.100", "0.300", "–"]
    heads.nth(0).click()
    assert column(opened, 1)[1:] == ["a", "b"]
    states = [opened.locator("table[data-sortable] thead th").nth(at).get_attribute("aria-sort") for at in range(3)]
    assert states == ["ascending", None, None]


def test_a_point_says_what_it_is_when_pointed_at(opened):
    status = opened.locator(".pointed")
    points = opened.locator(".points use:has(> title)")
    assert points.count() == 3
    for at, told in enumerate(["first", "second", HOSTILE]):
        points.nth(at).hover()
        assert status.inner_text() == told


def test_points_are_reached_by_the_arrow_keys(opened):
    status, field = opened.locator(".pointed"), opened.locator(".points")
    field.focus()
    for key, told in (("ArrowRight", "first"), ("ArrowRight", "second"), ("ArrowUp", HOSTILE), ("ArrowDown", "second")):
        opened.keyboard.press(key)
        assert status.inner_text() == told
