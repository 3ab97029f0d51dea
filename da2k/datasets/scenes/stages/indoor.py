"""Indoor: a living room and a corridor. Lengths are in metres."""

import numpy as np

from da2k.datasets.scenes.effects import bloom, vignette
from da2k.datasets.scenes.looks import Material, checker, mottled, plain, planks
from da2k.datasets.scenes.props import Rng, ball, block, egg, even, lamp_of, leaves, limb, matt, post, spike
from da2k.datasets.scenes.raycast import Camera, Solid
from da2k.datasets.scenes.render import Lamp, Stage

_CLOTH = ("#8a4b3c", "#4c6a78", "#8a7a3f", "#5d6b4d", "#7a4c6b")


def living_room(rng: Rng) -> Stage:
    """A sofa, a table, a bookshelf and a window."""
    cloth = Material(mottled(str(rng.choice(_CLOTH)), "#33302e", 0.5, 0.7))
    wood = Material(planks("#b98a58", "#7a5230", 0.4, 3.0), gloss=0.15)
    solids = [
        # The room: one box seen from inside, its floor and far wall covered by slabs of their own.
        Solid("box", (0.0, 1.35, 0.6), (2.6, 1.35, 3.6), matt("#e4dccd")),
        block(0, 0.6, (5.2, 0.02, 7.2), Material(planks("#c39a66", "#8c6237", 0.16, 1.6), gloss=0.25, polish=20)),
        block(0, 4.19, (5.2, 2.7, 0.02), Material(mottled("#8fa39a", "#84988f", 0.8, 0.7))),
        block(0.1, 2.1, (2.6, 0.03, 1.9), Material(checker("#a8483f", "#d9c7a0", 0.26)), y=0.01),
        # The sofa.
        block(-0.5, 3.4, (2.2, 0.42, 0.9), cloth),
        block(-0.5, 3.85, (2.2, 0.9, 0.22), cloth),
        block(-1.65, 3.4, (0.22, 0.62, 0.95), cloth),
        block(0.65, 3.4, (0.22, 0.62, 0.95), cloth),
        egg(-1.15, 0.62, 3.55, (0.3, 0.26, 0.14), matt("#d8b24a"), pitch=-15, roll=20),
        egg(0.2, 0.62, 3.55, (0.3, 0.26, 0.14), matt("#dfe3df"), pitch=-15, roll=-15),
        # The table, with a bowl of fruit.
        block(0.1, 2.05, (1.2, 0.05, 0.65), wood, y=0.4),
        *(block(0.1 + x, 2.05 + z, (0.06, 0.4, 0.06), wood) for x in (-0.52, 0.52) for z in (-0.25, 0.25)),
        egg(0.3, 0.52, 2.05, (0.2, 0.07, 0.2), Material(plain("#ece8df"), gloss=0.5)),
        ball(0.24, 0.58, 2.0, 0.06, Material(plain("#c33a26"), gloss=0.4)),
        ball(0.36, 0.58, 2.06, 0.06, Material(plain("#d98a23"), gloss=0.4)),
        block(-0.22, 2.0, (0.3, 0.04, 0.2), matt("#31506b"), y=0.45, yaw=25),
        # A window with its frame, and a picture.
        block(1.35, 4.15, (1.3, 1.25, 0.04), lamp_of("#8fc3ee", 0.9), y=0.95),
        *(block(1.35 + x, 4.11, (0.07, 1.35, 0.07), matt("#f4f1ea"), y=0.9) for x in (-0.66, 0, 0.66)),
        *(block(1.35, 4.11, (1.4, 0.07, 0.09), matt("#f4f1ea"), y=0.9 + y) for y in (0, 1.28)),
        block(-0.7, 4.14, (1.1, 0.75, 0.05), matt("#4a3a2a"), y=1.35),
        block(-0.7, 4.11, (0.96, 0.61, 0.05), Material(mottled("#d98c4a", "#2f5d73", 0.7, 3.0)), y=1.42),
        # The lamp that hangs near the camera.
        post(0.75, 1.15, 0.012, 0.55, matt("#222222"), y=2.15),
        spike(0.75, 1.15, 0.26, 0.26, Material(plain("#e9c46a"), glow=0.35), y=1.92),
        ball(0.75, 1.93, 1.15, 0.075, lamp_of("#fff1cf", 2.5)),
        # A plant.
        Solid("cylinder", (2.15, 0.22, 3.5), (0.2, 0.22, 0.2), matt("#b5654a")),
    ]
    for turn in np.arange(9) * 40.0:
        lean, angle = rng.uniform(20, 50), np.radians(turn)
        side, high = np.sin(np.radians(lean)), np.cos(np.radians(lean))
        tip = (2.15 + 0.85 * side * np.sin(angle), 0.4 + 0.85 * high, 3.5 + 0.85 * side * np.cos(angle))
        solids.append(limb((2.15, 0.4, 3.5), tip, 0.09, leaves("#5f8f4a", "#2a5230", 0.5), "ball", 0.3))
    solids += _bookshelf(rng, wood)
    return Stage(
        "indoor",
        "living-room",
        Camera((-0.55, 1.5, -1.6), (0.0, 1.0, 2.6), 58, (216, 288)),
        solids,
        even("#000000"),
        ((0.5, 0.49, 0.47), (0.4, 0.36, 0.32)),
        [
            Lamp((0.75, 1.85, 1.15), (1.5, 1.2, 0.85), near=True, size=0.12),
            Lamp((1.3, 1.7, 3.4), (1.6, 1.8, 2.0), near=True, size=0.4),
        ],
        [vignette(0.3)],
        exposure=1.15,
        crease=1.2,
    )


