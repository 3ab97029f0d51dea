"""`SHA256SUMS`: the SHA-256 of every file of a folder, as `sha256sum --check` reads it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from da2k.errors import BadInput
from da2k.files import sha256_file

SUMS = "SHA256SUMS"
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that file managers leave in any folder they show."""
_WRITTEN = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_MEANT = {written: meant for meant, written in _WRITTEN.items()}


def write_sums(digests: Mapping[str, str]) -> bytes:
    """The bytes of `SHA256SUMS`, a line a file, by name; a line whose name has a line break begins with a backslash.

    Args:
        digests: path in the folder, with forward slashes → SHA-256 in hex.

    >>> write_sums({"b": "0" * 64, "a": "1" * 64}).decode().split()[1::2]
    ['a', 'b']
    """
    lines = []
    for name in sorted(digests):
        written = re.sub(r"[\\\n\r]", lambda found: _WRITTEN[found[0]], name)
        lines.append(f"{'' if written == name else chr(92)}{digests[name]}  {written}\n")
    return "".join(lines).encode()


def read_sums(sums: bytes) -> dict[str, str]:
    """What `write_sums` was given; lines of another form are passed over."""
    found = {}
    for line in sums.decode(errors="replace").split("\n"):
        if match := re.fullmatch(r"(\\?)([0-9a-f]{64})  (.+)", line):
            mark, digest, name = match.groups()
            found[re.sub(r"\\[\\nr]", lambda each: _MEANT[each[0]], name) if mark else name] = digest
    return found


def holds(folder: Path, sums: bytes) -> bool:
    """Whether a folder has these checksums in its `SHA256SUMS` and all files it names have them."""
    try:
        return (folder / SUMS).read_bytes() == sums and all(
            sha256_file(folder / name) == digest for name, digest in read_sums(sums).items()
        )
    except (OSError, BadInput):
        return False


def strays(folder: Path) -> list[str]:
    """Files and links in a folder that its `SHA256SUMS` does not name, by name.

    Raises:
        OSError: it has none.
    """
    listed = {SUMS, *read_sums((folder / SUMS).read_bytes())}
    found = []
    for inside, folders, names in os.walk(folder):
        links = (name for name in folders if Path(inside, name).is_symlink())
        paths = (Path(inside, name).relative_to(folder).as_posix() for name in (*names, *links) if name not in _LITTER)
        found += [path for path in paths if path not in listed]
    return sorted(found)
