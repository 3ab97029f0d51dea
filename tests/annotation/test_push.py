"""Push against a real server: what stands there afterwards, and whom it is given to."""

import json
from collections import Counter

import pytest

from da2k.annotation.campaign import read_campaign
from da2k.annotation.delivery import Pictures
from da2k.annotation.gold import add_gold
from da2k.annotation.interface import interface
from da2k.annotation.project import ready_project
from da2k.annotation.pull import pull
from da2k.annotation.push import push, write_tasks
from da2k.annotation.server import NotThere
from da2k.annotation.tasks import shuffled_key
from da2k.construction.decisions import Answer, State
from da2k.construction.queue import read_decisions, read_pairs, record_answers
from da2k.construction.settings import Settings
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput
from tests.annotation.asked import choice, connect, mark, marked
from tests.annotation.conftest import INDOOR, OBJECT, PAIRS, SIZES, disputed

ONE = PAIRS[:1]


@pytest.fixture
def server(studio):
    return connect(studio)


@pytest.fixture
def people(studio):
    return [studio.person(name) for name in ("Ann", "Bo", "Cy", "Dee", "Eve")]


def only_pairs(make_campaign, pairs=ONE, **settings):
    """A campaign with these pairs and none chosen by hand."""
    workspace = make_campaign(pairs=pairs, **settings)
    workspace.db.run("DELETE FROM pairs WHERE outcome = 'manual'")
    return workspace


def sent(workspace, server, studio, **more):
    (report,) = push(workspace, server, **{"root": studio.root, "kinds": ["pairs"], **more})
    return report


def listed(studio, project):
    """All tasks, in the order of their numbers; the API's listing has no fewer fields than the product asks for."""
    found = studio.api("GET", f"/api/tasks?project={project}&page_size=1000&fields=all").json()["tasks"]
    return sorted(found, key=lambda task: task["id"])


def given(studio, project, person):
    """The task that the server gives this person next; None if there is none."""
    answer = studio.api("GET", f"/api/projects/{project}/next", person.token)
    return answer.json() if answer.status_code == 200 else None


def hand_in(studio, person, task, result):
    """The number of the annotation."""
    done = studio.api("POST", f"/api/tasks/{task}/annotations/", person.token, json={"result": result, "lead_time": 2})
    assert done.status_code == 201, done.text[:200]
    return done.json()["id"]


def changed(workspace, **settings):
    """The same workspace with other settings."""
    return Workspace(
        workspace.folder, Settings.model_validate(workspace.settings.model_dump() | settings), workspace.db
    )


def refused(work):
    """The one line that it is refused with."""
    with pytest.raises(BadInput) as told:
        work()
    assert "\n" not in str(told.value)
    assert "<" not in str(told.value)
    return str(told.value)


def test_what_a_task_says_and_what_it_keeps_to_itself(studio, server, campaign, people):
    pairs, photos = push(campaign, server, root=studio.root)
    assert (pairs.kind, pairs.sent, photos.kind, photos.sent) == ("pairs", 5, "photos", 1)
    assert pairs.url == f"{studio.url}/projects/{pairs.project}/data?labeling=1"
    tasks = {task["meta"]["pair"]: task for task in listed(studio, pairs.project)}
    assert tasks.keys() == {pair.id for pair in read_pairs(campaign, queued_only=True)}
    photo = {image.image: image.sha256 for image in campaign.images()}
    for pair in read_pairs(campaign):
        task = tasks[pair.id]
        assert task["data"].keys() == {"external_id", "scenario", "image", "strip_a", "strip_b", "first"}
        assert task["data"]["external_id"] == f"{pair.id}@{photo[pair.image][:12]}"
        assert (task["data"]["scenario"], task["data"]["first"]) == (pair.scenario, "")
        letters = ["none", "B", "A"] if task["meta"]["swapped"] else ["none", "A", "B"]
        assert task["meta"] == {
            "da2k": 1,
            "pair": pair.id,
            "photo": photo[pair.image],
            "swapped": task["meta"]["swapped"],
            "votes": {
                expert.name: letters[vote] for expert, vote in zip(campaign.settings.experts, pair.votes, strict=False)
            },
        }
        for name in ("image", "strip_a", "strip_b"):
            shown = studio.api("GET", task["data"][name], people[0].token)
            assert (shown.status_code, shown.content[:3]) == (200, b"\xff\xd8\xff")
    (task,) = listed(studio, photos.project)
    assert task["data"].keys() == {"external_id", "scenario", "image"}
    assert task["data"]["external_id"] == f"{OBJECT}@{photo[OBJECT][:12]}/1"
    assert (task["meta"]["image"], task["meta"]["photo"], task["overlap"]) == (OBJECT, photo[OBJECT], 1)
    project = studio.api("GET", f"/api/projects/{pairs.project}").json()
    assert project["maximum_annotations"] == 3
    assert project["show_instruction"]
    assert "closer" in project["expert_instruction"]
    assert project["enable_empty_annotation"]
    assert not studio.api("GET", f"/api/projects/{photos.project}").json()["enable_empty_annotation"]


