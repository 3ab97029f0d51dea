"""Outcomes, counts and accuracy, and the paper's own table through them."""

import json
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from da2k.depth import DepthKind
from da2k.metrics.ordering import Outcome, accuracy, count_outcomes, order_outcomes, summarise
from da2k.results import Counts

values = hnp.arrays(np.float64, 12, elements=st.one_of(st.integers(-3, 3).map(float), st.floats()))


@given(values, values, st.sampled_from(DepthKind))
def test_every_pair_has_one_outcome_and_they_add_up(a, b, kind):
    outcomes = order_outcomes(a, b, kind)
    counts = count_outcomes(outcomes)
    assert counts.total == 12
    for x, y, outcome in zip(a, b, outcomes, strict=True):
        if not (np.isfinite(x) and np.isfinite(y)):
            expected = "invalid"
        elif x == y:
            expected = "tied"
        else:
            nearer = x > y if kind == "affine_disparity" else x < y
            expected = "correct" if nearer else "wrong"
        assert outcome == expected


@given(values, values)
def test_an_inverted_model_gets_what_is_neither_correct_nor_tied(a, b):
    straight = count_outcomes(order_outcomes(a, b, DepthKind.AFFINE_DISPARITY))
    inverted = count_outcomes(order_outcomes(-a, -b, DepthKind.AFFINE_DISPARITY))
    assert inverted.correct == straight.total - straight.correct - straight.tied - straight.invalid
    assert inverted.tied == straight.tied


@given(hnp.arrays(np.float64, 9, elements=st.integers(0, 50)), hnp.arrays(np.float64, 9, elements=st.integers(0, 50)))
def test_any_increasing_transform_changes_nothing(a, b):
    kind = DepthKind.AFFINE_DEPTH
    assert order_outcomes(a, b, kind) == order_outcomes(np.exp(a) - 7, np.exp(b) - 7, kind)


def test_a_constant_map_is_tied_everywhere_and_right_nowhere():
    counts = count_outcomes(order_outcomes(np.ones(2068), np.ones(2068), DepthKind.METRIC_DEPTH))
    assert (counts.correct, counts.tied, accuracy(counts)) == (0, 2068, 0.0)


def test_values_must_belong_together():
    with pytest.raises(ValueError, match="shapes"):
        order_outcomes([1, 2], [1], DepthKind.AFFINE_DEPTH)


def test_an_accuracy_over_nothing_is_not_defined():
    with pytest.raises(ValueError, match="no pairs"):
        accuracy(Counts(total=0))


# Correct pairs per scenario, in the paper's column order, from which Table 14's percentages follow over 2068 pairs
# (arXiv 2406.09414; the integers were recovered from the printed percentages and the pair counts).
PAIRS = (420, 344, 303, 214, 328, 194, 117, 148)
TABLE_14 = {
    "ViT-S": ((390, 320, 298, 202, 314, 187, 116, 143), (92.9, 93.0, 98.4, 94.4, 95.7, 96.4, 99.2, 96.6), 95.3),
}


def check_row(correct, printed, mean):
    scenarios = {
        str(i): Counts(total=n, correct=k, wrong=n - k) for i, (n, k) in enumerate(zip(PAIRS, correct, strict=True))
    }
    overall, summary, each = summarise(scenarios)
    assert overall.total == 2068
    assert [as_printed(each[str(i)].accuracy) for i in range(8)] == list(printed)
    assert as_printed(summary.micro) == mean
    return summary


def as_printed(share):
    """Per cent as the paper prints it: its authors round to two decimals and then to one (317/328 → 96.65 → 96.7)."""
    twice = Decimal(100 * share).quantize(Decimal("0.01"), ROUND_HALF_UP).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return float(twice)


def test_table_14_of_the_paper_recomputes_from_integer_counts():
    summary = check_row(*TABLE_14["ViT-S"])
    assert summary.micro == 1970 / 2068
    assert round(100 * summary.macro, 1) == 95.8, "the paper's mean is micro: the macro mean would print 95.8"


def test_all_rows_of_table_14_follow_from_whole_pairs(shared):
    facts = json.loads((shared / "data/facts/paper_tables_2_3_5_14.json").read_text())
    for row in facts["table14_accuracy_pct"].values():
        *printed, mean = row
        correct = [round(share * n / 100) for share, n in zip(printed, PAIRS, strict=True)]
        check_row(correct, printed, mean)


def test_third_party_counts_recompute(shared):
    facts = json.loads((shared / "data/facts/derived_pair_counts_and_correct.json").read_text())
    assert sum(facts["pairs_per_scenario"].values()) == 2068
    for model in facts["models"].values():
        scenarios = {
            name: Counts(total=n, correct=model["correct"][name], wrong=n - model["correct"][name])
            for name, n in facts["pairs_per_scenario"].items()
        }
        assert summarise(scenarios)[0].correct == model["total_correct"]


def test_deleting_a_prediction_never_raises_the_accuracy():
    before = [Outcome.CORRECT, Outcome.WRONG, Outcome.TIED, Outcome.INVALID]
    for i in range(len(before)):
        after = [*before[:i], Outcome.MISSING, *before[i + 1 :]]
        assert accuracy(count_outcomes(after)) <= accuracy(count_outcomes(before))
