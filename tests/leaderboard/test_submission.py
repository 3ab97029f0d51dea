"""What a submission is: a folder, a zip of one, a result file; opened without trust and without a trace."""

import tempfile
import zipfile
from pathlib import Path

import pytest

from da2k.errors import BadInput
from da2k.leaderboard.submissions.opening import open_submission
from tests.leaderboard.submissions import pack, write_maps


@pytest.fixture
def maps(make_benchmark, tmp_path):
    return write_maps(tmp_path / "maps", make_benchmark())


def contents(submission):
    return {file: (submission.maps / file).read_bytes() for file in submission.files}


@pytest.mark.parametrize("top", ["", "my maps/"])
def test_a_zip_holds_what_the_folder_holds(maps, tmp_path, top):
    with open_submission(maps) as folder, open_submission(pack(maps, tmp_path / "a.zip", top)) as zipped:
        assert contents(folder) == contents(zipped)
        assert len(folder.files) == 1 + 4
        assert not folder.problems
        assert not zipped.problems


def test_clutter_of_macos_and_the_zips_ending_do_not_matter(maps, tmp_path):
    archive = pack(maps, tmp_path / "submission.bin", "maps/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/maps/._predictions.yaml", b"x")
        file.writestr("maps/.DS_Store", b"x")
    (maps / ".DS_Store").write_bytes(b"x")
    with open_submission(maps) as folder, open_submission(archive) as zipped:
        assert folder.files == zipped.files
        assert not zipped.problems
        assert not folder.problems


def test_nothing_is_left_of_an_unpacked_zip(maps, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with open_submission(pack(maps, tmp_path / "a.zip")) as zipped:
        assert zipped.maps.is_relative_to(tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())


def test_a_result_file_is_known_by_its_content_or_its_ending(tmp_path):
    for name, content in (("a.json", "no json"), ("b", "  {}")):
        (tmp_path / name).write_text(content)
        with open_submission(tmp_path / name) as found:
            assert found.result == tmp_path / name
            assert found.maps is None


def test_anything_else_is_told(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"x" * 600)
    with open_submission(tmp_path / "a.tar") as found:
        (problem,) = found.problems
        assert "neither a folder of predictions, nor a zip of one, nor a result file" in str(problem)
        assert found.maps is found.result is None


def test_a_path_where_nothing_is(tmp_path):
    with pytest.raises(BadInput, match=r"gone: No such file"), open_submission(tmp_path / "gone"):
        pass


def test_links_and_devices_in_a_folder_are_told_and_not_listed(maps, tmp_path):
    import os

    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.npy").write_bytes(b"secret")
    (maps / "linked.npy").symlink_to(secret / "x.npy")
    (maps / "folder").symlink_to(secret)
    os.mkfifo(maps / "pipe.npy")
    with open_submission(maps) as found:
        assert {(p.file, p.what) for p in found.problems} == {
            ("linked.npy", "is a link"),
            ("folder", "is a link"),
            ("pipe.npy", "is a device or another special file"),
        }
        assert not [file for file in found.files if "linked" in file or "folder" in file or "pipe" in file]


def test_no_room_to_unpack(maps, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("da2k.leaderboard.submissions.opening.shutil.disk_usage", lambda _: usage(1, 1, 0))
    with pytest.raises(BadInput, match="set TMPDIR to a larger disk"), open_submission(pack(maps, Path(tmp_path, "a"))):
        pass
