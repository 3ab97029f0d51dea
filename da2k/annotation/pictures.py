"""The pictures in which people compare two points: pixels in, pictures out; no files.

Every mark is drawn from the distance to its line, coloured in a white halo, so that it shows on any ground; no font is
needed, and the same pixels give the same picture everywhere. No mark touches a point or its eight neighbours.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.errors import BadInput
from da2k.pairs import Point

VERSION = 1
"""Raised when the same pixels and points would give other pictures."""

LONG_SIDE = 2048
"""The longer side of the marked photograph is at most so many pixels."""
SURROUNDINGS, CLOSE_UP, TILE = 640, 96, 480
"""What the two halves of a strip show of the photograph, and the size of each; all in pixels."""

Pixels = NDArray[np.uint8]
"""RGB, uint8 [H, W, 3]."""
_Floats = NDArray[np.float64]
_Spot = tuple[float, float]
"""(row, col) in a picture, where whole numbers are the centres of its pixels."""

BEYOND = 128
"""The grey, of all three channels, that a strip shows beyond the photograph's border."""

_Colour = tuple[int, int, int]
_RED: _Colour = (0xE6, 0x19, 0x4B)
_BLUE: _Colour = (0x2B, 0x83, 0xFF)
_LONGEST_JPEG = 65_500
"""Of the library that writes JPEG; the format itself holds 65,535."""
_FREE = 2.7
"""Letters and pointers stay so far from a point: its neighbours end at 2.13."""
_ANGLES = [math.radians(sign * angle) for angle in range(0, 181, 15) for sign in (1, -1)]


@dataclass(frozen=True, eq=False)
class PairPictures:
    """A pair, to be looked at.

    Attributes:
        marked: the photograph, at most LONG_SIDE long, with a red ring and an A, a blue ring and a B.
        strip_a, strip_b: a point's surroundings, TILE x TILE, and right of them its close-up, of the same size.
    """

    marked: PillowImage.Image
    strip_a: PillowImage.Image
    strip_b: PillowImage.Image


@dataclass(frozen=True, slots=True)
class Letter:
    """Where a letter stands: a square of `side` pixels with its upper left corner in pixel (row, col)."""

    row: int
    col: int
    side: int

    @property
    def centre(self) -> _Spot:
        """Its middle."""
        return self.row + (self.side - 1) / 2, self.col + (self.side - 1) / 2

    def distance(self, spot: _Spot) -> float:
        """How far a place lies from the square; 0 inside."""
        far = [max(abs(x - middle) - self.side / 2, 0) for x, middle in zip(spot, self.centre, strict=True)]
        return math.hypot(*far)

    def meets(self, other: "Letter") -> bool:
        """Whether two squares of one size overlap."""
        return max(abs(self.row - other.row), abs(self.col - other.col)) < self.side


def draw_pair(pixels: Pixels, a: Point, b: Point, shown: Pixels | None = None) -> PairPictures:
    """Draw the three pictures of a pair.

    Args:
        pixels: the photograph, upright; it is not changed.
        a, b: the two points, in it.
        shown: `shrunk(pixels)`, if the caller has it: several pairs of a photograph share it.

    Raises:
        BadInput: a point is not in the photograph.
    """
    height, width = pixels.shape[:2]
    for point in (a, b):
        if not (0 <= point.row < height and 0 <= point.col < width):
            raise BadInput(f"point {tuple(point)} is not in the photograph of {height} rows and {width} columns")
    ground = shrunk(pixels) if shown is None else shown
    return PairPictures(
        PillowImage.fromarray(_marked(ground, _spot(a, pixels, ground), _spot(b, pixels, ground))),
        PillowImage.fromarray(_strip(pixels, a, _RED)),
        PillowImage.fromarray(_strip(pixels, b, _BLUE)),
    )


def shrunk(pixels: Pixels) -> Pixels:
    """The photograph as it is shown: at most LONG_SIDE long, otherwise unchanged and not copied."""
    height, width = pixels.shape[:2]
    factor = LONG_SIDE / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(PillowImage.fromarray(pixels).resize(size, PillowImage.Resampling.LANCZOS, reducing_gap=2.0))


def upright(pixels: Pixels) -> PillowImage.Image:
    """The photograph itself at its full size, for people who choose points in it."""
    return PillowImage.fromarray(pixels)


def encode(image: PillowImage.Image) -> bytes:
    """The picture as JPEG, without metadata.

    One of at most a megapixel, such as a strip, is kept finer: its marks are one or two pixels wide.

    Raises:
        BadInput: a side is longer than JPEG can say.
    """
    if max(image.size) > _LONGEST_JPEG:
        raise BadInput(f"a picture of {image.width} x {image.height} pixels; JPEG holds {_LONGEST_JPEG} a side")
    file = io.BytesIO()
    if image.width * image.height <= 2**20:
        image.save(file, "JPEG", quality=90, subsampling="4:4:4")
    else:
        image.save(file, "JPEG", quality=85, subsampling="4:2:0")
    return file.getvalue()


