"""Real processes that are really killed, run out of disk, or may not write: nothing is lost, nothing is done twice."""

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da2k.construction.settings import FILE_NAME, Settings, write_settings

# Two experts that differ wherever a photograph has colour, so that pairs are disputed. Each photograph that one is
# given is logged outside the workspace, before it is read.
EXPERTS = """
import os, time
import numpy as np

def log(line):
    with open(os.environ["LOG"], "a") as file:
        file.write(line + "\\n")

class Channel:
    def __init__(self, channel):
        self.channel = int(channel)
    def predict(self, images):
        for image in images:
            log(f"{self.channel} {image.name}")
            time.sleep(float(os.environ["SLEEP"]))
        return [np.asarray(image)[..., self.channel].astype(np.float32) + 1 for image in images]

def make(channel):
    return Channel(channel)
"""

# All stages, with exact answers in the place of people.
ALL = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from channels import log
from da2k.construction.decisions import Answer
from da2k.construction.intake import take_in
from da2k.construction.pipeline import build
from da2k.construction.queue import read_pairs, record_answers
from da2k.construction.release import make_release
from da2k.construction.workspace import open_workspace
from da2k.errors import Da2kError

def run(photos, folder, out):
    log("intake")
    take_in(Path(folder), Path(photos))
    with open_workspace(Path(folder)) as workspace:
        log("build")
        build(workspace, say=lambda report: log(report.stage))
        log("answers")
        pairs = read_pairs(workspace, queued_only=True)
        record_answers(workspace, [Answer(pair.id, "depth", "point1", source="exact") for pair in pairs])
        log("release")
        make_release(workspace, Path(out), replace=True)

if __name__ == "__main__":
    try:
        run(*sys.argv[1:])
    except Da2kError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(1)
"""

IMAGES = 24


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The file that the experts and the stages write to."""
    monkeypatch.setenv("LOG", str(tmp_path / "log.txt"))
    monkeypatch.setenv("SLEEP", "0.004")
    (tmp_path / "channels.py").write_text(EXPERTS)
    (tmp_path / "all.py").write_text(ALL)
    return tmp_path / "log.txt"


@pytest.fixture
def photos(tmp_path):
    """Small random photographs of three scenarios, one of them left to people."""
    rng = np.random.default_rng(0)
    for number in range(IMAGES + 4):
        scenario = "object" if number >= IMAGES else ("indoor", "aerial")[number % 2]
        path = tmp_path / "photos" / scenario / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (int(side) for side in rng.integers(36, 60, 2))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def new_workspace(tmp_path, log):
    """Writes the settings of a workspace; its photographs are taken in by the command."""

    def new(name):
        channel = {"model": f"python:{tmp_path / 'channels.py'}:make"}
        options = {"kind": "metric_depth"}
        settings = {
            "experts": [{**channel, "options": {**options, "channel": number}} for number in "01"],
            "images": {"min_side": 32, "near_duplicate_bits": 0},
            "keypoints": {"cells": 6},
            "selection": {"audit": 0.3, "quota": 3},
            "scenarios": {"indoor": {"pairs": 20}, "aerial": {}, "object": {"selection": "manual"}},
            "release": {"licence": "CC0-1.0", "audited": True, "date": "2024-01-01"},
        }
        write_settings(tmp_path / name / FILE_NAME, Settings.model_validate(settings))
        return tmp_path / name

    return new


def line(tmp_path, workspace):
    """The command that does it all."""
    return [sys.executable, str(tmp_path / "all.py"), str(tmp_path / "photos"), str(workspace), f"{workspace}-release"]


