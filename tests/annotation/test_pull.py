"""Pulling from a real server: complete, incremental, and the same however often and whenever it is cut."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from da2k.annotation.campaign import read_campaign, write_campaign
from da2k.annotation.pull import pull
from da2k.annotation.server import NotThere, Server
from da2k.annotation.tasks import GIVEN, PairTask, PhotoTask
from da2k.construction.decisions import Answer
from da2k.construction.queue import add_manual_pairs, read_answers, read_pairs, record_answers
from da2k.errors import BadInput, Unreachable
from da2k.pairs import Point
from tests.annotation.asked import as_sent, ask, choice, connect, marked, pair_tasks, tables
from tests.annotation.conftest import INDOOR, OBJECT, SIZES


@pytest.fixture
def people(studio):
    return [studio.person(name) for name in ("ann", "bo", "cy", "dee")]


@pytest.fixture
def asked(studio, campaign):
    """The queued pairs of `campaign` on the server."""
    return ask(studio, campaign, "pairs", pair_tasks(campaign))


@pytest.fixture
def tasks(campaign):
    return pair_tasks(campaign)


def answers(workspace):
    return {(a.pair, a.person): a.says for given in read_answers(workspace).values() for a in given}


def pulled(workspace, studio, **options):
    (report,) = pull(workspace, connect(studio), kinds=("pairs",), **options)
    return report


def listed_since(monkeypatch):
    """Records from which time on each listing of tasks is made."""
    real, times = Server.task_pages, []

    def task_pages(self, project, *, since=None, only_ids=False, **more):
        times.append("ids" if only_ids else since)
        return real(self, project, since=since, only_ids=only_ids, **more)

    monkeypatch.setattr(Server, "task_pages", task_pages)
    return times


def test_every_answer_comes_with_what_it_says_who_when_and_how_long(studio, campaign, asked, tasks, people):
    said = {}
    for number, task in enumerate(tasks):
        for who, person in enumerate(people[:3]):
            says = ("point1", "point2", "cannot_tell", "bad_sample")[(number + who) % 4]
            asked.says(person, task, says, lead_time=1.25 + number)
            said[task.pair, person.email] = says
    report = pulled(campaign, studio)
    assert answers(campaign) == said
    assert (report.annotations, report.new, report.counted, report.skipped) == (15, 15, 15, 0)
    assert report.problems == {}
    ((pair, given), *_) = read_answers(campaign).items()
    assert {a.seconds for a in given} == {1.25 + [task.pair for task in tasks].index(pair)}
    assert all(a.photo == next(t.photo for t in tasks if t.pair == pair) for a in given)
    assert all(a.given.startswith(time.strftime("%Y-%m-%d", time.gmtime())[:8]) for a in given)


def test_a_second_pull_lists_only_what_changed_and_changes_nothing(studio, campaign, asked, tasks, people, monkeypatch):
    asked.says(people[0], tasks[0], "point1")
    pulled(campaign, studio)
    before, seen = tables(campaign), read_campaign(campaign, "pairs").seen
    times = listed_since(monkeypatch)
    report = pulled(campaign, studio)
    assert tables(campaign) == before
    assert (report.new, report.changed, report.gone, report.annotations) == (0, 0, 0, 1)
    assert len(times) == 1
    assert times[0] is not None
    assert times[0] < seen
    assert read_campaign(campaign, "pairs").seen >= seen
    assert pulled(campaign, studio, everything=True).tasks == len(tasks)
    assert times[1] is None
    assert tables(campaign) == before


def test_an_answer_that_is_changed_deleted_or_skipped_is_what_it_is_now(studio, campaign, asked, tasks, people):
    ann, bo, cy, _ = people
    task = tasks[0]
    numbers = [asked.says(person, task, "point1") for person in (ann, bo, cy)]
    pulled(campaign, studio)
    asked.change(ann, numbers[0], choice(task.choice("point2")))
    asked.delete("annotations", numbers[1])
    skipped = studio.api("PATCH", f"/api/annotations/{numbers[2]}/", cy.token, json={"was_cancelled": True})
    assert skipped.status_code == 200
    report = pulled(campaign, studio)
    assert answers(campaign) == {(task.pair, ann.email): "point2"}
    assert (report.changed, report.gone, report.new) == (2, 1, 0)
    assert (report.annotations, report.skipped, report.counted) == (2, 1, 1)


def test_the_last_of_a_persons_answers_counts_and_the_others_are_reported(studio, campaign, asked, tasks, people):
    asked.says(people[0], tasks[0], "point1")
    asked.says(people[0], tasks[0], "point2")
    report = pulled(campaign, studio)
    assert answers(campaign) == {(tasks[0].pair, people[0].email): "point2"}
    assert [*report.problems] == ["answered twice"]
    assert people[0].email in report.problems["answered twice"][0]
    assert (report.annotations, report.counted) == (2, 1)


def test_what_nobody_can_count_is_kept_reported_and_not_counted(studio, campaign, asked, tasks, people):
    ann = people[0]
    asked.answer(ann, tasks[0], choice("C"))
    asked.answer(ann, tasks[1], choice("A", "nearer"))
    asked.answer(ann, tasks[2], [])
    asked.says(ann, tasks[3], "point1")
    lost = studio.api("PATCH", f"/api/tasks/{asked.task(tasks[3])}/", json={"meta": {}})
    assert lost.status_code == 200
    asked.says(ann, tasks[4], "point1")
    foreign = studio.api(
        "POST", f"/api/projects/{asked.project}/import?return_task_ids=1", json=[{"data": {"image": "/x", "n": 1}}]
    )
    if foreign.status_code != 201:  # the interface needs its keys
        data = {"image": "/x", "strip_a": "/x", "strip_b": "/x", "first": "", "external_id": "tower 17"}
        path = f"/api/projects/{asked.project}/import?return_task_ids=1"
        foreign = studio.api("POST", path, json=[{"data": data}])
    (number,) = foreign.json()["task_ids"]
    handed_in = {"result": choice("A")}
    assert studio.api("POST", f"/api/tasks/{number}/annotations/", ann.token, json=handed_in).status_code == 201
    report = pulled(campaign, studio)
    assert answers(campaign) == {(tasks[4].pair, ann.email): "point1"}
    assert {what: len(where) for what, where in report.problems.items()} == {
        "unknown choice": 1,
        "unknown control": 1,
        "empty answer": 1,
        "no meta": 1,
        "foreign task": 1,
    }
    assert tasks[0].external_id in report.problems["unknown choice"][0]
    assert report.annotations == 6
    kept = {json.dumps(json.loads(r)) for (r,) in campaign.db.run("SELECT result FROM annotations")}
    assert json.dumps(choice("C"), sort_keys=True) in {json.dumps(json.loads(r), sort_keys=True) for r in kept}


def test_a_user_deleted_on_the_server_stays_the_person_it_was(studio, campaign, asked, tasks, people):
    gone = studio.person(f"gone{campaign.folder.parent.name}")
    asked.says(gone, tasks[0], "point1")
    pulled(campaign, studio)
    assert studio.api("DELETE", f"/api/users/{gone.id}/").status_code == 204
    asked.says(people[0], tasks[0], "point1")
    pulled(campaign, studio, everything=True)
    assert answers(campaign) == {(tasks[0].pair, person.email): "point1" for person in (gone, people[0])}


def test_a_user_deleted_before_the_first_pull_counts_as_one_person(studio, campaign, asked, tasks):
    gone = studio.person(f"early{campaign.folder.parent.name}")
    asked.says(gone, tasks[0], "point1")
    asked.says(gone, tasks[1], "point2")
    assert studio.api("DELETE", f"/api/users/{gone.id}/").status_code == 204
    assert pulled(campaign, studio).counted == 2
    assert {person for _, person in answers(campaign)} == {f"a deleted user of project {asked.project}"}


def test_a_task_deleted_on_the_server_keeps_its_answers_and_is_reported(
    studio, campaign, asked, tasks, people, monkeypatch
):
    for task in tasks[:3]:
        asked.says(people[0], task, "point1")
    pulled(campaign, studio)
    before = tables(campaign)
    asked.delete("tasks", asked.task(tasks[1]))
    times = listed_since(monkeypatch)
    for everything in (False, True):
        report = pulled(campaign, studio, everything=everything)
        assert report.problems == {"task deleted on the server": [f"{tasks[1].external_id}: its answers are kept"]}
        assert tables(campaign) == before
    assert times[1:] == ["ids", None], "no full listing because of a task that was deleted"


def test_answers_to_pairs_that_are_not_queued_any_more_are_kept(studio, campaign, asked, tasks, people):
    asked.says(people[0], tasks[0], "point1")
    asked.says(people[0], tasks[1], "point1")
    campaign.db.run("DELETE FROM pairs WHERE id = ?", tasks[0].pair)
    report = pulled(campaign, studio)
    assert set(answers(campaign)) == {(task.pair, people[0].email) for task in tasks[:2]}
    assert any("pairs that are not queued are kept, and count again if the pairs are: 1" in n for n in report.notes)


def test_an_image_that_was_forgotten_does_not_stop_the_pull(studio, campaign, asked, tasks, people):
    for task in tasks:
        asked.says(people[0], task, "point1")
    image = tasks[0].image
    campaign.db.run("DELETE FROM images WHERE image = ?", image)
    report = pulled(campaign, studio)
    left = [task for task in tasks if task.image != image]
    assert set(answers(campaign)) == {(task.pair, people[0].email) for task in left}
    assert len(report.problems["photograph not taken in"]) == len(tasks) - len(left)


def test_answers_belong_to_the_photograph_that_was_shown(studio, campaign, asked, tasks, people):
    asked.says(people[0], tasks[0], "point1")
    replaced = "f" * 64
    campaign.db.run("UPDATE images SET sha256 = ? WHERE image = ?", replaced, tasks[0].image)
    report = pulled(campaign, studio)
    assert answers(campaign) == {}
    assert [*report.problems] == ["photograph replaced"]
    assert campaign.db.run("SELECT photo FROM answers") == [(tasks[0].photo,)]
    campaign.db.run("UPDATE images SET sha256 = ? WHERE image = ?", tasks[0].photo, tasks[0].image)
    assert answers(campaign) == {(tasks[0].pair, people[0].email): "point1"}, "the old photograph is back"


def test_both_orders_of_the_letters_are_read_right(studio, campaign, people):
    tasks = [
        replace(task, swapped=swapped) for task, swapped in zip(pair_tasks(campaign), (0, 1, 0, 1, 1), strict=True)
    ]
    tasks = [replace(task, swapped=bool(task.swapped)) for task in tasks]
    asked = ask(studio, campaign, "pairs", tasks)
    for task in tasks:
        asked.answer(people[0], task, choice("A"))
    pulled(campaign, studio)
    for task in tasks:
        says = answers(campaign)[task.pair, people[0].email]
        pair = next(pair for pair in read_pairs(campaign) if pair.id == task.pair)
        assert {"point1": pair.point1, "point2": pair.point2}[says] == task.points[0]


def test_people_answer_while_a_pull_runs(studio, campaign, asked, tasks, people):
    stop, given = threading.Event(), []

    def go_on():
        while not stop.is_set():
            number = len(given)
            asked.says(people[number % 4], tasks[number // 4 % len(tasks)], "point1")
            given.append(number)

    others = threading.Thread(target=go_on)
    others.start()
    try:
        for _ in range(4):
            held = len(given)
            assert pulled(campaign, studio).annotations >= held
    finally:
        stop.set()
        others.join()
    assert pulled(campaign, studio).annotations == len(given)
    assert len(campaign.db.run("SELECT 1 FROM annotations")) == len(given)


def test_a_change_with_an_early_time_is_found_all_the_same(studio, campaign, asked, tasks, people, monkeypatch):
    """A transaction that takes long on the server ends after later ones were pulled; the count tells."""
    asked.says(people[0], tasks[0], "point1")
    pulled(campaign, studio)
    asked.says(people[1], tasks[1], "point2")
    write_campaign(campaign, replace(read_campaign(campaign, "pairs"), seen="2999-01-01T00:00:00.000000Z"))
    times = listed_since(monkeypatch)
    assert pulled(campaign, studio).new == 1
    assert times[-1] is None
    assert set(answers(campaign)) == {(tasks[n].pair, people[n].email) for n in (0, 1)}
    assert read_campaign(campaign, "pairs").seen < "2999", "and the time is set right"


def test_less_than_the_server_says_it_has_is_an_error_and_what_came_stays(
    studio, campaign, asked, tasks, people, monkeypatch
):
    for task in tasks:
        asked.says(people[0], task, "point1")
    real = Server.task_pages
    monkeypatch.setattr(
        Server,
        "task_pages",
        lambda self, project, **more: [page[:3] for page in real(self, project, **more)],
    )
    with pytest.raises(Unreachable, match=r"has 5 annotations, and 3 came") as caught:
        pulled(campaign, studio)
    assert "\n" not in str(caught.value)
    assert len(answers(campaign)) == 3
    assert read_campaign(campaign, "pairs").seen is None
    monkeypatch.undo()
    assert pulled(campaign, studio).new == 2


def test_a_project_that_was_deleted_is_told_and_the_answers_stay(studio, campaign, asked, tasks, people):
    asked.says(people[0], tasks[0], "point1")
    pulled(campaign, studio)
    before = tables(campaign)
    asked.delete("projects", asked.project)
    with pytest.raises(NotThere, match=f"project {asked.project} is not on .* any more.*--new-project") as caught:
        pulled(campaign, studio)
    assert "\n" not in str(caught.value)
    assert tables(campaign) == before


def test_a_project_that_vanishes_in_the_middle_is_told_and_nothing_is_lost(
    studio, campaign, asked, tasks, people, monkeypatch
):
    for task in tasks:
        asked.says(people[0], task, "point1")
    real = Server.task_pages

    def vanishing(self, project, **more):
        pages = real(self, project, **{**more, "size": 2})
        yield next(pages)
        asked.delete("projects", project)
        yield from pages

    monkeypatch.setattr(Server, "task_pages", vanishing)
    with pytest.raises(NotThere, match=f"project {asked.project} is not on"):
        pulled(campaign, studio)
    assert len(answers(campaign)) == 2


def test_a_workspace_without_a_project_or_with_one_elsewhere_is_told(studio, make_campaign):
    workspace = make_campaign()
    with pytest.raises(BadInput, match="nothing was pushed yet; run: da2k annotate push"):
        pull(workspace, connect(studio))
    elsewhere = replace(read_campaign(workspace, "pairs"), url="http://elsewhere:1", project=3)
    write_campaign(workspace, elsewhere)
    with pytest.raises(BadInput, match="were pushed to http://elsewhere:1"):
        pull(workspace, connect(studio))


def test_another_server_at_the_same_address_takes_no_answers_away(studio, campaign, asked, tasks, people):
    asked.says(people[0], tasks[0], "point1")
    pulled(campaign, studio)
    campaign.db.run("UPDATE annotations SET created = '2020-01-01T00:00:00.000000Z'")
    held = campaign.db.run("SELECT * FROM annotations")
    with pytest.raises(BadInput, match="another one than was pulled before"):
        pulled(campaign, studio)
    assert campaign.db.run("SELECT * FROM annotations") == held
    assert pulled(campaign, studio, everything=True).changed == 1


def restored(studio, copy):
    """Put a copy of the server's database in the place of the one that it has."""
    studio.stop()
    for file in studio.data.glob("label_studio.sqlite3*"):
        file.unlink()
    shutil.copy(copy, studio.data / "label_studio.sqlite3")
    studio.start()


