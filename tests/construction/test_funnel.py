"""The numbers of the funnel, counted again in the test; and what is told to be due is what the next run does."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from da2k.construction.decisions import Answer
from da2k.construction.funnel import Due, Failed, ScenarioFunnel, funnel, out_of_date
from da2k.construction.funnel_figure import draw_funnel, write_funnel
from da2k.construction.pipeline import build
from da2k.construction.queue import DrawnPair, add_manual_pairs, record_answers, write_pairs
from da2k.construction.settings import FILE_NAME, change_settings
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput
from da2k.metrics.intervals import wilson
from da2k.pairs import Pair, Point
from tests.construction.conftest import BASELINES

A, B, C = "images/indoor/a.png", "images/aerial/b.png", "images/object/c.png"
PHOTOS = dict.fromkeys((A, B, C), (48, 64))


def drawn(image, number, outcome, **more):
    pair = Pair(image, Point(0, 0), Point(9, number + 1), 1)
    votes = (1, 1, 1, 1) if outcome == "unanimous" else (1, 2, 1, 2)
    return DrawnPair(pair.id, image, pair.point1, pair.point2, outcome, votes, 4.0, **more)


def answer(workspace, pair, *says):
    record_answers(workspace, [Answer(pair.id, f"person {n}", word) for n, word in enumerate(says)])


@pytest.fixture
def workspace(make_workspace):
    """Three disputed pairs, two of them decided; five unanimous, three audited; one manual; some too close."""
    workspace = make_workspace(PHOTOS)
    disputed = [drawn(A, n, "disputed", queued=True) for n in range(3)]
    audited = [drawn(B, n, "unanimous", audited=True, queued=True) for n in range(3)]
    rest = [drawn(B, n, "unanimous") for n in (3, 4)] + [drawn(A, n, "too_close") for n in (5, 6, 7)]
    write_pairs(workspace, [*disputed, *audited, *rest, drawn(A, 8, "disputed")])
    chosen = Pair(C, Point(1, 1), Point(2, 2), 1)
    add_manual_pairs(workspace, [(chosen.image, chosen.point1, chosen.point2)])
    answer(workspace, disputed[0], "point1", "point1", "point1")
    answer(workspace, disputed[1], "cannot_tell")
    answer(workspace, disputed[2], "point2", "point2")
    answer(workspace, audited[0], "point1", "point1", "point1")
    answer(workspace, audited[1], "point2", "point2", "point2")
    answer(workspace, chosen, "point1", "point2", "point2")
    return workspace


def test_every_pair_is_counted_once_in_each_step(workspace):
    found = funnel(workspace)
    assert list(found.scenarios) == list(workspace.settings.scenarios)
    assert found.scenarios["indoor"] == ScenarioFunnel(
        images=1, to_read=1, pairs=7, disputed=4, too_close=3, queued=3, decided=3, checked=2, released=1,
        dropped={"cannot tell": 1},
    )  # fmt: skip
    assert found.scenarios["aerial"] == ScenarioFunnel(
        images=1, to_read=1, pairs=5, unanimous=5, audited=3, queued=3, decided=2, checked=2, released=0,
        dropped={"audited": 2},
    )  # fmt: skip
    assert found.scenarios["object"] == ScenarioFunnel(images=1, pairs=1, manual=1, queued=1, decided=1)
    assert found.scenarios["outdoor"] == ScenarioFunnel()
    assert (found.total.images, found.total.pairs, found.total.queued, found.total.released) == (3, 13, 7, 1)
    assert found.total.dropped == {"audited": 2, "cannot tell": 1}
    assert found.total.waiting == 3


def test_the_audit_is_of_decided_unanimous_pairs(workspace):
    audit = funnel(workspace).audit
    assert (audit.audited, audit.decided, audit.wrong, audit.waiting) == (3, 2, 1, 1)
    assert audit.rate == 0.5
    assert audit.interval == wilson(1, 2)


def test_audited_pairs_count_as_released_where_the_settings_say_so(workspace):
    change_settings(workspace.folder / FILE_NAME, {"release.audited": True})
    with open_workspace(workspace.folder, read_only=True) as opened:
        found = funnel(opened)
    assert found.scenarios["aerial"].released == 2
    assert found.total.dropped == {"cannot tell": 1}


counts = st.builds(
    ScenarioFunnel,
    images=st.integers(0, 9),
    pairs=st.integers(0, 9),
    released=st.integers(0, 9),
    dropped=st.dictionaries(st.sampled_from("abc"), st.integers(1, 5)),
)


@given(st.lists(counts, max_size=4))
def test_the_total_is_the_sum(parts):
    total = sum(parts, ScenarioFunnel())
    assert total.images == sum(part.images for part in parts)
    assert total.released == sum(part.released for part in parts)
    assert total.dropped == sum((Counter(part.dropped) for part in parts), Counter())


@pytest.fixture
def built(make_workspace):
    workspace = make_workspace({**PHOTOS, "images/indoor/d.png": (48, 64)})
    build(workspace)
    return workspace


CHANGES = {
    "nothing": {},
    "key points": {"keypoints.cells": 5},
    "selection": {"selection.quota": 1},
    "seed": {"seed": 5},
    "an expert": {"experts": [{"model": m} for m in (*BASELINES[:3], "python:MODEL:make")]},
    "the order of experts": {"experts": [{"model": m} for m in reversed(BASELINES)]},
    "people": {"checks.checks": 1, "release.version": "2.0.0"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_due_is_what_the_next_run_does(built, what, tmp_path):
    model = tmp_path / "model.py"
    model.write_text(
        "import numpy as np\nfrom da2k.depth import DepthKind\n"
        "def make():\n    return lambda pixels: np.asarray(pixels)[..., 0].astype(np.float32)\n"
        "make.kind = 'affine_disparity'\n"
    )
    changes = json.loads(json.dumps(CHANGES[what]).replace("MODEL", str(model)))
    for expert in changes.get("experts", ()):
        if expert["model"].startswith("python:"):
            expert["options"] = {"kind": "affine_disparity"}
    settings = change_settings(built.folder / FILE_NAME, changes)
    workspace = type(built)(built.folder, settings, built.db)
    told = funnel(workspace)
    lines = out_of_date(workspace)
    reports = build(workspace)
    assert all(not report.failures for report in reports)
    assert told.due == {r.stage: Due(r.made, r.remade) for r in reports if r.made + r.remade}
    assert bool(lines) is bool(told.due)
    assert told.unknown is None
    assert funnel(workspace).due == {}
    assert out_of_date(workspace) == []


def test_a_changed_limit_of_a_scenario_is_due_and_changes_the_queue_only(built):
    before = funnel(built)
    assert before.scenarios["indoor"].queued == before.scenarios["indoor"].disputed > 1
    settings = change_settings(built.folder / FILE_NAME, {"scenarios.indoor.pairs": 1})
    workspace = type(built)(built.folder, settings, built.db)
    assert set(funnel(workspace).due) == {"selection"}
    assert out_of_date(workspace)
    build(workspace)
    after = funnel(workspace)
    assert (after.due, after.scenarios["indoor"].queued) == ({}, 1)
    assert after.scenarios["indoor"].disputed == before.scenarios["indoor"].disputed


def test_new_photographs_are_due(built):
    path = built.folder / "images/indoor/e.png"
    Image.new("RGB", (64, 48), "red").save(path)
    from tests.construction.conftest import register

    register(built, "images/indoor/e.png", (48, 64))
    assert set(funnel(built).due.values()) == {Due(1, 0)}
    assert out_of_date(built) == ["1 images, from keypoints on"]


def test_failures_and_changed_photographs_are_told(built):
    built.db.run("UPDATE work SET failure = 'out of memory' WHERE stage = 'readings: baseline:row' AND image = ?", A)
    (built.folder / B).write_bytes(b"x")
    found = funnel(built)
    assert found.failures == (Failed("readings: baseline:row", A, "out of memory"),)
    assert list(found.changed) == [B]
    assert found.total.read == 2


def test_it_only_reads_while_another_works(built):
    before = built.db.run("SELECT total_changes()")
    with open_workspace(built.folder, read_only=True) as reader:
        found = funnel(reader)
    assert built.db.run("SELECT total_changes()") == before
    assert found.total.read == found.total.to_read == 3
    assert found.total.points > 0


def test_weights_that_are_not_here_are_told_and_stop_nothing(built):
    experts = [{"model": m} for m in (*BASELINES[:3], "tflite:nowhere.tflite")]
    change_settings(built.folder / FILE_NAME, {"experts": experts})
    with open_workspace(built.folder, read_only=True) as reader:
        found = funnel(reader)
        assert "nowhere.tflite" in found.unknown
        assert found.total.images == 4
        with pytest.raises(Exception, match=r"nowhere\.tflite"):
            out_of_date(reader)


def test_photographs_of_a_scenario_that_the_settings_lost_are_told(built):
    change_settings(built.folder / FILE_NAME, {"scenarios": {"aerial": {}, "object": {"selection": "manual"}}})
    with open_workspace(built.folder, read_only=True) as reader:
        found = funnel(reader)
        assert '"indoor" is not there, but 2 photographs' in found.unknown
        assert found.scenarios["indoor"].images == 2
    with open_workspace(built.folder, read_only=True) as reader, pytest.raises(BadInput, match="put it back"):
        build(reader)


def test_it_is_json(workspace):
    found = json.loads(json.dumps(funnel(workspace).as_json()))
    assert found["scenarios"]["indoor"]["disputed"] == 4
    assert found["total"]["dropped"] == {"audited": 2, "cannot tell": 1}
    assert found["audit"]["decided"] == 2


def test_the_figure_shows_every_number(workspace, tmp_path):
    found = funnel(workspace)
    figure = draw_funnel(found, "t")
    widths = [{bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers} for axes in figure.axes]
    numbers = found.scenarios.values()
    assert widths[1]["disputed"] == [n.disputed for n in numbers]
    assert widths[2]["to be released"] == [n.released for n in numbers]
    for panel, total in zip(widths, ("images", "pairs", "queued"), strict=True):
        assert [sum(parts) for parts in zip(*panel.values(), strict=True)] == [getattr(n, total) for n in numbers]
    write_funnel(found, "t", tmp_path / "f.png")
    assert Image.open(tmp_path / "f.png").size[0] > 1000
