"""A row of a board that is handed in or checked where it lies: what stands around its result, and its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from da2k.leaderboard.board import RESULTS
from da2k.leaderboard.published import FILE
from da2k.leaderboard.rows import Row
from da2k.leaderboard.submissions.problems import Problem


def is_row(content: Mapping[str, Any]) -> bool:
    """Whether a file was meant as a row: its result stands in it, not at its top."""
    return "result" in content and "benchmark" not in content


def below_result(problems: Sequence[Problem], file: str) -> list[Problem]:
    """Problems of a result, told of the file in which it stands at `result`; those of its rows' file stay."""
    return [
        replace(problem, field=f"result.{problem.field}") if problem.file == file and problem.field else problem
        for problem in problems
    ]


def place_problems(row: Row, file: Path) -> Iterator[Problem]:
    """Whether a row that lies on a board lies where its content belongs; a row may lie anywhere else."""
    model, revision, stem = row.place
    expected = Path(RESULTS, model, revision, f"{stem}.json")
    # Not resolved: a link in the place of a row is not the row.
    path = file.absolute()
    depth = next((n for n, above in enumerate(path.parents) if above.name == RESULTS), None)
    if depth is None or (depth != 2 and not path.parents[depth].with_name(FILE).exists()):
        return
    if path.relative_to(path.parents[depth].parent) != expected:
        yield Problem(file.name, "", f"its content belongs to {expected.as_posix()}", "move it there")
