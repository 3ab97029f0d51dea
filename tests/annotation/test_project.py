"""Which project a workspace's tasks go to, on a real server: begun anew, moved to another address, shown otherwise."""

import dataclasses

import pytest

from da2k.annotation import push as pushing
from da2k.annotation.campaign import Campaign, read_campaign, write_campaign
from da2k.annotation.project import follow_server
from da2k.annotation.pull import pull
from da2k.annotation.push import push
from da2k.annotation.server import Patience, Server, checked_url
from da2k.annotation.tasks import KINDS
from da2k.construction.queue import read_answers
from da2k.construction.release.agreement import mode_of
from da2k.construction.settings import Settings
from da2k.errors import BadInput
from tests.annotation.asked import choice, connect, marked
from tests.annotation.conftest import OBJECT, SIZES

PAIRS_ONLY = ("pairs",)
TABLES = ("campaigns", "annotations", "people", "modes")


@pytest.fixture
def server(studio):
    return connect(studio)


@pytest.fixture(scope="module")
def people(studio):
    return [studio.person(name) for name in ("ann", "bo")]


@pytest.fixture
def by_name(studio):
    """The same server under another name."""
    return Server(studio.url.replace("127.0.0.1", "localhost"), studio.token, Patience(60, 3, 0.05))


def sent(workspace, server, studio, kinds=PAIRS_ONLY, **more):
    return {report.kind: report for report in push(workspace, server, root=studio.root, kinds=kinds, **more)}


def project_of(workspace, kind="pairs"):
    return read_campaign(workspace, kind).project


def projects(studio):
    return {each["id"] for each in studio.api("GET", "/api/projects?page_size=1000").json()["results"]}


def tasks_of(studio, project):
    found = studio.api("GET", f"/api/tasks?project={project}&page_size=1000&fields=all").json()["tasks"]
    return sorted(found, key=lambda task: task["id"])


def hand_in(studio, person, task, result):
    done = studio.api("POST", f"/api/tasks/{task}/annotations/", person.token, json={"result": result, "lead_time": 2})
    assert done.status_code == 201, done.text[:200]
    return done.json()["id"]


def answer_all(studio, workspace, person):
    for task in tasks_of(studio, project_of(workspace)):
        hand_in(studio, person, task["id"], choice("A"))


def answers(workspace):
    return sum(map(len, read_answers(workspace).values()))


def with_mode(workspace, mode):
    settings = {**workspace.settings.model_dump(mode="json"), "annotation": {"mode": mode, "gold": 0}}
    return dataclasses.replace(workspace, settings=Settings.model_validate(settings))


