"""Is one model really better than another? Paired tests on the same pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from da2k.errors import BadInput
from da2k.evaluation.comparable import name_models, read_comparable
from da2k.evaluation.rows import read_checked_rows
from da2k.metrics.intervals import holm, mcnemar_exact
from da2k.metrics.ordering import Outcome
from da2k.pairs import scenario_order
from da2k.results import Result

if TYPE_CHECKING:
    import pandas as pd

OVERALL = "overall"
_UNJUDGED = (Outcome.INVALID, Outcome.MISSING)


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same pairs.

    Attributes:
        a, b: the models' names.
        scenario: the scenario, or "overall".
        pairs: number of pairs.
        accuracy_a, accuracy_b: shares in [0, 1]; tied, invalid and missing pairs are not correct.
        only_a, only_b: pairs that only this model has right.
        unjudged_a, unjudged_b: pairs that are invalid or missing.
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
    unjudged_a: int
    unjudged_b: int
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
    results = read_comparable(paths, Result)
    rows = [read_checked_rows(result, file) for file, result in results.items()]
    names = name_models(results.values(), results)
    couples = combinations(range(len(rows)), 2)
    return [test for i, j in couples for test in _test(names[i], names[j], rows[i], rows[j])]


def _test(a: str, b: str, rows_a: "pd.DataFrame", rows_b: "pd.DataFrame") -> list[PairedTest]:
    if list(rows_a["pair"]) != list(rows_b["pair"]):
        raise BadInput(f"the rows of {a} and {b} name different pairs; evaluate both again")
    scenarios = sorted(rows_a["scenario"].unique(), key=scenario_order)
    tables = []
    for scenario in (None, *scenarios):
        chosen = rows_a["scenario"].eq(scenario).to_numpy() | (scenario is None)
        tables.append((scenario or OVERALL, rows_a["outcome"].to_numpy()[chosen], rows_b["outcome"].to_numpy()[chosen]))
    right = [(ours == Outcome.CORRECT, theirs == Outcome.CORRECT) for _, ours, theirs in tables]
    only = [(int((ours & ~theirs).sum()), int((theirs & ~ours).sum())) for ours, theirs in right]
    p = [mcnemar_exact(only_a, only_b) for only_a, only_b in only]
    corrected = [p[0], *holm(p[1:])]
    return [
        PairedTest(
            a=a,
            b=b,
            scenario=scenario,
            pairs=len(ours),
            accuracy_a=float(right[i][0].mean()),
            accuracy_b=float(right[i][1].mean()),
            only_a=only[i][0],
            only_b=only[i][1],
            unjudged_a=int(sum(outcome in _UNJUDGED for outcome in ours)),
            unjudged_b=int(sum(outcome in _UNJUDGED for outcome in theirs)),
            p=p[i],
            p_holm=corrected[i],
        )
        for i, (scenario, ours, theirs) in enumerate(tables)
    ]
