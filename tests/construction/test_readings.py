"""Readings: every expert once an image, at every key point; kept while nothing changes, and never stopped by one."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from da2k.construction import readings
from da2k.construction.grid import GridSampler
from da2k.construction.keypoints import place_keypoints, read_keypoints
from da2k.construction.readings import image_readings, reading_keys, stage_of, take_readings
from da2k.construction.settings import FILE_NAME, write_settings
from da2k.depth import DepthKind
from da2k.errors import BadInput, BadModel
from da2k.results import ModelRecord
from tests.construction.conftest import register

A, B, C, D = PHOTOS = [f"images/{scenario}/photo.png" for scenario in ("indoor", "outdoor", "aerial", "underwater")]
MANUAL = "images/object/photo.png"
SIZES = {A: (40, 60), B: (160, 100), C: (40, 60), D: (50, 50), MANUAL: (40, 60)}

# A map of half the photo's size that rises by `down` from top to bottom and by `across` from left to right.
RAMP = """
import os
from pathlib import Path
import numpy as np

class Ramp:
    def __init__(self, down, across):
        self.down, self.across = float(down), float(across)
    def predict(self, images):
        with open(os.environ["CALLS"], "a") as log:
            log.writelines(f"{image.name} {len(images)}\\n" for image in images)
        return [self.map_of(image) for image in images]
    def map_of(self, image):
        assert image.pixels.shape == (*image.size, 3)
        height, width = image.size[0] // 2, image.size[1] // 2
        return np.linspace(0, self.down, height)[:, None] + np.linspace(0, self.across, width)

