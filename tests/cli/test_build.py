"""`da2k build` as people run it: what it prints, errors on one line, exit codes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from da2k.construction.decisions import Answer
from da2k.construction.queue import add_manual_pairs, read_pairs, record_answers
from da2k.construction.settings import Settings, change_settings
from da2k.construction.workspace import open_workspace
from da2k.pairs import Point

BASELINES = ("row", "centre", "haze", "sharpness")
EXPERTS = [word for cue in BASELINES for word in ("--expert", f"baseline:{cue}")]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts `da2k build …` in an empty folder."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "da2k", "build", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )

    return call


@pytest.fixture
def run(start):
    """Runs `da2k build …`: exit code, stdout and stderr as lines."""

    def call(*words, code=0):
        child = start(*words)
        out, err = child.communicate(timeout=120)
        assert child.returncode == code, err
        assert "Traceback" not in err
        return out.splitlines(), err.splitlines()

    return call


@pytest.fixture
def photos(tmp_path):
    """Two photographs in each of two automatic scenarios, one in a manual one."""
    root = tmp_path / "photos"
    for seed, name in enumerate(("indoor/a.png", "indoor/b.png", "aerial/c.png", "aerial/d.png", "object/e.png")):
        save(root / name, seed)
    return root


def save(path, seed, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def made(run, photos):
    """A workspace `ws` with the photographs taken in."""
    run("init", "ws", "photos", "--min-side", 40, *EXPERTS)
    return photos.parent / "ws"


def row(lines, name):
    (found,) = [line.split() for line in lines if line.split()[:1] == [name]]
    return found[1:]


def the_error(lines, *needles):
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for needle in needles:
        assert needle in lines[0]


def test_from_photographs_to_a_release_that_scores(run, photos, tmp_path):
    out, err = run("init", "ws", "photos", "--min-side", 40, *EXPERTS)
    assert row(out, "indoor") == row(out, "aerial") == ["2", "2"]
    assert row(out, "total") == ["5", "5"]
    assert out[-1] == "next: da2k build run ws"
    assert err == [
        "da2k.yaml: experts = baseline:row, baseline:centre, baseline:haze, baseline:sharpness",
        "da2k.yaml: images.min_side = 40",
    ]
    out, err = run("run", "ws")
    assert out[:2] == ["keypoints: 4 made", "readings: baseline:row: 4 made"]
    assert out[5] == "selection: 4 made"
    assert err == []
    with open_workspace(tmp_path / "ws") as opened:
        queued = len(read_pairs(opened, queued_only=True))
        add_manual_pairs(opened, [("images/object/e.png", Point(1, 1), Point(30, 30))])
        record_answers(
            opened, [Answer(p.id, who, "point2") for p in read_pairs(opened, queued_only=True) for who in "abc"]
        )
    push = "da2k annotate push ws"
    assert f"next: {queued} of {queued} queued pairs wait for people: {push}" in out
    assert f"next: 1 photographs of manual scenarios wait for people to choose pairs: {push}" in out
    out, _ = run("run", "ws")
    assert out[0] == "keypoints: 4 up to date"
    assert out[-1] == f"next: all {queued + 1} queued pairs are decided: da2k build release ws OUT"
    out, _ = run("release", "ws", "out")
    assert row(out, "total")[:2] == ["5", str(queued + 1)]
    out, _ = run("status", "ws")
    assert row(out, "total")[-4:] == [str(queued + 1)] * 4
    assert any("da2k build release ws OUT" in line for line in out)
    done = subprocess.run(
        [sys.executable, "-m", "da2k", "evaluate", "baseline:row", "--benchmark", "out", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["counts"]["total"] == queued + 1
    run("keypoints", "ws", "--cells", 5)
    assert not any("da2k build release" in line for line in run("status", "ws")[0])


def test_an_option_that_is_a_setting_is_written_said_and_kept(run, made):
    (made / "da2k.yaml").write_text((made / "da2k.yaml").read_text() + "# ours\n")
    run("run", "ws")
    out, err = run("keypoints", "ws", "--cells", 6)
    assert err == ["da2k.yaml: keypoints.cells = 6 (was 16)"]
    assert out == ["keypoints: 4 made again because what they depend on changed"]
    out, err = run(
        "select", "ws", "--audit", 0.5, "--quota", 3, "--seed", 9, "--ratio", 2, "--ratio-rule", "all", code=0
    )
    assert err[:5] == [
        "da2k.yaml: selection.audit = 0.5 (was 0.0)",
        "da2k.yaml: selection.quota = 3 (was 2)",
        "da2k.yaml: seed = 9 (was 0)",
        "da2k.yaml: selection.ratio = 2.0 (was 3.0)",
        "da2k.yaml: selection.ratio_rule = all (was any)",
    ]
    assert "4 removed" in out[0]
    assert "lack readings that are up to date" in err[5]
    out, err = run("readings", "ws", "--only", "baseline:row")
    assert out == ["readings: baseline:row: 4 made again because what they depend on changed"]
    assert err == []
    out, err = run("readings", "ws", *EXPERTS[:4], "--expert", "baseline:haze")
    assert err == [
        "da2k.yaml: experts = baseline:row, baseline:centre, baseline:haze "
        "(was baseline:row, baseline:centre, baseline:haze, baseline:sharpness)"
    ]
    assert out[0] == "readings: baseline:row: 4 up to date"
    content = (made / "da2k.yaml").read_text()
    assert "# ours" in content
    assert "# pixels that the shorter side" in content
    settings = Settings.model_validate(YAML(typ="safe").load(content))
    assert (settings.keypoints.cells, settings.selection.quota, settings.seed) == (6, 3, 9)


def test_a_setting_that_cannot_work_is_not_written(run, made):
    before = (made / "da2k.yaml").read_bytes()
    for words, needle in [
        (["keypoints", "ws", "--sam", "vit_b", "--checkpoint", "no.pth"], "no.pth: the weights of SAM are not here"),
        (["keypoints", "ws", "--keypoints", "sam"], "da2k data fetch sam-vit-h"),
        (["readings", "ws", "--expert", "baseline:row", "--expert", "baseline:rwo"], 'did you mean "row"'),
        (["init", "ws", "photos", "--expert", "baseline:row", "--expert", "depth-anything-v9"], "unknown model"),
    ]:
        the_error(run(*words, code=1)[1], needle)
        assert (made / "da2k.yaml").read_bytes() == before
    (made.parent / "any.pth").write_bytes(b"no weights")
    _, err = run("keypoints", "ws", "--checkpoint", "any.pth", code=1)
    assert err[:2] == [
        "da2k.yaml: keypoints.method = sam (was grid)",
        "da2k.yaml: keypoints.sam.checkpoint = any.pth (was null)",
    ]


def test_a_file_beside_the_photographs_is_a_remark(run, photos):
    (photos / "indoor/notes.txt").write_text("where they were taken")
    out, err = run("init", "ws", "photos", "--min-side", 40, *EXPERTS)
    assert row(out, "total") == ["5", "5"]
    assert [line for line in err if "notes.txt" in line] == [err[-1]]
    assert err[-1].startswith("skipped: photos/indoor/notes.txt: not an image")


def test_the_help_tells_the_default_of_the_least_side(run):
    out = " ".join(" ".join(run("init", "--help")[0]).split())
    assert f"{Settings().images.min_side}, if not set" in out


def test_a_misspelt_scenario_of_the_settings_is_named(run, made):
    settings = (made / "da2k.yaml").read_text()
    (made / "da2k.yaml").write_text(settings.replace("  indoor: ", "  indoors: "))
    the_error(run("run", "ws", code=1)[1], '"indoors" is there: did you mean "indoor"?')


def test_status_as_json_and_as_a_picture(run, made, tmp_path):
    run("run", "ws")
    found = json.loads("\n".join(run("status", "ws", "--json")[0]))
    assert found["total"]["images"] == 5
    assert found["due"] == {}
    out, _ = run("status", "ws", "--plot", "f.png")
    assert out[-1] == "plot: f.png"
    told = [line for line in run("run", "ws")[0] if line.startswith("next: ")]
    assert [line for line in out if line.startswith("next: ")] == told
    assert any("queued pairs wait for people" in line for line in told)
    the_error(run("status", "ws", "--plot", "absent/f.png", code=1)[1], "there is no folder absent")
    assert not (tmp_path / "absent").exists()
    assert Image.open(tmp_path / "f.png").format == "PNG"
    run("keypoints", "ws", "--cells", 5)
    out, _ = run("status", "ws")
    assert "readings: baseline:row: 4 out of date" in out
    assert "next: da2k build run ws" in out


def test_what_was_refused_is_listed_and_the_exit_code_is_1(run, photos):
    for number in range(12):
        save(photos / f"indoor/small{number:02}.png", 20 + number, (30, 30))
    shutil.copy(photos / "indoor/a.png", photos / "object/same.png")
    out, err = run("init", "ws", "photos", "--min-side", 40, code=1)
    assert row(out, "indoor") == ["2", "2", "12", "0"]
    assert row(out, "object") == ["1", "1", "0", "1"]
    refused = [line for line in err if line.startswith("refused: ")]
    assert len(refused) == 11
    assert "small00.png: 30 x 30 pixels" in refused[0]
    assert refused[-1] == "refused: and 2 more"
    assert "duplicate: photos/object/same.png: the same bytes as images/indoor/a.png; not taken in" in err


def test_a_photograph_changed_after_its_readings_is_told_and_mended_by_init(run, made):
    run("run", "ws")
    save(made / "images/indoor/a.png", 99)
    out, err = run("run", "ws", code=1)
    assert out[0] == "keypoints: 3 up to date, 1 failed"
    assert err == [  # once, though every stage finds it
        "failed: ws/images/indoor/a.png: not the file that was taken in any more; put the old one back, or take the "
        "new one in with: da2k build init ws"
    ]
    out, err = run("init", "ws")
    assert "changed: images/indoor/a.png: taken in anew; its key points, readings and pairs are gone" in err
    out, err = run("run", "ws")
    assert out[0] == "keypoints: 1 made, 3 up to date"
    assert err == []


def test_a_missing_photograph_is_told_until_it_is_removed(run, made):
    run("run", "ws")
    (made / "images/indoor/a.png").unlink()
    (told,) = run("run", "ws", code=1)[1]
    assert told.startswith("failed: ws/images/indoor/a.png: No such file")
    assert told.endswith("or forget it with: da2k build init ws --remove-missing")
    _, err = run("init", "ws", code=1)
    assert err == ["gone: images/indoor/a.png: put it back, or forget it with --remove-missing"]
    run("init", "ws", "--remove-missing")
    assert run("run", "ws")[0][0] == "keypoints: 3 up to date"


SLOW = """
import os, time
import numpy as np