def test_the_order_is_by_chance_and_the_same_for_the_same_seed(studio, server, make_campaign):
    campaign = make_campaign(pairs=many(12), seed=3)
    report = sent(campaign, server, studio)
    order = [task["data"]["external_id"] for task in listed(studio, report.project)]
    assert order == sorted(order, key=lambda name: shuffled_key(3, name))
    assert order != sorted(order)


def many(count):
    return tuple(disputed(INDOOR, (row, 3), (row + 40, 90 - row)) for row in range(count))


def test_pushing_again_changes_nothing(studio, server, campaign):
    first = push(campaign, server, root=studio.root)
    before = [listed(studio, report.project) for report in first]
    again = push(campaign, server, root=studio.root)
    assert [(report.sent, report.present) for report in again] == [(0, 5), (0, 1)]
    assert [listed(studio, report.project) for report in again] == before


def test_gold_pairs_look_like_others(studio, server, make_campaign, tmp_path):
    campaign = make_campaign(pairs=many(6), annotation={"gold": 0.25})
    truth = {INDOOR: [{"point1": [90, 5], "point2": [3, 60], "closer_point": "point2"}] * 1}
    (tmp_path / "annotations.json").write_text(json.dumps(truth))
    add_gold(campaign, tmp_path / "annotations.json")
    report = sent(campaign, server, studio)
    tasks = listed(studio, report.project)
    assert len(tasks) == 6 + 1 + 1
    (gold,) = [task for task in tasks if task["meta"]["pair"] == f"{INDOOR}#3,60-90,5"]
    (other,) = [task for task in tasks if task["data"]["image"] and not task["meta"]["votes"] and task is not gold]
    assert gold["data"].keys() == other["data"].keys()
    assert gold["meta"].keys() == other["meta"].keys()
    assert all(gold["meta"][key] == other["meta"][key] for key in ("da2k", "votes"))
    for told in (json.dumps(gold), studio.api("GET", f"/api/projects/{report.project}").text):
        assert not [word for word in ("gold", "point1", "point2", 'truth": true') if word in told]
    assert report.stale == ()


