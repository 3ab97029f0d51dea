"""Where rays meet solids. Everything is float64, in metres, with x to the right, y up and z away at rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.scenes.looks import Material

Array = NDArray[np.float64]
Vector = tuple[float, float, float]

_NOTHING = -1
_CHUNK = 32768
"""Rays cast at once: few enough that their numbers stay in the processor's cache."""

_CLEARANCE = 1e-6
"""Hits nearer than this along a ray are the surface that the ray starts on."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        eye, target: where it stands and what it looks at, in metres; not one straight above the other.
        fov: the vertical field of view, in degrees.
        size: (height, width) of the picture, in pixels.
    """

    eye: Vector
    target: Vector
    fov: float
    size: tuple[int, int]

    @cached_property
    def axes(self) -> Array:
        """Unit vectors right, up and forward, as the rows of a [3, 3] matrix."""
        forward = np.subtract(self.target, self.eye)
        forward = forward / np.linalg.norm(forward)
        right = np.cross((0.0, 1.0, 0.0), forward)
        right = right / np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def rays(self, samples: int = 1) -> Array:
        """Directions through the centres of a grid of `samples` x `samples` cells a pixel, [H * W * samples², 3].

        Their share along the optical axis is exactly 1, so the parameter of a hit is its depth, z.
        """
        height, width = (side * samples for side in self.size)
        half = np.tan(np.radians(self.fov) / 2)
        up = half * (1 - 2 * (np.arange(height) + 0.5) / height)
        across = half * (2 * (np.arange(width) + 0.5) / width - 1) * (width / height)
        right_axis, up_axis, forward = self.axes
        grid = across[None, :, None] * right_axis + up[:, None, None] * up_axis + forward
        return np.asarray(grid.reshape(-1, 3))


@dataclass(frozen=True, eq=False)
class Solid:
    """A unit shape, stretched, turned and put in its place.

    Attributes:
        shape: a key of SHAPES. The unit shapes are: the ball of radius 1; the cube from -1 to 1; the cylinder and
            the cone of radius 1 from y = -1 to 1 (the cone's tip is at 1); and the plane y = 0, without end.
        centre: where the unit shape's origin goes, in metres.
        half: the stretch along the shape's own axes: radii or half sides, in metres.
        material: how it looks.
        yaw, pitch, roll: turns in degrees: first roll (x towards y), then pitch (z towards y), then yaw (z towards x),
            all about the world's axes.
    """

    shape: str
    centre: Vector
    half: Vector
    material: Material
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @cached_property
    def turned(self) -> Array:
        """The rotation, [3, 3]: the rows are the shape's own axes in the world."""
        y, p, r = np.radians((self.yaw, self.pitch, self.roll))
        about_z = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
        about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
        about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
        return np.asarray(about_z @ about_x @ about_y)

    @cached_property
    def inward(self) -> Array:
        """World directions (rows) times this are directions in the unit shape's own space."""
        return np.asarray(self.turned.T / np.asarray(self.half))

    @cached_property
    def reach(self) -> float:
        """The radius of a ball about the centre that holds the solid."""
        if self.shape == "plane":
            return np.inf
        return max(self.half) if self.shape == "ball" else float(np.linalg.norm(self.half))

    def hit(self, origins: Array, directions: Array) -> Array:
        """Where rays first meet the surface, from outside or inside.

        Args:
            origins: [3, 1] or [3, N].
            directions: [3, N].

        Returns:
            The parameter along each ray, [N]; inf where it does not meet the surface.
        """
        inward = self.inward.T
        # A ray along a face divides by zero and a miss has no root; both end as "no hit".
        with np.errstate(divide="ignore", invalid="ignore"):
            return SHAPES[self.shape].hit(inward @ (origins - np.asarray(self.centre)[:, None]), inward @ directions)

    def own(self, points: Array) -> Array:
        """World points in the solid's own axes, in metres from its centre."""
        return np.asarray((points - np.asarray(self.centre)) @ self.turned.T)

    def normals(self, points: Array) -> Array:
        """Outward unit normals at points of the surface, in the world."""
        local = SHAPES[self.shape].normal(self.own(points) / np.asarray(self.half))
        world = local @ self.inward.T
        return np.asarray(world / np.sqrt(np.einsum("ij,ij->i", world, world))[:, None])


class Hits(NamedTuple):
    """For each ray: the parameter of its first hit (inf for none), and the index of the solid (-1 for none)."""

    at: Array
    solid: NDArray[np.int64]


