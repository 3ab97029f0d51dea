"""All stages that need no people, in their order; again, they do nothing."""

import pytest

from da2k.construction import readings
from da2k.construction.pipeline import build
from da2k.construction.queue import read_pairs

PHOTOS = dict.fromkeys(("images/indoor/a.png", "images/aerial/b.png", "images/object/c.png"), (48, 64))
STAGES = ["keypoints", *(f"readings: baseline:{cue}" for cue in ("row", "centre", "haze", "sharpness")), "selection"]


def test_stages_come_one_after_the_other_and_are_told(make_workspace):
    workspace = make_workspace(PHOTOS)
    said, seen = [], {}

    def progress(stage):
        return lambda done, total: seen.setdefault(stage, []).append((done, total))

    reports = build(workspace, progress=progress, say=said.append)
    assert [report.stage for report in reports] == STAGES
    assert said == reports
    assert [(report.made, report.remade, report.kept) for report in reports] == [(2, 0, 0)] * 6
    assert seen == {stage: [(0, 2), (1, 2), (2, 2)] for stage in STAGES}
    pairs = read_pairs(workspace)
    assert {pair.scenario for pair in pairs} == {"indoor", "aerial"}
    assert all(len(pair.votes) == 4 for pair in pairs)


def test_again_nothing_is_done_and_no_model_loaded(make_workspace, monkeypatch):
    workspace = make_workspace(PHOTOS)
    build(workspace)
    before = read_pairs(workspace)

    def explode(*_):
        raise AssertionError("was loaded")

    monkeypatch.setattr(readings, "load_model", explode)
    shown = []
    reports = build(workspace, progress=lambda stage: lambda done, total: shown.append(stage))
    assert [(report.made, report.remade, report.kept) for report in reports] == [(0, 0, 2)] * 6
    assert read_pairs(workspace) == before
    assert shown == []


@pytest.mark.parametrize("broken", ["images/indoor/a.png", "images/aerial/b.png"])
def test_a_changed_photograph_is_a_failure_of_every_stage_and_keeps_its_rows(make_workspace, broken):
    workspace = make_workspace(PHOTOS)
    build(workspace)
    before = read_pairs(workspace)
    (workspace.folder / broken).write_bytes(b"another")
    reports = build(workspace)
    assert [list(report.failures) for report in reports] == [[broken]] * 6
    assert all("da2k build init" in report.failures[broken] for report in reports)
    assert read_pairs(workspace) == before
