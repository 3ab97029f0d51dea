"""Aerial: a city and farmland from above. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import air
from da2k.datasets.scenes.looks import Array, Material, Paint, Surface, cell_random, colour, facade, noise, plain
from da2k.datasets.scenes.props import Rng, ball, block, daylight, egg, ground, house, leaves, matt, post
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage


def city(rng: Rng) -> Stage:
    """Blocks of towers and streets from a drone."""
    walls = ("#b9b2a6", "#8f9aa3", "#c7a98a", "#a67a66", "#d8d4cb", "#76828c")
    solids = [ground(_streets(30.0, 10.0))]
    for i in range(-4, 5):
        for j in range(-1, 7):
            x, z = (i + 0.5) * 30.0, (j + 0.5) * 30.0
            if (i, j) in {(0, 1), (-2, 3)}:
                solids.append(block(x, z, (18, 0.1, 18), leaves("#6f9a4c", "#4d7a38", 5)))
                for dx, dz in rng.uniform(-7.5, 7.5, (9, 2)):
                    solids.append(ball(x + dx, 2.4, z + dz, rng.uniform(1.6, 2.6), leaves("#4f8a3c", "#244a22", 2)))
                continue
            for dx, dz in ((-4.5, -4.5), (4.5, -4.5), (-4.5, 4.5), (4.5, 4.5)):
                high = float(rng.uniform(5, 16) if rng.random() < 0.8 else rng.uniform(20, 44))
                side = rng.uniform(7.2, 8.8)
                paint = facade(
                    str(rng.choice(walls)),
                    "#2d3c4a",
                    (1.8, 3.0),
                    roof=str(rng.choice(["#8d8a84", "#6f6c68", "#a3907c"])),
                )
                solids.append(block(x + dx, z + dz, (side, high, rng.uniform(7.2, 8.8)), Material(paint)))
                solids.append(block(x + dx + rng.uniform(-2, 2), z + dz, (2.2, 1.4, 1.8), matt("#9a9a96"), y=high))
    for _ in range(60):
        lane = 30.0 * rng.integers(-4, 5) + rng.choice([-2.4, 2.4])
        along = rng.uniform(-20, 200)
        code = str(rng.choice(["#d8d8d8", "#b3261e", "#2c5a8c", "#1d1f22", "#d9a521"]))
        across = rng.random() < 0.5
        size = (4.2, 1.5, 1.8) if across else (1.8, 1.5, 4.2)
        solids.append(block(along - 90 if across else lane, lane + 120 if across else along, size, matt(code), y=0.1))
    return Stage(
        "aerial",
        "city",
        Camera((-4.0, 96.0, -40.0), (4.0, 0.0, 38.0), 46, (216, 288)),
        solids,
        daylight("#5f93cc", "#d6e3ea"),
        ((0.3, 0.36, 0.46), (0.14, 0.14, 0.13)),
        [Lamp((-0.6, 0.75, -0.35), (1.45, 1.32, 1.08), size=0.01)],
        [air((0.66, 0.74, 0.82), (0.0006, 0.0007, 0.0008), 300)],
        exposure=1.15,
    )


def _streets(cell: float, wide: float) -> Paint:
    """A grid of roads with dashed middles around paved blocks."""

    def paint(s: Surface) -> Array:
        to_road = [np.abs((s.points[:, k] + cell / 2) % cell - cell / 2) for k in (0, 2)]
        nearest = np.minimum(*to_road)
        along = np.where(to_road[0] < to_road[1], s.points[:, 2], s.points[:, 0])
        dash = (nearest < 0.14) & (along % 5 < 2.6) & (np.maximum(*to_road) > wide / 2 + 1)
        crossing = np.maximum(*to_road)
        zebra = (crossing > wide / 2 + 0.6) & (crossing < wide / 2 + 2.4) & (nearest < wide / 2) & (nearest % 1.2 < 0.6)
        tone = 0.85 + 0.3 * noise(s.points, 9.0)
        base = np.where((nearest < wide / 2)[:, None], colour("#55575b"), colour("#a8a49b")) * tone[:, None]
        return np.where((dash | zebra)[:, None], colour("#e8e6df"), base)

    return paint


def fields(rng: Rng) -> Stage:
    """Farmland from above: fields, a river, a road, farms, trees and two balloons."""
    solids = [ground(_patchwork())]
    for x, z, yaw in ((-6, 23, 20), (3, 30, 110), (44, 62, -30), (-44, 78, 60), (52, 22, 15)):
        solids += house(
            x,
            z,
            (8, 4.2, 13),
            str(rng.choice(["#e6ddcb", "#c9b59a", "#d8c9b0"])),
            str(rng.choice(["#a3492f", "#7f5044", "#8c4a38"])),
            yaw,
        )
    solids += [
        post(8, 22, 2.6, 11, Material(plain("#c9cdd0"), gloss=0.4)),
        egg(8, 11, 22, (2.6, 1.8, 2.6), Material(plain("#aab0b5"), gloss=0.4)),
    ]
    crown, willow = leaves("#5f8f40", "#2a4a22", 2.5), leaves("#6f9a48", "#33552a", 2.5)
    places = rng.uniform((-90, 0), (90, 130), (60, 2))
    places = places[np.abs(places[:, 0] - _river(places[:, 1])) > 11]
    solids += [ball(x, 2.6, z, rng.uniform(2.2, 4.0), crown) for x, z in places.tolist()]
    bank = np.asarray(np.arange(-10, 130, 7.5), dtype=np.float64)
    for side in (-1, 1):
        places = np.stack([_river(bank) + side * rng.uniform(9, 11, bank.shape), bank], axis=1)
        solids += [ball(x, 2.4, z, rng.uniform(2.0, 3.2), willow) for x, z in places.tolist()]
    for x, y, z, r, a, b in ((-24, 50, 14, 6.0, "#d8352b", "#f3d14a"), (33, 38, 42, 6.5, "#2f62b0", "#f1efe8")):
        solids += [
            egg(x, y, z, (r, 1.1 * r, r), Material(_gores(a, b))),
            Solid("cone", (x, y - 1.15 * r, z), (0.62 * r, 0.5 * r, 0.62 * r), Material(_gores(a, b)), roll=180),
            block(x, z, (0.28 * r, 0.22 * r, 0.28 * r), matt("#7a5433"), y=y - 1.95 * r),
        ]
    return Stage(
        "aerial",
        "fields",
        Camera((0.0, 84.0, -50.0), (0.0, 0.0, 44.0), 44, (192, 320)),
        solids,
        daylight("#5f93cc", "#d6e3ea"),
        ((0.34, 0.4, 0.5), (0.17, 0.18, 0.14)),
        [Lamp((0.7, 0.75, -0.35), (1.35, 1.22, 1.0), size=0.012)],
        [air((0.66, 0.74, 0.82), (0.0006, 0.0007, 0.0008), 300)],
        exposure=1.15,
    )


def _river(z: Array) -> Array:
    """Where the middle of the river lies at z."""
    return np.asarray(18 + 16 * np.sin(z / 34) - 0.18 * z)


def _gores(first: str, second: str) -> Paint:
    """The gores of a balloon."""

    def paint(s: Surface) -> Array:
        around = np.arctan2(s.own[:, 0], s.own[:, 2]) / np.pi * 6
        return np.where((np.floor(around) % 2 > 0)[:, None], colour(first), colour(second))

    return paint


def _patchwork() -> Paint:
    """Fields with furrows in several crops, a river and a road."""
    crops = np.array([colour(c) for c in ("#8fae4e", "#d9c36a", "#6f9440", "#b08d57", "#a9bf5f", "#7f6a48")])

    def paint(s: Surface) -> Array:
        x, z = s.points[:, 0], s.points[:, 2]
        u, v = (x + 0.25 * z + 200) / 34, (z - 0.2 * x + 200) / 24
        crop = np.floor(len(crops) * cell_random(np.floor(u), np.floor(v), 11)).astype(np.int64)
        turned = cell_random(np.floor(u), np.floor(v), 12) < 0.5
        furrow = 0.9 + 0.1 * np.sign(np.sin(np.where(turned, u * 34, v * 24) * 2.6))
        result = crops[crop] * (furrow * (0.8 + 0.4 * noise(s.points, 20)))[:, None]
        hedge = np.minimum((u % 1) * 34, (v % 1) * 24) < 1.3
        result = np.where(hedge[:, None], colour("#4d6f34"), result)
        road = np.abs(x + 22 - 0.22 * z)
        result = np.where((road < 2.4)[:, None], colour("#8d8a83"), result)
        result = np.where((road < 0.15)[:, None] & (z % 6 < 3)[:, None], colour("#f0efe9"), result)
        bank = np.abs(x - _river(z))
        result = np.where((bank < 8)[:, None], colour("#b9a676"), result)
        return np.where((bank < 6.5)[:, None], colour("#3f7f9a") * (0.9 + 0.2 * noise(s.points, 8))[:, None], result)

    return paint