def cast(solids: Sequence[Solid], origins: Array, directions: Array, until: float = np.inf) -> Hits:
    """The first solid that each ray meets.

    Args:
        solids: what there is.
        origins: [3], or [N, 3].
        directions: [N, 3], of any length; parameters of hits are in units of it.
        until: hits beyond this parameter do not matter, and may be left out.
    """
    hits = Hits(np.full(len(directions), np.inf), np.full(len(directions), _NOTHING, dtype=np.int64))
    if not solids:
        return hits
    cluster = _whole(tuple(solids))
    origins = np.atleast_2d(origins)
    for start in range(0, len(directions), _CHUNK):
        part = slice(start, start + _CHUNK)
        # One row a coordinate: numpy is several times faster along contiguous rows than across triples.
        d = np.ascontiguousarray(directions[part].T)
        o = np.ascontiguousarray((origins if len(origins) == 1 else origins[part]).T)
        rays = np.arange(start, start + d.shape[1])
        _search(cluster, solids, _Bundle(rays, o, d, _dot(o, o), _dot(o, d), _dot(d, d)), until, hits)
    return hits


class _Bundle(NamedTuple):
    """Some rays: their numbers [N], origins [3, 1] or [3, N], directions [3, N], and the products of these."""

    rays: NDArray[np.int64]
    o: Array
    d: Array
    oo: Array
    od: Array
    dd: Array

    def that_meet(self, centre: Array, reach: float, until: float) -> "_Bundle":
        """The rays that meet this ball between their start and `until`."""
        if not np.isfinite(reach):
            return self
        # The ball is a little larger than stated, so that rounding loses no ray.
        square = reach**2 * (1 + 1e-9)
        ahead = centre @ self.d
        ahead -= self.od
        outside = self.oo + (centre @ centre - square)
        outside -= 2 * centre @ self.o
        met = ahead > 0
        met |= outside <= 0
        met &= outside * self.dd <= ahead * ahead
        if np.isfinite(until):
            ahead -= until * self.dd
            met &= (ahead <= 0) | (ahead * ahead <= square * self.dd)
        near = np.flatnonzero(met)
        if len(near) == len(met):
            return self
        o, oo = (self.o, self.oo) if self.o.shape[1] == 1 else (self.o.take(near, axis=1), self.oo.take(near))
        d = self.d.take(near, axis=1)
        return _Bundle(self.rays.take(near), o, d, oo, self.od.take(near), self.dd.take(near))


class _Cluster(NamedTuple):
    """Solids that lie together: a ball that holds them, the large ones, and clusters of the others."""

    centre: Array
    reach: float
    large: list[int]
    parts: list["_Cluster"]


@lru_cache(maxsize=4)
def _whole(solids: tuple[Solid, ...]) -> _Cluster:
    return _clustered(solids, range(len(solids)))


