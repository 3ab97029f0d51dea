import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import da2k
from da2k.construction.decisions import Answer
from da2k.construction.funnel import funnel
from da2k.construction.queue import record_answers, write_pairs
from da2k.construction.release import contents, make_release
from da2k.construction.release.checksums import read_sums
from da2k.construction.release.contents import ScenarioCount, gather
from da2k.construction.settings import ExpertSettings, change_settings
from da2k.construction.workspace import open_workspace
from da2k.datasets.benchmarks import open_photos
from da2k.datasets.da2k import read_benchmark
from da2k.datasets.disk import locked
from da2k.errors import BadInput, Da2kError
from tests.construction.conftest import BASELINES
from tests.construction.decided import (
    ANSWERS,
    AUDIT_RIGHT,
    AUDIT_WRONG,
    BAD,
    FOG,
    FOGGY,
    FULL,
    INDOOR,
    KEPT_1,
    KEPT_2,
    MANUAL,
    OBJECT,
    PAIRS,
    PEOPLE,
    PLAIN,
    RELEASED,
    SPLIT,
    UNSURE,
    decided_workspace,
    drawn,
    say,
    tree,
)

RELEASE = "from da2k.construction.release import make_release\nfrom da2k.construction.workspace import open_workspace\n"


@pytest.fixture
def workspace(make_workspace):
    return decided_workspace(make_workspace)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "releases" / "fog"


