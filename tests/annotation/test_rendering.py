"""The pictures of tasks as files: drawn once, from photographs decoded once, whole whatever happens."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from da2k import images as reading
from da2k.annotation import rendering
from da2k.annotation.pictures import draw_pair, encode
from da2k.annotation.rendering import render
from da2k.annotation.tasks import PairTask, PhotoTask
from da2k.construction.settings import FILE_NAME, Settings, write_settings
from da2k.construction.workspace import create_workspace
from da2k.errors import BadInput
from da2k.pairs import Point, pair_id

INDOOR, OUTDOOR, GLASS = "images/indoor/a.jpg", "images/outdoor/b.png", "images/transparent_reflective/c.jpg"
A, B, C = Point(5, 6), Point(60, 90), Point(20, 30)


def take_in(workspace, image, data):
    """Write a photograph's file and enter it, as intake does, whether or not it can be decoded."""
    path = workspace.folder / image
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    stat, sha256 = path.stat(), hashlib.sha256(data).hexdigest()
    row = (image, sha256, 70, 100, stat.st_size, stat.st_mtime_ns, "0" * 16)
    workspace.db.run("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    return sha256


def photo_bytes(seed, height=70, width=100, form="JPEG", **options):
    import io

    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def workspace(tmp_path):
    """Three photographs of 70 x 100 pixels."""
    folder = tmp_path / "ws"
    folder.mkdir()
    chosen = Settings.model_validate({"experts": [{"model": f"baseline:{cue}"} for cue in ("row", "centre")]})
    write_settings(folder / FILE_NAME, chosen)
    with create_workspace(folder, chosen) as workspace:
        for seed, image in enumerate((INDOOR, OUTDOOR, GLASS)):
            take_in(workspace, image, photo_bytes(seed, form="PNG" if image.endswith("png") else "JPEG"))
        yield workspace


@pytest.fixture
def decoded(monkeypatch):
    """Counts, by file, what is decoded."""
    seen = Counter()
    decode = reading.decode

    def counting(data, where):
        seen[Path(where).name] += 1
        return decode(data, where)

    monkeypatch.setattr(reading, "decode", counting)
    return seen


def sha_of(workspace, image):
    return {taken.image: taken.sha256 for taken in workspace.images()}[image]


def pair_task(workspace, image, a=A, b=B, swapped=False):
    return PairTask(pair_id(image, a, b), sha_of(workspace, image), swapped)


def tasks_of(workspace):
    """Two pairs of one photograph, one of another, two tasks on a third."""
    photo = sha_of(workspace, GLASS)
    return [
        pair_task(workspace, INDOOR),
        pair_task(workspace, OUTDOOR, swapped=True),
        PhotoTask(GLASS, photo, 1),
        pair_task(workspace, INDOOR, A, C),
        PhotoTask(GLASS, photo, 2),
    ]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_task_has_its_pictures_and_each_photo_is_decoded_once(workspace, tmp_path, decoded):
    tasks = tasks_of(workspace)
    done = render(workspace, tasks, tmp_path / "out")
    assert list(done.names) == [task.external_id for task in tasks]
    assert (done.failures, done.drawn) == ({}, 5)
    assert decoded == {"a.jpg": 1, "b.png": 1, "c.jpg": 1}
    named = [name for names in done.names.values() for name in names.all]
    assert len(named) == 11
    assert set(contents(tmp_path / "out")) == set(named)
    for task in tasks:
        names = done.names[task.external_id]
        assert Image.open(tmp_path / "out" / names.image).size == (100, 70)
        assert (names.strip_a is None) == (names.strip_b is None) == isinstance(task, PhotoTask)
        for strip in names.all[1:]:
            assert Image.open(tmp_path / "out" / strip).size == (960, 480)


def test_the_files_hold_what_is_drawn_of_the_tasks_points(workspace, tmp_path):
    straight, turned = pair_task(workspace, OUTDOOR), pair_task(workspace, OUTDOOR, swapped=True)
    pixels = np.asarray(Image.open(workspace.folder / OUTDOOR))
    for task, a, b in ((straight, A, B), (turned, B, A)):
        names = render(workspace, [task], tmp_path / "out").names[task.external_id]
        pictures = draw_pair(pixels, a, b)
        for name, picture in zip(names.all, (pictures.marked, pictures.strip_a, pictures.strip_b), strict=True):
            assert (tmp_path / "out" / name).read_bytes() == encode(picture)
        middle = np.asarray(Image.open(tmp_path / "out" / names.strip_a))[242, 722].astype(int)
        assert np.abs(middle - pixels[a]).max() < 40


def test_what_is_there_is_neither_drawn_nor_decoded_again(workspace, tmp_path, decoded):
    tasks = tasks_of(workspace)
    first = render(workspace, tasks, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    decoded.clear()
    told = []
    again = render(workspace, tasks, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert (again.names, again.drawn, told) == (first.names, 0, [])
    assert not decoded
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_only_what_is_missing_is_drawn(workspace, tmp_path, decoded):
    tasks = tasks_of(workspace)
    names = render(workspace, tasks, tmp_path / "out").names
    whole = contents(tmp_path / "out")
    kept = {name: (tmp_path / "out" / name).stat().st_ino for name in whole}
    gone = names[tasks[0].external_id].strip_b
    (tmp_path / "out" / gone).unlink()
    decoded.clear()
    assert render(workspace, tasks, tmp_path / "out").drawn == 1
    assert decoded == {"a.jpg": 1}
    assert contents(tmp_path / "out") == whole
    same = {name for name, inode in kept.items() if (tmp_path / "out" / name).stat().st_ino == inode}
    assert set(whole) - same <= {gone}


def test_two_tasks_on_one_photo_share_its_decoding_and_its_picture(workspace, tmp_path, decoded):
    tasks = [task for task in tasks_of(workspace) if isinstance(task, PhotoTask)]
    done = render(workspace, tasks, tmp_path / "out")
    assert len({names.image for names in done.names.values()}) == 1
    assert decoded == {"c.jpg": 1}
    assert done.drawn == 2


def test_the_same_tasks_give_the_same_files_anywhere(workspace, tmp_path):
    tasks = tasks_of(workspace)
    render(workspace, tasks, tmp_path / "one")
    render(workspace, tasks[::-1], tmp_path / "other")
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_names_tell_nothing_and_follow_photo_points_and_way_of_drawing(workspace, tmp_path, monkeypatch):
    one = pair_task(workspace, INDOOR)
    others = [pair_task(workspace, INDOOR, swapped=True), pair_task(workspace, INDOOR, A, C)]
    named = rendering.names_of(one).all
    for task in others:
        named += rendering.names_of(task).all
    take_in(workspace, INDOOR, photo_bytes(77))
    named += rendering.names_of(pair_task(workspace, INDOOR)).all
    monkeypatch.setattr(rendering, "VERSION", rendering.VERSION + 1)
    named += rendering.names_of(one).all
    assert len(set(named)) == len(named) == 15
    assert all(re.fullmatch(r"[0-9a-f]{32}\.jpg", name) for name in named)


def test_a_rotated_photo_is_shown_upright(workspace, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    take_in(workspace, GLASS, photo_bytes(9, exif=exif, quality=95))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(workspace.folder / GLASS))).astype(int)
    assert upright.shape == (100, 70, 3)
    a, b = Point(90, 10), Point(15, 60)
    tasks = [pair_task(workspace, GLASS, a, b, swapped=True), PhotoTask(GLASS, sha_of(workspace, GLASS), 1)]
    assert tasks[0].points == (a, b)
    done = render(workspace, tasks, tmp_path / "out")
    marked, strip_a, strip_b = (Image.open(tmp_path / "out" / n) for n in done.names[tasks[0].external_id].all)
    assert marked.size == (70, 100)
    for strip, point in ((strip_a, a), (strip_b, b)):
        assert np.abs(np.asarray(strip)[242, 722].astype(int) - upright[point]).max() < 40
    photo = Image.open(tmp_path / "out" / done.names[tasks[1].external_id].image)
    assert not photo.getexif()
    assert np.abs(np.asarray(photo).astype(int) - upright).mean() < 12


def test_progress_is_told_from_none_to_all_that_are_to_be_drawn(workspace, tmp_path):
    tasks = tasks_of(workspace)
    render(workspace, tasks[:1], tmp_path / "out")
    told = []
    render(workspace, tasks, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert told == sorted(set(told))
    assert len(told) == 4


def test_a_bad_photo_does_not_stop_the_others(workspace, tmp_path):
    take_in(workspace, INDOOR, photo_bytes(5)[:900])
    tasks = tasks_of(workspace)
    told = []
    done = render(workspace, tasks, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert list(done.failures) == [INDOOR]
    assert "cannot be decoded" in done.failures[INDOOR]
    assert str(workspace.folder / INDOOR) in done.failures[INDOOR]
    assert "\n" not in done.failures[INDOOR]
    assert list(done.names) == [task.external_id for task in tasks if task.image != INDOOR]
    assert done.drawn == 3
    assert told[-1] == (5, 5)


def test_changed_and_missing_photos_fail_with_what_to_do(workspace, tmp_path, decoded):
    tasks = tasks_of(workspace)
    render(workspace, tasks[:1], tmp_path / "out")
    decoded.clear()
    (workspace.folder / INDOOR).write_bytes(photo_bytes(99))
    (workspace.folder / OUTDOOR).unlink()
    done = render(workspace, tasks, tmp_path / "out")
    assert list(done.names) == [task.external_id for task in tasks if task.image == GLASS]
    assert list(done.failures) == [INDOOR, OUTDOOR]
    assert "not the file that was taken in" in done.failures[INDOOR]
    assert "da2k build init" in done.failures[OUTDOOR]
    assert decoded == {"c.jpg": 1}


def test_a_task_made_for_another_photo_of_that_name_fails(workspace, tmp_path):
    stale = pair_task(workspace, INDOOR)
    take_in(workspace, INDOOR, photo_bytes(42))
    done = render(workspace, [stale], tmp_path / "out")
    assert "not the photograph that the pairs were made for" in done.failures[INDOOR]
    assert not done.names
    assert not (tmp_path / "out").exists()


def test_a_pair_outside_its_photo_fails(workspace, tmp_path):
    good, bad = pair_task(workspace, OUTDOOR), pair_task(workspace, INDOOR, A, Point(70, 0))
    done = render(workspace, [good, bad], tmp_path / "out")
    assert list(done.names) == [good.external_id]
    assert "(70, 0) is not in the photograph" in done.failures[INDOOR]


def test_photos_do_not_pile_up_in_memory(workspace, tmp_path, monkeypatch):
    images = [f"images/indoor/{n}.jpg" for n in range(40)]
    for n, image in enumerate(images):
        take_in(workspace, image, photo_bytes(100 + n))
    alive, most = weakref.WeakSet(), []
    decode = reading.decode

    class Counted(np.ndarray):
        __hash__ = object.__hash__

    def counting(data, where):
        pixels = decode(data, where).view(Counted)
        alive.add(pixels)
        most.append(len(alive))
        return pixels

    monkeypatch.setattr(reading, "decode", counting)
    assert render(workspace, [pair_task(workspace, image) for image in images], tmp_path / "out").drawn == 40
    assert len(most) == 40
    assert max(most) <= 2 * min(8, os.cpu_count() or 1)


def test_ctrl_c_ends_it_and_the_next_call_goes_on(workspace, tmp_path):
    images = [f"images/indoor/{n}.jpg" for n in range(40)]
    for n, image in enumerate(images):
        take_in(workspace, image, photo_bytes(100 + n))
    tasks = [pair_task(workspace, image) for image in images]

    def interrupt(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(workspace, tasks, tmp_path / "out", interrupt)
    left = contents(tmp_path / "out")
    assert 9 <= len(left) < 120
    time.sleep(0.05)
    assert contents(tmp_path / "out") == left, "a thread went on drawing"
    render(workspace, tasks, tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    assert left.items() <= whole.items()
    assert render(workspace, tasks, tmp_path / "out").drawn < 40
    assert contents(tmp_path / "out") == whole


def test_ctrl_c_does_not_wait_for_all_pairs_of_a_photo(workspace, tmp_path):
    many = [pair_task(workspace, INDOOR, A, Point(row, 50)) for row in range(70)]
    assert render(workspace, [pair_task(workspace, OUTDOOR)], tmp_path / "out").drawn == 1

    def interrupt(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(workspace, [pair_task(workspace, GLASS), *many], tmp_path / "out", interrupt)
    assert len(contents(tmp_path / "out")) < 3 * 40


RUN = """
import resource, sys
from pathlib import Path
from da2k.annotation.rendering import render
from da2k.annotation.tasks import PairTask
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput

with open_workspace(Path(sys.argv[1]), read_only=True) as workspace:
    tasks = [PairTask(f"{t.image}#5,6-60,90", t.sha256, False) for t in workspace.images()]
    if len(sys.argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
    try:
        render(workspace, tasks, Path(sys.argv[2]))
    except BadInput as e:
        print(e)
        sys.exit(1)
"""


def test_a_killed_process_leaves_whole_pictures(workspace, tmp_path):
    for n in range(60):
        take_in(workspace, f"images/indoor/{n}.jpg", photo_bytes(100 + n))
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", RUN, str(workspace.folder), str(out)])
    while process.poll() is None and len(list(out.glob("*.jpg"))) < 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = {path.name: path.read_bytes() for path in out.glob("*.jpg")}
    assert 5 <= len(left) < 3 * 63
    subprocess.run([sys.executable, "-c", RUN, str(workspace.folder), str(tmp_path / "whole")], check=True)
    whole = contents(tmp_path / "whole")
    assert len(whole) == 3 * 63
    assert left.items() <= whole.items()


def test_a_disk_that_takes_no_more_is_told_and_leaves_no_part(workspace, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", RUN, str(workspace.folder), str(out), "30000"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert "cannot be written" in ended.stdout
    assert ended.stdout.count("\n") == 1
    for path in out.iterdir():
        assert path.suffix == ".jpg"
        Image.open(path).load()


def test_a_folder_that_is_a_file_is_told(workspace, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInput, match="out: Not a directory"):
        render(workspace, tasks_of(workspace), tmp_path / "out")


def test_a_workspace_opened_for_reading_will_do(workspace, tmp_path):
    process = subprocess.run([sys.executable, "-c", RUN, str(workspace.folder), str(tmp_path / "out")])
    assert process.returncode == 0
    assert len(contents(tmp_path / "out")) == 9


def test_nothing_to_draw_is_no_work(workspace, tmp_path):
    done = render(workspace, [], tmp_path / "out")
    assert (dict(done.names), dict(done.failures), done.drawn) == ({}, {}, 0)
    assert not (tmp_path / "out").exists()


def test_two_names_of_one_photo_each_have_its_pictures(workspace, tmp_path):
    images = [f"images/indoor/{n}.jpg" for n in range(8)]
    for image in images:
        take_in(workspace, image, photo_bytes(6))
    done = render(workspace, [pair_task(workspace, image) for image in images], tmp_path / "out")
    assert len(done.names) == 8
    assert len(set(done.names.values())) == 1
    assert set(contents(tmp_path / "out")) == set(done.names[pair_task(workspace, images[0]).external_id].all)
