"""Transparent and reflective: mirrors, glass and water. Their depth is that of their surface. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import air, bloom
from da2k.datasets.scenes.looks import Material, bricks, checker, plain, planks, stripes
from da2k.datasets.scenes.props import Rng, ball, block, daylight, egg, fir, ground, house, leaves, matt, post
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage


def mirror_ball(rng: Rng) -> Stage:
    """A mirror ball, a glass ball and coloured balls on a chequered floor."""
    codes = rng.permutation(["#c8352b", "#2e7d4f", "#e0a526", "#2f62b0"])
    solids = [
        ground(checker("#e8e4da", "#2f3338", 0.5), gloss=0.15, mirror=0.03),
        block(0, 5.2, (12, 4.0, 0.1), Material(bricks("#a65a44", "#b97458", "#cfc4b5", 0.44, 0.15))),
        ball(-0.62, 0.75, 1.7, 0.75, Material(plain("#000000"), gloss=1.0, polish=300, mirror=0.88)),
        ball(0.78, 0.45, 0.75, 0.45, Material(plain("#000000"), gloss=1.2, polish=400, mirror=0.05, index=1.5)),
        *(
            ball(x, r, z, r, Material(plain(str(code)), gloss=0.7, polish=80, mirror=0.05))
            for code, x, z, r in zip(
                codes, (1.35, 0.35, -1.75, -0.1), (2.6, 3.2, 2.9, 0.45), (0.5, 0.4, 0.45, 0.16), strict=True
            )
        ),
        post(1.95, 2.3, 0.2, 1.5, Material(plain("#000000"), gloss=0.8, mirror=0.8)),
        # Two balls that hang in the air, near the camera.
        ball(-1.02, 1.72, 0.6, 0.2, Material(plain("#000000"), gloss=1.0, polish=200, mirror=0.85)),
        post(-1.02, 0.6, 0.008, 2.0, matt("#555555"), y=1.9),
        ball(1.2, 1.85, 1.1, 0.15, Material(plain("#d06a9a"), gloss=0.8, mirror=0.05)),
        post(1.2, 1.1, 0.008, 2.0, matt("#555555"), y=1.95),
    ]
    return Stage(
        "transparent_reflective",
        "mirror-ball",
        Camera((0.1, 1.25, -2.0), (0.0, 0.82, 1.6), 46, (216, 288)),
        solids,
        daylight("#4f86bd", "#e9efe9", 0.5),
        ((0.42, 0.46, 0.5), (0.25, 0.23, 0.2)),
        [Lamp((-2.6, 4.2, -1.5), (17, 16, 14), near=True, size=0.35)],
        [],
        exposure=1.1,
        crease=1.0,
    )


def lake(rng: Rng) -> Stage:
    """A still lake at sunset that mirrors the far shore, with a jetty."""
    wood = Material(planks("#8d6b4a", "#5d432c", 0.25, 2.0))
    water = Material(plain("#06161b"), gloss=0.0, mirror=0.06, ripple=0.05)
    solids = [
        Solid("plane", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), water),
        *(
            egg(x, -0.6 * r, z, (2.0 * r, r, r), leaves(green, dark, 25))
            for x, z, r, green, dark in (
                (-70, 150, 55, "#5b6f5a", "#38504a"),
                (75, 170, 75, "#55697a", "#3d5263"),
                (10, 260, 120, "#6f7d96", "#5a6a86"),
            )
        ),
        Solid("box", (0.0, 0.0, 62.0), (90.0, 0.6, 14.0), leaves("#55683a", "#2f4426", 4.0)),
        *house(17, 51, (7.0, 3.4, 5.0), "#8a5a40", "#5a463e", 0, lit=0.7),
        # The jetty, its posts and a boat.
        *(block(-1.5, z, (1.5, 0.08, 0.34), wood, y=0.42) for z in np.arange(1.4, 9.0, 0.4).tolist()),
        *(post(x, z, 0.08, 1.35, wood, y=-0.2) for x in (-2.3, -0.7) for z in (1.6, 4.2, 6.8, 9.2)),
        egg(2.2, 0.1, 6.6, (1.45, 0.36, 0.6), Material(stripes("#efe9dc", "#b03a2e", 0.44, 1, 0.5)), yaw=20),
        egg(2.2, 0.3, 6.6, (1.1, 0.18, 0.42), matt("#4d3826"), yaw=20),
        post(2.3, 6.6, 0.03, 2.2, wood, y=0.3),
        Solid("cone", (2.3, 1.45, 6.6), (0.5, 0.75, 0.02), matt("#efe3c8"), yaw=20),
    ]
    for x in np.arange(-44, 45, 5.5).tolist():
        if abs(x - 17) > 6:
            solids += fir(x + rng.uniform(-1.5, 1.5), 51 + rng.uniform(0, 9), rng.uniform(7, 12))
    sun = (-0.2, 0.2, 1.0)
    return Stage(
        "transparent_reflective",
        "lake",
        Camera((0.0, 1.75, -2.6), (0.2, 1.35, 10), 44, (192, 320)),
        solids,
        daylight("#2f5fae", "#ffb060", 0.15, sun),
        ((0.42, 0.42, 0.5), (0.2, 0.16, 0.14)),
        [Lamp(sun, (1.5, 0.85, 0.45), size=0.02), Lamp((0.3, 0.8, -0.6), (0.42, 0.36, 0.36))],
        [air((0.85, 0.52, 0.32), (0.002, 0.0025, 0.003), 40), bloom(1.4, 4, 0.08)],
        exposure=1.15,
    )
