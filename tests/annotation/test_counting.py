"""What annotations amount to: whose answer counts, what it says, and which pixels were marked."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da2k.annotation.counting import count, pixel
from da2k.annotation.listing import Annotation
from da2k.annotation.tasks import BAD, GIVEN, TIE, A, B, PairTask, PhotoTask
from da2k.construction.decisions import SAYS
from da2k.construction.workspace import TakenImage
from da2k.pairs import Point

IMAGE, PHOTO, OTHER = "images/indoor/a.jpg", "0a" * 32, "1b" * 32
SIZE = (120, 161)
IMAGES = {IMAGE: TakenImage(IMAGE, PHOTO, SIZE, "0" * 16)}
PAIR = f"{IMAGE}#2,3-9,1"
URL = "http://127.0.0.1:1"
NAMES = {(URL, "1"): "ann@lab.org", (URL, "2"): "bob@lab.org"}


def choice(value, control="closer"):
    return [{"from_name": control, "to_name": "img", "type": "choices", "value": {"choices": [value]}}]


def points(**marks):
    """Marks in percent: `points(nearer=(x, y), farther=(x, y))`."""
    return [point(label, *place) for label, place in marks.items()]


def point(label, x, y, **more):
    value = {"x": x, "y": y, "width": 0.3, "keypointlabels": [label]}
    return {"from_name": "point", "to_name": "img", "type": "keypointlabels", "value": value, **more}


def annotation(task, result, person="1", number=1, minute=0, **more):
    """An annotation of a task, a minute after the other."""
    meta = {"da2k": 1, "photo": task.photo}
    meta |= {"pair": task.pair, "swapped": task.swapped} if isinstance(task, PairTask) else {"image": task.image}
    at = f"2026-01-01T00:{minute:02}:00.000000Z"
    fields = {
        "url": URL,
        "project": 3,
        "id": number,
        "task": 1,
        "external_id": task.external_id,
        "meta": json.dumps(meta),
        "person": person,
        "result": json.dumps(result),
        "cancelled": False,
        "seconds": 2.5,
        "created": at,
        "updated": at,
    }
    return Annotation(**{**fields, **more})


TASK = PairTask(PAIR, PHOTO, swapped=False)
BY_HAND = PhotoTask(IMAGE, PHOTO, 1)


def counted(*annotations):
    return count(annotations, NAMES, IMAGES)


def problems(*annotations):
    return [(each.what, each.where) for each in counted(*annotations).problems]


@given(st.booleans(), st.sampled_from(SAYS))
def test_what_a_person_means_survives_the_swap_of_the_letters(swapped, says):
    task = PairTask(PAIR, PHOTO, swapped)
    (answer,) = counted(annotation(task, choice(task.choice(says)))).answers
    assert (answer.pair, answer.says, answer.photo) == (PAIR, says, PHOTO)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_letter_a_stands_where_the_task_puts_it(swapped):
    task = PairTask(PAIR, PHOTO, swapped)
    for letter, place in zip((A, B), task.points, strict=True):
        (answer,) = counted(annotation(task, choice(letter))).answers
        assert {"point1": Point(2, 3), "point2": Point(9, 1)}[answer.says] == place


def test_an_answer_keeps_who_when_and_how_long():
    (answer,) = counted(annotation(TASK, choice(TIE), "2", minute=7, seconds=3.25)).answers
    assert (answer.person, answer.says, answer.seconds) == ("bob@lab.org", "cannot_tell", 3.25)
    assert answer.given == "2026-01-01T00:07:00.000000Z"
    assert answer.source == "person"


def test_a_person_without_a_name_is_known_by_number_and_exports_keep_servers_apart():
    here = annotation(TASK, choice(A), "9")
    there = replace(here, url="file 12345678", person="9")
    gone = replace(here, id=5, person="")
    assert {answer.person for answer in counted(here, there, gone).answers} == {
        "user 9 of project 3",
        "user 9 of file 12345678",
        "a deleted user of project 3",
    }


def test_of_several_annotations_of_one_person_the_last_counts_and_the_others_are_reported():
    first = annotation(TASK, choice(A), number=4, minute=1)
    second = annotation(TASK, choice(B), number=2, minute=3)
    third = annotation(TASK, choice(BAD), number=3, minute=2)
    for order in permutations([first, second, third]):
        (answer,) = counted(*order).answers
        assert answer.says == "point2"
        assert problems(*order) == [("answered twice", f"{TASK.external_id}: ann@lab.org, 3 times; the last counts")]


def test_at_the_same_moment_the_higher_number_is_the_later_one():
    same = [annotation(TASK, choice(letter), number=number) for number, letter in ((7, A), (11, B), (2, TIE))]
    for order in permutations(same):
        assert [answer.says for answer in counted(*order).answers] == ["point2"]


def test_a_change_counts_from_when_it_was_made():
    changed = annotation(TASK, choice(B), number=1, minute=1, updated="2026-01-01T00:30:00.000000Z")
    assert counted(changed, annotation(TASK, choice(A), number=2, minute=9)).answers[0].says == "point2"


def test_an_unreadable_annotation_takes_no_readable_one_away():
    unreadable = annotation(TASK, choice("C"), number=2, minute=9)
    assert [answer.says for answer in counted(annotation(TASK, choice(A)), unreadable).answers] == ["point1"]


def test_a_skip_is_no_answer():
    found = counted(annotation(TASK, choice(A), cancelled=True), annotation(TASK, [], "2", 2, cancelled=True))
    assert (found.answers, found.problems) == ((), ())
    assert found.skipped == {(URL, 3): 2}


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (choice("C"), "unknown choice"),
        (choice("a"), "unknown choice"),
        (choice(7), "unknown choice"),
        ([{**choice(A)[0], "value": {"choices": [A, B]}}], "unknown choice"),
        ([{**choice(A)[0], "value": {"choices": []}}], "unknown choice"),
        ([{**choice(A)[0], "value": None}], "unknown choice"),
        ([*choice(A), *choice(B)], "unknown choice"),
        (choice(A, "nearer"), "unknown control"),
        ([{}], "unknown control"),
        ([], "empty answer"),
        (None, "empty answer"),
        ("A", "empty answer"),
        ({"closer": "A"}, "empty answer"),
        ([[A]], "empty answer"),
    ],
)
def test_what_cannot_be_understood_is_reported_and_not_counted(result, what):
    found = counted(annotation(TASK, result), annotation(TASK, choice(A), "2", 2))
    assert [answer.person for answer in found.answers] == ["bob@lab.org"]
    ((told, where),) = [(each.what, each.where) for each in found.problems]
    assert told == what
    assert where.startswith(f"{TASK.external_id}: ann@lab.org")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"meta": "null"}, "no meta"),
        ({"meta": "{}"}, "no meta"),
        ({"meta": "[1]"}, "no meta"),
        ({"meta": '{"da2k": 1}'}, "no meta"),
        ({"meta": json.dumps({"da2k": 1, "photo": PHOTO})}, "no meta"),
        ({"meta": json.dumps({"da2k": 1, "photo": PHOTO, "swapped": "no"})}, "no meta"),
        ({"meta": json.dumps({"da2k": 1, "photo": OTHER, "swapped": True})}, "no meta"),
        ({"meta": json.dumps({"da2k": 1, "photo": PHOTO, "swapped": True, "pair": "x"})}, "no meta"),
        ({"external_id": ""}, "external_id lost"),
        ({"external_id": "", "meta": "{}"}, "foreign task"),
        ({"external_id": "tower-17", "meta": "null"}, "foreign task"),
    ],
)
def test_tasks_that_do_not_say_what_was_shown_do_not_count(changes, what):
    found = counted(annotation(TASK, choice(A), **changes))
    assert found.answers == ()
    assert [each.what for each in found.problems] == [what]


def test_an_image_that_is_not_taken_in_any_more_is_reported():
    gone = PairTask("images/indoor/gone.jpg#2,3-9,1", PHOTO, swapped=True)
    assert counted(annotation(gone, choice(A))).answers == ()
    ((what, where),) = problems(annotation(gone, choice(A)))
    assert what == "photograph not taken in"
    assert "images/indoor/gone.jpg" in where


def test_answers_to_a_photograph_that_was_replaced_are_kept_for_that_one_and_reported():
    old = PairTask(PAIR, OTHER, swapped=False)
    found = counted(annotation(old, choice(A)), annotation(TASK, choice(B), number=2))
    assert [(answer.photo, answer.says) for answer in found.answers] == [(PHOTO, "point2"), (OTHER, "point1")]
    assert [each.what for each in found.problems] == ["photograph replaced"]


def test_a_pair_outside_the_photograph_that_replaced_its_own_is_not_handed_on():
    old = PairTask(f"{IMAGE}#2,3-500,1", OTHER, swapped=False)
    assert counted(annotation(old, choice(A))).answers == ()
    assert [what for what, _ in problems(annotation(old, choice(A)))] == ["photograph replaced"]


# Pairs chosen by hand


@given(st.data(), st.integers(1, 9000), st.integers(1, 9000))
def test_the_centre_of_each_pixel_is_read_as_that_pixel(data, height, width):
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    assert pixel(100 * (col + 0.5) / width, 100 * (row + 0.5) / height, (height, width)) == (row, col)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 641), (480, 640), (101, 97)])
def test_every_pixel_of_a_photograph_can_be_named(size):
    height, width = size
    columns = [pixel(100 * (col + 0.5) / width, 50, size).col for col in range(width)]
    rows = [pixel(50, 100 * (row + 0.5) / height, size).row for row in range(height)]
    assert (rows, columns) == (list(range(height)), list(range(width)))


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 9000), st.integers(1, 9000))
def test_every_place_on_the_photograph_is_a_pixel_of_it_under_that_place(x, y, height, width):
    row, col = pixel(x, y, (height, width))
    assert 0 <= row < height
    assert 0 <= col < width
    slack = 1e-9
    assert row - slack <= y / 100 * height <= row + 1 + slack
    assert col - slack <= x / 100 * width <= col + 1 + slack


def test_the_far_borders_belong_to_the_last_pixels_and_places_beyond_to_none():
    assert pixel(100, 100, (4, 5)) == (3, 4)
    assert pixel(-0.2, 100.3, (4, 5)) == (3, 0)
    assert pixel(-3, 50, (4, 5)) is None
    assert pixel(50, 103, (4, 5)) is None
    assert pixel(float("nan"), 50, (4, 5)) is None


def centre(row, col):
    return 100 * (col + 0.5) / SIZE[1], 100 * (row + 0.5) / SIZE[0]


@settings(max_examples=60)
@given(st.data())
def test_the_marks_of_a_person_are_a_pair_and_an_answer(data):
    places = st.tuples(st.integers(0, SIZE[0] - 1), st.integers(0, SIZE[1] - 1))
    near, far = data.draw(st.lists(places, min_size=2, max_size=2, unique=True))
    marks = data.draw(st.permutations(points(nearer=centre(*near), farther=centre(*far))))
    found = counted(annotation(BY_HAND, marks, "2"))
    small, large = sorted((near, far))
    key = f"{IMAGE}#{small[0]},{small[1]}-{large[0]},{large[1]}"
    assert dict(found.chosen) == {key: (IMAGE, small, large)}
    (answer,) = found.answers
    says = "point1" if near == small else "point2"
    assert (answer.pair, answer.person, answer.says, answer.photo) == (key, "bob@lab.org", says, PHOTO)


NEAR, FAR = centre(4, 7), centre(70, 110)


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (points(nearer=NEAR), "not one nearer and one farther point"),
        (points(farther=FAR), "not one nearer and one farther point"),
        ([point("nearer", *NEAR), point("nearer", *FAR)], "not one nearer and one farther point"),
        ([*points(nearer=NEAR, farther=FAR), point("farther", 1, 1)], "not one nearer and one farther point"),
        ([point("nearer", *NEAR), point("middle", *FAR)], "not one nearer and one farther point"),
        ([point("nearer", *NEAR), {"from_name": "point"}], "not one nearer and one farther point"),
        (points(nearer=NEAR, farther=(NEAR[0] + 0.1, NEAR[1])), "both points are the same pixel"),
        (points(nearer=NEAR, farther=(300, 20)), "point outside the photograph"),
        (points(nearer=NEAR, farther=("4", 20)), "point outside the photograph"),
        (points(nearer=NEAR, farther=(None, 20)), "point outside the photograph"),
        (points(nearer=NEAR, farther=(float("nan"), 20)), "point outside the photograph"),
        (points(nearer=NEAR, farther=(10**400, 20)), "point outside the photograph"),
        ([point("nearer", *NEAR), point("farther", *FAR, image_rotation=90)], "photograph turned"),
        ([*points(nearer=NEAR, farther=FAR), *choice("no clear pair", "none")], "points and no clear pair"),
        (choice("all clear", "none"), "unknown choice"),
        (choice(A), "unknown control"),
        ([], "empty answer"),
    ],
)
def test_marks_that_are_no_pair_are_reported(result, what):
    found = counted(annotation(BY_HAND, result))
    assert (found.answers, dict(found.chosen)) == ((), {})
    assert [each.what for each in found.problems] == [what]
    assert found.problems[0].where.startswith(f"{BY_HAND.external_id}: ann@lab.org")


def test_no_clear_pair_is_a_finding_and_no_problem():
    found = counted(annotation(BY_HAND, choice("no clear pair", "none")))
    assert (found.answers, dict(found.chosen), found.problems) == ((), {}, ())
    assert found.unclear == ((BY_HAND.external_id, (URL, 3)),)


def test_who_marks_a_photograph_again_withdraws_the_earlier_pair():
    first = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), number=1, minute=1)
    again = annotation(BY_HAND, points(nearer=FAR, farther=centre(9, 9)), number=2, minute=2)
    none = annotation(BY_HAND, choice("no clear pair", "none"), number=3, minute=3)
    assert [*counted(first, again).chosen] == [f"{IMAGE}#9,9-70,110"]
    assert [*counted(first, again, none).chosen] == []
    assert [what for what, _ in problems(first, again)] == ["answered twice"]


def test_pairs_of_two_people_and_of_two_tasks_are_all_chosen():
    marks = [
        annotation(BY_HAND, points(nearer=NEAR, farther=FAR), "1", 1),
        annotation(BY_HAND, points(nearer=FAR, farther=centre(9, 9)), "2", 2),
        annotation(PhotoTask(IMAGE, PHOTO, 2), points(nearer=centre(1, 1), farther=FAR), "1", 3),
    ]
    found = counted(*marks)
    assert len(found.chosen) == 3
    assert len(found.answers) == 3
    assert found.problems == ()


def test_the_answer_sent_with_a_chosen_pair_is_the_same_persons_and_no_second_one():
    marked = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), minute=1)
    task = PairTask(f"{IMAGE}#4,7-70,110", PHOTO, swapped=True)
    sent = annotation(task, choice(task.choice("point1")), number=2, minute=2)
    found = counted(marked, sent)
    assert [(answer.person, answer.says) for answer in found.answers] == [("ann@lab.org", "point1")]
    assert found.problems == ()


OF_HAND = PairTask(f"{IMAGE}#4,7-70,110", PHOTO, swapped=True)
"""The pair that `points(nearer=NEAR, farther=FAR)` makes; the nearer is point1."""


def copy_of(says, minute, **more):
    """What push puts into the task of a chosen pair."""
    return annotation(
        OF_HAND, [{**choice(OF_HAND.choice(says))[0], "id": GIVEN}], number=2, minute=minute, seconds=None, **more
    )


def test_marks_that_were_corrected_count_though_the_copy_of_the_first_ones_is_later():
    corrected = "2026-01-01T00:02:00.000000Z"
    marked = annotation(BY_HAND, points(nearer=FAR, farther=NEAR), minute=1, updated=corrected)
    found = counted(marked, copy_of("point1", 5))
    (answer,) = found.answers
    assert (answer.says, answer.seconds, answer.given) == ("point2", 2.5, "2026-01-01T00:01:00.000000Z")
    assert found.problems == ()


@pytest.mark.parametrize(("changed", "says"), [("01.9", "point1"), ("02.1", "cannot_tell")])
def test_a_copy_that_its_person_changed_counts_with_the_time_of_the_marks(changed, says):
    marked = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), minute=1)
    found = counted(marked, copy_of("cannot_tell", 5, updated=f"2026-01-01T00:05:{changed}00000Z"))
    (answer,) = found.answers
    assert (answer.says, answer.seconds, answer.given) == (says, 2.5, "2026-01-01T00:01:00.000000Z")
    assert found.problems == ()


def test_of_marks_and_a_copy_that_were_both_changed_the_later_counts():
    copy = copy_of("cannot_tell", 5, updated="2026-01-01T00:06:00.000000Z")
    for last, says in ((4, "cannot_tell"), (9, "point2")):
        corrected = f"2026-01-01T00:0{last}:00.000000Z"
        marked = annotation(BY_HAND, points(nearer=FAR, farther=NEAR), minute=1, updated=corrected)
        assert [answer.says for answer in counted(marked, copy).answers] == [says]


def test_a_copy_counts_where_no_marks_of_its_person_do():
    other = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), "2", minute=1)
    assert {(a.person, a.says) for a in counted(other, copy_of("point2", 5)).answers} == {
        ("ann@lab.org", "point2"),
        ("bob@lab.org", "point1"),
    }
    gone = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), minute=1, cancelled=True)
    assert [answer.says for answer in counted(gone, copy_of("point1", 5)).answers] == ["point1"]


def test_an_answer_of_its_own_to_the_pairs_task_is_no_copy():
    marked = annotation(BY_HAND, points(nearer=NEAR, farther=FAR), minute=1)
    own = annotation(OF_HAND, choice(OF_HAND.choice("bad_sample")), number=3, minute=7)
    found = counted(marked, copy_of("point1", 5), own)
    assert [(a.says, a.given) for a in found.answers] == [("bad_sample", "2026-01-01T00:07:00.000000Z")]
    assert found.problems == ()


def test_a_pair_chosen_on_a_photograph_that_was_replaced_is_chosen_no_more():
    found = counted(annotation(PhotoTask(IMAGE, OTHER, 1), points(nearer=NEAR, farther=FAR)))
    assert (found.answers, dict(found.chosen)) == ((), {})
    assert [each.what for each in found.problems] == ["photograph replaced"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["from_name", "value", "choices", "x", "y", "keypointlabels", "image_rotation"])
VALUES = st.sampled_from(["closer", "point", "none", "nearer", "farther", A, 50]) | ANYTHING
NEARLY = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=12)


@settings(max_examples=300)
@given(NEARLY, NEARLY, st.sampled_from([TASK, BY_HAND]), st.sampled_from(["result", "meta"]))
def test_nothing_that_json_can_hold_goes_uncounted_and_unreported(result, meta, task, which):
    broken = {"result": json.dumps(result)} if which == "result" else {"meta": json.dumps(meta)}
    found = counted(replace(annotation(task, choice(A)), **broken))
    assert len(found.answers) + len(found.unclear) + len(found.problems) == 1
