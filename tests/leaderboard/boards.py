"""Boards of made-up outcomes, written as `da2k evaluate` and `da2k leaderboard add` write them."""

import hashlib

import numpy as np

from da2k.evaluation.rows import COLUMNS
from da2k.evaluation.saving import save_result
from da2k.leaderboard.board import RESULTS, Placed, Release, read_board, read_placed
from da2k.leaderboard.rows import Row
from da2k.metrics.ordering import Outcome, count_outcomes, summarise
from da2k.pairs import scenario_order
from da2k.results import BenchmarkRecord, ModelRecord, ProtocolRecord, Result, Run

SHORT = {"c": "correct", "w": "wrong", "t": "tied", "i": "invalid", "m": "missing"}


def release_of(board, outcomes, **options) -> Release:
    """A board whose only release holds these models: {name: string of c, w, t, i and m, one a pair}."""
    for name, letters in outcomes.items():
        write_row(board, name, letters, **options)
    [release] = read_board(board)
    return release


def write_row(
    board,
    name,
    letters,
    *,
    benchmark="bench",
    revision="r1",
    scenarios=("indoor", "outdoor"),
    order=None,
    model=(),
    row=(),
) -> Placed:
    """One row and its pairs. `order`: of the rows in the file; `model`, `row`: more fields of the two."""
    table = [_pair(i, SHORT[letter], scenarios[i % len(scenarios)]) for i, letter in enumerate(letters)]
    by_scenario = {
        scenario: count_outcomes(Outcome(each["outcome"]) for each in table if each["scenario"] == scenario)
        for scenario in sorted({each["scenario"] for each in table}, key=scenario_order)
    }
    counts, accuracy, each_scenario = summarise(by_scenario)
    fields = {"name": name, "spec": f"predictions:{name}", "kind": "affine_disparity"} | dict(model)
    result = Result(
        schema_version=1,
        benchmark=BenchmarkRecord(
            name=benchmark, revision=revision, digest=digest(benchmark, len(letters)), images=1, pairs=len(letters)
        ),
        protocol=ProtocolRecord(name="da2k", digest=digest("protocol")),
        model=ModelRecord.model_validate(fields, strict=False),
        run=Run(
            da2k_version="1.0",
            commit=None,
            python="3.11",
            packages={},
            device="cpu",
            dtype="float32",
            seed=None,
            started="2026-01-02T03:04:05+00:00",
            seconds=1.0,
            images_per_second=2.5,
        ),
        counts=counts,
        accuracy=accuracy,
        scenarios=each_scenario,
    )
    draft = board / "draft.json"
    saved = save_result(result, table if order is None else [table[i] for i in order], COLUMNS, draft)
    placed = Row(schema_version=1, result=saved, rescored=True, **dict(row))
    folder = board / RESULTS / placed.place[0] / placed.place[1]
    folder.mkdir(parents=True)
    path = folder / f"{placed.place[2]}.json"
    draft.with_name(saved.rows.file).rename(folder / saved.rows.file)
    draft.unlink()
    path.write_text(placed.model_dump_json(indent=1) + "\n")
    return read_placed(path)


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _pair(i, outcome, scenario):
    failed = outcome in ("invalid", "missing")
    values = {"correct": (2.0, 1.0), "wrong": (1.0, 2.0), "tied": (1.0, 1.0)}.get(outcome, (np.nan, np.nan))
    return {
        "pair": f"images/{scenario}/a.png#0,{i}-1,{i}",
        "image": f"images/{scenario}/a.png",
        "scenario": scenario,
        "closer_row": 0,
        "closer_col": i,
        "farther_row": 1,
        "farther_col": i,
        "value_closer": values[0],
        "value_farther": values[1],
        "kind": None if failed else "affine_disparity",
        "outcome": outcome,
    }
