"""Runs on measured depth that are stopped, carried on, or find a result where theirs should go."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import da2k
from da2k.errors import BadInput
from da2k.evaluation.dense import evaluate_dense
from da2k.evaluation.dense.rows import read_rows
from da2k.results import read_any_result
from tests.evaluation.dense_sets import SCALE_FREE, make_frames, maps_of, score, write_maps, write_protocol

MODEL = """
import os
import time
import numpy as np

def make(pause="0"):
    def predict(pixels):
        time.sleep(float(pause))
        with open(os.environ["CALLS"], "a") as log:
            log.write(f"{pixels.astype(np.int64).sum()}\\n")
        return pixels[..., 0].astype(np.float32) / 32 + pixels[..., 1].astype(np.float32) / 64 + 2
    return predict
"""


# Carrying on


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Six frames, the model string that logs what it is given, and a count of those calls."""
    frames = make_frames(tmp_path / "frames", count=6)
    (tmp_path / "net.py").write_text(MODEL)
    log = tmp_path / "calls.txt"
    monkeypatch.setenv("CALLS", str(log))

    def calls():
        return Counter(log.read_text().split()) if log.exists() else Counter()

    return frames, f"python:{tmp_path / 'net.py'}:make", calls


class StoppedError(Exception):
    pass


def interrupt(frames, spec, out, after, **options):
    """Start a run, and stop it when so many images are done."""

    def stop(done, _all):
        if done == after:
            raise StoppedError

    with pytest.raises(StoppedError):
        resumed(frames, spec, out, progress=stop, **options)
    assert not out.exists()
    assert out.with_name(f"{out.name}.progress").exists()


def resumed(frames, spec, out, **options):
    return evaluate_dense(
        spec, frames.open(), str(frames.protocol), model_options={"kind": SCALE_FREE}, out=out, **options
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_interrupted_run_is_carried_on(tmp_path, logged, workers):
    frames, spec, calls = logged
    out = tmp_path / "r.json"
    interrupt(frames, spec, out, 2, workers=workers)
    interrupt(frames, spec, out, 4, workers=workers)
    done = resumed(frames, spec, out, workers=workers)
    assert done.result.run.images_resumed >= 3
    assert len(calls()) == 6
    # What the model had done but no worker had scored is done again.
    assert sum(calls().values()) <= 6 + 2 * (workers + 1)
    whole = resumed(frames, spec, tmp_path / "whole.json")
    assert done.result.rows.sha256 == whole.result.rows.sha256
    assert done.result.metrics == whole.result.metrics
    assert {path.name for path in tmp_path.glob("r.*")} == {"r.json", done.result.rows.file}


def touch_truth(frames, tmp_path):
    truth = frames.open().frames[1].files[1]
    values = np.asarray(Image.open(truth)).copy()
    values[values > 0] += 256
    Image.fromarray(values).save(truth)


def change_protocol(frames, tmp_path):
    write_protocol(tmp_path / "other.yaml", frames.reader, frames.list.name, 6, clamp={"low": 0.5, "high": 80.0})
    return replace(frames, protocol=tmp_path / "other.yaml")


def change_list(frames, tmp_path):
    """Another list of the same frames in the same order."""
    frames.list.write_text(frames.list.read_text().replace("721.5377", "707.0912"))
    return replace(frames)  # its manifest pins the list as it is now


def change_code(frames, tmp_path):
    (tmp_path / "net.py").write_text(MODEL + "# another version\n")


def change_nothing(frames, tmp_path):
    pass


@pytest.mark.parametrize("change", [change_nothing, touch_truth, change_protocol, change_list, change_code])
def test_a_run_starts_over_when_what_it_depends_on_has_changed(tmp_path, logged, change):
    frames, spec, calls = logged
    interrupt(frames, spec, tmp_path / "r.json", 4)
    before = sum(calls().values())
    frames = change(frames, tmp_path) or frames
    done = resumed(frames, spec, tmp_path / "r.json")
    kept = {change_nothing: 4, touch_truth: 3}.get(change)
    if kept is not None:
        assert done.result.run.images_resumed == kept
        assert sum(calls().values()) == before + 6 - kept
    else:
        assert done.result.run.images_resumed == 0
        assert sum(calls().values()) == before + 6
    fresh = resumed(frames, spec, tmp_path / "fresh.json")
    assert done.result.rows.sha256 == fresh.result.rows.sha256


def test_missing_maps_that_have_come_are_all_that_is_run(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    maps = maps_of(frames)
    stored = write_maps(tmp_path / "maps", frames, [*maps[:3], None])
    assert score(frames, stored, kind=None, out=tmp_path / "r.json").result.images.scored == 3
    write_maps(tmp_path / "maps", frames, maps)
    done = score(frames, stored, kind=None, out=tmp_path / "r.json")
    assert (done.result.images.scored, done.result.run.images_resumed) == (4, 3)
    assert done.result.rows.sha256 == score(frames, stored, kind=None, out=tmp_path / "s.json").result.rows.sha256
    assert not (tmp_path / "r.json.progress").exists()


def test_a_python_object_is_never_carried_on(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)

    def stop(done, _all):
        raise StoppedError

    with pytest.raises(StoppedError):
        score(frames, out=tmp_path / "r.json", progress=stop)
    assert not list(tmp_path.glob("r.json*"))
    assert score(frames, out=tmp_path / "r.json").result.run.images_resumed == 0


def run_until(line, log, lines, sign):
    """Start the command, send it a signal once the model has been called so many times, and wait for its end."""
    child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while child.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < lines):
        time.sleep(0.002)
    time.sleep(random.random() * 0.02)
    child.send_signal(sign)
    child.communicate(timeout=60)
    return child.returncode


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_if_never_killed(tmp_path, logged):
    _, spec, calls = logged
    frames = make_frames(tmp_path / "many", count=24)
    line = [sys.executable, "-m", "da2k", "evaluate", spec, "--benchmark", "kitti", "--root", str(frames.root)]
    line += ["--protocol", str(frames.protocol), "--list", str(frames.list), "--out", str(tmp_path / "r/killed.json")]
    line += ["-o", f"kind={SCALE_FREE}", "-o", "pause=0.03", "--workers", "2"]
    for kills, lines in enumerate((1, 8, 19)):
        assert run_until(line, tmp_path / "calls.txt", lines, signal.SIGKILL) == -signal.SIGKILL
        assert not (tmp_path / "r/killed.json").exists(), kills
        assert not list(tmp_path.glob("r/*.parquet"))
    subprocess.run(line, capture_output=True, check=True)
    assert len(calls()) == 24
    # Of each run that was killed: the image in the model, and those that two workers had not finished.
    assert sum(calls().values()) <= 24 + 3 * 3
    killed = read_any_result(tmp_path / "r/killed.json")
    assert killed.run.images_resumed > 0
    whole = evaluate_dense(
        spec, "kitti", str(frames.protocol), root=frames.root, own_list=frames.list, out=tmp_path / "whole.json",
        model_options={"kind": SCALE_FREE, "pause": "0"},
    )  # fmt: skip
    assert killed.rows.sha256 == whole.result.rows.sha256
    assert killed.metrics == whole.result.metrics
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"killed.json", killed.rows.file}


