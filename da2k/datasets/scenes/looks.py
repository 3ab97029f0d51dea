"""What surfaces look like: colours, patterns and materials. Colours are linear light, red, green and blue."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]


class Surface(NamedTuple):
    """Points of one solid that are seen.

    Attributes:
        points: [N, 3], in the world, metres.
        own: [N, 3], in the solid's own axes, metres from its centre.
        normals: [N, 3], outward unit normals in the solid's own axes.
    """

    points: Array
    own: Array
    normals: Array


Paint = Callable[[Surface], Array]
"""Colours [N, 3] of the points of a surface."""


@dataclass(frozen=True)
class Material:
    """How a surface answers light.

    Attributes:
        paint: its colour under white light.
        gloss: strength of the highlights that lamps make on it.
        polish: exponent of the highlights (Blinn 1977); larger = smaller highlights.
        mirror: share of the light it reflects head on; grazing light is reflected more (Schlick 1994).
        ripple: how uneven a mirror or water looks; its depth stays that of the even surface.
        index: refractive index of clear glass or water; 0 for what is not clear.
        glow: light it gives by itself, as a multiple of its paint.
    """

    paint: Paint
    gloss: float = 0.0
    polish: float = 30.0
    mirror: float = 0.0
    ripple: float = 0.0
    index: float = 0.0
    glow: float = 0.0


def colour(code: str) -> Colour:
    """The linear colour of an sRGB code.

    >>> colour("#ff0000")
    (1.0, 0.0, 0.0)
    """
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return _linear(red), _linear(green), _linear(blue)


def _linear(encoded: float) -> float:
    return encoded / 12.92 if encoded <= 0.04045 else float(((encoded + 0.055) / 1.055) ** 2.4)


def plain(code: str) -> Paint:
    """One colour."""
    one = np.asarray(colour(code))
    return lambda s: np.broadcast_to(one, s.points.shape)


def mottled(first: str, second: str, size: float, contrast: float = 1.0) -> Paint:
    """Two colours in clouds of about this size, in metres."""

    def paint(s: Surface) -> Array:
        share = np.clip(0.5 + contrast * (noise(s.points, size) - 0.5), 0, 1)
        return _mixed(first, second, share)

    return paint


def checker(first: str, second: str, size: float, joint: float = 0.0) -> Paint:
    """Square tiles of two colours; `joint` is the share of a side that is joint between tiles."""

    def paint(s: Surface) -> Array:
        u, v = (c / size for c in _face(s))
        odd = (np.floor(u) + np.floor(v)) % 2
        inside = (np.minimum(u % 1, v % 1) > joint).astype(np.float64)
        return _mixed(first, second, odd) * (0.5 + 0.5 * inside)[:, None] * _grain(s, 0.1)

    return paint


def stripes(first: str, second: str, size: float, axis: int = 1, width: float = 0.5) -> Paint:
    """Bands across one of the solid's own axes; `width` is the share of the second colour."""
    return lambda s: _mixed(first, second, (s.own[:, axis] / size % 1 < width).astype(np.float64))


def planks(light: str, dark: str, width: float, length: float) -> Paint:
    """Wooden boards along the second axis of the face, each of its own tone, with grain."""

    def paint(s: Surface) -> Array:
        u, v = _face(s)
        board = np.floor(u / width)
        v = v + length * cell_random(board, 0 * board, 1)
        tone = cell_random(board, np.floor(v / length), 2)
        streak = noise(np.stack([u, v / 12], axis=1), 6 * width)
        gap = (np.minimum(u / width % 1, (v / length % 1) * length / width) < 0.04).astype(np.float64)
        return _mixed(light, dark, np.clip(0.55 * tone + 0.9 * (streak - 0.25), 0, 1)) * (1 - 0.6 * gap)[:, None]

    return paint


def bricks(first: str, second: str, joint: str, width: float, height: float) -> Paint:
    """Courses of bricks, each of its own tone."""

    def paint(s: Surface) -> Array:
        u, v = _face(s)
        course = np.floor(v / height)
        u = u / width + 0.5 * (course % 2)
        line = (np.minimum((u % 1) * width, (v / height % 1) * height) < 0.12 * height).astype(np.float64)
        wall = _mixed(first, second, cell_random(np.floor(u), course, 3))
        return wall * (1 - line)[:, None] + np.asarray(colour(joint)) * line[:, None]

    return paint


