"""DIODE's validation set (Vasiljevic et al. 2019): a PNG, `_depth.npy` in metres, `_depth_mask.npy` with 1 = measured.

Depth is float32 [H, W, 1] and the mask [H, W] in the archive; either may have or lack the last axis. Where the mask is
0 the depth is often a number all the same, so a frame without its mask is not read.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frame_formats import Fields, Format, in_folders
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.truth_files import read_npy, require_image_size
from da2k.errors import BadInput
from da2k.images import Photo

_FOLDERS = ("", "val", "diode_val", "diode/val")


def read_truth(truth: Path, mask: Path, image: Path) -> GroundTruth:
    """The measured depth of a frame.

    Raises:
        BadInput: a file is missing or damaged, the shapes differ, or the mask has other values than 0 and 1.
    """
    depth, measured = _plane(truth), _plane(mask)
    require_image_size(depth, truth, image)
    require_image_size(measured, mask, image)
    valid = measured == 1
    if not (valid | (measured == 0)).all():
        raise BadInput(f"{mask}: has values other than 0 and 1; a mask says which pixels were measured")
    return GroundTruth(depth.astype(np.float32, copy=False), valid)


def _plane(path: Path) -> NDArray[np.generic]:
    """The array without its last axis of length 1."""
    values = read_npy(path)
    plane = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if plane.ndim != 2:
        raise BadInput(f"{path}: has shape {list(values.shape)}; [H, W] or [H, W, 1] is read")
    return plane


def _places(row: Fields) -> Sequence[Fields]:
    return [in_folders(path, _FOLDERS) for path in row]


def _frame(row: Fields, files: tuple[Path, ...]) -> Frame:
    image, truth, mask = files
    return Frame(row[0], files, partial(Photo.open, image, row[0]), partial(read_truth, truth, mask, image))


VALIDATION = Format(("image", "depth", "mask"), _places, _frame)
"""The validation set; rows begin with indoors/ or outdoor/."""
