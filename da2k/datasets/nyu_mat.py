"""NYU Depth v2 (Silberman et al. 2012) from the dataset's own file of 1449 labelled frames, MATLAB 7.3 (HDF5).

`rawDepths` is what the Kinect measured, in metres, 0 where it measured nothing; the filled-in `depths` is never read.
Images have a white border.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frame_formats import Fields, Format, in_folders, look_into
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.nyu import with_holes
from da2k.datasets.truth_files import positive
from da2k.errors import BadInput, MissingExtra
from da2k.images import Photo

MAT = "nyu_depth_v2_labeled.mat"
"""The dataset's own name of the file."""

_IMAGES, _DEPTHS = "images", "rawDepths"


def read_truth(mat: Path, index: int) -> GroundTruth:
    """The measured depth of a frame, counted from 0.

    Raises:
        BadInput: the file is damaged or has no such frame.
        OtherData: its depth was filled in.
        MissingExtra: h5py is not installed.
    """
    depth = np.ascontiguousarray(_stored(mat, _DEPTHS, index, 2).T, np.float32)
    return with_holes(GroundTruth(depth, positive(depth)), f"{mat}: {_DEPTHS}[{index}]")


def read_photo(mat: Path, index: int, name: str) -> Photo:
    """The image of a frame, counted from 0.

    Raises:
        BadInput: the file is damaged or has no such frame.
        MissingExtra: h5py is not installed.
    """
    pixels = _stored(mat, _IMAGES, index, 3)
    if pixels.dtype != np.uint8 or pixels.shape[0] != 3:
        raise BadInput(f"{mat}: {_IMAGES}[{index}] is {pixels.dtype} {list(pixels.shape)}, not uint8 [3, W, H]")
    return Photo.from_array(np.ascontiguousarray(pixels.transpose(2, 1, 0)), name)


def _stored(mat: Path, name: str, index: int, dimensions: int) -> NDArray[Any]:
    """One frame of an array in the file, as HDF5 has it: MATLAB's last axis comes first."""
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "dense") from None
    try:
        # A handle of its own for each call: many threads read frames.
        with h5py.File(mat, "r") as file:
            if name not in file:
                raise BadInput(f"{mat}: has no {name}; is it the labelled dataset, {MAT}?")
            stored = file[name]
            if stored.ndim != dimensions + 1 or index >= stored.shape[0]:
                raise BadInput(f"{mat}: {name} has shape {list(stored.shape)}, and its frame {index} is wanted")
            values: NDArray[Any] = stored[index]
    except BadInput:
        raise
    except Exception as e:  # HDF5's errors come as many types
        raise BadInput(f"{mat}: is no readable .mat file of version 7.3 ({' '.join(str(e).split())})") from None
    return values


def _places(row: Fields) -> Sequence[Fields]:  # noqa: ARG001
    return (in_folders(MAT, ("", "nyu_depth_v2")),)


def _index(row: Fields) -> int:
    number = re.search(r"rgb_(\d+)\.\w+$", row[0])
    if number is None:
        raise BadInput(f"{row[0]}: has no number; a list for the .mat names images rgb_<index in it, from 0>.jpg")
    return int(number[1])


def _key(row: Fields) -> str:
    return f"index {_index(row)} in the .mat"


def _frame(row: Fields, files: tuple[Path, ...]) -> Frame:
    (mat,), index = files, _index(row)
    return Frame(row[0], files, partial(read_photo, mat, index, row[0]), partial(read_truth, mat, index))


def _inspect(frames: Sequence[Frame], own: bool) -> tuple[str, ...]:  # noqa: ARG001
    look_into(frames, lambda frame: frame.read_truth())
    return ()


LABELLED = Format(
    ("image", "ground truth"),
    _places,
    _frame,
    _key,
    spare=1,
    inspect=_inspect,
    packed=True,
    notes=(f"images of {MAT}, with their white border; most papers use JPEGs with a black one",),
)
"""The labelled frames; the list is the BTS folder's, whose file names have the index in it, from 0."""