def test_a_server_restored_from_a_copy_takes_no_answers_away(studio, campaign, asked, tasks, people, tmp_path):
    ann, bo, cy, dee = people
    asked.says(ann, tasks[0], "point1")
    studio.stop()
    shutil.copy(studio.data / "label_studio.sqlite3", tmp_path / "copy")
    studio.start()
    given = {(tasks[0].pair, ann.email): "point1"}
    for task in tasks:
        for person in (bo, cy):
            asked.says(person, task, "point2")
            given[task.pair, person.email] = "point2"
    assert pulled(campaign, studio).annotations == 11
    restored(studio, tmp_path / "copy")
    told = {f"{task.external_id}: what was pulled before is kept" for task in tasks}
    known = read_campaign(campaign, "pairs")
    for seen in (known.seen, "2999-01-01T00:00:00.000000Z"):  # the tasks are listed at once, or only after the count
        write_campaign(campaign, replace(known, seen=seen))
        report = pulled(campaign, studio)
        assert (report.annotations, report.new, report.changed, report.gone) == (11, 0, 0, 0)
        assert {*report.problems} == {"older on the server than what was pulled"}
        assert {*report.problems["older on the server than what was pulled"]} == told
        assert any(
            "5 tasks" in note and "if the server is right, pull with --everything" in note for note in report.notes
        )
        assert answers(campaign) == given
    report = pulled(campaign, studio, everything=True)
    assert (report.annotations, report.gone, report.problems) == (1, 10, {})
    assert answers(campaign) == {(tasks[0].pair, ann.email): "point1"}
    asked.says(dee, tasks[1], "point1")
    report = pulled(campaign, studio)
    assert (report.annotations, report.new, report.problems) == (2, 1, {})