def make(down="1", across="1"):
    with open(os.environ["CALLS"], "a") as log:
        log.write("loaded 0\\n")
    return Ramp(down, across)
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What the model in `ramp.py` did: the images it was given, and "loaded"."""
    path = tmp_path / "calls.txt"
    monkeypatch.setenv("CALLS", str(path))

    def calls():
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return Counter(line.rpartition(" ")[0] for line in lines)

    return calls


@pytest.fixture
def ramp(tmp_path, log):
    """Writes a Python model and gives it as an expert: `ramp(code to add, down=…, across=…)`."""

    def write(more="", name="ramp", **options):
        (tmp_path / f"{name}.py").write_text(RAMP + more)
        return {"model": f"python:{tmp_path / name}.py:make", "options": {"kind": "affine_disparity", **options}}

    return write


@pytest.fixture
def make_ready(make_workspace):
    """A workspace whose key points are placed, with the given experts and `baseline:row`."""

    def make(*experts, images=SIZES, **settings):
        given = {"experts": [*experts, {"model": "baseline:row"}], "keypoints": {"cells": 6}, **settings}
        workspace = make_workspace(dict(images), **given)
        place_keypoints(workspace)
        return workspace

    return make


def changed(workspace, **settings):
    return replace(workspace, settings=type(workspace.settings).model_validate(settings_of(workspace) | settings))


def settings_of(workspace):
    return workspace.settings.model_dump(mode="json")


def name_of(expert):
    return expert["model"] + "".join(f" {key}={value}" for key, value in sorted(expert["options"].items()))


def told(reports):
    return [(report.made, report.remade, report.kept, report.dropped) for report in reports]


def ramp_at(points, size, down=1.0, across=1.0):
    """What the ramp says at pixels: corner to corner it is linear, whatever the size of the map."""
    return points[:, 0] / (size[0] - 1) * down + points[:, 1] / (size[1] - 1) * across


def dump(workspace):
    return {table: workspace.db.run(f"SELECT * FROM {table}") for table in ("work", "experts", "readings", "keypoints")}


def test_every_expert_reads_every_photograph_once_at_every_key_point(make_ready, ramp, log):
    steep = ramp(down="3", across="-1")
    workspace = make_ready(ramp(), steep)
    assert told(take_readings(workspace)) == [(4, 0, 0, 0)] * 3
    assert log() == dict.fromkeys(PHOTOS, 2) | {"loaded": 2}
    found = image_readings(workspace)
    assert found.by_image.keys() == found.ready.keys() == set(PHOTOS)
    for image, by_way in found.by_image.items():
        points = read_keypoints(workspace, image).points
        assert len(points) > 20
        assert list(by_way) == [name_of(ramp()), name_of(steep), "baseline:row"]
        np.testing.assert_allclose(by_way[name_of(ramp())].values, ramp_at(points, SIZES[image]), atol=1e-6)
        np.testing.assert_allclose(by_way[name_of(steep)].values, ramp_at(points, SIZES[image], 3, -1), atol=1e-6)
        np.testing.assert_array_equal(by_way["baseline:row"].values, points[:, 0])
        assert {reading.kind for reading in by_way.values()} == {DepthKind.AFFINE_DISPARITY}


def test_an_unchanged_run_does_nothing_and_loads_nothing(make_ready, ramp, log):
    workspace = make_ready(ramp(), ramp(down="2"))
    take_readings(workspace)
    before = dump(workspace)
    log()
    assert told(take_readings(workspace, retry=True)) == [(0, 0, 4, 0)] * 3
    assert not log()
    assert dump(workspace) == before


def test_an_unchanged_run_imports_no_network_package(make_ready, tmp_path, monkeypatch):
    """The expert would need torch, and its weights could not even be loaded."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/config.json").write_text('{"model_type": "depth_anything"}')
    (tmp_path / "net/model.safetensors").write_bytes(b"no weights")
    workspace = make_ready({"model": f"hf:{tmp_path / 'net'}"}, name="ws")
    with monkeypatch.context() as patched:
        patched.setattr(readings, "load_model", lambda *_: Zeros())
        take_readings(workspace)
    settings, folder = workspace.settings, workspace.folder
    workspace.db.close()
    write_settings(folder / FILE_NAME, settings)
    code = f"""
import sys
from pathlib import Path
from da2k.construction.readings import image_readings, take_readings
from da2k.construction.workspace import open_workspace
with open_workspace(Path({str(folder)!r}), read_only=True) as workspace:
    print([report.kept for report in take_readings(workspace)], len(image_readings(workspace).ready))
print({{"torch", "transformers", "scipy"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[4, 4] 4", "set()"]


class Zeros:
    record = ModelRecord(name="zeros", spec="zeros", kind=DepthKind.AFFINE_DEPTH)

    def predict(self, images):
        from da2k.depth import DepthMap

        return [DepthMap(np.zeros(image.size, np.float32), DepthKind.AFFINE_DEPTH) for image in images]


def test_changed_code_reads_all_images_of_that_expert_again_and_of_no_other(make_ready, ramp, log):
    other = ramp(name="other")
    workspace = make_ready(ramp(), other)
    take_readings(workspace)
    ready = image_readings(workspace).ready
    log()
    ramp("# a remark\n")
    assert not image_readings(workspace).ready
    assert told(take_readings(workspace)) == [(0, 4, 0, 0), (0, 0, 4, 0), (0, 0, 4, 0)]
    assert log() == dict.fromkeys([*PHOTOS, "loaded"], 1)
    assert image_readings(workspace).ready == ready, "other code, the same values: what follows from them stays"
    ramp("Ramp.map_of = lambda self, image: np.ones(image.size)\n")
    take_readings(workspace)
    now = image_readings(workspace)
    assert not set(now.ready.values()) & set(ready.values())
    assert (now.by_image[A][name_of(ramp())].values == 1).all()


def test_a_run_that_ends_before_its_first_reading_does_not_claim_the_others(make_ready, ramp):
    """Read with one model, begin with another, and go back to the first: the readings are the first one's."""
    workspace = make_ready(ramp())
    take_readings(workspace)
    before = dump(workspace)
    ramp("def interrupt(self, image):\n    raise KeyboardInterrupt\nRamp.map_of = interrupt\n")
    with pytest.raises(KeyboardInterrupt):
        take_readings(workspace)
    ramp()
    assert told(take_readings(workspace)) == [(0, 0, 4, 0)] * 2
    assert dump(workspace) == before


