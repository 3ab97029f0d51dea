"""Parts of photographs with a pair marked in them: pixels in, small JPEGs out.

The marks differ in shape and in colour (Okabe and Ito's blue and vermilion), stand in a white halo, and leave the point
itself open.
"""

import io
from base64 import b64encode
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from da2k.pairs import Point

WIDTH, HEIGHT = 480, 360
"""A crop is at most so large, in pixels."""
_LEAST = 0.35
"""Of the photo's longer side, so that one sees what the points are on."""
_ENLARGED = 8.0
_RADIUS = 12.0
_FINE = 4
"""Marks are drawn so many times larger, and reduced."""
_QUALITY = 82

TRUTH, CHOICE, OTHER = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x40, 0x40, 0x40)
"""Colours: the closer point in truth; the point that the model has nearer; the other point of a tied pair."""

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]


class Window(NamedTuple):
    """A part of a photo: rows from `top`, columns from `left`; shown `scale` times as large."""

    top: int
    left: int
    height: int
    width: int
    scale: float

    def place(self, point: Point) -> tuple[float, float]:
        """Where a pixel's centre is in the picture shown, (row, col), whole numbers being centres of pixels."""
        row, col = ((x - begin + 0.5) * self.scale - 0.5 for x, begin in zip(point, (self.top, self.left), strict=True))
        return row, col


@dataclass(frozen=True)
class Picture:
    """A picture that stands in a page.

    Attributes:
        source: a data: address.
        width, height: pixels.
    """

    source: str
    width: int
    height: int


def window(size: tuple[int, int], a: Point, b: Point) -> Window:
    """The part of a photo of (height, width) that shows two points and what is around them."""
    height, width = size
    down, across = abs(a.row - b.row) + 1, abs(a.col - b.col) + 1
    wide = max(_LEAST * max(size), 1.4 * across, 1.4 * down * WIDTH / HEIGHT, 16)
    cut_width, cut_height = min(width, round(wide)), min(height, round(wide * HEIGHT / WIDTH))
    top = min(max((a.row + b.row - cut_height + 1) // 2, 0), height - cut_height)
    left = min(max((a.col + b.col - cut_width + 1) // 2, 0), width - cut_width)
    return Window(top, left, cut_height, cut_width, min(WIDTH / cut_width, HEIGHT / cut_height, _ENLARGED))


def draw_wrong(pixels: Pixels, truth: Point, choice: Point) -> Picture:
    """A wrong pair: a ring about the closer point, a cross about the point that the model has nearer."""
    return _draw(pixels, (truth, "ring", TRUTH), (choice, "cross", CHOICE))


def draw_tied(pixels: Pixels, truth: Point, other: Point) -> Picture:
    """A tied pair: a ring about the closer point, a square about the other."""
    return _draw(pixels, (truth, "ring", TRUTH), (other, "square", OTHER))


def _draw(pixels: Pixels, first: tuple[Point, str, Colour], second: tuple[Point, str, Colour]) -> Picture:
    shown = window((pixels.shape[0], pixels.shape[1]), first[0], second[0])
    part = pixels[shown.top : shown.top + shown.height, shown.left : shown.left + shown.width]
    size = max(1, round(shown.width * shown.scale)), max(1, round(shown.height * shown.scale))
    way = PillowImage.Resampling.LANCZOS if shown.scale < 1 else PillowImage.Resampling.BICUBIC
    picture = PillowImage.fromarray(np.ascontiguousarray(part)).resize(size, way)
    for point, shape, colour in (second, first):
        _mark(picture, shown.place(point), shape, colour)
    return encode(picture)


def _mark(picture: PillowImage.Image, place: tuple[float, float], shape: str, colour: Colour) -> None:
    """Draw a mark in a white halo into a picture, in place."""
    reach = round(1.4 * _RADIUS + 6)
    top, left = (round(x) - reach for x in place)
    side = 2 * reach + 1
    row, col = ((x + 0.5 - begin) * _FINE for x, begin in zip(place, (top, left), strict=True))
    for width, ink in ((8.5, (255, 255, 255)), (4.5, colour)):
        mask = PillowImage.new("L", (side * _FINE, side * _FINE), 0)
        _shape(ImageDraw.Draw(mask), row, col, shape, width * _FINE)
        soft = mask.resize((side, side), PillowImage.Resampling.BOX)
        picture.paste(PillowImage.new("RGB", (side, side), ink), (left, top), soft)


def _shape(pen: ImageDraw.ImageDraw, row: float, col: float, shape: str, width: float) -> None:
    radius, half = _RADIUS * _FINE, width / 2
    box = (col - radius - half, row - radius - half, col + radius + half, row + radius + half)
    if shape == "ring":
        pen.ellipse(box, outline=255, width=round(width))
    elif shape == "square":
        pen.rectangle(box, outline=255, width=round(width))
    else:
        for down, right in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            ends = [(col + right * x, row + down * x) for x in (0.36 * radius, 1.05 * radius)]
            pen.line(ends, fill=255, width=round(width))


def encode(picture: PillowImage.Image) -> Picture:
    """The picture as JPEG, without metadata."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, subsampling="4:4:4")
    source = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
    return Picture(source, picture.width, picture.height)
