"""Pairs and the paths of their images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.errors import BadInput
from da2k.pairs import SCENARIOS, Pair, Point, pair_id, read_pair_id, scenario_of, scenario_order

points = st.builds(Point, st.integers(0, 5000), st.integers(0, 5000))


@given(points, points, st.sampled_from([1, 2]))
def test_exchanging_the_points_changes_nothing_that_is_stated(a, b, closer):
    if a == b:
        with pytest.raises(BadInput, match="two different pixels"):
            Pair("images/indoor/x.jpg", a, b, closer)
        return
    pair = Pair("images/indoor/x.jpg", a, b, closer)
    other = pair.swapped()
    assert (other.closer_point, other.farther_point) == (pair.closer_point, pair.farther_point)
    assert other.id == pair.id
    assert other.point1 == b
    assert other.swapped() == pair


@pytest.mark.parametrize(
    "path", ["/images/a/b.jpg", "images/../b.jpg", "images/a/../../b.jpg", "images\\a\\b.jpg", "images/a/b\0.jpg"]
)
def test_paths_that_leave_the_benchmark_are_refused(path):
    with pytest.raises(BadInput, match=r"leaves|backslashes"):
        scenario_of(path)


@pytest.mark.parametrize("path", ["images/b.jpg", "b.jpg", "photos/indoor/b.jpg", ""])
def test_paths_without_a_scenario_are_refused(path):
    with pytest.raises(BadInput, match="images/<scenario>/<file>"):
        scenario_of(path)


def test_the_scenario_is_the_folder():
    assert scenario_of("images/aerial/sub/b.jpg") == "aerial"


def test_the_papers_scenarios_come_first_in_the_papers_order():
    assert sorted(["zoo", "object", "indoor", "fog"], key=scenario_order) == ["indoor", "object", "fog", "zoo"]
    assert len(SCENARIOS) == 8


def test_a_pair_needs_a_closer_point_and_pixels():
    with pytest.raises(BadInput, match="1 or 2"):
        Pair("images/indoor/x.jpg", Point(0, 0), Point(1, 1), 3)
    with pytest.raises(BadInput, match="negative"):
        Pair("images/indoor/x.jpg", Point(-1, 0), Point(1, 1), 1)


@given(st.text(min_size=1), st.tuples(*[st.integers(0, 2**31 - 1)] * 2), st.tuples(*[st.integers(0, 2**31 - 1)] * 2))
def test_a_pair_s_id_is_read_back_whatever_the_image_is_called(image, one, other):
    one, other = Point(*one), Point(*other)
    if one != other:
        assert pair_id(image, one, other) == pair_id(image, other, one)
        assert read_pair_id(pair_id(image, one, other)) == (image, *sorted((one, other)))


@pytest.mark.parametrize(
    "text", ["", "a#1,2-1,2", "a#3,4-1,2", "a#1,2", "#1,2-3,4", "a#01,2-3,4", "a#-1,2-3,4", "a#1,2-3,4 "]
)
def test_what_is_no_pair_s_id_is_refused(text):
    with pytest.raises(BadInput, match="no id of a pair"):
        read_pair_id(text)