def test_changed_key_points_of_one_image_read_that_image_again(make_ready, ramp, log):
    workspace = make_ready(ramp())
    take_readings(workspace)
    ready = image_readings(workspace).ready
    log()
    Image.new("RGB", (71, 43)).save(workspace.folder / B)
    register(workspace, B, (43, 71))
    assert image_readings(workspace).ready.keys() == {A, C, D}
    place_keypoints(workspace)
    assert told(take_readings(workspace)) == [(0, 1, 3, 0)] * 2
    assert log() == {B: 1, "loaded": 1}
    now = image_readings(workspace)
    assert {image for image in PHOTOS if now.ready[image] != ready[image]} == {B}
    points = read_keypoints(workspace, B).points
    np.testing.assert_allclose(now.by_image[B][name_of(ramp())].values, ramp_at(points, (43, 71)), atol=1e-6)


def test_other_key_points_everywhere_read_everything_again(make_ready, ramp, log):
    workspace = changed(make_ready(ramp()), keypoints={"cells": 4})
    take_readings(workspace)
    place_keypoints(workspace)
    take_readings(workspace)
    log()
    workspace = changed(workspace, keypoints={"cells": 5})
    place_keypoints(workspace)
    assert told(take_readings(workspace)) == [(0, 4, 0, 0)] * 2
    assert log() == dict.fromkeys([*PHOTOS, "loaded"], 1)
    assert len(image_readings(workspace).ready) == 4


def test_readings_are_kept_while_key_points_wait_to_be_placed_again(make_ready, ramp, log):
    """Readings may have taken hours, and the setting may be changed back."""
    workspace = make_ready(ramp())
    take_readings(workspace)
    before, ready = dump(workspace), image_readings(workspace).ready
    log()
    other = changed(workspace, keypoints={"cells": 5})
    reports = take_readings(other)
    assert "4 images have no key points that are up to date; run: da2k build keypoints" in reports[0].notes
    assert not log()
    assert not image_readings(other).ready
    assert reading_keys(other, readings.expert_ways(other.settings)[0]) == {}
    assert dump(workspace) == before
    assert image_readings(workspace).ready == ready


def test_a_sampler_of_the_caller_is_followed(make_ready, ramp, log):
    workspace = make_ready(ramp())
    place_keypoints(workspace, GridSampler(9))
    assert not take_readings(workspace)[0].made
    assert told(take_readings(workspace, sampler=GridSampler(9))) == [(4, 0, 0, 0)] * 2
    assert len(image_readings(workspace, GridSampler(9)).ready) == 4
    assert not image_readings(workspace).ready


def test_an_image_that_is_not_of_the_experts_any_more_loses_its_readings(make_ready, ramp):
    workspace = make_ready(ramp())
    take_readings(workspace)
    given = settings_of(workspace)["scenarios"] | {"indoor": {"selection": "manual"}}
    workspace = changed(workspace, scenarios=given)
    place_keypoints(workspace)
    assert told(take_readings(workspace)) == [(0, 0, 3, 1)] * 2
    assert {image for (image,) in workspace.db.run("SELECT DISTINCT image FROM readings")} == {B, C, D}


def test_a_map_of_another_shape_is_a_failure_of_that_image(make_ready, ramp):
    turned = f"""
upright = Ramp.map_of
Ramp.map_of = lambda self, image: upright(self, image).T if image.name == {B!r} else upright(self, image)
"""
    workspace = make_ready(ramp(turned))
    reports = take_readings(workspace)
    assert reports[0].failures.keys() == {B}
    assert "the map is 50 x 80 for an image of 160 x 100" in reports[0].failures[B]
    assert "transposed or cropped" in reports[0].failures[B]
    found = image_readings(workspace)
    assert found.ready.keys() == {A, C, D}
    assert list(found.by_image[B]) == ["baseline:row"]
    assert told(take_readings(workspace)) == [(0, 0, 3, 0), (0, 0, 4, 0)], "not tried again by itself"
    assert told(take_readings(workspace, retry=True)) == [(0, 0, 3, 0), (0, 0, 4, 0)]


