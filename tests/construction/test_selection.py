import hashlib
from collections import Counter

import numpy as np
import pytest

from da2k.construction import selection
from da2k.construction.drawing import draw_pairs
from da2k.construction.keypoints import place_keypoints
from da2k.construction.queue import add_manual_pairs, read_pairs
from da2k.construction.readings import Reading, Readings, take_readings
from da2k.construction.selection import select_pairs
from da2k.construction.workspace import Workspace
from da2k.depth import DepthKind
from da2k.pairs import Pair, Point

SIZE = (48, 64)
PHOTOS = {
    f"images/{scenario}/{name}.png": SIZE
    for scenario, names in (("indoor", "abcdef"), ("aerial", "xy"))
    for name in names
}
A, B, C, D, E, F, X, Y = PHOTOS
POINTS = [(row, col) for row in range(4, 48, 8) for col in range(4, 64, 8)]
TWO = [{"model": "baseline:row"}, {"model": "baseline:centre"}]
OPEN = {"quota": 3, "attempts": 40, "min_distance": 0.0, "ratio": 1.5, "audit": 0.3}


class Desk:
    """A workspace whose readings are made up: `values[image][way]`, at every one of POINTS."""

    def __init__(self, workspace, monkeypatch):
        self.workspace, self.values = workspace, {}
        for photo in workspace.images():
            self.read(photo.image)
        monkeypatch.setattr(selection, "image_readings", lambda workspace, sampler=None: self.readings())

    def read(self, image, **ways):
        data = np.array(POINTS, "<i4").tobytes()
        self.workspace.db.run("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", image, data, b"")
        rng = np.random.default_rng(list(image.encode()))
        truth = rng.uniform(1, 9, len(POINTS))
        made = {name: truth * rng.uniform(0.4, 2.5, len(POINTS)) for name in ("baseline:row", "baseline:centre")}
        self.values[image] = made | ways

    def readings(self):
        by_image = {
            image: {way: Reading(DepthKind.METRIC_DEPTH, values) for way, values in ways.items()}
            for image, ways in self.values.items()
        }
        content = {
            image: hashlib.sha256(b"".join(way.encode() + v.tobytes() for way, v in ways.items())).hexdigest()
            for image, ways in self.values.items()
        }
        return Readings(by_image, content)

    def with_settings(self, **changes):
        settings = self.workspace.settings.model_validate({**self.workspace.settings.model_dump(), **changes})
        self.workspace = Workspace(self.workspace.folder, settings, self.workspace.db)

    def with_selection(self, **changes):
        self.with_settings(selection={**self.workspace.settings.selection.model_dump(), **changes})

    def select(self, **options):
        return select_pairs(self.workspace, **options)

    def rows(self):
        return self.workspace.db.run("SELECT * FROM pairs ORDER BY id")

    def pairs(self, *images):
        return [pair for pair in read_pairs(self.workspace) if not images or pair.image in images]

    def queued(self, scenario="indoor"):
        return {pair.id for pair in self.pairs() if pair.queued and pair.scenario == scenario}


def scenarios(**own):
    return {name: own.get(name, {}) for name in ("indoor", "aerial")}


@pytest.fixture
def make_desk(make_workspace, monkeypatch):
    def make(photos=PHOTOS, name="ws", **settings):
        given = {"experts": TWO, "scenarios": scenarios(), "selection": OPEN, **settings}
        return Desk(make_workspace(photos, name, **given), monkeypatch)

    return make


def test_every_pair_drawn_is_stored_as_it_was_drawn(make_desk):
    desk = make_desk()
    report = desk.select()
    assert (report.stage, report.made, report.remade, report.kept, report.notes) == ("selection", 8, 0, 0, ())
    assert {pair.outcome for pair in desk.pairs()} == {"unanimous", "disputed", "too_close"}
    shas = {photo.image: photo.sha256 for photo in desk.workspace.images()}
    for image in PHOTOS:
        read = selection.ReadImage(
            image,
            shas[image],
            SIZE,
            np.array(POINTS),
            [[(DepthKind.METRIC_DEPTH, values)] for values in desk.values[image].values()],
        )
        drawn = draw_pairs(read, desk.workspace.settings.selection, 3, 0)
        assert sorted(drawn, key=lambda p: (p.point1, p.point2)) == desk.pairs(image)


