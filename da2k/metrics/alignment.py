"""A scale and a shift that bring a prediction to measured depth, image by image: aligned = scale * prediction + shift.

All arithmetic is float64, whatever the arrays hold.
"""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

CHUNK = 1 << 15
"""Values that are worked on at a time: few enough for float64 copies of them to stay in a core's cache."""


@dataclass(frozen=True)
class Fit:
    """aligned = scale * prediction + shift.

    Attributes:
        scale: negative where the prediction runs against the truth; kept so.
        shift: in the unit of what was fitted: m, or 1/m.
        degenerate: the prediction does not determine a scale; each function says what it gives then.
    """

    scale: float
    shift: float
    degenerate: bool = False


IDENTITY = Fit(1.0, 0.0)
"""No alignment."""


def least_squares(prediction: Values, truth: Values, *, inverse: bool = False) -> Fit:
    """The scale and shift with the least sum of squared errors over these pixels.

    The normal equations in closed form, from sums about an element of the data, in one pass and little memory. (MiDaS,
    Ranftl et al., TPAMI 2022, for inverse depth; Marigold, Ke et al., CVPR 2024, for depth.)

    Args:
        prediction: [N], finite, any real type.
        truth: [N], metres.
        inverse: fit to 1/truth (disparity) instead of truth.

    Returns:
        Where the prediction is constant, or is one pixel: scale 0 and shift the mean of what is fitted to, degenerate;
        the aligned values are then those of the least-norm solution. The scale may be negative.

    Raises:
        ValueError: there is no pixel, the shapes differ, or a value (or 1/truth) is not finite.

    >>> least_squares(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0]))
    Fit(scale=2.0, shift=3.0, degenerate=False)
    """
    _check(prediction, truth)
    pivot, level = float(prediction[_middle(prediction)]), float(truth[_middle(truth)])
    if inverse:
        level = 1 / level if level else inf
    moments = _moments(prediction, truth, pivot, level, inverse)
    if not isfinite(moments.xx + moments.xy + moments.y):
        raise ValueError("a value of the prediction or of the truth is not finite")
    if moments.variance <= 0:
        return Fit(0.0, level + moments.y, degenerate=True)
    scale = (moments.xy - moments.x * moments.y) / moments.variance
    return Fit(scale, level + moments.y - scale * (pivot + moments.x))


def median_ratio(prediction: Values, truth: Values) -> Fit:
    """The scale median(truth) / median(prediction), a ratio of medians; no shift.

    (Zhou et al., CVPR 2017, and the self-supervised methods after it.)

    Args:
        prediction: [N], finite, any real type.
        truth: [N], metres.

    Returns:
        Where the prediction's median is not positive (or so small that the ratio is not finite), no positive factor
        brings it to the truth's: scale 0, degenerate; all aligned values are 0.

    Raises:
        ValueError: there is no pixel, or the shapes differ.

    >>> median_ratio(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0]))
    Fit(scale=2.5, shift=0.0, degenerate=False)
    """
    _check(prediction, truth)
    below = _median(prediction)
    scale = _median(truth) / below if below > 0 else 0.0
    return Fit(scale, 0.0) if below > 0 and isfinite(scale) else Fit(0.0, 0.0, degenerate=True)


def least_absolute(prediction: Values, truth: Values, weights: Values | None = None, *, inverse: bool = False) -> Fit:
    """The scale and shift with the least weighted sum of absolute errors over these pixels: outliers move it little.

    For a given scale the best shift is a weighted median, and the sum so reached is convex and piecewise linear in the
    scale. Tangents on both sides of its minimum bound it from below; where they meet is tried next, until bound and
    sum agree to 1e-12 of the sum. (MoGe, Wang et al., CVPR 2025, aligns so with weights 1/truth.) It
    holds full-size copies of the values, unlike `least_squares`.

    Args:
        prediction: [N], finite, any real type.
        truth: [N], metres.
        weights: [N], finite, 0 or more, and not all 0; None weighs all alike.
        inverse: fit to 1/truth (disparity) instead of truth.

    Returns:
        Where several are best, one of them. Where the prediction is constant over the pixels of positive weight, or
        there is one such pixel: scale 0 and shift the weighted median of what is fitted to, degenerate.

    Raises:
        ValueError: there is no pixel, the shapes differ, weights are negative or all 0, or a value is not finite.

    >>> least_absolute(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([5.0, 7.0, 99.0, 11.0, 13.0]))
    Fit(scale=2.0, shift=3.0, degenerate=False)
    """
    _check(prediction, truth)
    x: NDArray[np.float64] = prediction.astype(np.float64)
    with np.errstate(all="ignore"):
        y: NDArray[np.float64] = 1 / truth.astype(np.float64) if inverse else truth.astype(np.float64)
    w: NDArray[np.float64] = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    _check(x, w)
    if (w < 0).any() or not w.any():
        raise ValueError("weights are 0 or more, and not all 0")
    if weights is not None:
        x, y, w = x[w > 0], y[w > 0], w[w > 0]
    if not isfinite(float(abs(x).sum() + abs(y).sum() + w.sum())):
        raise ValueError("a value of the prediction, of the truth or of the weights is not finite")
    pivot = float(x[_middle(x)])
    x -= pivot
    if not x.any():
        return Fit(0.0, _weighted_median(y, w), degenerate=True)
    best = _lowest(x, y, w)
    return Fit(best.scale, best.shift - best.scale * pivot)


