"""KITTI's annotated depth: 16-bit PNGs, eleven LiDAR scans each (Uhrig et al. 2017, Sparsity Invariant CNNs).

A value is 256 times the metres, 0 is not measured (the depth devkit's readme). About a fifth of a frame is measured; a
single projected scan, as `velodyne_raw` holds it, measures a twentieth and gives other numbers.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from da2k.datasets.frame_formats import Fields, Format, OtherData, in_folders, look_into
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.truth_files import read_grey16, require_image_size
from da2k.images import Photo

LEAST_MEASURED = 0.08
"""The share of measured pixels below which a set is single LiDAR scans."""

_IMAGES = ("", "raw", "raw_data", "kitti_raw", "rgb", "input")
_TRUTHS = (
    "",
    "data_depth_annotated",
    "data_depth_annotated/train",
    "data_depth_annotated/val",
    "gts",
    "gt_depth",
    "depth",
    "train",
    "val",
)


def read_truth(truth: Path, image: Path) -> GroundTruth:
    """The measured depth of a frame.

    Raises:
        BadInput: a file is missing or damaged, or the sizes differ.
        OtherData: the PNG has 8 bits or colours.
    """
    values = read_grey16(truth, "1/256 m")
    require_image_size(values, truth, image)
    return GroundTruth(values * np.float32(1 / 256), values > 0)


def _places(row: Fields) -> Sequence[Fields]:
    return in_folders(row[0], _IMAGES), in_folders(row[1], _TRUTHS)


def _frame(row: Fields, files: tuple[Path, ...]) -> Frame:
    image, truth = files
    if any(name in str(truth) for name in ("velodyne_raw", "velodyne_points", "data_depth_velodyne")):
        raise OtherData(
            f"{truth}: is a raw LiDAR scan; the protocol's ground truth is the annotated one, "
            "<drive>/proj_depth/groundtruth/image_02 of data_depth_annotated.zip"
        )
    return Frame(row[0], files, partial(Photo.open, image, row[0]), partial(read_truth, truth, image))


def _inspect(frames: Sequence[Frame], own: bool) -> tuple[str, ...]:  # noqa: ARG001
    shares = look_into(frames, lambda frame: float(frame.read_truth().valid.mean()))
    if shares and median(shares) < LEAST_MEASURED:
        raise OtherData(
            f"{frames[0].files[1]}: looks like raw LiDAR: {median(shares):.1%} of the pixels are measured (median of "
            f"{len(shares)} frames), and in the annotated ground truth about 20%; get data_depth_annotated.zip"
        )
    return ()


ANNOTATED = Format(("image", "ground truth"), _places, _frame, spare=1, inspect=_inspect)
"""The annotated ground truth of the Eigen list; its third column is a focal length."""
