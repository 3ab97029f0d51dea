"""What a dataset's reader is: where the files of a frame may lie, how they become one, signs of other data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from da2k.datasets.frames import Frame
from da2k.errors import BadInput

Fields = tuple[str, ...]
"""The files of one frame as a row of a list names them, the image first: relative to the root, with /."""

SeenT = TypeVar("SeenT")


class OtherData(BadInput):
    """A file is sound, but of another kind of data than the reader is for."""


def _image(row: Fields) -> str:
    return row[0]


def _nothing(frames: Sequence[Frame], own: bool) -> tuple[str, ...]:  # noqa: ARG001
    return ()


@dataclass(frozen=True)
class Format:
    """How the files of a dataset become frames.

    Attributes:
        columns: what the files of a row are, such as ("image", "ground truth").
        places: for each file that a frame needs, the paths under the root where it may lie, in the order tried.
        frame: the frame of a row and of the files found for it. Raises OtherData where the paths say so.
        key: what no two rows of a list may share, since they would be one frame; for messages too.
        spare: how many more columns a row may have; they are not used (focal lengths).
        inspect: looks into a few frames of a set, which may be of the user's own list, for signs of other data; gives
            notes. Raises BadInput where the set must not be scored.
        packed: all frames lie in one file, which may be given in the place of the root.
        notes: what the reader of a number has to know of this variant.
    """

    columns: Fields
    places: Callable[[Fields], Sequence[Fields]]
    frame: Callable[[Fields, tuple[Path, ...]], Frame]
    key: Callable[[Fields], str] = _image
    spare: int = 0
    inspect: Callable[[Sequence[Frame], bool], tuple[str, ...]] = _nothing
    packed: bool = False
    notes: tuple[str, ...] = ()


def in_folders(path: str, folders: Sequence[str]) -> Fields:
    """The path in each of these folders, "" being the root itself.

    >>> in_folders("a.png", ["", "test"])
    ('a.png', 'test/a.png')
    """
    return tuple(f"{folder}/{path}" if folder else path for folder in folders)


def look_into(frames: Sequence[Frame], look: Callable[[Frame], SeenT]) -> list[SeenT]:
    """What `look` gives for each frame, without the damaged ones: their own reading will say so.

    Raises:
        OtherData: so are all that could be looked into.
    """
    seen: list[SeenT] = []
    other: OtherData | None = None
    for frame in frames:
        try:
            seen.append(look(frame))
        except OtherData as e:
            other = other or e
        except BadInput:
            continue
    if other is not None and not seen:
        raise other
    return seen
