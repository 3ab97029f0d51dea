"""What the models of a release made of its pairs, and the exact McNemar test of many couples of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadInput
from da2k.leaderboard.board import OUTCOMES, Placed, Release
from da2k.metrics.ordering import Outcome

FLOOR_PREFIX = "baseline:"
"""Begins the model strings of the baselines, which know nothing of depth."""
_RIGHT = OUTCOMES.index(Outcome.CORRECT)
_ANSWERED = [OUTCOMES.index(outcome) for outcome in (Outcome.CORRECT, Outcome.WRONG, Outcome.TIED)]


@dataclass(frozen=True, eq=False)
class Answers:
    """What the models of a release made of its pairs.

    Attributes:
        placed: the n models, in the order of the arrays' first axis: best overall accuracy first, then by name.
        right: bool [n, pairs]; the pair is correct.
        answered: bool [n, pairs]; the pair is correct, wrong or tied, and not invalid or missing.
    """

    placed: tuple[Placed, ...]
    right: NDArray[np.bool_]
    answered: NDArray[np.bool_]


def is_floor(placed: Placed) -> bool:
    """Whether the row is a baseline's."""
    return placed.row.result.model.spec.startswith(FLOOR_PREFIX)


def answers_of(release: Release) -> Answers:
    """What the models of a release, without the floors, made of its pairs.

    Raises:
        BadInput: the per-pair rows of a model name other pairs than the others' do.
    """
    models = sorted((each for each in release.rows if not is_floor(each)), key=best_first)
    for each in models:
        if each.pairs_digest != models[0].pairs_digest:
            raise BadInput(
                f"{each.path}: its per-pair rows name other pairs than {models[0].path}; evaluate both again"
            )
    table = np.stack([each.outcomes for each in models]) if models else np.empty((0, 0), dtype=np.uint8)
    return Answers(tuple(models), right=table == _RIGHT, answered=np.isin(table, _ANSWERED))


def mcnemar_exact_many(only_a: NDArray[np.int64], only_b: NDArray[np.int64]) -> NDArray[np.float64]:
    """`da2k.metrics.intervals.mcnemar_exact` of many couples at once: twice the smaller tail, and at most 1.

    Args:
        only_a, only_b: [N], pairs that only one of the two has right.

    Returns:
        float64 [N]; 1 where the two never differ.
    """
    from scipy.stats import binom

    smaller, both = np.minimum(only_a, only_b), only_a + only_b
    return np.minimum(1.0, 2.0 * np.asarray(binom.cdf(smaller, both, 0.5), dtype=np.float64))


@dataclass(frozen=True)
class AgainstLeader:
    """A row against the leader of a tier.

    Attributes:
        pairs: of the release.
        answered: those that both answered.
        only_leader, only_row: of the answered pairs, those that only one of the two has right.
        p: exact McNemar over the answered pairs.
        p_all: the same over all pairs, those without an answer as not correct; None where all were answered.
        deciding: the smaller of the p-values of the tests in which the row is the worse one; 1 where it never is.
    """

    pairs: int
    answered: int
    only_leader: int
    only_row: int
    p: float
    p_all: float | None
    deciding: float


def against_leader(answers: Answers, leader: int, others: Sequence[int]) -> list[AgainstLeader]:
    """Test each of the others against the leader; models are given by their index in `answers`."""
    first, rows = answers.right[leader], answers.right[others]
    both = answers.answered[leader] & answers.answered[others]
    only_leader, only_row = (first & ~rows & both).sum(axis=1), (rows & ~first & both).sum(axis=1)
    only_leader_all, only_row_all = (first & ~rows).sum(axis=1), (rows & ~first).sum(axis=1)
    p, p_all = mcnemar_exact_many(only_leader, only_row), mcnemar_exact_many(only_leader_all, only_row_all)
    deciding = np.minimum(
        np.where(only_leader > only_row, p, 1.0), np.where(only_leader_all > only_row_all, p_all, 1.0)
    )
    pairs = both.shape[1]
    answered = both.sum(axis=1)
    return [
        AgainstLeader(
            pairs=pairs,
            answered=int(answered[i]),
            only_leader=int(only_leader[i]),
            only_row=int(only_row[i]),
            p=float(p[i]),
            p_all=None if answered[i] == pairs else float(p_all[i]),
            deciding=float(deciding[i]),
        )
        for i in range(len(others))
    ]


def best_first(placed: Placed) -> tuple[int, str, str]:
    """Sorts rows of one release: the most accurate first, equal ones by name."""
    return -placed.row.result.counts.correct, placed.row.result.model.name, placed.key