def _clustered(solids: Sequence[Solid], members: Sequence[int]) -> _Cluster:
    endless = [i for i in members if not np.isfinite(solids[i].reach)]
    members = [i for i in members if i not in endless]
    if not members:
        return _Cluster(np.zeros(3), np.inf, endless, [])
    centres = np.array([solids[i].centre for i in members])
    reaches = np.array([solids[i].reach for i in members])
    centre = (centres.min(axis=0) + centres.max(axis=0)) / 2
    reach = float((np.linalg.norm(centres - centre, axis=1) + reaches).max())
    large = [i for i, r in zip(members, reaches, strict=True) if r > reach / 3 or len(members) < 3]
    small = [i for i in members if i not in large]
    widest = int(np.ptp(centres, axis=0).argmax())
    small.sort(key=lambda i: (solids[i].centre[widest], i))
    halves = [half for half in (small[: len(small) // 2], small[len(small) // 2 :]) if half]
    parts = [_clustered(solids, half) for half in halves]
    return _Cluster(centre, np.inf if endless else reach, endless + large, parts)


def _search(cluster: _Cluster, solids: Sequence[Solid], bundle: _Bundle, until: float, hits: Hits) -> None:
    """Note in `hits` where these rays meet the cluster's solids."""
    for i in cluster.large:
        near = bundle.that_meet(np.asarray(solids[i].centre), solids[i].reach, until)
        if len(near.rays):
            found = solids[i].hit(near.o, near.d)
            better = found < hits.at[near.rays]
            hits.at[near.rays[better]] = found[better]
            hits.solid[near.rays[better]] = i
    for part in cluster.parts:
        near = bundle.that_meet(part.centre, part.reach, until)
        if len(near.rays):
            _search(part, solids, near, until, hits)


class _Shape(NamedTuple):
    hit: Callable[[Array, Array], Array]
    normal: Callable[[Array], Array]


def _ahead(t: Array) -> Array:
    """The parameter where it is ahead of the start, else inf."""
    return np.where(t > _CLEARANCE, t, np.inf)


def _roots(a: Array, half_b: Array, c: Array) -> tuple[Array, Array]:
    """Both solutions of a t² + 2 half_b t + c = 0; NaN where there is none."""
    root = np.sqrt(half_b * half_b - a * c)
    return (-half_b - root) / a, (-half_b + root) / a


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _flat(a: Array, b: Array) -> Array:
    return np.asarray(a[0] * b[0] + a[2] * b[2])


def _hit_ball(o: Array, d: Array) -> Array:
    enter, leave = _roots(_dot(d, d), _dot(o, d), _dot(o, o) - 1)
    return np.minimum(_ahead(enter), _ahead(leave))


def _hit_box(o: Array, d: Array) -> Array:
    inverse = 1 / d
    one, other = (-1 - o) * inverse, (1 - o) * inverse
    low, high = np.minimum(one, other), np.maximum(one, other)
    enter = np.maximum(np.maximum(low[0], low[1]), low[2])
    leave = np.minimum(np.minimum(high[0], high[1]), high[2])
    return np.where(enter <= leave, np.minimum(_ahead(enter), _ahead(leave)), np.inf)


def _hit_plane(o: Array, d: Array) -> Array:
    return _ahead(-o[1] / d[1])


def _hit_disc(o: Array, d: Array, y: float) -> Array:
    t = (y - o[1]) / d[1]
    x, z = o[0] + t * d[0], o[2] + t * d[2]
    return np.where(x * x + z * z <= 1, _ahead(t), np.inf)


def _hit_mantle(o: Array, d: Array, roots: tuple[Array, Array]) -> Array:
    enter, leave = (np.where(np.abs(o[1] + t * d[1]) <= 1, _ahead(t), np.inf) for t in roots)
    return np.asarray(np.minimum(enter, leave))


def _hit_cylinder(o: Array, d: Array) -> Array:
    mantle = _hit_mantle(o, d, _roots(_flat(d, d), _flat(o, d), _flat(o, o) - 1))
    return np.asarray(np.minimum(mantle, np.minimum(_hit_disc(o, d, -1), _hit_disc(o, d, 1))))


def _hit_cone(o: Array, d: Array) -> Array:
    # The mantle is x² + z² = ((1 - y) / 2)².
    k, m = (1 - o[1]) / 2, -d[1] / 2
    mantle = _hit_mantle(o, d, _roots(_flat(d, d) - m * m, _flat(o, d) - k * m, _flat(o, o) - k * k))
    return np.asarray(np.minimum(mantle, _hit_disc(o, d, -1)))


def _normal_box(p: Array) -> Array:
    face = np.abs(p).argmax(axis=1)[:, None]
    normal: Array = np.zeros_like(p)
    np.put_along_axis(normal, face, np.sign(np.take_along_axis(p, face, axis=1)), axis=1)
    return normal


def _normal_cylinder(p: Array) -> Array:
    cap = np.abs(p[:, 1]) >= np.hypot(p[:, 0], p[:, 2])
    return np.asarray(np.where(cap[:, None], p * (0, 1, 0), p * (1, 0, 1)))


def _normal_cone(p: Array) -> Array:
    radius = np.hypot(p[:, 0], p[:, 2])
    base = (p[:, 1] < 0) & (1 + p[:, 1] < np.abs(radius - (1 - p[:, 1]) / 2))
    mantle = np.stack([p[:, 0], radius / 2 + 1e-12, p[:, 2]], axis=1)
    return np.asarray(np.where(base[:, None], (0.0, -1.0, 0.0), mantle))


def _normal_plane(p: Array) -> Array:
    return np.broadcast_to(np.array([0.0, 1.0, 0.0]), p.shape)


SHAPES = {
    "ball": _Shape(_hit_ball, lambda p: p),
    "box": _Shape(_hit_box, _normal_box),
    "cylinder": _Shape(_hit_cylinder, _normal_cylinder),
    "cone": _Shape(_hit_cone, _normal_cone),
    "plane": _Shape(_hit_plane, _normal_plane),
}
"""How a ray meets each unit shape, and the outward normal at a point of its surface, both in its own space."""
