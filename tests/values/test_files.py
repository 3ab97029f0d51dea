"""Atomic writing, with real processes that really die."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from da2k.errors import BadInput
from da2k.files import home, load_yaml, sha256_file, user_path, write_atomically, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fails(f):
        f.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from da2k.files import write_atomically
        def half(f):
            f.write(b"x" * 100_000); f.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(Path({str(path)!r}), half)
    """)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_new_files_have_the_modes_the_umask_gives(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "x")
    current = os.umask(0)
    os.umask(current)
    assert path.stat().st_mode & 0o777 == 0o666 & ~current


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file/a\.txt: cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_digests_match_sha256sum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(BadInput, match="none"):
        sha256_file(tmp_path / "none")


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DA2K_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("DA2K_HOME")
    assert home().name == "da2k"


def test_a_path_of_nobody_is_one_line():
    with pytest.raises(BadInput, match=r"^~nobody-of-this-name/x: "):
        user_path("~nobody-of-this-name/x")
    assert user_path("~") == Path.home()
    assert user_path("a/b") == Path("a/b")


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x:\n  b: 1\n  c: 2\n  b: 3\n", '{"a": 1, a: 2}'])
def test_a_key_that_stands_twice_in_yaml_is_refused(text):
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        load_yaml(text)


def test_yaml_gives_what_the_plain_reader_gives():
    text = "a: [1, 2.5, x]\nb: {c: null, d: true}\ne: &n {k: 1}\nf: *n\n"
    assert load_yaml(text) == yaml.safe_load(text)
