"""NYU Depth v2 (Silberman et al. 2012) as BTS (Lee et al. 2019) laid it out, which most papers use.

`sync_depth_*.png` is what the Kinect measured, in mm, cut off and not rounded, 0 where it measured nothing; filled-in
depth is never read. Images are JPEGs whose border, outside rows 7 to 473 and columns 7 to 631, was made black.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frame_formats import Fields, Format, OtherData, in_folders, look_into
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.truth_files import read_grey16, require_image_size
from da2k.images import Photo

BRIGHTEST_BORDER = 32
"""The median of the border is 0 in BTS' JPEGs and 255 in the dataset's own images."""

_BORDER = 5
_FOLDERS = ("", "test", "official_splits/test", "nyu/official_splits/test", "nyu_depth_v2/official_splits/test")


def read_truth(truth: Path, image: Path) -> GroundTruth:
    """The measured depth of a frame.

    Raises:
        BadInput: a file is missing or damaged, or the sizes differ.
        OtherData: the PNG has 8 bits or colours, or was filled in.
    """
    values = read_grey16(truth, "1 mm")
    require_image_size(values, truth, image)
    return with_holes(GroundTruth(values.astype(np.float32) / np.float32(1000), values > 0), str(truth))


def with_holes(truth: GroundTruth, where: str) -> GroundTruth:
    """The same, when it is what a Kinect measured.

    Raises:
        OtherData: it has no hole, so it was filled in.
    """
    if truth.valid.all():
        raise OtherData(
            f"{where}: has no hole, so its depth was filled in; a Kinect leaves some in every frame, and only what it "
            "measured counts: rawDepths of the .mat, or sync_depth_*.png made from them"
        )
    return truth


def _places(row: Fields) -> Sequence[Fields]:
    return in_folders(row[0], _FOLDERS), in_folders(row[1], _FOLDERS)


def _frame(row: Fields, files: tuple[Path, ...]) -> Frame:
    image, truth = files
    return Frame(row[0], files, partial(Photo.open, image, row[0]), partial(read_truth, truth, image))


def _inspect(frames: Sequence[Frame], own: bool) -> tuple[str, ...]:
    look_into(frames, lambda frame: frame.read_truth())
    borders = look_into(frames, lambda frame: _border(frame.open_photo().pixels))
    if not borders or median(borders) <= BRIGHTEST_BORDER:
        return ()
    what = (
        f"the images' border is not black (median {median(borders):.0f} of 255): they are not the JPEGs of the BTS "
        "folder, on which published numbers rest"
    )
    if own:
        return (what,)
    raise OtherData(f"{frames[0].files[0]}: {what}; get those, or use a protocol that reads nyu_depth_v2_labeled.mat")


def _border(pixels: NDArray[np.uint8]) -> float:
    sides = (pixels[:_BORDER], pixels[-_BORDER:], pixels[:, :_BORDER], pixels[:, -_BORDER:])
    return float(np.median(np.concatenate([side.reshape(-1) for side in sides])))


BTS = Format(("image", "ground truth"), _places, _frame, spare=1, inspect=_inspect)
"""The BTS folder; the list's third column is a focal length."""
