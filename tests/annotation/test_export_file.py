"""Files that a real Label Studio exported, and files that it never would have."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from da2k.annotation import export_file
from da2k.annotation.campaign import read_campaign, write_campaign
from da2k.annotation.export_file import pull_file
from da2k.annotation.pull import pull
from da2k.annotation.tasks import PhotoTask
from da2k.construction.queue import read_answers, read_pairs
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput
from tests.annotation.asked import TABLES, as_sent, ask, choice, connect, marked, pair_tasks, tables
from tests.annotation.conftest import CHOSEN, OBJECT, PAIRS, SIZES


@pytest.fixture
def people(studio):
    return [studio.person(name) for name in ("ann", "bo", "cy")]


@pytest.fixture
def answered(studio, make_campaign, people, tmp_path):
    """A workspace whose projects have answers of every sort, and the exports that the web page gives of them."""
    workspace = make_campaign()
    tasks = pair_tasks(workspace)
    asked = ask(studio, workspace, "pairs", tasks)
    for number, task in enumerate(tasks[:4]):
        for person in people[: number + 1]:
            asked.says(person, task, ("point1", "point2", "cannot_tell")[number % 3], lead_time=3.5 + number)
    asked.answer(people[1], tasks[0], choice("C"))
    asked.answer(people[2], tasks[0], [], was_cancelled=True)
    photo = next(image for image in workspace.images() if image.image == OBJECT)
    task = PhotoTask(OBJECT, photo.sha256, 1)
    photos = ask(studio, workspace, "photos", [task, replace(task, number=2)])
    photos.answer(people[0], task, marked((4, 9), (70, 20), SIZES[OBJECT]))
    photos.answer(people[1], replace(task, number=2), choice("no clear pair", "none"))
    files = {kind: tmp_path / f"{kind}.json" for kind in ("pairs", "photos")}
    for kind, each in (("pairs", asked), ("photos", photos)):
        export(studio, each.project, files[kind])
    return workspace, asked, photos, files


def export(studio, project, path, form="JSON", **options):
    """What the Export button of the web page gives."""
    done = studio.api("GET", f"/api/projects/{project}/export", params={"exportType": form, **options})
    assert done.status_code == 200
    path.write_bytes(done.content)
    return path


def counted(workspace):
    """What counts, whoever the people are called."""
    return {(a.pair, a.says, a.seconds, a.given, a.photo) for given in read_answers(workspace).values() for a in given}


def held(workspace):
    columns = "project, id, task, external_id, meta, person, result, cancelled, seconds, created, updated"
    return workspace.db.run(f"SELECT {columns} FROM annotations ORDER BY project, id")


def queue(workspace):
    return {pair.id for pair in read_pairs(workspace, queued_only=True)}


def test_an_export_gives_what_a_pull_from_the_server_gives(answered, studio, make_campaign):
    workspace, *_, files = answered
    pull(workspace, connect(studio))
    apart = make_campaign("apart")
    reports = [pull_file(apart, files[kind]) for kind in ("pairs", "photos")]
    assert held(apart) == held(workspace)
    assert counted(apart) == counted(workspace)
    assert len(counted(apart)) == 1 + 2 + 3 + 3 + 1
    assert queue(apart) == queue(workspace)
    assert [(r.kind, r.new, r.counted, r.skipped) for r in reports] == [("file", 12 - 1, 9, 1), ("file", 2, 1, 0)]
    assert [*reports[0].problems] == ["unknown choice"]
    assert any("no clear pair" in note for note in reports[1].notes)
    people = {a.person for given in read_answers(apart).values() for a in given}
    assert all(person.startswith("user ") for person in people)
    assert len(people) == 3, "somebody who works in two projects of a server is one person"


def test_both_kinds_in_one_file_and_every_way_of_exporting_give_the_same(answered, studio, make_campaign, tmp_path):
    _, asked, _photos, files = answered
    label_studio = connect(studio)._sdk
    sdk = json.dumps(label_studio.projects.exports.as_json(asked.project), default=str)
    both = [*json.loads(sdk), *json.loads(files["photos"].read_bytes())]
    every = export(studio, asked.project, tmp_path / "all.json", download_all_tasks="true")
    first, second, third = (make_campaign(name) for name in ("first", "second", "third"))
    for kind in ("pairs", "photos"):
        pull_file(first, files[kind])
    (tmp_path / "both.json").write_text(json.dumps(both, indent=1), encoding="utf-8-sig")
    pull_file(second, tmp_path / "both.json")
    pull_file(third, every)
    pull_file(third, files["photos"])
    for other in (second, third):
        assert tables(other) == tables(first)


def test_a_snapshot_that_names_the_people_is_known_by_their_names(answered, studio, make_campaign, people, tmp_path):
    _, asked, *_ = answered
    options = {"title": "named", "serialization_options": {"annotations__completed_by": {"only_id": False}}}
    made = studio.api("POST", f"/api/projects/{asked.project}/exports/", json=options)
    assert made.status_code == 201, made.text[:200]
    path = f"/api/projects/{asked.project}/exports/{made.json()['id']}/download"
    (tmp_path / "named.json").write_bytes(studio.api("GET", path, params={"exportType": "JSON"}).content)
    workspace = make_campaign("named")
    pull_file(workspace, tmp_path / "named.json")
    assert {a.person for given in read_answers(workspace).values() for a in given} == {p.email for p in people}


@pytest.mark.parametrize("bound", [True, False])
def test_file_and_server_in_either_order_are_the_same(answered, studio, make_campaign, bound):
    workspace, *_, files = answered
    pull(workspace, connect(studio))
    expected = tables(workspace)
    for kind in ("pairs", "photos"):
        report = pull_file(workspace, files[kind])
        assert (report.new, report.changed, report.gone) == (0, 0, 0)
        assert tables(workspace) == expected
    other = make_campaign("other")
    campaigns = [replace(read_campaign(workspace, kind), seen=None) for kind in ("pairs", "photos")]
    for campaign in campaigns if bound else ():
        write_campaign(other, campaign)
    for _ in range(2):
        for kind in ("pairs", "photos"):
            pull_file(other, files[kind])
    for campaign in campaigns:
        write_campaign(other, campaign)
    for report in pull(other, connect(studio)):
        assert (report.new, report.changed, report.gone) == (0, 0, 0)
    assert tables(other) == expected


def test_an_old_file_takes_nothing_back(answered, studio, make_campaign, people):
    workspace, asked, _, files = answered
    tasks = pair_tasks(workspace)
    pull(workspace, connect(studio))
    file_only = make_campaign("file only")
    pull_file(file_only, files["pairs"])
    number, gone = (
        row[0]
        for row in workspace.db.run(
            "SELECT id FROM annotations WHERE external_id = ? ORDER BY id LIMIT 2", tasks[3].external_id
        )
    )
    asked.change(people[0], number, choice("bad"))
    asked.delete("annotations", gone)
    pull(workspace, connect(studio))
    export(studio, asked.project, files["pairs"].with_name("new.json"))
    pull_file(file_only, files["pairs"].with_name("new.json"))
    for each in (workspace, file_only):
        before = tables(each)
        report = pull_file(each, files["pairs"])
        assert tables(each) == before
        assert (report.new, report.changed, report.gone, "--everything" in " ".join(report.notes)) == (0, 0, 0, False)
        assert any("older than what was pulled before" in note for note in report.notes)


def test_two_servers_with_the_same_numbers_stay_two(make_campaign, tmp_path):
    """Two people with a Label Studio of their own each: both are user 1, and both work in project 1 on task 1."""
    workspace = make_campaign()
    (task, *_) = pair_tasks(workspace)
    for name, second, says in (("ann", "01", "point1"), ("bo", "02", "point2")):
        at = f"2026-01-01T00:00:{second}.000000Z"
        of_it = {"id": 1, "completed_by": 1, "result": choice(task.choice(says)), "created_at": at, "updated_at": at}
        (tmp_path / name).write_text(
            json.dumps([{"id": 1, "project": 1, "annotations": [of_it], "updated_at": at, **as_sent(task)}])
        )
    for name in ("ann", "bo", "ann"):
        pull_file(workspace, tmp_path / name)
    assert sorted(a.says for a in read_answers(workspace)[task.pair]) == ["point1", "point2"]


# Files that are no such export

FORMATS = ["JSON_MIN", "CSV", "TSV", "COCO", "YOLO", "VOC"]


def test_exports_of_another_format_are_refused_with_what_to_do(answered, studio, tmp_path):
    workspace, asked, *_ = answered
    before = tables(workspace)
    for form in FORMATS:
        path = export(studio, asked.project, tmp_path / form, form)
        told = refusal_of(workspace, path)
        assert told.startswith(f"{path}: ")
        assert "\n" not in told
        assert 'choose Export, then "JSON"' in told
        assert ("JSON-MIN" in told) == (form == "JSON_MIN")
    assert tables(workspace) == before


def task_with(task, *annotations, **more):
    """A task as an export holds it."""
    return {"id": 7, "project": 3, "updated_at": "2026-01-01T00:00:00Z", **as_sent(task), **more} | {
        "annotations": [*annotations]
    }


def annotation_of(task, number=1, **more):
    at = "2026-01-01T00:00:00.5Z"
    answer = {"id": number, "completed_by": 4, "result": choice(task.choice("point1")), "created_at": at}
    return {**answer, "updated_at": at, "was_cancelled": False, "lead_time": 1.5, **more}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("{}", "holds one object"),
        ('{"images": [], "categories": []}', "holds one object"),
        ("nonsense", "is no JSON"),
        ("[", "is no whole JSON file"),
        ("[{}", "something else than tasks"),
        ("[{},]", "something else than tasks"),
        ("[] []", "is no whole JSON file"),
        ("[1, 2]", "something else than tasks"),
        ("[[]]", "something else than tasks"),
        ('[{"a": 1}]', "something else than tasks"),
        ('[{"data": {"image": "x"}}]', "tasks to import and no annotations"),
        ('[{"id": 1, "data": {}, "annotations": 3}]', "task 1: data and annotations are not"),
        ('[{"id": 1, "data": {}, "annotations": [3]}]', "task 1: an annotation is no object"),
        ('[{"id": "1", "data": {}, "annotations": []}]', "a task's id is no number"),
        ('[{"id": true, "data": {}, "annotations": []}]', "a task's id is no number"),
        ('[{"id": 1e3, "data": {}, "annotations": []}]', "a task's id is no number"),
        ('[{"id": 99999999999999999999, "data": {}, "annotations": []}]', "a task's id is no number"),
        ('[{"id": 1, "data": {}, "annotations": []}]', "does not name its project"),
        ('[{"id": 1, "project": 2, "data": {}, "annotations": []}]', "none of its 1 tasks is da2k's"),
        ('[{"id": ' + "9" * 5000 + "}]", "is no whole JSON file"),
        ('[{"a": ' + "[" * 200_000, "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ('[{"a": "\\ud800', "is no whole JSON file"),
        (b"\xff\xfe[\x00]\x00", "is no whole JSON file"),
    ],
)
def test_what_is_no_export_is_told_on_one_line(campaign, tmp_path, content, told):
    path = tmp_path / "export.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as caught:
        pull_file(campaign, path)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert campaign.db.run("SELECT * FROM annotations") == []


def test_a_file_that_is_not_there_or_is_a_folder_is_told(campaign, tmp_path):
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(BadInput, match=str(path)):
            pull_file(campaign, path)


def test_a_file_cut_at_its_end_stores_nothing(campaign, tmp_path, monkeypatch):
    monkeypatch.setattr(export_file, "_PAGE", 1)
    tasks = pair_tasks(campaign)
    whole = json.dumps([task_with(t, annotation_of(t, n), id=n) for n, t in enumerate(tasks, 1)])
    path = tmp_path / "cut.json"
    path.write_text(whole[:-1])
    with pytest.raises(BadInput, match="no whole JSON file"):
        pull_file(campaign, path)
    assert campaign.db.run("SELECT * FROM annotations") == []
    path.write_text(whole)
    assert pull_file(campaign, path).counted == len(tasks)


def test_an_export_without_answers_is_fine(campaign, tmp_path):
    (tmp_path / "none.json").write_text(" [\n]\n")
    report = pull_file(campaign, tmp_path / "none.json")
    assert (report.tasks, report.annotations, report.counted) == (0, 0, 0)
    assert any("nobody had answered" in note for note in report.notes)


def test_the_export_of_another_workspace_is_refused(campaign, tmp_path):
    task = replace(pair_tasks(campaign)[0], pair="images/indoor/elsewhere.png#1,2-3,4")
    (tmp_path / "other.json").write_text(json.dumps([task_with(task, annotation_of(task))]))
    with pytest.raises(BadInput, match=r"none of its photographs is in .*another workspace"):
        pull_file(campaign, tmp_path / "other.json")


@pytest.mark.parametrize("depth", [50, 300, 600, 900, 940, 960, 980, 1000, 5000])
def test_nesting_to_any_depth_is_no_traceback(campaign, tmp_path, depth):
    (task, *_) = pair_tasks(campaign)
    written = json.dumps([task_with(task, annotation_of(task, result=["here"]))])
    path = tmp_path / "deep.json"
    path.write_text(written.replace('"here"', "[" * depth + "]" * depth))
    told = refusal_of(campaign, path)
    assert told is None or "nested too deeply" in told
    assert (told is None) == bool(campaign.db.run("SELECT 1 FROM annotations"))


def refusal_of(workspace, path):
    """Why a file is refused; None if it is not."""
    try:
        pull_file(workspace, path)
    except BadInput as e:
        return str(e)
    return None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_file_of_any_content_ends_in_a_traceback(campaign, tmp_path, data):
    """An export in which some value, anywhere, is another one or missing."""
    first, second, *_ = pair_tasks(campaign)
    near_far = marked((4, 9), (70, 20), SIZES[OBJECT])
    photo = next(image for image in campaign.images() if image.image == OBJECT)
    by_hand = PhotoTask(OBJECT, photo.sha256, 1)
    content = [
        task_with(first, annotation_of(first), id=1),
        task_with(second, annotation_of(second, 2), id=2),
        task_with(by_hand, annotation_of(second, 3, result=near_far), id=3),
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        place, key = content, data.draw(st.integers(0, 2))
        while isinstance(place[key], dict | list) and place[key] and data.draw(st.integers(0, 4)):
            place = place[key]
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or place is content:
            place[key] = data.draw(ANYTHING)
        else:
            del place[key]
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps(content))
    campaign.db.run("DELETE FROM annotations")
    told = refusal_of(campaign, path)
    if told is not None:
        assert "\n" not in told
        assert campaign.db.run("SELECT * FROM annotations") == []
        return
    before = {name: campaign.db.run(f"SELECT * FROM {name}") for name in TABLES}
    again = pull_file(campaign, path)
    assert {name: campaign.db.run(f"SELECT * FROM {name}") for name in TABLES} == before
    assert (again.new, again.changed, again.gone) == (0, 0, 0)
    assert again.counted + again.skipped + sum(map(len, again.problems.values())) >= again.annotations


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(), ANYTHING)), st.integers(1, 40), st.sampled_from([None, 0, 3]))
def test_the_elements_of_a_list_come_one_by_one_however_the_file_is_cut(tmp_path, values, chunk, indent):
    path = tmp_path / "list.json"
    text = json.dumps(values, indent=indent)
    path.write_text(f"\n {text}\r\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_file, "_CHUNK", chunk)
        assert repr([*export_file._elements(path)]) == repr(json.loads(text))


MEMORY = """
import resource, sys
from pathlib import Path
from da2k.annotation.export_file import pull_file
from da2k.construction.workspace import open_workspace

