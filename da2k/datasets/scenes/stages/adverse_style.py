"""Adverse style: fog, and rain at night. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import air, bloom, grain, rain
from da2k.datasets.scenes.looks import Material, checker, colour, facade, mottled, plain
from da2k.datasets.scenes.props import (
    Rng,
    ball,
    block,
    car,
    daylight,
    even,
    ground,
    house,
    lamp_of,
    lantern,
    matt,
    post,
    tree,
)
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage


def fog(rng: Rng) -> Stage:
    """A country road in thick fog."""
    solids = [
        ground(mottled("#7d8a5c", "#5f6d45", 1.6)),
        block(0, 60, (5.6, 0.02, 160), Material(mottled("#4d4e50", "#3f4042", 1.5))),
        *(block(0, z, (0.13, 0.03, 2.0), matt("#e8e6df")) for z in np.arange(1.0, 70, 5.0).tolist()),
        *(block(x, 60, (0.12, 0.03, 160), matt("#dcdad2")) for x in (-2.6, 2.6)),
        *car(1.45, 15.0, "#8d2a25"),
        *(ball(1.45 + x, 0.72, 12.86, 0.11, lamp_of("#ff3a2a", 5)) for x in (-0.6, 0.6)),
        *house(-12.5, 27, (8, 5.0, 9), "#b9ab93", "#6d4a40", 15),
    ]
    for z in (6.5, 16, 27, 40):
        solids += lantern(-3.6, z, 5.0, 1.5, 3.0)
    for x, z, height in (
        (4.9, 8.5, 6.8),
        (6.6, 15, 8.0),
        (5.4, 23, 8.0),
        (7.6, 33, 9.0),
        (-7.5, 15, 7.5),
        (-7.0, 35, 9.0),
    ):
        solids += tree(rng, x + rng.uniform(-0.3, 0.3), z, height, "#6d7a4a", "#35402a")
    for z in np.arange(2.0, 40, 3.0).tolist():
        for x in (-3.4, 3.4):
            solids += [
                block(x, z, (0.13, 0.85, 0.1), matt("#e6e6e2")),
                block(x, z, (0.135, 0.18, 0.105), matt("#b8352b"), y=0.55),
            ]
    haze = 0.052
    return Stage(
        "adverse_style",
        "fog",
        Camera((0.9, 1.55, -2.6), (0.3, 1.85, 10), 50, (216, 288)),
        solids,
        even("#c9ced2"),
        ((0.75, 0.78, 0.8), (0.35, 0.36, 0.36)),
        [],
        [bloom(1.2, 3, 0.25), air(colour("#c3c9ce"), (haze, haze, haze)), grain(0.012)],
        exposure=1.05,
        crease=1.5,
    )


def rainy_night(rng: Rng) -> Stage:
    """A street in the rain at night, lit by lamps and windows, with a wet road."""
    walls = ("#6d5a4d", "#5a6068", "#70543f", "#62666a")
    wet = Material(mottled("#232427", "#18191b", 1.2), gloss=0.9, polish=40, mirror=0.12, ripple=0.12)
    solids = [
        ground(plain("#1a1c1f")),
        block(0, 45, (7.0, 0.03, 110), wet),
        *(
            block(x, 45, (3.0, 0.18, 110), Material(checker("#55544f", "#494843", 0.6, 0.05), gloss=0.3))
            for x in (-5.0, 5.0)
        ),
        *(block(0, z, (0.13, 0.04, 1.8), matt("#cfcdc6")) for z in np.arange(1.0, 50, 4.5).tolist()),
        *car(2.0, 9.5, str(rng.choice(["#8d2a25", "#2c4f7a"]))),
        *car(-2.0, 17.0, "#5a5f66", 180),
        *(ball(2.0 + x, 0.72, 7.38, 0.12, lamp_of("#ff3020", 6)) for x in (-0.6, 0.6)),
        *(ball(-2.0 + x, 0.66, 14.84, 0.13, lamp_of("#fff0d0", 9)) for x in (-0.6, 0.6)),
    ]
    for side in (-1, 1):
        z = -2.0
        while z < 48:
            wide, high = rng.uniform(6, 9), rng.uniform(7, 13)
            paint = facade(str(rng.choice(walls)), "#12161c", (1.9, 2.6), 0.3, "#26282b")
            solids.append(block(side * 9.5, z + wide / 2, (6.0, high, wide - 0.1), Material(paint)))
            z += wide
    lamps = []
    for i, z in enumerate((5.0, 14.0, 23.0)):
        side = -1 if i % 2 else 1
        solids += lantern(side * 3.9, z, 4.6, -1.4 * side, 7.0)
        lamps.append(Lamp((side * 2.5, 4.3, z), (15.0, 10.5, 5.5), near=True, size=0.1))
    solids += [
        post(-3.1, 3.4, 0.05, 2.3, matt("#70757a")),
        Solid("cylinder", (-3.1, 2.4, 3.4), (0.36, 0.02, 0.36), Material(plain("#c9352b"), glow=0.12), pitch=90),
        Solid("box", (-3.1, 2.4, 3.37), (0.24, 0.06, 0.01), Material(plain("#f2f2f2"), glow=0.12)),
    ]
    return Stage(
        "adverse_style",
        "rainy-night",
        Camera((-0.3, 1.65, -1.8), (0.2, 2.35, 10), 62, (288, 216)),
        solids,
        daylight("#070a12", "#1d1f2b"),
        ((0.03, 0.036, 0.055), (0.02, 0.02, 0.022)),
        lamps,
        [air(colour("#232733"), (0.016, 0.016, 0.016), 60), bloom(0.9, 2.5, 0.35), rain(0.0035, 0.09), grain(0.035)],
        exposure=1.35,
    )