@pytest.mark.parametrize("picture", ["data:image/jpeg;base64,AAAA", "/data/upload/1/a.jpg"])
def test_of_tasks_with_pictures_in_them_few_are_asked_for_at_once(studio, campaign, people, monkeypatch, picture):
    photo = {image.image: image.sha256 for image in campaign.images()}[INDOOR]
    tasks = [PairTask(f"{INDOOR}#1,{n}-50,{n}", photo, swapped=False) for n in range(103)]
    asked = ask(studio, campaign, "pairs", tasks[:1])
    sent = [as_sent(task) for task in tasks[1:]]
    assert studio.api(
        "PATCH", f"/api/tasks/{asked.task(tasks[0])}/", json=pictured(as_sent(tasks[0]), picture)
    ).is_success
    path = f"/api/projects/{asked.project}/import"
    assert studio.api("POST", path, json=[pictured(each, picture) for each in sent]).is_success
    asked.says(people[0], tasks[0], "point1")
    pages, real = [], Server.task_pages

    def task_pages(self, project, **more):
        for page in real(self, project, **more):
            pages.append(len(page))
            yield page

    monkeypatch.setattr(Server, "task_pages", task_pages)
    assert pulled(campaign, studio, everything=True).counted == 1
    first, *rest = pages
    assert first == 1, "one task shows what they hold"
    assert rest == ([100, 3] if picture.startswith("data:") else [103])


