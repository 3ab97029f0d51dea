"""Unpacking `.tar.gz` archives from strangers, as `da2k.datasets.archives` does zip archives, in one pass."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from da2k.datasets.disk import Progress, locked, require_space, silent
from da2k.datasets.unpacking import ALLOWED, BadArchive, Limits, appearing, collision, is_clutter, name_fault
from da2k.errors import BadInput

_PIECE = 1 << 20


def extract_tar(
    archive: Path,
    into: Path,
    limits: Limits = ALLOWED,
    *,
    top_folder: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Unpack an archive into a folder that appears only when it is complete; see `archives.extract_zip`.

    Args:
        into: the folder to make.
        top_folder: the folder of the archive that holds everything in it; its name is left out.
        replace: put it in place of a folder that holds something; else such a folder is refused.
        progress: called with the packed bytes read, and all packed bytes.

    Raises:
        BadArchive: it is damaged, beyond the limits, or holds a name, link or device that is not allowed. No file is
            left then.
        BadInput: the disk is full, the folder holds something, or another process is unpacking into it.
    """
    with locked(into), appearing(into, replace=replace) as temporary:
        for entry in _entries(archive, limits, top_folder, progress or silent):
            require_space(into.parent, entry.size)
            path = temporary / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as f:
                f.writelines(entry.pieces)


def damaged_tar_files(archive: Path, folder: Path, top_folder: str | None = None) -> Iterator[tuple[str, str]]:
    """The files of an unpacked archive that are no longer as in the archive: their paths, and what is wrong.

    Raises:
        BadArchive: the archive cannot be read.
    """
    for entry in _entries(archive, ALLOWED, top_folder, silent):
        path = folder / entry.path
        try:
            if path.stat().st_size != entry.size:
                yield entry.path, f"has {path.stat().st_size} bytes, {entry.size} in the archive"
            elif not _same(entry.pieces, path):
                yield entry.path, "has another content than in the archive"
        except OSError as e:
            yield entry.path, (e.strerror or str(e)).lower()


@dataclass(frozen=True)
class _Entry:
    """One file of an archive: its path with forward slashes, its size in bytes, and its content, to be taken now."""

    path: str
    size: int
    pieces: Iterator[bytes]


class _Bounded:
    """A decompressed stream, read forwards and in small pieces only.

    Python's reader takes as much memory for a long name or an extended header as the archive says it has.
    """

    def __init__(self, stream: gzip.GzipFile, at_most: int) -> None:
        self._stream = stream
        self._at_most = at_most

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _PIECE:
            raise ValueError("a header is too long")
        return self._checked(self._stream.read(size))

    def seek(self, position: int) -> int:
        if position < self._stream.tell():
            raise ValueError("its entries are out of order")
        while (left := position - self._stream.tell()) > 0 and self.read(min(left, _PIECE)):
            pass
        return self._stream.tell()

    def tell(self) -> int:
        return self._stream.tell()

    def _checked(self, piece: bytes) -> bytes:
        if self._stream.tell() > self._at_most:
            raise ValueError(f"it would unpack to more than the {self._at_most:,} bytes allowed")
        return piece


def _entries(archive: Path, limits: Limits, top_folder: str | None, progress: Progress) -> Iterator[_Entry]:
    """The files in the archive's order, each checked before it is given."""
    seen: dict[str, tuple[str, bool]] = {}
    stated: set[str] = set()
    with _opened(archive) as packed:
        total = archive.stat().st_size
        at_most = min(limits.total_bytes, max(limits.ratio_from, int(limits.ratio * total)))
        with gzip.GzipFile(fileobj=packed, mode="rb") as stream:
            bounded = _Bounded(stream, at_most)
            with tarfile.open(fileobj=bounded, mode="r:") as file:  # type: ignore[call-overload]
                for count, info in enumerate(file, 1):
                    progress(packed.tell(), total)
                    if count > limits.entries:
                        raise BadArchive(f"{archive}: has more than the {limits.entries:,} entries allowed")
                    path = _path(info, top_folder)
                    if path == "":
                        continue
                    if path is None:
                        if _fault(info, info.name, limits) is None and is_clutter(info.name):
                            continue
                        path = info.name
                    fault = _fault(info, path, limits) or _outside(info, top_folder)
                    fault = fault or ("stands twice" if path in stated else collision(path, info.isdir(), seen))
                    if fault:
                        raise BadArchive(f"{archive}: entry {info.name!r} {fault}; nothing was unpacked")
                    stated.add(path)
                    if info.isreg() and not is_clutter(path):
                        yield _Entry(path, info.size, _pieces(file, info, archive))
                _require_end(bounded)
            progress(total, total)


def _path(info: tarfile.TarInfo, top_folder: str | None) -> str | None:
    """The entry's path below the top folder; "" for that folder and for the archive's own root, None outside it."""
    path = info.name.removeprefix("./").removesuffix("/")
    if path == "." or (path == top_folder and info.isdir()):
        return ""
    if top_folder is None:
        return path
    return path.removeprefix(f"{top_folder}/") if path.startswith(f"{top_folder}/") else None


def _outside(info: tarfile.TarInfo, top_folder: str | None) -> str | None:
    return f"is not in the folder {top_folder}" if _path(info, top_folder) is None else None


def _fault(info: tarfile.TarInfo, path: str, limits: Limits) -> str | None:
    fault = name_fault(info.name.removeprefix("./").removesuffix("/"), limits) or name_fault(path, limits)
    if fault:
        return fault
    if info.issym() or info.islnk():
        return "is a link"
    if not info.isdir() and (not info.isreg() or info.issparse()):
        return "is a device or another special file"
    return None


def _require_end(stream: _Bounded) -> None:
    """Read what follows the last entry: nothing but zeros, and then the checksum of the whole.

    Python's reader ends without a word at an entry whose header is damaged.
    """
    padding = 0
    while piece := stream.read(_PIECE):
        padding += len(piece)
        if piece.strip(b"\0") or padding > _PIECE:
            raise ValueError("an entry's header is damaged")


def _pieces(file: tarfile.TarFile, info: tarfile.TarInfo, archive: Path) -> Iterator[bytes]:
    with _sound(archive), file.extractfile(info) or io.BytesIO() as content:
        while piece := content.read(_PIECE):
            yield piece


@contextmanager
def _opened(archive: Path) -> Iterator[IO[bytes]]:
    try:
        f = archive.open("rb")
    except OSError as e:
        raise BadInput(f"{archive}: {e.strerror or e}") from None
    with f, _sound(archive):
        yield f


@contextmanager
def _sound(archive: Path) -> Iterator[None]:
    """What Python's readers raise on damage in the block becomes BadArchive."""
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError) as e:
        raise BadArchive(f"{archive}: not a sound .tar.gz archive ({' '.join(str(e).split())})") from None


def _same(pieces: Iterator[bytes], path: Path) -> bool:
    with path.open("rb") as f:
        return all(f.read(len(piece)) == piece for piece in pieces)
