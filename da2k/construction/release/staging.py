"""A folder that appears whole under its name or not at all, and never takes the place of somebody else's."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from da2k.datasets.disk import locked
from da2k.errors import BadInput
from da2k.files import sync

_GONE = "gone"
"""A former release that is being deleted; it is never put back."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new, empty folder beside `target` that `install` can put in its place; gone when the block ends.

    What a killed run left behind is removed first; if it was killed while `target` was being replaced, the former
    folder is put back. One process at a time.

    Raises:
        BadInput: another process is at it, or the folder beside cannot be written to.
    """
    with locked(target):
        place = _place(target)
        try:
            _recover(target, place)
            (place / "new").mkdir(parents=True)
        except OSError as e:
            raise BadInput(f"{target.parent}: cannot be written to ({e.strerror or e})") from None
        try:
            yield place / "new"
        finally:
            _recover(target, place)


def recover(target: Path) -> None:
    """Put right what a run that was killed left behind: as `staged` begins; nothing is made if nothing was left.

    Raises:
        BadInput, OSError: as `staged`.
    """
    if _place(target).exists():
        with locked(target):
            _recover(target, _place(target))


def install(target: Path) -> None:
    """Rename the staged folder to `target`; a folder that is there goes. Inside `staged`.

    A kill leaves the former folder or the new one; for an instant neither is under the name, which `recover` mends.

    Raises:
        OSError: a folder cannot be synced or renamed.
    """
    place = _place(target)
    for folder, _, _ in os.walk(place / "new"):
        sync(Path(folder))
    if target.exists():
        target.rename(place / "old")
    (place / "new").rename(target)
    sync(target.parent)


def _place(target: Path) -> Path:
    return target.with_name(f".{target.name}.da2k-release")


def _recover(target: Path, place: Path) -> None:
    """Leave nothing of an earlier run, but the former `target` if it was moved away and nothing took its place."""
    if not place.exists():
        return
    strangers = sorted({path.name for path in place.iterdir()} - {"new", "old", _GONE})
    if strangers:
        raise BadInput(f"{place}: holds {strangers[0]}, which is not da2k's; move it away")
    if (place / _GONE).exists():
        shutil.rmtree(place / _GONE)
    if (place / "old").is_dir():
        # Under another name before any of it is deleted: what is called "old" is whole and may be put back.
        (place / "old").rename(place / _GONE if target.exists() else target)
        sync(place)
    shutil.rmtree(place)
