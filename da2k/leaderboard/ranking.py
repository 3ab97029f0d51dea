"""Ranks that the pairs support: models that no paired test tells from the best of a tier share its rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da2k.leaderboard.board import Placed, Release
from da2k.leaderboard.paired import Answers, against_leader, answers_of, best_first, is_floor, mcnemar_exact_many
from da2k.leaderboard.published import PublishedRow
from da2k.metrics.intervals import holm, wilson
from da2k.results import Counts

ALPHA = 0.05
"""A difference whose corrected p-value is below this is one."""
CONSTANT = "constant answer"


@dataclass(frozen=True, eq=False)
class Ranked:
    """A model's place, and what the test against the leader of its tier found.

    Attributes:
        placed: the row.
        rank: 1 + the number of models in better tiers; shared by a tier.
        tier: 1, 2, ….
        leader: whether it is the most accurate of its tier; the others were tested against it.
        answered: pairs that both it and the leader answered (correct, wrong or tied); a leader's own for itself.
        unanswered: the other pairs: invalid or missing with one of the two.
        only_leader, only_row: of the answered pairs, those that only one of the two has right.
        p: two-sided exact McNemar p-value over the answered pairs; None for a leader.
        p_all: the same over all pairs, those without an answer counted as not correct; None where all were answered.
        p_holm: the deciding p-value, corrected (Holm) for testing all that were left against this leader. It decides
            only against the row: a row that is better than the leader on the pairs tested is not set below it.
    """

    placed: Placed
    rank: int
    tier: int
    leader: bool
    answered: int
    unanswered: int
    only_leader: int
    only_row: int
    p: float | None
    p_all: float | None
    p_holm: float | None


@dataclass(frozen=True, eq=False)
class Floor:
    """What needs no knowledge of depth, so that a reader sees what an accuracy is worth.

    Attributes:
        name: of the baseline, or "constant answer".
        placed: the baseline's row; None for the constant answer, which follows from the rules.
        counts: its pairs by outcome.
        accuracy: correct / total, in [0, 1].
        interval: Wilson's, of the accuracy.
        note: how it answers, in words.
    """

    name: str
    placed: Placed | None
    counts: Counts
    accuracy: float
    interval: tuple[float, float]
    note: str


@dataclass(frozen=True, eq=False)
class RankedPublished:
    """A published row's place among the rows of its source, by intervals alone.

    Attributes:
        row: the row.
        rank: 1 + the number of rows of the same source in better tiers.
        tier: 1, 2, …, within the source.
        by_interval: always true; a paired test needs per-pair rows.
    """

    row: PublishedRow
    rank: int
    tier: int
    by_interval: bool = True


@dataclass(frozen=True, eq=False)
class Pairwise:
    """Every two models of a release against each other.

    Attributes:
        keys: of the n models, in the order of `rank`.
        p_holm: float64 [n, n], symmetric: exact McNemar over the pairs that both answered, corrected (Holm) for testing
            every two; 1 on the diagonal.
        difference: float64 [n, n]: accuracy of the row's model less that of the column's, in [-1, 1], over the pairs
            that both answered; 0 where there is none.
    """

    keys: tuple[str, ...]
    p_holm: NDArray[np.float64]
    difference: NDArray[np.float64]


def rank(release: Release, answers: Answers | None = None) -> tuple[Ranked, ...]:
    """Rank the models of a release; its floors are left out.

    The most accurate model (micro, over all pairs) leads the first tier. All others are tested against it, and those
    that no test sets below it share its rank, whatever lies between them. The best of the rest leads the next tier.
    The test is the exact McNemar test on the pairs that both answered. A row that left pairs unanswered is tested with
    those as not correct, too, and the smaller p counts: answering few pairs is no way to the leader's rank.

    Args:
        release: the release.
        answers: of `da2k.leaderboard.paired.answers_of`, where they are at hand.

    Returns:
        The models by tier, the most accurate of each first; equal ones by name.

    Raises:
        BadInput: as for `answers_of`.
    """
    answers = answers_of(release) if answers is None else answers
    ranked: list[Ranked] = []
    left = list(range(len(answers.placed)))
    tier = 0
    while left:
        tier += 1
        leader, *others = left
        tests = against_leader(answers, leader, others)
        corrected = holm([test.deciding for test in tests])
        place = len(ranked) + 1
        ranked.append(_leading(answers, leader, place, tier))
        left = []
        for i, test, p_holm in zip(others, tests, corrected, strict=True):
            if p_holm < ALPHA:
                left.append(i)
                continue
            ranked.append(
                Ranked(
                    placed=answers.placed[i],
                    rank=place,
                    tier=tier,
                    leader=False,
                    answered=test.answered,
                    unanswered=test.pairs - test.answered,
                    only_leader=test.only_leader,
                    only_row=test.only_row,
                    p=test.p,
                    p_all=test.p_all,
                    p_holm=p_holm,
                )
            )
    return tuple(ranked)


def floors(release: Release) -> tuple[Floor, ...]:
    """The baselines of a release, best first, and the constant answer, which is always there."""
    found = []
    for placed in sorted(filter(is_floor, release.rows), key=best_first):
        result = placed.row.result
        note = result.model.preprocessing or "a rule without a network"
        accuracy = result.accuracy
        found.append(Floor(result.model.name, placed, result.counts, accuracy.micro, accuracy.interval, note))
    total = release.rows[0].row.result.counts.total
    counts = Counts(total=total, tied=total)
    constant = Floor(CONSTANT, None, counts, 0.0, wilson(0, total), "every pair is tied, and a tie is not correct")
    return (*found, constant)


def rank_published(rows: Sequence[PublishedRow]) -> tuple[RankedPublished, ...]:
    """Rank published rows within their source, for two sources seldom measured alike.

    Without per-pair rows no paired test is possible. A row whose Wilson interval overlaps that of the best of its
    tier shares its rank; this tells fewer models apart than a paired test would.

    Returns:
        The sources in the order given; within each by tier, the most accurate first, equal ones by name.
    """
    sources = dict.fromkeys((row.benchmark, row.tier, row.source) for row in rows)
    ranked: list[RankedPublished] = []
    for source in sources:
        own = [row for row in rows if (row.benchmark, row.tier, row.source) == source]
        left = sorted(own, key=lambda row: (-row.accuracy, row.model))
        tier, place = 0, 1
        while left:
            tier += 1
            low = left[0].interval[0]
            sharing = [row for row in left if row is left[0] or row.interval[1] >= low]
            ranked += [RankedPublished(row, place, tier) for row in sharing]
            place += len(sharing)
            left = [row for row in left if not any(row is other for other in sharing)]
    return tuple(ranked)


def pairwise(release: Release, answers: Answers | None = None) -> Pairwise:
    """Test every two models of a release against each other; its floors are left out.

    Args:
        release: the release.
        answers: of `da2k.leaderboard.paired.answers_of`, where they are at hand.

    Raises:
        BadInput: as for `answers_of`.
    """
    answers = answers_of(release) if answers is None else answers
    places = {id(placed): i for i, placed in enumerate(answers.placed)}
    order = [places[id(each.placed)] for each in rank(release, answers)]
    right = answers.right[order].astype(np.float32)
    answered = answers.answered[order].astype(np.float32)
    # Counts of pairs are far below 2**24, up to which float32 is exact.
    both = np.rint(answered @ answered.T).astype(np.int64)
    only = np.rint(right @ (answered - right).T).astype(np.int64)
    n = len(order)
    upper = np.triu_indices(n, 1)
    p = np.ones((n, n))
    p[upper] = holm(mcnemar_exact_many(only[upper], only.T[upper]).tolist())
    p.T[upper] = p[upper]
    difference = (only - only.T) / np.maximum(both, 1)
    return Pairwise(tuple(answers.placed[i].key for i in order), p, difference)


def _leading(answers: Answers, i: int, place: int, tier: int) -> Ranked:
    answered = int(answers.answered[i].sum())
    return Ranked(
        placed=answers.placed[i],
        rank=place,
        tier=tier,
        leader=True,
        answered=answered,
        unanswered=answers.answered.shape[1] - answered,
        only_leader=0,
        only_row=0,
        p=None,
        p_all=None,
        p_holm=None,
    )
