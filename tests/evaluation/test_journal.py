"""The journal of a run: what it keeps, and when it starts again."""

import numpy as np
import pytest

from da2k.errors import BadInput
from da2k.evaluation.journal import Journal


def test_finished_images_are_there_after_opening_again(tmp_path):
    with Journal(tmp_path / "j", "work") as journal:
        journal.add("a.png", "digest", "affine_depth", np.array([1.5, np.nan, np.inf]))
        assert journal.digest("b.png") is None
    with Journal(tmp_path / "j", "work") as journal:
        assert journal.digest("a.png") == "digest"
        kind, values = journal.values("a.png")
        assert kind == "affine_depth"
        assert np.array_equal(values, [1.5, np.nan, np.inf], equal_nan=True)


def test_other_work_starts_empty(tmp_path):
    with Journal(tmp_path / "j", "work") as journal:
        journal.add("a.png", "digest", "affine_depth", np.zeros(2))
    with Journal(tmp_path / "j", "other work") as journal:
        assert journal.digest("a.png") is None


def test_finishing_leaves_no_file(tmp_path):
    with Journal(tmp_path / "j", "work") as journal:
        journal.add("a.png", "digest", "affine_depth", np.zeros(2))
        journal.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is somebody's file" * 99, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_journal_is_named_and_kept(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(BadInput, match="/j: progress cannot be kept here"):
        Journal(tmp_path / "j", "work")
    assert (tmp_path / "j").read_bytes() == content


def test_two_runs_on_one_file_do_not_take_over_each_others_values(tmp_path):
    with Journal(tmp_path / "j", "one") as one:
        with Journal(tmp_path / "j", "two"):
            one.add("a.png", "digest", "affine_depth", np.zeros(2))
        with Journal(tmp_path / "j", "two") as two:
            assert two.digest("a.png") is None


def test_damage_that_shows_while_reading_is_told(tmp_path):
    with Journal(tmp_path / "j", "work") as journal:
        for index in range(400):
            journal.add(f"{index}.png", "digest" * 9, "affine_depth", np.zeros(20))
    content = bytearray((tmp_path / "j").read_bytes())
    content[4096 * 2 : -4096] = b"\xff" * (len(content) - 4096 * 3)
    (tmp_path / "j").write_bytes(content)

    def read_all():
        with Journal(tmp_path / "j", "work") as journal:
            return [journal.digest(f"{index}.png") for index in range(400)]

    with pytest.raises(BadInput, match="progress cannot be kept here"):
        read_all()