def release_elsewhere(folder, out, *, before="", options="", umask=0o022, **environment):
    """Make a release in another process; `before` runs first."""
    code = f"""
import os, signal, sys
from pathlib import Path
os.umask({umask})
{RELEASE}
{before}
with open_workspace(Path(sys.argv[1]), read_only=True) as workspace:
    make_release(workspace, Path(sys.argv[2]){options})
"""
    command = [sys.executable, "-c", code, str(folder), str(out)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def with_settings(workspace, **changed):
    """The workspace under other settings, of which its stages know nothing."""
    return replace(workspace, settings=workspace.settings.model_copy(update=changed))


def left_beside(out):
    """What lies beside a release and is hidden."""
    return [path.name for path in out.parent.iterdir() if path.name.startswith(".")]


# What is in it


def test_the_labels_are_the_official_format_to_the_letter(workspace, out):
    report = make_release(workspace, out)
    expected = {
        image: [
            {"point1": list(closer), "point2": list(farther), "closer_point": "point1"} for closer, farther in pairs
        ]
        for image, pairs in RELEASED.items()
    }
    written = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    assert written == expected
    assert list(written) == list(expected)
    assert (report.images, report.pairs, report.draft, report.unchanged) == (3, 4, False, False)
    assert report.left_out == {"audited": 2, "bad sample": 1, "cannot tell": 1, "people disagree": 1}
    assert report.scenarios == {
        "indoor": ScenarioCount(images=1, pairs=2, disputed=2, manual=0, unanimous=0),
        "adverse_style": ScenarioCount(images=1, pairs=1, disputed=1, manual=0, unanimous=0),
        "object": ScenarioCount(images=1, pairs=1, disputed=0, manual=1, unanimous=0),
    }


def test_the_photographs_of_its_pairs_are_in_it_and_no_others(workspace, out):
    make_release(workspace, out)
    photographs = {name: data for name, data in tree(out).items() if name.startswith("images/")}
    assert photographs == {image: (workspace.folder / image).read_bytes() for image in (INDOOR, FOG, OBJECT)}


def test_it_is_scored_at_once(workspace, out):
    report = make_release(workspace, out)
    result = da2k.evaluate("baseline:row", out).result
    right = sum(closer[0] > farther[0] for pairs in RELEASED.values() for closer, farther in pairs)
    level = sum(closer[0] == farther[0] for pairs in RELEASED.values() for closer, farther in pairs)
    assert (result.counts.total, result.counts.correct, result.counts.tied) == (4, right, level)
    assert result.benchmark.digest == report.labels
    assert result.failures == []
    assert not [photo for photo in open_photos(read_benchmark(out)).values() if isinstance(photo, BadInput)]


def test_a_row_a_released_pair_says_what_lies_behind_it(workspace, out):
    make_release(workspace, out)
    rows = pd.read_parquet(out / "provenance.parquet")
    assert list(rows["pair"]) == [KEPT_2.id, KEPT_1.id, FOGGY.id, MANUAL.id]
    one, other, foggy, manual = rows.to_dict("records")

    assert [vote["expert"] for vote in other["votes"]] == list(BASELINES)
    assert [vote["vote"] for vote in other["votes"]] == ["closer", "farther", "none", "closer"]
    assert (other["closer_row"], other["closer_col"], other["farther_row"], other["farther_col"]) == (1, 9, 7, 2)
    assert (other["experts_right"], other["difficulty"], other["ratio"]) == (2, 0.5, 3.5)
    assert (other["answers"], other["agree"], other["audited"], other["outcome"]) == (3, 3, False, "disputed")

    assert [vote["vote"] for vote in one["votes"]] == ["none", "farther", "farther", "closer"]
    assert (one["experts_right"], one["difficulty"], one["ratio"]) == (1, 0.75, float("inf"))
    assert (one["answers"], one["agree"]) == (4, 3)
    assert sorted(one["decided_by"]) == ["annotator-1", "annotator-2", "annotator-3", "annotator-4"]
    assert len(other["decided_by"]) == 3

    assert (foggy["experts_right"], foggy["difficulty"], foggy["scenario"]) == (0, 1.0, "adverse_style")

    assert (manual["outcome"], list(manual["votes"]), list(manual["decided_by"])) == ("manual", [], ["exact-depth"])
    assert all(np.isnan(manual[name]) for name in ("experts_right", "difficulty", "ratio"))
    assert (manual["closer_col"], manual["farther_col"], manual["answers"], manual["agree"]) == (3, 1, 1, 1)


def test_a_row_a_pair_that_is_left_out_says_why(workspace, out):
    make_release(workspace, out)
    rows = {row["pair"]: row for row in pd.read_parquet(out / "left-out.parquet").to_dict("records")}
    reasons = {BAD.id: "bad sample", UNSURE.id: "cannot tell", SPLIT.id: "people disagree"}
    reasons |= {AUDIT_RIGHT.id: "audited", AUDIT_WRONG.id: "audited"}
    assert {key: row["reason"] for key, row in rows.items()} == reasons
    assert [vote["vote"] for vote in rows[BAD.id]["votes"]] == ["point2", "point2", "point1", "none"]
    assert {key: row["closer"] for key, row in rows.items() if isinstance(row["closer"], str)} == {
        AUDIT_RIGHT.id: "point1",
        AUDIT_WRONG.id: "point1",
    }
    assert (rows[SPLIT.id]["answers"], rows[BAD.id]["row1"], rows[BAD.id]["col2"]) == (4, 2, 3)


def test_audited_pairs_are_released_if_the_settings_say_so(make_workspace, out):
    workspace = decided_workspace(make_workspace, release={**FULL, "audited": True})
    report = make_release(workspace, out)
    rows = pd.read_parquet(out / "provenance.parquet").set_index("pair")
    assert dict(rows.loc[[AUDIT_RIGHT.id, AUDIT_WRONG.id], "difficulty"]) == {AUDIT_RIGHT.id: 0.0, AUDIT_WRONG.id: 1.0}
    assert rows["audited"].sum() == 2
    assert "audited" not in report.left_out
    assert (out / PLAIN).is_file()
    assert "2 pairs are easy by construction" in (out / "README.md").read_text(encoding="utf-8")


def test_nothing_in_it_names_a_person_or_a_folder_of_the_machine(make_workspace, out, tmp_path):
    home = tmp_path / "home" / "ann"
    for folder, row in (("nets", 1), ("other", 2)):
        (home / folder).mkdir(parents=True)
        (home / folder / "a.py").write_text(
            f"def make(path=None):\n    return lambda pixels: pixels[..., {row}] + 1.0\n"
        )
    (home / "b").write_text("weights")
    kind = {"kind": "metric_depth"}
    experts = [{"model": f"python:{home}/nets/a.py:make", "options": kind}]
    experts += [{"model": f"python:{home}/nets/a.py:make", "options": {**kind, "path": f"{home}/b"}}]
    experts += [{"model": "baseline:row"}, {"model": f"python:{home}/other/a.py:make", "options": kind}]
    workspace = decided_workspace(make_workspace, experts=experts, release={**FULL, "creators": ("The fog group",)})
    make_release(workspace, out)
    everything = b"\n".join(data for name, data in tree(out).items() if not name.startswith("images/"))
    secrets = (*PEOPLE, "renderer", "/home", "ann/", str(tmp_path), "2026-01-0")
    assert [secret for secret in secrets if secret.encode() in everything and secret != "Cy"] == []
    votes = pd.read_parquet(out / "provenance.parquet")["votes"][0]
    named = "python:a.py:make kind=metric_depth"
    assert [vote["expert"] for vote in votes] == [named, f"{named} path=b", "baseline:row", f"{named} (2)"]


def test_checksums_are_those_of_every_file(workspace, out):
    report = make_release(workspace, out)
    names = set(tree(out)) - {"SHA256SUMS"}
    assert set(read_sums((out / "SHA256SUMS").read_bytes())) == names
    if not shutil.which("sha256sum"):
        pytest.skip("needs the command sha256sum")
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=True
    )
    assert checked.stdout.count(": OK") == len(names)
    whole = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=True)
    assert whole.stdout.split()[0] == report.digest


