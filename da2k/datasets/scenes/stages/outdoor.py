"""Outdoor: a street and the countryside. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import air
from da2k.datasets.scenes.looks import Material, bricks, checker, mottled, planks
from da2k.datasets.scenes.props import Rng, ball, block, car, daylight, egg, ground, house, lantern, leaves, matt, tree
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage


def street(rng: Rng) -> Stage:
    """A street of houses with trees and parked cars on a sunny day."""
    walls = ("#d8c3a0", "#c98f6a", "#e3ded2", "#b7c4bd", "#cfae5f", "#a9665a")
    tiles = ("#8c4a38", "#6e4a40", "#59606a", "#9b5a3c")
    asphalt = mottled("#55565a", "#48494d", 1.5)
    solids = [
        ground(mottled("#7d9a4c", "#56762f", 2.0)),
        block(0, 60, (6.4, 0.02, 160), Material(asphalt)),
        *(block(x, 60, (2.2, 0.16, 160), Material(checker("#a9a59c", "#9b978e", 0.6, 0.04))) for x in (-4.3, 4.3)),
        *(block(0, z, (0.14, 0.03, 1.8), matt("#e8e6df")) for z in np.arange(2.0, 80, 4.5).tolist()),
    ]
    for side in (-1, 1):
        z = 7.0
        while z < 75:
            depth, height = rng.uniform(8, 11), rng.uniform(5.4, 7.5)
            solids += house(
                side * 10.8,
                z + depth / 2,
                (depth - 1.5, height, 8.0),
                str(rng.choice(walls)),
                str(rng.choice(tiles)),
                90,
            )
            z += depth
        for z in (6.5, 17, 29, 43):
            solids += tree(rng, side * 4.9, z + rng.uniform(-1, 1), rng.uniform(4.6, 5.8))
    codes = rng.permutation(["#b3261e", "#2c5a8c", "#dedede", "#d9a521"])
    for code, x, z in zip(codes, (2.2, -2.2, 2.2, -2.2), (8.0, 13.5, 22.0, 31.0), strict=True):
        solids += car(x, z, str(code), 0 if x > 0 else 180)
    for z in (9.5, 27.0):
        solids += lantern(3.5, z, 5.2, -1.4, 0.0)
    sun = (-0.55, 0.75, -0.35)
    return Stage(
        "outdoor",
        "street",
        Camera((-0.7, 1.75, -1.5), (0.1, 2.3, 12), 54, (216, 288)),
        solids,
        daylight("#2f74c4", "#c3def2", 0.3),
        ((0.34, 0.44, 0.6), (0.2, 0.2, 0.17)),
        [Lamp(sun, (1.35, 1.2, 0.95), size=0.012)],
        [air((0.62, 0.74, 0.86), (0.0022, 0.0026, 0.0032), 60)],
        exposure=1.15,
    )


def countryside(rng: Rng) -> Stage:
    """A meadow with a path, a farmhouse, trees and hills."""
    solids = [
        ground(mottled("#8fae4e", "#5f8436", 5.0, 1.6)),
        *(
            egg(x, -r * 0.82, z, (r * 1.9, r, r), leaves(green, dark, 20))
            for x, z, r, green, dark in (
                (-70, 150, 70, "#6f9a55", "#4d7a48"),
                (60, 190, 95, "#6a9468", "#4a7656"),
                (0, 270, 140, "#6d93a0", "#56808e"),
            )
        ),
        *house(6.5, 24, (6.0, 3.2, 9.0), "#eee3cf", "#a3492f", 62),
        block(10.9, 20.6, (0.9, 7.4, 0.9), Material(bricks("#8f4f3c", "#a8604a", "#c9beb0", 0.3, 0.12)), yaw=62),
    ]
    for z in np.arange(2.0, 30, 1.6).tolist():
        x = 0.4 + 1.6 * np.sin(z / 7.0)
        solids.append(egg(x, -0.02, z, (0.75, 0.05, 0.9), Material(mottled("#cbb58a", "#a8906a", 0.8))))
    for x, z, height in ((-3.4, 6.5, 4.6), (-9, 17, 7.5), (-5.5, 27, 8.0), (15, 34, 9.0), (-18, 40, 9.5), (3, 46, 9.0)):
        solids += tree(rng, x + rng.uniform(-0.5, 0.5), z, height)
    for x in np.arange(1.4, 12.0, 1.5).tolist():
        z = 6.0 + 0.25 * x
        solids.append(block(x, z, (0.13, 1.15, 0.13), Material(planks("#9a7d5c", "#6d543a", 0.2, 2.0))))
        if x < 10.5:
            for y in (0.45, 0.85):
                rail = Solid("box", (x + 0.75, y, z + 0.19), (0.78, 0.05, 0.03), matt("#8d7252"), yaw=-14)
                solids.append(rail)
    for x, z in rng.uniform((-4, 2.2), (5, 7), (26, 2)).tolist():
        solids.append(ball(x, 0.1, z, 0.05, matt(str(rng.choice(["#f2f0e6", "#e9c63b", "#d9575a"])))))
    return Stage(
        "outdoor",
        "countryside",
        Camera((0.2, 1.6, -2.0), (0.3, 1.75, 10), 44, (192, 336)),
        solids,
        daylight("#2a6fc0", "#c9e2f2", 0.35),
        ((0.36, 0.46, 0.6), (0.2, 0.22, 0.14)),
        [Lamp((0.6, 0.6, -0.5), (1.5, 1.3, 1.0), size=0.012)],
        [air((0.60, 0.73, 0.86), (0.0022, 0.0025, 0.003), 50)],
        exposure=1.15,
    )
