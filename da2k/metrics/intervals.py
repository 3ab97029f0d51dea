"""How sure an accuracy is, and whether one model is really better than another."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist


def wilson(successes: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), within [0, 1].

    Args:
        successes: 0 to `total`.
        total: at least 1.
        level: the interval's confidence, in (0, 1).

    Raises:
        ValueError: the counts or the level are out of range.

    >>> [round(x, 4) for x in wilson(2007, 2068)]
    [0.9623, 0.977]
    """
    if not 0 <= successes <= total or total == 0 or not 0 < level < 1:
        raise ValueError(f"no interval for {successes} of {total} at level {level}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    # At 0 and at `total` the bounds are exactly 0 and 1; rounding must not move them.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar test of two models on the same pairs (McNemar 1947, binomial form).

    Args:
        only_a: pairs that only the first model has right.
        only_b: pairs that only the second model has right.

    Returns:
        The p-value; 1 where the models never differ.

    >>> round(mcnemar_exact(20, 10), 3), round(mcnemar_exact(25, 10), 3)
    (0.099, 0.017)
    """
    if min(only_a, only_b) < 0:
        raise ValueError("counts are not negative")
    if only_a + only_b == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of several p-values for having tested them all (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected
