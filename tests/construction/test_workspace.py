import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from da2k.construction.database import MIGRATIONS, Database
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput
from tests.construction.conftest import register

PHOTOS = {"images/indoor/a.png": (30, 40), "images/object/b.png": (20, 50)}


def test_a_workspace_gives_its_photographs(make_workspace):
    workspace = make_workspace(PHOTOS)
    assert [(image.image, image.size, image.scenario) for image in workspace.images()] == [
        ("images/indoor/a.png", (30, 40), "indoor"),
        ("images/object/b.png", (20, 50), "object"),
    ]
    assert workspace.photo("images/indoor/a.png").pixels.shape == (30, 40, 3)
    assert workspace.changed_photos() == {}


def test_a_touched_photograph_is_the_same_and_a_changed_or_missing_one_is_told(make_workspace):
    workspace = make_workspace(PHOTOS)
    a, b = (workspace.folder / image for image in PHOTOS)
    os.utime(a, (1, 1))
    assert workspace.changed_photos() == {}
    a.write_bytes(b.read_bytes())
    b.unlink()
    problems = workspace.changed_photos()
    assert "not the file that was taken in" in problems["images/indoor/a.png"]
    assert "No such file" in problems["images/object/b.png"]
    assert all("da2k build init" in problem for problem in problems.values())
    register(workspace, "images/indoor/a.png", (20, 50))
    assert list(workspace.changed_photos()) == ["images/object/b.png"]


def test_a_file_s_digest_follows_its_content(make_workspace, tmp_path):
    import hashlib

    workspace, weights = make_workspace({}), tmp_path / "weights"
    for content in (b"one", b"three"):
        weights.write_bytes(content)
        for _ in range(2):
            assert workspace.file_digest(weights) == hashlib.sha256(content).hexdigest()
    with pytest.raises(BadInput, match="No such file"):
        workspace.file_digest(tmp_path / "absent")
    weights.unlink()
    assert workspace.file_digest(weights) == hashlib.sha256(b"three").hexdigest()


