"""ETH3D's DSLR images with rendered laser scans (Schöps et al. 2017), as they left the camera.

Ground truth is little-endian float32 metres without a header, row by row, infinite where nothing was measured, in a
file named like its image (eth3d.net, Documentation). It fits the distorted JPEGs only: the undistorted ones have
another camera, and another size.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from da2k.datasets.frame_formats import Fields, Format, OtherData, in_folders, look_into
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.truth_files import positive, read_float32
from da2k.errors import BadInput
from da2k.images import Photo, image_size

_ORIENTATION_TAG = 0x0112
_FOLDERS = ("", "rgb", "depth", "training", "multi_view_training_dslr_jpg", "multi_view_training_dslr_depth")


def read_truth(truth: Path, image: Path) -> GroundTruth:
    """The measured depth of a frame.

    Raises:
        BadInput: a file is missing or damaged.
        OtherData: the image has another number of pixels than the ground truth.
    """
    depth = read_float32(truth, _truth_size(truth, image))
    return GroundTruth(depth, positive(depth))


def open_photo(image: Path, name: str) -> Photo:
    """The image as the camera's sensor had it, as ground truth and calibration have it: not turned by its EXIF data.

    Raises:
        BadInput: the file is missing or damaged.
    """
    photo = Photo.open(image, name)
    try:
        with PillowImage.open(image) as stored:
            if stored.getexif().get(_ORIENTATION_TAG, 1) == 1:
                return photo
            return Photo.from_array(np.array(stored.convert("RGB")), name)
    except Exception as e:  # Pillow raises many types on broken data
        raise BadInput(f"{image}: cannot be decoded ({' '.join(str(e).split())}); the file is damaged") from None


def _truth_size(truth: Path, image: Path) -> tuple[int, int]:
    """(height, width) of the image as stored, when the ground truth has as many values."""
    image_size(image)
    with PillowImage.open(image) as stored:
        width, height = stored.size
    try:
        there = truth.stat().st_size
    except OSError as e:
        raise BadInput(f"{truth}: {e.strerror or e}") from None
    if there != 4 * height * width:
        raise OtherData(
            f"{truth}: has {there:,} bytes, and its image {image.name} of {height} x {width} pixels needs "
            f"{4 * height * width:,}; is the image an undistorted or a resized one? The ground truth fits "
            "<scene>/images/dslr_images of <scene>_dslr_jpg.7z"
        )
    return height, width


def _places(row: Fields) -> Sequence[Fields]:
    return _image_places(row[0]), _truth_places(row[1])


def _image_places(path: str) -> Fields:
    """As the list has it, and as the archives of one scene or of all scenes unpack."""
    scene, inside = _inside(path, "/images/")
    return (path, *in_folders(inside, (*_FOLDERS, f"{scene}_dslr_jpg"))) if scene else in_folders(path, _FOLDERS)


def _truth_places(path: str) -> Fields:
    scene, inside = _inside(path, "/ground_truth_depth/")
    own = f"{scene}_dslr_depth"
    return (path, *in_folders(inside, (*_FOLDERS, own, f"depth/{own}"))) if scene else in_folders(path, _FOLDERS)


def _inside(path: str, folder: str) -> tuple[str, str]:
    """The scene, and the path from its folder on; nothing where the path has no such folder.

    >>> _inside("depth/office_dslr_depth/office/ground_truth_depth/dslr_images/1.JPG", "/ground_truth_depth/")
    ('office', 'office/ground_truth_depth/dslr_images/1.JPG')
    """
    before, found, after = path.partition(folder)
    scene = before.rpartition("/")[2]
    return (scene, f"{scene}{folder}{after}") if found else ("", "")


def _frame(row: Fields, files: tuple[Path, ...]) -> Frame:
    image, truth = files
    if any("dslr_images_undistorted" in path for path in (*row, str(image.parent), str(truth.parent))):
        raise OtherData(
            f"{image}: is an undistorted image; the ground truth fits the distorted ones in "
            "<scene>/images/dslr_images of <scene>_dslr_jpg.7z"
        )
    return Frame(row[0], files, partial(open_photo, image, row[0]), partial(read_truth, truth, image))


def _inspect(frames: Sequence[Frame], own: bool) -> tuple[str, ...]:  # noqa: ARG001
    look_into(frames, lambda frame: _truth_size(frame.files[1], frame.files[0]))
    return ()


DISTORTED = Format(("image", "ground truth"), _places, _frame, inspect=_inspect)
"""The high-resolution multi-view training scenes."""
