"""From solids and lights to a picture and its exact depth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.scenes.looks import Colour, Surface, evenly_spread, noise
from da2k.datasets.scenes.raycast import Array, Camera, Hits, Solid, Vector, cast

SAMPLES = 2
"""Colours are averaged over SAMPLES x SAMPLES rays a pixel; depth is that of the one ray through its centre."""

_TILE = 5
"""Rays of a tile of _TILE x _TILE each use another place of a soft light; the light is then averaged over a tile
(interleaved sampling, Keller and Heidrich 2001)."""

_LIFT = 1e-4
"""Rays that leave a surface start this far above it, in metres, and so do not meet it again."""


# In this order neighbours are far apart.
_PLACES = evenly_spread(_TILE**2)[np.arange(_TILE**2) * 7 % _TILE**2]
"""Places on a soft light, as points of the unit sphere, one for each ray of a tile."""


@dataclass(frozen=True)
class Lamp:
    """A light: at a place if `near`, else far away in the direction of `place` (a sun).

    Attributes:
        place: position in metres, or direction towards the light.
        colour: light on a surface that faces it; for a near lamp, at one metre.
        size: its radius in metres, or for a sun the sine of its angular radius; softens the shadows.
        pattern: brightness at points [N, 3] of the world, for light that comes through leaves or waves.
    """

    place: Vector
    colour: Colour
    near: bool = False
    size: float = 0.0
    pattern: Callable[[Array], Array] | None = None


Cells = NDArray[np.int64]
"""The cell of its tile in which each ray lies, 0 to _TILE² - 1, [N]."""

Sky = Callable[[Array], Array]
"""Colours [N, 3] seen along unit directions [N, 3] where there is no solid."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What the rays found, at SAMPLES times the picture's size.

    Attributes:
        colour: linear light, [h, w, 3].
        depth: z along the optical axis, in metres; inf where there is only sky, [h, w].
        distance: the same along the ray, [h, w].
        solid: index of the solid, -1 for sky, [h, w].
        normals: world normals, zero for sky, [h, w, 3].
    """

    colour: Array
    depth: Array
    distance: Array
    solid: NDArray[np.int64]
    normals: Array


Effect = Callable[[Frame, np.random.Generator], Array]
"""New colours [h, w, 3] for a frame."""


@dataclass(frozen=True)
class Stage:
    """Everything that one picture needs.

    Attributes:
        scenario: one of the eight.
        name: the file's name, without ending.
        camera, solids, sky, lamps: what is seen, and by what light.
        shade: light from everywhere: on surfaces that look up, and on those that look down.
        effects: what happens between the light and the film, in this order.
        exposure: factor on the light before the film.
        film: True for a film's soft shoulder; False keeps colours as they are.
        crease: a surface with another one nearer than this, in metres, gets less of the light from everywhere;
            0 for no such darkening.
    """

    scenario: str
    name: str
    camera: Camera
    solids: Sequence[Solid]
    sky: Sky
    shade: tuple[Colour, Colour]
    lamps: Sequence[Lamp] = ()
    effects: Sequence[Effect] = ()
    exposure: float = 1.0
    film: bool = True
    crease: float = 0.0

    @cached_property
    def casters(self) -> tuple[Solid, ...]:
        """The solids that cast shadows: neither glass nor lamps."""
        return tuple(s for s in self.solids if not s.material.index and not s.material.glow)


class Exact(NamedTuple):
    """What lies at the pixels' centres.

    Attributes:
        depth: z, the share of the distance along the camera's optical axis, in metres; inf for sky, [H, W].
        distance: the distance along the ray, in metres; inf for sky, [H, W].
        solid: index of the solid; -1 for sky, [H, W].
    """

    depth: Array
    distance: Array
    solid: NDArray[np.int64]


def exact(stage: Stage) -> Exact:
    """Exact depth at the pixels' centres. A mirror, glass or water has the depth of its surface."""
    rays, size = stage.camera.rays(), stage.camera.size
    hits = cast(stage.solids, np.asarray(stage.camera.eye), rays)
    distance = hits.at * np.sqrt(_dot(rays, rays))
    return Exact(hits.at.reshape(size), distance.reshape(size), hits.solid.reshape(size))


