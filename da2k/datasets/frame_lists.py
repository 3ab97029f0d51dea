"""Lists of frames: text files with one frame a row, its files separated by white space."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from da2k.datasets.frame_formats import Fields, Format
from da2k.datasets.manifest import Dataset
from da2k.errors import BadInput
from da2k.files import sha256_file

NOT_MEASURED = "None"
"""What KITTI's Eigen list has in the place of a ground truth that was never made."""


def find_list(name: str, dataset: Dataset, folders: Sequence[Path]) -> Path:
    """The list of this name in the first of these folders that has the one which the data manifest pins.

    Raises:
        BadInput: the manifest pins none of this name, none is here, or those here have another SHA-256.
    """
    pinned = next((entry for entry in dataset.lists if entry.name == name), None)
    if pinned is None:
        known = ", ".join(entry.name for entry in dataset.lists) or "none"
        raise BadInput(f"the data manifest pins no list {name} of {dataset.id}, but {known}; give yours with --list")
    here = [folder / name for folder in folders if (folder / name).is_file()]
    for path in here:
        if sha256_file(path) == pinned.sha256:
            return path
    fetch = f"run: da2k data fetch {dataset.id} --lists"
    if here:
        raise BadInput(
            f"{here[0]}: is not the list that the data manifest pins (its SHA-256 is {sha256_file(here[0])[:12]}…, not "
            f"{pinned.sha256[:12]}…); {fetch}, or score it as your own with --list"
        )
    raise BadInput(f"{folders[0] / name}: the list of {dataset.id}'s frames is not here; {fetch}")


def read_rows(path: Path, form: Format) -> list[Fields]:
    """The rows of a list: for each the files that `form` wants, in the list's order. Empty lines are skipped.

    Raises:
        BadInput: the file is missing, is no text, has no rows, a row with too few or too many columns, a path that
            leads out of the folder, or an image twice; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no text file (UTF-8); a list has one frame a line") from None
    rows: dict[str, Fields] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = _fields(line.split(), form, f"{path}: line {number}")
        if fields[0] in rows:
            raise BadInput(f"{path}: line {number}: {fields[0]} stands in the list already; an image counts once")
        rows[fields[0]] = fields
    if not rows:
        raise BadInput(f"{path}: has no rows; a list has one frame a line")
    return list(rows.values())


def _fields(words: list[str], form: Format, where: str) -> Fields:
    wanted = len(form.columns)
    if not wanted <= len(words) <= wanted + form.spare:
        raise BadInput(f"{where}: has {len(words)} columns; a row of this dataset is: {', '.join(form.columns)}")
    for word in words[:wanted]:
        path = PurePosixPath(word)
        if path.is_absolute() or ".." in path.parts or any(c in word for c in "\\:\0"):
            raise BadInput(f"{where}: {word!r} is no path below the root, with / between folders")
    return tuple(words[:wanted])