def test_stretched_maps_are_read_where_they_are_declared(make_ready, ramp):
    squeeze = "Ramp.map_of = lambda self, image: np.linspace(0, 1, 32)[:, None] + np.linspace(0, 1, 32)\n"
    expert = ramp(squeeze, aspect="stretched")
    workspace = make_ready(expert)
    assert not take_readings(workspace)[0].failures
    for image in (A, B):
        points = read_keypoints(workspace, image).points
        values = image_readings(workspace).by_image[image][name_of(expert)].values
        np.testing.assert_allclose(values, ramp_at(points, SIZES[image]), atol=1e-6)


def test_values_that_are_no_numbers_are_stored_as_they_are(make_ready, ramp):
    odd = "Ramp.map_of = lambda self, image: np.array([[np.nan, 1.0], [-np.inf, np.inf]])\n"
    expert = ramp(odd, aspect="stretched")
    workspace = make_ready(expert)
    assert not take_readings(workspace)[0].failures
    for image in PHOTOS:
        values = image_readings(workspace).by_image[image][name_of(expert)].values
        assert len(values) == len(read_keypoints(workspace, image).points)
        assert not np.isfinite(values).any(), "every point lies among all four corners"


FAILS = """
wellbehaved = Ramp.predict
def predict(self, images):
    maps = wellbehaved(self, images)
    if {condition}:
        raise {error}
    return maps
Ramp.predict = predict
"""


def test_an_error_in_one_image_stops_nothing(make_ready, ramp):
    more = FAILS.format(condition=f"images[0].name == {C!r}", error="ValueError('no such luck')")
    workspace = make_ready(ramp(more))
    reports = take_readings(workspace)
    assert reports[0].failures.keys() == {C}
    assert "ValueError: no such luck (ramp.py, line" in reports[0].failures[C]
    assert image_readings(workspace).ready.keys() == {A, B, D}


def test_memory_that_runs_out_is_recorded_for_the_image_alone(make_ready, ramp):
    more = FAILS.format(condition=f"any(image.name == {D!r} for image in images)", error="MemoryError('16 GiB')")
    workspace = make_ready(ramp(more))
    reports = take_readings(workspace, batch_size=4)
    assert reports[0].failures.keys() == {D}
    assert "out of memory with this image alone" in reports[0].failures[D]
    assert image_readings(workspace).ready.keys() == {A, B, C}


def test_batches_that_do_not_fit_are_halved_and_it_is_told(make_ready, ramp, log):
    more = FAILS.format(condition="len(images) > 2", error="MemoryError()")
    workspace = make_ready(ramp(more))
    reports = take_readings(workspace, batch_size=4)
    assert not reports[0].failures
    assert reports[0].notes == ("out of memory with 4 images at once; went on with 2",)
    one_by_one = make_ready(ramp(more), name="one")
    assert not take_readings(one_by_one)[0].notes
    assert image_readings(workspace).ready == image_readings(one_by_one).ready


def test_a_way_has_its_own_batches_and_is_read_apart(make_ready, ramp, tmp_path):
    expert = ramp("Ramp.map_of = lambda self, image: np.full(image.size, self.down)\n", down="1")
    again = [{"batch_size": "3"}, {"down": "5"}]
    workspace = make_ready({**expert, "again": again})
    take_readings(workspace)
    names = [name_of(expert) + tail for tail in ("", " again batch_size=3", " again down=5")]
    found = image_readings(workspace).by_image[A]
    assert list(found) == [*names, "baseline:row"]
    assert [found[name].values[0] for name in names] == [1, 1, 5]
    sizes = Counter(line.split()[-1] for line in (tmp_path / "calls.txt").read_text().splitlines())
    assert sizes == {"1": 4 + 1 + 4, "3": 3, "0": 3}