def test_nothing_to_do_draws_and_writes_nothing(make_desk, monkeypatch):
    desk = make_desk(scenarios=scenarios(indoor={"pairs": 4}))
    desk.select()
    monkeypatch.setattr(selection, "draw_pairs", None)
    monkeypatch.setattr(selection, "write_pairs", None)
    desk.workspace.db.run("PRAGMA query_only = 1")
    report = desk.select()
    assert (report.made, report.remade, report.kept, report.notes) == (0, 0, 8, ())


INDOOR = {A, B, C, D, E, F}


@pytest.mark.parametrize(
    ("change", "remade", "moved"),
    [
        ({"seed": 1}, set(PHOTOS), set()),
        ({"selection": {**OPEN, "attempts": 9}}, set(PHOTOS), set()),
        ({"selection": {**OPEN, "audit": 1.0}}, set(PHOTOS), set()),
        ({"scenarios": scenarios(aerial={"quota": 1})}, {X, Y}, set()),
        ({"scenarios": scenarios(aerial={"quota": 3})}, set(), set()),
        ({"scenarios": scenarios(indoor={"pairs": 2})}, set(), INDOOR),
        ({"experts": TWO[::-1]}, set(PHOTOS), set()),
        ({"checks": {"checks": 1}}, set(), set()),
    ],
)
def test_a_changed_setting_draws_again_what_depends_on_it(make_desk, change, remade, moved):
    desk = make_desk()
    desk.select()
    before = desk.rows()
    desk.with_settings(**change)
    report = desk.select()
    assert (report.made, report.remade, report.kept) == (0, len(remade), len(PHOTOS) - len(remade))
    changed = {row[1] for row in set(desk.rows()) ^ set(before)}
    assert changed <= remade | moved
    assert bool(changed) == bool(remade | moved)


def test_changed_readings_draw_that_image_again(make_desk):
    desk = make_desk()
    desk.select()
    desk.values[C]["baseline:row"] = desk.values[C]["baseline:row"][::-1].copy()
    assert desk.select().remade == 1


def test_votes_stand_in_the_order_of_the_settings(make_desk):
    desk = make_desk()
    desk.select()
    votes = {pair.id: pair.votes for pair in desk.pairs()}
    desk.with_settings(experts=TWO[::-1])
    desk.select()
    assert {pair.id: pair.votes[::-1] for pair in desk.pairs()} == votes


def test_an_expert_that_wavers_between_its_ways_is_not_unanimous(make_desk):
    desk = make_desk()
    rising = np.arange(1.0, len(POINTS) + 1)
    wobbling = rising.copy()
    wobbling[[0, 1]] = wobbling[[1, 0]]
    again = [{"model": "baseline:row", "again": [{"batch_size": "4"}]}, TWO[1]]
    desk.with_settings(experts=again, selection={**OPEN, "attempts": 2000, "one_pair_a_mask": False})
    desk.values = {A: {"baseline:row": rising, "baseline:centre": rising, "baseline:row again batch_size=4": wobbling}}
    desk.select()
    pairs = {pair.id: pair for pair in desk.pairs()}
    assert len(pairs) == len(POINTS) * (len(POINTS) - 1) // 2
    wavered = pairs.pop(Pair(A, Point(*POINTS[0]), Point(*POINTS[1]), 1).id)
    assert (wavered.votes, wavered.outcome) == ((0, 1), "disputed")
    assert {pair.votes for pair in pairs.values()} == {(1, 1)}


