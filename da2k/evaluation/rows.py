"""One row a pair: the table behind a result, in Parquet."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.evaluation.comparable import require_from_rows
from da2k.evaluation.readings import ImageReading
from da2k.evaluation.saving import read_table
from da2k.metrics.ordering import Outcome, count_outcomes, order_outcomes, summarise
from da2k.pairs import Pair
from da2k.results import Result

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "pair": "string",
    "image": "string",
    "scenario": "string",
    "closer_row": "int32",
    "closer_col": "int32",
    "farther_row": "int32",
    "farther_col": "int32",
    "value_closer": "float64",
    "value_farther": "float64",
    "kind": "string",
    "outcome": "string",
}
"""The columns. `value_closer` and `value_farther` are the map's values, raw, at the two points; NaN where the image
failed; `outcome` is one of `da2k.metrics.ordering.Outcome`."""


class JudgedImage(NamedTuple):
    """What was read for one image, its pairs, and their outcomes in the same order."""

    reading: ImageReading
    pairs: tuple[Pair, ...]
    outcomes: list[Outcome]


def judge(reading: ImageReading) -> list[Outcome]:
    """The outcomes of one image's pairs."""
    if reading.kind is None:
        return [Outcome.MISSING if reading.missing else Outcome.INVALID] * len(reading.closer)
    return order_outcomes(reading.closer, reading.farther, reading.kind)


def make_rows(judged: Iterable[JudgedImage]) -> list[dict[str, Any]]:
    """Rows sorted by pair, so that the order of a label file, or of its points, changes nothing."""
    rows = [
        {
            "pair": pair.id,
            "image": pair.image,
            "scenario": pair.scenario,
            "closer_row": pair.closer_point.row,
            "closer_col": pair.closer_point.col,
            "farther_row": pair.farther_point.row,
            "farther_col": pair.farther_point.col,
            "value_closer": float(reading.closer[i]),
            "value_farther": float(reading.farther[i]),
            "kind": reading.kind,
            "outcome": str(outcomes[i]),
        }
        for reading, pairs, outcomes in judged
        for i, pair in enumerate(pairs)
    ]
    return sorted(rows, key=lambda row: (row["pair"], row["closer_row"], row["closer_col"]))


def read_rows(result: Result, path: Path) -> "pd.DataFrame":
    """The rows of the result at `path`.

    Raises:
        BadInput: the result has no rows, their file is missing or is not the one the result names, or they are no
            rows of pairs.
    """
    rows = read_table(result, path, COLUMNS)
    unknown = set(rows["outcome"]) - set(Outcome)
    if unknown:
        raise BadInput(f"{path}: its rows have an outcome {min(map(str, unknown))}; evaluate the model again")
    return rows


def read_checked_rows(result: Result, file: Path) -> "pd.DataFrame":
    """The rows of a result that follows from them, in their own order, which is the same for the same labels.

    Raises:
        BadInput: as for `read_rows`; an outcome does not follow from its two values; or a field of the result does
            not follow from its rows.
    """
    rows = read_rows(result, file)
    _require_outcomes(rows, file)
    outcomes = rows.groupby("scenario")["outcome"]
    counts = {str(name): count_outcomes(Outcome(outcome) for outcome in part) for name, part in outcomes}
    overall, accuracy, scenarios = summarise(counts, result.accuracy.level)
    kinds = set(rows["kind"].dropna())
    fields = (
        ("counts", result.counts, overall),
        ("scenarios", result.scenarios, scenarios),
        ("accuracy.macro", result.accuracy.macro, accuracy.macro),
        ("accuracy.interval", result.accuracy.interval, accuracy.interval),
        ("model.kind", {result.model.kind} if result.model.kind and kinds else kinds, kinds),
    )
    require_from_rows(file, fields)
    return rows


def _require_outcomes(rows: "pd.DataFrame", file: Path) -> None:
    """Check that each outcome is that of its values; a pair without a map is invalid or missing."""
    unjudged = rows["kind"].isna() & rows["outcome"].isin((Outcome.INVALID, Outcome.MISSING))
    expected = rows["outcome"].where(unjudged)
    for kind in rows["kind"].dropna().unique():
        some = rows["kind"] == kind
        try:
            closer, farther = (rows.loc[some, name].to_numpy(float) for name in ("value_closer", "value_farther"))
        except (TypeError, ValueError):
            raise BadInput(f"{file}: values of its rows are no numbers; evaluate the model again") from None
        expected[some] = [
            str(outcome) for outcome in order_outcomes(closer, farther, DepthKind.parse(str(kind), f"{file}: "))
        ]
    wrong = rows.index[(expected != rows["outcome"]).to_numpy()]
    if len(wrong):
        pair, said, found = rows.loc[wrong[0], "pair"], rows.loc[wrong[0], "outcome"], expected.loc[wrong[0]]
        raise BadInput(
            f"{file}: its rows say {said} of pair {pair!r}, and the values there say "
            f"{'that there is no map' if found != found else found}; evaluate the model again"
        )