def _bookshelf(rng: Rng, wood: Material) -> list[Solid]:
    """A shelf against the left wall, full of books."""
    made = [block(-2.42, 2.0, (0.3, 0.04, 1.9), wood, y=y) for y in (0.1, 0.55, 1.0, 1.45, 1.9)]
    made += [block(-2.42, z, (0.3, 1.95, 0.04), wood) for z in (1.05, 2.95)]
    covers = ("#7a2e2a", "#2e4d6b", "#556b3d", "#b08a3c", "#4a3350", "#c9bfa8", "#27403f")
    for y in (0.14, 0.59, 1.04, 1.49):
        z = 1.1
        while z < 2.85:
            thick = rng.uniform(0.07, 0.16)
            high = rng.uniform(0.24, 0.38)
            made.append(
                block(
                    -2.42 + rng.uniform(0, 0.04),
                    z + thick / 2,
                    (0.22, high, thick - 0.01),
                    matt(str(rng.choice(covers))),
                    y,
                )
            )
            z += thick
    return made


def corridor(rng: Rng) -> Stage:
    """A long corridor with doors on both sides and lamps along the ceiling."""
    door = Material(planks("#7a5233", "#5d3c24", 0.5, 3.0), gloss=0.2)
    frame = matt("#efe9dc")
    solids = [
        Solid("box", (0.0, 1.45, 5.5), (1.2, 1.45, 8.5), matt("#d9cfb8")),
        block(0, 5.5, (2.4, 0.02, 17), Material(checker("#c8c2b4", "#4b5a5e", 0.4, 0.03), gloss=0.4, mirror=0.05)),
        *(block(x, 5.5, (0.02, 0.95, 17), Material(planks("#7f8f86", "#6d7d74", 0.25, 2.0))) for x in (-1.195, 1.195)),
        *(block(x, 5.5, (0.06, 0.06, 17), frame, y=0.95) for x in (-1.18, 1.18)),
        block(0, 13.95, (1.1, 2.1, 0.1), lamp_of("#cfe4f5", 1.2)),
        *(block(x, 13.9, (0.09, 2.2, 0.14), frame) for x in (-0.58, 0, 0.58)),
        # A cabinet and a vase by the wall, near the camera.
        block(0.95, 1.6, (0.45, 0.8, 1.1), Material(planks("#a87445", "#7d5230", 0.3, 2.0), gloss=0.3)),
        egg(0.95, 0.98, 1.5, (0.12, 0.2, 0.12), Material(plain("#2f6d8c"), gloss=0.8, mirror=0.05)),
        *(
            egg(0.95 + dx, 1.38 + dy, 1.5 + dz, (0.11, 0.09, 0.11), Material(mottled("#d8574a", "#f0c2b0", 0.1)))
            for dx, dy, dz in ((-0.1, 0, 0), (0.09, 0.03, 0.07), (0.02, 0.1, -0.08))
        ),
    ]
    for z in (1.5, 4.5, 7.5, 10.5):
        for x in (-1.19, 1.19):
            shift = z + rng.uniform(-0.2, 0.2) + (1.4 if x > 0 else 0)
            solids.append(block(x, shift, (0.1, 2.08, 0.92), door))
            solids += [block(x, shift + d, (0.16, 2.14, 0.08), frame) for d in (-0.5, 0.5)]
            solids.append(block(x, shift, (0.16, 0.08, 1.08), frame, y=2.08))
            solids.append(ball(x - 0.09 * np.sign(x), 1.0, shift - 0.36, 0.035, Material(plain("#d8b35a"), gloss=1.0)))
    lamps = []
    for z in (0.9, 5.0, 9.5):
        solids.append(post(0, z, 0.012, 0.35, matt("#333333"), y=2.55))
        solids.append(ball(0, 2.42, z, 0.16, lamp_of("#fff0cc", 1.6)))
        lamps.append(Lamp((0.0, 2.3, z), (1.5, 1.25, 0.9), near=True, size=0.15))
    return Stage(
        "indoor",
        "corridor",
        Camera((-0.35, 1.45, -1.6), (0.05, 1.32, 5.0), 68, (288, 216)),
        solids,
        even("#000000"),
        ((0.26, 0.25, 0.23), (0.24, 0.21, 0.18)),
        lamps,
        [bloom(1.2, 3, 0.12), vignette(0.25)],
        exposure=1.2,
        crease=0.9,
    )
