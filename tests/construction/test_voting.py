from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.voting import Votes, cast_votes, compared_ratio, depth_ratio, order, outcomes
from da2k.depth import DepthKind

KINDS = st.sampled_from(DepthKind)
DISPARITY, DEPTH, METRIC = DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH, DepthKind.METRIC_DEPTH
PAIRS = 8
WHOLE = st.integers(-9, 9)
POSITIVE = st.floats(1e-6, 1e6)


def columns(value, count=PAIRS):
    return st.lists(value, min_size=count, max_size=count).map(lambda v: np.array(v, np.float64))


@st.composite
def panels(draw, value=WHOLE):
    """Experts, each with one to three ways, and every pair of four points."""
    experts = draw(
        st.lists(st.lists(st.tuples(KINDS, columns(value, 4)), min_size=1, max_size=3), min_size=2, max_size=4)
    )
    first, second = np.triu_indices(4, 1)
    return experts, first, second


def says(a, b, kind):
    if a == b:
        return 0
    return 1 if (a > b) == (kind == "affine_disparity") else 2


@given(columns(WHOLE), columns(WHOLE), KINDS)
def test_the_nearer_end_of_a_kind_is_closer(a, b, kind):
    assert order(a, b, kind).tolist() == [says(x, y, kind) for x, y in zip(a, b, strict=True)]


def test_a_point_without_a_value_is_in_no_order():
    nothing = np.array([np.nan, 1.0, np.nan])
    assert order(nothing, np.array([1.0, np.nan, np.nan]), METRIC).tolist() == [0, 0, 0]


@pytest.mark.parametrize("tiny", [5e-324, -5e-324, 1e-300])
def test_the_smallest_difference_counts(tiny):
    assert order(np.array([tiny]), np.zeros(1), METRIC)[0] == (2 if tiny > 0 else 1)


@given(panels(), st.lists(st.floats(1e-3, 1e3), min_size=19, max_size=19))
def test_a_strictly_increasing_transform_changes_no_vote(panel, steps):
    experts, first, second = panel
    heights = np.cumsum(steps) - 50
    changed = [[(kind, heights[values.astype(int) + 9]) for kind, values in ways] for ways in experts]
    np.testing.assert_array_equal(cast_votes(experts, first, second).votes, cast_votes(changed, first, second).votes)


@given(panels())
def test_swapping_the_points_swaps_the_votes_and_keeps_the_ratios(panel):
    experts, first, second = panel
    one, other = cast_votes(experts, first, second), cast_votes(experts, second, first)
    np.testing.assert_array_equal(np.array([0, 2, 1])[one.votes], other.votes)
    np.testing.assert_array_equal(one.ratios, other.ratios)


@given(panels(), st.randoms())
def test_the_order_of_experts_permutes_votes_and_changes_no_outcome(panel, chance):
    experts, first, second = panel
    places = list(range(len(experts)))
    chance.shuffle(places)
    one, other = cast_votes(experts, first, second), cast_votes([experts[i] for i in places], first, second)
    np.testing.assert_array_equal(one.votes[places], other.votes)
    for rule in ("any", "all"):
        ratio = compared_ratio(one, rule)
        np.testing.assert_array_equal(ratio, compared_ratio(other, rule))
        np.testing.assert_array_equal(outcomes(one, ratio, 2), outcomes(other, ratio, 2))


@given(panels())
def test_an_expert_votes_what_all_its_ways_say(panel):
    experts, first, second = panel
    cast = cast_votes(experts, first, second)
    for expert, ways in enumerate(experts):
        for pair, (a, b) in enumerate(zip(first, second, strict=True)):
            opinions = {says(values[a], values[b], kind) for kind, values in ways}
            assert cast.votes[expert, pair] == (opinions.pop() if len(opinions) == 1 else 0)


@given(panels())
def test_the_order_of_further_ways_does_not_matter(panel):
    experts, first, second = panel
    turned = [[ways[0], *reversed(ways[1:])] for ways in experts]
    one, other = cast_votes(experts, first, second), cast_votes(turned, first, second)
    np.testing.assert_array_equal(one.votes, other.votes)
    np.testing.assert_array_equal(one.ratios, other.ratios)


