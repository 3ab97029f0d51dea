"""The board on disk: one row a file, `results/<model>/<revision>/<benchmark>@<release>+<protocol>.json`.

Its per-pair rows lie beside it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from da2k.errors import BadInput
from da2k.evaluation.rows import read_checked_rows
from da2k.leaderboard.rows import Row
from da2k.leaderboard.text import shown
from da2k.metrics.ordering import Outcome
from da2k.pairs import scenario_order

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results"
"""The folder of the rows in the board's."""
OUTCOMES = tuple(Outcome)
"""What the numbers in `Placed.outcomes` stand for."""
_LARGEST = 5_000_000
_POINTS = ["closer_row", "closer_col", "farther_row", "farther_col"]


@dataclass(frozen=True, eq=False)
class Placed:
    """A row that lies on the board, and what is needed of its per-pair rows.

    Attributes:
        row: the row.
        path: its file.
        outcomes: uint8 [pairs], indices in `OUTCOMES`, in the order of the pairs' names and points.
        pairs_digest: SHA-256 over those names and points; equal for rows on the same pairs.
    """

    row: Row
    path: Path
    outcomes: NDArray[np.uint8]
    pairs_digest: str

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
        counts = self.rows[0].row.result.scenarios
        return {name: counts[name].total for name in sorted(counts, key=scenario_order)}


def read_board(board: Path) -> list[Release]:
    """All rows of a board, by release; the release with most rows first. A board without rows gives none.

    Raises:
        BadInput: a file is no row, lies in another place than its content says, or does not follow from its per-pair
            rows; the message names file and field.
    """
    groups: dict[tuple[str, str], list[Placed]] = {}
    names: dict[str, Placed] = {}
    for path in sorted((board / RESULTS).glob("*/*/*.json")):
        each = read_placed(path)
        _require_place(each, board)
        result = each.row.result
        other = names.setdefault(each.key, each)
        if other.row.result.model.name != result.model.name:
            raise BadInput(f"{path}: its model and that of {other.path} would share a page; give one another name")
        groups.setdefault((result.benchmark.digest, result.protocol.digest), []).append(each)
    releases = [_release(rows) for rows in groups.values()]
    return sorted(releases, key=lambda release: (-len(release.rows), release.name, release.revision or release.digest))


def read_placed(path: Path) -> Placed:
    """Read a row's file, and the file of its per-pair rows once.

    Raises:
        BadInput: one of them is missing or damaged, or the row does not follow from its per-pair rows.
    """
    if path.resolve() != path.parent.resolve() / path.name or path.parents[1].is_symlink() or path.parent.is_symlink():
        raise BadInput(f"{path}: leads elsewhere; a board holds plain files and folders")
    row = read_row(path)
    rows = read_checked_rows(row.result, path)
    try:
        # A pair may be labelled twice; its points then tell the labels apart.
        if not (rows["pair"].is_monotonic_increasing and rows["pair"].is_unique):
            rows = rows.sort_values(["pair", *_POINTS])
        digest = _pairs_digest(rows)
    except (TypeError, ValueError):
        raise BadInput(f"{path}: its per-pair rows name pairs or points otherwise than da2k evaluate does") from None
    number = {outcome: index for index, outcome in enumerate(OUTCOMES)}
    return Placed(row, path, np.array([number[outcome] for outcome in rows["outcome"]], dtype=np.uint8), digest)


def read_row(path: Path) -> Row:
    """Read a row's file.

    Raises:
        BadInput: it is missing or no row; the message names the field.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise BadInput(f"{path}: has more than {_LARGEST:,} bytes, and is no row")
        return Row.model_validate_json(path.read_bytes())
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise BadInput(f"{path}: {shown(field)}: {first['msg'].removeprefix('Value error, ')}") from None


def _pairs_digest(rows: "pd.DataFrame") -> str:
    """SHA-256 over the names and points of pairs, in their order; ids in JSON, so that none runs into the next."""
    digest = hashlib.sha256(json.dumps(rows["pair"].tolist()).encode())
    digest.update(rows[_POINTS].to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()


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
