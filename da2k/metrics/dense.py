"""How far an aligned depth map is from measured depth, over the pixels of one image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log, sqrt
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from da2k.metrics.alignment import CHUNK, IDENTITY, Fit, Values, dot

Space = Literal["depth", "disparity"]


@dataclass(frozen=True)
class Metric:
    """What a metric's name stands for.

    Attributes:
        name: says the space, where there are two, and the variant of the formula.
        formula: of the aligned prediction d and the truth g, both depths in metres, or both disparities in 1/m where
            `space` is disparity; e = ln d - ln g; mean and share are over the pixels of an image.
        space: where d and g are compared; None: in either, with the same outcome where nothing is clamped.
        better: whether a lower or a higher value is better.
        unit: "" for a ratio or a share.
    """

    name: str
    formula: str
    space: Space | None
    better: Literal["lower", "higher"]
    unit: str


@dataclass(frozen=True)
class Compared:
    """One image's values.

    Attributes:
        values: by metric, in the order asked for.
        clamped: share of pixels, in [0, 1], whose aligned value the floor or the range changed.
        nonpositive: share of pixels, in [0, 1], whose aligned value was 0 or less before any limit.
    """

    values: dict[str, float]
    clamped: float
    nonpositive: float


def compare(
    prediction: Values,
    truth: Values,
    names: Sequence[str],
    fit: Fit = IDENTITY,
    *,
    fitted_in: Space,
    metrics_in: Space,
    floor: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Compared:
    """Align a prediction, limit it, and take metrics over these pixels: in one pass, in float64, in little memory.

    Aligned depth is limited to [low, high]. Aligned disparity is raised to `floor`, inverted, and then limited so;
    where disparities themselves are compared (with 1/truth), nothing is limited, whatever is given.

    Args:
        prediction: [N], any real type, before the fit.
        truth: [N], metres, above 0.
        names: of `METRICS`; only what these need is computed.
        fit: aligned = scale * prediction + shift.
        fitted_in: what the aligned values are: metres, or 1/m.
        metrics_in: what is compared; disparity only where the aligned values are disparities.
        floor: above 0, in 1/m; needed to compare aligned disparities as depth.
        low: in metres; None is no limit.
        high: in metres; None is no limit.

    Raises:
        ValueError: there is no pixel, the shapes differ, a name is unknown or not taken in this space, the spaces or
            limits do not go together, a value is not finite, or a metric needs logarithms and an aligned value that
            nothing limits is not positive.

    >>> found = compare(np.array([1.0, 3.0]), np.array([2.0, 4.0]), ["absrel@depth"], Fit(2, 0),
    ...     fitted_in="depth", metrics_in="depth", high=5.0)
    >>> found.values, found.clamped
    ({'absrel@depth': 0.125}, 0.5)
    """
    if prediction.ndim != 1 or prediction.shape != truth.shape or prediction.size == 0:
        raise ValueError(f"one value a pixel is expected, but the shapes are {prediction.shape} and {truth.shape}")
    _check_names(names, metrics_in)
    least, most = _limits(fitted_in, metrics_in, floor, low, high)
    count = prediction.size
    recipes = {name: _RECIPES[name] for name in names}
    sums = _Sums({need for recipe in recipes.values() for need in recipe.needs}, min(CHUNK, count))
    aligned, true = np.empty((2, min(CHUNK, count)))
    clamped = nonpositive = 0
    with np.errstate(all="ignore"):
        for first in range(0, count, CHUNK):
            d, g = aligned[: count - first], true[: count - first]
            np.multiply(prediction[first : first + CHUNK], fit.scale, out=d, dtype=np.float64)
            d += fit.shift
            lowest, highest = float(d.min()), float(d.max())
            if not isfinite(highest - lowest):
                raise ValueError("an aligned value is not finite")
            if lowest <= 0:
                nonpositive += np.count_nonzero(d <= 0)
            if lowest < least:
                clamped += np.count_nonzero(d < least)
                np.maximum(d, least, out=d)
            if highest > most:
                clamped += np.count_nonzero(d > most)
                np.minimum(d, most, out=d)
            np.copyto(g, truth[first : first + CHUNK])
            if metrics_in == "disparity":
                np.divide(1.0, g, out=g)
            elif fitted_in == "disparity":
                np.divide(1.0, d, out=d)
            sums.add(d, g)
    if nonpositive and least <= 0 and (named := [name for name in recipes if recipes[name].logarithmic]):
        raise ValueError(f"{named[0]} needs a low limit: {nonpositive} of {count} aligned values are 0 or less")
    means = {need: total / count for need, total in sums.totals.items()}
    values = {name: recipe.value(means) for name, recipe in recipes.items()}
    if not isfinite(sum(values.values())):
        raise ValueError("a truth is 0 or not finite")
    return Compared(values, clamped / count, nonpositive / count)


def _check_names(names: Sequence[str], metrics_in: Space) -> None:
    for name in names:
        if name not in METRICS:
            raise ValueError(f'there is no metric "{name}"; known are {", ".join(METRICS)}')
        if METRICS[name].space not in (None, metrics_in):
            raise ValueError(f"{name} is not taken in {metrics_in}")


def _limits(
    fitted_in: Space, metrics_in: Space, floor: float | None, low: float | None, high: float | None
) -> tuple[float, float]:
    """The least and the most that an aligned value may be, in the space of the fit."""
    if metrics_in == "disparity":
        if fitted_in == "depth":
            raise ValueError("aligned depths are not compared as disparities")
        return -inf, inf
    if fitted_in == "depth":
        if floor is not None:
            raise ValueError("a floor is for aligned disparities, and these are depths")
        least, most = -inf if low is None else low, inf if high is None else high
    else:
        if floor is None or not floor > 0:
            raise ValueError("an aligned disparity can be 0 or less, which is no depth: a floor above 0 is needed")
        # max(d, floor), 1/d and the range of depths are together one range of disparities.
        least, most = max(floor, 1 / high if high else 0.0), 1 / low if low else inf
    if least > most:
        raise ValueError(f"the limits leave nothing: floor {floor}, low {low}, high {high}")
    return least, most


class _Sums:
    """Sums over pixels of what metrics are made of; `totals` has those that were asked for."""

    def __init__(self, needs: set[str], size: int) -> None:
        self.totals = dict.fromkeys(sorted(needs), 0.0)
        self._within = [(name, bounds) for name, bounds in _WITHIN.items() if name in needs]
        self._relative = bool(self._within) or not needs.isdisjoint({"|d - g| / g", "(d - g)^2 / g"})
        self._differs = self._relative or "(d - g)^2" in needs
        self._logarithmic = not needs.isdisjoint(_LOGARITHMS)
        self._middle: float | None = None
        self._scratch = np.empty((2, size))

    def add(self, d: NDArray[np.float64], g: NDArray[np.float64]) -> None:
        """Take in some pixels: aligned values and truth in the same space."""
        error, ratio = self._scratch[:, : d.size]
        totals = self.totals
        if self._differs:
            np.subtract(d, g, out=error)
        if "(d - g)^2" in totals:
            totals["(d - g)^2"] += dot(error, error)
        if self._relative:
            self._add_relative(error, np.divide(error, g, out=ratio))
        if self._logarithmic:
            np.divide(d, g, out=ratio)
            self._add_logarithms(np.log(ratio, out=ratio))

    def _add_relative(self, error: NDArray[np.float64], ratio: NDArray[np.float64]) -> None:
        totals = self.totals
        if "(d - g)^2 / g" in totals:
            totals["(d - g)^2 / g"] += dot(error, ratio)
        for name, (above, below) in self._within:
            totals[name] += np.count_nonzero((ratio > above) & (ratio < below))
        if "|d - g| / g" in totals:
            totals["|d - g| / g"] += float(np.abs(ratio, out=ratio).sum())

    def _add_logarithms(self, e: NDArray[np.float64]) -> None:
        totals = self.totals
        if "e^2" in totals:
            totals["e^2"] += dot(e, e)
        if "|e|" in totals:
            totals["|e|"] += float(np.abs(e).sum())
        if "e - m" in totals:
            # About a value of e, since the difference of mean e^2 and (mean e)^2 would lose the digits that count.
            if self._middle is None:
                self._middle = float(e[e.size // 2])
            e -= self._middle
            totals["e - m"] += float(e.sum())
            totals["(e - m)^2"] += dot(e, e)


_LOGARITHMS = ("e^2", "|e|", "e - m", "(e - m)^2")

_WITHIN = {f"max(d / g, g / d) < {t}": (-(t - 1) / t, t - 1) for t in (1.25, 1.25**2, 1.25**3)}
"""Between which two (d - g) / g lies where d and g are within a factor; a d of 0 or less is below both."""


@dataclass(frozen=True)
class _Recipe:
    """A metric's value from means over pixels."""

    needs: tuple[str, ...]
    value: Callable[[Mapping[str, float]], float]

    @property
    def logarithmic(self) -> bool:
        return not set(self.needs).isdisjoint(_LOGARITHMS)