def pictured(task, picture):
    return {**task, "data": {**task["data"], "image": picture, "strip_a": picture, "strip_b": picture}}


# Pairs chosen by hand

NEAR, FAR, THIRD = (4, 9), (70, 20), (33, 100)


@pytest.fixture
def by_hand(studio, campaign):
    photo = {image.image: image.sha256 for image in campaign.images()}[OBJECT]
    task = PhotoTask(OBJECT, photo, 1)
    return ask(studio, campaign, "photos", [task, replace(task, number=2)]), task


def pulled_photos(workspace, studio):
    (report,) = pull(workspace, connect(studio), kinds=("photos",))
    return report


def manual(workspace):
    return {pair.id for pair in read_pairs(workspace, queued_only=True) if pair.outcome == "manual"}


def of_points(one, other):
    (row1, col1), (row2, col2) = sorted((one, other))
    return f"{OBJECT}#{row1},{col1}-{row2},{col2}"


def test_a_pair_marked_on_a_photograph_is_queued_with_its_answer(studio, campaign, by_hand, people):
    asked, task = by_hand
    before = manual(campaign)
    asked.answer(people[0], task, marked(FAR, NEAR, SIZES[OBJECT]))
    report = pulled_photos(campaign, studio)
    key = of_points(NEAR, FAR)
    assert manual(campaign) == before | {key}
    assert answers(campaign) == {(key, people[0].email): "point2"}, "the smaller point was marked as the farther one"
    assert report.counted == 1
    assert campaign.db.run("SELECT pair FROM chosen") == [(key,)]
    state = tables(campaign)
    pulled_photos(campaign, studio)
    assert tables(campaign) == state


