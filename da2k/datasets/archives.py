"""Unpacking zip archives from strangers: every name is checked first, nothing is written outside, nothing half."""

import copy
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from da2k.datasets.disk import Progress, locked, require_space, silent
from da2k.datasets.unpacking import ALLOWED, BadArchive, Limits, appearing, collision, is_clutter, name_fault
from da2k.errors import BadInput

__all__ = ["BadArchive", "Limits", "Member", "damaged_files", "extract_zip", "read_members"]

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER = 30
_IN_ZIP64_RECORD = 0xFFFFFFFF
_PIECE = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of an archive: its path with forward slashes, its size in bytes unpacked, and its CRC-32."""

    path: str
    size: int
    crc: int
    info: zipfile.ZipInfo


def extract_zip(
    archive: Path,
    into: Path,
    limits: Limits = ALLOWED,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> None:
    """Unpack an archive into a folder that appears only when it is complete.

    The files are written to `.<name>.unpacking` beside the folder, which is then renamed; what a killed run
    left there is removed first. `__MACOSX/` and `.DS_Store` are left out. Permissions and times are not kept.

    Args:
        into: the folder to make.
        replace: put it in place of a folder that holds something; else such a folder is refused.
        progress: called with the bytes written and all bytes.

    Raises:
        BadArchive: it is damaged, beyond the limits, or holds a name, link or device that is not allowed; see
            `read_members`. No file is written then, unless the damage shows only while unpacking.
        BadInput: the disk is full, the folder holds something, or another process is unpacking into it.
    """
    with locked(into), _opened(archive, limits) as file:
        members = _members(file, archive, limits)
        with appearing(into, replace=replace) as temporary:
            require_space(into.parent, sum(member.size for member in members))
            _write_all(file, archive, members, temporary, progress or silent)


def read_members(archive: Path, limits: Limits = ALLOWED) -> list[Member]:
    """The files that unpacking gives, in the archive's order.

    Raises:
        BadArchive: it is no zip archive, is damaged or encrypted, has too much in it, or one of its names is
            absolute, leaves the folder, has a drive letter, backslash, control character or empty part, is too
            long, or equals another one but for case or Unicode form; or it holds a link or a device. Such
            names are refused, not changed.
    """
    with _opened(archive, limits) as file:
        return _members(file, archive, limits)


def damaged_files(archive: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The files of an unpacked archive that are no longer as in the archive: their paths, and what is wrong.

    Raises:
        BadArchive: the archive cannot be read; see `read_members`.
    """
    for member in read_members(archive):
        path = folder / member.path
        try:
            if path.stat().st_size != member.size:
                yield member.path, f"has {path.stat().st_size} bytes, {member.size} in the archive"
            elif _crc(path) != member.crc:
                yield member.path, "has another content than in the archive"
        except OSError as e:
            yield member.path, (e.strerror or str(e)).lower()


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as f:
        while piece := f.read(_PIECE):
            crc = zlib.crc32(piece, crc)
    return crc


@contextmanager
def _opened(archive: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """The archive; what Python's reader raises on damage, here or in the block, becomes BadArchive."""
    try:
        f = archive.open("rb")
    except OSError as e:
        raise BadInput(f"{archive}: {e.strerror or e}") from None
    with f:
        try:
            # Python's reader takes about a kilobyte of memory an entry before it can be asked for their number.
            if _entries_at_most(f, limits) > limits.entries:
                raise BadArchive(f"{archive}: has more than the {limits.entries:,} entries allowed")
            with zipfile.ZipFile(f) as file:
                yield file
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, RuntimeError) as e:
            raise BadArchive(f"{archive}: not a sound zip archive ({' '.join(str(e).split())})") from None


def _entries_at_most(f: BinaryIO, limits: Limits) -> int:
    """How often an entry's signature stands in the directory at the archive's end: no fewer than its entries."""
    length = f.seek(0, os.SEEK_END)
    f.seek(max(0, length - (1 << 16) - 128))
    tail = f.read()
    plain = tail[-22:-18] == b"PK\x05\x06" and tail[-2:] == b"\0\0"
    end = len(tail) - 22 if plain else tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        f.seek(0)
        raise zipfile.BadZipFile(f"it begins with {f.read(12)!r}")
    sizes = [int.from_bytes(tail[end + 12 : end + 16], "little")]
    locator = tail[max(0, end - 20) : end]
    if locator.startswith(b"PK\x06\x07"):
        stated = int.from_bytes(locator[8:16], "little")
        for position in (stated, length - len(tail) + end - 20 - 56):
            f.seek(max(0, min(position, length)))
            record = f.read(56)
            if record.startswith(b"PK\x06\x06"):
                sizes.append(int.from_bytes(record[40:48], "little"))
    directory = min(length, max((size for size in sizes if size != _IN_ZIP64_RECORD), default=0))
    if directory > limits.entries * (limits.path_bytes + 100):
        return limits.entries + 1
    f.seek(max(0, length - len(tail) + end - directory - 128))
    return f.read(directory + 128).count(b"PK\x01\x02")


def _members(file: zipfile.ZipFile, archive: Path, limits: Limits) -> list[Member]:
    members: list[Member] = []
    stated: set[str] = set()
    seen: dict[str, tuple[str, bool]] = {}
    infos = file.infolist()
    for info in infos:
        name = _name(info)
        is_folder = name.endswith("/")
        path = name.removesuffix("/")
        fault = name_fault(path, limits) or _content_fault(info, is_folder, limits)
        fault = fault or ("stands twice" if path in stated else collision(path, is_folder, seen))
        if fault:
            raise BadArchive(f"{archive}: entry {name!r} {fault}; nothing was unpacked")
        stated.add(path)
        if not is_folder and not is_clutter(path):
            members.append(Member(path, info.file_size, info.CRC, info))
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        raise BadArchive(f"{archive}: would unpack to {total:,} bytes, more than the {limits.total_bytes:,} allowed")
    in_order = sorted(infos, key=lambda info: info.header_offset)
    for one, following in pairwise(in_order):
        if one.header_offset + _LOCAL_HEADER + one.compress_size > following.header_offset:
            raise BadArchive(f"{archive}: entries {_name(one)!r} and {_name(following)!r} share bytes; not unpacked")
    return members


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name. Archives made on macOS write UTF-8 without saying so, and Python reads that as cp437."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _content_fault(info: zipfile.ZipInfo, is_folder: bool, limits: Limits) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        return "is a device or another special file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}, and only 0 (stored) and 8 (deflate) are read"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return "is stored, but states two sizes"
    if info.file_size >= limits.ratio_from and info.file_size > limits.ratio * info.compress_size:
        return f"would grow more than {limits.ratio:g} times, from {info.compress_size:,} to {info.file_size:,} bytes"
    return None


def _write_all(file: zipfile.ZipFile, archive: Path, members: list[Member], folder: Path, progress: Progress) -> None:
    done, total = 0, sum(member.size for member in members)
    progress(done, total)
    for member in members:
        path = folder / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with file.open(_one_longer(member.info)) as source, path.open("xb") as f:
            while piece := source.read(_PIECE):
                written += len(piece)
                if written > member.size:
                    break
                f.write(piece)
                progress(done + written, total)
        if written != member.size:
            more = "more" if written > member.size else "less"
            raise BadArchive(f"{archive}: entry {member.path!r} holds {more} than the {member.size:,} bytes it states")
        done += written


def _one_longer(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry as if one byte longer: Python's reader stops at the stated size, which would hide a longer one."""
    longer = copy.copy(info)
    longer.file_size += 1
    return longer
