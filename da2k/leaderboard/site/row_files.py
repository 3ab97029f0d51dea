"""The rows' own files in the site: who doubts a number can count again."""

from collections.abc import Iterable
from pathlib import Path
from shutil import copyfile

from da2k.leaderboard.board import Placed, Release

ROWS = "data/rows"
"""Where they lie in the site, a folder for each model and revision."""


def files(placed: Placed) -> list[tuple[str, str]]:
    """The names of a row's two files, and what they are."""
    rows = placed.row.result.rows
    assert rows is not None  # a row without per-pair rows is none
    return [(placed.path.name, "row, JSON"), (rows.file, "per-pair rows, Parquet")]


def copy_rows(releases: Iterable[Release], site: Path) -> None:
    """Copy each row and its per-pair rows, byte by byte."""
    for placed in (placed for release in releases for placed in release.rows):
        folder = site / ROWS / placed.key
        folder.mkdir(parents=True, exist_ok=True)
        for name, _ in files(placed):
            copyfile(placed.path.with_name(name), folder / name)
