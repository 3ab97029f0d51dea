"""The per-pair rows that come with a result: read without trust, then held against labels and counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from da2k.datasets.da2k import Benchmark
from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.files import sha256_file
from da2k.leaderboard.submissions.problems import Problem, capped
from da2k.leaderboard.submissions.rows_reader import AGAIN, RowList, read_apart
from da2k.metrics.ordering import Outcome, count_outcomes, order_outcomes
from da2k.pairs import Pair
from da2k.results import Counts, Rows

ROWS_BYTES = 1 << 24
"""The largest file of rows; those of DA-2K have 0.1 MB."""
_UNJUDGED = (Outcome.INVALID, Outcome.MISSING)


def read_pair_rows(stated: Rows, result: Path, pairs: int) -> tuple[RowList | None, list[Problem]]:
    """The rows that a result names, one mapping a row, or None and why they cannot be read.

    The file is read in a process of its own; see `da2k.leaderboard.submissions.rows_reader`.
    """
    path, name = result.with_name(stated.file), stated.file
    if path.is_symlink() or not path.is_file():
        return None, [Problem(name, "", "is not there as a file", "put it beside the result")]
    try:
        if path.stat().st_size > ROWS_BYTES:
            return None, [Problem(name, "", f"has more than the {ROWS_BYTES:,} bytes that are read", AGAIN)]
        if sha256_file(path) != stated.sha256:
            what = f"is not the file that the result was written with (rows.sha256 is {stated.sha256[:12]}…)"
            return None, [Problem(name, "", what, "hand in the file that was written with it")]
        return read_apart(path, pairs)
    except (BadInput, OSError) as e:
        return None, [Problem(name, "", str(e).removeprefix(f"{path}: "), AGAIN)]


def row_problems(rows: RowList, benchmark: Benchmark, name: str) -> list[Problem]:
    """Whether the rows are those of the benchmark's pairs, and their outcomes follow from their values."""
    ids = Counter(row["pair"] for row in rows)
    labels = Counter(pair.id for pair in benchmark.pairs)
    found = [
        *_listed((i for i in ids if i in labels and ids[i] > labels[i]), "stands too often", "repeated pairs", name),
        *_listed((i for i in ids if i not in labels), f"is no pair of {benchmark.name}", "unknown pairs", name),
        *_listed((i for i in labels if ids[i] < labels[i]), "has no row", "pairs without a row", name),
    ]
    if not found:
        found += capped(_unlike_labels(rows, benchmark.pairs, name), name, "rows unlike the labels")
    found += capped(_unlike_values(rows, name), name, "outcomes that do not follow")
    return found


def count_problems(rows: RowList, scenarios: Mapping[str, Counts | None], file: str) -> Iterator[Problem]:
    """Where the counts of a scenario are not those of its rows; None for those that are told to be wrong already."""
    outcomes: dict[str, list[Outcome]] = {}
    for row in rows:
        if row["outcome"] in set(Outcome):
            outcomes.setdefault(str(row["scenario"]), []).append(Outcome(row["outcome"]))
    for name in sorted({*outcomes, *scenarios}):
        counted = count_outcomes(outcomes.get(name, []))
        if name not in scenarios:
            yield Problem(file, f"scenarios.{name}", f"is missing, and {counted.total} rows are of it", AGAIN)
            continue
        for field in Counts.model_fields if scenarios[name] is not None else ():
            stated, follows = getattr(scenarios[name], field), getattr(counted, field)
            if stated != follows:
                yield Problem(file, f"scenarios.{name}.{field}", f"is {stated}, and the rows give {follows}", AGAIN)


def _listed(ids: Iterable[str], what: str, sort: str, name: str) -> Iterator[Problem]:
    return capped((Problem(name, "pair", f'"{each}" {what}', AGAIN) for each in sorted(ids)), name, sort)


def _unlike_labels(rows: RowList, pairs: Iterable[Pair], name: str) -> Iterator[Problem]:
    stated = sorted(rows, key=lambda row: (row["pair"], row["closer_row"], row["closer_col"]))
    labels = sorted(pairs, key=lambda pair: (pair.id, pair.closer_point))
    for row, pair in zip(stated, labels, strict=True):
        expected: dict[str, object] = {"image": pair.image, "scenario": pair.scenario}
        expected |= {"closer_row": pair.closer_point.row, "closer_col": pair.closer_point.col}
        expected |= {"farther_row": pair.farther_point.row, "farther_col": pair.farther_point.col}
        for column, value in expected.items():
            if row[column] != value:
                yield Problem(name, column, f'of "{pair.id}" is {row[column]}, and the label says {value}', AGAIN)


def _unlike_values(rows: RowList, name: str) -> Iterator[Problem]:
    for row in rows:
        kind, outcome, values = row["kind"], row["outcome"], (row["value_closer"], row["value_farther"])
        if outcome not in set(Outcome):
            yield Problem(name, "outcome", f'of "{row["pair"]}" is "{outcome}"', f"is one of {', '.join(Outcome)}")
        elif kind is not None and kind not in set(DepthKind):
            yield Problem(name, "kind", f'of "{row["pair"]}" is "{kind}"', f"is one of {', '.join(DepthKind)}")
        elif kind is None:
            if outcome not in _UNJUDGED or any(value == value for value in values):
                what = f'of "{row["pair"]}" is "{outcome}" with values {values}, without a kind of map'
                yield Problem(name, "outcome", what, AGAIN)
        else:
            (follows,) = order_outcomes([values[0]], [values[1]], DepthKind(kind))
            if follows != outcome:
                what = f'of "{row["pair"]}" is {outcome}, and {values[0]} closer, {values[1]} farther give {follows}'
                yield Problem(name, "outcome", what, AGAIN)
