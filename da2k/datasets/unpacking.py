"""What all unpacking shares: which names are refused, limits, and a folder that appears only when it is complete."""

import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from da2k.errors import BadInput


class BadArchive(BadInput):
    """The archive is damaged or not one that may be unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold.

    Attributes:
        entries: files and folders.
        total_bytes: bytes of all files, unpacked.
        ratio: unpacked to packed size of one file; looked at from `ratio_from` bytes unpacked.
        path_bytes, part_bytes: length of a path, and of one name in it, as UTF-8.
        depth: folders in folders.
    """

    entries: int = 100_000
    total_bytes: int = 1 << 37
    ratio: float = 150
    ratio_from: int = 1 << 20
    path_bytes: int = 1000
    part_bytes: int = 255
    depth: int = 32


ALLOWED = Limits()
"""The limits that hold where no others are given."""


def name_fault(path: str, limits: Limits) -> str | None:
    """Why a path of an archive is refused, or None."""
    parts = path.split("/")
    if any(c < " " or c == "\x7f" for c in path):
        return "has a control character in its name"
    if "\\" in path:
        return "has a backslash in its name"
    if path.startswith("/"):
        return "is an absolute path"
    if any(re.match("[A-Za-z]:", part) for part in parts):
        return "has a drive letter in its name"
    if ".." in parts:
        return "leaves the folder"
    if not all(part.strip(". ") for part in parts):
        return "has an empty part in its name"
    if len(path.encode()) > limits.path_bytes or max(len(part.encode()) for part in parts) > limits.part_bytes:
        return "has too long a name"
    if len(parts) > limits.depth:
        return f"is nested deeper than {limits.depth} folders"
    return None


def collision(path: str, is_folder: bool, seen: dict[str, tuple[str, bool]]) -> str | None:
    """How the path, or a folder above it, would fall together with another one on some file system, or None.

    Args:
        seen: what came before; the path is added to it.
    """
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        prefix = "/".join(parts[:depth])
        entry = (prefix, is_folder or depth < len(parts))
        former = seen.setdefault(_folded(prefix), entry)
        if former[0] != prefix:
            return f"differs from {former[0]!r} only in case or Unicode form"
        if former != entry:
            return f"makes {prefix!r} both a file and a folder"
    return None


def _folded(path: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def is_clutter(path: str) -> bool:
    """Whether a file is only a trace that macOS left."""
    parts = path.split("/")
    return not {"__MACOSX", ".DS_Store"}.isdisjoint(parts) or any(part.startswith("._") for part in parts)


@contextmanager
def appearing(into: Path, *, replace: bool) -> Iterator[Path]:
    """A folder to write to, which becomes `into` when the block ends well, and is removed when it does not.

    It is `.<name>.unpacking` beside it; what a killed run left there is removed first. The caller holds the lock.

    Args:
        replace: put it in place of a folder that holds something; else such a folder is refused.

    Raises:
        BadInput: the folder holds something, or cannot be written.
    """
    if into.is_symlink() or into.is_file() or (not replace and into.is_dir() and any(into.iterdir())):
        raise BadInput(f"{into}: is there already; remove it first")
    temporary, former = (into.with_name(f".{into.name}.{what}") for what in ("unpacking", "replaced"))
    try:
        for leftover in (temporary, former):
            if leftover.exists():
                shutil.rmtree(leftover)
        temporary.mkdir()
        yield temporary
        if into.exists():
            into.rename(former)
        temporary.rename(into)
        shutil.rmtree(former, ignore_errors=True)
    except OSError as e:
        raise BadInput(f"{into}: cannot be written ({e.strerror or e})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
