"""The whole loop on a real server: push, people answer, pull, and a release that says what they said."""

import json
from collections import Counter

import pytest

from da2k.annotation.campaign import read_campaign
from da2k.annotation.pull import pull
from da2k.annotation.push import push
from da2k.construction.pipeline import build
from da2k.construction.queue import add_manual_pairs, read_decisions, read_pairs, write_pairs
from da2k.construction.release import make_release
from da2k.errors import BadInput
from da2k.pairs import read_pair_id
from tests.annotation.asked import choice, connect, marked
from tests.annotation.conftest import CHOSEN, OBJECT, PAIRS, SIZES

BY_PYTHON = f"{OBJECT}#4,7-70,110"
SCENARIOS = {"indoor": {}, "adverse_style": {}, "object": {"selection": "manual", "quota": 3}}
KEYS = [*(pair.id for pair in PAIRS), BY_PYTHON]


@pytest.fixture
def people(studio):
    return {name: studio.person(name) for name in ("ann", "bo", "cy", "dee")}


@pytest.fixture
def make_ready(make_campaign):
    """A workspace in which all stages are done, so that a release needs nothing but people."""

    def make(**settings):
        workspace = make_campaign(**settings)
        assert not any(report.failures for report in build(workspace))
        workspace.db.run("DELETE FROM pairs")
        with workspace.db.transaction():
            write_pairs(workspace, PAIRS)
        add_manual_pairs(workspace, [CHOSEN])
        return workspace

    return make


class Loop:
    """A workspace and a server; people take the tasks that the server gives them."""

    def __init__(self, studio, workspace, people, kinds=("pairs",)):
        self.studio, self.workspace, self.people, self.kinds = studio, workspace, people, kinds
        self.server = connect(studio)
        self.said = {}  # pair → person → what the person means

    def push(self):
        reports = push(self.workspace, self.server, root=self.studio.root, kinds=self.kinds)
        assert not any(report.failures for report in reports)
        return {report.kind: report for report in reports}

    def pull(self):
        return {report.kind: report for report in pull(self.workspace, self.server, kinds=self.kinds)}

    def tasks(self, name, kind="pairs"):
        """The tasks that the server gives a person, one after the other, while the person hands each in."""
        project = read_campaign(self.workspace, kind).project
        token = self.people[name].token
        meta = {task["id"]: task["meta"] for page in self.server.task_pages(project) for task in page}
        for _ in range(50):
            given = self.studio.api("GET", f"/api/projects/{project}/next", token)
            if given.status_code == 404:
                return
            yield {**given.json(), "meta": meta[given.json()["id"]]}
        raise AssertionError("the server gives tasks without end")

    def hand_in(self, name, task, result):
        path = f"/api/tasks/{task['id']}/annotations/"
        done = self.studio.api("POST", path, self.people[name].token, json={"result": result, "lead_time": 3.0})
        assert done.status_code == 201

    def answer(self, name, means):
        """Answer all that the server gives; `means` maps a pair to what the person means. The tasks, by pair."""
        answered = {}
        for task in self.tasks(name):
            pair, swapped = task["meta"]["pair"], task["meta"]["swapped"]
            says = means.get(pair, "point1")
            letter = {"cannot_tell": "tie", "bad_sample": "bad"}.get(says) or "AB"[(says == "point2") != swapped]
            self.hand_in(name, task, choice(letter))
            self.said.setdefault(pair, {})[name] = says
            answered[pair] = task
        return answered

    def expected(self):
        """What a release holds of what was said: (image, closer, farther); counted here, not by da2k."""
        found = set()
        for pair, said in self.said.items():
            image, *points = read_pair_id(pair)
            votes = Counter(said.values())
            (most, count), *_ = votes.most_common()
            if votes["cannot_tell"] or votes["bad_sample"] or len(said) < 3 or 2 * count <= len(said):
                continue
            closer, farther = points if most == "point1" else reversed(points)
            found.add((image, tuple(closer), tuple(farther)))
        return found

    def release(self, out):
        make_release(self.workspace, out)
        return released(out)


def released(folder):
    """The labels of a release, from its file."""
    found = set()
    for image, pairs in json.loads((folder / "annotations.json").read_text()).items():
        for pair in pairs:
            farther = "point2" if pair["closer_point"] == "point1" else "point1"
            found.add((image, tuple(pair[pair["closer_point"]]), tuple(pair[farther])))
    return found


