"""What experts say about pairs of points: votes, predicted depth ratios and the outcome (Depth Anything V2, 6.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from da2k.depth import DepthKind

Floats = NDArray[np.float64]
RatioRule = Literal["any", "all"]


@dataclass(frozen=True, eq=False)
class Votes:
    """What each expert says about each pair.

    Attributes:
        votes: int8 [experts, pairs]; 1 or 2, the closer point; 0, no vote.
        ratios: float64 [experts, pairs], at least 1; the predicted depth ratio in the expert's own map.
    """

    votes: NDArray[np.int8]
    ratios: Floats


def order(values_a: Floats, values_b: Floats, kind: DepthKind) -> NDArray[np.int8]:
    """Which point is closer in one map: 1, the first; 2, the second; 0, equal values or one that is NaN.

    Args:
        values_a, values_b: the map's values at the first and at the second points, [pairs].
        kind: says whether larger or smaller is nearer.

    >>> order(np.array([2.0, 1.0, 3.0]), np.array([1.0, 2.0, 3.0]), DepthKind.AFFINE_DISPARITY).tolist()
    [1, 2, 0]
    """
    first, second = values_a < values_b, values_a > values_b
    if kind.larger_is_nearer:
        first, second = second, first
    return first + 2 * second.astype(np.int8)


def depth_ratio(values_a: Floats, values_b: Floats) -> Floats:
    """Farther depth / closer depth as one map's own values give it: [pairs], from 1 to inf.

    It is the larger value over the smaller for every kind: of depths by definition, of disparities because
    depth is their inverse. Affine kinds do not determine a ratio; their values are taken as the network writes
    them, where disparity 0 is infinitely far and affine depth 0 is the camera. So a smaller value at or below 0
    gives inf, and two such values, between which nothing is determined, give 1.

    >>> depth_ratio(np.array([2.0, 8.0, 0.0, -1.0, 0.0]), np.array([6.0, 2.0, 5.0, -3.0, 0.0])).tolist()
    [3.0, 4.0, inf, 1.0, 1.0]
    """
    smaller, larger = np.minimum(values_a, values_b), np.maximum(values_a, values_b)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(smaller > 0, larger / smaller, np.inf)
    return np.where((larger <= 0) | (smaller == larger), 1.0, ratio)


def cast_votes(
    experts: Sequence[Sequence[tuple[DepthKind, Floats]]], first: NDArray[np.intp], second: NDArray[np.intp]
) -> Votes:
    """Let every expert vote on every pair of key points.

    Args:
        experts: of each expert, kind and values [points] of every way it was run; the first way is the expert
            itself, and its values give the ratio. An expert whose ways do not all agree on a pair has no vote on it.
        first, second: [pairs], the indices of the pairs' points.
    """
    votes = np.zeros((len(experts), len(first)), np.int8)
    ratios = np.ones((len(experts), len(first)))
    for expert, ways in enumerate(experts):
        orders = np.stack([order(values[first], values[second], kind) for kind, values in ways])
        votes[expert] = np.where((orders == orders[0]).all(axis=0), orders[0], 0)
        values = ways[0][1]
        ratios[expert] = depth_ratio(values[first], values[second])
    return Votes(votes, ratios)


def compared_ratio(cast: Votes, rule: RatioRule) -> Floats:
    """The ratio of each pair that the ratio rule compares: [pairs], from 1 to inf.

    "any": the largest, "all": the smallest, of the experts that vote on the pair. Where none does, it is 1.
    """
    says = cast.votes != 0
    compared: Floats
    if rule == "any":
        compared = np.where(says, cast.ratios, 1.0).max(axis=0)
    else:
        compared = np.where(says, cast.ratios, np.inf).min(axis=0)
    return np.where(says.any(axis=0), compared, 1.0)


def outcomes(cast: Votes, ratio: Floats, threshold: float) -> NDArray[Any]:
    """What becomes of each pair: "unanimous", "disputed" or "too_close", [pairs].

    Unanimous, if every expert votes, and all for the same point, whatever the ratio. Else disputed, if the
    ratio exceeds the threshold.
    """
    unanimous = (cast.votes[0] != 0) & (cast.votes == cast.votes[0]).all(axis=0)
    return np.select([unanimous, ratio > threshold], ["unanimous", "disputed"], "too_close")
