"""Things that stand in more than one scene, made of a few solids each. Lengths are in metres, y = 0 is the ground."""

import numpy as np

from da2k.datasets.scenes.looks import Array, Colour, Material, Paint, Surface, colour, facade, mottled, noise, plain
from da2k.datasets.scenes.raycast import Solid, Vector
from da2k.datasets.scenes.render import Sky

Rng = np.random.Generator


def ball(x: float, y: float, z: float, radius: float, material: Material) -> Solid:
    """A ball around (x, y, z)."""
    return Solid("ball", (x, y, z), (radius, radius, radius), material)


def block(x: float, z: float, size: Vector, material: Material, y: float = 0.0, yaw: float = 0.0) -> Solid:
    """A box of this width, height and depth, whose floor is at height y and centred on (x, z)."""
    width, height, depth = size
    return Solid("box", (x, y + height / 2, z), (width / 2, height / 2, depth / 2), material, yaw)


def post(x: float, z: float, radius: float, height: float, material: Material, y: float = 0.0) -> Solid:
    """An upright cylinder that stands at height y on (x, z)."""
    return Solid("cylinder", (x, y + height / 2, z), (radius, height / 2, radius), material)


def spike(x: float, z: float, radius: float, height: float, material: Material, y: float = 0.0) -> Solid:
    """An upright cone that stands at height y on (x, z)."""
    return Solid("cone", (x, y + height / 2, z), (radius, height / 2, radius), material)


