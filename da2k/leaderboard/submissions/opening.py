"""What is handed in: a folder of predictions, a zip of one, or a result file. Nothing of it is trusted."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from da2k.datasets.archives import Member, extract_zip, read_members
from da2k.datasets.unpacking import BadArchive, Limits, is_clutter
from da2k.errors import BadInput
from da2k.leaderboard.submissions.problems import Problem, capped
from da2k.leaderboard.text import unseen
from da2k.models.declaration import DECLARATION

LIMITS = Limits(entries=20_000, total_bytes=20 << 30, ratio=200)
"""What a submission may hold; a file grows 200 times at most, which no map that a network made does."""

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Submission:
    """A submission whose files may be read.

    Attributes:
        name: of the file or folder that was handed in.
        maps: the folder of predictions; None for a result.
        files: the paths in it, with forward slashes, sorted; no links, no devices.
        result: the result file; None for predictions.
        problems: what is wrong with it as a file or folder.
    """

    name: str
    maps: Path | None = None
    files: tuple[str, ...] = ()
    result: Path | None = None
    problems: tuple[Problem, ...] = field(default=())


@contextmanager
def open_submission(path: Path) -> Iterator[Submission]:
    """Open a submission; a zip is unpacked into a temporary folder, which goes when the block ends.

    A zip that holds anything dangerous is refused before a file is written: names that leave the folder, are
    absolute, not UTF-8, hidden, doubled or equal but for case; links, devices, archives in it, encrypted files, too
    many entries, too much growth. Nothing is renamed to make it fit.

    Raises:
        BadInput: there is nothing at the path, or no room to unpack it.
    """
    if path.is_dir():
        yield _folder(path, path.resolve().name)
        return
    try:
        with path.open("rb") as f:
            start = f.read(64)
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    if start.startswith(_ZIP) or path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="da2k-submission-") as temporary:
            yield _unpacked(path, Path(temporary) / "maps")
    elif start.lstrip().startswith(b"{") or path.suffix.lower() == ".json":
        yield Submission(path.name, result=path)
    else:
        what = "is neither a folder of predictions, nor a zip of one, nor a result file of da2k evaluate"
        yield Submission(path.name, problems=(Problem(path.name, "", what, "hand in one of the three"),))


def _unpacked(archive: Path, into: Path) -> Submission:
    try:
        members = read_members(archive, LIMITS)
        problems = tuple(capped(_member_problems(members), archive.name, "files that are refused"))
        if problems:
            return Submission(archive.name, problems=problems)
        needed, free = sum(member.size for member in members), shutil.disk_usage(into.parent).free
        if needed > free:
            raise BadInput(
                f"{archive}: needs {needed:,} bytes, {into.parent} has {free:,}; set TMPDIR to a larger disk"
            )
        extract_zip(archive, into, LIMITS)
    except BadArchive as e:
        what = str(e).removeprefix(f"{archive}: ")
        todo = "pack the folder of predictions again, maps stored as they are, with nothing else in it"
        return Submission(archive.name, problems=(Problem(archive.name, "", what, todo),))
    return _folder(into, archive.name)


def _member_problems(members: list[Member]) -> Iterator[Problem]:
    for member in members:
        if hidden := unseen(member.path):
            yield Problem(member.path, "", f"its name holds the character {hidden}, which cannot be seen", "rename it")
        elif not member.info.flag_bits & 0x800 and not _is_utf8(member.info.orig_filename):
            yield Problem(member.path, "", "its name is not UTF-8", "pack it with a program that writes UTF-8 names")
        elif member.path.lower().endswith(_ARCHIVES):
            yield Problem(member.path, "", "is an archive in the archive", "pack the maps themselves")


def _is_utf8(name: str) -> bool:
    """Whether a name that Python read in the old code page was UTF-8; plain ASCII is."""
    try:
        name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return False
    return True


def _folder(folder: Path, name: str) -> Submission:
    """The predictions in this folder, or in the only folder in it, as many programs pack."""
    root = folder
    if not os.path.lexists(folder / DECLARATION):
        below = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
        below = [entry for entry in below if not is_clutter(entry.name)]
        if len(below) == 1 and os.path.lexists(below[0] / DECLARATION):
            root = below[0]
    files: list[str] = []
    problems: list[Problem] = []
    for path, fault in _walk(root):
        relative = path.relative_to(root).as_posix()
        if fault:
            problems.append(Problem(relative, "", *fault))
        elif not is_clutter(relative):
            files.append(relative)
        if len(files) + len(problems) > LIMITS.entries:
            problems.append(Problem(name, "", f"holds more than {LIMITS.entries:,} files", "hand in the maps alone"))
            break
    results = [] if os.path.lexists(root / DECLARATION) else _results(files)
    if results:
        more = f" and {len(results) - 1} more" if len(results) > 1 else ""
        what = f"this holds a result{more}, and no {DECLARATION}"
        todo = f"hand in {results[0]} itself, with its rows beside it"
        return Submission(name, problems=(Problem(name, "", what, todo),))
    return Submission(name, root, tuple(sorted(files)), None, tuple(capped(problems, name, "files that are refused")))


def _results(files: list[str]) -> list[str]:
    """Those files that are named as results with rows beside them are: `NAME.json` and `NAME.<digest>.parquet`."""
    named = {file.removesuffix(".parquet").rpartition(".")[0] for file in files if file.endswith(".parquet")}
    return sorted(file for file in files if file.endswith(".json") and file.removesuffix(".json") in named)


def _walk(root: Path) -> Iterator[tuple[Path, tuple[str, str] | None]]:
    """Every file below, with what is wrong with it and what to do; folders only if they are links or closed."""
    closed: list[OSError] = []
    for place, folders, names in os.walk(root, onerror=closed.append):
        for entry in sorted((*folders, *names)):
            path = Path(place, entry)
            if path.is_symlink():
                yield path, ("is a link", "put the file itself there")
            elif hidden := unseen(entry):
                yield path, (f"its name holds the character {hidden}, which cannot be seen", "rename it")
            elif entry in names:
                yield path, None if path.is_file() else ("is a device or another special file", "leave it out")
    for error in closed:
        yield Path(error.filename), (f"cannot be read ({error.strerror})", "let it be read")
