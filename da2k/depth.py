"""Depth maps that say what they are, and how to read them at pixels of the image they belong to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da2k.errors import BadInput, did_you_mean


class DepthKind(StrEnum):
    """What the numbers of a depth map mean. The direction follows from the kind and is never guessed from values."""

    METRIC_DEPTH = "metric_depth"
    """Metres; larger = farther."""
    SCALE_INVARIANT_DEPTH = "scale_invariant_depth"
    """Depth up to one positive factor; larger = farther."""
    AFFINE_DEPTH = "affine_depth"
    """Depth up to a positive factor and a shift; larger = farther."""
    AFFINE_DISPARITY = "affine_disparity"
    """Inverse depth up to a positive factor and a shift; larger = nearer."""

    @property
    def larger_is_nearer(self) -> bool:
        """True for disparity, False for the three kinds of depth."""
        return self is DepthKind.AFFINE_DISPARITY

    def why_not(self, other: "DepthKind") -> str | None:
        """Why maps of this kind cannot become maps of the other; None if they can."""
        if other is self or other in _ALLOWED[self]:
            return None
        if self is DepthKind.SCALE_INVARIANT_DEPTH:
            return "its scale is unknown"
        if self.larger_is_nearer is other.larger_is_nearer:
            return "its scale and shift are unknown"
        return "its shift is unknown, so 1/x of it is not the inverse up to a scale and a shift"

    @classmethod
    def parse(cls, text: str, where: str = "") -> "DepthKind":
        """The kind of this name; `where` begins the message if there is none.

        Raises:
            BadInput: there is no such kind; the message lists them.
        """
        try:
            return cls(text)
        except ValueError:
            raise BadInput(f'{where}kind "{text}" is unknown; {did_you_mean(text, cls)}') from None


_ALLOWED = {
    DepthKind.METRIC_DEPTH: {DepthKind.SCALE_INVARIANT_DEPTH, DepthKind.AFFINE_DEPTH, DepthKind.AFFINE_DISPARITY},
    DepthKind.SCALE_INVARIANT_DEPTH: {DepthKind.AFFINE_DEPTH, DepthKind.AFFINE_DISPARITY},
    DepthKind.AFFINE_DEPTH: set[DepthKind](),
    DepthKind.AFFINE_DISPARITY: set[DepthKind](),
}


@dataclass(frozen=True, eq=False)
class DepthMap:
    """A depth map and its kind.

    Attributes:
        values: float32 [H, W], any size; covers the whole image, corner to corner. NaN and ±inf mark pixels
            without an answer. Other real types are converted; axes of length one around the two are dropped.
        kind: what the values mean, and which end is near.

    Raises:
        BadInput: the values are not a non-empty [H, W] array of real numbers.
    """

    values: NDArray[Any]
    kind: DepthKind

    def __post_init__(self) -> None:
        values: NDArray[Any] = np.asarray(self.values)
        while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
            values = values[0] if values.shape[0] == 1 else values[..., 0]
        if values.ndim != 2 or 0 in values.shape:
            raise BadInput(f"a depth map is [height, width], but this array is {list(values.shape)}")
        if values.dtype.kind not in "fiu":
            raise BadInput(f"a depth map holds real numbers, but this array holds {values.dtype}")
        if values.dtype != np.float32:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "kind", DepthKind(self.kind))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the map."""
        height, width = self.values.shape
        return height, width

    def to(self, kind: DepthKind) -> "DepthMap":
        """The same map as another kind, where the conversion is legal.

        Metric → scale-invariant → affine depth keep the values; metric or scale-invariant depth → affine
        disparity takes 1/d, and a depth that is not positive becomes NaN.

        Raises:
            BadInput: the values do not determine the other kind; the message says why.
        """
        if kind is self.kind:
            return self
        if why_not := self.kind.why_not(kind):
            raise BadInput(f"a map of kind {self.kind} cannot become {kind}: {why_not}")
        if kind is not DepthKind.AFFINE_DISPARITY:
            return DepthMap(self.values, kind)
        with np.errstate(divide="ignore", invalid="ignore"):
            disparity = np.where(self.values > 0, 1 / self.values, np.float32(np.nan))
        return DepthMap(disparity.astype(np.float32), kind)

    def read_at(self, points: ArrayLike, image_size: tuple[int, int]) -> NDArray[np.float64]:
        """The values at pixels of the image; see `read_at`."""
        return read_at(self.values, points, image_size)