def egg(
    x: float,
    y: float,
    z: float,
    half: Vector,
    material: Material,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> Solid:
    """A stretched ball around (x, y, z) with these radii."""
    return Solid("ball", (x, y, z), half, material, yaw, pitch, roll)


def limb(
    start: Vector, end: Vector, radius: float, material: Material, shape: str = "cylinder", flat: float = 1.0
) -> Solid:
    """A cylinder, ball or cone stretched from one point to another; `flat` thins it in one direction."""
    along = np.subtract(end, start)
    length = float(np.linalg.norm(along))
    x, y, z = (float(c) for c in (np.add(start, end) / 2))
    pitch = -float(np.degrees(np.arccos(along[1] / length)))
    yaw = float(np.degrees(np.arctan2(along[0], along[2])))
    return Solid(shape, (x, y, z), (radius, length / 2, radius * flat), material, yaw, pitch)


def ground(paint: Paint, y: float = 0.0, **look: float) -> Solid:
    """The plane at height y."""
    return Solid("plane", (0.0, y, 0.0), (1.0, 1.0, 1.0), Material(paint, **look))


def matt(code: str) -> Material:
    """A dull surface of one colour."""
    return Material(plain(code))


def lamp_of(code: str, glow: float) -> Material:
    """A surface that gives light."""
    return Material(plain(code), glow=glow)


def leaves(code: str, dark: str, size: float = 0.8) -> Material:
    """Foliage or grass."""
    return Material(mottled(dark, code, size, 2.2))


def tree(rng: Rng, x: float, z: float, height: float, green: str = "#6f9a3c", dark: str = "#27461b") -> list[Solid]:
    """A round tree."""
    crown = 0.3 * height
    foliage = leaves(green, dark, 0.22 * height)
    made = [post(x, z, 0.035 * height, 0.6 * height, Material(mottled("#5b4330", "#3b2a1d", 0.4)))]
    made.append(ball(x, 0.68 * height, z, crown, foliage))
    for turn in rng.uniform(0, 360) + np.arange(5) * 72:
        side, up = 0.7 * crown, rng.uniform(-0.25, 0.3) * crown
        angle = np.radians(turn)
        centre = (x + side * np.cos(angle), 0.66 * height + up, z + side * np.sin(angle))
        made.append(ball(*centre, rng.uniform(0.45, 0.68) * crown, foliage))
    return made


def fir(x: float, z: float, height: float, green: str = "#3f6b3c", dark: str = "#16301f") -> list[Solid]:
    """A conifer of three cones."""
    needles = leaves(green, dark, 0.15 * height)
    made = [post(x, z, 0.03 * height, 0.3 * height, matt("#4a3526"))]
    for base, width in ((0.15, 0.24), (0.38, 0.19), (0.6, 0.13)):
        made.append(spike(x, z, width * height, 0.4 * height, needles, base * height))
    return made


def roof(tiles: str, gable: str) -> Paint:
    """Rows of tiles on the slopes, wall on the gables (the faces along the solid's third axis)."""
    slope, wall = np.asarray(colour(tiles)), np.asarray(colour(gable))

    def paint(s: Surface) -> Array:
        along = np.where(np.abs(s.normals[:, 0]) > 0.5, s.own[:, 1], s.own[:, 0])
        rows = 0.75 + 0.25 * (along / 0.35 % 1)
        return np.where((np.abs(s.normals[:, 2]) > 0.5)[:, None], wall, slope * rows[:, None])

    return paint


def house(
    x: float,
    z: float,
    size: Vector,
    wall: str,
    tiles: str,
    yaw: float = 0.0,
    lit: float = 0.0,
    cell: tuple[float, float] = (2.2, 2.8),
) -> list[Solid]:
    """A house with a gabled roof whose ridge runs along its depth. `size` is width, height of the walls, depth."""
    width, height, depth = size
    slope = (width / 2 + 0.3) / np.sqrt(2)
    top = Solid(
        "box", (x, height - 0.2, z), (slope, slope, depth / 2 - 0.01), Material(roof(tiles, wall)), yaw=yaw, roll=45
    )
    return [block(x, z, size, Material(facade(wall, "#26323d", cell, lit)), yaw=yaw), top]


def car(x: float, z: float, code: str, yaw: float = 0.0) -> list[Solid]:
    """A car that faces along z at yaw 0."""
    angle = np.radians(yaw)

    def at(right: float, forward: float) -> tuple[float, float]:
        return (
            x + right * np.cos(angle) + forward * np.sin(angle),
            z - right * np.sin(angle) + forward * np.cos(angle),
        )

    paint = Material(plain(code), gloss=0.6, polish=60, mirror=0.04)
    body = block(x, z, (1.75, 0.62, 4.2), paint, y=0.32, yaw=yaw)
    bx, bz = at(0, -0.2)
    glass = block(bx, bz, (1.5, 0.5, 2.1), Material(plain("#1d2730"), gloss=0.8, polish=90, mirror=0.06), 0.92, yaw)
    top = block(bx, bz, (1.45, 0.07, 1.8), paint, y=1.42, yaw=yaw)
    wheels = [
        Solid("cylinder", (wx, 0.33, wz), (0.33, 0.11, 0.33), matt("#17181a"), yaw=yaw, roll=90)
        for wx, wz in (at(s * 0.82, f) for s in (-1, 1) for f in (-1.3, 1.35))
    ]
    lights = [
        block(*at(s * 0.6, f), (0.3, 0.16, 0.05), lamp_of(tint, 0.5), y=0.62, yaw=yaw)
        for s in (-1, 1)
        for f, tint in ((2.1, "#fff2d0"), (-2.1, "#c8261c"))
    ]
    return [body, glass, top, *wheels, *lights]


def lantern(x: float, z: float, height: float, arm: float, glow: float) -> list[Solid]:
    """A street lamp whose arm reaches `arm` metres along x."""
    metal = matt("#3a3f45")
    return [
        post(x, z, 0.07, height, metal),
        Solid("box", (x + arm / 2, height, z), (abs(arm) / 2, 0.05, 0.05), metal),
        egg(x + arm, height - 0.12, z, (0.26, 0.14, 0.26), lamp_of("#ffe2a8", glow)),
    ]


def daylight(zenith: str, horizon: str, clouds: float = 0.0, sun: Vector | None = None) -> Sky:
    """A sky that pales towards the horizon.

    Args:
        zenith, horizon: colours.
        clouds: 0 for none to 1 for many.
        sun: the direction towards the sun, which glows; None if it is not to be seen.
    """
    high, low = np.asarray(colour(zenith)), np.asarray(colour(horizon))
    towards = None if sun is None else np.asarray(sun) / np.linalg.norm(sun)

    def sky(unit: Array) -> Array:
        up = np.clip(unit[:, 1], 0, 1)
        result = low + np.sqrt(up)[:, None] * (high - low)
        if clouds:
            level = 1 / np.maximum(unit[:, 1], 0.03)
            cover = noise(unit[:, ::2] * level[:, None], 3.5)
            cover = np.clip((cover - 0.62 + 0.3 * clouds) * 4, 0, 1) * np.clip(unit[:, 1] * 6, 0, 1)
            result = result + 0.85 * cover[:, None] * (np.array([1.0, 0.99, 0.98]) - result)
        if towards is not None:
            near = np.clip(unit @ towards, 0, 1)
            result = result + (0.5 * near**12 + 6 * (near > 0.9992))[:, None] * np.array([1.0, 0.75, 0.4])
        return np.asarray(result)

    return sky


def even(code: str) -> Sky:
    """A backdrop of one colour."""
    one: Colour = colour(code)
    return lambda unit: np.broadcast_to(np.asarray(one), unit.shape)
