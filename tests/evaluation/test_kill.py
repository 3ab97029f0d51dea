"""Real processes that are really killed: nothing broken is left, nothing is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from da2k.evaluation.rows import read_rows
from da2k.results import read_result

SLOW_MODEL = """
import os, time
import numpy as np

class Slow:
    def predict(self, images):
        maps = []
        for photo in images:
            time.sleep(0.03)
            with open(os.environ["CALLS"], "a") as log:
                log.write(photo.name + "\\n")
            maps.append(np.asarray(photo)[..., 0].astype(np.float32))
        return maps

def make():
    return Slow()
"""


@pytest.fixture
def command(tmp_path, make_benchmark, monkeypatch):
    """The evaluation of a slow model on 40 images, as a command line; what it calls is logged."""
    root = make_benchmark(images=40, pairs=2)
    (tmp_path / "slow.py").write_text(SLOW_MODEL)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls.txt"))

    def line(out):
        model = ["evaluate", f"python:{tmp_path / 'slow.py'}:make", "--model-option", "kind=affine_disparity"]
        return [sys.executable, "-m", "da2k", *model, "--benchmark", str(root), "--out", str(tmp_path / out)]

    return line


def calls(tmp_path):
    return Counter((tmp_path / "calls.txt").read_text().split())


def run_until(line, log, lines, sign):
    """Start the command, send it a signal once it has logged so many images, and wait for its end."""
    child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while child.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < lines):
        time.sleep(0.002)
    time.sleep(random.random() * 0.03)
    child.send_signal(sign)
    child.communicate(timeout=60)
    return child.returncode


@pytest.mark.slow
def test_a_run_killed_many_times_ends_as_if_never_killed(command, tmp_path):
    log = tmp_path / "calls.txt"
    kills = 0
    for lines in (1, 6, 7, 15, 24, 33):
        kills += run_until(command("r/killed.json"), log, lines, signal.SIGKILL) == -signal.SIGKILL
        assert not (tmp_path / "r/killed.json").exists()
        assert not list(tmp_path.glob("r/*.parquet"))
    assert kills == 6
    assert subprocess.run(command("r/killed.json"), capture_output=True, check=False).returncode == 0
    done = calls(tmp_path)
    # Only the image that a kill caught in flight may be computed twice.
    assert len(done) == 40
    assert sum(done.values()) <= 40 + kills
    log.unlink()
    subprocess.run(command("r/whole.json"), capture_output=True, check=True)
    killed, whole = read_result(tmp_path / "r/killed.json"), read_result(tmp_path / "r/whole.json")
    assert killed.rows.sha256 == whole.rows.sha256
    assert killed.counts == whole.counts
    assert killed.run.images_resumed > 0
    read_rows(killed, tmp_path / "r/killed.json")
    assert {p.name for p in (tmp_path / "r").iterdir()} == {
        "killed.json",
        "whole.json",
        killed.rows.file,
        whole.rows.file,
    }


def test_ctrl_c_stops_with_130_and_the_same_command_carries_on(command, tmp_path):
    assert run_until(command("r.json"), tmp_path / "calls.txt", 5, signal.SIGINT) == 130
    before = calls(tmp_path)
    subprocess.run(command("r.json"), capture_output=True, check=True)
    after = calls(tmp_path)
    assert sum(after.values()) <= 41
    assert read_result(tmp_path / "r.json").run.images_resumed >= len(before) - 1


def test_changed_code_or_images_are_computed_again(command, tmp_path):
    log = tmp_path / "calls.txt"
    run_until(command("r.json"), log, 10, signal.SIGKILL)
    first = sum(calls(tmp_path).values())
    photo = sorted((tmp_path / "bench/images/indoor").iterdir())[0]
    photo.write_bytes(photo.read_bytes() + b"\0")
    subprocess.run(command("r.json"), capture_output=True, check=True)
    assert calls(tmp_path)[f"images/indoor/{photo.name}"] == 2, "the photo's bytes changed"
    assert sum(calls(tmp_path).values()) <= 42

    log.unlink()
    run_until(command("s.json"), log, 10, signal.SIGKILL)
    first = sum(calls(tmp_path).values())
    (tmp_path / "slow.py").write_text(SLOW_MODEL + "\n# another version\n")
    subprocess.run(command("s.json"), capture_output=True, check=True)
    assert sum(calls(tmp_path).values()) == first + 40, "the model's code changed"


@pytest.mark.slow
def test_prediction_carries_on_after_a_kill(command, tmp_path):
    line = command("unused")
    place = line.index("--benchmark")
    line = [*line[:place], line[place + 1], "--out", str(tmp_path / "maps")]
    line[line.index("evaluate")] = "predict"
    log = tmp_path / "calls.txt"
    for lines in (3, 12, 20):
        assert run_until(line, log, lines, signal.SIGKILL) == -signal.SIGKILL
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "were there already" in done.stdout
    assert sum(calls(tmp_path).values()) <= 43
    assert len(list((tmp_path / "maps").rglob("*.npy"))) == 40
    assert not (tmp_path / "maps/.predict.progress").exists()


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(command("file/r.json"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "file/r.json" in done.stderr
    assert not (tmp_path / "calls.txt").exists()
