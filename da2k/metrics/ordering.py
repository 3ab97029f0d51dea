"""Did the map put the closer point closer?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from da2k.depth import DepthKind
from da2k.metrics.intervals import wilson
from da2k.results import Accuracy, Counts, Scenario


class Outcome(StrEnum):
    """What became of one pair. Only `correct` counts as correct; all five count in the denominator."""

    CORRECT = "correct"
    WRONG = "wrong"
    TIED = "tied"
    INVALID = "invalid"
    MISSING = "missing"


def order_outcomes(closer: ArrayLike, farther: ArrayLike, kind: DepthKind) -> list[Outcome]:
    """Judge pairs by the map's values at their two points.

    Args:
        closer: values at the points that are closer in truth, [N].
        farther: values at the other points, [N].
        kind: what the values mean; decides whether larger or smaller is nearer.

    Returns:
        For each pair: `correct` if the closer point is strictly nearer in the map, `tied` if the values are
        equal, `invalid` if either is NaN or infinite, else `wrong`.

    >>> [str(o) for o in order_outcomes([2, 1, 3, np.nan], [1, 2, 3, 0], DepthKind.AFFINE_DISPARITY)]
    ['correct', 'wrong', 'tied', 'invalid']
    """
    a, b = np.asarray(closer, np.float64), np.asarray(farther, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"one value a point is expected, but the shapes are {a.shape} and {b.shape}")
    nearer = a > b if kind.larger_is_nearer else a < b
    invalid = ~(np.isfinite(a) & np.isfinite(b))
    judged = np.select([invalid, nearer, a == b], [Outcome.INVALID, Outcome.CORRECT, Outcome.TIED], Outcome.WRONG)
    return [Outcome(str(outcome)) for outcome in judged]


def count_outcomes(outcomes: Iterable[Outcome]) -> Counts:
    """Count outcomes.

    >>> count_outcomes([Outcome.CORRECT, Outcome.TIED, Outcome.CORRECT]).correct
    2
    """
    found = Counter(outcomes)
    return Counts(total=found.total(), **{str(outcome): found[outcome] for outcome in Outcome})


def accuracy(counts: Counts) -> float:
    """correct / total: ties, failures and missing predictions are not correct.

    Raises:
        ValueError: there is no pair.

    >>> round(100 * accuracy(Counts(total=2068, correct=2007, wrong=61)), 1)
    97.1
    """
    if counts.total == 0:
        raise ValueError("an accuracy over no pairs is not defined")
    return counts.correct / counts.total


def summarise(scenarios: Mapping[str, Counts], level: float = 0.95) -> tuple[Counts, Accuracy, dict[str, Scenario]]:
    """Overall counts and accuracy, and each scenario's, from the counts of the scenarios.

    Overall accuracy is micro over pairs, as in the paper's tables; macro stands beside it.

    Raises:
        ValueError: there is no scenario, or one without pairs.
    """
    overall = Counts(**{field: sum(getattr(c, field) for c in scenarios.values()) for field in Counts.model_fields})
    each = {
        name: Scenario(
            **counts.model_dump(), accuracy=accuracy(counts), interval=wilson(counts.correct, counts.total, level)
        )
        for name, counts in scenarios.items()
    }
    summary = Accuracy(
        micro=accuracy(overall),
        macro=sum(s.accuracy for s in each.values()) / len(each),
        interval=wilson(overall.correct, overall.total, level),
        level=level,
    )
    return overall, summary, each