def finish(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, done.stderr


def run_until(command, log, lines, delay):
    """Start the command and kill it `delay` seconds after it logged so many lines; whether it was still alive."""
    before = count(log)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while child.poll() is None and count(log) < before + lines:
        time.sleep(0.001)
    time.sleep(delay)
    child.kill()
    _, errors = child.communicate(timeout=60)
    assert child.returncode in (0, -signal.SIGKILL), errors.decode()
    return child.returncode == -signal.SIGKILL


def count(log):
    return log.read_bytes().count(b"\n") if log.exists() else 0


def calls(log):
    """How often each expert was given each photograph."""
    return Counter(line for line in log.read_text().splitlines() if line[0].isdecimal())


def tables(folder):
    """Every table of a workspace but the stamps of files: from a copy, so that nothing is repaired by looking."""
    with tempfile.TemporaryDirectory() as copy:
        for file in folder.glob("state.sqlite*"):
            shutil.copy(file, copy)
        if not (Path(copy) / "state.sqlite").exists():
            return {}
        db = sqlite3.connect(Path(copy) / "state.sqlite")
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        found = {}
        for name in names:
            columns = [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
            kept = [column for column in columns if name != "images" or column != "mtime_ns"]
            found[name] = sorted(db.execute(f"SELECT {', '.join(kept)} FROM {name}"), key=repr)
        db.close()
    found.pop("files", None)
    return found


def already_read(folder):
    """What the log would say of the readings that are stored."""
    return {f"{expert.split('channel=')[1][0]} {image}" for image, expert, *_ in tables(folder).get("readings", ())}


def digests(folder):
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_thirty_kills_end_as_if_there_had_been_none(tmp_path, photos, new_workspace, log):
    whole, killed = new_workspace("whole"), new_workspace("killed")
    finish(line(tmp_path, whole))
    assert set(calls(log).values()) == {1}
    expected, released = tables(whole), digests(tmp_path / "whole-release")
    assert len(expected["readings"]) == 2 * IMAGES
    assert {row[0] for row in expected["work"]} > {"keypoints", "selection"}
    assert any(row[-1] for row in expected["pairs"])
    assert len(released) > 10

    log.unlink()
    chance = random.Random(1)
    kills = attempts = 0
    last = set()
    while kills < 30:
        attempts += 1
        assert attempts < 60, "the run is over before it can be killed"
        known, begun = already_read(killed), calls(log) if log.exists() else Counter()
        if run_until(line(tmp_path, killed), log, chance.randint(1, 8), chance.random() ** 2 * 0.03):
            kills += 1
            last.add(log.read_text().splitlines()[-1].split()[0])
        again = {image for image, times in calls(log).items() if times > begun[image]} & known
        assert not again, "what was stored is never read again"
    finish(line(tmp_path, killed))
    assert len(last) >= 4, "the kills fell into different stages"
    done = calls(log)
    assert len(done) == 2 * IMAGES
    assert sum(done.values()) <= 2 * IMAGES + kills, "a kill costs the photograph in flight, and no other"
    assert tables(killed) == expected
    assert digests(tmp_path / "killed-release") == released
    assert {*digests(killed)} == {*digests(whole)}, "nothing is left lying about"


@pytest.fixture
def build_run(tmp_path, photos, new_workspace, log, monkeypatch):
    """The workspace, with its photographs, and `da2k build run` of it."""
    monkeypatch.setenv("SLEEP", "0.03")
    da2k = [sys.executable, "-m", "da2k", "build"]
    folder = new_workspace("ws")
    finish([*da2k, "init", str(folder), str(photos)])
    return folder, [*da2k, "run", str(folder)]


def start(command, log, lines):
    """Start the command, and wait until the experts have been given so many photographs."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and count(log) < lines:
        time.sleep(0.001)
    return child


def test_a_second_process_is_refused_and_the_lock_goes_with_a_killed_one(build_run, log):
    folder, command = build_run
    first = start(command, log, 5)
    first.send_signal(signal.SIGSTOP)  # it holds the workspace, and does nothing more
    try:
        before = tables(folder)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert second.stderr == f"error: {folder}: another process works in this workspace; wait for it to end\n"
        assert tables(folder) == before
    finally:
        first.kill()
        first.communicate()
    finish(command)
    assert len(tables(folder)["readings"]) == 2 * IMAGES
    assert sum(calls(log).values()) <= 2 * IMAGES + 1


def test_ctrl_c_stops_with_130_and_the_same_command_carries_on(build_run, log):
    folder, command = build_run
    child = start(command, log, IMAGES + 5)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    known, begun = already_read(folder), calls(log)
    assert len(known) >= IMAGES
    finish(command)
    assert not {image for image, times in calls(log).items() if times > begun[image]} & known
    assert sum(calls(log).values()) <= 2 * IMAGES + 1


# Runs in a mount namespace of its own: a disk of its own that fills up, and what is left of it afterwards.
FULL = """
import os, shutil, subprocess, sys
from pathlib import Path
disk, workspace, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
shutil.copytree(workspace, disk / "ws")
room = 0
while True:
    with open(disk / "ballast", "wb") as ballast:
        ballast.write(bytes(max(0, shutil.disk_usage(disk).free - room)))
    done = subprocess.run(command, capture_output=True, text=True)
    print(room, done.returncode, done.stderr.strip(), flush=True)
    shutil.copytree(disk / "ws", workspace.with_name(f"at-{room}"))
    if done.returncode == 0:
        break
    os.remove(disk / "ballast")
    room += 16384
"""


def own_mounts():
    """What begins a command that may mount, or None where this machine does not let us."""
    begin = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    try:
        able = subprocess.run([*begin, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    except OSError:
        return None
    return begin if able.returncode == 0 else None


@pytest.mark.slow
def test_a_full_disk_is_told_and_loses_nothing(tmp_path, photos, new_workspace, log):
    """The disk has no room, then a little more at each run, until the run ends."""
    if (begin := own_mounts()) is None:
        pytest.skip("needs the right to mount a small disk")
    whole, small = new_workspace("whole"), new_workspace("small")
    finish(line(tmp_path, whole))
    log.unlink()
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "full.py").write_text(FULL)
    command = [*begin, sys.executable, str(tmp_path / "full.py"), str(disk), str(small), *line(tmp_path, disk / "ws")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    *failed, last = (told.split(" ", 2) for told in done.stdout.splitlines())
    print(done.stdout)
    assert len(failed) > 3
    for _, code, message in failed:
        assert code == "1"
        assert message.startswith(f"error: {disk}")
    stored = [len(already_read(tmp_path / f"at-{room}")) for room, *_ in (*failed, last)]
    assert stored == sorted(stored), "what a run stored, the next one has"
    assert len(set(stored)) > 2
    assert tables(tmp_path / f"at-{last[0]}") == tables(whole)
    assert sum(calls(log).values()) <= 2 * IMAGES + len(failed)


# Does everything once, so that all code is loaded, and then tries as somebody who may not write.
LOCKED = """
import os, sys
from pathlib import Path
from PIL import Image as PillowImage
from all import run
from da2k.construction.workspace import open_workspace
from da2k.errors import Da2kError

os.umask(0)
photos, folder = sys.argv[1:]
run(photos, folder, folder + "-release")
PillowImage.effect_noise((50, 40), 60).convert("RGB").save(Path(photos) / "indoor" / "new.png")
for path in Path(folder).rglob("*"):
    path.chmod(0o777)
locked = Path(sys.stdin.read())
locked.chmod(0o555 if locked.is_dir() else 0o444)
if os.geteuid() == 0:
    os.setuid(65534)  # rights do not bind root
try:
    run(photos, folder, folder + "-other")
except Da2kError as e:
    print(e)
"""


@pytest.mark.parametrize("what", ["", "state.sqlite", "images/indoor"])
def test_a_workspace_that_may_not_be_written_is_told_and_stays_as_it_is(photos, new_workspace, tmp_path, log, what):
    folder = new_workspace("ws")
    with tempfile.TemporaryDirectory() as outside:  # the folders above tmp_path are closed to others
        place = Path(outside) / "here"
        shutil.copytree(tmp_path, place)
        for path in (Path(outside), place, *place.rglob("*")):
            path.chmod(0o777)
        (place / "locked.py").write_text(LOCKED)
        folder = place / "ws"
        settings = (folder / FILE_NAME).read_text()
        (folder / FILE_NAME).write_text(settings.replace(str(tmp_path), str(place)))
        done = subprocess.run(
            [sys.executable, str(place / "locked.py"), str(place / "photos"), str(folder)],
            input=str(folder / what),
            env=os.environ | {"LOG": str(place / "log.txt")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(str(folder / what))
        assert "cannot be " in done.stdout
        assert done.stdout.count("\n") == 1
        assert len(tables(folder)["readings"]) == 2 * IMAGES
        assert not (place / "ws-other").exists()