# Results that are there already, and damaged ones


def test_a_result_of_something_else_is_not_replaced_without_being_told(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    other = tmp_path / "other.yaml"
    write_protocol(other, frames.reader, frames.list.name, 3, clamp={"low": 0.5, "high": 80.0})
    maps, out = write_maps(tmp_path / "maps", frames, maps_of(frames)), tmp_path / "r.json"
    score(frames, maps, kind=None, out=out)
    score(frames, maps, kind=None, out=out)
    before = out.read_bytes()
    with pytest.raises(BadInput, match=r"r\.json: holds the result of protocol of-frames; choose another --out"):
        evaluate_dense(maps, frames.open(), str(other), out=out)
    edited = tmp_path / "edited.yaml"
    edited.write_text(frames.protocol.read_text().replace("high: 80.0", "high: 70.0"))
    with pytest.raises(BadInput, match=r"r\.json: holds the result of protocol of-frames with other choices; choose"):
        evaluate_dense(maps, frames.open(), str(edited), out=out)
    twin = write_maps(tmp_path / "twin", frames, maps_of(frames))
    with pytest.raises(
        BadInput, match=r"holds the result of predictions:.*maps, and this is predictions:.*twin; choose"
    ):
        score(frames, twin, kind=None, out=out)
    write_maps(tmp_path / "maps", frames, maps_of(frames), revision="2")
    with pytest.raises(BadInput, match=r"holds the result of predictions:.*maps with other options or weights"):
        score(frames, maps, kind=None, out=out)
    write_maps(tmp_path / "maps", frames, maps_of(frames))
    mine = tmp_path / "mine.txt"
    mine.write_text("".join(frames.list.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(BadInput, match="other frames"):
        evaluate_dense(maps, "kitti", str(frames.protocol), root=frames.root, own_list=mine, out=out)
    assert out.read_bytes() == before
    replaced = evaluate_dense(maps, frames.open(), str(other), out=out, replace=True).result
    assert read_any_result(out) == replaced
    assert {path.name for path in tmp_path.glob("r.*")} == {"r.json", replaced.rows.file}


def test_a_whole_result_is_not_replaced_by_one_of_a_partial_copy(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    maps, out = write_maps(tmp_path / "maps", frames, maps_of(frames)), tmp_path / "r.json"

    def run(**options):
        opened = frames.open(partial=True)
        return evaluate_dense(maps, opened, str(frames.protocol), out=out, **options).result

    assert run().images.absent == 0
    assert run().images.absent == 0, "a whole one is replaced by a whole one"
    before = out.read_bytes()
    truth = frames.open().frames[2].files[1]
    truth.rename(tmp_path / "away.png")
    with pytest.raises(
        BadInput, match=r"r\.json: holds the result of the whole dataset, and frames are absent now; ch"
    ):
        run()
    assert out.read_bytes() == before
    assert not (tmp_path / "r.json.progress").exists()
    assert run(replace=True).images.absent == 1
    assert run().images.absent == 1, "a partial one is replaced by a partial one"
    (tmp_path / "away.png").rename(truth)
    assert run().images.absent == 0, "and by a whole one"
    assert not read_any_result(out).benchmark.partial


def test_a_result_on_pairs_is_not_replaced_by_one_on_depth(tmp_path, make_benchmark):
    frames = make_frames(tmp_path / "frames", count=2)
    da2k.evaluate("baseline:row", make_benchmark(), out=tmp_path / "r.json")
    with pytest.raises(BadInput, match="holds the result of benchmark"):
        score(frames, out=tmp_path / "r.json")
    (tmp_path / "thesis.json").write_text("{}")
    with pytest.raises(BadInput, match="is no result"):
        score(frames, out=tmp_path / "thesis.json")


def changed(key, value):
    def change(content):
        *path, last = key.split("/")
        place = content
        for part in path:
            place = place[part]
        place[last] = value

    return change


def two_failures_of_one_image(content):
    content["failures"] = [{"image": "a.png", "reason": reason} for reason in ("absent", "damaged")]
    content["images"] |= {"scored": 1, "failed": 2}


PARTIAL = "benchmark.partial: is true if, and only if, images are absent or the list is the user's"
CONTRADICTIONS = {
    "more scored than expected": (changed("images/scored", 9), "are not the expected"),
    "fewer scored than expected": (changed("images/scored", 1), "are not the expected 3"),
    "a failure that nobody names": (changed("images/failed", 1), "and 0 failures are named"),
    "a failure that is named twice": (two_failures_of_one_image, "failures: an image is named twice"),
    "an absent image of a whole copy": (changed("images", {"expected": 3, "scored": 2, "absent": 1}), PARTIAL),
    "a partial copy of which nothing is absent": (changed("benchmark/partial", True), PARTIAL),
    "an own list that is not partial": (changed("benchmark/own_list", True), PARTIAL),
    "a level of 1": (changed("level", 1.0), "level"),
    "a level of 0": (changed("level", 0.0), "level"),
    "no resamples": (changed("resamples", 0), "resamples"),
    "too many resamples": (changed("resamples", 1_000_001), "resamples"),
    "no metrics": (changed("metrics", {}), "metrics are there if"),
    "a mean outside its interval": (changed("metrics/delta1/mean", 7.0), "metrics.delta1: the mean 7.0"),
    "a share above 1": (changed("clamped", 1.5), "clamped"),
    "a mean that is NaN": (changed("metrics/delta1/mean", float("nan")), "metrics.delta1.mean"),
    "a field that is unknown": (changed("accuracy", 1), "accuracy"),
    "another schema": (changed("schema_version", 2), "schema_version"),
    "no protocol": (changed("protocol", None), "protocol"),
}


@pytest.mark.parametrize("fault", CONTRADICTIONS)
def test_results_that_contradict_themselves_are_refused(tmp_path, fault):
    change, message = CONTRADICTIONS[fault]
    frames = make_frames(tmp_path / "frames", count=3)
    score(frames, out=tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    change(content)
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(BadInput) as caught:
        read_any_result(tmp_path / "r.json")
    assert message in str(caught.value)
    assert str(tmp_path / "r.json") in str(caught.value)


def test_a_result_on_depth_is_none_on_pairs(tmp_path):
    frames = make_frames(tmp_path / "frames", count=1)
    score(frames, out=tmp_path / "r.json")
    with pytest.raises(BadInput, match="is a result on kitti, and one on pairs of points is needed"):
        da2k.read_result(tmp_path / "r.json")


def test_rows_that_were_changed_are_refused(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    result = score(frames, out=tmp_path / "r.json").result
    (tmp_path / result.rows.file).write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="SHA-256 differs"):
        read_rows(result, tmp_path / "r.json")