@dataclass(frozen=True)
class _Tangent:
    """The least sum of absolute errors with this scale, and a slope of it there, as a function of the scale."""

    scale: float
    shift: float
    total: float
    slope: float


def _lowest(x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> _Tangent:
    """The minimum over the scale of the least sum of w |scale x + shift - y|."""
    best = _tangent(least_squares(x, y).scale, x, y, w)
    # By the triangle inequality, what is farther from here than this has a larger sum than here.
    spread = float(np.dot(w, abs(x - _weighted_median(x, w))))
    reach = 2 * best.total / spread
    if best.slope == 0 or reach == 0:
        return best
    left = best if best.slope < 0 else _tangent(best.scale - reach, x, y, w)
    right = best if best.slope > 0 else _tangent(best.scale + reach, x, y, w)
    for turn in range(300):
        if not left.slope < 0 < right.slope:
            return min(best, left, right, key=lambda tangent: tangent.total)
        gap = right.scale - left.scale
        step = (left.total - right.total + right.slope * gap) / (right.slope - left.slope)
        if best.total - (left.total + left.slope * step) <= 1e-12 * best.total:
            break
        # The middle now and then: where the tangents meet may creep along one side.
        scale = left.scale + (gap / 2 if turn % 4 == 3 else step)
        if not left.scale < scale < right.scale:
            break
        found = _tangent(scale, x, y, w)
        best = min(best, found, key=lambda tangent: tangent.total)
        if found.slope == 0:
            return best
        left, right = (found, right) if found.slope < 0 else (left, found)
    return best


def _tangent(scale: float, x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> _Tangent:
    rest = y - scale * x
    shift = _weighted_median(rest, w)
    rest -= shift
    # A pixel that is met exactly may pull either way; together they balance the others, as the shift is the best one.
    pull = -np.sign(rest)
    met = rest == 0
    pull[met] = -np.dot(w, pull) / w[met].sum()
    return _Tangent(scale, shift, float(np.dot(w, abs(rest))), float(np.dot(w * pull, x)))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The least of the values at which half of the weight is reached."""
    if (weights == weights[0]).all():
        half = (len(values) - 1) // 2
        return float(np.partition(values, half)[half])
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])


def _check(prediction: Values, truth: Values) -> None:
    if prediction.ndim != 1 or prediction.shape != truth.shape:
        raise ValueError(f"one value a pixel is expected, but the shapes are {prediction.shape} and {truth.shape}")
    if prediction.size == 0:
        raise ValueError("there is no pixel to align")


def _middle(values: Values) -> int:
    """The index of an element near the middle of the values: the median of at most 1,025 of them.

    An element, not a mean: what is constant is then exactly 0 about it. At least one value in 2 * step lies on its side
    away from the mean, so it is within sqrt(2 * step) standard deviations of the mean: of 24 million values, sums about
    it lose at most 5 of float64's 16 digits.
    """
    step = -(-values.size // 1025) | 1
    some = values[::step]
    return int(np.argpartition(some, some.size // 2)[some.size // 2]) * step


def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The sum of the products.

    In pieces that BLAS does not spread over threads: at such lengths, waiting for them on busy cores costs more than
    the sum, and the sum would depend on their number.
    """
    return sum(float(np.dot(a[i : i + 8192], b[i : i + 8192])) for i in range(0, len(a), 8192))


@dataclass(frozen=True)
class _Moments:
    """Means of x = prediction - pivot, y = target - level, and their products."""

    x: float
    y: float
    xx: float
    xy: float

    @property
    def variance(self) -> float:
        return self.xx - self.x * self.x


def _moments(prediction: Values, truth: Values, pivot: float, level: float, inverse: bool) -> _Moments:
    count = prediction.size
    x, y = np.empty((2, min(CHUNK, count)))
    totals = np.zeros(4)
    with np.errstate(all="ignore"):
        for first in range(0, count, CHUNK):
            some = slice(first, first + CHUNK)
            size = min(CHUNK, count - first)
            a, b = x[:size], y[:size]
            np.subtract(prediction[some], pivot, out=a, dtype=np.float64)
            if inverse:
                np.divide(1.0, truth[some], out=b, dtype=np.float64)
                b -= level
            else:
                np.subtract(truth[some], level, out=b, dtype=np.float64)
            totals += a.sum(), b.sum(), dot(a, a), dot(a, b)
    return _Moments(*(totals / count).tolist())


def _median(values: Values) -> float:
    """The median; of an even number, the mean of the middle two in float64."""
    low, high = (values.size - 1) // 2, values.size // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low]) / 2 + float(ordered[high]) / 2
