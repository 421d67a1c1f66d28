"""One dermoscopy-like picture: a lesion of a diagnosis, drawn from random numbers alone, seen in one view.

Light passes through layers of pigment, so a picture is the exponential of minus a sum: maps of concentration
(melanin, blood, deep blue pigment ...) times what each absorbs of red, green and blue. Every map is a function of
the position on the skin, made of random plane waves; a view moves, turns and enlarges that plane and puts its own
light, hairs and marks before it. What tells the diagnoses apart overlaps on purpose; what comes with the view
(skin, light, hairs, corners, rulers) does not depend on the diagnosis at all.
This file knows nothing of tables, folders and file names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a unit of each absorber takes from red, green and blue (natural optical density); white gives light back.
ABSORBERS = {
    "melanin": (0.40, 0.66, 0.98),
    "blood": (0.17, 0.92, 0.72),
    "blue": (1.00, 0.72, 0.40),
    "black": (1.00, 1.02, 0.98),
    "yellow": (0.02, 0.14, 0.62),
    "white": (-0.24, -0.42, -0.40),
}

INDEX = {name: number for number, name in enumerate(ABSORBERS)}

DIAGNOSES = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df")

# What lesions show, and how much of it on average, in the order of DIAGNOSES.
LOOKS = {
    "radius":      (0.46, 0.74, 0.48, 0.74, 0.46, 0.36, 0.38),  # halves of the picture's height
    "elongation":  (1.18, 1.30, 1.22, 1.20, 1.22, 1.12, 1.12),  # long axis by short axis
    "irregular":   (0.11, 0.28, 0.20, 0.24, 0.28, 0.14, 0.12),  # ragged border and islands
    "softness":    (0.26, 0.16, 0.10, 0.30, 0.34, 0.14, 0.36),  # width of the border's fading
    "pigment":     (0.80, 1.15, 0.70, 0.16, 0.24, 0.05, 0.40),  # brown ground
    "variegation": (0.14, 0.45, 0.25, 0.28, 0.26, 0.15, 0.12),  # uneven brown
    "blotch":      (0.08, 0.80, 0.12, 0.06, 0.04, 0.06, 0.02),  # black areas
    "blood":       (0.10, 0.20, 0.14, 0.40, 0.55, 0.65, 0.22),  # redness
    "veil":        (0.01, 0.65, 0.02, 0.45, 0.01, 0.03, 0.00),  # grey-blue haze
    "nests":       (0.00, 0.06, 0.02, 0.90, 0.02, 0.00, 0.00),  # grey-blue clumps
    "network":     (0.45, 0.50, 0.15, 0.02, 0.10, 0.00, 0.30),  # pigment mesh
    "globules":    (0.30, 0.45, 0.15, 0.06, 0.18, 0.00, 0.05),  # brown dots
    "lacunae":     (0.00, 0.00, 0.00, 0.00, 0.00, 1.00, 0.00),  # wells of blood
    "cysts":       (0.02, 0.02, 0.75, 0.04, 0.15, 0.00, 0.02),  # horn cysts and dark openings
    "scale":       (0.01, 0.04, 0.28, 0.20, 0.70, 0.05, 0.05),  # white flakes
    "centre":      (0.02, 0.02, 0.00, 0.05, 0.00, 0.00, 0.85),  # white scar in the middle
    "regression":  (0.04, 0.35, 0.08, 0.25, 0.10, 0.02, 0.10),  # pale areas
    "vessels":     (0.00, 0.06, 0.02, 0.70, 0.15, 0.08, 0.05),  # branching vessels
}  # fmt: skip
LOOKALIKES = {
    "nv": ("mel", "bkl", "df"),
    "mel": ("nv", "bkl", "bcc"),
    "bkl": ("mel", "nv", "akiec"),
    "bcc": ("akiec", "mel", "df", "nv"),
    "akiec": ("bcc", "bkl"),
    "vasc": ("bcc", "nv", "mel"),
    "df": ("nv", "bcc", "akiec"),
}
MIMICRY = (1.1, 3.6)  # Beta law of how far a lesion leans towards the profile of a look-alike
HALO = 0.9  # how far below the border the redness round a lesion reaches
SPREAD = 0.31  # log-normal spread of each amount round its profile


@dataclass(frozen=True)
class View:
    """One look through the lens: pixel grid, and the way from it to the skin (unit: half the picture's height)."""

    x: np.ndarray
    y: np.ndarray
    turn: np.ndarray
    shift: np.ndarray

    def field(self, waves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Sum of plane waves on the pixel grid, (h, w) float32 of variance about 1.

        The cosine of a sum is a sum of products of columns and rows, so that the whole field is one matrix product.
        """
        vectors, phases = waves
        across, down = (vectors @ self.turn).T
        start = phases - across * self.shift[0] - down * self.shift[1]
        rows = np.outer(down, self.y).astype(np.float32)
        columns = (np.outer(across, self.x) + start[:, None]).astype(np.float32)
        left = np.concatenate([np.cos(rows), -np.sin(rows)])
        right = np.concatenate([np.cos(columns), np.sin(columns)])
        return (left.T @ right) * np.float32(np.sqrt(2 / len(phases)))

    def on_skin(self) -> tuple[np.ndarray, np.ndarray]:
        """Both coordinates of each pixel on the skin, (h, w) float32; the lesion lies round (0, 0)."""
        x, y = self.x - self.shift[0], self.y - self.shift[1]
        u = np.add.outer(self.turn[0, 1] * y, self.turn[0, 0] * x)
        v = np.add.outer(self.turn[1, 1] * y, self.turn[1, 0] * x)
        return u.astype(np.float32), v.astype(np.float32)

    def in_pixels(self, points: np.ndarray) -> np.ndarray:
        """Positions on the skin, (n, 2), as pixel coordinates."""
        seen = points @ np.linalg.inv(self.turn).T + self.shift
        return (seen - [self.x[0], self.y[0]]) / (self.x[1] - self.x[0])

    def window(self, rows: slice, columns: slice) -> View:
        """Return a part of the view."""
        return replace(self, x=self.x[columns], y=self.y[rows])


def waves(rng: np.random.Generator, low: float, high: float, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw plane waves of all directions with wave numbers between ``low`` and ``high`` radians a unit."""
    number = rng.uniform(low, high, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.stack([number * np.cos(angle), number * np.sin(angle)], axis=1), rng.uniform(0, 2 * np.pi, count)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Go smoothly from 0 at ``low`` to 1 at ``high``."""
    t = (values - low) * (1 / (high - low))
    np.clip(t, 0, 1, out=t)
    smooth = t * -2
    smooth += 3
    smooth *= t
    smooth *= t
    return smooth


def look_of(diagnosis: str, rng: np.random.Generator) -> dict[str, float]:
    """Draw what one lesion shows: its diagnosis' profile, leaning towards a look-alike's, with a spread of its own."""
    table = np.array(list(LOOKS.values()))
    other = table[:, DIAGNOSES.index(str(rng.choice(LOOKALIKES[diagnosis])))]
    own = table[:, DIAGNOSES.index(diagnosis)]
    lean = rng.beta(*MIMICRY)
    mean = own + lean * (other - own)
    drawn = mean * np.exp(rng.normal(0, SPREAD, len(mean)) - SPREAD**2 / 2)
    look = dict(zip(LOOKS, drawn.tolist(), strict=True))
    look["radius"] = float(np.clip(look["radius"], 0.16, 0.85))
    look["elongation"] = float(np.clip(look["elongation"], 1.0, 1.9))
    return look


class Lesion:
    """Maps of concentration of a lesion and the skin round it, in one view.

    Parameters
    ----------
    look : dict of str to float
        What the lesion shows, see LOOKS.
    rng : numpy.random.Generator
        The lesion's own; what is drawn from it never depends on the view, so that every view shows the same lesion.
    view : View
        From where it is seen.
    """

    def __init__(self, look: dict[str, float], rng: np.random.Generator, view: View) -> None:
        self.look, self.rng, self.view = look, rng, view
        self.layers = np.zeros((len(ABSORBERS), len(view.y), len(view.x)), np.float32)

    def noise(self, low: float, high: float, *, relative: bool = True, count: int = 28) -> np.ndarray:
        """Random field of waves between two wave numbers, in radians a lesion's radius or (not relative) a unit."""
        scale = 1 / self.look["radius"] if relative else 1.0
        return self.view.field(waves(self.rng, low * scale, high * scale, count=count))

    def add(self, **amounts: np.ndarray) -> None:
        """Add amounts to the maps of the absorbers with those names."""
        for name, amount in amounts.items():
            self.layers[INDEX[name]] += amount

    def draw(self) -> np.ndarray:
        """Draw everything and return the optical density, (3, h, w) float32."""
        whole = self.layers
        self.skin()
        self.outline()
        self.pigment()
        self.blood()
        self.structures()
        self.bright()
        self.vessels()
        takes = np.array(list(ABSORBERS.values()), np.float32).T
        return (takes @ whole.reshape(len(ABSORBERS), -1)).reshape(3, *whole.shape[1:])

    def skin(self) -> None:
        """Tone, mottling, furrows, and freckles now and then."""
        tone, flush = self.rng.uniform(0.06, 0.23), self.rng.uniform(0.10, 0.21)
        mottle, patch = self.noise(4, 16, relative=False, count=48), self.noise(1, 4, relative=False)
        furrows, grain = self.noise(45, 75, relative=False, count=40), self.noise(40, 260, relative=False, count=90)
        spots = ramp(0.8 * self.noise(8, 26, relative=False) + 0.6 * mottle + 0.18 * grain, 0.8, 2.9)
        freckled = self.rng.choice([0, 0, 0.15, 0.3, 0.6])
        self.add(melanin=tone * (1 + 0.22 * patch + 0.14 * mottle) + freckled * spots + 0.018 * grain)
        self.add(blood=flush * (1 + 0.13 * mottle - 0.12 * patch + 0.09 * grain), white=0.03 * np.abs(furrows))

    def outline(self) -> None:
        """Find the lesion and look at it alone; ``height`` is 1 inside, 0 at its border, ``mask`` its coverage."""
        look = self.look
        u, v = self.view.on_skin()
        stretch = np.sqrt(look["elongation"])
        radius = np.sqrt((u / stretch) ** 2 + (v * stretch) ** 2) * (1 / look["radius"])
        wobble = 0.85 * self.noise(0.8, 2.6) + 0.38 * self.noise(4, 9) + 0.20 * self.noise(12, 30)
        height = 1 - radius + look["irregular"] * wobble
        rows, columns = around(height > -HALO)
        self.view, self.layers = self.view.window(rows, columns), self.layers[:, rows, columns]
        self.radius, soft = radius[rows, columns], min(look["softness"], 0.7)
        self.grain = self.noise(30, 220, relative=False, count=110)
        self.height = height[rows, columns] + 0.035 * self.grain
        self.mask = ramp(self.height, -soft, soft + 0.04)

    def pigment(self) -> None:
        """Brown ground with regions, black blotches, grey-blue veil and nests, all under the mask."""
        look, mask = self.look, self.mask
        regions, mottle = self.noise(1.5, 4.5), self.noise(9, 22) + 0.5 * self.grain
        tone = 0.62 + 0.45 * np.clip(self.height, 0, 1) + look["variegation"] * regions + 0.14 * mottle
        self.add(melanin=mask * look["pigment"] * np.maximum(tone, 0.08))
        blotch = ramp(self.noise(1.2, 3.2) + 0.25 * mottle, 0.5, 1.5) * mask * look["blotch"]
        self.add(black=0.9 * blotch, melanin=0.5 * blotch)
        veil = ramp(self.noise(1.2, 3.0) + 0.2 * mottle, 0.2, 1.3) * ramp(self.height, 0.1, 0.5) * look["veil"]
        nests = ramp(self.noise(3.5, 6.5) + 0.18 * mottle, 0.6, 1.8) * mask * look["nests"]
        self.add(blue=0.9 * veil + 0.85 * nests, melanin=-0.4 * veil, black=0.15 * nests)

    def blood(self) -> None:
        """Redness of the lesion and a halo round it; lacunae are wells of blood."""
        look, mask = self.look, self.mask
        uneven = 1 + 0.35 * self.noise(3, 9) + 0.18 * self.grain
        halo = ramp(self.height, -HALO, 0.1)
        self.add(blood=look["blood"] * np.maximum(uneven, 0.1) * (0.75 * mask + 0.22 * halo))
        wells = ramp(self.noise(4, 7), -0.35, 0.55) * mask * look["lacunae"]
        purple = self.rng.uniform(0.0, 0.9)
        self.add(blood=1.05 * wells + 0.2 * look["lacunae"] * mask)
        self.add(blue=0.6 * purple * wells, black=0.5 * purple**2 * wells)

    def structures(self) -> None:
        """Pigment network towards the border, globules and dots."""
        look, mask = self.look, self.mask
        cell = self.rng.uniform(48, 72)
        mesh = ramp(self.noise(0.8 * cell, 1.2 * cell, relative=False, count=56), 0.7, -0.3) - 0.45
        where = mask * ramp(self.noise(1.5, 4) + 0.6, -0.3, 0.8) * (1.1 - 0.6 * np.clip(self.height, 0, 1))
        self.add(melanin=1.1 * look["network"] * look["pigment"] * mesh * where)
        dots = ramp(self.noise(34, 46, relative=False), 1.0, 1.7) * ramp(self.noise(2, 5), 0.0, 0.8) * mask
        self.add(melanin=0.9 * look["globules"] * dots, black=0.5 * look["globules"] * dots * look["blotch"])

    def bright(self) -> None:
        """Horn cysts and their dark openings, scale, white scar in the middle, regression."""
        look, mask = self.look, self.mask
        beads = self.noise(26, 36, relative=False)
        self.add(white=1.1 * look["cysts"] * mask * ramp(beads, 1.45, 2.1), yellow=0.25 * look["cysts"] * mask)
        openings = look["cysts"] * mask * ramp(beads, -1.6, -2.2)
        self.add(melanin=1.1 * openings, black=0.6 * openings)
        flakes = self.noise(5, 11) + 0.7 * self.noise(30, 60, relative=False)
        scale = look["scale"] * mask * ramp(flakes, 0.7, 1.7)
        self.add(white=1.3 * scale, yellow=0.25 * scale, melanin=-0.3 * scale)
        scar = look["centre"] * ramp(self.radius + 0.2 * self.noise(3, 8) + 0.08 * self.grain, 0.85, 0.0)
        pale = look["regression"] * mask * ramp(self.noise(1.5, 3.5), 0.5, 1.5) + scar
        for name in ("melanin", "black", "blue"):
            self.layers[INDEX[name]] *= 1 - 0.75 * np.minimum(pale, 1)
        self.add(white=0.42 * pale, blood=-0.12 * pale)

    def vessels(self) -> None:
        """Branching vessels, drawn as lines."""
        trees = round(6 * self.look["vessels"])
        if not trees:
            return
        canvas = Canvas(self.view)
        for _ in range(trees):
            angle = self.rng.uniform(0, 2 * np.pi)
            start = self.look["radius"] * self.rng.uniform(0.5, 1.05) * np.array([np.cos(angle), np.sin(angle)])
            for points, width in branches(self.rng, start, angle + np.pi, self.look["radius"]):
                canvas.line(self.view.in_pixels(points), width / (self.view.x[1] - self.view.x[0]))
        self.add(blood=0.7 * canvas.coverage(blur=0.7))


def branches(
    rng: np.random.Generator, start: np.ndarray, angle: float, length: float, *, width: float = 0.013
) -> Iterator[tuple[np.ndarray, float]]:
    """A winding vessel and its ever thinner branches, as polylines with widths."""
    steps = 9
    turns = angle + np.cumsum(rng.normal(0, 0.33, steps))
    path = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / steps)
    points = np.concatenate([start[None], start + np.cumsum(path, axis=0)])
    yield points, width
    if width > 0.006:
        for _ in range(2):
            at = int(rng.integers(2, steps))
            aside = turns[at] + rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
            yield from branches(rng, points[at], aside, 0.55 * length, width=0.62 * width)


def around(inside: np.ndarray, *, least: int = 8) -> tuple[slice, slice]:
    """Rows and columns of the smallest window with all that is inside, at least a few pixels wide."""
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(inside.any(axis=axis))
        first, last = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, 0)
        first = max(0, min(first, inside.shape[1 - axis] - least))
        spans.append(slice(first, max(last, first + least)))
    return spans[0], spans[1]


class Canvas:
    """Lines with smooth edges: drawn at twice the size, then reduced."""

    def __init__(self, view: View) -> None:
        self.image = Image.new("L", (2 * len(view.x), 2 * len(view.y)))
        self.pen = ImageDraw.Draw(self.image)

    def line(self, points: np.ndarray, width: float, *, ink: int = 255) -> None:
        """Draw a polyline; lines thinner than a half pixel grow fainter instead."""
        drawn = max(1, round(2 * width))
        ink = round(ink * min(1.0, 2 * width / drawn))
        self.pen.line([tuple(point) for point in 2 * points], fill=ink, width=drawn, joint="curve")

    def ring(self, centre: np.ndarray, radius: float, *, ink: int = 255) -> None:
        """Draw a circle's outline."""
        x, y = 2 * centre
        self.pen.ellipse([x - 2 * radius, y - 2 * radius, x + 2 * radius, y + 2 * radius], outline=ink, width=2)

    def coverage(self, *, blur: float = 0.0) -> np.ndarray:
        """How much of each pixel is covered, (h, w) float32 in 0..1."""
        small = self.image.reduce(2)
        if blur:
            small = small.filter(ImageFilter.GaussianBlur(blur))
        return np.asarray(small, np.float32) * np.float32(1 / 255)


def hairs(rng: np.random.Generator, view: View) -> np.ndarray:
    """Optical density of the hairs before the skin, (h, w)."""
    canvas, unit = Canvas(view), len(view.y)
    aspect = len(view.x) / unit
    lie, t = rng.uniform(0, np.pi), np.linspace(0, 1, 14)[:, None]
    width = rng.uniform(0.0022, 0.0060)
    for _ in range(int(rng.choice([1, 2, 3, 5, 9, 18]))):
        middle = rng.uniform(0, 1, 2) * [aspect, 1]
        angle, reach = lie + rng.normal(0, 0.5), rng.uniform(0.1, 0.55)
        along = reach * np.array([np.cos(angle), np.sin(angle)])
        bend = rng.normal(0, 0.28) * np.array([-along[1], along[0]])
        points = middle + (2 * t - 1) * along + (1 - (2 * t - 1) ** 2) * bend
        canvas.line(points * unit, width * unit * rng.uniform(0.6, 1.3), ink=int(rng.integers(120, 256)))
    return rng.uniform(0.5, 1.6) * canvas.coverage()


def ruler(rng: np.random.Generator, view: View) -> np.ndarray:
    """Optical density of a scale's black marks near one edge, (h, w)."""
    canvas, unit = Canvas(view), len(view.y)
    aspect, tilt = len(view.x) / unit, rng.normal(0, 0.12)
    along, across = np.array([np.cos(tilt), np.sin(tilt)]), np.array([-np.sin(tilt), np.cos(tilt)])
    step = rng.uniform(0.045, 0.075)
    start = np.array([rng.uniform(0.05, 0.6 * aspect), rng.choice([rng.uniform(0.03, 0.1), rng.uniform(0.86, 0.94)])])
    for mark in range(int(rng.integers(6, 16))):
        foot = start + mark * step * along
        tip = foot + (0.045 if mark % 5 == 0 else 0.026) * across
        canvas.line(np.stack([foot, tip]) * unit, 0.004 * unit)
    return 1.6 * canvas.coverage()


def bubbles(rng: np.random.Generator, view: View) -> np.ndarray:
    """Optical density of bubbles in the gel: bright rims, (h, w)."""
    canvas, unit = Canvas(view), len(view.y)
    for _ in range(int(rng.integers(2, 14))):
        centre = rng.uniform(0, 1, 2) * [len(view.x), unit]
        canvas.ring(centre, unit * rng.uniform(0.006, 0.035), ink=int(rng.integers(110, 240)))
    return -0.5 * canvas.coverage(blur=0.6)


def corners(rng: np.random.Generator, view: View) -> np.ndarray:
    """Optical density of light falling off to the edges, or of a round dark frame, (h, w)."""
    centre = rng.normal(0, 0.07, 2)
    radius = np.sqrt(np.add.outer((view.y - centre[1]) ** 2, (view.x - centre[0]) ** 2)).astype(np.float32)
    if rng.random() < 0.08:
        edge = rng.uniform(1.18, 1.45)
        return 3.2 * ramp(radius, edge, edge + rng.uniform(0.03, 0.12)) + 0.12 * radius**2
    return rng.uniform(0.05, 0.19) * radius**2


def look_through(rng: np.random.Generator, size: tuple[int, int]) -> View:
    """Draw a view: turned, shifted and enlarged a little, otherwise each time."""
    height, width = size
    angle, zoom = rng.normal(0, 0.45), np.exp(rng.normal(0, 0.13))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    x = (np.arange(width) - (width - 1) / 2) * (2 / height)
    y = (np.arange(height) - (height - 1) / 2) * (2 / height)
    return View(x, y, turn, rng.normal(0, 0.10, 2))


def picture(
    diagnosis: str, lesion: np.random.Generator, *, view: np.random.Generator, size: tuple[int, int]
) -> Image.Image:
    """Draw one picture.

    Parameters
    ----------
    diagnosis : str
        One of DIAGNOSES.
    lesion : numpy.random.Generator
        The same state gives the same lesion on the same skin under the same device.
    view : numpy.random.Generator
        Where from, in which light, with which hairs and marks.
    size : tuple of int
        Height and width in pixels. Small pictures are drawn larger and reduced, so that nothing aliases.

    Returns
    -------
    PIL.Image.Image
        RGB, 8 bits a channel.
    """
    times = max(1, -(-120 // size[0]))
    seen = look_through(view, (times * size[0], times * size[1]))
    look, hairy = look_of(diagnosis, lesion), lesion.random() < 0.4
    device = lesion.normal(0, 1, 2) @ np.array([[0.02, 0.0, -0.03], [-0.015, 0.02, -0.01]])
    density = Lesion(look, lesion, seen).draw()
    before = corners(view, seen)
    for chance, thing in ((0.9 * hairy, hairs), (0.12, ruler), (0.15, bubbles)):
        if view.random() < chance:
            before = before + thing(view, seen)
    light = device + view.normal(0, 0.03) + view.normal(0, 0.01, 3)
    return expose(density + before + light.astype(np.float32)[:, None, None], view, times)


def expose(density: np.ndarray, rng: np.random.Generator, times: int) -> Image.Image:
    """Turn optical density into pixels: exposure, softness of the lens, noise of the sensor."""
    np.exp(-density, out=density)
    pixels = np.clip(density * 252, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    side = rng.uniform(0.05, 0.35)
    lens = [side * side, side, side * side, side, 1, side, side * side, side, side * side]
    image = Image.fromarray(np.ascontiguousarray(pixels)).filter(ImageFilter.Kernel((3, 3), lens))
    if times > 1:
        image = image.reduce(times)
    noise = rng.standard_normal((image.height, image.width, 1), np.float32) * np.float32(rng.uniform(1.0, 3.0))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
