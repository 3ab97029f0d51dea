"""Key points without weights: one a cell of a grid."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.construction.points import KeyPoints
from da2k.construction.settings import digest
from da2k.images import Photo

_CELL_PIXELS = 32
"""Along each side of a cell, in the small picture in which the grid looks for calm places; fewer in a small photo."""
_FEW_PIXELS = 8
"""With fewer, a cell has no room to look around in, and its middle is taken."""


def grid_points(size: tuple[int, int], cells: int) -> KeyPoints:
    """The middle of each cell of a grid; it needs no pixels.

    Args:
        size: (height, width) of the photograph in pixels.
        cells: along its longer side; the shorter one has as many as make cells nearly square. A side has at most one
            cell for three pixels (a shorter side has one), so that middles are off the photograph's edges.
    """
    rows, cols = (
        ((2 * np.arange(count) + 1) * side) // (2 * count)
        for side, count in zip(size, _cell_counts(size, cells), strict=True)
    )
    return _without_masks(np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2))


class GridSampler:
    """One point a cell, at the calmest place of the cell's middle half: off the contours in the picture.

    Depth jumps at contours, so the depth of a point on one is settled by a pixel more or less. A place is calm if the
    values around it differ little: in a window of 5 x 5 pixels, of the photograph shrunk to at most 32 x 32 pixels a
    cell, in the colour channel that differs most. Of equally calm places the one nearest to the cell's centre is taken.

    Args:
        cells: along the photograph's longer side.
    """

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.identity = digest("grid", 1, cells)

    def sample(self, photo: Photo) -> KeyPoints:
        """The key points of this photograph, one a cell.

        Raises:
            BadInput: the photograph cannot be decoded.
        """
        pixels, counts = photo.pixels, _cell_counts(photo.size, self.cells)
        cell = min(_CELL_PIXELS, *(side // count for side, count in zip(photo.size, counts, strict=True)))
        if cell < _FEW_PIXELS:
            return grid_points(photo.size, self.cells)
        height, width = (count * cell for count in counts)
        small = PillowImage.fromarray(pixels).resize((width, height), PillowImage.Resampling.BOX)
        places = _calmest(_local_range(np.asarray(small)), cell)
        return _without_masks((2 * places + 1) * photo.size // (2 * np.array([height, width])))


def _cell_counts(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """Cells along height and width."""
    longer = max(size)
    height, width = (max(1, min((2 * cells * side + longer) // (2 * longer), side // 3)) for side in size)
    return height, width


def _without_masks(points: NDArray[np.integer]) -> KeyPoints:
    unknown = np.full(len(points), np.nan)
    return KeyPoints(points.astype(np.int32), unknown, unknown, unknown)


def _local_range(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How much values differ within two pixels, in the channel where they differ most: [H, W], 0 to 255."""
    from scipy.ndimage import maximum_filter, minimum_filter

    window = (5, 5, 1)
    ranges = maximum_filter(picture, window) - minimum_filter(picture, window)
    widest: NDArray[np.int64] = ranges.max(axis=-1).astype(np.int64)
    return widest


def _calmest(cost: NDArray[np.int64], cell: int) -> NDArray[np.int64]:
    """Of each cell's middle half the place of least cost, near the centre among equals: (row, col), int64 [N, 2]."""
    rows, cols = (side // cell for side in cost.shape)
    margin = -(-cell // 4)
    offset = np.arange(margin, cell - margin)
    middle = cost.reshape(rows, cell, cols, cell)[:, offset][..., offset].swapaxes(1, 2)
    from_centre = (2 * offset - cell + 1) ** 2
    distance = from_centre[:, None] + from_centre
    rank = middle * (distance.max() + 1) + distance
    best = rank.reshape(rows * cols, -1).argmin(axis=1)
    corners = np.stack(np.divmod(np.arange(rows * cols), cols), axis=-1) * cell
    places: NDArray[np.int64] = corners + np.stack(np.divmod(best, len(offset)), axis=-1) + margin
    return places