def _mean(need: str, factor: float = 1.0) -> _Recipe:
    return _Recipe((need,), lambda means: factor * means[need])


def _root(need: str) -> _Recipe:
    return _Recipe((need,), lambda means: sqrt(means[need]))


def _scale_invariant(means: Mapping[str, float]) -> float:
    return 100 * sqrt(max(means["(e - m)^2"] - means["e - m"] ** 2, 0.0))


_DELTAS = tuple(_WITHIN)

_TABLE: tuple[tuple[Metric, _Recipe], ...] = (
    (Metric("absrel@depth", "mean(|d - g| / g)", "depth", "lower", ""), _mean("|d - g| / g")),
    (Metric("absrel@disparity", "mean(|d - g| / g)", "disparity", "lower", ""), _mean("|d - g| / g")),
    (Metric("sqrel@depth", "mean((d - g)^2 / g)", "depth", "lower", "m"), _mean("(d - g)^2 / g")),
    (Metric("rmse@depth", "sqrt(mean((d - g)^2))", "depth", "lower", "m"), _root("(d - g)^2")),
    (Metric("rmse_log_e", "sqrt(mean(e^2))", "depth", "lower", ""), _root("e^2")),
    (Metric("mae_log_10", "mean(|e|) / ln 10", "depth", "lower", ""), _mean("|e|", 1 / log(10))),
    (
        Metric("silog100", "100 sqrt(mean(e^2) - mean(e)^2)", "depth", "lower", "%"),
        _Recipe(("e - m", "(e - m)^2"), _scale_invariant),
    ),
    *(
        (Metric(f"delta{k}", f"share of max(d / g, g / d) < 1.25^{k}", None, "higher", ""), _mean(_DELTAS[k - 1]))
        for k in (1, 2, 3)
    ),
    (
        Metric("delta1_exceeded_percent", "100 share of max(d / g, g / d) >= 1.25", None, "lower", "%"),
        _Recipe(_DELTAS[:1], lambda means: 100 * (1 - means[_DELTAS[0]])),
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric, _ in _TABLE})
"""All metrics, by name. (Eigen et al., NIPS 2014; `delta1_exceeded_percent`: Ranftl et al., TPAMI 2022.)"""

_RECIPES = {metric.name: recipe for metric, recipe in _TABLE}
