"""Object: one thing close up before a blurred background. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import defocus, grain, vignette
from da2k.datasets.scenes.looks import Material, mottled, plain, planks, stripes
from da2k.datasets.scenes.props import Rng, ball, block, daylight, egg, even, lamp_of, leaves, limb, matt, post
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage


def mug(rng: Rng) -> Stage:
    """A mug on a wooden table, close up, with a blurred room behind it."""
    glaze = Material(
        stripes(str(rng.choice(["#2f6d8c", "#b3472f", "#4d7a4a"])), "#efe8da", 0.11, 1, 0.3),
        gloss=0.9,
        polish=120,
        mirror=0.04,
    )
    cream, steel = Material(plain("#efe8da"), gloss=0.5), Material(plain("#8d9297"), gloss=1.0, mirror=0.5)
    angles = np.radians(np.linspace(-82, 82, 60))
    solids = [
        block(
            0, 0.35, (1.6, 0.04, 1.0), Material(planks("#b98450", "#7d4f2a", 0.12, 1.2), gloss=0.35, polish=25), y=-0.04
        ),
        post(0, 0, 0.042, 0.1, glaze),
        post(0, 0, 0.0405, 0.0006, cream, y=0.1),
        post(0, 0, 0.0375, 0.0009, Material(plain("#241208"), gloss=0.5, polish=60), y=0.1),
        *(ball(0.04 + 0.031 * np.cos(a), 0.05 + 0.033 * np.sin(a), 0, 0.0065, cream) for a in angles),
        # A plate with a biscuit, and a spoon.
        post(-0.13, 0.03, 0.065, 0.008, Material(plain("#ece8df"), gloss=0.6)),
        post(-0.13, 0.03, 0.034, 0.022, Material(mottled("#c08a4a", "#8d5a28", 0.03, 1.6))),
        egg(0.07, 0.006, -0.085, (0.015, 0.005, 0.023), steel, yaw=35),
        limb((0.08, 0.006, -0.07), (0.155, 0.006, 0.035), 0.003, steel),
        # The room behind: shelves, bottles, a window.
        block(0, 3.4, (6, 2.6, 0.1), matt("#7f9186"), y=-0.75),
        block(0.85, 3.3, (1.0, 1.0, 0.05), lamp_of("#e8f2f5", 1.6), y=0.25),
        block(-0.8, 2.6, (1.5, 0.9, 0.6), matt("#6a4a36"), y=-0.75),
        *(
            post(x, 2.5, 0.07, h, Material(plain(code), gloss=0.5), y=0.15)
            for x, h, code in (
                (-1.3, 0.34, "#c8352b"),
                (-1.05, 0.26, "#e0b44a"),
                (-0.75, 0.4, "#2e6d5a"),
                (-0.4, 0.3, "#dfe3df"),
            )
        ),
        ball(0.25, 0.1, 1.3, 0.11, Material(plain("#d8762a"), gloss=0.4)),
        ball(-0.28, 0.62, 1.7, 0.12, lamp_of("#ffe2a0", 2.2)),
    ]
    return Stage(
        "object",
        "mug",
        Camera((0.03, 0.17, -0.36), (0.005, 0.055, 0.02), 36, (216, 288)),
        solids,
        even("#4a4a48"),
        ((0.4, 0.4, 0.4), (0.28, 0.25, 0.22)),
        [
            Lamp((0.5, 0.9, -0.5), (1.25, 1.2, 1.1), near=True, size=0.08),
            Lamp((-0.28, 0.6, 1.5), (1.2, 0.9, 0.5), near=True),
        ],
        [defocus(0.42, 9.0), vignette(0.35)],
        exposure=1.15,
        crease=0.08,
    )


def cactus(rng: Rng) -> Stage:
    """A cactus in a clay pot, close up, on a window sill."""
    flesh = Material(stripes("#4d8a4a", "#3a6f3d", 0.02, 0, 0.5), gloss=0.12)
    clay = Material(mottled("#bf6a45", "#a5573a", 0.05), gloss=0.05)
    flower = Material(mottled("#e05a8a", "#f6b3c6", 0.02))
    solids = [
        block(0, 0.3, (1.4, 0.04, 0.9), Material(mottled("#e9e4d8", "#d6cfbf", 0.2), gloss=0.2), y=-0.04),
        Solid("cone", (0.0, -0.06, 0.0), (0.085, 0.14, 0.085), clay, roll=180),
        post(0, 0, 0.075, 0.022, clay, y=0.075),
        post(0, 0, 0.066, 0.001, Material(mottled("#4a382a", "#2e2219", 0.02)), y=0.097),
        egg(0.0, 0.17, 0.0, (0.048, 0.1, 0.048), flesh),
        egg(0.062, 0.2, 0.0, (0.022, 0.05, 0.022), flesh, roll=10),
        egg(0.042, 0.165, 0.0, (0.026, 0.014, 0.014), flesh),
        egg(-0.058, 0.225, 0.01, (0.02, 0.042, 0.02), flesh, roll=-12),
        egg(-0.042, 0.195, 0.005, (0.024, 0.013, 0.013), flesh),
        *(
            Solid("ball", (0.012 * float(np.cos(a)), 0.272, 0.012 * float(np.sin(a))), (0.013, 0.008, 0.013), flower)
            for a in np.radians(np.arange(6) * 60)
        ),
        ball(0, 0.277, 0, 0.009, matt("#f2c63b")),
    ]
    for turn in np.arange(10) * 36:
        for y in np.linspace(0.115, 0.235, 6).tolist():
            a = np.radians(turn + 12 * (y * 100 % 2))
            r = 0.05 * np.sqrt(max(1 - ((y - 0.17) / 0.1) ** 2, 0))
            solids.append(ball(float(r * np.sin(a)), float(y), float(r * np.cos(a)), 0.0032, matt("#f1ead2")))
    for x, z, r in rng.uniform((-0.2, -0.1, 0.006), (0.2, 0.02, 0.014), (7, 3)).tolist():
        if abs(x) > 0.07:
            solids.append(egg(x, r * 0.6, z, (r, 0.7 * r, r), Material(mottled("#9a958c", "#6f6a63", 0.03))))
    for x, z, r, code in ((-0.9, 3.0, 0.55, "#5d8f4a"), (0.7, 3.6, 0.7, "#4f8256"), (0.1, 5.0, 0.9, "#7fa65a")):
        solids.append(ball(x, 0.1, z, r, leaves(code, "#2f5230", 0.4)))
    solids += [
        ball(0.16, 0.03, 0.33, 0.03, Material(plain("#e0b44a"), gloss=0.5)),
        post(-0.27, 0.45, 0.035, 0.24, Material(plain("#7fb0c9"), gloss=0.7, mirror=0.05)),
        block(0, 9.0, (20, 1.6, 0.1), matt("#8fae6a"), y=-1.5),
    ]
    return Stage(
        "object",
        "cactus",
        Camera((0.06, 0.24, -0.62), (0.0, 0.13, 0.0), 34, (288, 216)),
        solids,
        daylight("#a9cfe8", "#eef4ee"),
        ((0.55, 0.6, 0.66), (0.34, 0.33, 0.3)),
        [Lamp((-0.6, 0.7, -0.45), (1.1, 1.0, 0.85), size=0.03)],
        [defocus(0.68, 8.0), grain(0.01)],
        exposure=1.1,
        crease=0.1,
    )