def test_three_different_people_answer_each_pair_and_no_fourth(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    for person in people[:3]:
        assert given(studio, report.project, person)["id"] == task["id"]
        hand_in(studio, person, task["id"], choice("A"))
    assert [given(studio, report.project, person) for person in people] == [None] * 5


def test_dissent_goes_to_a_fourth_person_once(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    for person, said in zip(people, ["A", "A", "B"], strict=False):
        hand_in(studio, person, task["id"], choice(said))
    pull(campaign, server)
    assert [sent(campaign, server, studio).again for _ in range(2)] == [1, 0]
    offered = [given(studio, report.project, person) for person in people]
    assert [bool(each) for each in offered] == [False, False, False, True, False], "who has it before them keeps it"
    hand_in(studio, people[3], task["id"], choice("A"))
    assert sent(campaign, server, studio).again == 0, "the fourth answer is there, though it is not pulled yet"
    assert [given(studio, report.project, person) for person in people] == [None] * 5
    pull(campaign, server)
    sent(campaign, server, studio)
    assert [given(studio, report.project, person) for person in people] == [None] * 5
    (decision,) = read_decisions(campaign).values()
    assert (decision.state, decision.answers) == (State.KEPT, 4)


@pytest.mark.parametrize("images", ["local", "inline"])
def test_in_review_the_first_answer_is_shown_to_two_others(studio, server, make_campaign, people, images):
    campaign = only_pairs(make_campaign, annotation={"mode": "review"})
    report = sent(campaign, server, studio, images=images)
    (task,) = listed(studio, report.project)
    offered = [given(studio, report.project, person) for person in people]
    assert [each and each["data"]["first"] for each in offered] == ["", None, None, None, None]
    hand_in(studio, people[0], task["id"], choice("B"))
    assert [given(studio, report.project, person) for person in people] == [None] * 5, "nobody sees it before the push"
    pull(campaign, server)
    assert [sent(campaign, server, studio, images=images).reviewing for _ in range(2)] == [1, 0]
    offered = [given(studio, report.project, person) for person in people]
    shown = {**task["data"], "first": "The first answer: B is closer. Do you agree?"}
    assert [each and each["data"] for each in offered] == [None, shown, shown, None, None]
    hand_in(studio, people[1], task["id"], choice("B"))
    assert [bool(given(studio, report.project, person)) for person in people] == [False, False, True, False, False]
    hand_in(studio, people[2], task["id"], choice("A"))
    assert [given(studio, report.project, person) for person in people] == [None] * 5
    pull(campaign, server)
    report = sent(campaign, server, studio)
    assert (report.again, report.reviewing) == (1, 0)
    offered = [given(studio, report.project, person) for person in people]
    assert [each and each["data"] for each in offered] == [None, None, None, shown, None]


def test_the_letter_shown_is_that_of_the_task_though_the_seed_has_changed(studio, server, make_campaign, people):
    campaign = make_campaign("with another seed", pairs=many(8), annotation={"mode": "review", "gold": 0})
    report = sent(campaign, server, studio)
    tasks = listed(studio, report.project)
    for task in tasks:
        hand_in(studio, people[0], task["id"], choice("A"))
    pull(campaign, server)
    folder = Pictures("local", studio.root).folder(campaign)
    drawn = {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    reseeded = changed(campaign, seed=campaign.settings.seed + 1)
    assert [sent(reseeded, server, studio).reviewing for _ in range(2)] == [len(tasks), 0]
    after = listed(studio, report.project)
    assert {task["data"]["first"] for task in after} == {"The first answer: A is closer. Do you agree?"}
    assert [task["meta"] for task in after] == [task["meta"] for task in tasks]
    assert {path.name for path in folder.iterdir()} == drawn, "the tasks show what they showed"


def test_a_task_whose_meta_is_lost_is_left_alone(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, annotation={"mode": "review"})
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    hand_in(studio, people[0], task["id"], choice("A"))
    pull(campaign, server)
    studio.api("PATCH", f"/api/tasks/{task['id']}", json={"meta": {"da2k": 1}})
    before = listed(studio, report.project)
    report = sent(campaign, server, studio)
    assert (report.reviewing, report.again, report.closed) == (0, 0, 0)
    assert listed(studio, report.project) == before


def test_a_first_answer_that_was_changed_or_deleted_is_not_shown_any_more(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, annotation={"mode": "review"})
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)

    def shown():
        pull(campaign, server)
        reviewing = sent(campaign, server, studio).reviewing
        (task,) = listed(studio, report.project)
        return task["data"]["first"][:19], reviewing, task["overlap"]

    first = hand_in(studio, people[0], task["id"], choice("A"))
    assert shown() == ("The first answer: A", 1, 3)
    studio.api("PATCH", f"/api/annotations/{first}/", people[0].token, json={"result": choice("B")})
    assert shown() == ("The first answer: B", 0, 3)
    studio.api("DELETE", f"/api/annotations/{first}/")
    assert shown() == ("", 0, 1)
    hand_in(studio, people[1], task["id"], choice("A"))
    assert shown() == ("The first answer: A", 1, 3)


def test_a_first_answer_that_is_no_order_is_not_reviewed(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, annotation={"mode": "review"})
    report = sent(campaign, server, studio)
    hand_in(studio, people[0], listed(studio, report.project)[0]["id"], choice("tie"))
    pull(campaign, server)
    assert sent(campaign, server, studio).reviewing == 0
    assert given(studio, report.project, people[1]) is None


def test_who_chose_a_pair_by_hand_has_answered_it(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, (), scenarios={"object": {"selection": "manual", "quota": 1}, "indoor": {}})
    (report,) = push(campaign, server, root=studio.root)
    assert (report.kind, report.sent) == ("photos", 1)
    photo = given(studio, report.project, people[0])
    hand_in(studio, people[0], photo["id"], marked((70, 100), (8, 9), SIZES[OBJECT]))
    pull(campaign, server)
    pairs, photos = push(campaign, server, root=studio.root)
    assert (pairs.sent, photos.sent, photos.stale, photos.vanished) == (1, 0, (), ())
    (task,) = listed(studio, pairs.project)
    (annotation,) = task["annotations"]
    by = annotation["completed_by"]
    assert (by if isinstance(by, int) else by["id"]) == people[0].id
    assert not annotation["ground_truth"]
    near = "B" if not task["meta"]["swapped"] else "A"
    assert annotation["result"][0]["value"] == {"choices": [near]}, "point2, (70, 100), is the nearer"
    assert given(studio, pairs.project, people[0]) is None
    for person in people[1:3]:
        hand_in(studio, person, given(studio, pairs.project, person)["id"], choice(near))
    assert [given(studio, pairs.project, person) for person in people] == [None] * 5
    pull(campaign, server)
    (decision,) = read_decisions(campaign).values()
    assert (decision.state, decision.answers, decision.agree) == (State.KEPT, 3, 3)
    assert [(report.sent, report.again) for report in push(campaign, server, root=studio.root)] == [(0, 0), (0, 0)]


def test_answers_from_elsewhere_spare_people_the_work(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    pair = read_pairs(campaign)[0].id
    record_answers(campaign, [Answer(pair, "somebody else", "point1")])
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    assert task["overlap"] == 2
    record_answers(campaign, [Answer(pair, "known", "point1", "exact")])
    assert sent(campaign, server, studio).present == 0, "a known depth needs nobody"


def test_somebody_who_answers_twice_takes_nobody_else_s_place(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    for person in (people[0], people[0], people[1]):
        hand_in(studio, person, task["id"], choice("A"))
    assert given(studio, report.project, people[2]) is None, "the server counts annotations, not people"
    pull(campaign, server)
    sent(campaign, server, studio)
    assert given(studio, report.project, people[2])["id"] == task["id"]


def test_an_annotation_that_does_not_count_takes_nobody_s_place(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    for person, said in zip(people, "AAC", strict=False):
        hand_in(studio, person, task["id"], choice(said))
    assert given(studio, report.project, people[3]) is None
    assert pull(campaign, server)[0].counted == 2
    sent(campaign, server, studio)
    assert given(studio, report.project, people[3])["id"] == task["id"]
    hand_in(studio, people[3], task["id"], choice("A"))
    assert given(studio, report.project, people[4]) is None
    pull(campaign, server)
    assert [decision.state for decision in read_decisions(campaign).values()] == [State.KEPT]


def test_a_photo_task_handed_in_wrongly_goes_to_somebody_else(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, (), scenarios={"object": {"selection": "manual", "quota": 1}, "indoor": {}})
    (report,) = push(campaign, server, root=studio.root)
    task = given(studio, report.project, people[0])
    hand_in(studio, people[0], task["id"], [mark("nearer", 1, 1, SIZES[OBJECT])])
    pull(campaign, server)
    (report,) = push(campaign, server, root=studio.root)
    assert (report.sent, report.present) == (0, 1)
    assert [bool(given(studio, report.project, person)) for person in people[:2]] == [False, True]
    hand_in(studio, people[1], task["id"], marked((70, 100), (8, 9), SIZES[OBJECT]))
    pull(campaign, server)
    pairs, photos = push(campaign, server, root=studio.root)
    assert (pairs.sent, photos.present) == (1, 0)
    assert given(studio, report.project, people[2]) is None


def test_a_late_twin_with_the_answer_that_we_put_into_it_is_deleted(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, (), scenarios={"object": {"selection": "manual", "quota": 1}, "indoor": {}})
    (report,) = push(campaign, server, root=studio.root)
    photo = given(studio, report.project, people[0])
    hand_in(studio, people[0], photo["id"], marked((70, 100), (8, 9), SIZES[OBJECT]))
    pull(campaign, server)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    (copied,) = task["annotations"]
    assert [item["id"] for item in copied["result"]] == ["da2k-given"]
    own = {"completed_by": people[0].id, "result": copied["result"], "ground_truth": False}
    twin = {"data": task["data"], "meta": task["meta"], "annotations": [own]}
    for is_changed in (False, True):
        studio.api("POST", f"/api/projects/{report.project}/import", json=[twin])
        if is_changed:
            late = listed(studio, report.project)[1]["annotations"][0]
            answer = studio.api("PATCH", f"/api/annotations/{late['id']}/", people[0].token, json=own)
            assert answer.status_code == 200
        assert sent(campaign, server, studio).duplicates == ()
        (left,) = listed(studio, report.project)
        assert (left["id"] == task["id"]) is not is_changed, "what a person changed stays"


def test_a_decided_pair_is_given_to_nobody_until_it_needs_answers_again(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign, PAIRS)
    report = sent(campaign, server, studio)
    tasks = {task["meta"]["pair"]: task for task in listed(studio, report.project)}
    dropped, known, kept, tied = (pair.id for pair in PAIRS)
    bad = hand_in(studio, people[0], tasks[dropped]["id"], choice("bad"))
    for person, said in zip(people, ("tie", "A", "A"), strict=False):
        hand_in(studio, person, tasks[kept]["id"], choice("A"))
        hand_in(studio, person, tasks[tied]["id"], choice(said))
    assert given(studio, report.project, people[0])["id"] == tasks[known]["id"]
    pull(campaign, server)
    record_answers(campaign, [Answer(known, "the sensor", "point1", "exact")])
    assert [sent(campaign, server, studio).closed for _ in range(2)] == [2, 0]
    assert [given(studio, report.project, person) for person in people[1:]] == [None] * 4
    stricter = changed(campaign, checks={"checks": 3})
    assert [sent(stricter, server, studio).closed for _ in range(2)] == [1, 0], "the server opens the tied one"
    assert given(studio, report.project, people[3])["id"] == tasks[kept]["id"]
    hand_in(studio, people[3], tasks[kept]["id"], choice("A"))
    assert [given(studio, report.project, person) for person in people[1:]] == [None] * 4
    studio.api("PATCH", f"/api/annotations/{bad}/", people[0].token, json={"result": choice("A")})
    campaign.db.run("DELETE FROM answers WHERE origin = 'python'")
    pull(campaign, server)
    assert sent(stricter, server, studio).closed == 0
    for person in people[1:4]:
        for _ in range(2):
            hand_in(studio, person, given(studio, report.project, person)["id"], choice("A"))
        assert given(studio, report.project, person) is None
    pull(campaign, server)
    assert read_decisions(stricter)[dropped].state is State.KEPT


def test_vanished_foreign_and_stale_tasks(studio, server, make_campaign):
    campaign = only_pairs(make_campaign, PAIRS)
    report = sent(campaign, server, studio)
    tasks = listed(studio, report.project)
    gone, stale = tasks[1], tasks[2]
    assert studio.api("DELETE", f"/api/tasks/{gone['id']}").status_code == 204
    image = tasks[0]["data"]["image"]
    strange = [
        {"image": image, "strip_a": image, "strip_b": image, "first": "", **more}
        for more in ({}, {"external_id": "my own"}, {"external_id": 7}, {"external_id": f"{OBJECT}@0123456789ab/1"})
    ]
    studio.api("POST", f"/api/projects/{report.project}/import", json=[{"data": data} for data in strange])
    campaign.db.run("UPDATE pairs SET queued = 0 WHERE id = ?", stale["meta"]["pair"])
    report = sent(campaign, server, studio)
    assert (report.sent, report.present) == (1, 2)
    assert report.vanished == (gone["data"]["external_id"],)
    assert report.stale == (stale["data"]["external_id"],)
    now = {task["id"]: task for task in listed(studio, report.project)}
    assert set(report.foreign) <= now.keys()
    assert len(report.foreign) == 4
    assert [now[number]["data"] for number in sorted(report.foreign)] == strange
    assert now[stale["id"]] == stale
    assert sent(campaign, server, studio).vanished == ()


def test_a_task_that_was_deleted_after_an_answer_asks_only_for_what_is_missing(studio, server, make_campaign, people):
    campaign = only_pairs(make_campaign)
    report = sent(campaign, server, studio)
    (task,) = listed(studio, report.project)
    hand_in(studio, people[0], task["id"], choice("A"))
    pull(campaign, server)
    studio.api("DELETE", f"/api/tasks/{task['id']}")
    assert sent(campaign, server, studio).sent == 1
    assert [each["overlap"] for each in listed(studio, report.project)] == [2]
    sent(campaign, server, studio)
    assert [each["overlap"] for each in listed(studio, report.project)] == [2]


def test_uploaded_pictures_arrive_once(studio, server, campaign, people):
    reports = push(campaign, server, images="upload")
    tasks = [task for report in reports for task in listed(studio, report.project)]
    for task in tasks:
        for name in ("image", "strip_a", "strip_b"):
            if name in task["data"]:
                shown = studio.api("GET", task["data"][name], people[0].token)
                assert (shown.status_code, shown.content[:3]) == (200, b"\xff\xd8\xff")
    files = [studio.api("GET", f"/api/projects/{report.project}/file-uploads?all=true").json() for report in reports]
    assert [len(each) for each in files] == [15, 1]
    assert [report.sent for report in push(campaign, server, images="upload")] == [0, 0]
    studio.api("DELETE", f"/api/tasks/{tasks[0]['id']}")
    assert push(campaign, server, images="upload")[0].sent == 1
    assert len(studio.api("GET", f"/api/projects/{reports[0].project}/file-uploads?all=true").json()) == 15


def test_pictures_in_the_tasks(studio, server, campaign):
    reports = push(campaign, server, images="inline")
    for report in reports:
        for task in listed(studio, report.project):
            assert task["data"]["image"].startswith("data:image/jpeg;base64,/9j/")


def test_pictures_that_were_lost_are_drawn_again(studio, server, campaign):
    push(campaign, server, root=studio.root)
    folder = Pictures("local", studio.root).folder(campaign)
    for path in folder.iterdir():
        path.unlink()
    assert [report.sent for report in push(campaign, server, root=studio.root)] == [0, 0]
    assert len(list(folder.iterdir())) == 16


def test_a_changed_photograph_stops_only_its_own_tasks(studio, server, campaign):
    (campaign.folder / INDOOR).write_bytes(b"not the photograph")
    pairs, photos = push(campaign, server, root=studio.root)
    assert (pairs.sent, photos.sent) == (3, 1)
    assert pairs.failures.keys() == {INDOOR}


@pytest.mark.parametrize("where", ["no such name on the server", "outside", "the root itself"])
def test_pictures_that_the_server_cannot_reach(studio, server, campaign, tmp_path, where):
    """No task is sent that would show nothing."""
    if where == "no such name on the server":
        options = {"root": studio.root, "server_root": "/srv/elsewhere"}
    elif where == "outside":
        options = {"root": tmp_path / "outside"}
    else:
        options = {"root": studio.root.parent}
        campaign = Workspace(campaign.folder.rename(campaign.folder.parent / "root"), campaign.settings, campaign.db)
    told = refused(lambda: push(campaign, server, **options))
    assert "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true" in told
    assert "--images upload" in told
    assert not listed(studio, read_campaign(campaign, "pairs").project)
    pairs, _ = push(campaign, server, images="inline")
    assert pairs.sent == 5


def test_the_server_sees_another_file_than_we_drew(studio, server, campaign, tmp_path):
    """Another machine's folder of the same name."""
    push(campaign, server, root=studio.root)
    shown = Pictures("local", studio.root).folder(campaign)
    for path in shown.iterdir():
        path.write_bytes(b"another file")
    studio.api("DELETE", f"/api/tasks/{listed(studio, read_campaign(campaign, 'pairs').project)[0]['id']}")
    told = refused(lambda: push(campaign, server, root=tmp_path / "here", server_root=str(studio.root)))
    assert "is not the file in" in told


def test_a_project_of_one_s_own(studio, server, campaign):
    made = studio.api("POST", "/api/projects/", json={"title": "ours", "description": "keep this"}).json()["id"]
    report = sent(campaign, server, studio, project=made)
    assert (report.project, report.sent) == (made, 5)
    project = studio.api("GET", f"/api/projects/{made}").json()
    assert project["title"] == "ours"
    assert project["description"].startswith("keep this\n")
    assert 'name="closer"' in project["label_config"]
    assert sent(campaign, server, studio).present == 5
    assert sent(campaign, server, studio, project=made).present == 5
    told = refused(lambda: sent(campaign, server, studio, project=made + 1000))
    assert f"in project {made}" in told
    assert "say which of them" in refused(lambda: push(campaign, server, project=made))


def test_a_project_that_looks_otherwise_gets_our_interface(studio, server, campaign):
    report = sent(campaign, server, studio)
    ours = studio.api("GET", f"/api/projects/{report.project}").json()["label_config"]
    other = ours.replace("padding", "margin")
    assert other != ours
    studio.api("PATCH", f"/api/projects/{report.project}", json={"label_config": other})
    report = sent(campaign, server, studio)
    assert any("interface" in note for note in report.notes)
    assert studio.api("GET", f"/api/projects/{report.project}").json()["label_config"] == ours


def test_a_project_with_another_interface(studio, server, campaign):
    other = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="x"/></Choices></View>'
    made = studio.api("POST", "/api/projects/", json={"title": "another", "label_config": other}).json()["id"]
    told = refused(lambda: sent(campaign, server, studio, project=made))
    assert f'project {made} "another"' in told
    assert "has another interface" in told
    assert studio.api("GET", f"/api/projects/{made}").json()["label_config"] == other
    assert not read_campaign(campaign, "pairs").begun
    report = sent(campaign, server, studio)
    swapped = interface("photos", "independent")
    studio.api("DELETE", f"/api/projects/{report.project}/tasks/")
    studio.api("PATCH", f"/api/projects/{report.project}", json={"label_config": swapped})
    assert "has another interface" in refused(lambda: sent(campaign, server, studio))


def test_a_project_of_another_campaign(studio, server, make_campaign):
    project = sent(make_campaign("one"), server, studio).project
    other = make_campaign("other")
    assert "belongs to another campaign" in refused(lambda: sent(other, server, studio, project=project))
    assert sent(other, server, studio).project != project


def test_a_deleted_project_is_told_and_begun_anew_only_on_request(studio, server, campaign):
    project = sent(campaign, server, studio).project
    studio.api("DELETE", f"/api/projects/{project}")
    told = refused(lambda: sent(campaign, server, studio))
    assert f"project {project} is not on" in told
    assert "--new-project" in told
    report = sent(campaign, server, studio, new_project=True)
    assert (report.sent, report.vanished) == (5, ())
    assert report.project != project
    assert sent(campaign, server, studio).present == 5


def test_another_server_only_on_request(studio, campaign):
    sent(campaign, connect(studio), studio)
    other = connect(studio)
    other.url = other.url.replace("127.0.0.1", "localhost")
    path = f"/api/projects/{read_campaign(campaign, 'pairs').project}"
    assert studio.api("PATCH", path, json={"description": "of somebody else"}).status_code == 200
    told = refused(lambda: sent(campaign, other, studio))
    assert studio.url in told
    assert "--new-project" in told


def test_the_mode_stays_once_there_are_tasks(studio, server, campaign):
    project = sent(campaign, server, studio).project
    review = changed(campaign, annotation={"mode": "review"})
    told = refused(lambda: sent(review, server, studio))
    assert "annotation.mode independent" in told
    studio.api("DELETE", f"/api/projects/{project}/tasks/")
    report = sent(review, server, studio)
    assert (report.project, report.sent) == (project, 5)
    assert studio.api("GET", f"/api/projects/{project}").json()["maximum_annotations"] == 1


def test_guidelines(studio, server, make_campaign):
    campaign = make_campaign(annotation={"guidelines": "ours.md"})
    assert "ours.md" in refused(lambda: push(campaign, server, root=studio.root))
    assert not read_campaign(campaign, "pairs").begun
    (campaign.folder / "ours.md").write_text("# Look\n\n*twice*")
    project = sent(campaign, server, studio).project
    assert "<em>twice</em>" in studio.api("GET", f"/api/projects/{project}").json()["expert_instruction"]


def test_nothing_to_ask(studio, server, make_campaign):
    campaign = only_pairs(make_campaign, (), scenarios={"indoor": {}})
    assert "nothing to ask" in refused(lambda: push(campaign, server, root=studio.root))
    assert not read_campaign(campaign, "pairs").begun


def test_a_second_project_of_the_same_purpose_is_told(studio, server, campaign):
    project = sent(campaign, server, studio).project
    tag = read_campaign(campaign, "pairs").tag
    twin = studio.api("POST", "/api/projects/", json={"title": "twin", "description": f"da2k campaign {tag} pairs"})
    report = sent(campaign, server, studio)
    assert report.project == project
    assert any(f"project {twin.json()['id']} " in note for note in report.notes)


def test_making_a_project_is_not_done_before_its_tag_is_stored(studio, server, campaign, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "create_project", stop)
    begun = read_campaign(campaign, "pairs")
    with pytest.raises(KeyboardInterrupt):
        ready_project(campaign, server, begun, 3)
    assert read_campaign(campaign, "pairs").tag == begun.tag


def test_files_to_import_by_hand(studio, server, campaign, people, tmp_path):
    reports = write_tasks(campaign, tmp_path / "files")
    assert [(each.kind, each.project, each.sent) for each in reports] == [("pairs", None, 5), ("photos", None, 1)]
    project = json.loads((tmp_path / "files/pairs/project.json").read_text())
    assert project["label_config"] == (tmp_path / "files/pairs/interface.xml").read_text()
    made = studio.api("POST", "/api/projects/", json=project).json()["id"]
    with (tmp_path / "files/pairs/tasks.json").open("rb") as f:
        done = studio.api("POST", f"/api/projects/{made}/import", files={"tasks.json": ("tasks.json", f)})
    assert done.status_code == 201
    names = Counter(task["data"]["external_id"] for task in listed(studio, made))
    assert set(names.values()) == {1}
    assert len(names) == 5
    assert (tmp_path / "files/pairs/guidelines.html").read_text().count("<h1>") == 1
    instruction = (tmp_path / "files/pairs/guidelines.html").read_text()
    settled = studio.api("GET", f"/api/projects/{made}").json()
    assert (settled["expert_instruction"], settled["show_instruction"]) == (instruction, True)
    asked = Counter()
    for person in people:
        while task := given(studio, made, person):
            hand_in(studio, person, task["id"], choice("A"))
            asked[task["id"]] += 1
    assert list(asked.values()) == [3] * 5
    with pytest.raises(NotThere):
        server.project(made + 1000)


def test_files_need_no_answers_shown(make_campaign, tmp_path):
    campaign = make_campaign(annotation={"mode": "review"})
    assert "in review mode" in refused(lambda: write_tasks(campaign, tmp_path / "files"))
    assert [report.kind for report in write_tasks(campaign, tmp_path / "files", kinds=["photos"])] == ["photos"]