# What keeps it from being made


def test_pairs_that_lack_answers_or_checks_keep_it_from_being_made(make_workspace, out):
    more = [drawn(PLAIN, (0, col), (9, col)) for col in range(6)]
    answers = [*say(more[0], "point1"), *say(more[1], "point1", "point1"), *say(more[2], "point1", "point2", "point1")]
    workspace = decided_workspace(make_workspace, pairs=[*PAIRS, *more], answers=[*ANSWERS, *answers])
    with pytest.raises(BadInput) as refusal:
        make_release(workspace, out)
    said = str(refusal.value)
    assert "6 of 15 queued pairs" in said
    assert "3 have no answer, 2 lack checks, 1 need one more answer" in said
    assert "--draft" in said
    assert not out.exists()
    assert not out.parent.exists()

    report = make_release(workspace, out, draft=True)
    assert (report.pairs, report.draft) == (4, True)
    assert {name: report.left_out[name] for name in ("open", "unchecked", "dissent")} == {
        "open": 3,
        "unchecked": 2,
        "dissent": 1,
    }
    card, croissant = (out / "README.md").read_text(encoding="utf-8"), json.loads((out / "croissant.json").read_bytes())
    assert "**DRAFT.**" in card
    assert "without 6 pairs that people have not decided yet" in card
    assert yaml.safe_load(card.split("---\n")[1])["pretty_name"] == "fog-2k 1.2.0-draft"
    assert croissant["version"] == "1.2.0-draft"
    assert croissant["description"].startswith("DRAFT")
    assert set(pd.read_parquet(out / "left-out.parquet")["pair"]).isdisjoint(pair.id for pair in more)


def test_there_must_be_something_to_release(make_workspace, out):
    workspace = decided_workspace(make_workspace, answers=[])
    with pytest.raises(BadInput, match="no pair is decided yet"):
        make_release(workspace, out, draft=True)
    record_answers(workspace, [Answer(pair.id, "ann", "bad_sample") for pair in PAIRS])
    with pytest.raises(BadInput, match="none of the 9 decided pairs can be released"):
        make_release(workspace, out)


def test_a_photograph_that_has_changed_keeps_it_from_being_made(workspace, out):
    path = workspace.folder / INDOOR
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    with pytest.raises(BadInput, match=r"a room\.png: not the file that was taken in"):
        make_release(workspace, out)
    path.unlink()
    with pytest.raises(BadInput, match=r"a room\.png: No such file"):
        make_release(workspace, out)
    path.write_bytes(data)
    assert make_release(workspace, out).pairs == 4


@pytest.mark.parametrize("link", [False, True])
def test_a_photograph_with_other_bytes_and_the_same_stamp_is_not_released(workspace, out, link):
    path = workspace.folder / INDOOR
    stamp, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert workspace.changed_photos() == {}
    with pytest.raises(BadInput, match="not the file that was taken in"):
        make_release(workspace, out, link=link)
    assert not out.exists()
    assert left_beside(out) == []


def test_what_is_out_of_date_keeps_it_from_being_made(workspace, out):
    chosen = workspace.settings
    rule = chosen.selection.model_copy(update={"ratio": 2.0})
    for changed in ({"experts": chosen.experts[::-1]}, {"seed": 5}, {"selection": rule}):
        with pytest.raises(BadInput, match=r"out of date: 3 images, from \w+.*; run: da2k build run"):
            make_release(with_settings(workspace, **changed), out, draft=True)
    assert not out.parent.exists()


