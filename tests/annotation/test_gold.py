import json

import pytest

from da2k.annotation.gold import Gold, add_gold, chosen_gold, gold_pairs
from da2k.construction.queue import DrawnPair, write_pairs
from da2k.datasets.da2k import write_annotations
from da2k.errors import BadInput
from da2k.pairs import Pair, Point, pair_id, read_pair_id
from tests.annotation.conftest import FOG, INDOOR, OBJECT, PAIRS


def written(path, *pairs):
    """A file of the official format; each pair is an image, its closer point and its farther point."""
    write_annotations(path, tuple(Pair(image, Point(*closer), Point(*farther), 1) for image, closer, farther in pairs))
    return path


def many(count):
    return [(INDOOR, (n // 60, n % 60), (95, n)) for n in range(count)]


def photo_of(workspace, image):
    return next(each.sha256 for each in workspace.images() if each.image == image)


def test_gold_says_which_point_of_the_id_is_closer(campaign, tmp_path):
    file = written(tmp_path / "gold.json", (INDOOR, (50, 60), (2, 3)), (FOG, (1, 1), (9, 9)))
    report = add_gold(campaign, file)
    assert (report.pairs, report.added, report.changed, report.known, report.held) == (2, 2, 0, 0, 2)
    assert gold_pairs(campaign) == [
        Gold(f"{FOG}#1,1-9,9", photo_of(campaign, FOG), "point1"),
        Gold(f"{INDOOR}#2,3-50,60", photo_of(campaign, INDOOR), "point2"),
    ]


@pytest.mark.parametrize("closer_point", ["point1", "point2"])
def test_the_file_s_own_order_of_points_says_nothing(campaign, tmp_path, closer_point):
    entry = {"point1": [50, 60], "point2": [2, 3], "closer_point": closer_point}
    (tmp_path / "annotations.json").write_text(json.dumps({INDOOR: [entry]}))
    add_gold(campaign, tmp_path)
    (gold,) = gold_pairs(campaign)
    assert gold.closer == {"point1": "point2", "point2": "point1"}[closer_point]  # the id's first point is (2, 3)


def test_adding_again_changes_nothing_and_the_opposite_answer_replaces(campaign, tmp_path):
    file = written(tmp_path / "gold.json", *many(3))
    add_gold(campaign, file)
    before = gold_pairs(campaign)
    again = add_gold(campaign, file)
    assert (again.added, again.changed, again.known, again.held) == (0, 0, 3, 3)
    assert gold_pairs(campaign) == before
    image, closer, farther = many(1)[0]
    turned = add_gold(campaign, written(file, (image, farther, closer), (FOG, (0, 0), (1, 1))))
    assert (turned.added, turned.changed, turned.known, turned.held) == (1, 1, 0, 4)
    assert next(g.closer for g in gold_pairs(campaign) if g.pair == pair_id(image, closer, farther)) == "point2"


def test_pairs_that_are_not_of_the_workspace_are_counted_and_not_stored(campaign, tmp_path):
    file = written(tmp_path / "gold.json", ("images/indoor/other.png", (1, 1), (2, 2)), *many(1))
    report = add_gold(campaign, file)
    assert (report.pairs, report.added, report.elsewhere) == (2, 1, 1)
    assert report.first_left == "images/indoor/other.png#1,1-2,2"
    assert len(gold_pairs(campaign)) == 1


def test_an_answer_about_another_photograph_of_the_same_name_is_not_taken(campaign, tmp_path):
    beside = tmp_path / "bench" / INDOOR
    beside.parent.mkdir(parents=True)
    file = written(tmp_path / "bench" / "annotations.json", *many(2), (FOG, (0, 0), (1, 1)))
    beside.write_bytes((campaign.folder / INDOOR).read_bytes())
    assert add_gold(campaign, file).other_photo == 0
    campaign.db.run("DELETE FROM gold")
    beside.write_bytes((campaign.folder / FOG).read_bytes())
    report = add_gold(campaign, file)
    assert (report.added, report.other_photo, report.elsewhere) == (1, 2, 0)
    with pytest.raises(BadInput, match=f"{INDOOR} beside it is another photograph"):
        add_gold(campaign, written(file, *many(2)))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(INDOOR, (96, 0), (1, 1))], r"\(96, 0\) is outside the image of 96 rows x 128 columns"),
        ([(INDOOR, (0, 0), (1, 128))], r"\(1, 128\) is outside"),
        ([(INDOOR, (0, 0), (1, 1)), (INDOOR, (1, 1), (0, 0))], "both that one point is closer and that the other is"),
        ([("images/indoor/z.png", (0, 0), (1, 1))], "the one pair is not on a photograph of this workspace"),
        ([], "holds no pair"),
    ],
)
def test_a_file_that_cannot_be_gold_stores_nothing(campaign, tmp_path, pairs, message):
    with pytest.raises(BadInput, match=message) as told:
        add_gold(campaign, written(tmp_path / "gold.json", *pairs))
    assert str(tmp_path / "gold.json") in str(told.value)
    assert "\n" not in str(told.value)
    assert gold_pairs(campaign) == []


