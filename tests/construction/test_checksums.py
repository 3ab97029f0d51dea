import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.release.checksums import SUMS, read_sums, strays, write_sums

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.dictionaries(NAMES, st.just("a" * 64)))
def test_checksums_are_read_as_they_were_written(digests):
    assert read_sums(write_sums(digests)) == digests


def test_checksums_of_odd_names_are_those_of_sha256sum(tmp_path):
    if not shutil.which("sha256sum"):
        pytest.skip("needs the command sha256sum")
    names = ["plain", "two words", "é", "#1", "line\nbreak", "carriage\rreturn", " leading", "*star"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    written = subprocess.run(["sha256sum", "--", *sorted(names)], cwd=tmp_path, capture_output=True, check=True).stdout
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert write_sums(dict.fromkeys(names, digest)) == written


def test_what_the_checksums_do_not_name_is_a_stray(tmp_path):
    for name in ("a/named", "a/other", "desktop.ini", "a/.DS_Store", "b/c/deep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / SUMS).write_bytes(write_sums({"a/named": "0" * 64}))
    assert strays(tmp_path) == ["a/other", "b/c/deep", "link"]
