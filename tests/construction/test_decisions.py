from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.decisions import SAYS, Answer, State, decide


def answers(*says, source="person"):
    return [Answer("p", f"person {number}", word, source) for number, word in enumerate(says)]


@pytest.mark.parametrize(
    ("says", "state", "closer", "reason"),
    [
        ([], State.OPEN, None, None),
        (["point1"], State.UNCHECKED, None, None),
        (["point1", "point1"], State.UNCHECKED, None, None),
        (["point1", "point2"], State.UNCHECKED, None, None),
        (["point1"] * 3, State.KEPT, "point1", None),
        (["point2"] * 3, State.KEPT, "point2", None),
        (["point1", "point1", "point2"], State.DISSENT, None, None),
        (["point1", "point1", "point2", "point1"], State.KEPT, "point1", None),
        (["point1", "point2", "point2", "point1"], State.DROPPED, None, "people disagree"),
        (["point1", "point2", "point2", "point1", "point2"], State.KEPT, "point2", None),
        (["cannot_tell"], State.DROPPED, None, "cannot tell"),
        (["point1", "point1", "point1", "bad_sample"], State.DROPPED, None, "bad sample"),
    ],
)
def test_one_answer_and_two_checks(says, state, closer, reason):
    decision = decide(answers(*says))
    assert (decision.state, decision.closer, decision.reason) == (state, closer, reason)
    assert decision.answers == len(says)


def test_dissent_drops_where_it_is_told_to():
    assert decide(answers("point1", "point1", "point2"), dissent="drop").reason == "people disagree"


def test_no_checks_wanted_is_one_answer():
    assert decide(answers("point2"), checks=0).closer == "point2"


def test_a_known_depth_needs_no_checks_and_outvotes_people():
    people = answers("point1", "point1", "point1")
    decision = decide([*people, Answer("p", "renderer", "point2", "exact")])
    assert (decision.state, decision.closer, decision.answers) == (State.KEPT, "point2", 1)


def test_answers_must_belong_together():
    with pytest.raises(ValueError, match="different pairs"):
        decide([Answer("p", "a", "point1"), Answer("q", "b", "point1")])
    with pytest.raises(ValueError, match="once"):
        decide([Answer("p", "a", "point1"), Answer("p", "a", "point2")])


@pytest.mark.parametrize(
    ("says", "state", "closer", "reason"),
    [
        (["point1", "point2"], State.UNCHECKED, None, None),
        (["point1", "point2", "point1"], State.KEPT, "point1", None),
        (["point2", "point2", "point1"], State.KEPT, "point2", None),
        (["point1", "point2", "point2", "point1"], State.DROPPED, None, "people disagree"),
        (["point1", "point2", "point1", "cannot_tell"], State.DROPPED, None, "cannot tell"),
    ],
)
def test_a_majority_of_those_asked_decides_at_once_where_it_is_told_to(says, state, closer, reason):
    decision = decide(answers(*says), dissent="majority")
    assert (decision.state, decision.closer, decision.reason) == (state, closer, reason)


def test_a_majority_keeps_the_number_of_those_who_agree():
    decision = decide(answers("point1", "point2", "point1"), dissent="majority")
    assert (decision.answers, decision.agree) == (3, 2)


def test_two_people_who_differ_have_no_majority():
    assert decide(answers("point1", "point2"), checks=1, dissent="majority").reason == "people disagree"


said = st.lists(st.sampled_from(SAYS), max_size=7)
RULES = st.sampled_from(["fourth", "majority", "drop"])


@given(said, st.integers(0, 4))
def test_nobody_more_is_asked_unless_the_rule_is_to_ask(says, checks):
    """A majority decides as a further answer would that changes nothing; what all say alike, every rule keeps."""
    by_rule = {rule: decide(answers(*says), checks, rule) for rule in ("fourth", "majority", "drop")}
    assert State.DISSENT not in (by_rule["majority"].state, by_rule["drop"].state)
    if by_rule["fourth"].state is State.DISSENT:
        assert len(says) == 1 + checks
        assert len(set(says)) == 2
    else:
        assert by_rule["fourth"] == by_rule["majority"]
    if len(set(says)) == 1:
        assert by_rule["fourth"] == by_rule["majority"] == by_rule["drop"]


@given(said, st.integers(0, 4), RULES, st.randoms())
def test_the_order_of_answers_does_not_matter(says, checks, dissent, chance):
    given_answers = answers(*says)
    shuffled = given_answers.copy()
    chance.shuffle(shuffled)
    assert decide(given_answers, checks, dissent) == decide(shuffled, checks, dissent)


@given(said, st.integers(0, 4), RULES)
def test_what_is_kept_was_checked_and_has_a_majority(says, checks, dissent):
    decision, count = decide(answers(*says), checks, dissent), Counter(says)
    if decision.state is State.KEPT:
        assert len(says) >= 1 + checks
        assert 2 * count[decision.closer] > len(says)
        assert decision.agree == count[decision.closer]
        assert not count["cannot_tell"] + count["bad_sample"]
    else:
        assert decision.closer is None
    assert (decision.reason is not None) is (decision.state is State.DROPPED)


@given(said, st.integers(0, 4), RULES)
def test_naming_the_points_the_other_way_round_turns_the_decision(says, checks, dissent):
    turn = {"point1": "point2", "point2": "point1"}
    there = decide(answers(*says), checks, dissent)
    back = decide(answers(*(turn.get(word, word) for word in says)), checks, dissent)
    assert (back.state, back.closer) == (there.state, turn.get(there.closer))
