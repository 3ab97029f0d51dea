"""Lists of frames: text files with one frame a row, its files separated by white space."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from da2k.datasets.frame_formats import Fields, Format
from da2k.datasets.manifest import Dataset
from da2k.errors import BadInput
from da2k.files import sha256_file

NOT_MEASURED = "None"
"""What KITTI's Eigen list has in the place of a ground truth that was never made."""

_SIGNS = {
    "kitti": "/proj_depth/",
    "nyu": "sync_depth_",
    "sintel": ".dpt",
    "eth3d": "/dslr_images",
    "diode": "_depth.npy",
}
"""What stands in every row of a dataset's published list, and in no row of another's."""


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


def read_rows(path: Path, form: Format, dataset: str) -> list[Fields]:
    """The rows of a list: for each the files that `form` wants, in the list's order. Empty lines are skipped.

    Raises:
        BadInput: the file is missing, is no text, has no rows, a row with too few or too many columns, a path that
            leads out of the folder, or a frame twice; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no text file (UTF-8); a list has one frame a line") from None
    rows: list[Fields] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = _fields(line.split(), form, dataset, f"{path}: line {number}")
        key = form.key(fields)
        former, image = seen.setdefault(key, (number, fields[0]))
        if former != number:
            both = "" if image == fields[0] else f" (both are {key})"
            raise BadInput(
                f"{path}: line {number}: {fields[0]} stands in the list already, in line {former}{both}; "
                "a frame counts once"
            )
        rows.append(fields)
    if not rows:
        raise BadInput(f"{path}: has no rows; a list has one frame a line")
    return rows


def other_dataset(row: Sequence[str], dataset: str) -> str | None:
    """The dataset that a row's paths look like, if it is another one.

    >>> other_dataset(["bathroom/rgb_00045.jpg", "bathroom/sync_depth_00045.png"], "kitti")
    'nyu'
    """
    found = next((name for name, sign in _SIGNS.items() if any(sign in path for path in row)), None)
    return None if found == dataset else found


def _fields(words: list[str], form: Format, dataset: str, where: str) -> Fields:
    wanted = len(form.columns)
    if not wanted <= len(words) <= wanted + form.spare:
        other = other_dataset(words, dataset)
        columns, looks = ", ".join(form.columns), f", and this one looks like {other}'s" if other else ""
        count = f"{len(words)} column{'s' * (len(words) != 1)}"
        raise BadInput(f"{where}: has {count}; a row of this dataset is: {columns}{looks}; check --list")
    for word in words[:wanted]:
        path = PurePosixPath(word)
        if path.is_absolute() or ".." in path.parts or any(c in word for c in "\\:\0"):
            raise BadInput(f"{where}: {word!r} is no path below the root, with / between folders")
    # "./a.png" and "a//b.png" are the files that "a.png" and "a/b.png" are.
    return tuple(str(PurePosixPath(word)) for word in words[:wanted])
