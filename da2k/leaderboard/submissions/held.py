"""A place on the board that is taken: by what, and what to do."""

from io import BytesIO
from pathlib import Path
from typing import Any

from da2k.errors import BadInput
from da2k.evaluation.rows import read_checked_rows
from da2k.leaderboard.board import read_row
from da2k.leaderboard.rows import Row
from da2k.leaderboard.text import shown

_LISTED = 5
_REMOVE = "a row is never overwritten: remove the row first"


def what_is_there(path: Path, row: Row, pairs: bytes) -> str:
    """What holds the place of a row, and what to do.

    Args:
        path: of the row's file.
        row: that was to be written there.
        pairs: its Parquet file.
    """
    if path.is_symlink():
        return "is there already and is no row; look at it, then move it away"
    try:
        held = read_row(path)
        answers = _other_answers(held, path, pairs)
    except BadInput:
        return "is there already and is no row; look at it, then move it away"
    ours, theirs = row.result, held.result
    if theirs.model.name != ours.model.name:
        return f'is the place of "{theirs.model.name}" too; choose a name that differs in its letters and digits'
    if held.place != row.place:
        return f"holds a row that belongs to {'/'.join(held.place)}.json; move it there, then add this one"
    if theirs.protocol != ours.protocol:
        return f"holds a row by other rules ({_rules(held)}; this one: {_rules(row)}); {_REMOVE}"
    if theirs.benchmark.digest != ours.benchmark.digest:
        return "holds a row on other labels of the same name and revision; give the release its own revision"
    if not answers:
        return _fields_apart(held, row)
    revision = f"revision {theirs.model.revision}" if theirs.model.revision else "no revision"
    scored = f"{theirs.counts.correct} of {theirs.counts.total} correct (this one: {ours.counts.correct})"
    found = f'holds another row of "{theirs.model.name}", {revision}, {scored}'
    digest = ours.model.weights_digest
    if digest is not None and theirs.model.weights_digest == digest:
        return (
            f"{found}; the weights are the same ({digest[:12]}…), and the answers to {answers} pairs differ: find out "
            f"why; {_REMOVE}"
        )
    return f"{found}; hand other weights in with a revision of their own; {_REMOVE}"


def _other_answers(held: Row, path: Path, pairs: bytes) -> int:
    """On how many pairs the values or outcomes differ; all of them if the pairs do.

    Raises:
        BadInput: the rows that are there cannot be read.
    """
    import pandas as pd

    keys = ["pair", "closer_row", "closer_col"]
    # The same rows have other bytes where another version of Arrow wrote them, or stand in another order.
    theirs = read_checked_rows(held.result, path).sort_values(keys, ignore_index=True)
    ours = pd.read_parquet(BytesIO(pairs)).sort_values(keys, ignore_index=True)
    if len(theirs) != len(ours) or not theirs[keys].equals(ours[keys]):
        return len(ours)
    columns = ["outcome", "value_closer", "value_farther"]
    a, b = theirs[columns], ours[columns]
    return int(((a != b) & ~(a.isna() & b.isna())).any(axis=1).sum())


def _fields_apart(held: Row, row: Row) -> str:
    """Where two rows with the same answers differ."""
    apart = _differences(held.model_dump(mode="json"), row.model_dump(mode="json"))
    apart = [each for each in apart if not each.startswith("result.rows.")]
    if not apart:
        return "this very submission is on the board already; nothing is to be done"
    more = f" and {len(apart) - _LISTED} more" if len(apart) > _LISTED else ""
    return (
        f"holds this row with the same answers, but for {', '.join(apart[:_LISTED])}{more}; "
        "a row is never overwritten: mend that field there, or remove the row first"
    )


def _differences(there: Any, here: Any, field: str = "") -> list[str]:
    """The fields, with dots, whose values differ, each with both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            each
            for name in {**there, **here}
            for each in _differences(there.get(name), here.get(name), f"{field}.{name}" if field else name)
        ]
    return [] if there == here else [f"{shown(field, 60)} ({_value(there)} there, {_value(here)} here)"]


def _value(value: Any) -> str:
    return "none" if value is None else shown(f'"{value}"' if isinstance(value, str) else str(value), 60)


def _rules(row: Row) -> str:
    return f"{row.result.protocol.name} {row.result.protocol.digest[:12]}"
