"""The best and the worst frames as colour maps: image, measured depth, the model's depth once aligned, and the error.

Near is bright. Drawn is only what was scored: a frame whose numbers do not come out again is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.datasets.frames import Frame, FrameSet, GroundTruth
from da2k.depth import DepthMap
from da2k.errors import BadInput
from da2k.evaluation.dense.inputs import open_input, read_truth
from da2k.evaluation.dense.scoring import counted_pixels, floor_of, score_map, to_space
from da2k.leaderboard.report.crops import Picture, encode
from da2k.leaderboard.report.dense import ScoredImages
from da2k.metrics.crops import metric_box
from da2k.metrics.resizing import resize_rows
from da2k.models import Model
from da2k.protocols.dense import DatasetRules, DenseProtocol

WIDTH = 460
"""A picture is at most so wide, in pixels; of a narrow frame, so high."""
HIGHEST_ERROR = 0.5
"""Relative errors from here on have one colour."""
_UNMEASURED = np.array([232, 232, 232], np.uint8)
"""No colour of either map comes near it: the middle of cividis is a darker grey."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compared:
    """One frame, as it was compared, at its own size.

    Attributes:
        truth: float64 [H, W], metres, or 1/m where disparities are compared; NaN where it does not count.
        aligned: float64 [H, W], the model's in the same unit, limited as the protocol has it; NaN without an answer.
        error: float64 [H, W], |aligned - truth| / truth; NaN where the truth does not count.
    """

    truth: Values
    aligned: Values
    error: Values


@dataclass(frozen=True)
class FramePictures:
    """A frame's four pictures.

    Attributes:
        image: its name.
        value: of the metric that images are ranked by.
        photo, truth, aligned, error: the pictures.
        near, far: what the brightest and the darkest colour of `truth` and `aligned` stand for.
    """

    image: str
    value: float
    photo: Picture
    truth: Picture
    aligned: Picture
    error: Picture
    near: float
    far: float


def draw_frames(
    chosen: Sequence[int],
    images: ScoredImages,
    frames: FrameSet,
    protocol: DenseProtocol,
    model: Model,
) -> tuple[list[FramePictures], list[str]]:
    """Draw frames that were scored.

    Returns:
        The pictures, and for each frame that could not be drawn why.
    """
    by_name = {frame.name: frame for frame in frames.frames}
    drawn, lacking = [], []
    for index in chosen:
        name = str(images.image[index])
        try:
            if name not in by_name:
                raise BadInput("is not among the frames that were opened")
            drawn.append(_draw(index, images, by_name[name], frames.dataset, protocol, model))
        except BadInput as e:
            lacking.append(f"{name}: {e}")
    return drawn, lacking


def _draw(
    index: int, images: ScoredImages, frame: Frame, dataset: str, protocol: DenseProtocol, model: Model
) -> FramePictures:
    rules = protocol.rules(dataset)
    photo, truth = open_input(frame, rules), read_truth(frame, rules)
    depth = model.predict([photo])[0]
    again = score_map(depth, truth, protocol, rules, stretched=model.record.aspect == "stretched")
    for metric, value in again.compared.values.items():
        stated = float(images.values[metric][index])
        if not isclose(value, stated, rel_tol=1e-6, abs_tol=1e-9):
            raise BadInput(f"its map or its truth has changed: {metric} was {stated:.6g} and is {value:.6g}")
    compared = compare_frame(depth, truth, protocol, rules, again.fit.scale, again.fit.shift)
    counted = compared.truth[np.isfinite(compared.truth)]
    low, high = (float(bound) for bound in np.percentile(counted, (1, 99)))
    nearer_is_larger = protocol.metrics_in == "disparity"
    near, far = (high, low) if nearer_is_larger else (low, high)
    return FramePictures(
        image=frame.name,
        value=float(images.values[images.error.name][index]),
        photo=encode(_shrunk(PillowImage.fromarray(photo.pixels))),
        truth=_coloured(compared.truth, "viridis", far, near),
        aligned=_coloured(compared.aligned, "viridis", far, near),
        error=_coloured(compared.error, "cividis", 0.0, HIGHEST_ERROR),
        near=near,
        far=far,
    )


def compare_frame(
    depth: DepthMap, truth: GroundTruth, protocol: DenseProtocol, rules: DatasetRules, scale: float, shift: float
) -> Compared:
    """What the protocol compares, pixel by pixel.

    Args:
        depth: the model's map.
        truth: measured depth.
        protocol, rules: the choices.
        scale, shift: of the fit.
    """
    box = metric_box(rules.metric_crop, truth.size)
    counts = np.zeros(truth.size, bool)
    counts[box.slices] = counted_pixels(truth, box, rules)
    measured = np.where(counts, truth.depth.astype(np.float64), np.nan)
    resized = resize_rows(depth.values, truth.size, 0, truth.size[0], align_corners=rules.align_corners)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        in_space = np.asarray(to_space(resized, depth.kind, protocol.alignment), np.float64)
        aligned: Values = scale * in_space + shift
        if protocol.metrics_in == "disparity":
            measured = 1 / measured
        else:
            if protocol.alignment.space == "disparity":
                floor = floor_of(truth.depth[counts], protocol.alignment, rules)
                aligned = 1 / np.maximum(aligned, floor if floor else 0.0)
            low, high = rules.clamp.low, rules.clamp.high
            aligned = np.clip(aligned, -np.inf if low is None else low, np.inf if high is None else high)
        error: Values = np.abs(aligned - measured) / measured
        return Compared(measured, aligned, error)


def _coloured(values: Values, colours: str, low: float, high: float) -> Picture:
    """A map as a picture; `low` has the darkest colour and `high` the brightest, whichever is larger."""
    from matplotlib import colormaps

    small = _averaged(values, max(1, -(-max(values.shape) // WIDTH)))
    span = high - low if high != low else 1.0
    with np.errstate(invalid="ignore"):
        shares = np.clip((small - low) / span, 0, 1)
    finite = np.isfinite(shares)
    rgb = (colormaps[colours](np.where(finite, shares, 0.0))[..., :3] * 255).round().astype(np.uint8)
    rgb[~finite] = _UNMEASURED
    return encode(PillowImage.fromarray(rgb))


def _averaged(values: Values, by: int) -> Values:
    """Means over blocks of `by` x `by` pixels, of those that have a value: sparse measurements stay visible."""
    finite = np.isfinite(values)
    sums, counts = (_block_sums(part, by) for part in (np.where(finite, values, 0.0), finite.astype(np.float64)))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Values = sums / counts
    return means


def _block_sums(values: Values, by: int) -> Values:
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], by), axis=0)
    sums: Values = np.add.reduceat(rows, np.arange(0, values.shape[1], by), axis=1)
    return sums


def _shrunk(picture: PillowImage.Image) -> PillowImage.Image:
    by = max(1, -(-max(picture.size) // WIDTH))
    return picture.reduce(by) if by > 1 else picture
