"""MPI Sintel (Butler et al. 2012) with the depth of its training sequences, in `.dpt` files (Sintel depth SDK).

A file is a float32 tag 202021.25, int32 width and height, and float32 metres row by row, all little-endian. The sky is
tens of kilometres away and counts as measured here; a protocol's range leaves it out.
"""

import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from da2k.datasets.frame_formats import Fields, Format, in_folders
from da2k.datasets.frames import Frame, GroundTruth
from da2k.datasets.truth_files import positive, read_float32, require_image_size
from da2k.errors import BadInput
from da2k.images import MAX_PIXELS, Photo

TAG = 202021.25
"""What every `.dpt` file begins with, as a float32; it is exact."""

_HEADER = struct.Struct("<fii")
_PASSES = ("clean", "final")
_FOLDERS = ("", "training", "MPI-Sintel-complete/training", "MPI-Sintel-depth-training-20150305/training")


def read_truth(truth: Path, image: Path) -> GroundTruth:
    """The depth of a frame.

    Raises:
        BadInput: a file is missing or damaged, or the sizes differ.
    """
    size = _read_header(truth)
    depth = read_float32(truth, size, _HEADER.size)
    require_image_size(depth, truth, image)
    return GroundTruth(depth, positive(depth))


def _read_header(path: Path) -> tuple[int, int]:
    """(height, width), when they agree with the size of the file."""
    try:
        with path.open("rb") as f:
            head = f.read(_HEADER.size)
        there = path.stat().st_size
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    if len(head) < _HEADER.size:
        raise BadInput(f"{path}: is truncated: {there} bytes, and the header alone has {_HEADER.size}")
    tag, width, height = _HEADER.unpack(head)
    if tag != TAG:
        raise BadInput(f"{path}: is no .dpt file: it begins with {head[:4]!r}, not with the float32 {TAG}")
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise BadInput(f"{path}: claims {height} x {width} values; 1 to {MAX_PIXELS:,} are read")
    wanted = _HEADER.size + 4 * width * height
    if there != wanted:
        how = "is truncated" if there < wanted else "is too long"
        raise BadInput(f"{path}: {how}: {there:,} bytes, and {height} x {width} values make {wanted:,}")
    return height, width


def _of_pass(render_pass: str, path: str) -> str:
    first, _, rest = path.partition("/")
    return f"{render_pass}/{rest}" if first in _PASSES else path


def _format(render_pass: str) -> Format:
    def places(row: Fields) -> Sequence[Fields]:
        return in_folders(_of_pass(render_pass, row[0]), _FOLDERS), in_folders(row[1], _FOLDERS)

    def frame(row: Fields, files: tuple[Path, ...]) -> Frame:
        (image, truth), name = files, _of_pass(render_pass, row[0])
        return Frame(name, files, partial(Photo.open, image, name), partial(read_truth, truth, image))

    def key(row: Fields) -> str:
        return _of_pass(render_pass, row[0])

    return Format(("image", "ground truth"), places, frame, key)


CLEAN = _format("clean")
"""The clean pass; the list may name either pass of a frame, but not both: they share their depth."""

FINAL = _format("final")
"""The final pass, with motion blur, defocus and fog."""
