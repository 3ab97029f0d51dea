"""`da2k evaluate` on measured depth, as a user runs it: tables, errors on one line, exit codes."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da2k.cli import main
from da2k.metrics.dense import METRICS
from da2k.protocols import dense_protocol
from da2k.results import read_any_result
from tests.datasets.native_formats import make_samples, white_border
from tests.evaluation.dense_sets import SCALE_FREE, leaning, make_frames, maps_of, write_maps, write_protocol


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `da2k …` in an empty folder; with `pinned`, under a data manifest that pins the list of those frames."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*words, pinned=None):
        monkeypatch.setattr(sys, "argv", ["da2k", *map(str, words)])
        if pinned is not None:
            monkeypatch.setattr("da2k.datasets.manifest._own_manifest", lambda: pinned.manifest)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Done(left.value.code or 0, out, without_progress(err))

    return call


def without_progress(text):
    """What was said on stderr but for how far the run was, which slow machines are told."""
    return re.sub(r"^\S+: \d+/\d+, .*\n", "", text, flags=re.MULTILINE)


def one_line_error(done, *needles):
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for needle in needles:
        assert needle in line


def store(folder, frames, change=lambda values, i: values):
    """A predictions folder of the frames' maps after `change`; no map where that gives None."""
    return write_maps(folder, frames, [change(values, i) for i, values in enumerate(maps_of(frames))])


def words_for(frames, model, out="r.json", own_list=False):
    words = ["evaluate", model, "--benchmark", frames.dataset, "--root", frames.root, "--protocol", frames.protocol]
    return [*words, *(["--out", out] if out else []), *(["--list", frames.list] if own_list else [])]


# What a run prints


def test_the_table_says_what_the_file_says(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=5)
    done = run(*words_for(frames, store(tmp_path / "maps", frames), out=None), pinned=frames)
    assert done.returncode == 0, done.stderr
    result = read_any_result(tmp_path / "results/kitti/of-frames/stored.json")
    lines = done.stdout.splitlines()
    assert lines[0] == "stored [scale_invariant_depth] on kitti: 5 of 5 images, protocol of-frames"
    assert lines[-1] == "result: results/kitti/of-frames/stored.json"
    assert f"clamped: {100 * result.clamped:.1f} % of pixels" in lines
    assert list(result.metrics) == list(frames.record.metrics)
    for name, found in result.metrics.items():
        (words,) = [line.split() for line in lines if line.startswith(f"{name} ")]
        low, high = found.interval
        assert words[1:3] == [f"{found.mean:.4f}", f"{low:.4f}–{high:.4f}"]
        assert words[3] == (METRICS[name].unit or "–")
        assert words[-1] == METRICS[name].better
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())


def test_json_is_the_result_file(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    done = run(*words_for(frames, store(tmp_path / "maps", frames)), "--json", "--workers", "2", pinned=frames)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "r.json").read_text())


