"""How far people agree who answer the same questions without seeing each other's answers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, fsum, lgamma
from typing import Self

import numpy as np

from da2k.metrics.intervals import holm, wilson

Answers = Mapping[str, Mapping[str, str]]
"""What each person says about each unit: unit → person → value."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole; `value` and `interval` are None where the whole is nothing.

    Attributes:
        count: 0 to `total`.
        total: the whole.
        value: count / total, in [0, 1].
        interval: Wilson's, 95 %; it takes the `total` for independent.
    """

    count: int
    total: int
    value: float | None
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, count: int, total: int) -> Self:
        """The share with its interval.

        Raises:
            ValueError: `count` is not within 0 to `total`.

        >>> Share.of(0, 0).value, Share.of(9, 10).value
        (None, 0.9)
        """
        if not 0 <= count <= total:
            raise ValueError(f"{count} of {total} is no share")
        return cls(count, total, count / total, wilson(count, total)) if total else cls(count, total, None, None)


@dataclass(frozen=True, slots=True)
class Alpha:
    """Krippendorff's alpha and what it rests on; either `value` or `undefined` is None.

    Attributes:
        value: 1 where all agree, 0 where they agree as by chance, below 0 where less; at most 1.
        undefined: why there is no value.
        units: units with two or more answers; the others tell nothing about agreement and are left out.
        answers: to those units.
        people: who gave those answers.
    """

    value: float | None
    undefined: str | None
    units: int
    answers: int
    people: int


NOTHING_TWICE = "nothing was answered by two people"
ONE_VALUE = "everybody always said the same, so that agreement cannot be told from habit"


def krippendorff_alpha(answers: Answers) -> Alpha:
    """Krippendorff's alpha for nominal values, missing answers allowed (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability"): 1 - observed disagreement / disagreement expected by chance.

    What chance gives follows from how often each value is said in all, so values have to mean the same in every
    unit. It is undefined where only one value is said: neither 1 nor 0 would be true.

    >>> krippendorff_alpha({"u": {"ann": "A", "bob": "A"}, "v": {"ann": "B", "bob": "B", "cy": "B"}}).value
    1.0
    """
    paired = [said for said in answers.values() if len(said) > 1]
    values = sorted(set(chain.from_iterable(said.values() for said in paired)))
    people = set(chain.from_iterable(paired))
    undefined = NOTHING_TWICE if not paired else ONE_VALUE if len(values) == 1 else None
    value = None if undefined else _alpha([[list(said.values()).count(v) for v in values] for said in paired])
    return Alpha(value, undefined, len(paired), sum(map(len, paired)), len(people))


def _alpha(counts: Sequence[Sequence[int]]) -> float:
    """Alpha of how often each of two or more values [V] is said of each of the units [N], twice or more in each.

    Of the nominal coincidences, with m answers of a unit and n in all: sum over units of (m^2 - sum of squares) /
    (m - 1) ordered pairs that differ, against (n^2 - sum of squares of the totals) / (n - 1) by chance.
    """
    said = np.asarray(counts, np.int64)
    answers, totals = said.sum(axis=1), said.sum(axis=0)
    n = int(totals.sum())
    observed = fsum((answers**2 - (said**2).sum(axis=1)) / (answers - 1))
    return 1 - (n - 1) * observed / (n**2 - int((totals**2).sum()))


def agreement_with_the_rest(answers: Answers) -> dict[str, Share]:
    """For each person, on how many units the person says what most of the others say.

    A unit counts for a person if others answered it and a strict majority of the others, the person left out, says
    the same thing. So nobody agrees with oneself, and where one of three is careless the two others lose nothing:
    each of them sees the others split, and the unit does not count. Where a unit has two answers in all, both share
    the blame. Larger is better; someone who guesses between two values is at one half.

    Whoever is asked mainly about units on which others differ has a lower share for that.

    Returns:
        By person, sorted by name; everybody who answered anything, with `total` 0 where nothing can be compared.

    >>> said = {"u": {"ann": "A", "bob": "A", "cy": "B"}}
    >>> {person: (share.count, share.total) for person, share in agreement_with_the_rest(said).items()}
    {'ann': (0, 0), 'bob': (0, 0), 'cy': (0, 1)}
    """
    agreed: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for said in answers.values():
        counts = Counter(said.values())
        for person, value in said.items():
            # Few different values: cheaper than counting the others anew for each person.
            others = {other: count - (other == value) for other, count in counts.items()}
            majority = next((other for other, count in others.items() if 2 * count > len(said) - 1), None)
            compared[person] += majority is not None
            agreed[person] += majority == value
    return {person: Share.of(agreed[person], compared[person]) for person in sorted(compared)}


def confirmed(sequences: Iterable[Sequence[str]]) -> Share:
    """How many of the later answers say what the first one says, which those who gave them had before their eyes.

    Args:
        sequences: for each unit what was said of it, the first answer first.

    >>> confirmed([["A", "A", "B"], ["B"]]).value
    0.5
    """
    checks = [(said[0], later) for said in sequences for later in said[1:]]
    return Share.of(sum(first == later for first, later in checks), len(checks))


def below_the_others(shares: Mapping[str, Share], level: float = 0.95) -> set[str]:
    """The people whose share is lower than that of all others together by more than chance explains.

    Fisher's exact test, one-sided, of each person against all others, corrected by Holm for being so many tests: if
    all are equally good, anybody at all is named with a probability of at most 1 - `level`. Few answers name nobody.
    The test takes answers for independent; those to the same unit are not quite.

    >>> below_the_others({"ann": Share.of(98, 100), "bob": Share.of(97, 100), "cy": Share.of(60, 100)})
    {'cy'}
    >>> below_the_others({"ann": Share.of(98, 100), "bob": Share.of(0, 1)})
    set()
    """
    known = {person: share for person, share in shares.items() if share.total}
    count, total = (sum(getattr(share, field) for share in known.values()) for field in ("count", "total"))
    chances = [_chance_of_fewer(share.count, share.total, count, total) for share in known.values()]
    return {person for person, chance in zip(known, holm(chances), strict=True) if chance < 1 - level}


def _chance_of_fewer(drawn_good: int, drawn: int, good: int, total: int) -> float:
    """The chance that of `drawn` taken from `total`, of which `good` are good, `drawn_good` or fewer are good.

    The lower tail of the hypergeometric distribution, summed here since importing scipy.stats takes seconds.
    """

    def log_ways(of: int, chosen: int) -> float:
        return lgamma(of + 1) - lgamma(chosen + 1) - lgamma(of - chosen + 1)

    possible = range(max(0, drawn - (total - good)), drawn_good + 1)
    every = log_ways(total, drawn)
    return min(1.0, fsum(exp(log_ways(good, i) + log_ways(total - good, drawn - i) - every) for i in possible))