def test_who_marks_again_withdraws_the_earlier_pair_and_no_other(studio, campaign, by_hand, people):
    asked, task = by_hand
    added = manual(campaign)
    number = asked.answer(people[0], task, marked(NEAR, FAR, SIZES[OBJECT]))
    asked.answer(people[1], replace(task, number=2), marked(THIRD, NEAR, SIZES[OBJECT]))
    pulled_photos(campaign, studio)
    assert manual(campaign) == added | {of_points(NEAR, FAR), of_points(NEAR, THIRD)}
    asked.change(people[0], number, marked(NEAR, (70, 21), SIZES[OBJECT]))
    report = pulled_photos(campaign, studio)
    assert manual(campaign) == added | {of_points(NEAR, (70, 21)), of_points(NEAR, THIRD)}
    assert any("left the queue" in note for note in report.notes)
    asked.change(people[0], number, choice("no clear pair", "none"))
    report = pulled_photos(campaign, studio)
    assert manual(campaign) == added | {of_points(NEAR, THIRD)}
    assert any("no clear pair" in note for note in report.notes)
    asked.delete("annotations", number)
    pulled_photos(campaign, studio)
    assert manual(campaign) == added | {of_points(NEAR, THIRD)}


def test_a_pair_added_through_python_stays_though_its_mark_goes(studio, campaign, by_hand, people):
    asked, task = by_hand
    (pair,) = add_manual_pairs(campaign, [(OBJECT, Point(*NEAR), Point(*FAR))])
    number = asked.answer(people[0], task, marked(NEAR, FAR, SIZES[OBJECT]))
    pulled_photos(campaign, studio)
    assert campaign.db.run("SELECT pair FROM chosen") == []
    asked.delete("annotations", number)
    pulled_photos(campaign, studio)
    assert pair.id in manual(campaign)


