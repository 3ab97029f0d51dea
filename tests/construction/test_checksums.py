import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.construction.release.checksums import read_sums, write_sums

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
