"""Non-real: two drawings in flat colours with dark outlines. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import ink
from da2k.datasets.scenes.looks import Array, Material, cell_random, colour, mottled, plain, spots
from da2k.datasets.scenes.props import Rng, ball, block, egg, ground, lamp_of, limb, matt, post
from da2k.datasets.scenes.raycast import Camera, Solid, Vector
from da2k.datasets.scenes.render import Lamp, Sky, Stage


def mushroom_village(rng: Rng) -> Stage:
    """A cartoon: mushroom houses under a big sun, in flat colours with dark outlines."""
    solids = [ground(plain("#7cc653"))]
    caps = rng.permutation(["#e0392f", "#f08a24", "#a04fc4", "#e0392f"])
    for cap, x, z, size in zip(caps, (-1.7, 2.3, 0.3, -4.8), (4.2, 6.2, 11.5, 9.5), (1.0, 1.25, 1.5, 1.3), strict=True):
        solids += _mushroom(x, z, size, str(cap))
    for z in np.arange(1.2, 14, 1.15).tolist():
        x = 0.55 + 0.5 * np.sin(z * 0.7)
        solids.append(Solid("cylinder", (x, 0.01, z), (0.5, 0.02, 0.36), matt("#f1dca0")))
    for x, z, size in ((-2.6, 1.9, 0.3), (1.75, 2.4, 0.36), (3.9, 4.2, 0.5), (-3.6, 5.8, 0.5)):
        solids += _mushroom(x, z, size * 0.6, "#f6c23c", door=False)
    for x, z, r in ((-9, 24, 6.0), (7, 28, 8.0), (0, 36, 10.0), (-22, 34, 11.0), (22, 36, 10.0)):
        solids.append(egg(x, -0.35 * r, z, (1.3 * r, r, r), matt("#4fa64a")))
    for x, y, z, size in ((-4.6, 4.4, 12, 0.8), (3.8, 5.4, 14, 0.95), (0.6, 2.75, 4.6, 0.3)):
        for dx, dy, r in ((-1.0, 0, 0.7), (0, 0.25, 1.0), (1.0, 0, 0.75)):
            centre = (x + dx * size, y + dy * size, z)
            solids.append(Solid("ball", centre, (r * size, 0.8 * r * size, 0.6 * size), lamp_of("#ffffff", 0.5)))
    for x, z in rng.uniform((-3.5, 1.6), (3.5, 6), (14, 2)).tolist():
        solids += [
            post(x, z, 0.015, 0.22, matt("#3f8f3a")),
            ball(x, 0.25, z, 0.07, matt(str(rng.choice(["#ff7fb0", "#fff27a", "#ffffff"])))),
        ]
    sun = (0.42, 0.38, 1.0)
    return Stage(
        "non_real",
        "mushroom-village",
        Camera((0.1, 1.35, -2.2), (0.1, 1.45, 6), 52, (216, 288)),
        solids,
        _paper_sky("#66c8f2", "#d6f3fb", "#ffe14d", sun),
        ((0.62, 0.62, 0.66), (0.4, 0.4, 0.42)),
        [Lamp((0.6, 0.9, -0.6), (0.5, 0.5, 0.46))],
        [ink(1, 4)],
        film=False,
    )


def _mushroom(x: float, z: float, size: float, cap: str, door: bool = True) -> list[Solid]:
    made = [
        Solid("cylinder", (x, 0.65 * size, z), (0.55 * size, 0.68 * size, 0.55 * size), matt("#fdf3d6")),
        egg(x, 1.4 * size, z, (1.0 * size, 0.72 * size, 1.0 * size), Material(spots(cap, "#ffffff", 26, 0.955))),
    ]
    if door:
        made += [
            Solid(
                "cylinder", (x, 0.3 * size, z - 0.47 * size), (0.2 * size, 0.34 * size, 0.12 * size), matt("#8a5a33")
            ),
            ball(x + 0.1 * size, 0.3 * size, z - 0.6 * size, 0.03 * size, matt("#ffd84d")),
            *(
                egg(
                    x + s * 0.32 * size,
                    0.68 * size,
                    z - 0.46 * size,
                    (0.1 * size, 0.1 * size, 0.05 * size),
                    matt("#7fd4f5"),
                )
                for s in (-1, 1)
            ),
        ]
    return made


def _paper_sky(high: str, low: str, disc: str, sun: Vector) -> Sky:
    """Bands of flat colour and a disc for a sun or planet."""
    towards = np.asarray(sun) / np.linalg.norm(sun)
    a, b, c = (np.asarray(colour(code)) for code in (high, low, disc))

    def sky(unit: Array) -> Array:
        level = np.clip(np.floor(unit[:, 1] * 12) / 5, 0, 1)[:, None]
        near = unit @ towards
        result = b + level * (a - b)
        result = np.where((near > 0.9895)[:, None], 0.5 * (result + c), result)
        return np.where((near > 0.993)[:, None], c, result)

    return sky


def robot(rng: Rng) -> Stage:
    """A drawing of a robot on a strange planet, with a rocket behind it."""
    tin, dark, red = matt("#9fb8c8"), matt("#4d6272"), matt(str(rng.choice(["#e2453c", "#e58a2b", "#3fa06a"])))
    solids = [
        ground(mottled("#c99a6b", "#b5825a", 2.5, 3.0)),
        # The robot: feet, legs, body, arms, head.
        *(block(x, -0.05, (0.3, 0.14, 0.46), dark) for x in (-0.24, 0.24)),
        *(post(x, 0, 0.09, 0.55, tin, y=0.1) for x in (-0.24, 0.24)),
        block(0, 0, (0.86, 0.78, 0.5), tin, y=0.6),
        block(0, -0.25, (0.56, 0.34, 0.06), matt("#223344"), y=0.86),
        *(
            ball(x, 1.03, -0.29, 0.06, lamp_of(c, 0.3))
            for x, c in ((-0.16, "#ff5a4d"), (0, "#ffd84d"), (0.16, "#63e07a"))
        ),
        *(limb((s * 0.46, 1.26, 0), (s * 0.7, 0.74, -0.24), 0.07, tin) for s in (-1, 1)),
        *(ball(x, 0.72, -0.26, 0.12, red) for x in (-0.7, 0.7)),
        *(ball(x, 1.26, 0, 0.13, red) for x in (-0.46, 0.46)),
        post(0, 0, 0.1, 0.14, dark, y=1.36),
        block(0, 0, (0.64, 0.5, 0.46), tin, y=1.48),
        *(
            Solid("cylinder", (x, 1.78, -0.24), (0.11, 0.05, 0.11), lamp_of("#fff6c2", 0.2), pitch=90)
            for x in (-0.15, 0.15)
        ),
        *(Solid("cylinder", (x, 1.78, -0.28), (0.045, 0.03, 0.045), dark, pitch=90) for x in (-0.15, 0.15)),
        block(0, -0.235, (0.34, 0.06, 0.03), dark, y=1.55),
        post(0, 0, 0.018, 0.26, dark, y=1.96),
        ball(0, 2.26, 0, 0.07, lamp_of("#ff5a4d", 0.3)),
        *_rocket(1.9, 5.6, 0.9, red),
    ]
    for x, z, r in (
        (-1.5, 2.2, 0.5),
        (1.35, 1.0, 0.28),
        (-3.6, 7, 1.5),
        (-1.2, -0.55, 0.16),
        (5.5, 12, 2.2),
        (-7, 16, 2.6),
    ):
        solids.append(
            egg(x, 0.15 * r, z, (1.2 * r, r * rng.uniform(0.7, 1.0), r), matt("#8a5a4a"), yaw=rng.uniform(0, 90))
        )
    for x, z, h in ((-2.1, 4.6, 2.6), (3.4, 9.0, 3.8), (-5.4, 11, 4.2)):
        solids += [
            post(x, z, 0.05 * h, h * 0.75, matt("#6d4fa0")),
            *(
                ball(x + dx * h, y * h, z, r * h, matt("#4fc4a8"))
                for dx, y, r in ((0, 0.85, 0.2), (-0.14, 0.68, 0.13), (0.15, 0.66, 0.14))
            ),
        ]
    return Stage(
        "non_real",
        "robot",
        Camera((0.5, 1.3, -3.2), (0.1, 1.3, 1.0), 54, (288, 216)),
        solids,
        _night_of_stars("#1d1a4a", "#8a3f8f", (-0.35, 0.5, 1.0)),
        ((0.66, 0.62, 0.72), (0.42, 0.36, 0.4)),
        [Lamp((-0.6, 0.8, -0.7), (0.5, 0.48, 0.42))],
        [ink(1, 4)],
        film=False,
    )


def _rocket(x: float, z: float, size: float, red: Material) -> list[Solid]:
    shell = matt("#f1efe8")
    return [
        egg(x, 2.2 * size, z, (0.75 * size, 1.9 * size, 0.75 * size), shell),
        Solid("cone", (x, 3.75 * size, z), (0.5 * size, 0.62 * size, 0.5 * size), red),
        Solid(
            "cylinder",
            (x, 2.6 * size, z - 0.68 * size),
            (0.27 * size, 0.08 * size, 0.27 * size),
            matt("#63b8e0"),
            pitch=80,
        ),
        *(
            Solid(
                "box",
                (x + 0.75 * size * np.sin(a), 0.75 * size, z + 0.75 * size * np.cos(a)),
                (0.07 * size, 0.75 * size, 0.4 * size),
                red,
                yaw=np.degrees(a),
            )
            for a in np.radians((70.0, 190.0, 310.0))
        ),
    ]


def _night_of_stars(high: str, low: str, planet: Vector) -> Sky:
    """Bands of flat colour, stars, and a striped planet in this direction."""
    towards = np.asarray(planet) / np.linalg.norm(planet)
    a, b = np.asarray(colour(high)), np.asarray(colour(low))

    def sky(unit: Array) -> Array:
        level = np.clip(np.floor(unit[:, 1] * 14) / 8, 0, 1)[:, None]
        result = b + level * (a - b)
        u, v = unit[:, 0] / unit[:, 2] * 34, unit[:, 1] / unit[:, 2] * 34
        i, j = np.floor(u), np.floor(v)
        middle = np.hypot(u - i - 0.2 - 0.6 * cell_random(i, j, 8), v - j - 0.2 - 0.6 * cell_random(i, j, 9))
        star = (cell_random(i, j, 7) < 0.22) & (middle < 0.13) & (unit[:, 1] > 0.05)
        result = np.where(star[:, None], 1.0, result)
        near = unit @ towards
        band = np.where((unit[:, 1] * 24 % 1 < 0.5)[:, None], colour("#f0b45a"), colour("#d98a4a"))
        return np.where((near > 0.985)[:, None], band, result)

    return sky
