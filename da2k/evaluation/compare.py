"""Is one model really better than another? Paired tests on the same pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from da2k.errors import BadInput
from da2k.evaluation.rows import read_rows
from da2k.metrics.intervals import holm, mcnemar_exact
from da2k.metrics.ordering import Outcome
from da2k.pairs import scenario_order
from da2k.results import Result, read_result

if TYPE_CHECKING:
    import pandas as pd

OVERALL = "overall"


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same pairs.

    Attributes:
        a, b: the models' names.
        scenario: the scenario, or "overall".
        pairs: number of pairs.
        accuracy_a, accuracy_b: shares in [0, 1]; tied, invalid and missing pairs are not correct.
        only_a, only_b: pairs that only this model has right.
        p: two-sided exact McNemar p-value.
        p_holm: for scenarios, p corrected for testing all of them (Holm); overall, p itself.
    """

    a: str
    b: str
    scenario: str
    pairs: int
    accuracy_a: float
    accuracy_b: float
    only_a: int
    only_b: int
    p: float
    p_holm: float

    @property
    def separable(self) -> bool:
        """Whether the difference is significant at 5 %."""
        return self.p_holm < 0.05


def compare(paths: Sequence[str | Path]) -> list[PairedTest]:
    """Test every two of some results against each other, overall and per scenario.

    Args:
        paths: two or more result files, with their rows beside them.

    Returns:
        For each two results, in the order given: the overall test, then one a scenario.

    Raises:
        BadInput: fewer than two results, a damaged one, or results of different benchmarks or protocols.
    """
    if len(paths) < 2:
        raise BadInput("a comparison needs two results or more")
    files = [Path(path) for path in paths]
    results = [read_result(file) for file in files]
    for file, result in zip(files[1:], results[1:], strict=True):
        _same_work(files[0], results[0], file, result)
    correct = [_correct(result, file) for result, file in zip(results, files, strict=True)]
    names = _names(results, files)
    return [
        test
        for i, j in combinations(range(len(files)), 2)
        for test in _test(names[i], names[j], correct[i], correct[j])
    ]


def _same_work(first_file: Path, first: Result, file: Path, result: Result) -> None:
    for what, ours, theirs in (
        ("benchmark", first.benchmark.digest, result.benchmark.digest),
        ("protocol", first.protocol.digest, result.protocol.digest),
    ):
        if ours != theirs:
            raise BadInput(
                f"{file}: field {what}.digest differs from that of {first_file}: the two were not scored on the same "
                f"{what}; evaluate both again"
            )


def _correct(result: Result, file: Path) -> "pd.DataFrame":
    """Whether each pair is correct, in the rows' own order, which is the same for the same labels."""
    rows = read_rows(result, file)
    if len(rows) != result.counts.total:
        raise BadInput(f"{file}: its rows are {len(rows)}, counts.total says {result.counts.total}")
    return rows.assign(correct=rows["outcome"] == Outcome.CORRECT)[["pair", "scenario", "correct"]]


def _names(results: Sequence[Result], files: Sequence[Path]) -> list[str]:
    names = [result.model.name for result in results]
    return names if len(set(names)) == len(names) else [str(file.with_suffix("")) for file in files]


def _test(a: str, b: str, rows_a: "pd.DataFrame", rows_b: "pd.DataFrame") -> list[PairedTest]:
    if list(rows_a["pair"]) != list(rows_b["pair"]):
        raise BadInput(f"the rows of {a} and {b} name different pairs; evaluate both again")
    scenarios = sorted(rows_a["scenario"].unique(), key=scenario_order)
    counts = []
    for scenario in (OVERALL, *scenarios):
        chosen = rows_a["scenario"].eq(scenario).to_numpy() | (scenario == OVERALL)
        right_a, right_b = rows_a["correct"].to_numpy()[chosen], rows_b["correct"].to_numpy()[chosen]
        counts.append((scenario, right_a, right_b, int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())))
    p = [mcnemar_exact(only_a, only_b) for *_, only_a, only_b in counts]
    corrected = [p[0], *holm(p[1:])]
    return [
        PairedTest(a, b, scenario, len(ra), float(ra.mean()), float(rb.mean()), only_a, only_b, p[i], corrected[i])
        for i, (scenario, ra, rb, only_a, only_b) in enumerate(counts)
    ]
