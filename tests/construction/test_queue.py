import pytest

from da2k.construction.decisions import Answer, State
from da2k.construction.queue import (
    DrawnPair,
    add_manual_pairs,
    read_answers,
    read_decisions,
    read_pairs,
    record_answers,
    write_pairs,
)
from da2k.errors import BadInput
from da2k.pairs import Pair, Point
from tests.construction.conftest import register

A, B = "images/indoor/a.png", "images/object/b#1.png"


@pytest.fixture
def workspace(make_workspace):
    return make_workspace({A: (30, 40), B: (20, 50)})


def drawn(image, one, other, **more):
    return DrawnPair(Pair(image, one, other, 1).id, image, one, other, more.pop("outcome", "disputed"), **more)


def test_pairs_come_back_as_they_were_stored_in_the_paper_s_order(workspace):
    pairs = [
        drawn(B, Point(1, 2), Point(1, 3), outcome="manual", queued=True),
        drawn(A, Point(2, 2), Point(5, 0), votes=(1, 2, 0, 1), ratio=float("inf"), queued=True),
        drawn(A, Point(0, 0), Point(9, 9), outcome="unanimous", votes=(1, 1, 1, 1), ratio=1.5, audited=True),
    ]
    write_pairs(workspace, pairs)
    assert read_pairs(workspace) == [pairs[2], pairs[1], pairs[0]]
    assert read_pairs(workspace, queued_only=True) == [pairs[1], pairs[0]]


def test_a_chosen_pair_is_queued_once_in_the_queue_s_order(workspace):
    high, low = Point(2, 3), Point(9, 1)
    (pair,) = add_manual_pairs(workspace, [(B, low, high)])
    assert (pair.point1, pair.point2, pair.outcome, pair.votes, pair.queued) == (high, low, "manual", (), True)
    assert add_manual_pairs(workspace, [(B, high, low), (B, low, high)]) == [pair]
    add_manual_pairs(workspace, [(B, Point(0, 0), Point(0, 1))])
    assert [p.point1 for p in read_pairs(workspace)] == [Point(0, 0), high]


def test_an_answer_that_names_a_pixel_releases_that_pixel_as_the_closer_one(workspace):
    """In whatever order a person gave the two points."""
    low, high = Point(9, 1), Point(2, 3)
    (pair,) = add_manual_pairs(workspace, [(B, low, high)])
    record_answers(workspace, [Answer(pair.id, who, pair.naming(low)) for who in "abc"])
    decision = read_decisions(workspace)[pair.id]
    assert (decision.state, getattr(pair, decision.closer)) == (State.KEPT, low)
    with pytest.raises(BadInput, match="neither of its points"):
        pair.naming(Point(0, 0))


def test_a_chosen_pair_that_was_drawn_before_is_queued_as_chosen(workspace):
    seen = drawn(A, Point(0, 0), Point(9, 9), outcome="unanimous", votes=(1, 1, 1, 1), ratio=1.5)
    write_pairs(workspace, [seen])
    add_manual_pairs(workspace, [(A, Point(9, 9), Point(0, 0))])
    assert [(p.id, p.outcome, p.votes, p.queued) for p in read_pairs(workspace)] == [(seen.id, "manual", (), True)]


@pytest.mark.parametrize(
    ("image", "point", "message"),
    [
        (A, Point(30, 0), "outside"),
        (A, Point(0, 40), "outside"),
        (A, Point(-1, 0), "outside"),
        (A, Point(1, 1), "two different"),
        ("images/indoor/z.png", Point(0, 0), "not an image"),
    ],
)
def test_a_chosen_pair_must_lie_in_a_photograph(workspace, image, point, message):
    with pytest.raises(BadInput, match=message):
        add_manual_pairs(workspace, [(A, Point(0, 0), Point(1, 1)), (image, point, Point(1, 1))])
    assert read_pairs(workspace) == []


def test_answers_are_one_a_person_and_decide_queued_pairs(workspace):
    asked = drawn(A, Point(2, 2), Point(5, 0), queued=True)
    other = drawn(A, Point(2, 2), Point(6, 0))
    write_pairs(workspace, [asked, other])
    assert record_answers(workspace, [Answer(asked.id, "ann", "point1"), Answer(other.id, "ann", "point2")]) == 1
    record_answers(workspace, [Answer(asked.id, "ann", "point2"), Answer(asked.id, "bob", "point2", seconds=2.5)])
    assert [a.says for a in read_answers(workspace)[asked.id]] == ["point2", "point2"]
    assert {key: d.state for key, d in read_decisions(workspace).items()} == {asked.id: State.UNCHECKED}
    record_answers(workspace, [Answer(asked.id, "cy", "point2")])
    assert read_decisions(workspace)[asked.id].closer == "point2"


