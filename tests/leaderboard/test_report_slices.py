"""Accuracy by margin, by distance and by height: every pair is in one slice, and in the right one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from da2k.depth import DepthKind
from da2k.leaderboard.report.judged import JudgedPairs
from da2k.leaderboard.report.ordering import by_distance, by_height, by_margin
from da2k.metrics.ordering import order_outcomes


def judged(values, kind=DepthKind.AFFINE_DISPARITY, closer=None, farther=None):
    """Pairs with these values at the closer and the farther point."""
    near, far = np.array(values, np.float64).reshape(-1, 2).T
    n = len(near)
    names = np.array([f"p{i}" for i in range(n)], dtype=object)
    outcome = np.array([str(o) for o in order_outcomes(near, far, kind)], dtype=object)
    nothing = np.zeros((n, 2), np.int64)
    return JudgedPairs(
        names,
        names,
        names,
        nothing + np.array([0, 1]) if closer is None else np.array(closer),
        nothing if farther is None else np.array(farther),
        near,
        far,
        outcome,
        kind,
    )


def test_slices_of_a_hundred_distances_are_five_of_twenty():
    closer = [(0, d) for d in range(1, 101)]
    pairs = judged([(1, 0) if d > 50 else (0, 1) for _, d in closer], closer=closer, farther=np.zeros((100, 2), int))
    slices = by_distance(pairs, 0.95)
    assert [each.label for each in slices] == ["1 to 20", "21 to 40", "41 to 60", "61 to 80", "81 to 100"]
    assert [(each.correct, each.total) for each in slices] == [(0, 20), (0, 20), (10, 20), (20, 20), (20, 20)]


def test_a_margin_of_depths_is_a_ratio_and_of_disparities_a_difference():
    near_and_far = [(1.0, 2.0), (3.0, 2.0), (5.0, 5.0), (np.nan, 1.0)]
    depth = by_margin(judged(near_and_far, DepthKind.METRIC_DEPTH), 0.95)
    assert (depth.measure, [each.label for each in depth.slices]) == ("ratio", ["1.000", "1.500 to 2.000"])
    assert [(each.correct, each.total) for each in depth.slices] == [(0, 1), (1, 2)]
    disparity = by_margin(judged(near_and_far), 0.95)
    assert (disparity.measure, [each.label for each in disparity.slices]) == ("difference", ["0", "1"])
    negative = by_margin(judged([(-1.0, 2.0), (1.0, 2.0)], DepthKind.METRIC_DEPTH), 0.95)
    assert negative.measure == "difference"


VALUES = st.lists(st.tuples(*[st.integers(0, 30).map(float) | st.just(float("nan"))] * 2), min_size=1, max_size=200)


@given(VALUES)
def test_slices_hold_every_answered_pair_once_and_equal_margins_together(values):
    pairs = judged(values)
    slices = by_margin(pairs, 0.95).slices
    assert sum(each.total for each in slices) == pairs.answered.sum()
    assert sum(each.correct for each in slices) == pairs.correct.sum()
    ends = [[float(end) for end in each.label.split(" to ")] for each in slices]
    assert all(before[-1] < after[0] for before, after in pairwise(ends))
    assert all(each.total for each in slices)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=150))
def test_slices_of_heights_never_mix_lower_with_higher(rows):
    closer, farther = ([(row, column) for row in side] for column, side in enumerate(zip(*rows, strict=True)))
    found = by_height(judged([(1, 0)] * len(rows), closer=closer, farther=farther), 0.95)
    parts = [part for part in (found.lower, found.level, found.higher) if part]
    assert sum(each.total for each in found.slices) == sum(part.total for part in parts) == len(rows)
    assert not [each.label for each in found.slices if "+" in each.label and "−" in each.label]
