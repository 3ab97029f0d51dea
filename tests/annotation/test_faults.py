"""Nothing is lost and nothing stands there twice, whatever happens on the way; against a real server."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from da2k.annotation import sending
from da2k.annotation.campaign import read_campaign
from da2k.annotation.pull import pull
from da2k.annotation.push import push
from da2k.annotation.server import Patience, Server, Unsure
from da2k.annotation.tasks import KINDS
from da2k.construction.queue import read_answers, read_pairs
from da2k.construction.workspace import open_workspace
from da2k.errors import Unreachable
from tests.annotation.conftest import INDOOR, SIZES, disputed
from tests.annotation.fault_proxy import FAULTS, fault_proxy, schedule

TIMEOUT = 1.5
LATE = 1.8
HURRIED = Patience(timeout=TIMEOUT, attempts=4, wait=0.01, longest=0.05)
UNHURRIED = Patience(timeout=4, attempts=4, wait=0.01, longest=0.05)
CALM = Patience(timeout=60, attempts=3, wait=0.02)


def many_pairs(count, seed=0):
    """Different disputed pairs of one photograph."""
    chance = random.Random(seed)
    height, width = SIZES[INDOOR]
    pixels = [divmod(each, width) for each in chance.sample(range(height * width), 2 * count)]
    return tuple(disputed(INDOOR, *sorted(points)) for points in zip(pixels[::2], pixels[1::2], strict=True))


def listed(studio, project):
    """All tasks of a project, asked in another way than the product does."""
    found, page = [], 1
    while True:
        answer = studio.api("GET", f"/api/projects/{project}/tasks/?page={page}&page_size=100")
        if answer.status_code == 404:
            return found
        found += answer.json()
        page += 1


def ids_of(studio, project):
    return Counter(task["data"]["external_id"] for task in listed(studio, project))


def until_it_works(work, most=200):
    """As a user would: the same command again. How often it took."""
    for count in range(1, most):
        try:
            work()
        except Unreachable as e:
            told = str(e)
        else:
            return count
        assert "<" not in told
        assert "\n" not in told
    raise AssertionError("it never works")


def answer(studio, who, task, choice="A"):
    result = [{"from_name": "closer", "to_name": "img", "type": "choices", "value": {"choices": [choice]}}]
    given = studio.api("POST", f"/api/tasks/{task}/annotations/", who.token, json={"result": result, "lead_time": 2.5})
    assert given.status_code == 201, given.text[:300]


@pytest.mark.parametrize("seed", range(3))
def test_after_fifty_faults_each_pair_is_there_once_with_every_answer(studio, make_campaign, monkeypatch, seed):
    monkeypatch.setattr(sending, "MOST_TASKS", 4)
    pairs = many_pairs(24, seed)
    campaign = make_campaign(pairs=pairs, seed=seed)
    queued = {pair.id for pair in read_pairs(campaign, queued_only=True)}
    assert len(queued) == 25
    with fault_proxy(studio.url, schedule(seed, 50), LATE) as proxy:

        def pushing(patience=HURRIED):
            push(campaign, Server(proxy.url, studio.token, patience), root=studio.root)

        def pulling(patience=HURRIED):
            pull(campaign, Server(proxy.url, studio.token, patience))

        until_it_works(pushing)
        project = read_campaign(campaign, "pairs").project
        people = [studio.person(name) for name in ("Ann", "Bo", "Cy")]
        said = []
        # One copy of a pair: of two that people have answered neither may be removed.
        one_each = {task["meta"]["pair"]: task for task in reversed(listed(studio, project))}
        for task in list(one_each.values())[-7:]:
            for who in people[: 1 + task["id"] % 3]:
                answer(studio, who, task["id"])
                said.append((task["meta"]["pair"], who.email))
        while proxy.dealt.total() < 50:
            until_it_works(pulling)
            until_it_works(pushing)
        proxy.wait_until_quiet()
        assert set(proxy.dealt) == set(FAULTS)
        pushing(CALM)
        pulling(CALM)
    for kind in KINDS:
        there = ids_of(studio, read_campaign(campaign, kind).project)
        assert set(there.values()) == {1}, kind
    assert {task["meta"]["pair"] for task in listed(studio, project)} == queued
    got = [(pair, each.person) for pair, answers in read_answers(campaign).items() for each in answers]
    assert sorted(got) == sorted(set(said))


@pytest.mark.parametrize("fault", ["after", "half", "slow", "500 after"])
def test_a_project_whose_making_was_cut_is_found_again(studio, make_campaign, fault):
    """The server makes it, and the client never hears of it."""
    campaign = make_campaign(pairs=many_pairs(3))
    with fault_proxy(studio.url, delay=8) as proxy:

        def cut_making(method, path):
            if (method, path) == ("POST", "/api/projects/"):
                proxy.faults = iter([fault, *["before"] * 30])

        proxy.on_request = cut_making
        with pytest.raises(Unsure):
            push(campaign, Server(proxy.url, studio.token, UNHURRIED), root=studio.root, kinds=["pairs"])
        tag = read_campaign(campaign, "pairs").tag
        assert not read_campaign(campaign, "pairs").begun
        proxy.faults, proxy.on_request = iter(()), None
        (report,) = push(campaign, Server(proxy.url, studio.token, CALM), root=studio.root, kinds=["pairs"])
        assert ("POST", "/api/projects/") not in proxy.requests[proxy.requests.index(("POST", "/api/projects/")) + 1 :]
    projects = studio.api("GET", "/api/projects/?page_size=1000").json()["results"]
    assert [each["id"] for each in projects if tag in each["description"]] == [report.project]
    assert set(ids_of(studio, report.project).values()) == {1}


def test_a_request_that_arrives_after_it_was_given_up_is_found_and_cleared_away(studio, make_campaign, monkeypatch):
    """All that was delivered twice is deleted, but for what somebody has touched meanwhile."""
    monkeypatch.setattr(sending, "MOST_TASKS", 5)
    campaign = make_campaign(pairs=many_pairs(9))
    with fault_proxy(studio.url, delay=60) as proxy:

        def late_import(method, path):
            if method == "POST" and path.endswith("/import"):
                proxy.faults, proxy.on_request = iter(["late"]), None

        proxy.on_request = late_import
        server = Server(proxy.url, studio.token, UNHURRIED)
        (report,) = push(campaign, server, root=studio.root, kinds=["pairs"])
        assert report.sent == 10
        assert set(ids_of(studio, report.project).values()) == {1}
        proxy.released.set()
        proxy.wait_until_quiet()
        twice = [name for name, count in ids_of(studio, report.project).items() if count == 2]
        assert len(twice) == 5, "the late request was done"
        tasks = listed(studio, report.project)
        both = [task["id"] for task in tasks if task["data"]["external_id"] == twice[0]]
        newer = [task["id"] for task in tasks if task["data"]["external_id"] == twice[1]][1]
        ann, bo = studio.person("Ann"), studio.person("Bo")
        answer(studio, ann, both[0])
        answer(studio, bo, both[1])
        answer(studio, ann, newer)
        drafted = [task["id"] for task in tasks if task["data"]["external_id"] == twice[2]][1]
        draft = {"result": [], "lead_time": 1.0}
        assert studio.api("POST", f"/api/tasks/{drafted}/drafts", ann.token, json=draft).status_code == 201
        (report,) = push(campaign, server, root=studio.root, kinds=["pairs"])
    assert report.duplicates == (twice[0],)
    assert any("4 tasks that had arrived twice" in note for note in report.notes)
    left = listed(studio, report.project)
    assert Counter(task["data"]["external_id"] for task in left) == {
        name: 2 if name == twice[0] else 1 for name in ids_of(studio, report.project)
    }
    assert {newer, drafted, *both} <= {task["id"] for task in left}, "what people touched stays"
    assert sum(task["total_annotations"] for task in left) == 3


@pytest.mark.parametrize("imports", [1, 8])
def test_a_server_killed_during_an_import_and_started_again(studio, make_campaign, monkeypatch, imports):
    monkeypatch.setattr(sending, "MOST_TASKS", 4)
    campaign = make_campaign(pairs=many_pairs(60))
    began = threading.Event()
    left = iter(range(imports - 1))
    with fault_proxy(studio.url) as proxy:
        proxy.on_request = lambda _, path: (
            began.set() if path.endswith("/import") and next(left, None) is None else None
        )

        def kill():
            began.wait(240)
            time.sleep(0.02)  # in the middle of one request, of sixteen
            os.kill(studio.running.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        patience = Patience(timeout=30, attempts=3, wait=0.01, longest=0.05)
        with pytest.raises(Unreachable):
            push(campaign, Server(proxy.url, studio.token, patience), root=studio.root, kinds=["pairs"])
        killer.join()
        studio.stop()
        studio.start()
        arrived = len(listed(studio, read_campaign(campaign, "pairs").project))
        assert arrived < 61
        (report,) = push(campaign, Server(proxy.url, studio.token, CALM), root=studio.root, kinds=["pairs"])
    assert (report.present, report.sent) == (arrived, 61 - arrived)
    there = ids_of(studio, report.project)
    assert len(there) == 61
    assert set(there.values()) == {1}


PUSHING = """
import sys
from pathlib import Path
from da2k.annotation import sending
from da2k.annotation.push import push
from da2k.annotation.server import Server
from da2k.construction.workspace import open_workspace
sending.MOST_TASKS = 3
folder, url, root = sys.argv[1:]
with open_workspace(Path(folder)) as workspace:
    push(workspace, Server(url, sys.stdin.readline()), root=Path(root), kinds=["pairs"])
