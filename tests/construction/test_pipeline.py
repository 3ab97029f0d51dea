"""All stages that need no people, in their order; again, they do nothing."""

from dataclasses import replace

import pytest

from da2k.construction import readings
from da2k.construction.pipeline import build
from da2k.construction.queue import read_pairs
from da2k.construction.settings import KeyPointSettings
from da2k.errors import BadModel

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


@pytest.mark.parametrize(
    ("expert", "message"),
    [
        ({"model": "baseline:rwo"}, 'did you mean "row"'),
        ({"model": "hf:a/b", "options": {"knd": "x"}}, 'unknown option "knd"'),
        ({"model": "python:absent.py:make"}, "no file"),
    ],
)
def test_an_expert_that_cannot_be_is_told_before_anything_is_made(make_workspace, expert, message):
    workspace = make_workspace(PHOTOS, experts=[{"model": "baseline:row"}, expert])
    with pytest.raises(BadModel, match=message):
        build(workspace)
    assert not workspace.db.run("SELECT * FROM work")


def test_an_expert_whose_file_is_gone_is_asked_for_only_when_there_is_something_to_read(make_workspace, tmp_path):
    code = tmp_path / "net.py"
    code.write_text("def make():\n    return lambda pixels: pixels[..., 0].astype('float32')\n")
    expert = {"model": f"python:{code}:make", "options": {"kind": "affine_disparity"}}
    workspace = make_workspace(PHOTOS, experts=[{"model": "baseline:row"}, expert])
    build(workspace)
    code.unlink()
    assert [(report.made, report.kept) for report in build(workspace)] == [(0, 2)] * 4
    changed = replace(
        workspace, settings=workspace.settings.model_copy(update={"keypoints": KeyPointSettings(cells=4)})
    )
    before = workspace.db.run("SELECT * FROM keypoints")
    with pytest.raises(BadModel, match="no file"):
        build(changed)
    assert workspace.db.run("SELECT * FROM keypoints") == before


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
