"""A file of a photograph: read once, and placed where it belongs."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from da2k.construction.intake.duplicates import perceptual_hash
from da2k.errors import BadInput
from da2k.files import write_atomically
from da2k.images import decode, image_size

Stamp = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What was read of a file.

    Attributes:
        sha256: of its bytes.
        stamp: before it was read.
        data: its bytes; None if the digest was known and told enough.
        size: (height, width) after the EXIF orientation is applied; None if it was not decoded.
        phash: perceptual hash, 16 hex digits; None if it was not decoded.
    """

    sha256: str
    stamp: Stamp
    data: bytes | None = None
    size: tuple[int, int] | None = None
    phash: str | None = None


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file; None where there is none."""
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_size, now.st_mtime_ns


def read_photo(path: Path, min_side: int, is_known: Callable[[str], bool]) -> ReadFile:
    """Read and decode a photograph, once; one whose digest is known is not decoded.

    Raises:
        BadInput: it is no photograph, damaged, or has fewer than `min_side` pixels along its shorter side.
    """
    stamp = stamp_of(path) or (0, 0)
    image_size(path)  # what is no image is not read to its end
    try:
        data = path.read_bytes()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    sha256 = hashlib.sha256(data).hexdigest()
    if is_known(sha256):
        return ReadFile(sha256, stamp, data)
    pixels = decode(data, str(path))
    size = (pixels.shape[0], pixels.shape[1])
    if min(size) < min_side:
        raise BadInput(f"{path}: {too_small(size, min_side)}")
    return ReadFile(sha256, stamp, data, size, perceptual_hash(pixels))


def too_small(size: tuple[int, int], min_side: int) -> str:
    """Says so."""
    return f"{size[1]} x {size[0]} pixels, and the shorter side must have {min_side} (images.min_side)"


def copy_to(target: Path, read: ReadFile) -> None:
    """Write the bytes that were read, with the time of the file they are from, so that every run leaves the same.

    Raises:
        BadInput: the folder cannot be written to, or the disk is full.
    """
    assert read.data is not None
    data, time = read.data, read.stamp[1]

    def write(f: BinaryIO) -> None:
        f.write(data)
        f.flush()
        if os.utime in os.supports_fd:
            os.utime(f.fileno(), ns=(time, time))

    write_atomically(target, write)


def link_to(target: Path, source: Path) -> None:
    """Make `target` a hard link of `source`, of what it points to if it is a symbolic link.

    Raises:
        BadInput: the file system cannot, such as from one disk to another.
    """
    beside = target.with_name(f".da2k.{uuid4().hex}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source.resolve(), beside)
        beside.replace(target)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise BadInput(f"{target}: cannot be a hard link ({e.strerror or e}); leave --link out") from None
