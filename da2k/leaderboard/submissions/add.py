"""A checked submission becomes a row of the board; a row that is there is never overwritten."""

import os
from pathlib import Path

from da2k.datasets.disk import locked, no_empty_folders
from da2k.errors import BadInput
from da2k.files import write_atomically, write_text
from da2k.leaderboard.board import RESULTS
from da2k.leaderboard.submissions.check import Checked
from da2k.leaderboard.submissions.held import what_is_there

_WAIT = 60.0


def add_submission(checked: Checked, board: str | Path) -> Path:
    """Write the row and the file of its pairs.

    The pairs are written first: a row that is there has them. Killed in between, the next try writes the same.

    Args:
        checked: what `check_submission` found.
        board: the folder of the board; it is made if it is not there.

    Returns:
        The row's file, `results/<model>/<revision>/<benchmark>@<release>+<protocol>.json` in the board.

    Raises:
        BadInput: the submission has problems; there is a row already, the message says of what; or the board cannot
            be written to, or only through a link.
    """
    row = checked.row
    if row is None or row.result.rows is None:
        first = checked.problems[0] if checked.problems else "was not checked"
        more = f" (and {len(checked.problems) - 1} more)" if len(checked.problems) > 1 else ""
        raise BadInput(f"{checked.name}: not added: {first}{more}; see da2k leaderboard check")
    model, revision, stem = row.place
    folder = Path(board) / RESULTS / model / revision
    path = folder / f"{stem}.json"
    text = row.model_dump_json(indent=1) + "\n"
    with locked(Path(board) / RESULTS, wait=_WAIT), no_empty_folders(folder):
        _require_no_links(Path(board), folder)
        if path.exists() or path.is_symlink():
            raise BadInput(f"{path}: {what_is_there(path, row, checked.pairs)}")
        write_atomically(folder / row.result.rows.file, lambda f: f.write(checked.pairs))
        write_text(path, text)
    return path


def _require_no_links(board: Path, folder: Path) -> None:
    """Check that what is written into the folder stays in the board, where its path says.

    Raises:
        BadInput: the folder, or one above it in the board, is a link.
    """
    if Path(os.path.realpath(folder)) != Path(os.path.realpath(board)) / folder.relative_to(board):
        raise BadInput(f"{folder}: is a link, or lies behind one; put a folder there: a board is written to in itself")
