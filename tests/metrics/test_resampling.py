"""Intervals and p-values by resampling against the exact distributions, scipy, and known laws."""

import tracemalloc
from itertools import product
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import binom, norm, permutation_test

from da2k.metrics.resampling import bootstrap_means, sign_flip_p


def test_bounds_of_a_share_are_quantiles_of_the_binomial():
    """The resampled sum of zeros and ones is binomial."""
    values = np.repeat([1.0, 0.0], [30, 70])[:, None]
    low, high = bootstrap_means(values, resamples=40_000)[0]
    for bound, tail in ((low, 0.025), (high, 0.975)):
        assert abs(binom.cdf(round(100 * bound), 100, 0.3) - tail) < 0.02


def test_bounds_of_many_images_are_the_normal_ones():
    values = np.random.default_rng(0).gamma(2, 3, (2000, 1))
    half = norm.ppf(0.95) * values.std() / np.sqrt(2000)
    low, high = bootstrap_means(values, level=0.9)[0]
    assert low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_three_images_against_all_their_resamples():
    values = np.array([1.0, 2.0, 6.0])
    means = [np.mean(drawn) for drawn in product(values, repeat=3)]
    expected = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    assert bootstrap_means(values[:, None], level=0.8)[0] == pytest.approx(expected)
    assert expected == pytest.approx([4 / 3, 14 / 3])


def test_all_columns_see_the_same_resamples():
    column = np.random.default_rng(1).normal(size=60)
    bounds = bootstrap_means(np.stack([column, 4 * column + 1, -column], axis=1))
    assert bounds[1] == pytest.approx(4 * bounds[0] + 1)
    assert bounds[2] == pytest.approx(-bounds[0][::-1])


tables = st.integers(1, 30).flatmap(
    lambda images: st.lists(st.lists(st.floats(-1e9, 1e9), min_size=images, max_size=images), min_size=1, max_size=3)
)


@hypothesis_settings(max_examples=50)
@given(tables, st.integers(1, 40), st.sampled_from([0.01, 0.5, 0.95]), st.integers(0, 2**32))
def test_the_mean_lies_in_the_interval_and_the_interval_in_the_values(columns, resamples, level, seed):
    table = np.array(columns).T
    bounds = bootstrap_means(table, level=level, resamples=resamples, seed=seed)
    assert bounds.shape == (table.shape[1], 2)
    size = 1e-12 * np.abs(table).max(axis=0)
    for (low, high), column in zip(bounds, columns, strict=True):
        for mean in (np.mean(column), fsum(column) / len(column)):
            assert low <= mean <= high
    assert (bounds[:, 0] <= table.mean(axis=0)).all()
    assert (table.mean(axis=0) <= bounds[:, 1]).all()
    assert (table.min(axis=0) - size <= bounds[:, 0]).all()
    assert (bounds[:, 1] <= table.max(axis=0) + size).all()


@pytest.mark.parametrize("images", [1, 7, 654])
def test_equal_values_have_no_interval(images):
    bounds = bootstrap_means(np.full((images, 2), 0.1), resamples=100)
    assert bounds == pytest.approx(0.1, rel=1e-14)


def test_one_image_is_its_own_bounds():
    assert bootstrap_means(np.array([[0.1, 1e9, -3.3]])).tolist() == [[0.1, 0.1], [1e9, 1e9], [-3.3, -3.3]]


def test_the_seed_decides():
    values = np.random.default_rng(0).normal(size=(50, 2))
    first = bootstrap_means(values, seed=3)
    assert (first == bootstrap_means(values, seed=3)).all()
    assert (first != bootstrap_means(values, seed=4)).all()


def test_resampling_thousands_of_images_stays_under_64_megabytes():
    table = np.random.default_rng(0).random((1064, 11))
    tracemalloc.start()
    bootstrap_means(table)
    sign_flip_p(table[:, 0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize(
    ("table", "more"),
    [
        (np.empty((0, 3)), {}),
        (np.ones(3), {}),
        (np.array([[1.0], [np.nan]]), {}),
        (np.ones((3, 1)), {"level": 1.0}),
        (np.ones((3, 1)), {"level": 0.0}),
        (np.ones((3, 1)), {"resamples": 0}),
    ],
)
def test_no_interval_is_made_up(table, more):
    with pytest.raises(ValueError):
        bootstrap_means(table, **more)


@pytest.mark.parametrize("seed", range(6))
def test_sign_flips_equal_the_exact_test(seed):
    differences = np.random.default_rng(seed).normal(0.3, 1, 9)
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=9)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)
    assert sign_flip_p(differences, resamples=20_000) == pytest.approx(exact, abs=5 * np.sqrt(exact / 20_000) + 1e-4)
    by_scipy = permutation_test((differences, np.zeros(9)), lambda a, b: np.mean(a - b), permutation_type="samples")
    assert exact == pytest.approx(by_scipy.pvalue, abs=0.004)


@pytest.mark.parametrize("seed", range(10))
def test_rounding_makes_no_flip_less_far_than_the_data(seed):
    """Sums of whole numbers are exact, those of their tenths are not; many flips have the same sum as the data."""
    whole = np.random.default_rng(seed).integers(-9, 10, 8).astype(float)
    assert sign_flip_p(whole / 10) == sign_flip_p(whole)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30), st.integers(0, 99))
def test_laws_of_the_p_value(differences, seed):
    values = np.array(differences)
    p = sign_flip_p(values, resamples=200, seed=seed)
    assert 1 / 201 <= p <= 1
    assert p == sign_flip_p(-values, resamples=200, seed=seed) == sign_flip_p(2 * values, resamples=200, seed=seed)


def test_models_that_never_differ_have_p_one_and_p_is_never_zero():
    assert sign_flip_p(np.zeros(100)) == 1
    assert sign_flip_p(np.linspace(1, 2, 100), resamples=999) == 1 / 1000


def test_p_values_of_models_that_are_alike_are_uniform():
    rng = np.random.default_rng(0)
    found = [sign_flip_p(rng.standard_normal(40), resamples=400, seed=i) for i in range(400)]
    for level in (0.05, 0.25, 0.5):
        assert abs(np.mean(np.array(found) <= level) - level) < 4 * np.sqrt(level * (1 - level) / 400)


@pytest.mark.parametrize("differences", [np.empty(0), np.ones((2, 2)), np.array([1.0, np.inf])])
def test_no_p_value_is_made_up(differences):
    with pytest.raises(ValueError):
        sign_flip_p(differences)