def place_letters(size: tuple[int, int], a: _Spot, b: _Spot) -> tuple[Letter, Letter] | None:
    """Where the letters of two points stand in a picture of (height, width).

    Each stands beside its ring; wholly in the picture, on neither point nor its neighbours, nor on the other letter.
    None if a side is shorter than 24 pixels: no letter could be read.
    """
    if min(size) < 24:
        return None
    first = _place(size, a, b, None)
    return first, _place(size, b, a, first)


def _spot(point: Point, pixels: Pixels, shown: Pixels) -> _Spot:
    """Where a pixel's centre is in the picture shown."""
    row, col = ((x + 0.5) * shown.shape[i] / pixels.shape[i] - 0.5 for i, x in enumerate(point))
    return row, col


@dataclass(frozen=True, slots=True)
class _Pen:
    """The sizes of marks in pixels; they grow with the picture, so that they look alike on a screen.

    Attributes:
        radius: of a ring, to the middle of its line.
        ink, halo: half the width of the coloured line, and the white on either side of it.
    """

    radius: float
    ink: float
    halo: float

    @classmethod
    def of(cls, size: tuple[int, int]) -> "_Pen":
        unit = max(size) / LONG_SIDE
        return cls(max(6.0, 25 * unit), max(0.75, 2.4 * unit), max(0.8, 2.2 * unit))

    @property
    def band(self) -> float:
        """Half the width of the whole line, its soft edge included."""
        return self.ink + self.halo + 0.5


def _marked(ground: Pixels, a: _Spot, b: _Spot) -> Pixels:
    """A copy of the picture with both rings and letters."""
    picture = ground.copy()
    size = (picture.shape[0], picture.shape[1])
    pen, letters = _Pen.of(size), place_letters(size, a, b)
    for own, other, colour, letter in zip((a, b), (b, a), (_RED, _BLUE), letters or (None, None), strict=True):
        towards = None if letter is None else letter.centre
        _ring(picture, own, other, pen, colour, towards)
    for name, colour, letter in zip("AB", (_RED, _BLUE), letters or (), strict=letters is not None):
        line = _Pen(0, 0.075 * letter.side, 0.07 * letter.side)
        _draw(picture, letter.row, letter.col, _letter(name, letter.side), line, colour)
    return picture


def _ring(picture: Pixels, own: _Spot, other: _Spot, pen: _Pen, colour: _Colour, towards: _Spot | None) -> None:
    """Draw a ring; where it would be nearer to the other point than to its own, it is left out.

    Of two near points, each then has an arc on its own side, with a pointer to it from where its letter stands.
    """
    reach = math.ceil(pen.radius + pen.band) + 1
    row, col = round(own[0]) - reach, round(own[1]) - reach
    rows, cols = np.mgrid[row : row + 2 * reach + 1, col : col + 2 * reach + 1].astype(float)
    from_own = np.hypot(rows - own[0], cols - own[1])
    line = np.abs(from_own - pen.radius)
    if towards is not None and math.dist(own, other) < 2 * pen.radius:
        length = math.dist(own, towards)
        along = [(t - o) / length for t, o in zip(towards, own, strict=True)]
        ends = [(own[0] + r * along[0], own[1] + r * along[1]) for r in (pen.radius, _FREE + pen.band)]
        line = np.minimum(line, _to_segment(rows, cols, *ends))
    line[from_own >= np.hypot(rows - other[0], cols - other[1])] = np.inf
    _draw(picture, row, col, line, pen, colour)


