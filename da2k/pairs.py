"""Pairs of pixels of one image, and which of the two is closer to the camera."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from da2k.errors import BadInput

SCENARIOS = (
    "indoor",
    "outdoor",
    "non_real",
    "transparent_reflective",
    "adverse_style",
    "aerial",
    "underwater",
    "object",
)
"""The eight scenarios of DA-2K, in the order of the paper's Table 14 (arXiv 2406.09414)."""


_PAIR_ID = re.compile(r"(.+)#(0|[1-9]\d{0,9}),(0|[1-9]\d{0,9})-(0|[1-9]\d{0,9}),(0|[1-9]\d{0,9})", re.DOTALL)


class Point(NamedTuple):
    """A pixel: (row, col), integers from 0, in the image after its EXIF orientation is applied."""

    row: int
    col: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two different pixels of one image and which one is closer.

    Attributes:
        image: the image's path in the benchmark, `images/<scenario>/<file>`, with forward slashes.
        point1, point2: the pixels.
        closer: 1 or 2, the point that is closer to the camera.

    Raises:
        BadInput: the points are equal or negative, or `closer` is neither 1 nor 2.
    """

    image: str
    point1: Point
    point2: Point
    closer: Literal[1, 2]

    def __post_init__(self) -> None:
        if self.point1 == self.point2:
            raise BadInput(f"both points are {tuple(self.point1)}; a pair needs two different pixels")
        if min(*self.point1, *self.point2) < 0:
            raise BadInput("a row or column is negative")
        if self.closer not in (1, 2):
            raise BadInput(f"the closer point is 1 or 2, not {self.closer!r}")

    @property
    def scenario(self) -> str:
        """The scenario, read from the image's path."""
        return scenario_of(self.image)

    @property
    def id(self) -> str:
        """A name for the pair that does not depend on the order of its points.

        >>> Pair("images/indoor/a.jpg", Point(9, 1), Point(2, 3), 1).id
        'images/indoor/a.jpg#2,3-9,1'
        """
        return pair_id(self.image, self.point1, self.point2)

    @property
    def closer_point(self) -> Point:
        """The pixel that is closer to the camera."""
        return self.point1 if self.closer == 1 else self.point2

    @property
    def farther_point(self) -> Point:
        """The pixel that is farther from the camera."""
        return self.point2 if self.closer == 1 else self.point1

    def swapped(self) -> "Pair":
        """The same statement with point1 and point2 exchanged."""
        return Pair(self.image, self.point2, self.point1, 1 if self.closer == 2 else 2)


def pair_id(image: str, point: Point, other: Point) -> str:
    """`Pair.id` of two points, in any order."""
    (row1, col1), (row2, col2) = (point, other) if point <= other else (other, point)
    return f"{image}#{row1},{col1}-{row2},{col2}"


def read_pair_id(text: str) -> tuple[str, Point, Point]:
    """The image and the two points, the smaller first, that a pair's id names.

    Raises:
        BadInput: it is no such id.

    >>> read_pair_id("images/indoor/a.jpg#2,3-9,1")
    ('images/indoor/a.jpg', Point(row=2, col=3), Point(row=9, col=1))
    """
    found = _PAIR_ID.fullmatch(text)
    points = [Point(int(found[n]), int(found[n + 1])) for n in (2, 4)] if found else []
    if found is None or points[0] >= points[1]:
        raise BadInput(f'"{text}" is no id of a pair, which is IMAGE#ROW,COL-ROW,COL with the smaller point first')
    return found[1], points[0], points[1]


def scenario_of(image: str) -> str:
    """The scenario of an image, from its path `images/<scenario>/<file>`.

    Raises:
        BadInput: the path is absolute, leaves the benchmark, or has no scenario folder.
    """
    parts = PurePosixPath(image).parts
    if not image.isprintable() and any("\ud800" <= character <= "\udfff" for character in image):
        raise BadInput(f"image path {image!r} is not valid Unicode")
    if "\\" in image:
        raise BadInput(f"image path {image!r} has backslashes; write forward slashes")
    if "\0" in image or image.startswith("/") or ".." in parts:
        raise BadInput(f"image path {image!r} leaves the benchmark folder")
    if len(parts) < 3 or parts[0] != "images":
        raise BadInput(f'image path "{image}" is not of the form images/<scenario>/<file>')
    return parts[1]


def scenario_order(scenario: str) -> tuple[int, str]:
    """A sort key: the paper's scenarios in the paper's order, then all others by name."""
    return (SCENARIOS.index(scenario) if scenario in SCENARIOS else len(SCENARIOS), scenario)
