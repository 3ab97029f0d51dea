import hashlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from da2k.construction import drawing
from da2k.construction.drawing import ReadImage, draw_pairs
from da2k.construction.settings import SelectionSettings
from da2k.depth import DepthKind
from da2k.pairs import Point

A = "images/indoor/a.png"
SIZE = (60, 90)
EVERYTHING = SelectionSettings(attempts=10**6, one_pair_a_mask=False, min_distance=0)


def sha(name):
    return hashlib.sha256(str(name).encode()).hexdigest()


def read_image(points, *values, name="photo", image=A, kind=DepthKind.METRIC_DEPTH):
    """An image whose experts have these values at its key points, in one way each."""
    experts = [[(kind, np.asarray(row, np.float64))] for row in values]
    return ReadImage(image, sha(name), SIZE, np.array(points, np.int32).reshape(-1, 2), experts)


def random_image(count, seed, *, experts=3, name=None):
    rng = np.random.default_rng(seed)
    points = [divmod(int(pixel), SIZE[1]) for pixel in rng.choice(SIZE[0] * SIZE[1], count, replace=False)]
    truth = rng.uniform(1, 10, count)
    return read_image(points, *(truth * rng.uniform(0.3, 3, (experts, count))), name=name or seed)


@st.composite
def images(draw):
    count = draw(st.integers(0, 14))
    points = draw(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 89)), min_size=count, max_size=count))
    value = st.sampled_from([*range(-1, 12), np.nan, np.inf])
    values = draw(st.lists(st.lists(value, min_size=count, max_size=count), min_size=2, max_size=3))
    return read_image(points, *values, name=draw(st.integers(0, 99)), kind=draw(st.sampled_from(DepthKind)))


CHOICES = st.builds(
    SelectionSettings,
    attempts=st.integers(1, 40),
    ratio=st.sampled_from([1.0, 2.0, 3.0]),
    ratio_rule=st.sampled_from(["any", "all"]),
    min_distance=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    one_pair_a_mask=st.booleans(),
    audit=st.sampled_from([0.0, 0.3, 1.0]),
)


def apart(one, other):
    return np.hypot(one[0] - other[0], one[1] - other[1]) / max(SIZE)


@given(images(), CHOICES, st.integers(0, 6), st.integers(0, 3))
def test_what_is_drawn_keeps_every_rule_and_stops_only_when_it_may(image, settings, quota, seed):
    drawn = draw_pairs(image, settings, quota, seed)
    finite = np.all([np.isfinite(values) for ways in image.experts for _, values in ways], axis=0)
    usable = {tuple(point) for point in image.points[finite].tolist()}
    spent: set[Point] = set()
    disputed = 0
    for pair in drawn:
        assert disputed < quota
        assert pair.point1 < pair.point2
        assert {pair.point1, pair.point2} <= usable - spent
        assert apart(pair.point1, pair.point2) >= settings.min_distance - 1e-9
        assert pair.queued == (pair.outcome == "disputed" or pair.audited)
        assert pair.outcome == "unanimous" or not pair.audited
        if pair.outcome == "disputed":
            assert pair.ratio > settings.ratio
            disputed += 1
            spent |= {pair.point1, pair.point2} if settings.one_pair_a_mask else set()
    assert len({pair.id for pair in drawn}) == len(drawn) <= settings.attempts
    if disputed < quota and len(drawn) < settings.attempts:
        left = {frozenset(ends) for ends in combinations(usable - spent, 2) if apart(*ends) >= settings.min_distance}
        assert left <= {frozenset((pair.point1, pair.point2)) for pair in drawn}


@given(images(), CHOICES, st.integers(1, 6))
def test_each_pair_carries_the_votes_at_its_own_points(image, settings, quota):
    values_at = {}
    for index, point in enumerate(image.points.tolist()):
        values_at.setdefault(tuple(point), []).append([values[index] for ((_, values),) in image.experts])
    nearer = max if image.experts[0][0][0].larger_is_nearer else min
    for pair in draw_pairs(image, settings, quota, 0):
        first, second = (next(v for v in values_at[end] if np.isfinite(v).all()) for end in (pair.point1, pair.point2))
        for vote, a, b in zip(pair.votes, first, second, strict=True):
            assert vote == (0 if a == b else 1 if nearer(a, b) == a else 2)


@given(images(), CHOICES, st.integers(0, 6), st.integers(1, 39))
def test_more_attempts_go_on_where_fewer_ended(image, settings, quota, fewer):
    drawn = draw_pairs(image, settings, quota, 0)
    fewer = min(fewer, settings.attempts)
    assert draw_pairs(image, settings.model_copy(update={"attempts": fewer}), quota, 0) == drawn[:fewer]
    disputed = [index for index, pair in enumerate(drawn) if pair.outcome == "disputed"]
    if disputed:
        assert draw_pairs(image, settings, 1, 0) == drawn[: disputed[0] + 1]


@given(images(), CHOICES, st.integers(0, 6), st.randoms())
def test_neither_path_nor_order_of_key_points_matters(image, settings, quota, chance):
    places = [i for i, point in enumerate(image.points.tolist()) if point not in image.points[:i].tolist()]
    image = replace(
        image, points=image.points[places], experts=[[(k, v[places]) for k, v in ways] for ways in image.experts]
    )
    drawn = draw_pairs(image, settings, quota, 0)
    mixed = list(range(len(places)))
    chance.shuffle(mixed)
    other = replace(
        image,
        image="images/aerial/elsewhere.png",
        points=image.points[mixed],
        experts=[[(k, v[mixed]) for k, v in ways] for ways in image.experts],
    )
    again = draw_pairs(other, settings, quota, 0)
    assert [replace(pair, id="", image="") for pair in again] == [replace(pair, id="", image="") for pair in drawn]