def cut_push(monkeypatch, where, name, *what, **more):
    """A push that ends where this function is called."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, stop)
        with pytest.raises(KeyboardInterrupt):
            sent(*what, **more)


def test_no_answer_is_left_behind_in_an_old_project(studio, server, campaign, people):
    sent(campaign, server, studio)
    old = project_of(campaign)
    answer_all(studio, campaign, people[0])
    with pytest.raises(BadInput, match=rf"project {old} .*has 5 answers that were not pulled; .*da2k annotate pull"):
        sent(campaign, server, studio, new_project=True)
    assert project_of(campaign) == old
    pull(campaign, server)
    changed = tasks_of(studio, old)[0]["annotations"][0]["id"]
    studio.api("PATCH", f"/api/annotations/{changed}/", people[0].token, json={"result": choice("B")})
    with pytest.raises(BadInput, match="has 1 answers that were not pulled"):
        sent(campaign, server, studio, new_project=True)
    pull(campaign, server)
    sent(campaign, server, studio, new_project=True)
    assert project_of(campaign) != old
    pull(campaign, server)
    assert answers(campaign) == 5


@pytest.mark.parametrize(
    ("where", "name"), [(pushing, "send"), (pushing, "update_tasks"), (Server, "create_project"), (Server, "uploads")]
)
def test_the_same_command_after_a_cut_makes_no_third_project(
    studio, server, campaign, people, monkeypatch, where, name
):
    sent(campaign, server, studio, images="upload")
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    old, before = project_of(campaign), projects(studio)
    cut_push(monkeypatch, where, name, campaign, server, studio, new_project=True, images="upload")
    for _ in range(2):
        report = sent(campaign, server, studio, new_project=True, images="upload")["pairs"]
        assert report.vanished == ()
    (made,) = projects(studio) - before
    assert project_of(campaign) == made != old
    assert any("nobody has answered" in note for note in report.notes)


def test_answers_in_a_project_whose_first_push_was_cut_stay(studio, server, campaign, people, monkeypatch):
    cut_push(monkeypatch, pushing, "update_tasks", campaign, server, studio)
    answer_all(studio, campaign, people[0])
    project = project_of(campaign)
    assert sent(campaign, server, studio, new_project=True)["pairs"].project == project
    pull(campaign, server)
    assert answers(campaign) == 5


def test_each_new_project_has_a_tag_of_its_own(studio, server, campaign, people):
    sent(campaign, server, studio)
    old = read_campaign(campaign, "pairs")
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    sent(campaign, server, studio, new_project=True)
    new = read_campaign(campaign, "pairs")
    assert new.tag != old.tag
    assert new.tag in server.project(new.project).description
    assert new.tag not in server.project(old.project).description


def test_a_lost_project_takes_not_the_other_one_with_it(studio, server, campaign, people):
    sent(campaign, server, studio, KINDS)
    pairs, photos = (project_of(campaign, kind) for kind in KINDS)
    (photo,) = tasks_of(studio, photos)
    hand_in(studio, people[0], photo["id"], marked((70, 20), (4, 9), SIZES[OBJECT]))
    studio.api("DELETE", f"/api/projects/{pairs}")
    reports = sent(campaign, server, studio, KINDS, new_project=True)
    assert reports["pairs"].project != pairs
    assert reports["photos"].project == photos
    assert any(f"stay in project {photos}" in note for note in reports["photos"].notes)
    assert pull(campaign, server)[1].new == 1


def test_a_server_made_anew_at_the_same_address(studio, server, campaign, make_campaign):
    """Numbers begin again there, so that the project of that number is another one."""
    sent(campaign, server, studio)
    theirs = make_campaign("theirs")
    write_campaign(theirs, Campaign("pairs", "tag", studio.url, project_of(campaign), "independent"))
    assert sent(theirs, server, studio, KINDS, new_project=True)["pairs"].project != project_of(campaign)


def test_a_server_under_another_address_is_followed(studio, server, by_name, campaign, people):
    sent(campaign, server, studio, KINDS)
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    count, before = answers(campaign), {table: len(campaign.db.run(f"SELECT * FROM {table}")) for table in TABLES}
    reports = sent(campaign, by_name, studio, KINDS)
    assert (reports["pairs"].sent, reports["pairs"].vanished) == (0, ())
    assert reports["pairs"].notes == (
        f"{by_name.url} is the server that was {studio.url}; it goes by {by_name.url} now",
    )
    assert reports["photos"].notes == ()
    for table in TABLES:
        assert [url for (url,) in campaign.db.run(f"SELECT url FROM {table}")] == [by_name.url] * before[table]
    answer_all(studio, campaign, people[1])
    (report, _) = pull(campaign, by_name)
    assert (report.new, report.annotations) == (5, 10)
    assert answers(campaign) == 2 * count
    assert {each.person for given in read_answers(campaign).values() for each in given} == {p.email for p in people}


def test_a_project_gone_does_not_hide_that_it_is_the_same_server(studio, server, by_name, campaign):
    sent(campaign, server, studio, KINDS)
    studio.api("DELETE", f"/api/projects/{project_of(campaign)}")
    moved, notes = follow_server(campaign, by_name, read_campaign(campaign, "pairs"))
    assert moved.url == read_campaign(campaign, "photos").url == by_name.url
    assert len(notes) == 1
    assert follow_server(campaign, by_name, read_campaign(campaign, "photos"))[1] == ()


def test_another_server_is_not_followed_and_nothing_of_it_is_rewritten(studio, server, by_name, campaign, people):
    sent(campaign, server, studio)
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    path = f"/api/projects/{project_of(campaign)}"
    assert studio.api("PATCH", path, json={"description": "of somebody else"}).status_code == 200
    before = [campaign.db.run(f"SELECT * FROM {table}") for table in TABLES]
    stored = read_campaign(campaign, "pairs")
    assert follow_server(campaign, by_name, stored) == (stored, ())
    with pytest.raises(BadInput, match="to begin anew elsewhere"):
        sent(campaign, by_name, studio)
    assert [campaign.db.run(f"SELECT * FROM {table}") for table in TABLES] == before
    report = sent(campaign, by_name, studio, new_project=True)["pairs"]
    assert report.project != stored.project
    assert any(f"not pulled of project {stored.project} on {studio.url}" in note for note in report.notes)


def test_a_cut_while_the_address_is_rewritten_leaves_all_as_it_was(studio, server, by_name, campaign, people):
    sent(campaign, server, studio)
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    before = [campaign.db.run(f"SELECT * FROM {table}") for table in TABLES]
    campaign.db.run("CREATE TRIGGER stop BEFORE UPDATE ON people BEGIN SELECT RAISE(ABORT, 'cut'); END")
    with pytest.raises(BadInput, match="cut"):
        follow_server(campaign, by_name, read_campaign(campaign, "pairs"))
    assert [campaign.db.run(f"SELECT * FROM {table}") for table in TABLES] == before


def test_what_both_addresses_hold_is_held_once(studio, server, by_name, campaign, people):
    sent(campaign, server, studio)
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    for table in ("annotations", "people"):
        campaign.db.run(f"CREATE TEMP TABLE twin AS SELECT * FROM {table}")
        campaign.db.run("UPDATE twin SET url = ?", by_name.url)
        campaign.db.run(f"INSERT INTO {table} SELECT * FROM twin")
        campaign.db.run("DROP TABLE twin")
    campaign.db.run("INSERT INTO modes VALUES (?, ?, 'review')", by_name.url, project_of(campaign))
    follow_server(campaign, by_name, read_campaign(campaign, "pairs"))
    assert campaign.db.run("SELECT url, count(*) FROM annotations GROUP BY url") == [(by_name.url, 5)]
    assert campaign.db.run("SELECT * FROM modes") == [(by_name.url, project_of(campaign), "review")]


def test_answers_that_were_not_blind_stay_so_after_a_new_project(studio, server, by_name, make_campaign, people):
    campaign = make_campaign(annotation={"mode": "review", "gold": 0})
    sent(campaign, server, studio)
    answer_all(studio, campaign, people[0])
    pull(campaign, server)
    assert mode_of(campaign) == "review"
    blind = with_mode(campaign, "independent")
    sent(blind, server, studio, new_project=True)
    assert read_campaign(blind, "pairs").mode == "independent"
    assert mode_of(blind) == "review", "answers are held that were given in it"
    sent(blind, by_name, studio)
    assert mode_of(blind) == "review"
    blind.db.run("DELETE FROM annotations")
    assert mode_of(blind) == "independent"


def test_only_projects_of_pairs_have_a_mode_that_counts(studio, server, make_campaign):
    campaign = make_campaign(annotation={"mode": "review", "gold": 0})
    assert mode_of(with_mode(campaign, "independent")) == "independent", "nothing was pushed"
    sent(campaign, server, studio, ("photos",))
    assert mode_of(with_mode(campaign, "independent")) == "independent", "who chooses pairs sees nobody's answer"
    sent(campaign, server, studio, KINDS)
    pairs, photos = (project_of(campaign, kind) for kind in KINDS)
    reports = sent(with_mode(campaign, "independent"), server, studio, KINDS, new_project=True)
    assert (reports["pairs"].project != pairs, reports["photos"].project) == (True, photos)
    assert mode_of(campaign) == "independent", "nobody answered in the old one"


def test_a_project_in_which_answers_were_shown_is_never_called_blind(campaign):
    write_campaign(campaign, Campaign("pairs", "t", "http://s", 3, "review"))
    write_campaign(campaign, Campaign("pairs", "t", "http://s", 3, "independent"))
    assert campaign.db.run("SELECT mode FROM modes") == [("independent",)], "there were no answers"
    campaign.db.run("INSERT INTO annotations VALUES ('http://s', 3, 1, 1, 'x', '{}', '1', '[]', 0, 1.0, NULL, NULL)")
    write_campaign(campaign, Campaign("pairs", "t", "http://s", 3, "review"))
    write_campaign(campaign, Campaign("pairs", "t", "http://s", 3, "independent"))
    assert mode_of(campaign) == "review"
    write_campaign(campaign, Campaign("pairs", "t", "http://s", 4, "independent"))
    campaign.db.run("UPDATE annotations SET url = 'file 1'")
    assert mode_of(campaign) == "review", "the export may be of that project"
    campaign.db.run("UPDATE annotations SET url = 'http://other'")
    assert mode_of(campaign) == "independent"


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("HTTP://LocalHost:80/Label/", "http://localhost/Label"),
        ("https://A.example:443", "https://a.example"),
        ("https://a.example:80/", "https://a.example:80"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://a:8080/ls", "http://a:8080/ls"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written, means):
    assert checked_url(written) == means
    assert checked_url(means) == means


def test_a_pull_follows_its_server_too(studio, server, by_name, campaign, people):
    sent(campaign, server, studio, KINDS)
    answer_all(studio, campaign, people[0])
    (report, _) = pull(campaign, by_name)
    assert (report.new, report.notes[0].split()[0]) == (5, by_name.url)
    assert {url for (url,) in campaign.db.run("SELECT url FROM campaigns")} == {by_name.url}
    assert all(by_name.url not in note for each in pull(campaign, by_name) for note in each.notes)
    assert answers(campaign) == 5