def test_reading_needs_no_lock_and_writing_is_for_one(make_workspace):
    workspace = make_workspace(PHOTOS)
    with open_workspace(workspace.folder, read_only=True) as reader:
        assert len(reader.images()) == 2
        with pytest.raises(BadInput, match=r"readonly|read-only|opened for writing"):
            reader.db.run("DELETE FROM images")
    code = (
        "import sys; from pathlib import Path\n"
        "from da2k.construction.workspace import open_workspace\n"
        "from da2k.errors import BadInput\n"
        "try:\n    open_workspace(Path(sys.argv[1])).__enter__()\nexcept BadInput as e: print(e)\nelse: print('opened')"
    )

    def second() -> str:
        command = [sys.executable, "-c", code, str(workspace.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "another process works in this workspace" in second()


def test_the_lock_goes_with_a_killed_process(make_workspace):
    folder = make_workspace(PHOTOS).folder
    copy = folder.with_name("copy")
    subprocess.run(["cp", "-r", folder, copy], check=True)
    code = (
        "import sys, time; from pathlib import Path; from da2k.construction.workspace import open_workspace\n"
        "held = open_workspace(Path(sys.argv[1])); held.__enter__(); print('in', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(copy)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "in\n"
    with pytest.raises(BadInput, match="another process"), open_workspace(copy):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with open_workspace(copy) as workspace:
        assert len(workspace.images()) == 2


def test_a_folder_without_state_says_what_to_do(tmp_path):
    (tmp_path / "da2k.yaml").write_text("seed: 1\n")
    with pytest.raises(BadInput, match="da2k build init"), open_workspace(tmp_path):
        pass


def test_a_newer_workspace_is_refused(make_workspace):
    folder = make_workspace({}).folder
    db = sqlite3.connect(folder / "state.sqlite")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    for read_only in (True, False):
        with pytest.raises(BadInput, match="use a newer da2k"):
            Database(folder / "state.sqlite", read_only=read_only)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "state.sqlite").write_text("this is text, and long enough to be looked at as a header" * 20)
    with pytest.raises(BadInput, match="not a database"):
        Database(tmp_path / "state.sqlite")


def test_a_transaction_is_whole_or_nothing(tmp_path):
    db = Database(tmp_path / "state.sqlite")
    row = "INSERT INTO work VALUES ('s', 'i', 'k', NULL)"

    def interrupted() -> None:
        with db.transaction():
            db.run(row)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert db.run("SELECT * FROM work") == []
    with db.transaction():
        db.run(row)
    db.close()
    assert len(Database(tmp_path / "state.sqlite").run("SELECT * FROM work")) == 1


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path):
    db = Database(tmp_path / "state.sqlite")
    with db.transaction():
        db.run("INSERT INTO work VALUES ('s', 'i', 'k', NULL)")
    pages = db.run("PRAGMA page_count")[0][0]
    db.run(f"PRAGMA max_page_count = {pages + 2}")

    def fill() -> None:
        with db.transaction():
            db.run_many("INSERT INTO work VALUES ('s', ?, ?, NULL)", ((str(n), "k" * 200) for n in range(1000)))

    with pytest.raises(BadInput, match="disk is full"):
        fill()
    assert db.run("SELECT image FROM work") == [("i",)]


def test_a_database_belongs_to_the_thread_that_opened_it(tmp_path):
    db, errors = Database(tmp_path / "state.sqlite"), []

    def use() -> None:
        try:
            db.run("SELECT 1")
        except BadInput as e:
            errors.append(str(e))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors


def test_a_workspace_on_a_read_only_medium_can_be_read(make_workspace):
    """The child gives up its rights, so that the folder is read-only for it; SQLite then has no shared file."""
    workspace = make_workspace(PHOTOS)
    workspace.db.run("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = Path(mkdtemp(prefix="da2k-test-"))  # others may not enter pytest's own folders
    for name in ("da2k.yaml", "state.sqlite"):
        (copy / name).write_bytes((workspace.folder / name).read_bytes())
        (copy / name).chmod(0o444)
    code = (
        "import os, sys; from pathlib import Path; from da2k.construction.workspace import open_workspace\n"
        "import yaml, ruamel.yaml, PIL.Image\n"
        "os.chmod(sys.argv[1], 0o555); os.getuid() or os.setuid(65534)\n"
        "with open_workspace(Path(sys.argv[1]), read_only=True) as opened:\n"
        "    print(len(opened.images()), opened.file_digest(Path(sys.argv[1]) / 'da2k.yaml')[:4])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True)
    copy.chmod(0o755)
    left = sorted(p.name for p in copy.iterdir())
    rmtree(copy)
    assert done.stdout.startswith("2 "), done.stderr
    assert left == ["da2k.yaml", "state.sqlite"]


FIRST_ANSWERS = [
    ("images/indoor/a.png#0,0-1,1", "ann", "f0", "point1", "person", 2.5, "2026-01-01T08:00:00Z"),
    ("images/indoor/a.png#0,0-1,1", "bob", "f0", "cannot_tell", "person", None, None),
    ("images/indoor/a.png#0,0-1,1", "ann", "f1", "point2", "person", 1.0, None),
    ("images/object/b.png#0,0-1,1", "renderer", "f0", "point2", "exact", None, None),
]


def first_version(path):
    """A database as the first version left it, with answers in it."""
    db = sqlite3.connect(path)
    db.executescript(MIGRATIONS[0])
    db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", FIRST_ANSWERS)
    db.execute("INSERT INTO work VALUES ('s', 'i', 'k', NULL)")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def schema(path):
    db = sqlite3.connect(path)
    found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    db.close()
    return found


def test_a_workspace_of_the_first_version_keeps_its_answers(tmp_path):
    first_version(tmp_path / "state.sqlite")
    for _ in range(2):
        db = Database(tmp_path / "state.sqlite")
        columns = "pair, person, photo, says, source, seconds, given"
        assert sorted(db.run(f"SELECT {columns} FROM answers"), key=str) == sorted(FIRST_ANSWERS, key=str)
        assert db.run("SELECT DISTINCT origin FROM answers") == [("python",)]
        assert db.run("SELECT stage FROM work") == [("s",)]
        assert db.run("PRAGMA user_version") == [(len(MIGRATIONS),)]
        db.close()
    Database(tmp_path / "new.sqlite").close()
    assert schema(tmp_path / "state.sqlite") == schema(tmp_path / "new.sqlite")


def test_a_workspace_of_the_first_version_is_not_changed_by_looking_at_it(tmp_path):
    first_version(tmp_path / "state.sqlite")
    before = schema(tmp_path / "state.sqlite")
    with pytest.raises(BadInput, match="da2k build init"):
        Database(tmp_path / "state.sqlite", read_only=True)
    assert schema(tmp_path / "state.sqlite") == before


def test_a_migration_that_fails_halfway_leaves_the_workspace_as_it_was(tmp_path):
    first_version(tmp_path / "state.sqlite")
    db = sqlite3.connect(tmp_path / "state.sqlite")
    db.execute("CREATE TABLE people (in_the_way TEXT)")
    db.commit()
    db.close()
    before = schema(tmp_path / "state.sqlite")
    with pytest.raises(BadInput, match="people"):
        Database(tmp_path / "state.sqlite")
    assert schema(tmp_path / "state.sqlite") == before
    db = sqlite3.connect(tmp_path / "state.sqlite")
    assert db.execute("SELECT count(*) FROM answers").fetchone() == (len(FIRST_ANSWERS),)
    db.execute("DROP TABLE people")
    db.commit()
    db.close()
    Database(tmp_path / "state.sqlite").close()


def test_answers_of_the_first_version_count_and_an_answer_pulled_later_stands_beside_them(make_workspace):
    from da2k.construction.decisions import Answer
    from da2k.construction.queue import read_answers, record_answers

    folder = make_workspace(PHOTOS).folder
    old = folder.with_name("old")
    old.mkdir()
    for name in ("da2k.yaml", "images"):
        (old / name).symlink_to(folder / name)
    first_version(old / "state.sqlite")
    with open_workspace(old) as workspace:
        for image, size in PHOTOS.items():
            register(workspace, image, size)
        (shown,) = workspace.db.run("SELECT sha256 FROM images WHERE image = 'images/indoor/a.png'")
        workspace.db.run("UPDATE answers SET photo = ? WHERE photo = 'f0'", shown[0])
        pair = FIRST_ANSWERS[0][0]
        record_answers(workspace, [Answer(pair, "cy", "point1")], origin="label-studio")
        record_answers(workspace, [Answer(pair, "dee", "point1")], origin="label-studio")
        assert [(a.person, a.says) for a in read_answers(workspace)[pair]] == [
            ("ann", "point1"),
            ("bob", "cannot_tell"),
            ("dee", "point1"),
        ]
