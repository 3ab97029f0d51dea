"""Alpha against the textbook's coincidence matrix and published examples; people whose errors are known stand out."""

from collections import Counter
from itertools import permutations
from math import comb
from random import Random

import krippendorff
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom

from da2k.metrics.agreement import (
    NOTHING_TWICE,
    ONE_VALUE,
    Share,
    _chance_of_fewer,
    agreement_with_the_rest,
    below_the_others,
    confirmed,
    krippendorff_alpha,
)
from da2k.metrics.intervals import wilson

PEOPLE = ("ann", "bob", "cy", "dee", "eva")


def units(*rows):
    """Units from one text a person; "." is no answer."""
    table = zip(*(row.split() for row in rows), strict=True)
    return {str(n): {PEOPLE[i]: v for i, v in enumerate(column) if v != "."} for n, column in enumerate(table)}


def textbook_alpha(answers):
    """From ordered pairs of answers within a unit, each weighing 1 / (answers of the unit - 1): the coincidences."""
    coincidences = Counter()
    for said in answers.values():
        for one, other in permutations(said.values(), 2):
            coincidences[one, other] += 1 / (len(said) - 1)
    totals = Counter()
    for (value, _), weight in coincidences.items():
        totals[value] += weight
    n = sum(totals.values())
    observed = sum(weight for (one, other), weight in coincidences.items() if one != other)
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2)) / (n - 1) if n else 0
    return 1 - observed / expected if expected else None


@pytest.mark.parametrize(
    ("rows", "alpha"),
    [
        # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections A, B and C (nominal)
        (("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"), 0.095),
        (("a a b b d c c c e d d a", "b a b b b c c c e d d d"), 0.692),
        (
            (
                "1 2 3 3 2 1 4 1 2 . . .",
                "1 2 3 3 2 2 4 1 2 5 . 3",
                ". 3 3 3 2 3 4 2 2 5 1 .",
                "1 2 3 3 2 4 4 1 2 5 1 .",
            ),
            0.743,
        ),
    ],
)
def test_alpha_of_the_published_examples(rows, alpha):
    assert round(krippendorff_alpha(units(*rows)).value, 3) == alpha


VALUES = ["point1", "point2", "cannot_tell"]
said = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(VALUES), max_size=5)
answered = st.lists(said, max_size=12).map(lambda each: {f"unit {n}": unit for n, unit in enumerate(each)})


@given(answered)
def test_alpha_is_that_of_the_coincidence_matrix(answers):
    alpha, expected = krippendorff_alpha(answers), textbook_alpha(answers)
    assert (alpha.value is None) is (expected is None) is (alpha.undefined is not None)
    if expected is not None:
        assert alpha.value == pytest.approx(expected, abs=1e-12)
        rows = [[list(unit.values()).count(value) for value in VALUES] for unit in answers.values()]
        other = krippendorff.alpha(value_counts=rows, value_domain=VALUES, level_of_measurement="nominal")
        assert alpha.value == pytest.approx(other, abs=1e-12)


@given(answered)
def test_alpha_is_at_most_one_and_one_only_where_all_agree(answers):
    alpha = krippendorff_alpha(answers)
    if alpha.value is not None:
        alike = all(len(set(unit.values())) < 2 for unit in answers.values())
        assert alpha.value <= 1
        assert (alpha.value == 1) is alike


@given(answered, st.randoms())
def test_alpha_knows_no_names(answers, chance):
    """Neither of values, nor of people, nor of units, nor their order."""
    values, names = ["x", "y", "z"], list(PEOPLE)
    chance.shuffle(values)
    chance.shuffle(names)
    call = dict(zip(["point1", "point2", "cannot_tell"], values, strict=True)) | dict(zip(PEOPLE, names, strict=True))
    order = list(answers.values())
    chance.shuffle(order)
    other = {str(n): {call[person]: call[value] for person, value in unit.items()} for n, unit in enumerate(order)}
    one, two = krippendorff_alpha(answers), krippendorff_alpha(other)
    assert two.value == (one.value if one.value is None else pytest.approx(one.value, abs=1e-12))
    assert (two.undefined, two.units, two.answers, two.people) == (one.undefined, one.units, one.answers, one.people)


@given(answered, said)
def test_units_with_fewer_than_two_answers_tell_nothing(answers, unit):
    single = dict(list(unit.items())[:1])
    assert krippendorff_alpha({**answers, "single": single}) == krippendorff_alpha(answers)


def test_alpha_that_is_not_defined_says_why_and_is_no_number():
    nothing = krippendorff_alpha({"u": {"ann": "point1"}, "v": {"bob": "point2"}})
    assert (nothing.value, nothing.undefined, nothing.units, nothing.people) == (None, NOTHING_TWICE, 0, 0)
    habit = krippendorff_alpha({"u": {"ann": "point1", "bob": "point1"}, "v": {"ann": "point2"}})
    assert (habit.value, habit.undefined, habit.units, habit.answers) == (None, ONE_VALUE, 1, 2)
    assert krippendorff_alpha({}).undefined == NOTHING_TWICE


def answers_of(errors, count, seed):
    """Everybody answers `count` units, whose truth is one of two values, and errs as often as given by name."""
    chance = Random(seed)
    turn = {"point1": "point2", "point2": "point1"}
    found, truths = {}, {}
    for n in range(count):
        truth = truths[str(n)] = chance.choice(("point1", "point2"))
        found[str(n)] = {p: turn[truth] if chance.random() < error else truth for p, error in errors.items()}
    return found, truths