def test_an_image_that_joins_changes_the_pairs_of_no_other(make_desk):
    alone = make_desk({A: SIZE, X: SIZE}, name="alone")
    alone.select()
    together = make_desk(name="together")
    together.select()
    assert together.pairs(A, X) == alone.pairs()


def test_a_scenario_s_quota_goes_before_the_general_one(make_desk):
    desk = make_desk(scenarios=scenarios(aerial={"quota": 1}))
    desk.select()
    disputed = Counter(pair.image for pair in desk.pairs() if pair.outcome == "disputed")
    assert disputed == {image: 1 if image in (X, Y) else 3 for image in PHOTOS}


def test_quota_zero_draws_nothing_and_is_no_problem(make_desk):
    desk = make_desk(scenarios=scenarios(aerial={"quota": 0}))
    report = desk.select()
    assert desk.pairs(X, Y) == []
    assert report.notes == ()


def test_scenarios_of_people_get_no_pairs(make_workspace):
    """With everything real: the grid, and four baselines on photographs of noise."""
    manual = "images/object/m.png"
    workspace = make_workspace(
        {A: SIZE, manual: SIZE, "images/transparent_reflective/t.png": SIZE},
        selection={"quota": 2, "attempts": 50, "ratio": 1.2},
    )
    place_keypoints(workspace)
    take_readings(workspace)
    report = select_pairs(workspace)
    assert (report.made, report.notes) == (1, ())
    pairs = read_pairs(workspace)
    assert {pair.image for pair in pairs} == {A}
    assert sum(pair.queued for pair in pairs) == sum(pair.outcome == "disputed" for pair in pairs) == 2
    assert all(len(pair.votes) == 4 for pair in pairs)


LIMIT = {"scenarios": scenarios(indoor={"pairs": 7})}


def test_a_limit_holds_over_images_and_takes_them_whole_but_for_the_last(make_desk):
    desk = make_desk(**LIMIT)
    desk.select()
    queued = [pair for pair in desk.pairs() if pair.queued and pair.outcome == "disputed"]
    per_image = Counter(pair.image for pair in queued if pair.scenario == "indoor")
    assert sorted(per_image.values()) == [1, 3, 3]
    assert {pair.image for pair in queued if pair.scenario == "aerial"} == {X, Y}
    assert sum(pair.outcome == "disputed" for pair in desk.pairs()) == 3 * len(PHOTOS)


def test_only_the_queue_differs_from_no_limit(make_desk):
    free, limited = make_desk(name="free"), make_desk(name="limited", **LIMIT)
    for desk in (free, limited):
        desk.select()
    assert [row[:-1] for row in limited.rows()] == [row[:-1] for row in free.rows()]
    assert limited.queued() < free.queued()
    assert {p.id for p in limited.pairs() if p.audited} == {p.id for p in free.pairs() if p.audited}
    assert all(pair.queued for pair in limited.pairs() if pair.audited)


def test_limits_come_and_go_without_drawing_again(make_desk):
    desk = make_desk()
    desk.select()
    free = desk.rows()
    queues = []
    for limit in (12, 7, 2):
        desk.with_settings(scenarios=scenarios(indoor={"pairs": limit}))
        report = desk.select()
        assert (report.remade, report.kept) == (0, 8)
        assert "pairs drawn earlier have joined or left the queue" in report.notes[0]
        queues.append(desk.queued())
    assert queues[2] < queues[1] < queues[0]
    desk.with_settings(scenarios=scenarios())
    desk.select()
    assert desk.rows() == free


def test_the_queue_does_not_depend_on_the_order_of_work(make_desk):
    whole = make_desk(name="whole", **LIMIT)
    whole.select()
    parts = make_desk(name="parts", **LIMIT)
    values, parts.values = parts.values, {}
    for image in (F, B, X, A, E, Y, D, C):
        parts.values[image] = values[image]
        parts.select()
    assert parts.rows() == whole.rows()


