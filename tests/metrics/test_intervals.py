"""Intervals and tests against statsmodels, which is tested against R and SAS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from da2k.metrics.intervals import holm, mcnemar_exact, wilson


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_equals_statsmodels(total, share, level):
    successes = round(share * total)
    expected = proportion_confint(successes, total, alpha=1 - level, method="wilson")
    assert wilson(successes, total, level) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 5000))
def test_wilson_at_the_edges_stays_inside_and_is_not_empty(total):
    low, high = wilson(total, total)
    assert high == 1
    assert low < 1
    assert wilson(0, total)[0] == 0


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_impossible_counts(counts):
    with pytest.raises(ValueError, match="no interval"):
        wilson(*counts)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_statsmodels(only_a, only_b):
    expected = mcnemar([[50, only_a], [only_b, 50]], exact=True).pvalue if only_a + only_b else 1.0
    assert mcnemar_exact(only_a, only_b) == pytest.approx(float(expected), abs=1e-10)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)