def test_a_chosen_pair_that_was_answered_through_python_stays(studio, campaign, by_hand, people):
    asked, task = by_hand
    number = asked.answer(people[0], task, marked(NEAR, FAR, SIZES[OBJECT]))
    pulled_photos(campaign, studio)
    record_answers(campaign, [Answer(of_points(NEAR, FAR), "depth", "point1", source="exact")])
    asked.delete("annotations", number)
    pulled_photos(campaign, studio)
    assert of_points(NEAR, FAR) in manual(campaign)


def test_marks_that_are_no_pair_are_reported(studio, campaign, by_hand, people):
    asked, task = by_hand
    before = manual(campaign)
    asked.answer(people[0], task, marked(NEAR, NEAR, SIZES[OBJECT]))
    asked.answer(people[1], task, marked(NEAR, FAR, SIZES[OBJECT])[:1])
    report = pulled_photos(campaign, studio)
    assert manual(campaign) == before
    assert {*report.problems} == {"both points are the same pixel", "not one nearer and one farther point"}


def test_the_marks_count_and_not_the_copy_in_the_pairs_own_task(studio, campaign, by_hand, people):
    asked, task = by_hand
    ann = people[0]
    key = of_points(NEAR, FAR)
    number = asked.answer(ann, task, marked(FAR, NEAR, SIZES[OBJECT]), lead_time=7.5)
    pulled_photos(campaign, studio)
    (first,) = read_answers(campaign)[key]
    asked.change(ann, number, marked(NEAR, FAR, SIZES[OBJECT]))

    copied = PairTask(key, task.photo, swapped=True)
    pairs = ask(studio, campaign, "pairs", pair_tasks(campaign)[:1])
    result = [{**choice(copied.choice("point2"))[0], "id": GIVEN}]
    copy = {"completed_by": ann.id, "result": result, "ground_truth": False, "was_cancelled": False}
    path = f"/api/projects/{pairs.project}/import?return_task_ids=1"
    sent = studio.api("POST", path, json=[{**as_sent(copied), "annotations": [copy]}])
    (its_task,) = sent.json()["task_ids"]
    (of_it,) = studio.api("GET", f"/api/tasks/{its_task}/").json()["annotations"]

    reports = pull(campaign, connect(studio))
    assert [report.problems for report in reports] == [{}, {}]
    (answer,) = read_answers(campaign)[key]
    assert (answer.person, answer.says) == (ann.email, "point1"), "the correction, which no pull had brought before"
    assert (answer.seconds, answer.given) == (7.5, first.given)

    time.sleep(2.5)  # so much later than the copy was made, a change is a person's
    pairs.change(ann, of_it["id"], [{**choice(copied.choice("cannot_tell"))[0], "id": GIVEN}])  # as a browser does
    pull(campaign, connect(studio))
    assert read_answers(campaign)[key] == [replace(answer, says="cannot_tell")]
    asked.change(ann, number, marked(FAR, NEAR, SIZES[OBJECT]))
    pull(campaign, connect(studio))
    assert read_answers(campaign)[key] == [replace(answer, says="point2")]