def test_an_expert_that_cannot_be_found_keeps_it_from_being_made(workspace, out):
    experts = (*workspace.settings.experts[:3], ExpertSettings(model="tflite:nowhere.tflite"))
    with pytest.raises(Da2kError, match=r"nowhere\.tflite"):
        make_release(with_settings(workspace, experts=experts), out, draft=True)


def test_all_that_it_says_is_of_one_time_whatever_another_process_does(workspace, out, monkeypatch):
    make_release(workspace, out.with_name("before"))
    real = contents._require_up_to_date

    def meanwhile(*given):
        real(*given)
        other = sqlite3.connect(workspace.folder / "state.sqlite")
        with other:
            other.execute("DELETE FROM pairs")
            other.execute("DELETE FROM answers")
            other.execute("DELETE FROM images")
        other.close()

    monkeypatch.setattr(contents, "_require_up_to_date", meanwhile)
    with open_workspace(workspace.folder, read_only=True) as reader:
        make_release(reader, out)
    assert tree(out) == tree(out.with_name("before"))
    assert workspace.images() == []


@pytest.mark.parametrize("audited", [False, True])
def test_it_holds_as_many_pairs_as_the_funnel_says(make_workspace, out, audited):
    workspace = decided_workspace(make_workspace, release={**FULL, "audited": audited})
    told = funnel(workspace).total
    report = make_release(workspace, out)
    assert (told.released, told.dropped) == (report.pairs, report.left_out)
    assert report.pairs == (6 if audited else 4)


def test_votes_of_other_experts_keep_it_from_being_made(workspace, out):
    with workspace.db.transaction():
        write_pairs(workspace, [drawn(PLAIN, (0, 0), (1, 1), votes=(1, 2, 1))])
    with pytest.raises(BadInput, match="not voted on by the 4 experts"):
        make_release(workspace, out, draft=True)


# The same twice


def test_it_is_the_same_to_the_byte_wherever_and_in_whatever_order_it_is_made(make_workspace, tmp_path):
    one = decided_workspace(make_workspace, name="one")
    other = decided_workspace(make_workspace, name="other", shuffle=3)
    plain = {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}
    elsewhere = {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "PYTHONUTF8": "1"}
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: red\nfont.size: 20\nsavefig.dpi: 33\n")
    elsewhere["MATPLOTLIBRC"] = str(tmp_path / "matplotlibrc")
    for workspace, out, umask, environment in ((one, "a", 0o022, plain), (other, "b", 0o077, elsewhere)):
        done = release_elsewhere(workspace.folder, tmp_path / out, umask=umask, **environment)
        assert done.returncode == 0, done.stderr
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name]] == []
    assert make_release(one, tmp_path / "c").digest == make_release(other, tmp_path / "b").digest


def test_the_date_is_that_of_the_settings_and_no_other(make_workspace, out):
    workspace = decided_workspace(make_workspace, release={**FULL, "date": None})
    make_release(workspace, out)
    everything = b"".join(data for name, data in tree(out).items() if not name.startswith("images/"))
    assert b"datePublished" not in everything
    assert b"2026-03-04" not in everything
    make_release(decided_workspace(make_workspace, name="dated"), out.with_name("dated"))
    assert json.loads((out.with_name("dated") / "croissant.json").read_bytes())["datePublished"] == "2026-03-04"


# Where it is put