@pytest.mark.parametrize("error", [0.0, 0.1, 0.3, 0.5])
def test_alpha_of_people_who_err_by_chance_is_what_theory_says(error):
    """Two answers are alike with (1 - e)² + e², by chance with one half: alpha is (1 - 2e)²."""
    answers, _ = answers_of(dict.fromkeys(PEOPLE[:3], error), 20_000, 7)
    assert krippendorff_alpha(answers).value == pytest.approx((1 - 2 * error) ** 2, abs=0.02)


def test_nobody_agrees_with_oneself():
    alone = agreement_with_the_rest({"u": {"ann": "point1"}, "v": {"ann": "point2"}})
    assert alone == {"ann": Share.of(0, 0)}
    differ = agreement_with_the_rest({"u": {"ann": "point1", "bob": "point2"}})
    assert [(share.count, share.total) for share in differ.values()] == [(0, 1), (0, 1)]
    # ann says it twice if she counts herself: of the other two, one says so
    split = agreement_with_the_rest({"u": {"ann": "x", "bob": "x", "cy": "y"}})
    assert (split["ann"].total, split["cy"].total, split["cy"].count) == (0, 1, 0)


@given(answered)
def test_agreement_with_the_rest_is_that_of_the_definition(answers):
    expected = {}
    for unit in answers.values():
        for person, value in unit.items():
            others = Counter(v for p, v in unit.items() if p != person)
            top = [v for v, count in others.items() if 2 * count > others.total()]
            count, total = expected.get(person, (0, 0))
            expected[person] = (count + (top == [value]), total + len(top))
    found = agreement_with_the_rest(answers)
    assert {person: (share.count, share.total) for person, share in found.items()} == expected
    assert list(found) == sorted(found)


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_share_has_wilson_s_interval_and_none_of_nothing(count, more):
    share = Share.of(count, count + more)
    if count + more:
        assert (share.value, share.interval) == (count / (count + more), wilson(count, count + more))
    else:
        assert (share.value, share.interval) == (None, None)


@pytest.mark.parametrize(("count", "total"), [(-1, 2), (3, 2)])
def test_a_share_is_a_part(count, total):
    with pytest.raises(ValueError, match="no share"):
        Share.of(count, total)


def test_the_careless_one_stands_out_and_the_others_do_not():
    errors = {"ann": 0.03, "bob": 0.03, "cy": 0.03, "dee": 0.3}
    for seed in range(20):
        answers, truths = answers_of(errors, 150, seed)
        gold = {p: Share.of(sum(answers[u][p] == truths[u] for u in list(truths)[:60]), 60) for p in errors}
        rest = agreement_with_the_rest(answers)
        assert below_the_others(gold) == below_the_others(rest) == {"dee"}
        assert rest["dee"].interval[1] < min(rest[person].interval[0] for person in ("ann", "bob", "cy"))


def test_intervals_hold_the_known_rate_and_equal_people_are_rarely_named():
    """A 95 % interval misses at 1 in 20; 400 draws miss fewer than 9 % by all chance, and so does the naming."""
    missed = named = 0
    for seed in range(400):
        answers, truths = answers_of(dict.fromkeys(PEOPLE, 0.1), 80, seed)
        right = {p: Share.of(sum(answers[u][p] == truths[u] for u in truths), len(truths)) for p in PEOPLE}
        low, high = right["ann"].interval
        missed += not low <= 0.9 <= high
        named += bool(below_the_others(right)) + bool(below_the_others(agreement_with_the_rest(answers)))
    assert missed / 400 < 0.09
    assert named / 800 < 0.09


def test_few_answers_name_nobody():
    many = {"ann": Share.of(98, 100), "bob": Share.of(97, 100)}
    assert below_the_others({**many, "cy": Share.of(0, 1), "dee": Share.of(0, 0)}) == set()
    assert below_the_others({**many, "cy": Share.of(2, 10)}) == {"cy"}
    assert below_the_others({"ann": Share.of(0, 50)}) == set()
    assert below_the_others({}) == set()


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_of_two_people_the_worse_is_named_by_fisher_s_test(a, lost_a, b, lost_b):
    """Holm doubles the smaller of two chances."""
    chance = float(fisher_exact([[a, lost_a], [b, lost_b]], alternative="less").pvalue)
    by_hand = sum(comb(a + b, i) * comb(lost_a + lost_b, a + lost_a - i) for i in range(a + 1))
    assert chance == pytest.approx(by_hand / comb(a + b + lost_a + lost_b, a + lost_a), rel=1e-6)
    found = below_the_others({"a": Share.of(a, a + lost_a), "b": Share.of(b, b + lost_b)})
    assert ("a" in found) is (2 * chance < 0.05) or abs(2 * chance - 0.05) < 1e-9


def test_confirmed_counts_the_answers_after_the_first():
    share = confirmed([["x", "x", "y", "x"], ["y"], [], ["y", "x"]])
    assert (share.count, share.total, share.interval) == (2, 4, wilson(2, 4))
    assert confirmed([]).value is None


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 30_000), st.integers(0, 30_000))
def test_the_chance_of_fewer_is_scipy_s(good, bad, other_good, other_bad):
    all_good, total = good + other_good, good + bad + other_good + other_bad
    expected = hypergeom.cdf(good, total, all_good, good + bad) if total else 1.0
    assert _chance_of_fewer(good, good + bad, all_good, total) == pytest.approx(float(expected), rel=1e-6, abs=1e-9)
