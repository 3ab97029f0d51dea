"""Frames: images with measured depth, read one by one from a dataset's own files."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadInput
from da2k.images import Photo


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Measured depth.

    Attributes:
        depth: float32 [H, W], metres; larger = farther; any value where nothing was measured.
        valid: bool [H, W], where the dataset itself says that it measured: before range and crop of a protocol.
    """

    depth: NDArray[np.float32]
    valid: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.depth.shape
        return height, width


@dataclass(frozen=True, eq=False)
class Frame:
    """One image and its measured depth; nothing is read before it is asked for.

    Attributes:
        name: the image's path in the list, with /: what a predictions folder mirrors.
        files: the files that its content comes from: the image's first, or the one that holds all.
        open_photo: gives the image, named `name`. Raises BadInput if it is missing or damaged.
        read_truth: gives the measured depth, of the image's size. Raises BadInput if a file is missing, damaged, of
            another size, or not what the reader is for.
    """

    name: str
    files: tuple[Path, ...]
    open_photo: Callable[[], Photo]
    read_truth: Callable[[], GroundTruth]

    @property
    def stamp(self) -> str:
        """What changes when a file of the measured depth does: sizes and times. The image has a digest of its own."""
        files = [path.stat() for path in self.files[1:] or self.files if path.is_file()]
        return ",".join(f"{found.st_size}-{found.st_mtime_ns}" for found in files)


@dataclass(frozen=True, eq=False)
class FrameSet:
    """The frames of one dataset that a protocol scores.

    Attributes:
        dataset: such as `kitti` or `diode-indoor`.
        reader: how the files are read; see `da2k.protocols.dense.Reader`.
        root: the folder.
        frames: those to be scored, in the list's order.
        expected: how many the protocol demands.
        absent: names of the list of which a file is not here; scored are none of them (a partial copy).
        missing: these in words: the name, and which file is not here where that is not the image.
        list_digest: SHA-256 of the list's file.
        own_list: whether the list is the user's and not the protocol's.
        notes: what the reader of the number has to know.
    """

    dataset: str
    reader: str
    root: Path
    frames: tuple[Frame, ...]
    expected: int
    absent: tuple[str, ...]
    list_digest: str
    own_list: bool
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, count in Counter(frame.name for frame in self.frames).items():
            if count > 1:
                raise BadInput(f"{name}: is in the list {count} times; a frame counts once")

    @property
    def partial(self) -> bool:
        """Whether other frames are scored than the protocol demands."""
        return self.own_list or bool(self.absent)
