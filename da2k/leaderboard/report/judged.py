"""The per-pair rows of a result as arrays, once they have been checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.da2k import Benchmark
from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.evaluation.rows import COLUMNS, read_checked_rows
from da2k.metrics.ordering import Outcome
from da2k.results import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """Pairs and what became of them; N of each, in the order of the rows.

    Attributes:
        pair, image, scenario: text.
        closer, farther: int64 [N, 2], (row, col): the point that is closer in truth, and the other.
        value_closer, value_farther: float64 [N], the map's values there, raw; not finite where there is no answer.
        outcome: of `da2k.metrics.ordering.Outcome`, as text.
        kind: what the values mean; None if nothing was answered, or in maps of several kinds.
    """

    pair: NDArray[np.object_]
    image: NDArray[np.object_]
    scenario: NDArray[np.object_]
    closer: NDArray[np.int64]
    farther: NDArray[np.int64]
    value_closer: NDArray[np.float64]
    value_farther: NDArray[np.float64]
    outcome: NDArray[np.object_]
    kind: DepthKind | None

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """bool [N]: tied, invalid and missing pairs are not correct."""
        return np.isin(self.outcome, (Outcome.CORRECT,))

    @property
    def answered(self) -> NDArray[np.bool_]:
        """bool [N]: there are two finite values."""
        return np.isin(self.outcome, (Outcome.CORRECT, Outcome.WRONG, Outcome.TIED))


def read_judged(result: Result, path: Path) -> JudgedPairs:
    """The rows of the result at `path`.

    Raises:
        BadInput: they are missing, damaged, contradict themselves, or the result does not follow from them.
    """
    rows = read_checked_rows(result, path)
    _require_types(rows, path)
    kinds = {str(kind) for kind in rows["kind"].dropna()}
    return JudgedPairs(
        pair=_text(rows, "pair"),
        image=_text(rows, "image"),
        scenario=_text(rows, "scenario"),
        closer=rows[["closer_row", "closer_col"]].to_numpy(np.int64),
        farther=rows[["farther_row", "farther_col"]].to_numpy(np.int64),
        value_closer=rows["value_closer"].to_numpy(np.float64),
        value_farther=rows["value_farther"].to_numpy(np.float64),
        outcome=_text(rows, "outcome"),
        kind=DepthKind.parse(min(kinds), f"{path}: its rows: ") if len(kinds) == 1 else None,
    )


def require_benchmark(judged: JudgedPairs, result: Result, benchmark: Benchmark, path: Path) -> None:
    """Check that this is the benchmark of the result, pair by pair.

    Raises:
        BadInput: its labels are others, or the rows are not those of its pairs.
    """
    if benchmark.digest != result.benchmark.digest:
        raise BadInput(
            f"{benchmark.root}: its labels are not those that {path} was scored on ({result.benchmark.name}, field "
            "benchmark.digest); give that benchmark, or leave --benchmark out"
        )
    labelled = sorted((p.id, p.image, tuple(p.closer_point), tuple(p.farther_point)) for p in benchmark.pairs)
    points = zip(map(tuple, judged.closer.tolist()), map(tuple, judged.farther.tolist()), strict=True)
    scored = sorted(
        (pair, image, closer, farther)
        for pair, image, (closer, farther) in zip(judged.pair, judged.image, points, strict=True)
    )
    if labelled != scored:
        raise BadInput(f"{path}: its rows are not the pairs of {benchmark.root}; evaluate the model again")


def _require_types(rows: "pd.DataFrame", path: Path) -> None:
    wanted = {"int32": "iu", "float64": "f"}
    for name, column in COLUMNS.items():
        if column in wanted and rows[name].dtype.kind not in wanted[column]:
            raise BadInput(f"{path}: column {name} of its rows is {rows[name].dtype}; evaluate the model again")
        if name != "kind" and column == "string" and not rows[name].map(lambda text: isinstance(text, str)).all():
            raise BadInput(f"{path}: column {name} of its rows holds something else than text; evaluate again")


def _text(rows: "pd.DataFrame", name: str) -> NDArray[np.object_]:
    return np.array([str(text) for text in rows[name]], dtype=object)
