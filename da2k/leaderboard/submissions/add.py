"""A checked submission becomes a row of the board; a row that is there is never overwritten."""

from pathlib import Path

from da2k.datasets.disk import locked, no_empty_folders
from da2k.errors import BadInput
from da2k.files import write_atomically, write_text
from da2k.leaderboard.board import RESULTS, read_row
from da2k.leaderboard.rows import Row
from da2k.leaderboard.submissions.check import Checked

_WAIT = 60.0


def add_submission(checked: Checked, board: str | Path) -> Path:
    """Write the row and the file of its pairs.

    The pairs are written first: a row that is there has them. Killed in between, the next try writes the same.

    Args:
        checked: what `check_submission` found.
        board: the folder of the board; it is made if it is not there.

    Returns:
        The row's file, `results/<model>/<revision>/<benchmark>@<release>.json` in the board.

    Raises:
        BadInput: the submission has problems; there is a row already, the message says of what; or the board cannot
            be written to.
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
        if path.exists() or path.is_symlink():
            raise BadInput(f"{path}: {_what_is_there(path, row, text)}")
        write_atomically(folder / row.result.rows.file, lambda f: f.write(checked.pairs))
        write_text(path, text)
    return path


def _what_is_there(path: Path, row: Row, text: str) -> str:
    """What holds the place of a row, and what to do."""
    try:
        if path.read_bytes() == text.encode():
            return "this very submission is on the board already; nothing is to be done"
        held = read_row(path)
    except (BadInput, OSError):
        return "is there already and is no row; look at it, then move it away"
    ours, theirs = row.result, held.result
    if theirs.model.name != ours.model.name:
        return f'is the place of "{theirs.model.name}" too; choose a name that differs in its letters and digits'
    if theirs.benchmark.digest != ours.benchmark.digest:
        return "holds a row on other labels of the same name and revision; give the release its own revision"
    scored = f"{theirs.counts.correct} of {theirs.counts.total} correct"
    revision = f"revision {theirs.model.revision}" if theirs.model.revision else "no revision"
    return (
        f'holds another row of "{theirs.model.name}", {revision}, {scored} (this one: {ours.counts.correct}); '
        "a row is never overwritten: hand other weights in with a revision of their own, or remove the row first"
    )