def picture(stage: Stage, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture, RGB, uint8 [H, W, 3]. Only effects use the random numbers."""
    rays = stage.camera.rays(SAMPLES)
    height, width = (side * SAMPLES for side in stage.camera.size)
    rows, cols = np.indices((height, width)).reshape(2, -1)
    seen = _seen(stage, np.asarray(stage.camera.eye), rays, _TILE * (rows % _TILE) + cols % _TILE, 2, (height, width))
    distance = seen.hits.at * np.sqrt(_dot(rays, rays))
    frame = Frame(
        seen.colours.reshape(height, width, 3),
        seen.hits.at.reshape(height, width),
        distance.reshape(height, width),
        seen.hits.solid.reshape(height, width),
        seen.normals.reshape(height, width, 3),
    )
    for effect in stage.effects:
        frame = replace(frame, colour=effect(frame, rng))
    light = frame.colour.reshape(height // SAMPLES, SAMPLES, width // SAMPLES, SAMPLES, 3).mean(axis=(1, 3))
    return _developed(light * stage.exposure, stage.film)


def _developed(light: Array, film: bool) -> NDArray[np.uint8]:
    """Linear light to sRGB."""
    light = np.maximum(light, 0)
    if film:
        # Reinhard et al. 2002, equation 4: white is reached at 3.
        light = light * (1 + light / 9) / (1 + light) * 1.25
    light = np.minimum(light, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


class _Seen(NamedTuple):
    """Colours along rays, what they hit, and the normals there, turned towards where the rays come from."""

    colours: Array
    hits: Hits
    normals: Array


def _seen(
    stage: Stage, origins: Array, rays: Array, cells: Cells, bounces: int, grid: tuple[int, int] | None = None
) -> _Seen:
    """Look along rays.

    Args:
        stage: what there is to see.
        origins, rays: [3] or [N, 3], and [N, 3].
        cells: which place on a soft light each ray uses, [N].
        bounces: how many mirrors and panes a ray may still meet.
        grid: (height, width) if the rays are a picture's; the light is then smoothed over its neighbours, which
            used the other places.
    """
    hits = cast(stage.solids, origins, rays)
    unit = _unit(rays)
    points = origins + np.where(np.isfinite(hits.at), hits.at, 0)[:, None] * rays
    ends = _Ends(points, np.zeros_like(rays), unit, cells)
    paint, looks = np.zeros_like(rays), np.zeros((len(rays), 3))
    of = _grouped(hits.solid)
    missed = of.pop(-1, np.empty(0, np.int64))
    for i, here in of.items():
        solid, material = stage.solids[i], stage.solids[i].material
        outward = solid.normals(points[here])
        paint[here] = material.paint(Surface(points[here], solid.own(points[here]), outward @ solid.turned.T))
        ends.normals[here] = np.where((_dot(outward, unit[here]) > 0)[:, None], -outward, outward)
        looks[here] = (material.glow, material.gloss, material.polish)
    met = np.flatnonzero(hits.solid >= 0)
    light, shine = np.zeros_like(rays), np.zeros_like(rays)
    light[met], shine[met] = _light(stage, ends.of(met), looks[met, 1], looks[met, 2], stage.crease if grid else 0)
    if grid:
        light = _smoothed(light, hits.solid, ends.normals, grid)
    colours = paint * (light + looks[:, :1]) + shine
    colours[missed] = stage.sky(unit[missed])
    for i, here in of.items():
        material = stage.solids[i].material
        if (bounces > 1 and material.mirror) or (bounces and (material.mirror > 0.3 or material.index)):
            colours[here] = _polished(stage, stage.solids[i], ends.of(here), colours[here], bounces)
    return _Seen(colours, hits, ends.normals)


def _grouped(solid: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """The numbers of the rays that hit each solid, by the solid's index."""
    order = np.argsort(solid.astype(np.int16), kind="stable")
    found, starts = np.unique(solid[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))


class _Ends(NamedTuple):
    """Where rays end: points, normals towards the rays' origins, the rays' unit directions, and their cells."""

    points: Array
    normals: Array
    unit: Array
    cells: Cells

    def of(self, rays: NDArray[np.int64]) -> "_Ends":
        """Those of some of the rays."""
        return _Ends(self.points[rays], self.normals[rays], self.unit[rays], self.cells[rays])


def _light(stage: Stage, ends: _Ends, gloss: Array, polish: Array, crease: float) -> tuple[Array, Array]:
    """Light that falls on surfaces, and the highlights that they show, both [N, 3]."""
    points, normals, unit, cells = ends
    above, below = (np.asarray(c) for c in stage.shade)
    light = below + (0.5 + 0.5 * normals[:, 1:2]) * (above - below)
    shine = np.zeros_like(points)
    start = points + _LIFT * normals
    if crease:
        open_to = cast(stage.solids, start, _unit(normals + _PLACES[cells]), until=crease).at
        light *= np.minimum(1.0, 0.2 + 0.8 * open_to / crease)[:, None]
    for lamp in stage.lamps:
        place, end = (np.asarray(lamp.place), 1.0) if lamp.near else (_unit(np.array([lamp.place])), np.inf)
        towards = lamp.size * _PLACES[cells] + place - (points if lamp.near else 0)
        facing = np.flatnonzero(_dot(normals, towards) > 0)
        lit = facing[cast(stage.casters, start[facing], towards[facing], end).at >= end]
        distance = np.sqrt(_dot(towards[lit], towards[lit]))
        strength = 1 / distance**2 if lamp.near else np.ones(len(lit))
        if lamp.pattern is not None:
            strength *= lamp.pattern(points[lit])
        light[lit] += (strength * _dot(normals[lit], towards[lit]) / distance)[:, None] * np.asarray(lamp.colour)
        glossy = np.flatnonzero(gloss[lit] > 0)
        here = lit[glossy]
        spot = _dot(normals[here], _unit(towards[here] / distance[glossy, None] - unit[here]))
        strength = gloss[here] * strength[glossy] * np.clip(spot, 0, 1) ** polish[here]
        shine[here] += strength[:, None] * np.asarray(lamp.colour)
    return light, shine


def _smoothed(light: Array, solid: NDArray[np.int64], normals: Array, grid: tuple[int, int]) -> Array:
    """The light averaged over a tile, but not across edges of solids."""
    light, normals, solid = light.reshape(*grid, 3), normals.reshape(*grid, 3), solid.reshape(grid)
    for axis in (0, 1):
        total, weight = light.copy(), np.ones((*grid, 1))
        for step in range(1, _TILE // 2 + 1):
            here, there = _shifted(axis, step), _shifted(axis, -step)
            alike = (solid[here] == solid[there]) & (np.einsum("...i,...i", normals[here], normals[there]) > 0.8)
            total[here] += light[there] * alike[..., None]
            total[there] += light[here] * alike[..., None]
            weight[here] += alike[..., None]
            weight[there] += alike[..., None]
        light = total / weight
    return light.reshape(-1, 3)


def _shifted(axis: int, step: int) -> tuple[slice, ...]:
    part = slice(step, None) if step > 0 else slice(None, step)
    return (part,) if axis == 0 else (slice(None), part)


def _polished(stage: Stage, solid: Solid, ends: _Ends, body: Array, bounces: int) -> Array:
    """Mirrors, water and glass: what they reflect over what is in or behind them."""
    material, normals = solid.material, ends.normals
    if material.ripple:
        where = ends.points[:, ::2] * (1.0, 0.35)
        normals = normals.copy()
        normals[:, 0] += material.ripple * (noise(where, 2.0) - 0.5)
        normals[:, 2] += material.ripple * (noise(where[:, ::-1], 2.0) - 0.5)
        normals = _unit(normals)
    facing = np.clip(-_dot(normals, ends.unit), 0, 1)
    share = (material.mirror + (1 - material.mirror) * (1 - facing) ** 5)[:, None]
    bounced = ends.unit + 2 * facing[:, None] * normals
    mirrored = _seen(stage, ends.points + _LIFT * ends.normals, bounced, ends.cells, bounces - 1).colours
    if material.index:
        body = body + _through(stage, solid, ends, bounces)
    return np.asarray(share * mirrored + (1 - share) * body)


def _through(stage: Stage, solid: Solid, ends: _Ends, bounces: int) -> Array:
    """What is seen through a clear convex solid: refracted on the way in and on the way out."""
    inside = _bent(ends.unit, ends.normals, 1 / solid.material.index)
    leave = solid.hit((ends.points - _LIFT * ends.normals).T, inside.T)
    exits = ends.points + np.where(np.isfinite(leave), leave, 0)[:, None] * inside
    outward = solid.normals(exits)
    outside = _bent(inside, -outward, solid.material.index)
    return _seen(stage, exits + _LIFT * outward, outside, ends.cells, bounces - 1).colours


def _bent(unit: Array, normals: Array, ratio: float) -> Array:
    """Snell's law; where there is total reflection the ray grazes the surface."""
    facing = -_dot(normals, unit)
    root = np.sqrt(np.maximum(1 - ratio**2 * (1 - facing**2), 0))
    return np.asarray(ratio * unit + (ratio * facing - root)[:, None] * normals)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.sqrt(_dot(vectors, vectors) + 1e-300)[:, None])