with open_workspace(Path(sys.argv[1])) as workspace:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(pull_file(workspace, Path(sys.argv[2])).counted)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has this unit on Linux only")
def test_a_large_file_is_not_held_in_memory(make_campaign, tmp_path):
    """30,000 annotations and pictures in the file, as of a project that was made from a file."""
    workspace = make_campaign()
    (task, *_) = pair_tasks(workspace)
    picture = "data:image/jpeg;base64," + "A" * 8000
    path, number = tmp_path / "large.json", 0
    with path.open("w") as file:
        for row in range(100):
            for col in range(100):
                each = replace(task, pair=f"{task.image}#{row % 90},{col}-{row % 90 + 1},{row // 90 + 3}")
                annotations = [annotation_of(each, 3 * number + k + 1, completed_by=k + 1) for k in range(3)]
                found = task_with(each, *annotations, id=number + 1)
                found["data"]["image"] = picture
                file.write("," if number else "[")
                json.dump(found, file)
                number += 1
        file.write("]")
    (tmp_path / "memory.py").write_text(MEMORY)
    folder = workspace.folder
    make_campaign.stack.close()
    command = [sys.executable, str(tmp_path / "memory.py"), str(folder), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    counted, kilobytes = map(int, done.stdout.split())
    assert counted == 30_000
    assert path.stat().st_size > 90_000_000
    assert kilobytes * 1024 < 1.5 * path.stat().st_size
    with open_workspace(folder, read_only=True) as again:
        assert len(held(again)) == 30_000


def test_the_pairs_of_the_campaign_are_what_these_tests_take_them_for(campaign):
    assert queue(campaign) == {pair.id for pair in PAIRS} | {f"{CHOSEN[0]}#4,7-70,110"}
