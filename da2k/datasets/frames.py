"""Frames: images with measured depth, read one by one from a dataset's own files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, eq=False)
class FrameSet:
    """The frames of one dataset that a protocol scores.

    Attributes:
        dataset: such as `kitti` or `diode-indoor`.
        reader: how the files are read; see `da2k.protocols.dense.Reader`.
        root: the folder.
        frames: those to be scored, in the list's order.
        expected: how many the protocol demands.
        absent: names of the list whose files are not here; scored are none of them (a partial copy).
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

    @property
    def partial(self) -> bool:
        """Whether other frames are scored than the protocol demands."""
        return self.own_list or bool(self.absent)

    @cached_property
    def stamps(self) -> list[Any]:
        """What changes when measured depth changes: names, sizes and times of its files. Images have digests."""
        files = dict.fromkeys(path for frame in self.frames for path in frame.files[1:] or frame.files)
        stats = ((path.name, path.stat()) for path in files if path.is_file())
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
