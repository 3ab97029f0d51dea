"""Decoding files of measured depth, trusting nothing they say about themselves."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.datasets.frame_formats import OtherData
from da2k.errors import BadInput
from da2k.images import MAX_PIXELS, image_size

_BLOCK = 1 << 20


def read_grey16(path: Path, unit: str) -> NDArray[np.uint16]:
    """A PNG of one 16-bit channel, uint16 [H, W].

    Args:
        unit: what a step is, for the message: "1/256 m".

    Raises:
        BadInput: the file is missing, damaged, too large, or no PNG.
        OtherData: it is coloured, or of 8 bits.
    """
    try:
        with PillowImage.open(path, formats=("PNG",)) as image:
            _check_count(image.height * image.width, path)
            if not image.mode.startswith("I"):
                raise OtherData(
                    f"{path}: is no 16-bit grey PNG (its mode is {image.mode}); depth in steps of {unit} does not fit "
                    "into 8 bits or colours: get the dataset's own file"
                )
            return np.asarray(image).astype(np.uint16, copy=False)
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except Exception as e:  # Pillow raises many types on broken data
        raise BadInput(f"{path}: is no readable PNG ({' '.join(str(e).split())})") from None


def read_float32(path: Path, shape: tuple[int, int], offset: int = 0) -> NDArray[np.float32]:
    """Little-endian float32 rows behind `offset` bytes, [H, W]; the caller has compared the file's size.

    Raises:
        BadInput: the file is missing or has become shorter.
    """
    try:
        values: NDArray[np.float32] = np.fromfile(path, "<f4", math.prod(shape), offset=offset)
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    if values.size != math.prod(shape):
        raise BadInput(f"{path}: ends after {values.size:,} of {math.prod(shape):,} values")
    return values.astype(np.float32, copy=False).reshape(shape)


def read_npy(path: Path) -> NDArray[Any]:
    """A `.npy` array of real numbers or booleans; pickled objects are never loaded.

    Raises:
        BadInput: the file is missing, damaged, too large, or holds no numbers.
    """
    try:
        with path.open("rb") as f:
            version = np.lib.format.read_magic(f)  # type: ignore[no-untyped-call]
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, dtype = read(f)  # type: ignore[no-untyped-call]
            start = f.tell()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except Exception as e:  # numpy parses the header as Python, and broken ones raise many types
        raise BadInput(f"{path}: is no .npy array ({' '.join(str(e).split())})") from None
    if dtype.kind not in "fiub":
        raise BadInput(f"{path}: holds {dtype}, not real numbers")
    _check_count(math.prod(shape), path)
    wanted, there = math.prod(shape) * dtype.itemsize, path.stat().st_size - start
    if wanted != there:
        raise BadInput(f"{path}: its header says {list(shape)} {dtype}, {wanted:,} bytes, and {there:,} follow")
    values: NDArray[Any] = np.fromfile(path, dtype, math.prod(shape), offset=start)
    return values.reshape(shape, order="F" if by_columns else "C")


def positive(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where depth is finite and above 0, bool [H, W]; in blocks, so that no second array of this size is made."""
    flat = np.ascontiguousarray(depth).reshape(-1)
    valid = np.empty(flat.shape, np.bool_)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        # NaN fails both comparisons.
        np.logical_and(block > 0, block < np.inf, out=valid[start : start + _BLOCK])
    return valid.reshape(depth.shape)


def require_image_size(depth: NDArray[Any], truth: Path, image: Path) -> None:
    """Check that ground truth and image are of one size.

    Raises:
        BadInput: they are not, or the image cannot be read.
    """
    size = image_size(image)
    if depth.shape != size:
        raise BadInput(
            f"{truth}: is {' x '.join(map(str, depth.shape))}, and its image {image.name} {size[0]} x {size[1]}; "
            "ground truth and image have to be the dataset's own, not resized"
        )


def _check_count(count: int, path: Path) -> None:
    if count > MAX_PIXELS:
        raise BadInput(f"{path}: claims {count:,} values; at most {MAX_PIXELS:,} are read")
