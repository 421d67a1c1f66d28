"""Charts: arrays in, pictures as inline SVG out. Never knows where the numbers come from or on which page they stand.

A picture carries no style sheet, no script and no address, so that a page may forbid all three. Its ink is the colour
of the text around it and its ground is clear: it reads on a light page and on a dark one. The fills are of the
palette of Okabe and Ito (2008, "Color universal design"), told apart by people who do not see all colours; lines have
a stroke of their own beside the colour, and points a shape. The same arrays give the same bytes.
"""

from featx.charts.again import draw
from featx.charts.lines import COLOURS, Line, Points, lines, points
from featx.charts.plain import BINS, CELL, SHADE, bars, edges, heat_map, histograms, intervals
from featx.charts.svg import BLUE, PRINTS, VERMILION, WIDTH, Svg, captioned, printable

__all__ = [
    "BINS",
    "BLUE",
    "CELL",
    "COLOURS",
    "PRINTS",
    "SHADE",
    "VERMILION",
    "WIDTH",
    "Line",
    "Points",
    "Svg",
    "bars",
    "captioned",
    "draw",
    "edges",
    "heat_map",
    "histograms",
    "intervals",
    "lines",
    "points",
    "printable",
]