def test_the_installed_command_prints_the_same(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    words = words_for(frames, store(tmp_path / "maps", frames), own_list=True)
    here = run(*words)
    (tmp_path / "r.json").unlink()
    line = [sys.executable, "-m", "da2k", *map(str, words)]
    there = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert there.returncode == here.returncode == 0
    assert without_progress(there.stderr) == here.stderr

    def timeless(text):
        return re.sub(r"^[\d.]+ s, [\d.]+ images/s$", "", text, flags=re.MULTILINE)

    assert timeless(there.stdout) == timeless(here.stdout)


def test_warnings_go_to_stderr(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3, status="unreproduced", note="Nobody came near.")

    def far(values, i):
        values[:3] = 1e5
        return values

    done = run(*words_for(frames, store(tmp_path / "maps", frames, far)), pinned=frames)
    assert done.returncode == 0
    warnings = done.stderr.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert "warning: protocol of-frames on kitti is unreproduced. Nobody came near." in warnings
    assert "warning: the intervals are from 3 images only, and say little" in warnings
    assert any("of the pixels were clamped" in line for line in warnings)
    assert "warning" not in done.stdout
    assert [f"warning: {text}" for text in read_any_result(tmp_path / "r.json").warnings] == warnings


def test_a_predicted_folder_scores_as_the_model(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3, base="metric")
    (tmp_path / "net.py").write_text(
        "import numpy as np\n"
        "def make():\n"
        "    return lambda pixels: pixels[..., 0] / 32 + np.linspace(1, 9, pixels.shape[1])\n"
    )
    model = ["python:net.py:make", "-o", "kind=metric_depth"]
    place = ["--root", frames.root, "--protocol", frames.protocol]
    done = run("predict", *model, "kitti", "--out", "maps", *place, pinned=frames)
    assert (done.returncode, done.stdout) == (0, "3 maps written to maps\n"), done.stderr
    assert {"tta: flip", "input_crop: none"} <= set((tmp_path / "maps/predictions.yaml").read_text().splitlines())
    for out, spec in (("direct.json", model), ("stored.json", ["predictions:maps"])):
        assert run("evaluate", *spec, "--benchmark", "kitti", "--out", out, *place, pinned=frames).returncode == 0
    direct, stored = (read_any_result(tmp_path / name) for name in ("direct.json", "stored.json"))
    assert direct.rows.sha256 == stored.rows.sha256
    one_line_error(run("predict", *model, "kitti", "--out", "m", "--root", frames.root), "kitti: name the protocol")


# 652 frames


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    """As many frames as KITTI's list names, each tiny, with a map each."""
    frames = make_frames(tmp_path_factory.mktemp("kitti") / "frames", samples=make_samples(652, (8, 12)))
    store(frames.root.with_name("maps"), frames)
    return frames


@pytest.fixture
def moved():
    """Moves files away until the test ends."""
    away = []

    def move(path):
        path.rename(path.with_suffix(".away"))
        away.append(path)

    yield move
    for path in away:
        path.with_suffix(".away").rename(path)


def test_three_missing_predictions_leave_649_of_652(run, tmp_path, kitti, moved):
    names = [frame.name for frame in kitti.open().frames]
    gone = [names[i] for i in (0, 300, 651)]
    maps = kitti.root.with_name("maps")
    for name in gone:
        moved((maps / name).with_suffix(".npy"))
    done = run(*words_for(kitti, f"predictions:{maps}"), "--workers", "2", pinned=kitti)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].endswith("on kitti: 649 of 652 images, protocol of-frames")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert line.startswith(f"failed: {gone[0]} and 2 more images: ")
    assert f"no prediction for {gone[0]} (" in line
    result = read_any_result(tmp_path / "r.json")
    images = result.images
    assert [failure.image for failure in result.failures] == gone
    assert all(f"no prediction for {failure.image} (" in failure.reason for failure in result.failures)
    assert (images.expected, images.scored, images.failed, images.absent) == (652, 649, 3, 0)


def test_a_list_that_disagrees_with_the_files_is_refused_or_said_to_be_partial(run, tmp_path, kitti, moved):
    frames = kitti.open().frames
    for i in (3, 4, 500):
        moved(frames[i].files[1])
    words = words_for(kitti, f"predictions:{kitti.root.with_name('maps')}")
    done = run(*words, pinned=kitti)
    one_line_error(done, "list and files disagree: 3 of 652 frames", frames[3].name, "--partial")
    assert not (tmp_path / "r.json").exists()
    done = run(*words, "--partial", pinned=kitti)
    assert done.returncode == 0, done.stderr
    assert "on kitti: partial copy, 649 of 652 images" in done.stdout
    assert "warning: partial copy: 649 of 652 frames are here\n" in done.stderr
    assert read_any_result(tmp_path / "r.json").images.absent == 3


def test_another_list_is_said_to_be_one(run, tmp_path, kitti, moved):
    mine = tmp_path / "mine.txt"
    mine.write_text("".join(kitti.list.read_text().splitlines(keepends=True)[:5]))
    maps = kitti.root.with_name("maps")
    moved((maps / kitti.open().frames[2].name).with_suffix(".npy"))
    done = run(*words_for(replace(kitti, list=mine), f"predictions:{maps}", own_list=True))
    assert done.returncode == 1
    assert ": 4 of 5 images of another list than the protocol's 652, protocol of-frames" in done.stdout
    assert "warning: own list mine.txt of 5 frames; the protocol's has 652" in done.stderr
    assert read_any_result(tmp_path / "r.json").benchmark.own_list


