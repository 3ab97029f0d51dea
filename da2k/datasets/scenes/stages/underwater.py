"""Underwater: a reef and a sunken temple. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import air, shafts, vignette
from da2k.datasets.scenes.looks import Array, Material, Paint, Surface, colour, mottled, noise, plain, spots, stripes
from da2k.datasets.scenes.props import Rng, ball, block, daylight, egg, ground, leaves, limb, matt, post
from da2k.datasets.scenes.raycast import Camera, Solid, Vector
from da2k.datasets.scenes.render import Lamp, Stage


def reef(rng: Rng) -> Stage:
    """A coral reef with fish, in blue water."""
    solids = [ground(mottled("#e6d8b0", "#cdbb8c", 1.2))]
    tones = ("#e0574a", "#f08a3c", "#c44f9a", "#e8c04a", "#8a5ac4", "#5ab89a")
    places = ((-1.9, 2.3, 0.8), (2.0, 3.1, 1.0), (-3.8, 5.6, 1.5), (0.4, 6.8, 1.2), (4.6, 7.6, 1.9), (-1.4, 9.5, 1.6))
    for x, z, size in (*places, (1.15, 0.9, 0.42)):
        rock = Material(mottled("#94806a", "#4f4a46", 0.4, 1.8))
        solids.append(egg(x, 0.15 * size, z, (size, 0.6 * size, 0.8 * size), rock, yaw=rng.uniform(0, 90)))
        for tone in rng.choice(tones, 7):
            dx, dz = rng.uniform(-0.75, 0.75, 2) * size
            foot = (x + dx, (0.1 + 0.55 * np.sqrt(max(1 - (dx * dx + dz * dz) / size**2, 0))) * size, z + dz)
            solids += _coral(rng, foot, size, str(tone))
    for x, y, z, size, first, second, yaw in (
        (-0.45, 1.8, 1.2, 0.8, "#f2c53d", "#2b4a8c", 10),
        (1.5, 2.3, 3.4, 0.8, "#f0702e", "#f6f2ea", 170),
        (0.7, 1.15, 2.7, 0.5, "#f0702e", "#f6f2ea", 190),
        (-2.2, 2.9, 5.0, 0.9, "#6fb8e0", "#f2f0e6", -15),
        (-0.3, 2.2, 6.5, 0.8, "#f2c53d", "#2b4a8c", 5),
    ):
        solids += _fish(x, y + rng.uniform(-0.1, 0.1), z, size, first, second, yaw)
    for x, y, z in rng.uniform((-4, 2.0, 8), (4, 4.2, 14), (9, 3)).tolist():
        solids += _fish(x, y, z, 0.55, "#9fc4d8", "#dfeaf0", 185)
    for y in np.arange(0.7, 3.2, 0.24).tolist():
        solids.append(
            ball(
                2.35 + 0.08 * np.sin(9 * y), y, 2.4, 0.025 + 0.012 * y, Material(plain("#bfe6f2"), gloss=0.8, glow=0.3)
            )
        )
    return Stage(
        "underwater",
        "reef",
        Camera((0.0, 1.5, -2.2), (0.0, 1.35, 4), 56, (216, 288)),
        solids,
        daylight("#5fc4e0", "#1a6f9a"),
        ((0.5, 0.62, 0.68), (0.22, 0.26, 0.28)),
        [Lamp((0.25, 1.0, -0.15), (1.2, 1.2, 1.1), size=0.05, pattern=_caustics)],
        [air((0.015, 0.22, 0.37), (0.15, 0.06, 0.045)), shafts((0.14, 0.34, 0.4), 0.55), vignette(0.35)],
        exposure=1.35,
    )


def _coral(rng: Rng, foot: Vector, size: float, tone: str) -> list[Solid]:
    """A branching coral or a brain coral."""
    x, y, z = foot
    if rng.random() < 0.4:
        radius = rng.uniform(0.18, 0.3) * size
        return [egg(x, y, z, (radius, 0.8 * radius, radius), Material(spots(tone, "#f6e3cf", 80, 0.993)))]
    flesh, made = Material(mottled(tone, "#f3b9a0", 0.4, 0.8)), []
    for _ in range(9):
        out = rng.uniform(-0.35, 0.35, 2) * size
        tip = (x + out[0], y + rng.uniform(0.4, 0.75) * size, z + out[1])
        made.append(limb(foot, tip, 0.06 * size, flesh, "ball"))
    return made


def sunken_temple(rng: Rng) -> Stage:
    """Columns of a sunken temple in green water."""
    stone = Material(mottled("#cfc7b0", "#8f9078", 0.7, 1.6))
    clay = Material(mottled("#b5703f", "#7d4f30", 0.3))
    dark = Material(mottled("#a39f88", "#6d705a", 0.5, 1.6))
    solids = [ground(mottled("#b9ad86", "#8f8a66", 1.0))]
    for row, z in enumerate((1.6, 4.6, 7.8, 11.2)):
        for side in (-1, 1):
            x, broken = side * 1.75, row == 1 and side > 0
            high = 1.7 if broken else 4.0
            solids += [
                block(x, z, (0.95, 0.22, 0.95), dark),
                post(x, z, 0.33, high, Material(_fluted("#d3ccb6", "#8d8b76")), y=0.22),
            ]
            if not broken:
                solids += [
                    Solid("cylinder", (x, 4.3, z), (0.44, 0.1, 0.44), stone),
                    block(x, z, (1.0, 0.2, 1.0), stone, y=4.4),
                ]
        if row != 1:
            solids.append(block(0, z, (4.5, 0.42, 0.8), dark, y=4.6))
    solids += [
        limb((0.3, 0.3, 2.4), (1.3, 0.3, 3.7), 0.33, Material(_fluted("#d3ccb6", "#8d8b76"))),
        # An amphora, half buried.
        limb((-1.0, 0.05, 1.1), (-0.45, 0.42, 1.0), 0.24, clay, "ball"),
        limb((-0.6, 0.32, 1.03), (-0.3, 0.52, 0.97), 0.075, clay),
        block(0, 15, (7, 0.5, 3), dark),
        block(0, 15.4, (6, 0.5, 2.4), stone, y=0.5),
        block(0, 15.6, (1.2, 2.4, 0.6), stone, y=1.0),
        ball(0, 3.8, 15.6, 0.5, stone),
    ]
    for _ in range(16):
        x, z = rng.uniform(0.9, 3.4) * rng.choice([-1, 1]), rng.uniform(1.0, 9.0)
        for k in range(4):
            lean = rng.uniform(-14, 14)
            solids.append(
                egg(
                    x + 0.08 * k,
                    0.45,
                    z + 0.05 * k,
                    (0.035, rng.uniform(0.35, 0.8), 0.02),
                    leaves("#5f9a4a", "#2f5f30", 0.3),
                    roll=lean,
                )
            )
    for x, y, z, size, yaw in (
        (0.45, 3.3, 2.0, 0.55, 185),
        (-0.5, 2.7, 3.4, 0.5, 170),
        (0.3, 2.2, 6.0, 0.6, 10),
        (-0.6, 3.6, 8.0, 0.6, 0),
    ):
        solids += _fish(x, y + rng.uniform(-0.15, 0.15), z, size, "#d8a23c", "#f0e2b0", yaw)
    return Stage(
        "underwater",
        "sunken-temple",
        Camera((0.15, 1.6, -2.6), (0.0, 1.95, 5), 58, (288, 216)),
        solids,
        daylight("#7fd8c4", "#1f7a78"),
        ((0.46, 0.62, 0.58), (0.22, 0.28, 0.25)),
        [Lamp((0.2, 1.0, -0.35), (1.25, 1.25, 1.1), size=0.05, pattern=_caustics)],
        [air((0.012, 0.235, 0.24), (0.19, 0.07, 0.075)), shafts((0.16, 0.36, 0.3), -0.5), vignette(0.35)],
        exposure=1.35,
    )


def _fluted(light: str, dark: str) -> Paint:
    """Upright grooves of a column."""
    a, b = np.asarray(colour(light)), np.asarray(colour(dark))

    def paint(s: Surface) -> Array:
        groove = np.arctan2(s.own[:, 0], s.own[:, 2]) / np.pi * 10 % 1
        share = np.clip(0.75 * np.abs(2 * groove - 1) ** 2 + 1.4 * (noise(s.points, 0.8) - 0.5), 0, 1)
        return np.asarray(a + share[:, None] * (b - a))

    return paint


def _fish(x: float, y: float, z: float, size: float, first: str, second: str, yaw: float) -> list[Solid]:
    """A fish whose nose points along its own x axis."""
    scales = Material(stripes(first, second, 0.42 * size, 0, 0.4), gloss=0.3)
    angle = np.radians(yaw)

    def at(forward: float, up: float, side: float = 0.0) -> Vector:
        return (
            x + forward * size * np.cos(angle) + side * size * np.sin(angle),
            y + up * size,
            z - forward * size * np.sin(angle) + side * size * np.cos(angle),
        )

    return [
        egg(x, y, z, (0.5 * size, 0.3 * size, 0.15 * size), scales, yaw=yaw),
        Solid("cone", at(-0.55, 0), (0.26 * size, 0.2 * size, 0.04 * size), matt(first), yaw=yaw, roll=-90),
        Solid("cone", at(-0.05, 0.3), (0.22 * size, 0.13 * size, 0.03 * size), matt(first), yaw=yaw, roll=15),
        *(ball(*at(0.33, 0.06, s * 0.1), 0.045 * size, matt("#f4f4f0")) for s in (-1, 1)),
        *(ball(*at(0.345, 0.06, s * 0.125), 0.028 * size, matt("#101010")) for s in (-1, 1)),
    ]


def _caustics(points: Array) -> Array:
    """Bright nets that waves cast on the sea floor."""
    flat = points[:, ::2]
    net = np.abs(noise(flat, 3.0) - 0.5) + np.abs(noise(flat[:, ::-1] + 7.3, 2.6) - 0.5)
    return np.asarray(0.65 + 1.5 * np.exp(-((net / 0.07) ** 2)))