def test_an_answer_belongs_to_the_photograph_that_was_shown(workspace):
    asked = drawn(B, Point(1, 2), Point(1, 3), outcome="manual", queued=True)
    write_pairs(workspace, [asked])
    record_answers(workspace, [Answer(asked.id, "ann", "point1")])
    path = workspace.folder / B
    old = path.read_bytes()
    path.write_bytes((workspace.folder / A).read_bytes())
    register(workspace, B, (30, 40))
    assert read_answers(workspace) == {}
    assert read_decisions(workspace)[asked.id].state is State.OPEN
    path.write_bytes(old)
    register(workspace, B, (20, 50))
    assert read_decisions(workspace)[asked.id].state is State.UNCHECKED


def test_answers_survive_their_pair(workspace):
    asked = drawn(A, Point(2, 2), Point(5, 0), queued=True)
    write_pairs(workspace, [asked])
    record_answers(workspace, [Answer(asked.id, "ann", "point1")])
    workspace.db.run("DELETE FROM pairs")
    assert read_decisions(workspace) == {}
    write_pairs(workspace, [asked])
    assert read_decisions(workspace)[asked.id].answers == 1


def test_an_answer_must_say_one_of_four_things_about_a_known_image(workspace):
    with pytest.raises(BadInput, match="none of point1"):
        record_answers(workspace, [Answer(f"{A}#0,0-1,1", "ann", "maybe")])
    good = Answer(f"{A}#0,0-1,1", "ann", "point1")
    with pytest.raises(BadInput, match='source "Exact" is no'):
        record_answers(workspace, [good, Answer(good.pair, "ann", "point1", "Exact")])
    for pair, person, message in (
        ("images/indoor/z.png#0,0-1,1", "ann", "not an image of this workspace"),
        (f"{A}#0,0-1,11269", "ann", "outside the image"),
        (f"{A}#1,1-0,0", "ann", "smaller point first"),
        (f"{A}#0,0", "ann", "no id of a pair"),
        (good.pair, " ", "whose it is"),
    ):
        with pytest.raises(BadInput, match=message):
            record_answers(workspace, [good, Answer(pair, person, "point1")])
    assert read_answers(workspace) == {}


def by_person(workspace, pair):
    return {answer.person: answer.says for answer in read_answers(workspace).get(pair, [])}


def test_what_was_pulled_replaces_what_was_pulled_before_and_leaves_other_answers(workspace):
    asked, other = drawn(A, Point(2, 2), Point(5, 0), queued=True), drawn(A, Point(2, 2), Point(6, 0), queued=True)
    write_pairs(workspace, [asked, other])
    record_answers(workspace, [Answer(asked.id, "ann", "point1")])
    pulled = [Answer(asked.id, "bob", "point2"), Answer(other.id, "bob", "point2")]
    for _ in range(2):
        record_answers(workspace, pulled, origin="label-studio")
        assert by_person(workspace, asked.id) == {"ann": "point1", "bob": "point2"}
    record_answers(workspace, pulled[1:], origin="label-studio")
    assert by_person(workspace, asked.id) == {"ann": "point1"}
    assert by_person(workspace, other.id) == {"bob": "point2"}
    record_answers(workspace, [], origin="label-studio")
    assert list(read_answers(workspace)) == [asked.id]
    record_answers(workspace, [])
    assert by_person(workspace, asked.id) == {"ann": "point1"}


def test_pulled_answers_that_cannot_be_stored_leave_the_earlier_ones(workspace):
    asked = drawn(A, Point(2, 2), Point(5, 0), queued=True)
    write_pairs(workspace, [asked])
    record_answers(workspace, [Answer(asked.id, "bob", "point2")], origin="label-studio")
    with pytest.raises(BadInput, match="none of point1"):
        record_answers(workspace, [Answer(asked.id, "cy", "maybe")], origin="label-studio")
    assert by_person(workspace, asked.id) == {"bob": "point2"}


@pytest.mark.parametrize("later", ["python", "label-studio"])
def test_a_person_counts_once_with_the_answer_given_last_wherever_it_came_in(workspace, later):
    asked = drawn(A, Point(2, 2), Point(5, 0), queued=True)
    write_pairs(workspace, [asked])
    (earlier,) = {"python", "label-studio"} - {later}
    for origin, says, day in ((later, "point2", 2), (earlier, "point1", 1)):
        record_answers(workspace, [Answer(asked.id, "ann", says, given=f"2026-01-0{day}T08:00:00Z")], origin=origin)
    assert by_person(workspace, asked.id) == {"ann": "point2"}
    assert read_decisions(workspace)[asked.id].answers == 1