def make():
    def predict(pixels):
        with open(os.environ["CALLS"], "a") as log:
            log.write("x\\n")
        time.sleep(0.5)
        return pixels[..., 0].astype(np.float32)
    return predict
"""


def test_ctrl_c_stops_and_the_same_command_carries_on(run, start, photos, tmp_path, monkeypatch):
    for number in range(8):
        save(photos / f"indoor/more{number}.png", 30 + number)
    (tmp_path / "slow.py").write_text(SLOW)
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    slow = f"python:{tmp_path / 'slow.py'}:make kind=affine_disparity"
    run("init", "ws", "photos", "--min-side", 40, "--expert", slow, "--expert", "baseline:row")
    child = start("run", "ws")
    while child.poll() is None and (not calls.exists() or len(calls.read_text()) < 6):
        time.sleep(0.01)
    _, second = run("run", "ws", code=1)
    the_error(second, "another process works in this workspace")
    assert row(run("status", "ws")[0], "total")[0] == "13"
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "the same command carries on" in err
    before = len(calls.read_text()) // 2
    out, _ = run("run", "ws")
    assert "made, " in out[1]
    assert "up to date" in out[1]
    assert len(calls.read_text()) // 2 <= 12 + 2  # the one in flight, and no other, twice
    assert before < 12


def test_an_expert_that_fails_on_an_image_is_listed_and_tried_again_when_asked(run, photos, tmp_path):
    (tmp_path / "picky.py").write_text(
        "import numpy as np, os\n"
        "def make():\n"
        "    def predict(pixels):\n"
        "        if pixels[0, 0].tolist() == [1, 2, 3] and not os.path.exists('mended'): raise RuntimeError('no')\n"
        "        return pixels[..., 0].astype(np.float32)\n"
        "    return predict\n"
    )
    Image.new("RGB", (64, 48), (1, 2, 3)).save(photos / "indoor/bad.png")
    expert = f"python:{tmp_path / 'picky.py'}:make kind=affine_disparity"
    run("init", "ws", "photos", "--min-side", 40, "--expert", expert, "--expert", "baseline:row")
    out, err = run("run", "ws", code=1)
    assert out[1].endswith(" 4 made, 1 failed")
    (failed,) = [line for line in err if line.startswith("failed: ")]
    assert failed.startswith("failed: images/indoor/bad.png: RuntimeError: no")
    (tmp_path / "mended").touch()
    assert run("run", "ws", code=1)[0][1].endswith(" 4 up to date, 1 failed")
    assert run("run", "ws", "--retry")[0][1].endswith(" 1 made, 4 up to date")


def test_bad_input_is_one_line(run, photos, made, tmp_path):
    def fails(*words):
        out, err = run(*words, code=1)
        assert out == []
        return err

    (tmp_path / "empty").mkdir()
    the_error(fails("init", "new", "empty"), "empty: holds no photographs")
    the_error(fails("init", "new"), "holds no photographs", "PHOTOS")
    the_error(fails("init", "new", "photos/indoor/a.png"), "not a folder")
    (photos / "aerial").rename(photos / "areal")
    the_error(fails("init", "new", "photos"), 'no scenario is called "areal"; did you mean "aerial"?')
    the_error(fails("init", "ws", "photos"), 'no scenario is called "areal"')
    (photos / "areal").rename(photos / "aerial")
    the_error(fails("init", "new", "photos", "--expert", "baseline:row"), "experts: ", "at least 2")
    assert not (tmp_path / "new").exists()
    for stage in ("keypoints", "readings", "select", "run", "status"):
        the_error(fails(stage, "new"), "new/da2k.yaml: no such file", "da2k build init")
    the_error(fails("release", "ws", "out"), "ws: out of date", "da2k build run ws")
    the_error(fails("readings", "ws", "--only", "baseline:rwo"), "did you mean")
    the_error(fails("init", "ws", "photos", "--link", "--min-side", 40, "--scenario", "fog"), "no scenario is called")
    settings = (made / "da2k.yaml").read_text()
    for wrong, needle in [
        (settings + "selektion: {}\n", 'ws/da2k.yaml: selektion: unknown key; did you mean "selection"?'),
        (settings.replace("version: 1 ", "version: 2 "), "version: 2: this da2k reads version 1; use a newer da2k"),
        (
            settings.replace('  - {model: "baseline:row"}\n', "")
            .replace('  - {model: "baseline:centre"}\n', "")
            .replace('  - {model: "baseline:haze"}\n', ""),
            "ws/da2k.yaml: experts",
        ),
        (
            settings.replace("  indoor: {selection: automatic}\n", ""),
            'scenarios: "indoor" is not there, but 2 photographs',
        ),
    ]:
        assert wrong != settings
        (made / "da2k.yaml").write_text(wrong)
        the_error(fails("run", "ws"), needle)
    (made / "da2k.yaml").write_text(settings)
    run("run", "ws")


def test_a_state_that_cannot_be_used_is_one_line(run, made):
    state = made / "state.sqlite"
    with sqlite3.connect(state) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for words in (["run", "ws"], ["status", "ws"], ["init", "ws", "photos"]):
        the_error(run(*words, code=1)[1], "a workspace of version 99", "use a newer da2k")
    for left in made.glob("state.sqlite-*"):
        left.unlink()
    state.write_bytes(b"this is no database, but long enough to look like one" * 100)
    for words in (["run", "ws"], ["status", "ws"], ["init", "ws", "photos"]):
        the_error(run(*words, code=1)[1], "state.sqlite: file is not a database")
    state.unlink()
    the_error(run("run", "ws", code=1)[1], "nothing was taken in yet", "da2k build init ws")


@pytest.mark.parametrize(
    "words",
    [
        ["keypoints", "ws", "--keypoints", "dots"],
        ["keypoints", "ws", "--cells", "1"],
        ["keypoints", "ws", "--sam", "vit_x"],
        ["keypoints", "ws", "--keypoints", "grid", "--sam", "vit_b"],
        ["keypoints", "ws", "--keypoints", "grid", "--checkpoint", "any.pth"],
        ["select", "ws", "--audit", "2"],
        ["select", "ws", "--ratio", "0.5"],
        ["select", "ws", "--ratio-rule", "some"],
        ["readings", "ws", "--batch-size", "0"],
        ["run", "ws", "--batch-size", "many"],
        ["init", "ws", "photos", "--scenario", "fog=hand"],
        ["init", "ws", "photos", "--min-side", "0"],
        ["status", "ws", "--plot", "f.jpg"],
        ["release", "ws"],
        ["build", "ws"],
    ],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(run, words, tmp_path):
    run(*words, code=2)
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_an_expert_that_may_be_two_is_asked_about(run, made):
    text = (made / "da2k.yaml").read_text()
    assert "experts:" in text
    first, second = "baseline:row", "python:x.py:make"
    change_settings(
        made / "da2k.yaml",
        {
            "experts": [
                {"model": second, "options": {"N": "1"}},
                {"model": second, "options": {"N": "2"}},
                {"model": first},
            ]
        },
    )
    _, err = run("readings", "ws", "--expert", second, "--expert", first, code=1)
    the_error(err, "which one is meant?", "N=1", "N=2")
