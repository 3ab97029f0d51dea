"""The board on disk: one row a file, `results/<model>/<revision>/<benchmark>@<release>.json`, its pairs beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from da2k.errors import BadInput
from da2k.evaluation.rows import read_checked_rows
from da2k.leaderboard.rows import Row

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results"
"""The folder of the rows in the board's."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A row that lies on the board.

    Attributes:
        row: the row.
        path: its file.
    """

    row: Row
    path: Path

    @property
    def key(self) -> str:
        """What names it on the board and in addresses of pages: model and revision."""
        model, revision, _ = self.row.place
        return model if revision == "unversioned" else f"{model}--{revision}"


@dataclass(frozen=True, eq=False)
class Release:
    """The rows of one release of one benchmark: only these may be compared with each other.

    Attributes:
        name, revision: of the benchmark.
        digest: over its labels.
        protocol: its name.
        protocol_digest: over its choices.
        rows: the best overall accuracy first, then by name.
    """

    name: str
    revision: str | None
    digest: str
    protocol: str
    protocol_digest: str
    rows: tuple[Placed, ...]

    @property
    def title(self) -> str:
        """The benchmark and its revision, or the start of its digest."""
        return f"{self.name}, revision {self.revision or self.digest[:12]}"

    @property
    def scenarios(self) -> Mapping[str, int]:
        """The scenarios in the order of results, and how many pairs each has."""
        return {name: counts.total for name, counts in self.rows[0].row.result.scenarios.items()}


def read_board(board: Path) -> list[Release]:
    """All rows of a board, by release; the release with most rows first. A board without rows gives none.

    Raises:
        BadInput: a file is no row, lies in another place than its content says, or does not follow from its per-pair
            rows; the message names file and field.
    """
    placed = [Placed(read_row(path), path) for path in sorted((board / RESULTS).glob("*/*/*.json"))]
    for each in placed:
        _require_place(each, board)
        read_outcomes(each)
    groups: dict[tuple[str, str], list[Placed]] = {}
    for each in placed:
        result = each.row.result
        groups.setdefault((result.benchmark.digest, result.protocol.digest), []).append(each)
    releases = [_release(rows) for rows in groups.values()]
    return sorted(releases, key=lambda release: (-len(release.rows), release.name, release.revision or release.digest))


def read_row(path: Path) -> Row:
    """Read a row's file.

    Raises:
        BadInput: it is missing or no row; the message names the field.
    """
    try:
        return Row.model_validate_json(path.read_bytes())
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise BadInput(f"{path}: {field}: {first['msg'].removeprefix('Value error, ')}") from None


def read_outcomes(placed: Placed) -> "pd.DataFrame":
    """The per-pair rows of a row, checked against its counts.

    Raises:
        BadInput: they are missing, not those that the row names, or the row does not follow from them.
    """
    return read_checked_rows(placed.row.result, placed.path)


def _require_place(placed: Placed, board: Path) -> None:
    model, revision, stem = placed.row.place
    expected = board / RESULTS / model / revision / f"{stem}.json"
    if placed.path != expected:
        raise BadInput(f"{placed.path}: its content belongs to {expected.relative_to(board)}; move it there")


def _release(rows: Sequence[Placed]) -> Release:
    held: dict[str, Placed] = {}
    for each in rows:
        if each.key in held:
            raise BadInput(f"{each.path}: is the same model on the same labels as {held[each.key].path}; keep one")
        held[each.key] = each
    best_first = sorted(rows, key=lambda each: (-each.row.result.counts.correct, each.row.result.model.name, each.key))
    result = rows[0].row.result
    return Release(
        name=result.benchmark.name,
        revision=result.benchmark.revision,
        digest=result.benchmark.digest,
        protocol=result.protocol.name,
        protocol_digest=result.protocol.digest,
        rows=tuple(best_first),
    )
