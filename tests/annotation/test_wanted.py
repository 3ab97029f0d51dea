"""How many photo tasks a scenario's limit leaves, and how many annotations a task is to have; no server."""

from hypothesis import given
from hypothesis import strategies as st

from da2k.annotation.campaign import read_campaign
from da2k.annotation.tasks import PairTask
from da2k.annotation.wanted import Wanted, plan_tasks
from da2k.construction.queue import add_manual_pairs
from da2k.pairs import Point
from tests.annotation.asked import choice, mark, marked
from tests.annotation.conftest import INDOOR, OBJECT

URL, SIZE = "http://127.0.0.1:1", (80, 120)
PEOPLE = st.sampled_from(["ann", "bo", "cy", "dee", "eve"])


def photo_campaign(make_campaign, photos, **scenario):
    """A manual scenario with so many photographs, all made up, and no pair."""
    import json

    campaign = make_campaign(pairs=(), scenarios={"object": {"selection": "manual", **scenario}, "indoor": {}})
    campaign.db.run("DELETE FROM pairs")
    campaign.db.run("DELETE FROM images WHERE image != ?", INDOOR)
    rows = ((f"images/object/{n}.png", f"{n:064x}", *SIZE, 1, 1, "0" * 16) for n in range(1, photos + 1))
    campaign.db.run_many("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def names():
        return [each.task.external_id for each in plan_tasks(campaign, read_campaign(campaign, "photos")).wanted]

    def send():
        campaign.db.run_many("INSERT OR IGNORE INTO tasks VALUES ('photos', ?)", [(name,) for name in names()])

    def annotate(name, result):
        number = campaign.db.run("SELECT count(*) FROM annotations")[0][0] + 1
        photo = name.split("@")[0]
        (sha256,) = campaign.db.run("SELECT sha256 FROM images WHERE image = ?", photo)[0]
        meta = json.dumps({"da2k": 1, "image": photo, "photo": sha256, "number": 1})
        campaign.db.run(
            "INSERT INTO annotations VALUES (?, 1, ?, ?, ?, ?, '1', ?, 0, 1.0, '2026-01-01', '2026-01-01')",
            *(URL, number, number, name, meta, json.dumps(result)),
        )

    return campaign, names, send, annotate


def test_a_limit_is_reached_though_photographs_offer_no_pair(make_campaign):
    _, names, send, annotate = photo_campaign(make_campaign, 7, quota=1, pairs=2)
    asked = set()
    while new := names():
        assert len(new) == min(2, 7 - len(asked)), "as many as the limit has room for, while there are photographs"
        assert not asked & set(new)
        send()
        asked |= set(new)
        for name in new:
            annotate(name, choice("no clear pair", "none"))
    assert len(asked) == 7


def test_a_limit_is_kept_though_photographs_are_added(make_campaign):
    campaign, names, send, annotate = photo_campaign(make_campaign, 3, quota=1, pairs=2)
    before = set(names())
    send()
    rows = ((f"images/object/{n}.png", f"{n:064x}", *SIZE, 1, 1, "0" * 16) for n in range(100, 150))
    campaign.db.run_many("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    assert set(names()) == before, "what was sent stays, and there is no room for more"
    done = min(before)
    annotate(done, marked((1, 2), (30, 40), SIZE))
    add_manual_pairs(campaign, [(done.split("@")[0], Point(1, 2), Point(30, 40))])
    assert set(names()) == before - {done}, "a pair takes the room of its task"
    send()
    add_manual_pairs(campaign, [("images/object/120.png", Point(1, 2), Point(3, 4))])
    assert set(names()) == before - {done}, "what was sent stays even then"


def test_a_task_is_done_by_what_counts_only(make_campaign):
    _, names, send, annotate = photo_campaign(make_campaign, 3, quota=1)
    one_point, none, chosen = names()
    send()
    annotate(one_point, [mark("nearer", 1, 1, SIZE)])
    annotate(none, choice("no clear pair", "none"))
    annotate(chosen, marked((1, 2), (30, 40), SIZE))
    assert names() == [one_point]


@given(st.lists(PEOPLE, max_size=8), st.sets(PEOPLE), st.sets(PEOPLE), st.integers(1, 5))
def test_a_task_waits_for_as_many_more_as_answers_are_missing(annotators, answered, given_, needed):
    """Whatever stands there, and whether or not it counts."""
    task = PairTask(f"{OBJECT}#1,2-3,4", "0" * 64, swapped=False)
    copied = dict.fromkeys(given_, "A")
    wanted = Wanted(task, {}, needed, frozenset(answered), given=copied).annotations(annotators)
    there = annotators + [person for person in given_ if person not in annotators]
    missing = sum(1 for _ in range(len(answered), needed))
    assert wanted >= 1
    if missing:
        assert wanted - len(there) == missing