def _place(size: tuple[int, int], own: _Spot, other: _Spot, taken: Letter | None) -> Letter:
    """The best free place of a letter: outside its ring, upwards right, or away from the other point if near."""
    pen = _Pen.of(size)
    side = min(max(14, round(max(size) * 0.027)), min(size) // 4)
    outside = pen.radius + pen.band
    if math.dist(own, other) < 4 * pen.radius:
        best = math.atan2(own[0] - other[0], own[1] - other[1])
    else:
        best = math.radians(-45)

    def free(letter: Letter) -> bool:
        clear = letter.distance(own) > _FREE and letter.distance(other) > _FREE
        return clear and (taken is None or not letter.meets(taken))

    def around() -> Iterator[tuple[int, Letter]]:
        for order, angle in enumerate(_ANGLES):
            far = outside + 0.55 * side
            middle = own[0] + far * math.sin(best + angle), own[1] + far * math.cos(best + angle)
            letter = _inside(size, middle, side)
            crowded = (letter.distance(other) < outside) + (letter.distance(own) < 0.8 * outside)
            yield order + len(_ANGLES) * crowded, letter

    near = [(cost, n, letter) for n, (cost, letter) in enumerate(around()) if free(letter)]
    if near:
        return min(near)[2]
    step = max(1, side // 4)
    anywhere = (Letter(r, c, side) for r in _steps(size[0] - side, step) for c in _steps(size[1] - side, step))
    return min(filter(free, anywhere), key=lambda letter: (letter.distance(own), letter.row, letter.col))


def _inside(size: tuple[int, int], middle: _Spot, side: int) -> Letter:
    """The square about this place, moved into the picture."""
    row, col = (min(max(round(m - (side - 1) / 2), 0), s - side) for m, s in zip(middle, size, strict=True))
    return Letter(row, col, side)


def _steps(last: int, step: int) -> list[int]:
    return [*range(0, last, step), last]


def _strip(pixels: Pixels, point: Point, colour: _Colour) -> Pixels:
    """Surroundings, with a ring, and close-up, with a crosshair open in the middle, side by side."""
    wide = min(SURROUNDINGS, max(CLOSE_UP, max(pixels.shape[:2]) // 2 * 2))  # of a small photograph, all of it
    around = np.array(
        PillowImage.fromarray(_window(pixels, point, wide)).resize((TILE, TILE), PillowImage.Resampling.BICUBIC)
    )
    middle = (wide / 2 + 0.5) * TILE / wide - 0.5
    ring = _Pen(14, 1.3, 1.3)
    _ring(around, (middle, middle), (math.inf, math.inf), ring, colour, None)
    zoom = TILE // CLOSE_UP
    close = np.repeat(np.repeat(_window(pixels, point, CLOSE_UP), zoom, axis=0), zoom, axis=1)
    line = _crosshair(zoom)
    corner = CLOSE_UP // 2 * zoom + zoom // 2 - line.shape[0] // 2
    _draw(close, corner, corner, line, _Pen(0, 1.0, 1.0), colour)
    around[:, -1], close[:, 0] = 0, 255  # a seam that shows on any ground
    return np.concatenate([around, close], axis=1)


def _window(pixels: Pixels, point: Point, side: int) -> Pixels:
    """A square of the photograph with the point in row and column side // 2; grey beyond the border."""
    window = np.full((side, side, 3), BEYOND, np.uint8)
    top, left = point.row - side // 2, point.col - side // 2
    part = pixels[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    row, col = max(-top, 0), max(-left, 0)
    window[row : row + part.shape[0], col : col + part.shape[1]] = part
    return window


def _draw(picture: Pixels, row: int, col: int, line: _Floats, pen: _Pen, colour: _Colour) -> None:
    """Draw a line into a picture, in place.

    Args:
        picture: uint8 [H, W, 3].
        row, col: the pixel of it that the first value of `line` belongs to; what lies outside is not drawn.
        line: float64 [h, w], how far each pixel is from the line.
        pen: the widths.
        colour: of the line.
    """
    top, left = max(row, 0), max(col, 0)
    part = picture[top : max(row + line.shape[0], 0), left : max(col + line.shape[1], 0)]
    seen = line[top - row :, left - col :][: part.shape[0], : part.shape[1], None]
    white = np.clip(pen.ink + pen.halo + 0.5 - seen, 0, 1)
    ink = np.clip(pen.ink + 0.5 - seen, 0, 1)
    on_white = part + (255 - part) * white
    part[:] = np.rint(on_white + (np.array(colour) - on_white) * ink).astype(np.uint8)


def _to_segment(rows: _Floats, cols: _Floats, start: _Spot, end: _Spot) -> _Floats:
    """How far each pixel is from the straight line between two places."""
    down, right = end[0] - start[0], end[1] - start[1]
    along = ((rows - start[0]) * down + (cols - start[1]) * right) / (down * down + right * right)
    along = np.clip(along, 0, 1)
    distance: _Floats = np.hypot(rows - start[0] - along * down, cols - start[1] - along * right)
    return distance


@cache
def _crosshair(zoom: int) -> _Floats:
    """float64 [N, N], N odd, how far each pixel is from four lines that leave the middle three zoomed pixels open."""
    middle = zoom * 9 + 4
    rows, cols = np.mgrid[: 2 * middle + 1, : 2 * middle + 1].astype(float)
    line = np.full(rows.shape, np.inf)
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        ends = [(middle + r * down, middle + r * right) for r in (zoom * 3.2, zoom * 9)]
        line = np.minimum(line, _to_segment(rows, cols, *ends))
    line.setflags(write=False)
    return line


@cache
def _letter(name: str, side: int) -> _Floats:
    """float64 [side, side], how far each pixel of a letter's square is from its lines."""
    bowls = [
        [(middle - half * math.cos(t), 0.38 + wide * math.sin(t)) for t in np.linspace(0, math.pi, 9)]
        for middle, half, wide in ((0.24, 0.24, 0.22), (0.74, 0.26, 0.28))
    ]
    shapes = {
        "A": [[(1.0, 0.0), (0.0, 0.39), (1.0, 0.78)], [(0.68, 0.13), (0.68, 0.65)]],
        "B": [[(0.0, 0.38), (0.0, 0.04), (1.0, 0.04), (1.0, 0.38)], [(0.48, 0.04), (0.48, 0.38)], *bowls],
    }
    tall = 0.66 * side
    left = (side - 1 - (0.78 if name == "A" else 0.68) * tall) / 2
    top = (side - 1 - tall) / 2
    rows, cols = np.mgrid[:side, :side].astype(float)
    line = np.full((side, side), np.inf)
    for shape in shapes[name]:
        places = [(top + y * tall, left + x * tall) for y, x in shape]
        for start, end in pairwise(places):
            line = np.minimum(line, _to_segment(rows, cols, start, end))
    line.setflags(write=False)
    return line