def test_failures_that_differ_in_their_images_name_only_are_one_line(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=6, size=(24, 80))

    def change(values, i):
        return {0: None, 2: values[:, :9], 3: None, 5: values * np.nan}.get(i, values)

    done = run(*words_for(frames, store(tmp_path / "maps", frames, change)), pinned=frames)
    assert done.returncode == 1
    names = [frame.name for frame in frames.open().frames]
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    starts = [f"{names[0]} and 1 more image: ", f"{names[2]}: the map is 24 x 9 ", f"{names[5]}: the map is not finite"]
    assert len(lines) == len(starts)
    assert all(line.startswith(f"failed: {start}") for line, start in zip(lines, starts, strict=True))
    named = {failure.image: failure.reason for failure in read_any_result(tmp_path / "r.json").failures}
    assert sorted(named) == sorted(names[i] for i in (0, 2, 3, 5)), "the file names them all"
    assert f"no prediction for {names[3]} (" in named[names[3]]


def test_a_whole_result_is_not_replaced_by_a_partial_one(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    words = words_for(frames, store(tmp_path / "maps", frames))
    assert run(*words, pinned=frames).returncode == 0
    frames.open().frames[0].files[0].unlink()
    done = run(*words, "--partial", pinned=frames)
    one_line_error(done, "r.json: holds the result of the whole dataset, and frames are absent now", "--replace")
    assert run(*words, "--partial", "--replace", pinned=frames).returncode == 0
    assert read_any_result(tmp_path / "r.json").images.absent == 1


# Bad input: an image's costs that image, a set's is one line


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def as_eight_bits(path):
    Image.fromarray((np.asarray(Image.open(path)) >> 8).astype(np.uint8)).save(path)


def wrong_magic(path):
    path.write_bytes(b"PIEX" + path.read_bytes()[4:])


def other_shape(path):
    np.save(path, np.ones((9, 7), np.float32))


DAMAGED = {
    "a truncated .dpt": ("sintel-final", cut, "is truncated"),
    "a wrong magic": ("sintel-final", wrong_magic, "is no .dpt file"),
    "a .npy of another shape": ("diode", other_shape, "is 9 x 7, and its image"),
    "an 8-bit depth PNG": ("kitti-annotated", as_eight_bits, "is no 16-bit grey PNG"),
    "a short ETH3D file": ("eth3d", cut, "is the image an undistorted or a resized one?"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_damaged_truth_is_one_line_and_exit_1(run, tmp_path, fault):
    reader, damage, message = DAMAGED[fault]
    frames = make_frames(tmp_path / "frames", reader, count=4)
    model = store(tmp_path / "maps", frames)
    bad = frames.open().frames[2]
    damage(bad.files[1])
    done = run(*words_for(frames, model), pinned=frames)
    assert done.returncode == 1
    assert ": 3 of 4 images, protocol of-frames" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert line.startswith(f"failed: {bad.name}: {bad.files[1]}: ")
    assert message in line
    result = read_any_result(tmp_path / "r.json")
    assert [failure.image for failure in result.failures] == [bad.name]
    assert result.images.scored == 3


STORED = {
    "NaN": (lambda values: values * np.nan, "the map is not finite at"),
    "another shape": (lambda values: values[:, :9], "another aspect ratio"),
    "three axes": (lambda values: np.stack([values] * 3), "a depth map is [height, width]"),
    "complex numbers": (lambda values: values * 1j, "complex"),
}


@pytest.mark.parametrize("fault", STORED)
def test_a_bad_prediction_is_one_line_and_exit_1(run, tmp_path, fault):
    change, message = STORED[fault]
    frames = make_frames(tmp_path / "frames", count=4, size=(24, 80))
    model = store(tmp_path / "maps", frames, lambda values, i: change(values) if i == 1 else values)
    done = run(*words_for(frames, model), pinned=frames)
    assert done.returncode == 1
    assert ": 3 of 4 images" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert line.startswith(f"failed: {frames.open().frames[1].name}: ")
    assert message in line


def test_a_truncated_prediction_is_one_line(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    model = store(tmp_path / "maps", frames)
    cut(next((tmp_path / "maps").rglob("00000.npy")))
    done = run(*words_for(frames, model), pinned=frames)
    assert done.returncode == 1
    few, line = done.stderr.splitlines()
    assert few == "warning: the intervals are from 1 image only, and say little"
    assert line.startswith("failed: ")
    assert "00000.npy: the header claims [24, 40] float32, 3,840 bytes, but 3,810 follow" in line


def test_negative_predictions_are_clamped_and_said(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)

    def negative(values, i):
        values[::4] *= -1
        return values

    done = run(*words_for(frames, store(tmp_path / "maps", frames, negative)), pinned=frames)
    assert done.returncode == 0
    assert ": 3 of 3 images" in done.stdout
    assert "of the pixels were clamped to floor or range" in done.stderr
    assert read_any_result(tmp_path / "r.json").clamped > 0.2


def test_predictions_of_8_bits_are_warned_of(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    model = store(tmp_path / "maps", frames, lambda values, i: None)
    for frame, sample in zip(frames.open().frames, frames.samples, strict=True):
        path = (tmp_path / "maps" / frame.name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(leaning(sample.rgb).astype(np.uint8)).save(path)
    done = run(*words_for(frames, model), pinned=frames)
    assert done.returncode == 0
    assert "warning: 2 maps have 8 bits" in done.stderr


def test_a_set_of_8_bit_truths_is_refused(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    model = store(tmp_path / "maps", frames)
    for frame in frames.open().frames:
        as_eight_bits(frame.files[1])
    one_line_error(run(*words_for(frames, model), pinned=frames), "is no 16-bit grey PNG", "does not fit into 8 bits")


def test_a_set_that_is_other_data_is_refused(run, tmp_path):
    lidar = make_frames(tmp_path / "lidar", samples=make_samples(3, measured=0.04))
    one_line_error(run(*words_for(lidar, "baseline:row"), pinned=lidar), "looks like raw LiDAR")
    filled = make_frames(tmp_path / "filled", "nyu-bts", samples=make_samples(3, measured=1.1))
    one_line_error(run(*words_for(filled, "baseline:row"), pinned=filled), "was filled in")
    white = make_frames(tmp_path / "white", "nyu-bts", samples=[white_border(s) for s in make_samples(2)])
    one_line_error(run(*words_for(white, "baseline:row"), pinned=white), "not the JPEGs of the BTS folder")
    diode = make_frames(tmp_path / "diode", "diode", count=2)
    for mask in diode.root.rglob("*_mask.npy"):
        mask.unlink()
    one_line_error(run(*words_for(diode, "baseline:row"), pinned=diode), "_depth_mask.npy")


def test_lists_that_cannot_be_used_are_one_line(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    model, words = store(tmp_path / "maps", frames), words_for(frames, "baseline:row")
    frames.manifest  # noqa: B018 - pins the list as it is now
    frames.list.write_text(frames.list.read_text().replace("721", "722"))
    one_line_error(run(*words, pinned=frames), "is not the list that the data manifest pins", "da2k data fetch kitti")
    frames.list.unlink()
    one_line_error(run(*words, pinned=frames), "is not here", "da2k data fetch kitti")
    for text, message in (("", "has no rows"), ("a.png\n", "line 1: has 1 column"), ("../a b 1\n", "below the root")):
        (tmp_path / "mine.txt").write_text(text)
        one_line_error(run(*words, "--list", tmp_path / "mine.txt"), "mine.txt", message)
    one_line_error(run(*words, "--list", tmp_path / "none.txt"), "none.txt: No such file")
    words[words.index("--root") + 1] = tmp_path / "nowhere"
    one_line_error(run(*words), "kitti is not at", "check --root")
    assert not (tmp_path / "r.json").exists()
    assert model


# Usage


def test_without_a_protocol_they_are_named(run, tmp_path):
    done = run("evaluate", "baseline:row", "--benchmark", "kitti", "--root", tmp_path)
    assert done.returncode == 2
    assert "Invalid value for --protocol" in done.stderr
    for name in ("dav2-table2", "marigold", "metric", "metric-median"):
        assert name in done.stderr
    assert "midas" not in done.stderr, "that cannot be run on KITTI"
    assert "midas" in run("evaluate", "baseline:row", "--benchmark", "nyu", "--root", tmp_path).stderr


@pytest.mark.parametrize("words", [("--list", "frames.txt"), ("--workers", "2")])
def test_options_for_depth_are_wrong_usage_with_pairs(run, make_benchmark, words):
    done = run("evaluate", "baseline:row", "--benchmark", make_benchmark(), *words)
    assert done.returncode == 2
    assert "is for measured depth" in done.stderr
    assert words[0] in done.stderr


def test_wrong_numbers_of_workers_are_wrong_usage(run):
    for count in ("0", "-1", "many"):
        done = run("evaluate", "baseline:row", "--benchmark", "kitti", "--protocol", "metric", "--workers", count)
        assert done.returncode == 2
        assert "--workers" in done.stderr


REFUSED = {
    "an unknown protocol": ("kitti", "marigol", ("did you mean", "marigold")),
    "a protocol for pairs": ("kitti", "da2k", ("protocol da2k scores pairs of points",)),
    "a set that is not named": ("sintel", "marigold", ("protocol marigold says nothing on sintel",)),
    "a set that is unavailable": ("kitti", "midas", ("protocol midas cannot be run on kitti",)),
    "a file that is absent": ("kitti", "mine.yaml", ("mine.yaml: No such file",)),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_protocols_that_cannot_be_used_are_one_line(run, tmp_path, fault):
    benchmark, protocol, needles = REFUSED[fault]
    words = ("evaluate", "baseline:row", "--benchmark", benchmark, "--protocol", protocol, "--root", tmp_path)
    one_line_error(run(*words, "--out", "r.json"), *needles)
    assert not list(tmp_path.iterdir())


def test_a_dense_protocol_does_not_score_pairs(run, make_benchmark):
    done = run("evaluate", "baseline:row", "--benchmark", make_benchmark(), "--protocol", "metric")
    one_line_error(done, "protocol metric is for kitti, nyu; pairs are scored by protocol da2k")


def test_a_kind_that_the_protocol_does_not_take_is_one_line(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=1)
    done = run(*words_for(frames, "baseline:row"), pinned=frames)
    one_line_error(done, "affine_disparity does not: its shift is unknown")
    assert dense_protocol(str(frames.protocol)).alignment.takes == SCALE_FREE


def test_another_result_is_not_replaced(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    model = store(tmp_path / "maps", frames)
    assert run(*words_for(frames, model), pinned=frames).returncode == 0
    other = replace(frames, protocol=tmp_path / "other.yaml")
    write_protocol(other.protocol, frames.reader, frames.list.name, 2, clamp={"low": 0.1, "high": 80.0})
    one_line_error(run(*words_for(other, model), pinned=frames), "r.json: holds the result of protocol", "--replace")
    assert run(*words_for(other, model), "--replace", pinned=frames).returncode == 0
    assert read_any_result(tmp_path / "r.json").protocol.name == "of-other"


# Ctrl-C

SLOW = """
import time

def make():
    def predict(pixels):
        time.sleep(0.05)
        with open("calls.txt", "a") as log:
            log.write(f"{pixels.astype(int).sum()}\\n")
        return pixels[..., 0].astype(float) + 1
    return predict
"""


def test_ctrl_c_stops_with_130_and_the_same_command_carries_on(run, tmp_path):
    frames = make_frames(tmp_path / "frames", count=16)
    (tmp_path / "slow.py").write_text(SLOW)
    words = [*words_for(frames, "python:slow.py:make", own_list=True), "-o", f"kind={SCALE_FREE}"]
    log = tmp_path / "calls.txt"
    line = [sys.executable, "-m", "da2k", *map(str, words)]
    child = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and (not log.exists() or len(log.read_text().split()) < 5):
        time.sleep(0.002)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted; the same command carries on" in told
    assert "Traceback" not in told
    assert not Path(tmp_path / "r.json").exists()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    calls = log.read_text().split()
    assert len(set(calls)) == 16
    assert len(calls) <= 16 + 2, "only what was in the model or being scored may be done again"
    resumed = read_any_result(tmp_path / "r.json").run.images_resumed
    assert resumed >= 3
    assert f", {resumed} images from an earlier run" in done.stdout
    assert not (tmp_path / "r.json.progress").exists()
