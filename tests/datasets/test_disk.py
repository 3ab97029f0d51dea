"""Locks between workers, and room on the disk."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from da2k.datasets.disk import locked, require_space
from da2k.errors import BadInput


def test_never_two_holders(tmp_path: Path) -> None:
    inside = threading.Semaphore(1)
    turns: list[int] = []

    def work(turn: int) -> None:
        while turn not in turns:
            with suppress(BadInput), locked(tmp_path / "thing"):
                assert inside.acquire(blocking=False), "two hold the lock at once"
                time.sleep(0.0005)
                turns.append(turn)
                inside.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(400)))

    assert sorted(turns) == list(range(400))
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_is_refused_and_freed_by_an_error(tmp_path: Path) -> None:
    target = tmp_path / "new" / "thing"
    with suppress(KeyError), locked(target):
        with pytest.raises(BadInput, match=r"thing: process \d+ on .+ is working on it; let it finish"), locked(target):
            pass
        raise KeyError
    with locked(target):
        assert len(list(target.parent.iterdir())) == 1
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file: cannot be written to \("), locked(tmp_path / "file" / "thing"):
        pass


def test_room(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(BadInput, match=r"bytes are needed and [0-9,]+ are free; make room or set DA2K_HOME"):
        require_space(tmp_path, 10**18)