def facade(wall: str, pane: str, cell: tuple[float, float], lit: float = 0.0, roof: str = "#77736e") -> Paint:
    """A house's walls with a grid of windows.

    Args:
        wall, pane, roof: colours of the walls, the dark windows and the faces that look up.
        cell: width and height of one window's cell, in metres.
        lit: share of the windows with light on; those are brighter than white.
    """

    def paint(s: Surface) -> Array:
        u, v = _face(s)
        u, v = u / cell[0] + 0.5, v / cell[1] + 0.5
        window = (np.abs(u % 1 - 0.5) < 0.28) & (np.abs(v % 1 - 0.5) < 0.3)
        bar = (np.abs(u % 1 - 0.5) < 0.025) | (np.abs(v % 1 - 0.52) < 0.02)
        chance = cell_random(np.floor(u), np.floor(v), 4)
        tone = _mixed(pane, "#9fb4c4", 0.35 * cell_random(np.floor(u), np.floor(v), 5))
        light = np.asarray(colour("#ffd27a")) * (2.0 + 4.0 * chance / max(lit, 1e-9))[:, None]
        tone = np.where((chance < lit)[:, None], light, tone)
        front = np.where((window & ~bar)[:, None], tone, np.asarray(colour(wall)) * _grain(s, 0.15))
        return np.where((s.normals[:, 1] > 0.7)[:, None], np.asarray(colour(roof)) * _grain(s, 0.3), front)

    return paint


def spots(ground: str, spot: str, count: int, size: float) -> Paint:
    """Round spots spread evenly over the directions from the centre; `size` is the cosine of their radius."""
    middles = evenly_spread(count).T

    def paint(s: Surface) -> Array:
        towards = s.own / np.linalg.norm(s.own, axis=1, keepdims=True)
        return _mixed(ground, spot, ((towards @ middles).max(axis=1) > size).astype(np.float64))

    return paint


def noise(points: Array, size: float) -> Array:
    """Fractal noise [N], 0 to 1, mean one half, at points [N, D]; its largest clouds are about `size`."""
    dimensions = points.shape[1]
    tile = _noise_tile(dimensions)
    side = round(len(tile) ** (1 / dimensions))
    scaled = points * (side / 4 / size)
    below = np.floor(scaled)
    share = scaled - below
    corner = below.astype(np.int64) % side
    strides = side ** np.arange(dimensions)
    low, high = corner * strides, (corner + 1) % side * strides
    total = np.zeros(len(points))
    for which in np.ndindex(*(2,) * dimensions):
        at = sum(high[:, k] if one else low[:, k] for k, one in enumerate(which))
        weight = np.prod([share[:, k] if one else 1 - share[:, k] for k, one in enumerate(which)], axis=0)
        total += weight * tile[at]
    return total


def evenly_spread(count: int) -> Array:
    """Points spread evenly over the unit sphere, [count, 3], from top to bottom (a Fibonacci lattice)."""
    y = 1 - (2 * np.arange(count) + 1) / count
    around = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    return np.stack([np.sqrt(1 - y * y) * np.cos(around), y, np.sqrt(1 - y * y) * np.sin(around)], axis=1)


def cell_random(i: Array, j: Array, salt: int) -> Array:
    """A number in [0, 1) for each integer cell, always the same for the same cell and salt."""
    row, col = (cell.astype(np.int64).astype(np.uint32) for cell in (i, j))
    x = row * np.uint32(374761393) + col * np.uint32(668265263)
    x = (x ^ np.uint32(salt * 974711 % 2**32)) * np.uint32(2246822519)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(3266489917)
    return np.asarray((x ^ (x >> np.uint32(13))) / 2.0**32)


@cache
def _noise_tile(dimensions: int) -> Array:
    """Noise with the spectrum of clouds, which tiles; its largest waves are a quarter of the side. Flat."""
    side = {2: 256, 3: 64}[dimensions]
    spectrum = np.fft.fftn(np.random.default_rng(7).standard_normal((side,) * dimensions))
    each = np.meshgrid(*(np.fft.fftfreq(side, 1 / side),) * dimensions, indexing="ij")
    waves = np.sqrt(sum(frequency**2 for frequency in each))
    spectrum *= np.where(waves < 3, 0, 1 / np.maximum(waves, 3) ** (0.7 + dimensions / 2))
    tile = np.fft.ifftn(spectrum).real
    return np.asarray(np.clip(0.5 + tile / (5 * tile.std()), 0, 1)).ravel()


def _face(s: Surface) -> tuple[Array, Array]:
    """Two coordinates, in metres, along the face that each point lies on; the second is up on walls."""
    main = np.abs(s.normals).argmax(axis=1)
    u = np.where(main == 0, s.own[:, 2], s.own[:, 0])
    v = np.where(main == 1, s.own[:, 2], s.own[:, 1])
    return u, v


def _grain(s: Surface, strength: float) -> Array:
    return np.asarray(1 + strength * (noise(s.points, 1.5) - 0.5))[:, None]


def _mixed(first: str, second: str, share: Array) -> Array:
    a, b = np.asarray(colour(first)), np.asarray(colour(second))
    return np.asarray(a + share[:, None] * (b - a))
