"""Long work on files: one process at a time, with room for what it writes, telling how far it is."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from da2k.errors import BadInput

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


Progress = Callable[[int, int | None], None]
"""Called with the bytes there are, and with those there will be, where that is known."""


def silent(done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


def require_space(folder: Path, needed: int) -> None:
    """Check that so many bytes can be written into a folder.

    Raises:
        BadInput: fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise BadInput(f"{folder}: {needed:,} bytes are needed and {free:,} are free; make room or set DA2K_HOME")


@contextmanager
def locked(target: Path, wait: float = 0) -> Iterator[None]:
    """Hold the lock of `target`, the file `.<name>.lock` beside it, while the block runs.

    The operating system releases it when the holder ends, however it ends.

    Args:
        target: what only one process may work on; its folder is made.
        wait: seconds to wait for another holder.

    Raises:
        BadInput: another process holds the lock (the message says which), or the folder cannot be written to.
    """
    path = target.with_name(f".{target.name}.lock")
    until = time.monotonic() + wait
    while (file := _acquire(path)) is None:
        if time.monotonic() >= until:
            raise BadInput(f"{target}: {_holder(path)} is working on it; let it finish, then run this again")
        time.sleep(0.05)
    with file:
        try:
            yield
        finally:
            if sys.platform != "win32":
                path.unlink(missing_ok=True)


@contextmanager
def no_empty_folders(*folders: Path) -> Iterator[None]:
    """Where the block fails, remove what it made of these folders and of those above them and left empty."""
    made = {each for folder in folders for each in (folder, *folder.parents) if not each.exists()}
    try:
        yield
    except BaseException:
        for folder in sorted(made, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):  # it holds something, or was never made
                folder.rmdir()
        raise


def _acquire(path: Path) -> BinaryIO | None:
    """The open lock file, or None if another process has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as e:
        raise BadInput(f"{path.parent}: cannot be written to ({e.strerror or e})") from None
    if not _lock(file):
        file.close()
        return None
    if not _is_at(file, path):  # the former holder removed it in between: this lock guards nothing
        file.close()
        return _acquire(path)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
    file.flush()
    return file


def _lock(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            # Locked bytes cannot be read by others on Windows, so one far behind the holder's name is taken.
            file.seek(1 << 20)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    except OSError:
        return "another process"