def test_the_same_release_is_not_written_again(workspace, out):
    first = make_release(workspace, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = make_release(workspace, out, replace=True)
    assert (again.unchanged, again.digest) == (True, first.digest)
    assert "nothing was written" in again.notes[0]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == stamps
    assert left_beside(out) == []


def test_another_release_is_replaced_only_if_asked_for(workspace, out):
    make_release(workspace, out)
    before = tree(out)
    change_settings(workspace.folder / "da2k.yaml", {"release.version": "2.0.0"})
    with open_workspace(workspace.folder, read_only=True) as changed:
        with pytest.raises(BadInput, match=r"holds another release; .* --replace"):
            make_release(changed, out)
        assert tree(out) == before
        assert not make_release(changed, out, replace=True).unchanged
    assert json.loads((out / "croissant.json").read_bytes())["version"] == "2.0.0"
    assert left_beside(out) == []


@pytest.mark.parametrize("name", ["provenance.parquet", INDOOR])
def test_a_damaged_release_is_no_longer_the_same(workspace, out, name):
    make_release(workspace, out)
    before = tree(out)
    (out / name).write_bytes(b"damaged")
    with pytest.raises(BadInput, match="--replace"):
        make_release(workspace, out)
    make_release(workspace, out, replace=True)
    assert tree(out) == before


def test_a_release_with_something_else_in_it_is_not_replaced(workspace, out):
    make_release(workspace, out)
    before = tree(out)
    (out / "images" / "notes.txt").write_text("mine")
    change_settings(workspace.folder / "da2k.yaml", {"release.version": "2.0.0"})
    with open_workspace(workspace.folder, read_only=True) as changed:
        with pytest.raises(BadInput, match=r"images/notes\.txt is not of the release"):
            make_release(changed, out, replace=True)
        (out / "images" / "notes.txt").unlink()
        (out / "elsewhere").symlink_to(workspace.folder)
        with pytest.raises(BadInput, match="elsewhere is not of the release"):
            make_release(changed, out, replace=True)
        (out / "elsewhere").unlink()
        assert tree(out) == before
        (out / ".DS_Store").write_bytes(b"\0")
        make_release(changed, out, replace=True)
    assert not (out / ".DS_Store").exists()


def test_a_release_with_something_else_in_it_is_not_the_same(workspace, out):
    make_release(workspace, out)
    stray = out / "images" / "indoor" / "extra.png"
    stray.write_bytes(b"mine")
    for again in (False, True):
        with pytest.raises(BadInput, match=r"images/indoor/extra\.png is not of the release"):
            make_release(workspace, out, replace=again)
    assert stray.read_bytes() == b"mine"
    stray.unlink()
    (out / ".DS_Store").write_bytes(b"\0")
    assert make_release(workspace, out).unchanged


def test_it_is_not_put_among_the_photographs(workspace, tmp_path):
    (tmp_path / "link").symlink_to(workspace.folder / "images")
    before = tree(workspace.folder / "images")
    for inside in ("ws/images", "ws/images/rel", "ws/images/indoor/a/b", "link/rel", "ws/../ws/images/rel"):
        with pytest.raises(BadInput, match="among the photographs of the workspace"):
            make_release(workspace, tmp_path / inside, replace=True)
    assert tree(workspace.folder / "images") == before
    assert make_release(workspace, workspace.folder / "rel").pairs == 4


def test_nothing_but_a_release_is_ever_replaced(workspace, tmp_path):
    def refused(out, what):
        before = tree(out)
        for again in (False, True):
            with pytest.raises(BadInput, match=what):
                make_release(workspace, out, replace=again)
        # The database notes in its -shm file who reads it.
        changed = {name for name in before.keys() | tree(out).keys() if before.get(name) != tree(out).get(name)}
        assert not {name for name in changed if not name.endswith("-shm")}

    refused(workspace.folder, "no release of da2k")
    refused(tmp_path, "no release of da2k")
    file = tmp_path / "file"
    file.write_text("mine")
    refused(file, "is a file")
    foreign = tmp_path / "foreign"
    make_release(workspace, foreign)
    croissant = json.loads((foreign / "croissant.json").read_bytes())
    for changed in ({**croissant, "prov:wasGeneratedBy": {"prov:label": "somebody"}}, {"name": "theirs"}, []):
        (foreign / "croissant.json").write_text(json.dumps(changed))
        refused(foreign, "no release of da2k")


def test_an_empty_folder_and_a_link_to_one_will_do(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    make_release(workspace, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "empty" / "annotations.json").is_file()


def test_photographs_are_linked_if_asked_for(workspace, out):
    report = make_release(workspace, out, link=True)
    assert report.notes == ()
    assert all((out / image).samefile(workspace.folder / image) for image in RELEASED)
    copied = make_release(workspace, out.with_name("copied"))
    assert copied.digest == report.digest
    assert not (out.with_name("copied") / INDOOR).samefile(workspace.folder / INDOOR)


def test_photographs_on_another_device_are_copied_and_that_is_said(workspace, out, tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev or not os.access(other, os.W_OK):
        pytest.skip("needs a second file system, /dev/shm")
    out = other / f"da2k-test-{os.getpid()}" / "fog"
    try:
        report = make_release(workspace, out, link=True)
        assert "3 photographs were copied" in report.notes[0]
        assert (out / INDOOR).read_bytes() == (workspace.folder / INDOOR).read_bytes()
    finally:
        shutil.rmtree(out.parent)


# Ends of another kind


def kill_at(sync):
    """Code that has the process killed when it syncs a file or folder for the n-th time."""
    return f"""
import da2k.construction.release, da2k.construction.release.staging
real, left = os.fsync, [{sync}]
def fsync(descriptor):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
"""


def test_a_kill_leaves_nothing_under_the_name_or_all_of_it(workspace, out):
    make_release(workspace, out.with_name("whole"))
    whole = tree(out.with_name("whole"))
    kills = 0
    for sync in range(0, 100, 4):
        done = release_elsewhere(workspace.folder, out, before=kill_at(sync))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert not out.exists() or tree(out) == whole
        kills += 1
    assert kills >= 4
    assert tree(out) == whole
    assert left_beside(out) == []


def test_a_kill_while_replacing_leaves_the_one_or_the_other(workspace, out):
    make_release(workspace, out)
    old = tree(out)
    change_settings(workspace.folder / "da2k.yaml", {"release.version": "2.0.0"})
    with open_workspace(workspace.folder, read_only=True) as changed:
        make_release(changed, out.with_name("new"))
        new = tree(out.with_name("new"))
        for moves in (1, 2):  # killed right after the first and the second rename
            before = f"""
real, left = Path.rename, [{moves}]
def rename(self, target):
    done = real(self, target)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
Path.rename = rename
"""
            done = release_elsewhere(workspace.folder, out, before=before, options=", replace=True")
            assert done.returncode == -signal.SIGKILL
            assert out.exists() == (moves == 2)
            with pytest.raises(BadInput, match="out of date"):  # even a refusal brings the old one back
                make_release(with_settings(changed, seed=5), out)
            assert tree(out) == (old if moves == 1 else new)
            assert left_beside(out) == []


def test_a_former_release_that_is_half_deleted_is_never_put_back(workspace, out):
    make_release(workspace, out)
    change_settings(workspace.folder / "da2k.yaml", {"release.version": "2.0.0"})
    before = """
from da2k.construction.release import staging
real = staging.shutil.rmtree
def rmtree(path, *given, **more):
    for labels in Path(path).rglob("annotations.json"):
        labels.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, *given, **more)
staging.shutil.rmtree = rmtree
"""
    done = release_elsewhere(workspace.folder, out, before=before, options=", replace=True")
    assert done.returncode == -signal.SIGKILL
    published = out.with_name("published")
    out.rename(published)
    with open_workspace(workspace.folder, read_only=True) as changed:
        with pytest.raises(BadInput, match="out of date"):
            make_release(with_settings(changed, seed=5), out)
        assert not out.exists()
        assert left_beside(out) == []
        make_release(changed, out)
    assert tree(out) == tree(published)


def test_what_is_not_ours_beside_it_stays(workspace, out):
    stranger = out.parent / ".fog.da2k-release" / "diary.txt"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("mine")
    with pytest.raises(BadInput, match=r"holds diary\.txt"):
        make_release(workspace, out)
    assert stranger.read_text() == "mine"


def test_two_at_once_are_refused(workspace, out):
    with locked(out), pytest.raises(BadInput, match="is working on it"):
        make_release(workspace, out)


def test_a_disk_that_is_full_is_said_and_leaves_nothing(workspace, out):
    pytest.importorskip("resource")
    limit = max(path.stat().st_size for path in (workspace.folder / "images").rglob("*.png")) - 1
    before = f"""
import resource
from da2k.construction import release
real = release.gather
def gather(*given, **more):
    found = real(*given, **more)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    return found
release.gather = gather
"""
    done = release_elsewhere(workspace.folder, out, before=before)
    assert done.returncode == 1
    assert "BadInput" in done.stderr.splitlines()[-1]
    assert "cannot be written (File too large)" in done.stderr.splitlines()[-1]
    assert not out.exists()
    assert left_beside(out) == []


def test_a_folder_that_cannot_be_written_to_is_said(workspace, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        make_release(workspace, tmp_path / "file" / "fog")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write into any folder")
    with pytest.raises(BadInput, match="cannot be written"):
        make_release(workspace, closed / "fog")


def test_what_a_release_would_hold_is_known_without_writing_it(workspace):
    before = {path: path.stat().st_mtime_ns for path in workspace.folder.rglob("*")}
    held = gather(workspace)
    assert [each.pair.id for each in held.released] == [KEPT_2.id, KEPT_1.id, FOGGY.id, MANUAL.id]
    assert {path: path.stat().st_mtime_ns for path in workspace.folder.rglob("*")} == before
