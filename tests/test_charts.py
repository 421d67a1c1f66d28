"""Charts: markup that parses, holds every number, takes no text for markup, and is the same twice."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import charts
from featx.charts.svg import NEAR, _compact, _thinned

HOSTILE = [
    "</svg><script>alert(1)</script>",
    "$\\frac{",
    "&amp;<b>",
    "_hidden",
    "漢字",
    "\x00\x1b[31m",
    "a\u202eb",
    "\udcff",
    "",
]
VALUES = np.array([3, 12_345, 0, 7, 9, 1, 2, 5, 8])


def parsed(svg):
    return ElementTree.fromstring(str(svg))


def texts(svg):
    return [node.text or "" for node in parsed(svg).iter("text")]


def every_chart(names=("a", "b"), says="what it shows"):
    n = len(names)
    counts = np.arange(n * n).reshape(n, n)
    return {
        "bars": charts.bars(names, np.arange(n) + 3, says=says),
        "two": charts.bars(names, counts[:, :2], says=says, series=("images", "lesions")),
        "histogram": charts.histograms({names[0]: np.arange(20.0)}, at=np.arange(0, 25, 5.0), axis="years", says=says),
        "panels": charts.histograms(
            {name: np.arange(9.0) for name in names}, at=np.arange(0, 12, 3.0), axis=names[0], says=says
        ),
        "map": charts.heat_map(counts, shade=counts / counts.max(), rows=names, columns=names, says=says),
        "ranges": charts.intervals(names, np.full((n, 3), 0.7), span=(0.4, 1.0), marks=(0.5, 0.95), says=says),
    }


CHARTS = sorted(every_chart())


def test_every_bar_is_there_with_its_number():
    svg = charts.bars(HOSTILE, VALUES, says="s")
    assert {f"{value:,}" for value in VALUES} <= set(texts(svg))
    filled = [node for node in parsed(svg).iter("path") if node.get("fill") == charts.BLUE]
    assert len(filled) == len(VALUES)
    widths = []
    for node in filled:
        xs = [float(x) for x in re.findall(r"-?[\d.]+", node.get("d"))[::2]]  # a path of x and y in turn
        widths.append(max(xs) - min(xs))
    assert np.allclose(np.array(widths) / max(widths), VALUES / VALUES.max(), atol=1e-3)


def test_bars_and_their_numbers_stay_inside_the_picture():
    svg = charts.bars(["x" * 60, "y"], np.array([123_456_789, 1]), says="s")
    (number,) = [node for node in parsed(svg).iter("text") if node.text == "123,456,789"]
    assert float(number.get("x")) + len(number.text) * 5 < svg.width
    assert f"{'x' * 25}…" in texts(svg)


@pytest.mark.parametrize("kind", CHARTS)
def test_texts_stay_text(kind):
    says = 'a "quoted" <script>\x00'
    svg = every_chart(HOSTILE, says)[kind]
    root = parsed(svg)
    tags = {node.tag for node in root.iter()}
    assert tags <= {"svg", "g", "path", "text", "defs", "use"}
    assert root.get("aria-label") == 'a "quoted" <script>\\x00' and root.get("role") == "img"
    assert "<script" not in svg and "</svg><" not in str(svg)[:-6]
    if kind != "histogram":  # which names none of its series
        assert any(text.startswith("</svg><script>al") for text in texts(svg))


@pytest.mark.parametrize("kind", CHARTS)
def test_a_page_may_forbid_styles_scripts_and_addresses(kind):
    svg = every_chart()[kind]
    for node in parsed(svg).iter():
        assert not {"style", "class", "xmlns"} & set(node.attrib)
        assert all(not key.startswith("on") for key in node.attrib)
        assert node.get("href", "#").startswith("#")
    assert "http" not in svg and "url(" not in svg and "font-family" not in svg


@pytest.mark.parametrize("kind", CHARTS)
def test_the_ink_is_the_pages_and_the_ground_is_clear(kind):
    colours = {node.get(key) for node in parsed(every_chart()[kind]).iter() for key in ("fill", "stroke")}
    assert "currentColor" in colours
    assert colours <= {None, "none", "currentColor", charts.BLUE, charts.VERMILION}


def test_the_ids_of_two_pictures_differ():
    svgs = [charts.intervals(["a"], np.full((1, 3), x), span=(0, 1), marks=(0.5,), says="s") for x in (0.6, 0.7)]
    ids = [{node.get("id") for node in parsed(svg).iter() if node.get("id")} for svg in svgs]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
    for svg in svgs:
        used = {node.get("href")[1:] for node in parsed(svg).iter("use")}
        assert used == {node.get("id") for node in parsed(svg).iter() if node.get("id")}


def test_two_processes_draw_the_same_bytes_whatever_the_users_settings(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\naxes.facecolor: red\n")
    code = (
        "import numpy as np\nfrom featx import charts\n"
        "import sys\nassert 'matplotlib.pyplot' not in sys.modules\n"
        "print(charts.intervals(['a'], np.full((1, 3), .7), span=(0, 1), marks=(.5,), says='s'), end='')"
    )
    out = [
        subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True).stdout
        for cwd in (tmp_path, None)
    ]
    assert out[0] == out[1] == charts.intervals(["a"], np.full((1, 3), 0.7), span=(0, 1), marks=(0.5,), says="s")


def test_the_callers_settings_are_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    every_chart()
    assert dict(mpl.rcParams) == before


def test_a_histogram_writes_its_counts_and_panels_their_sizes():
    single = charts.histograms({"all": np.array([1, 1, 6, 9.9])}, at=np.array([0, 5, 10.0]), axis="years", says="s")
    rotated = [node.text for node in parsed(single).iter("text") if "rotate(-90)" in node.get("transform", "")]
    assert rotated == ["2", "2"] and "years" in texts(single)
    panels = charts.histograms({"nv": np.arange(3.0), "mel": np.arange(5.0)}, at=np.arange(6.0), axis="y", says="s")
    assert {"nv (3)", "mel (5)"} <= set(texts(panels))


def test_the_shade_of_a_cell_is_its_opacity():
    shade = np.array([[0.5, 1.0]])
    svg = charts.heat_map(np.array([[4, 8]]), shade=shade, rows=["r"], columns=["a", "b"], says="s")
    cells = [node for node in parsed(svg).iter("path") if node.get("fill") == charts.BLUE]
    assert [float(node.get("opacity") or node.get("fill-opacity")) for node in cells] == [
        charts.SHADE / 2,
        charts.SHADE,
    ]


def test_many_columns_make_a_wide_map_and_long_names_stand_upright():
    counts = np.ones((2, 20), dtype=int)
    svg = charts.heat_map(
        counts, shade=counts, rows=["a", "b"], columns=[f"diagnosis {n}" for n in range(20)], says="s"
    )
    assert svg.width > 20 * charts.CELL
    names = [node for node in parsed(svg).iter("text") if (node.text or "").startswith("diagnosis")]
    assert len(names) == 20 and all("rotate(-90" in node.get("transform") for node in names)
    narrow = charts.heat_map(counts[:, :2], shade=counts[:, :2], rows=["a", "b"], columns=["nv", "mel"], says="s")
    assert narrow.width == charts.WIDTH and "rotate" not in narrow


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
    st.sampled_from([0.0, 1.0, 5.0]),
)
def test_every_value_is_in_a_bin_and_there_are_few(values, least):
    values = np.array(values)
    at = charts.edges(values, least=least)
    assert 2 <= len(at) <= charts.BINS + 1
    widths = np.diff(at)
    assert (widths > 0).all() and widths.min() >= least * (1 - 1e-9)
    assert np.histogram(values, at)[0].sum() == len(values)


def test_edges_are_round():
    assert charts.edges(np.array([0.0, 85.0]), least=5).tolist() == [5.0 * n for n in range(19)]
    assert charts.edges(np.array([7.0])).size >= 2


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_printable_is_kept_and_the_rest_can_be_seen(text):
    shown = charts.printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()
    shown.encode()


def test_a_straight_path_is_told_in_tenths_and_without_its_letters_repeated():
    told = _compact("d", "M 1.26 2.04\nL 3.349 4\nL 5 6.5\nz\nM 0 0\nL 1 1")
    assert told == "M 1.3 2 3.3 4 5 6.5 z M 0 0 1 1"
    curved = _compact("d", "M 0 3.126\nC 1 2 3 4 5 6.125\nL 1 1")
    assert curved == "M 0 3.13 C 1 2 3 4 5 6.12 L 1 1"
    assert _compact("x", "1.257") == "1.3"


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 3600)), min_size=9, max_size=60))
def test_a_long_path_passes_by_every_point_that_it_leaves_out(points):
    kept = np.array(_thinned(points), dtype=float)
    assert tuple(kept[0]) == points[0] and tuple(kept[-1]) == points[-1] and len(kept) <= len(points)
    for point in np.array(points, dtype=float):
        assert min(map(distance, itertools.repeat(point), kept, kept[1:])) <= NEAR + 1e-9


def distance(point, first, last):
    """Return how far a point lies from a stretch."""
    way = last - first
    at = np.clip((point - first) @ way / (way @ way or 1.0), 0, 1)
    return np.hypot(*(point - first - at * way))


def test_points_on_the_way_are_left_out_and_corners_are_not():
    assert _thinned([(x, 5) for x in range(50)]) == [(0, 5), (49, 5)]
    zigzag = [(x, x % 2 * 50) for x in range(9)]
    assert _thinned(zigzag) == zigzag
    assert _thinned([(0, 0), (9, 0), (4, 0)]) == [(0, 0), (9, 0), (4, 0)]  # there and back


@given(st.lists(st.tuples(st.integers(0, 3600), st.integers(-3600, 3600)), min_size=9, max_size=40), st.booleans())
def test_a_path_told_by_its_steps_ends_where_it_ended(points, closed):
    path = "M " + " L ".join(f"{x / 10:g} {y / 10:g}" for x, y in points) + " z" * closed
    told = _compact("d", path)
    start, _, steps = told.removeprefix("M").removesuffix("z").partition("l")
    ways = [float(one) for one in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", steps)]
    x, y = map(float, start.split())
    assert (x, y) == (points[0][0] / 10, points[0][1] / 10) and told.endswith("z") == closed
    ends = x + sum(ways[::2]), y + sum(ways[1::2])
    assert ends == pytest.approx((points[-1][0] / 10, points[-1][1] / 10), abs=1e-6)
    assert len(ways) // 2 == len(_thinned(points)) - 1


@pytest.mark.parametrize(("epochs", "numbers"), [([1], ["1"]), ([1, 2], ["1", "2"]), ([1, 2, 3], ["1", "2", "3"]),
                                                 (range(1, 61), None)])  # fmt: skip
def test_epochs_are_numbered_by_whole_numbers(epochs, numbers):
    epochs = np.array(epochs, dtype=float)
    svg = charts.lines([charts.Line("a", epochs, epochs * 7)], axes=("epoch", "loss"), says="s", unit=False)
    bottom = max(float(node.get("y")) for node in parsed(svg).iter("text") if (node.text or "").isdigit())
    shown = [node.text for node in parsed(svg).iter("text")
             if re.fullmatch(r"-?[\d.]+", node.text or "") and float(node.get("y")) == bottom]  # fmt: skip
    assert shown and all(text.isdigit() for text in shown) and (numbers is None or shown == numbers)


def test_a_chart_is_drawn_again_from_plain_values():
    bars = charts.bars(["nv", "mel"], np.array([5, 2]), says="s")
    assert charts.draw("bars", {"names": ["nv", "mel"], "values": [5, 2]}, says="s") == bars
    counts = np.array([[4, 1], [0, 3]])
    given_ = {"counts": counts.tolist(), "shade": (counts / 4).tolist(), "rows": ["a", "b"], "columns": ["a", "b"]}
    wanted = charts.heat_map(counts, shade=counts / 4, rows=["a", "b"], columns=["a", "b"], says="s")
    assert charts.draw("heat_map", given_, says="s") == wanted
    line = {"series": [{"name": "a", "x": [1, 2], "y": [0.5, None]}], "axes": ["x", "y"]}
    wanted = charts.lines([charts.Line("a", np.array([1.0, 2.0]), np.array([0.5, np.nan]))], axes=("x", "y"), says="s",
                          unit=False)  # fmt: skip
    assert charts.draw("lines", line, says="s") == wanted
    for kind, broken in (("pie", {}), ("bars", {"names": ["a"]}), ("lines", {"series": 3, "axes": [1, 2]}),
                         ("heat_map", {**given_, "rows": ["a"]})):  # fmt: skip
        with pytest.raises((KeyError, TypeError, ValueError)):
            charts.draw(kind, broken, says="s")


def test_a_caption_stands_above_the_picture_and_the_picture_grows():
    bare = charts.bars(["a", "b"], np.array([3, 5]), says="bars")
    height = float(parsed(bare).attrib["height"])
    caption = "Images of each class · the built-in demo (synthetic demo data), which is long enough for two lines of it"
    told = charts.captioned(bare, caption, says=caption)
    assert " ".join(texts(told)).count("synthetic demo data") == 1
    assert {"3", "5"} <= set(texts(told)) and parsed(told).attrib["aria-label"] == caption
    assert height + 20 < float(parsed(told).attrib["height"]) < height + 60
    assert b"synthetic" in told.printed("svg") and told.printed("pdf").startswith(b"%PDF")
    with pytest.raises(ValueError, match="only a picture that a chart has made"):
        charts.captioned(charts.Svg("<svg/>"), caption, says=caption)
