"""Where a model's mistakes on pairs lie: by margin, by distance, by height in the picture. Numbers only."""

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from da2k.depth import DepthKind
from da2k.leaderboard.report.judged import JudgedPairs
from da2k.metrics.intervals import wilson
from da2k.metrics.ordering import Outcome

_PAIRS_A_SLICE = 20
"""Of fewer pairs an interval says next to nothing."""
_MOST_SLICES = 8

Measure = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Slice:
    """Some pairs of a result.

    Attributes:
        label: which.
        total, correct: how many there are, and how many are correct.
        accuracy: correct / total.
        interval: Wilson's.
    """

    label: str
    total: int
    correct: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class ByMargin:
    """Accuracy by how far apart the model's two values are.

    Attributes:
        measure: "ratio": the larger of the two depths over the smaller; "difference": the absolute difference, in
            the map's own units.
        slices: by quantiles of the margins, the smallest first; pairs without an answer are in none.
    """

    measure: Measure
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class ByHeight:
    """Does the model only know that lower in the picture is nearer?

    Attributes:
        lower: pairs whose closer point is lower in the picture; None if there is none, as for the others.
        level: whose points are in one row.
        higher: whose closer point is higher.
        slices: by the difference of the rows, closer minus farther: from far higher to far lower.
        difference: accuracy of `lower` minus that of `higher`; None if one is empty.
        interval: of the difference (Newcombe 1998, Statistics in Medicine 17, method 10).
        rule: the share of all pairs that "lower is nearer" has right.
    """

    lower: Slice | None
    level: Slice | None
    higher: Slice | None
    slices: tuple[Slice, ...]
    difference: float | None
    interval: tuple[float, float] | None
    rule: float


def margins(pairs: JudgedPairs) -> tuple[Measure, NDArray[np.float64]]:
    """How far apart the two values of each pair are.

    A ratio does not change with the scale of a map, so that images can be compared; it is taken where values are
    depths, and all positive.

    Returns:
        The measure, and float64 [N]: 1 or more for ratios, 0 or more for differences; NaN without an answer.
    """
    a, b = (np.where(pairs.answered, values, np.nan) for values in (pairs.value_closer, pairs.value_farther))
    depth = pairs.kind in (DepthKind.METRIC_DEPTH, DepthKind.SCALE_INVARIANT_DEPTH)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if depth and not (np.fmin(a, b) <= 0).any():
            return "ratio", np.maximum(a, b) / np.minimum(a, b)
        return "difference", np.abs(a - b)


def hardest(pairs: JudgedPairs, outcome: Outcome) -> list[int]:
    """The pairs of this outcome, those with the largest margin first."""
    _, margin = margins(pairs)
    chosen = np.flatnonzero(pairs.outcome == outcome)
    return [int(i) for i in chosen[np.argsort(-margin[chosen], kind="stable")]]


def by_margin(pairs: JudgedPairs, level: float) -> ByMargin:
    """Accuracy by margin, in quantiles of the model's own margins."""
    measure, margin = margins(pairs)
    show = _ratio if measure == "ratio" else "{:.3g}".format
    return ByMargin(measure, _in_quantiles(margin[pairs.answered], pairs.correct[pairs.answered], level, show))


def by_distance(pairs: JudgedPairs, level: float) -> tuple[Slice, ...]:
    """Accuracy by the distance of the two points in pixels, in quantiles of the distances; over all pairs."""
    distance = np.hypot(*(pairs.closer - pairs.farther).T.astype(np.float64))
    return _in_quantiles(distance, pairs.correct, level, "{:.0f}".format)


def by_height(pairs: JudgedPairs, level: float) -> ByHeight:
    """Accuracy by which of the two points is lower in the picture, and by how much; over all pairs."""
    lower_by = pairs.closer[:, 0] - pairs.farther[:, 0]
    parts = (lower_by > 0, lower_by == 0, lower_by < 0)
    named = zip(parts, ("closer point lower", "same row", "closer point higher"), strict=True)
    lower, level_part, higher = (_slice(pairs.correct[part], label, level) for part, label in named)
    rows = lower_by.astype(np.float64)
    few = _MOST_SLICES // 2
    slices = (
        *_in_quantiles(rows[parts[2]], pairs.correct[parts[2]], level, _signed, few),
        *([level_part] if level_part else []),
        *_in_quantiles(rows[parts[0]], pairs.correct[parts[0]], level, _signed, few),
    )
    return ByHeight(
        lower=lower,
        level=level_part,
        higher=higher,
        slices=slices,
        difference=lower.accuracy - higher.accuracy if lower and higher else None,
        interval=_difference_interval(lower, higher) if lower and higher else None,
        rule=float(parts[0].mean()),
    )


def _difference_interval(a: Slice, b: Slice) -> tuple[float, float]:
    (low_a, high_a), (low_b, high_b) = a.interval, b.interval
    difference = a.accuracy - b.accuracy
    below = hypot(a.accuracy - low_a, high_b - b.accuracy)
    above = hypot(high_a - a.accuracy, b.accuracy - low_b)
    return difference - below, difference + above


def _in_quantiles(
    values: NDArray[np.float64],
    correct: NDArray[np.bool_],
    level: float,
    show: Callable[[float], str],
    most: int = _MOST_SLICES,
) -> tuple[Slice, ...]:
    """Slices of about equal size by value; equal values are in one slice."""
    if not len(values):
        return ()
    parts = min(max(len(values) // _PAIRS_A_SLICE, 2), most)
    begins = np.unique(np.sort(values)[np.arange(parts) * len(values) // parts])
    within = np.searchsorted(begins, values, side="right") - 1
    slices = []
    for part in range(len(begins)):
        here = within == part
        label = _between(float(values[here].min()), float(values[here].max()), show)
        slices.append(_slice(correct[here], label, level))
    return tuple(each for each in slices if each is not None)


def _slice(correct: NDArray[np.bool_], label: str, level: float) -> Slice | None:
    total, right = len(correct), int(correct.sum())
    return Slice(label, total, right, right / total, wilson(right, total, level)) if total else None


def _between(low: float, high: float, show: Callable[[float], str]) -> str:
    first, last = show(low), show(high)
    return first if first == last else f"{first} to {last}"


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+.0f}".replace("-", "−")