@given(columns(st.floats(allow_nan=False, allow_infinity=False)), columns(st.floats(-1e3, 1e3)))
def test_a_ratio_is_at_least_one(a, b):
    assert (depth_ratio(a, b) >= 1).all()


@given(columns(POSITIVE), columns(POSITIVE))
def test_a_ratio_of_positive_values_is_the_larger_over_the_smaller_correctly_rounded(a, b):
    exact = [float(Fraction(max(x, y)) / Fraction(min(x, y))) for x, y in zip(a, b, strict=True)]
    assert depth_ratio(a, b).tolist() == exact


@given(columns(POSITIVE), columns(POSITIVE), POSITIVE)
def test_neither_scaling_nor_inverting_changes_a_ratio(a, b, scale):
    ratio = depth_ratio(a, b)
    np.testing.assert_allclose(depth_ratio(a * scale, b * scale), ratio, rtol=1e-12)
    np.testing.assert_allclose(depth_ratio(1 / a, 1 / b), ratio, rtol=1e-12)
    np.testing.assert_array_equal(depth_ratio(a * 8, b * 8), ratio)


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [(0, 5, np.inf), (5, -1, np.inf), (0, 0, 1), (-1, -4, 1), (0, -4, 1), (7, 7, 1), (5e-324, 1e300, np.inf)],
)
def test_a_ratio_where_values_are_not_all_positive(a, b, ratio):
    assert depth_ratio(np.array([a], float), np.array([b], float)).tolist() == [ratio]


@given(panels(), st.floats(1, 5))
def test_outcomes_by_their_definition(panel, threshold):
    experts, first, second = panel
    cast = cast_votes(experts, first, second)
    for rule, pick in (("any", max), ("all", min)):
        ratio = compared_ratio(cast, rule)
        for pair, outcome in enumerate(outcomes(cast, ratio, threshold)):
            votes = cast.votes[:, pair].tolist()
            heard = [r for r, vote in zip(cast.ratios[:, pair], votes, strict=True) if vote]
            assert ratio[pair] == (pick(heard) if heard else 1)
            if set(votes) in ({1}, {2}):
                assert outcome == "unanimous"
            else:
                assert outcome == ("disputed" if ratio[pair] > threshold else "too_close")


@given(panels(), st.floats(1, 5))
def test_what_all_experts_find_far_apart_any_of_them_does(panel, threshold):
    cast = cast_votes(*panel)
    by_all = outcomes(cast, compared_ratio(cast, "all"), threshold)
    by_any = outcomes(cast, compared_ratio(cast, "any"), threshold)
    assert (by_any[by_all == "disputed"] == "disputed").all()
    assert ((by_all == "unanimous") == (by_any == "unanimous")).all()


def test_a_wavering_expert_has_no_say_in_the_ratio_either():
    steady = [(METRIC, np.array([1.0, 2.0]))]
    wavering = [(METRIC, np.array([9.0, 1.0])), (METRIC, np.array([1.0, 9.0]))]
    cast = cast_votes([steady, wavering], np.array([0]), np.array([1]))
    assert cast.votes.tolist() == [[1], [0]]
    assert compared_ratio(cast, "any").tolist() == compared_ratio(cast, "all").tolist() == [2.0]
    assert outcomes(cast, np.array([2.0]), 1.5).tolist() == ["disputed"]
    nobody = cast_votes([wavering, wavering], np.array([0]), np.array([1]))
    assert compared_ratio(nobody, "any").tolist() == compared_ratio(nobody, "all").tolist() == [1.0]


def test_the_threshold_itself_is_not_exceeded():
    cast = Votes(np.array([[1, 1], [2, 2]], np.int8), np.array([[3.0, 3.0], [1.0, np.nextafter(3.0, 4)]]))
    assert outcomes(cast, compared_ratio(cast, "any"), 3.0).tolist() == ["too_close", "disputed"]
