"""A map resized bilinearly to another size, a band of rows at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.depth import neighbours


def resize_rows(
    values: NDArray[Any], size: tuple[int, int], first: int, last: int, *, align_corners: bool
) -> NDArray[np.float64]:
    """Rows `first` to `last` (exclusive) of a map resized bilinearly, without smoothing before a reduction.

    The positions are those of torch's `interpolate(mode="bilinear")`, as exact integer fractions. Each step is
    `a + t(b - a)` in float64, so a flat patch stays exactly flat, and with aligned corners a pixel is what
    `da2k.depth.read_at` reads there. A neighbour of weight zero is not touched: a NaN or an infinity reaches only the
    pixels that it has a share in, and these are not finite then.

    Args:
        values: the map, [h, w], any real type.
        size: (H, W) to resize to; where it is the map's, its rows are given as they are.
        first: at least 0.
        last: at most H.
        align_corners: whether the centres of the corner pixels stay in the corners; otherwise the outer edges do, and
            the map continues evenly beyond its outermost centres.

    Returns:
        float64 [last - first, W].

    Raises:
        ValueError: the map is not [h, w] or is empty, or the rows are not among the H.

    >>> resize_rows(np.array([[0.0, 1.0], [2.0, 3.0]]), (3, 5), 1, 3, align_corners=True)[:, ::2].tolist()
    [[1.0, 1.5, 2.0], [2.0, 2.5, 3.0]]
    """
    height, width = size
    if values.ndim != 2 or values.size == 0 or not 0 <= first <= last <= height or width < 1:
        raise ValueError(f"rows {first} to {last} of {height} x {width} cannot be had from a map of {values.shape}")
    if values.shape == (height, width):
        return values[first:last].astype(np.float64)
    above, below, down = neighbours(np.arange(first, last), values.shape[0], height, align_corners=align_corners)
    left, right, across = neighbours(np.arange(width), values.shape[1], width, align_corners=align_corners)
    used, places = np.unique(np.concatenate([above, below]), return_inverse=True)
    rows = np.empty((last - first, width))
    with np.errstate(invalid="ignore", over="ignore"):
        wide = _widened(values[used].astype(np.float64), left, right, across)
        uppers, lowers = places[: len(above)].tolist(), places[len(above) :].tolist()
        for row, upper, lower, share in zip(rows, uppers, lowers, down.tolist(), strict=True):
            if share == 0:
                row[:] = wide[upper]
            else:
                np.subtract(wide[lower], wide[upper], out=row)
                row *= share
                row += wide[upper]
    return rows


def _widened(
    rows: NDArray[np.float64], left: NDArray[np.int64], right: NDArray[np.int64], across: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each row at the columns' places between its values."""
    start = np.take(rows, left, axis=1)
    wide = np.take(rows, right, axis=1)
    wide -= start
    wide *= across
    wide += start
    on_a_value = across == 0
    wide[:, on_a_value] = start[:, on_a_value]
    return wide