@given(images(), CHOICES, st.integers(0, 6))
def test_a_larger_audit_only_adds(image, settings, quota):
    before: set[str] = set()
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        drawn = draw_pairs(image, settings.model_copy(update={"audit": share}), quota, 0)
        audited = {pair.id for pair in drawn if pair.audited}
        assert before <= audited
        before = audited
    assert before == {pair.id for pair in drawn if pair.outcome == "unanimous"}


@given(images(), st.sampled_from([1.0, 2.0, 3.0]))
def test_of_the_same_pairs_rule_all_disputes_some_of_those_of_rule_any(image, ratio):
    disputed = {}
    for rule in ("any", "all"):
        settings = EVERYTHING.model_copy(update={"ratio": ratio, "ratio_rule": rule})
        drawn = draw_pairs(image, settings, 10**6, 0)
        disputed[rule] = {pair.id for pair in drawn if pair.outcome == "disputed"}
    assert disputed["all"] <= disputed["any"]


def test_rule_all_draws_on_where_rule_any_has_its_quota():
    image = random_image(30, 3)
    by_any, by_all = (
        draw_pairs(image, EVERYTHING.model_copy(update={"ratio": 1.5, "ratio_rule": rule}), 2, 0)
        for rule in ("any", "all")
    )
    assert len(by_all) > len(by_any)
    assert [pair.id for pair in by_all[: len(by_any)]] == [pair.id for pair in by_any]


@pytest.mark.parametrize("count", [2, 3, 7, 16, 17, 40])
def test_without_a_limit_every_pair_is_drawn_once(count):
    drawn = draw_pairs(random_image(count, count), EVERYTHING, 10**6, 0)
    assert len(drawn) == len({pair.id for pair in drawn}) == count * (count - 1) // 2


@pytest.mark.parametrize("search", [1, 300, 2**18])
def test_the_few_pairs_that_are_far_enough_apart_are_all_found(monkeypatch, search):
    monkeypatch.setattr(drawing, "_SEARCH", search)
    points = [(row, col) for row in range(0, 60, 4) for col in range(0, 90, 4)]
    rng = np.random.default_rng(0)
    image = read_image(points, *rng.uniform(1, 9, (2, len(points))))
    far = {frozenset(ends) for ends in combinations(points, 2) if apart(*ends) >= 1.0}
    assert 0 < len(far) < 300
    drawn = draw_pairs(image, EVERYTHING.model_copy(update={"min_distance": 1.0}), 10**6, 0)
    assert {frozenset((tuple(p.point1), tuple(p.point2))) for p in drawn} == far
    assert len(drawn) == len(far)


@pytest.mark.parametrize("count", [5, 20])
@pytest.mark.parametrize("place", [0, 1, 9])
def test_every_pair_is_as_likely_as_any_other(count, place):
    points = [(row, 2 * row) for row in range(count)]
    values = np.arange(1.0, count + 1)
    settings = EVERYTHING.model_copy(update={"attempts": place + 1})
    found = dict.fromkeys(combinations(range(count), 2), 0)
    for photo in range(20 * len(found)):
        pair = draw_pairs(read_image(points, values, values, name=photo), settings, 1, 0)[place]
        found[pair.point1.row, pair.point2.row] += 1
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_seeds_and_photographs_draw_differently_and_alike_again():
    settings = SelectionSettings()
    first = draw_pairs(random_image(60, 1), settings, 5, 0)
    assert draw_pairs(random_image(60, 1), settings, 5, 0) == first
    others = [draw_pairs(random_image(60, 1, name=name), settings, 5, seed) for name, seed in ((1, 1), (2, 0))]
    assert all({p.id for p in drawn} != {p.id for p in first} for drawn in others)


def test_several_masks_of_one_point_are_one_key_point():
    image = read_image([(5, 5), (40, 70), (5, 5)], [1, 2, 1], [2, 1, 2])
    assert len(draw_pairs(image, EVERYTHING, 9, 0)) == 1


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [np.inf, -np.inf, 2.0]])
def test_without_two_key_points_there_is_no_pair(values):
    points = [(10 * i, 20 * i) for i in range(len(values))]
    assert draw_pairs(read_image(points, values, values), EVERYTHING, 2, 0) == []


def test_audited_pairs_are_about_the_share_asked_for():
    points = [(row, 3 * row) for row in range(30)]
    settings = EVERYTHING.model_copy(update={"audit": 0.2})
    drawn = [
        pair
        for photo in range(20)
        for pair in draw_pairs(read_image(points, range(1, 31), range(1, 31), name=photo), settings, 1, 0)
    ]
    assert {pair.outcome for pair in drawn} == {"unanimous"}
    assert binomtest(sum(pair.audited for pair in drawn), len(drawn), 0.2).pvalue > 1e-3


def test_thousands_of_key_points_of_which_few_pairs_are_far_enough_apart_need_little_memory():
    import tracemalloc

    rows, cols = np.mgrid[0:64, 0:64] * 10
    points = np.stack([rows.ravel(), cols.ravel()], axis=-1)
    values = np.random.default_rng(0).random(len(points)) + 1
    experts = [[(DepthKind.METRIC_DEPTH, values)], [(DepthKind.METRIC_DEPTH, values[::-1].copy())]]
    read = ReadImage("images/indoor/a.png", "0" * 64, (640, 640), points, experts)
    tracemalloc.start()
    drawn = draw_pairs(read, SelectionSettings(min_distance=1.0, attempts=10**6), 10**6, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert drawn
    assert all(np.hypot(*np.subtract(p.point1, p.point2)) >= 640 for p in drawn)
    assert peak < 100e6, "all 8 million pairs as a list of numbers take several times that"