def test_an_interrupted_selection_never_queues_more_and_ends_the_same(make_desk):
    whole = make_desk(name="whole", **LIMIT)
    whole.select()

    def interrupt(done, total):
        if done == 1:
            raise KeyboardInterrupt

    cut = make_desk(name="cut", **LIMIT)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            cut.select(progress=interrupt)
        assert cut.queued() <= whole.queued()
    cut.select()
    assert cut.rows() == whole.rows()


def test_the_seed_decides_which_images_come_first(make_desk):
    first = set()
    for seed in range(12):
        desk = make_desk(name=f"ws{seed}", seed=seed, **LIMIT)
        desk.select()
        first.add(frozenset(pair.image for pair in desk.pairs() if pair.queued and pair.outcome == "disputed"))
    assert len(first) > 6


def test_pairs_of_readings_that_are_out_of_date_leave_and_come_back(make_desk):
    desk = make_desk()
    desk.select()
    before = desk.rows()
    gone = desk.values.pop(B)
    report = desk.select()
    assert (report.kept, report.dropped) == (7, 1)
    assert report.notes == (
        "1 images lack readings that are up to date, so they have no pairs; "
        f"run: da2k build run {desk.workspace.folder}",
    )
    assert desk.pairs(B) == []
    assert desk.rows() == [row for row in before if row[1] != B]
    desk.workspace.db.run("INSERT INTO work VALUES ('readings: another expert', ?, 'k', 'no')", B)
    assert desk.select().notes == report.notes
    desk.workspace.db.run("INSERT INTO work VALUES ('keypoints', ?, 'k', 'damaged')", B)
    (note,) = desk.select().notes
    assert note.startswith("1 images have no pairs, since their key points or readings failed")
    assert note.endswith(f"da2k build run {desk.workspace.folder} --retry")
    desk.values[B] = gone
    assert desk.select().made == 1
    assert desk.rows() == before


def test_real_readings_of_another_expert_are_out_of_date(make_workspace):
    workspace = make_workspace({A: SIZE}, experts=TWO, selection={"ratio": 1.2})
    place_keypoints(workspace)
    take_readings(workspace)
    select_pairs(workspace)
    assert read_pairs(workspace)
    changed = workspace.settings.model_validate(
        {**workspace.settings.model_dump(), "experts": [TWO[0], {"model": "baseline:haze"}]}
    )
    other = Workspace(workspace.folder, changed, workspace.db)
    report = select_pairs(other)
    assert (report.dropped, read_pairs(other)) == (1, [])
    take_readings(other)
    assert select_pairs(other).made == 1
    assert {len(pair.votes) for pair in read_pairs(other)} == {2}


def test_a_manual_pair_survives_every_selection_and_is_never_replaced(make_desk):
    desk = make_desk()
    desk.select()
    drawn = desk.pairs(A)[0]
    chosen = [Pair(A, drawn.point1, drawn.point2, 1), Pair(A, Point(0, 0), Point(47, 63), 1)]
    desk.workspace.db.run("DELETE FROM pairs")
    desk.workspace.db.run("DELETE FROM work")
    add_manual_pairs(desk.workspace, [(pair.image, pair.point1, pair.point2) for pair in chosen])
    manual = desk.pairs()
    desk.select()
    assert [pair for pair in desk.pairs() if pair.outcome == "manual"] == manual
    desk.with_selection(attempts=1)
    desk.select()
    assert [pair for pair in desk.pairs() if pair.outcome == "manual"] == manual
    desk.values.clear()
    desk.select()
    assert desk.pairs() == manual


def test_an_image_without_usable_key_points_is_told_every_time(make_desk):
    desk = make_desk()
    desk.read(D, **{"baseline:row": np.full(len(POINTS), np.nan)})
    for _ in range(2):
        report = desk.select()
        assert desk.pairs(D) == []
        assert len(report.notes) == 1
        assert "no pair can be drawn from 1 images" in report.notes[0]
        assert D in report.notes[0]