"""


def test_ctrl_c_in_the_middle_loses_nothing(studio, make_campaign):
    folder = make_campaign(pairs=many_pairs(30)).folder
    make_campaign.stack.close()  # so that another process may open the workspace
    with fault_proxy(studio.url) as proxy:
        command = [sys.executable, "-c", PUSHING, str(folder), proxy.url, str(studio.root)]
        for imports in (2, 3):
            middle, stopped = threading.Event(), threading.Event()
            left = iter(range(imports))

            def hold(_, path, left=left, middle=middle, stopped=stopped):
                if path.endswith("/import") and next(left, None) is None:
                    middle.set()
                    stopped.wait(60)

            proxy.on_request = hold
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            process.stdin.write(f"{studio.token}\n")
            process.stdin.flush()
            assert middle.wait(240), (process.poll(), list(proxy.requests))
            os.kill(process.pid, signal.SIGINT)
            stopped.set()
            assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
        proxy.wait_until_quiet()
        with open_workspace(folder) as workspace:
            (report,) = push(workspace, Server(proxy.url, studio.token, CALM), root=studio.root, kinds=["pairs"])
    assert 0 < report.present < 31
    assert report.present + report.sent == 31
    there = ids_of(studio, report.project)
    assert len(there) == 31
    assert set(there.values()) == {1}