def test_three_people_who_do_not_see_each_other_and_a_fourth_where_they_differ(studio, make_ready, people, tmp_path):
    loop = Loop(studio, make_ready(annotation={"gold": 0}), people)
    assert loop.push()["pairs"].sent == len(KEYS)
    means = {
        "ann": {KEYS[1]: "point2", KEYS[3]: "point2", KEYS[4]: "point2"},
        "bo": {KEYS[1]: "point1", KEYS[3]: "point2", KEYS[4]: "point2"},
        "cy": {KEYS[1]: "point2", KEYS[3]: "point2", KEYS[4]: "point2", KEYS[2]: "cannot_tell"},
        "dee": {KEYS[1]: "point2"},
    }
    for name in ("ann", "bo", "cy"):
        assert {*loop.answer(name, means[name])} == {*KEYS}
    assert loop.answer("dee", {}) == {}, "three people a pair"
    assert loop.pull()["pairs"].counted == 3 * len(KEYS)
    with pytest.raises(BadInput, match="1 need one more answer, since people differ"):
        make_release(loop.workspace, tmp_path / "too early")
    assert loop.push()["pairs"].again == 1
    assert loop.push()["pairs"].again == 0
    for name in ("ann", "bo", "cy"):
        assert loop.answer(name, {}) == {}
    assert {*loop.answer("dee", means["dee"])} == {KEYS[1]}
    report = loop.pull()["pairs"]
    assert (report.new, report.counted, report.problems) == (1, 3 * len(KEYS) + 1, {})
    assert loop.release(tmp_path / "out") == loop.expected()
    assert len(loop.expected()) == 4
    reasons = {key: decision.reason for key, decision in read_decisions(loop.workspace).items() if decision.reason}
    assert reasons == {KEYS[2]: "cannot tell"}
    loop.pull()
    assert make_release(loop.workspace, tmp_path / "out").unchanged


def test_a_first_answer_that_two_others_review_and_a_fourth_where_they_differ(studio, make_ready, people, tmp_path):
    loop = Loop(studio, make_ready(annotation={"mode": "review", "gold": 0}), people)
    loop.push()
    first = {KEYS[0]: "point2", KEYS[2]: "point2"}
    shown = loop.answer("ann", first)
    assert {*shown} == {*KEYS}
    assert not any(task["data"]["first"] for task in shown.values())
    assert loop.answer("bo", {}) == {}, "nothing to review before the first answer was pulled and pushed"
    loop.pull()
    assert loop.push()["pairs"].reviewing == len(KEYS)
    assert loop.answer("ann", {}) == {}, "nobody reviews an own answer"
    for name, means in (("bo", first | {KEYS[2]: "point1"}), ("cy", first | {KEYS[4]: "bad_sample"})):
        reviewed = loop.answer(name, means)
        assert {*reviewed} == {*KEYS}
        for key, task in reviewed.items():
            letter = "AB"[(first.get(key) == "point2") != task["meta"]["swapped"]]
            assert f"{letter} is closer" in task["data"]["first"]
            assert f"{'AB'['BA'.index(letter)]} is closer" not in task["data"]["first"]
    assert loop.answer("dee", {}) == {}
    loop.pull()
    assert loop.push()["pairs"].again == 1
    assert {*loop.answer("dee", first)} == {KEYS[2]}
    assert loop.pull()["pairs"].problems == {}
    assert loop.release(tmp_path / "out") == loop.expected()
    assert len(loop.expected()) == 4


def test_pairs_chosen_by_hand_are_checked_by_two_others_and_released(studio, make_ready, people, tmp_path):
    workspace = make_ready(annotation={"gold": 0}, scenarios=SCENARIOS)
    workspace.db.run("DELETE FROM pairs WHERE outcome != 'manual'")
    loop = Loop(studio, workspace, people, ("pairs", "photos"))
    assert loop.push()["photos"].sent == 2
    chosen = {"ann": ((70, 20), (4, 9)), "bo": ((11, 5), (60, 60))}
    for name, (near, far) in chosen.items():
        task = next(loop.tasks(name, "photos"))
        loop.hand_in(name, task, marked(near, far, SIZES[OBJECT]))
    assert list(loop.tasks("cy", "photos")) == [], "one person a task"
    loop.pull()
    keys = {"ann": f"{OBJECT}#4,9-70,20", "bo": f"{OBJECT}#11,5-60,60"}
    assert {pair.id for pair in read_pairs(workspace, queued_only=True)} == {BY_PYTHON, *keys.values()}
    assert loop.push()["pairs"].sent == 2
    loop.said = {keys["ann"]: {"ann": "point2"}, keys["bo"]: {"bo": "point1"}}
    means = {keys["ann"]: "point2", BY_PYTHON: "point2"}
    asked = {name: {*loop.answer(name, means)} for name in ("ann", "bo", "cy", "dee")}
    assert asked == {
        "ann": {BY_PYTHON, keys["bo"]},
        "bo": {BY_PYTHON, keys["ann"]},
        "cy": {BY_PYTHON, keys["ann"], keys["bo"]},
        "dee": set(),
    }, "nobody checks an own pair"
    reports = loop.pull()
    assert reports["pairs"].problems == reports["photos"].problems == {}
    assert loop.release(tmp_path / "out") == loop.expected()
    assert {(OBJECT, (70, 20), (4, 9)), (OBJECT, (11, 5), (60, 60))} < loop.expected()