def test_a_file_that_is_not_of_the_format_is_named(campaign, tmp_path):
    (tmp_path / "gold.json").write_text('{"images/indoor/room.png": [{"point1": [0, 0]}]}')
    with pytest.raises(BadInput, match=r'gold.json: "images/indoor/room.png"\[0\]: field "point2" is missing'):
        add_gold(campaign, tmp_path / "gold.json")
    with pytest.raises(BadInput, match="No such file"):
        add_gold(campaign, tmp_path / "absent.json")
    with pytest.raises(BadInput, match=r"no annotations.json here"):
        add_gold(campaign, campaign.folder)


def test_gold_is_of_the_photograph_that_it_was_told_of(campaign, tmp_path):
    add_gold(campaign, written(tmp_path / "gold.json", *many(2), (FOG, (0, 0), (1, 1))))
    old = photo_of(campaign, INDOOR)
    campaign.db.run("UPDATE images SET sha256 = 'other' WHERE image = ?", INDOOR)
    assert [gold.pair for gold in gold_pairs(campaign)] == [f"{FOG}#0,0-1,1"]
    assert len(chosen_gold(campaign, 1000)) == 1
    assert add_gold(campaign, written(tmp_path / "gold.json", *many(1))).changed == 1
    campaign.db.run("UPDATE images SET sha256 = ? WHERE image = ?", old, INDOOR)
    assert len(gold_pairs(campaign)) == 2  # the first of the two is of the other photograph now


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
def test_the_share_of_gold_is_that_of_the_settings(make_campaign, tmp_path, share):
    workspace = make_campaign(annotation={"gold": share})
    add_gold(workspace, written(tmp_path / "gold.json", *many(100)))
    for asked in (0, 1, 7, 40, 95):
        chosen = chosen_gold(workspace, asked)
        # As near to the share as whole tasks can be: one more or one less would be farther from it, or as far.
        wanted = share * asked / (1 - share)
        assert abs(len(chosen) - wanted) <= 0.5
    assert len(chosen_gold(workspace, 100_000)) == (100 if share else 0)


def test_more_pairs_asked_add_gold_and_take_none_away(make_campaign, tmp_path):
    workspace = make_campaign(annotation={"gold": 0.3})
    file = written(tmp_path / "gold.json", *many(60))
    add_gold(workspace, file)
    before: list[Gold] = []
    for asked in range(120):
        chosen = chosen_gold(workspace, asked)
        assert chosen[: len(before)] == before
        before = chosen
    assert len({gold.pair for gold in before}) == len(before)
    other = make_campaign("other", annotation={"gold": 0.3}, seed=5)
    add_gold(other, file)
    assert {g.pair for g in chosen_gold(other, 40)} != {g.pair for g in chosen_gold(workspace, 40)}


def test_gold_that_is_queued_is_asked_anyway_and_not_chosen_again(make_campaign, tmp_path):
    workspace = make_campaign(annotation={"gold": 0.5})
    queued = PAIRS[0]
    report = add_gold(
        workspace, written(tmp_path / "gold.json", (queued.image, queued.point2, queued.point1), *many(5))
    )
    assert (report.held, report.queued) == (6, 1)
    before = {gold.pair for gold in chosen_gold(workspace, 3)}
    assert queued.id not in before
    one = min(before)
    image, point1, point2 = read_pair_id(one)
    with workspace.db.transaction():
        write_pairs(workspace, [DrawnPair(one, image, point1, point2, "manual", queued=True)])
    after = {gold.pair for gold in chosen_gold(workspace, 4)}
    assert before - {one} < after
    assert len(after) == 4


def test_gold_is_not_in_the_benchmark(campaign, tmp_path):
    from da2k.construction.queue import read_pairs

    before = read_pairs(campaign)
    add_gold(campaign, written(tmp_path / "gold.json", (OBJECT, (0, 0), (5, 5))))
    assert read_pairs(campaign) == before
