import io

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.decisions import Answer, Decision, State
from da2k.construction.release.provenance import (
    EXACT,
    DecidedPair,
    decided_by,
    pseudonyms,
    public_names,
    released_table,
)
from da2k.construction.settings import ExpertSettings
from tests.construction.decided import INDOOR, drawn

ANSWER_LISTS = st.lists(
    st.builds(
        Answer,
        pair=st.sampled_from(["p", "q", "r"]),
        person=st.sampled_from("abcde"),
        says=st.sampled_from(["point1", "cannot_tell"]),
        seconds=st.none() | st.floats(0, 9),
    ),
    unique_by=lambda answer: (answer.pair, answer.person),
)


@given(ANSWER_LISTS, st.randoms())
def test_pseudonyms_are_one_a_person_and_know_no_order(answers, random):
    names = pseudonyms(answers, 7)
    assert set(names) == {answer.person for answer in answers}
    assert set(names.values()) == {f"annotator-{number}" for number in range(1, len(names) + 1)}
    random.shuffle(answers)
    assert pseudonyms(answers, 7) == names


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=6) | st.just("person")), min_size=1))
def test_everybody_who_answered_has_a_name_whatever_the_source_says(given_by):
    answers = [Answer("p", person, "point1", source=source) for person, source in dict(given_by).items()]
    names = decided_by(answers, pseudonyms(answers, 0))
    assert len(names) == len(answers)
    assert names != (EXACT,)


def test_who_knows_the_names_and_the_seed_cannot_number_people_again():
    def numbered(seconds):
        return pseudonyms([Answer("p", person, "point1", seconds=seconds) for person in "abcdefgh"], 0)

    assert len({tuple(numbered(seconds)) for seconds in range(5)}) == 5


def test_experts_that_differ_in_their_folder_only_stay_apart():
    experts = [ExpertSettings(model=f"onnx:{folder}/net.onnx") for folder in ("/a", "/b", "C:\\c", "~/d", "e")]
    names = public_names(experts)
    assert names == ("onnx:net.onnx", "onnx:net.onnx (2)", "onnx:net.onnx (3)", "onnx:net.onnx (4)", "onnx:e/net.onnx")


@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.sampled_from(["point1", "point2"]))
def test_votes_are_told_from_the_truth(votes, closer):
    pair = drawn(INDOOR, (3, 8), (5, 1), votes=tuple(votes))
    experts = [f"expert {number}" for number in range(len(votes))]
    decided = DecidedPair(pair, Decision(State.KEPT, closer, 3, 3), ("annotator-1",))
    (row,) = pd.read_parquet(io.BytesIO(released_table([decided], experts))).to_dict("records")
    near, far = ((3, 8), (5, 1)) if closer == "point1" else ((5, 1), (3, 8))
    assert (row["closer_row"], row["closer_col"], row["farther_row"], row["farther_col"]) == (*near, *far)
    words = {vote["expert"]: vote["vote"] for vote in row["votes"]}
    points = {0: None, 1: (3, 8), 2: (5, 1)}
    assert words == {
        expert: {None: "none", near: "closer", far: "farther"}[points[vote]]
        for expert, vote in zip(experts, votes, strict=True)
    }
    right = sum(points[vote] == near for vote in votes)
    assert (row["experts_right"], row["difficulty"]) == (right, 1 - right / len(votes))