@pytest.fixture
def maps(tmp_path):
    """A predictions folder with a map for each photograph but the last."""
    folder = tmp_path / "maps"
    for image in PHOTOS:
        place = (folder / image).with_suffix(".npy")
        place.parent.mkdir(parents=True)
        if image != D:
            np.save(place, np.full(SIZES[image], 7, np.float32))
    (folder / "predictions.yaml").write_text("model: elsewhere\nkind: metric_depth\nscale: 0.5\n")
    return folder


def test_a_folder_of_maps_is_an_expert(make_ready, maps):
    workspace = make_ready({"model": f"predictions:{maps}"})
    reports = take_readings(workspace)
    assert reports[0].failures.keys() == {D}
    assert "no prediction for" in reports[0].failures[D]
    reading = image_readings(workspace).by_image[A][f"predictions:{maps}"]
    assert reading.kind is DepthKind.METRIC_DEPTH
    assert (reading.values == 3.5).all()
    np.save((maps / D).with_suffix(".npy"), np.full(SIZES[D], 9, np.float32))
    assert not take_readings(workspace)[0].failures, "the map that was missing is found without asking for a retry"
    assert len(image_readings(workspace).ready) == 4
    (maps / "predictions.yaml").write_text("model: elsewhere\nkind: metric_depth\nscale: 2\n")
    take_readings(workspace)
    assert (image_readings(workspace).by_image[D][f"predictions:{maps}"].values == 18).all()


@pytest.mark.parametrize(
    "fourth",
    [
        {"model": "baseline:hase"},
        {"model": "depth-anything-v2-lrge"},
        {"model": "marigold-v1-0", "options": {"ensembel": "3"}},
        {"model": "hf:./no/such/folder"},
    ],
    ids=lambda expert: expert["model"],
)
def test_a_typo_in_the_last_expert_is_told_before_anything_is_read(make_ready, ramp, log, fourth):
    workspace = make_ready(ramp(), ramp(down="2"), ramp(down="3"), fourth)
    with pytest.raises(BadModel):
        take_readings(workspace)
    assert not log()
    assert not dump(workspace)["experts"]
    assert not dump(workspace)["readings"]


def test_a_model_that_cannot_be_loaded_leaves_what_was_read_before(make_ready, ramp, log):
    broken = ramp("raise ImportError('no such package')\n", name="broken")
    workspace = make_ready(ramp(), broken)
    with pytest.raises(BadModel, match="no such package"):
        take_readings(workspace)
    assert log() == dict.fromkeys([*PHOTOS, "loaded"], 1)
    ramp(name="broken")
    assert told(take_readings(workspace)) == [(0, 0, 4, 0), (4, 0, 0, 0), (4, 0, 0, 0)]


def test_only_the_experts_asked_for_are_read(make_ready, ramp, log):
    workspace = make_ready({**ramp(), "again": [{"down": "2"}]}, ramp(name="other"))
    first = name_of(ramp())
    assert [report.stage for report in take_readings(workspace, only=[f"{first} again down=2"])] == [
        f"readings: {first} again down=2"
    ]
    assert log() == dict.fromkeys([*PHOTOS, "loaded"], 1)
    assert told(take_readings(workspace, only=[first])) == [(4, 0, 0, 0), (0, 0, 4, 0)]
    assert not image_readings(workspace).ready
    with pytest.raises(BadInput, match=r'"baseline:rwo" is no expert .* did you mean "baseline:row"'):
        take_readings(workspace, only=["baseline:rwo"])


