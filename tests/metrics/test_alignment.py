"""Solvers against exact rational arithmetic, numpy's own least squares, and linear programming."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from da2k.metrics.alignment import CHUNK, IDENTITY, Fit, least_absolute, least_squares, median_ratio

finite = st.floats(-1e6, 1e6, width=32)


def exact_fit(prediction, target):
    """The least-squares line in rational arithmetic: no rounding before the end."""
    xs, ys = [Fraction(float(p)) for p in prediction], list(target)
    n = len(xs)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    variance = sum((x - mean_x) ** 2 for x in xs)
    scale = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / variance
    return scale, mean_y - scale * mean_x


def random_case(rng):
    """A prediction, float32 or float64, with any offset and spread, and depths of any range."""
    n = int(rng.integers(2, 30))
    offset, spread = rng.choice([0, 1, -30, 1e4]), 10 ** rng.uniform(-2, 3)
    prediction = (offset + spread * rng.standard_normal(n)).astype(rng.choice([np.float32, np.float64]))
    truth = (10 ** rng.uniform(-3, 3) + 10 ** rng.uniform(-2, 2) * rng.random(n)).astype(np.float32)
    return prediction, truth


@pytest.mark.parametrize("inverse", [False, True])
def test_least_squares_equals_rational_arithmetic_in_a_thousand_cases(inverse):
    rng = np.random.default_rng(7)
    worst = 0.0
    for _ in range(1000):
        prediction, truth = random_case(rng)
        if (prediction == prediction[0]).all():
            continue
        target = [1 / Fraction(float(g)) if inverse else Fraction(float(g)) for g in truth]
        fit = least_squares(prediction, truth, inverse=inverse)
        scale, shift = exact_fit(prediction, target)
        largest = max(abs(t) for t in target)
        for p in prediction:
            aligned = fit.scale * float(p) + fit.shift
            worst = max(worst, abs(float((Fraction(aligned) - (scale * Fraction(float(p)) + shift)) / largest)))
        assert not fit.degenerate
    assert worst <= 1e-9


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
@pytest.mark.parametrize("inverse", [False, True])
def test_least_squares_of_many_pixels_equals_numpy(count, inverse):
    rng = np.random.default_rng(count)
    truth = rng.uniform(0.5, 80, count).astype(np.float32)
    prediction = (300 / truth + rng.normal(0, 2, count)).astype(np.float32)
    target = 1 / truth.astype(np.float64) if inverse else truth.astype(np.float64)
    matrix = np.stack([prediction.astype(np.float64), np.ones(count)], axis=1)
    expected = np.linalg.lstsq(matrix, target, rcond=None)[0]
    fit = least_squares(prediction, truth, inverse=inverse)
    assert (fit.scale, fit.shift) == pytest.approx(expected, rel=1e-10)


def test_an_unlucky_sample_of_the_middle_costs_no_accuracy():
    """All values that the middle is taken from are 0; the others lie 10,000 deviations away from it."""
    rng = np.random.default_rng(3)
    count = 1_000_000
    prediction = 1e4 + rng.standard_normal(count)
    prediction[:: -(-count // 1025) | 1] = 0.0
    truth = 2 * prediction + 5 + rng.standard_normal(count)
    centred, level = prediction - prediction.mean(), truth.mean()
    scale = float(centred @ (truth - level) / (centred @ centred))
    fit = least_squares(prediction, truth)
    assert fit.scale == pytest.approx(scale, rel=1e-11)
    assert fit.scale * prediction.mean() + fit.shift == pytest.approx(level, rel=1e-11)


@given(st.lists(finite, min_size=2, max_size=40, unique=True), st.floats(-100, 100), st.floats(-100, 100))
def test_least_squares_recovers_scale_and_shift(prediction, scale, shift):
    p = np.array(prediction)
    fit = least_squares(p, scale * p + shift)
    size = abs(scale) * np.abs(p).max() + abs(shift) + 1e-300
    assert np.abs(fit.scale * p + fit.shift - (scale * p + shift)).max() <= 1e-12 * size


@given(st.floats(0.01, 100), st.floats(0.01, 1))
def test_least_squares_recovers_a_disparity(scale, shift):
    truth = np.random.default_rng(0).uniform(0.5, 80, 500)
    fit = least_squares((1 / truth - shift) / scale, truth, inverse=True)
    assert (fit.scale, fit.shift) == pytest.approx((scale, shift), rel=1e-9)


def test_a_prediction_that_runs_against_the_truth_keeps_its_negative_scale():
    truth = np.array([1.0, 2.0, 4.0])
    assert least_squares(-truth, truth).scale == pytest.approx(-1)
    assert least_squares(truth, truth, inverse=True).scale < 0


@pytest.mark.parametrize("value", [0.0, 0.1, -7e20, 1e-30])
@pytest.mark.parametrize("count", [1, 2, 1000, 2 * CHUNK + 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_prediction_becomes_the_mean_as_numpys_least_norm_solution_does(value, count, dtype):
    prediction = np.full(count, value, dtype)
    truth = np.random.default_rng(count).uniform(1, 9, count).astype(np.float32)
    fit = least_squares(prediction, truth)
    assert (fit.scale, fit.degenerate) == (0, True)
    assert fit.shift == pytest.approx(truth.astype(np.float64).mean(), rel=1e-12)
    if abs(value) < 1:
        matrix = np.stack([prediction.astype(np.float64), np.ones(count)], axis=1)
        expected = matrix @ np.linalg.lstsq(matrix, truth.astype(np.float64), rcond=None)[0]
        assert np.allclose(fit.shift, expected, rtol=1e-12, atol=0)


def test_values_one_rounding_apart_are_not_constant():
    prediction = np.array([1.0, np.nextafter(1.0, 2.0)])
    fit = least_squares(prediction, np.array([1.0, 2.0]))
    assert not fit.degenerate
    assert fit.scale == pytest.approx(2.0**52)


def test_a_constant_truth_has_scale_zero_and_is_not_degenerate():
    assert least_squares(np.array([1.0, 2.0, 7.0]), np.full(3, 0.1)) == Fit(0.0, 0.1)


@pytest.mark.parametrize("solver", [least_squares, median_ratio, least_absolute])
def test_no_pixel_and_unequal_shapes_are_refused(solver):
    with pytest.raises(ValueError, match="no pixel"):
        solver(np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="shapes"):
        solver(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="shapes"):
        solver(np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("solver", [least_squares, least_absolute])
def test_values_that_are_not_finite_are_refused(solver):
    good = np.arange(1.0, 6.0)
    for bad in (np.nan, np.inf, -np.inf):
        broken = good.copy()
        broken[3] = bad
        with pytest.raises(ValueError, match="finite"):
            solver(broken, good)
        with pytest.raises(ValueError, match="finite"):
            solver(good, broken)
    for zero_at in range(5):
        with pytest.raises(ValueError, match="finite"):
            solver(good, np.where(np.arange(5) == zero_at, 0.0, good), inverse=True)


def test_least_squares_holds_little_memory():
    prediction, truth = np.random.default_rng(0).random((2, 4_000_000), np.float32)
    tracemalloc.start()
    least_squares(prediction, truth)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < prediction.nbytes / 8


@given(st.lists(st.tuples(st.floats(2**-10, 1e4, width=32), st.floats(2**-10, 1e4, width=32)), min_size=1, max_size=60))
def test_median_ratio_equals_numpys_medians(pairs):
    prediction, truth = np.array(pairs, np.float32).T
    expected = np.median(truth.astype(np.float64)) / np.median(prediction.astype(np.float64))
    fit = median_ratio(prediction, truth)
    assert fit.scale == pytest.approx(expected, rel=1e-12)
    assert (fit.shift, fit.degenerate) == (0, False)


def test_median_ratio_is_no_median_of_ratios():
    prediction, truth = np.array([1.0, 2.0, 10.0]), np.array([5.0, 2.0, 4.0])
    assert median_ratio(prediction, truth).scale == 2
    assert np.median(truth / prediction) == 1


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9),
    st.floats(0, exclude_min=True, allow_infinity=False),
)
def test_median_ratio_is_finite_for_every_finite_prediction(prediction, depth):
    p = np.array(prediction)
    fit = median_ratio(p, np.full(len(p), depth))
    assert np.isfinite(fit.scale)
    if np.median(p / 2) <= 0:
        assert fit == Fit(0.0, 0.0, degenerate=True)


def least_total(prediction, target, weights):
    """The least weighted sum of absolute errors, by linear programming."""
    n = len(prediction)
    equal = np.hstack([np.stack([prediction, np.ones(n)], axis=1), np.eye(n), -np.eye(n)])
    free, positive = [(None, None)] * 2, [(0, None)] * (2 * n)
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    cost = np.concatenate([[0, 0], weights, weights])
    found = linprog(cost, A_eq=equal, b_eq=target, bounds=free + positive, method="highs", options=tight)
    assert found.status == 0
    return found.fun


def total(fit, prediction, target, weights):
    return float(np.sum(weights * np.abs(fit.scale * prediction + fit.shift - target)))


@pytest.mark.parametrize("case", range(120))
def test_least_absolute_equals_linear_programming(case):
    rng = np.random.default_rng(case)
    n = int(rng.integers(2, 60)) if case % 10 else 400
    # Small integers, so that many pixels are met at once and many lines are equally good.
    prediction = rng.normal(3, 2, n) if case % 2 else rng.integers(0, 5, n).astype(float)
    prediction[0] += 0.5
    truth = rng.standard_t(1.5, n) + 2 * prediction if case % 3 else rng.integers(1, 6, n).astype(float)
    weights = rng.random(n) + 0.01 if case % 4 else np.ones(n)
    inverse = case % 3 == 0
    target = 1 / truth if inverse else truth
    fit = least_absolute(prediction, truth, None if case % 4 == 0 else weights, inverse=inverse)
    expected = least_total(prediction, target, weights)
    assert total(fit, prediction, target, weights) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@given(st.lists(finite, min_size=5, max_size=40, unique=True), st.floats(-10, 10), st.floats(-100, 100), st.integers(0))
def test_least_absolute_recovers_scale_and_shift(prediction, scale, shift, seed):
    p = np.array(prediction)
    fit = least_absolute(p, scale * p + shift, np.random.default_rng(seed).random(len(p)) + 0.1)
    size = abs(scale) * np.abs(p).max() + abs(shift) + 1e-300
    assert np.abs(fit.scale * p + fit.shift - (scale * p + shift)).max() <= 1e-9 * size


def test_outliers_move_least_squares_but_not_least_absolute():
    rng = np.random.default_rng(0)
    p = rng.uniform(1, 5, 1000)
    truth = 2 * p + 1
    truth[rng.choice(1000, 300, replace=False)] = 500.0
    fit = least_absolute(p, truth)
    assert (fit.scale, fit.shift) == pytest.approx((2, 1), abs=1e-9)
    assert abs(least_squares(p, truth).shift - 1) > 10


@given(
    st.lists(st.tuples(finite, st.floats(0.5, 1e3, width=32), st.floats(0, 9)), min_size=1, max_size=30),
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
)
def test_no_line_is_better_than_least_absolutes(rows, more_scale, more_shift):
    p, truth, weights = np.array(rows, np.float64).T
    if not weights.any():
        with pytest.raises(ValueError, match="not all 0"):
            least_absolute(p, truth, weights)
        return
    fit = least_absolute(p, truth, weights)
    reached = total(fit, p, truth, weights)
    # The line through the plain least-squares fit, and one beside ours.
    for other in (least_squares(p, truth), Fit(fit.scale + more_scale, fit.shift + more_shift), IDENTITY):
        size = np.sum(weights * (abs(other.scale * p) + abs(truth) + abs(fit.scale * p)))
        assert reached <= total(other, p, truth, weights) + 1e-11 * size


def test_pixels_of_weight_zero_do_not_count():
    p, truth = np.array([1.0, 2.0, 3.0, 50.0]), np.array([3.0, 5.0, 7.0, -9.0])
    fit = least_absolute(p, truth, np.array([1.0, 1.0, 1.0, 0.0]))
    assert (fit.scale, fit.shift) == pytest.approx((2, 1), abs=1e-12)
    alone = least_absolute(p, truth, np.array([0.0, 0.0, 0.5, 0.0]))
    assert alone == Fit(0.0, 7.0, degenerate=True)


def test_least_absolute_of_a_constant_prediction_is_the_weighted_median():
    truth = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    assert least_absolute(np.full(5, 0.3), truth) == Fit(0.0, 3.0, degenerate=True)
    heavy = least_absolute(np.full(5, 0.3), truth, np.array([1.0, 1.0, 1.0, 1.0, 9.0]))
    assert heavy == Fit(0.0, 100.0, degenerate=True)


def test_negative_weights_and_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        least_absolute(np.arange(3.0), np.ones(3), np.array([1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="shapes"):
        least_absolute(np.arange(3.0), np.ones(3), np.ones(4))
