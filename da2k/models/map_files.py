"""Reading one depth map from a file somebody else wrote, trusting nothing it says about itself."""

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.errors import BadInput

ENDINGS = (".npy", ".npz", ".png", ".tif", ".tiff", ".pfm")
"""The endings a predictions folder may use, in no order of preference: one image has one map."""

MAX_VALUES = 200_000_000
"""The largest map read. Larger ones are refused from their header, before memory is taken."""


def read_map(path: Path) -> NDArray[Any]:
    """Read a depth map: `.npy`, `.npz` (one array), `.png` and `.tif` (one grey channel), or `.pfm`.

    Returns:
        An array of a real type, in the stored units and shape. A `.npy` array is mapped from disk, not copied.

    Raises:
        BadInput: the file is missing, damaged, larger than it may be, or holds no numbers.
    """
    try:
        values = _READERS[path.suffix.lower()](path)
    except BadInput:
        raise
    except KeyError:
        raise BadInput(f"{path}: unknown ending; a depth map is one of {', '.join(ENDINGS)}") from None
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except Exception as e:  # damaged files make the readers raise many types
        raise BadInput(f"{path}: cannot be read ({type(e).__name__}: {e})") from None
    if values.dtype.kind not in "fiu":
        raise BadInput(f"{path}: holds {values.dtype}, not real numbers")
    return values


def is_eight_bit(values: NDArray[Any]) -> bool:
    """Whether a stored map can tell at most 256 depths apart."""
    return values.dtype.itemsize == 1


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as f:
        shape, dtype = _npy_header(f, str(path))
        room = path.stat().st_size - f.tell()
    _check_room(shape, dtype, room, str(path))
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _read_npz(path: Path) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(m.filename for m in members[:5])
            raise BadInput(f"{path}: holds {len(members)} arrays ({names}); save one array a file")
        with archive.open(members[0]) as f:
            shape, dtype = _npy_header(f, str(path))
            _check_room(shape, dtype, members[0].file_size - f.tell(), str(path))
        with archive.open(members[0]) as f:
            array: NDArray[Any] = np.lib.format.read_array(f, allow_pickle=False)  # type: ignore[no-untyped-call]
    return array


def _npy_header(f: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(f)  # type: ignore[no-untyped-call]
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(f)  # type: ignore[no-untyped-call]
    except ValueError as e:
        raise BadInput(f"{where}: not a .npy array ({str(e).splitlines()[0]})") from None
    if dtype.hasobject:
        raise BadInput(f"{where}: holds pickled Python objects; they are never loaded. Save a plain float array")
    return shape, dtype


def _check_room(shape: tuple[int, ...], dtype: np.dtype[Any], room: int, where: str) -> None:
    count = math.prod(shape)
    if count > MAX_VALUES:
        raise BadInput(f"{where}: the header claims shape {list(shape)}; at most {MAX_VALUES:,} values are read")
    if count * dtype.itemsize != room:
        raise BadInput(
            f"{where}: the header claims {list(shape)} {dtype}, {count * dtype.itemsize:,} bytes, but {room:,} follow"
        )


def _read_picture(path: Path) -> NDArray[Any]:
    with PillowImage.open(path, formats=("PNG", "TIFF")) as image:
        if image.width * image.height > MAX_VALUES:
            raise BadInput(f"{path}: {image.width} x {image.height}; at most {MAX_VALUES:,} values are read")
        if image.mode not in ("L", "I", "F") and not image.mode.startswith("I;16"):
            raise BadInput(
                f"{path}: has colours (mode {image.mode}); a colour-mapped picture cannot be turned back into depth. "
                "Save one 16-bit grey channel, or .npy"
            )
        return np.array(image)


def _read_pfm(path: Path) -> NDArray[Any]:
    with path.open("rb") as f:
        magic = f.readline(16).strip()
        if magic != b"Pf":
            raise BadInput(f"{path}: begins with {magic!r}; a one-channel .pfm begins with Pf")
        width, height = (int(n) for n in f.readline(64).split())
        dtype = np.dtype("<f4" if float(f.readline(64)) < 0 else ">f4")
        if min(width, height) < 1:
            raise BadInput(f"{path}: the header claims {width} x {height}")
        _check_room((height, width), dtype, path.stat().st_size - f.tell(), str(path))
        rows = np.frombuffer(f.read(), dtype).reshape(height, width)
    # PFM stores the bottom row first.
    return rows[::-1].astype(np.float32)


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".png": _read_picture,
    ".tif": _read_picture,
    ".tiff": _read_picture,
    ".pfm": _read_pfm,
}