def test_what_is_stored_of_an_expert_says_which_model_it_was_and_nothing_volatile(make_ready, ramp):
    expert = ramp()
    rows = []
    for name in ("one", "two"):
        workspace = make_ready(expert, name=name)
        take_readings(workspace)
        rows.append(workspace.db.run("SELECT * FROM experts"))
    assert rows[0] == rows[1]
    ((_, _, record, run),) = [row for row in rows[0] if row[0] == name_of(expert)]
    stored = ModelRecord.model_validate_json(record)
    assert (stored.spec, stored.kind) == (expert["model"], DepthKind.AFFINE_DISPARITY)
    assert json.loads(run).keys() == {"da2k_version", "python", "packages", "device", "dtype", "seed"}
    assert json.loads(run)["packages"]["numpy"] == np.__version__


def test_a_photograph_that_changed_is_told_and_keeps_its_readings(make_ready, ramp, log):
    workspace = make_ready(ramp())
    take_readings(workspace)
    before = dump(workspace)
    log()
    Image.new("RGB", (60, 40)).save(workspace.folder / A)
    (workspace.folder / B).unlink()
    reports = take_readings(workspace)
    assert [report.failures.keys() for report in reports] == [{A, B}] * 2
    assert "not the file that was taken in any more" in reports[0].failures[A]
    assert dump(workspace) == before
    assert not log()


def test_a_photograph_that_changes_unseen_is_not_read(make_ready, ramp):
    """Other bytes of the same length and time, which only reading them can tell."""
    workspace = make_ready(ramp())
    path = workspace.folder / A
    Image.new("RGB", (60, 40)).save(path)
    workspace.db.run(
        "UPDATE images SET bytes = ?, mtime_ns = ? WHERE image = ?",
        *(path.stat().st_size, path.stat().st_mtime_ns, A),
    )
    reports = take_readings(workspace)
    assert reports[0].failures.keys() == {A}
    assert "changed while it was read; run: da2k build init" in reports[0].failures[A]


def test_weights_that_change_where_nothing_here_tells_are_not_mixed(make_ready, ramp, log, monkeypatch):
    """A hub id without a revision may stand for other weights tomorrow; the loaded model's record tells."""
    more = """
from da2k.depth import DepthKind, DepthMap
from da2k.results import ModelRecord
weights, kind = os.environ["WEIGHTS"], DepthKind.AFFINE_DISPARITY
Ramp.record = ModelRecord(name="m", spec="hub", kind=kind, weights_digest=weights * 64)
Ramp.map_of = lambda self, image: DepthMap(np.full(image.size, float(weights)), kind)
"""
    expert = ramp(more)
    monkeypatch.setenv("WEIGHTS", "1")
    workspace = make_ready(expert)
    take_readings(workspace)
    workspace.db.run("DELETE FROM work WHERE stage = ? AND image = ?", f"readings: {name_of(expert)}", A)
    log()
    take_readings(workspace)
    assert log() == {A: 1, "loaded": 1}
    workspace.db.run("DELETE FROM work WHERE stage = ? AND image = ?", f"readings: {name_of(expert)}", A)
    monkeypatch.setenv("WEIGHTS", "2")
    reports = take_readings(workspace)
    assert reports[0].made == 4
    assert "all images were read again" in reports[0].notes[0]
    assert log() == dict.fromkeys([*PHOTOS, "loaded"], 1)
    assert {by[name_of(expert)].values[0] for by in image_readings(workspace).by_image.values()} == {2}


def test_progress_is_told_for_each_way_that_has_work(make_ready, ramp):
    workspace = make_ready(ramp())
    take_readings(workspace, only=["baseline:row"])
    seen = []
    reports = take_readings(
        workspace,
        progress=lambda stage: lambda done, total: seen.append((stage, done, total)),
        say=lambda report: seen.append(report),
    )
    assert seen == [*((f"readings: {name_of(ramp())}", done, 4) for done in range(5)), *reports]


def test_the_stage_of_a_way_carries_its_name(make_ready, ramp):
    workspace = make_ready(ramp())
    take_readings(workspace)
    stages = {stage for (stage,) in workspace.db.run("SELECT DISTINCT stage FROM work")}
    assert stages == {"keypoints", *(stage_of(way) for way in readings.expert_ways(workspace.settings))}
