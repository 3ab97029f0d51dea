"""One map against one frame's measured depth: resize, choose the pixels that count, align, compare."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frames import GroundTruth
from da2k.depth import DepthKind, DepthMap, covers
from da2k.errors import BadInput
from da2k.metrics.alignment import IDENTITY, Fit, least_absolute, least_squares, median_ratio
from da2k.metrics.crops import Box, metric_box
from da2k.metrics.dense import Compared, compare
from da2k.metrics.resizing import resize_rows
from da2k.protocols.dense import Alignment, DatasetRules, DenseProtocol

_ROWS_AT_ONCE = 64
"""Rows resized at once: few, so that a full-size map of a large frame never exists."""

Values = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class ImageScore:
    """What one image yielded.

    Attributes:
        pixels: how many count.
        fit: how the map was aligned.
        compared: the metrics, and the shares of pixels that were clamped or not positive.
    """

    pixels: int
    fit: Fit
    compared: Compared


def score_map(
    depth: DepthMap, truth: GroundTruth, protocol: DenseProtocol, rules: DatasetRules, *, stretched: bool = False
) -> ImageScore:
    """Score one map by the protocol's choices.

    Args:
        depth: the map, at any size, of the image after the protocol's crop of the input.
        truth: measured depth, after that crop.
        protocol, rules: the choices.
        stretched: whether the model squeezes every image into one shape, so that the aspect tells nothing.

    Raises:
        BadInput: no pixel counts, the map has another aspect than the image, cannot be brought to metres, or is not
            finite at a pixel that counts.
    """
    protocol.require(depth.kind)
    if not stretched and not covers(depth.size, truth.size):
        raise BadInput(
            f"the map is {depth.size[0]} x {depth.size[1]} for a frame of {truth.size[0]} x {truth.size[1]} (rows x "
            "columns): another aspect ratio, so transposed or cropped? If each image was squeezed into one shape, "
            "declare aspect: stretched"
        )
    box = metric_box(rules.metric_crop, truth.size)
    if depth.size == box.size != truth.size:
        raise BadInput(
            f"the map has the size of the protocol's crop of the metrics, {box.size[0]} x {box.size[1]}; it has to "
            f"cover the whole frame, {truth.size[0]} x {truth.size[1]}, at any size"
        )
    counted = counted_pixels(truth, box, rules)
    pixels = int(np.count_nonzero(counted))
    if not pixels:
        raise BadInput("no pixel of the measured depth is valid within the protocol's crop and range")
    measured = truth.depth[box.slices][counted]
    prediction = _read(depth, truth.size, box, counted, align_corners=rules.align_corners)
    in_space = to_space(prediction, depth.kind, protocol.alignment)
    _require_finite(in_space, prediction, depth.kind)
    chosen = _fitted_pixels(in_space, counted, box, truth.size, protocol.alignment, rules)
    fit = _fit(in_space, measured, protocol.alignment, chosen)
    compared = compare(
        in_space,
        measured,
        protocol.metrics,
        fit,
        fitted_in="disparity" if protocol.alignment.space == "disparity" else "depth",
        metrics_in=protocol.metrics_in,
        floor=floor_of(measured, protocol.alignment, rules),
        low=rules.clamp.low,
        high=rules.clamp.high,
    )
    return ImageScore(pixels, fit, compared)


def counted_pixels(truth: GroundTruth, box: Box, rules: DatasetRules) -> NDArray[np.bool_]:
    """Which pixels of the box count: measured, and within the range."""
    depth = truth.depth[box.slices]
    with np.errstate(invalid="ignore"):
        within = (depth > rules.range.low) & (depth < (np.inf if rules.range.high is None else rules.range.high))
    within &= truth.valid[box.slices]
    return within


def _read(
    depth: DepthMap, size: tuple[int, int], box: Box, counted: NDArray[np.bool_], *, align_corners: bool
) -> Values:
    """The map at the pixels that count, resized as much as they need; row by row, left to right."""
    if depth.size == size:
        values: Values = depth.values[box.slices][counted]
        return values
    read = np.empty(int(np.count_nonzero(counted)))
    filled = 0
    for first in range(0, len(counted), _ROWS_AT_ONCE):
        here = counted[first : first + _ROWS_AT_ONCE]
        top = box.top + first
        rows = resize_rows(depth.values, size, top, top + len(here), align_corners=align_corners)
        part = rows[:, box.left : box.right][here]
        read[filled : filled + len(part)] = part
        filled += len(part)
    return read


def to_space(values: Values, kind: DepthKind, alignment: Alignment) -> Values:
    """The values in the space that is aligned: depth becomes 1/depth for disparity; NaN where it is not positive.

    Infinite depth is no answer (see `DepthMap`), so it is NaN too, and not a disparity of 0.
    """
    if alignment.space != "disparity" or kind is DepthKind.AFFINE_DISPARITY:
        return values
    inverse = np.full(values.shape, np.nan)
    with np.errstate(over="ignore"):
        np.divide(1.0, values, out=inverse, where=(values > 0) & (values < np.inf), dtype=np.float64)
    return inverse


def _require_finite(values: Values, raw: Values, kind: DepthKind) -> None:
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if not bad:
        return
    unusable = raw.size - int(np.count_nonzero(np.isfinite(raw)))
    if unusable:
        raise BadInput(f"the map is not finite at {unusable} of {raw.size} pixels that count")
    raise BadInput(
        f"the {kind} is 0 or negative at {bad} of {raw.size} pixels that count, so it has no disparity there"
    )


def _fitted_pixels(
    values: Values,
    counted: NDArray[np.bool_],
    box: Box,
    size: tuple[int, int],
    alignment: Alignment,
    rules: DatasetRules,
) -> NDArray[np.bool_] | None:
    """Which of the pixels that count are fitted; None for all of them."""
    chosen: NDArray[np.bool_] | None = None
    if rules.fit_side is not None and max(size) > rules.fit_side:
        kept = np.ix_(*(_nearest(side, max(size), rules.fit_side) for side in size))
        grid = np.zeros(size, np.bool_)
        grid[kept] = True
        chosen = grid[box.slices][counted]
    if alignment.support == "valid pixels with a positive prediction":
        positive = values > 0
        chosen = positive if chosen is None else chosen & positive
    if chosen is not None and not chosen.any():
        raise BadInput(f"no pixel is left to be fitted ({alignment.support})")
    return None if chosen is None or chosen.all() else chosen


def _nearest(side: int, longest: int, shortened: int) -> NDArray[np.int64]:
    """The rows, or columns, that a nearest-neighbour copy takes whose longest side becomes `shortened`.

    In whole numbers: rounding would take other pixels at some sizes, and one fewer at some.
    """
    return np.arange(side * shortened // longest) * longest // shortened


def _fit(values: Values, measured: Values, alignment: Alignment, chosen: NDArray[np.bool_] | None) -> Fit:
    if chosen is not None:
        values, measured = values[chosen], measured[chosen]
    inverse = alignment.space == "disparity"
    match alignment.solver:
        case "least squares":
            return least_squares(values, measured, inverse=inverse)
        case "l1":
            return least_absolute(values, measured, inverse=inverse)
        case "median":
            return median_ratio(values, measured)
        case "none":
            return IDENTITY


def floor_of(measured: Values, alignment: Alignment, rules: DatasetRules) -> float | None:
    """The least aligned disparity, in 1/m."""
    if alignment.floor == "1/cap":
        assert rules.clamp.high is not None
        return 1 / rules.clamp.high
    if alignment.floor == "1/max truth":
        return 1 / float(measured.max())
    return alignment.floor
