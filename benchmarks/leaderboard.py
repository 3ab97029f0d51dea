"""Building the site of a board with 200 rows of 2,068 pairs in eight scenarios."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import seconds
from da2k.depth import DepthKind
from da2k.evaluation.rows import COLUMNS
from da2k.evaluation.saving import save_result
from da2k.leaderboard.rows import Row
from da2k.leaderboard.site import build_site
from da2k.metrics.ordering import Outcome, count_outcomes, summarise
from da2k.pairs import SCENARIOS
from da2k.results import BenchmarkRecord, ModelRecord, ProtocolRecord, Result, Run

ROWS, PAIRS = 200, 2068
KINDS = (DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH, DepthKind.METRIC_DEPTH)


def write(board: Path) -> None:
    """Put models on the board that have 70 to 97 % of the pairs right, some of them in common."""
    rng = np.random.default_rng(0)
    hard = rng.random(PAIRS)
    for index in range(ROWS):
        skill = 0.97 - 0.27 * index / ROWS
        effort = hard + rng.random(PAIRS)
        right = effort < np.quantile(effort, skill)
        _place(board, index, [Outcome.CORRECT if each else Outcome.WRONG for each in right])


def run() -> None:
    """Print seconds and bytes."""
    with tempfile.TemporaryDirectory() as name:
        board, site = Path(name) / "board", Path(name) / "site"
        write(board)
        took = seconds(lambda: build_site(board, site))
        index = (site / "index.html").stat().st_size
        pages = sum(1 for _ in site.rglob("*.html"))
        whole = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    print(f"a site of {ROWS} rows x {len(SCENARIOS)} scenarios, {PAIRS:,} pairs each")
    print(f"  {took:.1f} s (goal: under 20 s); {pages} pages, {whole / 1e6:.1f} MB")
    print(f"  index.html {index / 1e6:.2f} MB (goal: under 1.5 MB)")


def _place(board: Path, index: int, outcomes: list[Outcome]) -> None:
    kind = KINDS[index % len(KINDS)]
    scenario = [SCENARIOS[pair % len(SCENARIOS)] for pair in range(PAIRS)]
    by_scenario = {
        name: count_outcomes(o for o, own in zip(outcomes, scenario, strict=True) if own == name)
        for name in sorted(SCENARIOS)
    }
    counts, accuracy, scenarios = summarise(by_scenario)
    result = Result(
        schema_version=1,
        benchmark=BenchmarkRecord(name="big", revision="2026.1", digest="a" * 64, images=1033, pairs=PAIRS),
        protocol=ProtocolRecord(name="da2k", digest="b" * 64),
        model=ModelRecord(
            name=f"Network {index:03}", spec="predictions:maps", kind=kind, parameters=10**6 * (index + 1)
        ),
        run=Run(
            da2k_version="0",
            commit=None,
            python="3",
            packages={},
            device=("cpu", "cuda")[index % 2],
            dtype="float32",
            seed=None,
            started="2026-01-01T00:00:00+00:00",
            seconds=1.0,
            images_per_second=200 / (index + 1),
        ),
        counts=counts,
        accuracy=accuracy,
        scenarios=scenarios,
    )
    rows = [
        {
            "pair": f"{pair:04}",
            "image": f"{pair // 2:04}.jpg",
            "scenario": scenario[pair],
            "closer_row": 1,
            "closer_col": pair,
            "farther_row": 2,
            "farther_col": pair,
            "value_closer": float(kind.larger_is_nearer is (outcomes[pair] is Outcome.CORRECT)),
            "value_farther": float(kind.larger_is_nearer is not (outcomes[pair] is Outcome.CORRECT)),
            "kind": str(kind),
            "outcome": str(outcomes[pair]),
        }
        for pair in range(PAIRS)
    ]
    path = board / "results" / f"network-{index:03}" / "unversioned" / "big@2026.1+bbbbbbbb.json"
    saved = save_result(result, rows, COLUMNS, path)
    row = Row(schema_version=1, result=saved, rescored=index % 3 > 0, licence=("MIT", "Apache-2.0", None)[index % 3])
    path.write_text(row.model_dump_json())