def read_at(values: NDArray[Any], points: ArrayLike, image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Read a map at pixels of the image it covers, without resizing it.

    Equals bilinear resizing to the image's size with aligned corners followed by reading the pixel
    (Depth Anything V2, `infer_image`), computed at the points only and in float64. Positions are exact
    integer fractions, and each step is `a + t(b - a)`, so a flat patch reads exactly its value and equal
    depths stay equal. A neighbour of weight zero is not touched: a NaN beside a pixel does not reach it.

    Args:
        values: the map, [h, w], any real type.
        points: [N, 2] integers, (row, col) in the image.
        image_size: (height, width) of the image.

    Returns:
        float64 [N]; NaN or ±inf where the map has them.

    Raises:
        BadInput: a point is not in the image or not an integer.

    >>> read_at(np.array([[0.0, 1.0], [2.0, 3.0]]), [(0, 0), (1, 2), (2, 4)], (3, 5)).tolist()
    [0.0, 1.5, 3.0]
    """
    where: NDArray[Any] = np.asarray(points)
    if where.size == 0:
        return np.empty(0)
    if where.ndim != 2 or where.shape[1] != 2 or where.dtype.kind not in "iu":
        raise BadInput(f"points are [N, 2] integers (row, col), not {where.dtype} {list(where.shape)}")
    if (where < 0).any() or (where >= np.asarray(image_size)).any():
        first = where[((where < 0) | (where >= np.asarray(image_size))).any(axis=1)][0]
        raise BadInput(f"point (row {first[0]}, col {first[1]}) is outside an image of {_hw(image_size)}")
    top, bottom, down = neighbours(where[:, 0], values.shape[0], image_size[0])
    left, right, across = neighbours(where[:, 1], values.shape[1], image_size[1])
    upper = _between(_at(values, top, left), _at(values, top, right), across)
    lower = _between(_at(values, bottom, left), _at(values, bottom, right), across)
    return _between(upper, lower, down)


def neighbours(
    positions: NDArray[Any], map_side: int, image_side: int, *, align_corners: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where pixels along one side of an image lie between the values along that side of its map.

    Args:
        positions: [N] integers, pixels of the image.
        map_side, image_side: how many values and pixels the side has.
        align_corners: the first and last pixel are the first and last value; else pixels have a size, and half a
            value is added at both ends.

    Returns:
        Index below, index above, and the share of the way between them, in [0, 1); each [N].
    """
    where = positions.astype(np.int64)
    if align_corners:
        scaled, steps = where * (map_side - 1), max(image_side - 1, 1)
    else:
        scaled, steps = np.maximum((2 * where + 1) * map_side - image_side, 0), 2 * image_side
    below = scaled // steps
    return below, np.minimum(below + 1, map_side - 1), (scaled % steps) / steps


def _at(values: NDArray[Any], rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(values[rows, cols], dtype=np.float64)


def _between(a: NDArray[np.float64], b: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(t == 0, a, a + t * (b - a))


def covers(map_size: tuple[int, int], image_size: tuple[int, int]) -> bool:
    """Whether a map of this size can be the image resized with its aspect kept.

    Networks round each side to a multiple of at most 32, so each side may be off by 16. A transposed or
    cropped map is outside that, unless it is very small.

    >>> covers((518, 686), (480, 640)), covers((640, 480), (480, 640))
    (True, False)
    """
    if 1 in map_size and 1 not in image_size:
        return False
    low = max((side - 16) / whole for side, whole in zip(map_size, image_size, strict=True))
    high = min((side + 16) / whole for side, whole in zip(map_size, image_size, strict=True))
    return low <= high


def _hw(size: tuple[int, int]) -> str:
    return f"{size[0]} rows x {size[1]} columns"
