"""Pairs of pixels whose order is certain, drawn so that no simple cue decides them."""

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.scenes.raycast import Array
from da2k.pairs import Point

RATIO = 1.15
"""The farther point is at least this many times as far, both along the optical axis and along the ray."""

_CALM = 1.08
"""Depth varies by at most this factor in the 5 x 5 pixels around a point."""

_TRIES = 20_000


def draw_pairs(
    depth: Array, distance: Array, solid: NDArray[np.int64], rng: np.random.Generator, count: int = 8
) -> list[tuple[Point, Point]]:
    """Draw pairs from one scene.

    No point lies on the sky, near an edge, or near another pair's point. Small solids get more than their share of
    points. In half of the pairs, or in all that can be found, the closer point is higher in the picture or in about
    the same row, so that "lower is nearer" does not decide them.

    Args:
        depth: z at the pixels' centres in metres, inf for sky, [H, W].
        distance: the same along the ray, [H, W].
        solid: index of the solid at each pixel, -1 for sky, [H, W].
        rng: the source of chance.
        count: how many pairs, if so many can be found.

    Returns:
        (closer, farther) for each pair.
    """
    rows, cols = np.nonzero(_calm(depth))
    solids = solid[rows, cols]
    weight = 1 / np.sqrt(np.bincount(solids)[solids])
    one, other = rng.choice(len(rows), (2, _TRIES), p=weight / weight.sum())
    near = np.where(depth[rows[one], cols[one]] < depth[rows[other], cols[other]], one, other)
    far = one + other - near
    apart = np.hypot(rows[near] - rows[far], cols[near] - cols[far]) > 0.12 * min(depth.shape)
    for measure in (depth, distance):
        apart &= measure[rows[far], cols[far]] > RATIO * measure[rows[near], cols[near]]
    misleading = rows[near] < rows[far] + 0.03 * depth.shape[0]
    wanted = {True: count - count // 2, False: count // 2}
    chosen: list[tuple[Point, Point]] = []
    for a, b, higher in zip(near[apart], far[apart], misleading[apart], strict=True):
        pair = Point(int(rows[a]), int(cols[a])), Point(int(rows[b]), int(cols[b]))
        if wanted[bool(higher)] and not _crowded(pair, chosen, 0.05 * min(depth.shape)):
            chosen.append(pair)
            wanted[bool(higher)] -= 1
    return chosen


def _calm(depth: Array) -> NDArray[np.bool_]:
    """Pixels that are neither sky nor within two pixels of an edge, of steep slopes or of the border."""
    from scipy.ndimage import maximum_filter, minimum_filter

    calm = np.zeros(depth.shape, dtype=bool)
    inner = (slice(2, -2), slice(2, -2))
    highest, lowest = maximum_filter(depth, 5)[inner], minimum_filter(depth, 5)[inner]
    calm[inner] = np.isfinite(highest) & (highest <= _CALM * lowest)
    return calm


def _crowded(pair: tuple[Point, Point], chosen: list[tuple[Point, Point]], least: float) -> bool:
    """Whether a point of the pair lies closer than `least` to a point already chosen."""
    return any(
        np.hypot(new.row - old.row, new.col - old.col) < least for new in pair for other in chosen for old in other
    )