# Cut at any moment

PULL = """
import sys
from pathlib import Path
from da2k.annotation.pull import pull
from da2k.annotation.server import Patience, Server
from da2k.construction.workspace import open_workspace

real = Server.task_pages
Server.task_pages = lambda self, project, **more: real(self, project, **{**more, "size": 2})
with open_workspace(Path(sys.argv[1])) as workspace:
    server = Server(sys.argv[2], sys.stdin.readline().strip(), Patience(timeout=60))
    print("begun", flush=True)
    pull(workspace, server)
"""


def test_a_pull_that_is_killed_anywhere_loses_and_doubles_nothing(studio, make_campaign, people, tmp_path):
    workspace = make_campaign("killed")
    tasks = pair_tasks(workspace)
    asked = ask(studio, workspace, "pairs", tasks)
    photo = next(image for image in workspace.images() if image.image == OBJECT)
    photos = ask(studio, workspace, "photos", [PhotoTask(OBJECT, photo.sha256, n) for n in (1, 2)])
    for number, task in enumerate(tasks):
        for person in people[:3]:
            asked.says(person, task, ("point1", "point2")[number % 2])
    photos.answer(people[0], PhotoTask(OBJECT, photo.sha256, 1), marked(NEAR, FAR, SIZES[OBJECT]))
    whole = make_campaign("whole")
    for kind in ("pairs", "photos"):
        write_campaign(whole, read_campaign(workspace, kind))
    pull(whole, connect(studio))
    make_campaign.stack.close()  # the other process is to open it
    (tmp_path / "pull.py").write_text(PULL)
    command = [sys.executable, str(tmp_path / "pull.py"), str(workspace.folder), studio.url]
    killed = 0
    for delay in (0.02, 0.08, 0.14, 0.2, 0.26, 0.32, 0.4):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(studio.token.encode() + b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"begun\n", child.stderr.read().decode()
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
        killed += child.returncode == -signal.SIGKILL
    assert killed
    from da2k.construction.workspace import open_workspace

    with open_workspace(workspace.folder) as again, open_workspace(whole.folder) as expected:
        pull(again, connect(studio))
        assert tables(again) == tables(expected)
        assert len(answers(again)) == 3 * len(tasks) + 1
