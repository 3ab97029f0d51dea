"""What each person did: how much, how fast, how well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import fmean, median

from da2k.construction.decisions import Answer
from da2k.construction.release.agreement import by_person, first_one_first
from da2k.construction.settings import Mode
from da2k.metrics.agreement import Share, agreement_with_the_rest, below_the_others, confirmed

ByPair = Mapping[str, Sequence[Answer]]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a person answers.

    Attributes:
        timed: answers whose time is known.
        median_seconds: of an answer. This is the figure to go by.
        mean_seconds: of an answer; one break during a task spoils it.
        answers_an_hour: 3600 / the median.
    """

    timed: int
    median_seconds: float | None
    mean_seconds: float | None
    answers_an_hour: float | None


@dataclass(frozen=True, slots=True)
class GoldScore:
    """What a person said of gold pairs; `right.count + wrong + refused == right.total`.

    Attributes:
        right: of the gold pairs answered, those with the known answer.
        wrong: those with the opposite one.
        refused: those of which the person could not tell or that were called bad; they are not right.
    """

    right: Share
    wrong: int
    refused: int


@dataclass(frozen=True, slots=True)
class PersonStatus:
    """What one person did; all rates are with Wilson intervals, and larger is better in `gold` and `agreement`.

    Attributes:
        person: as answers name them.
        answers: to all photographs as they are now, gold pairs and pairs that are not queued any more included.
        skipped: tasks skipped and not answered since.
        speed: over all answers.
        cannot_tell, bad_sample: of the answers to queued pairs.
        gold: against known answers.
        agreement: on how many queued pairs the person says what most of the others say, the person left out (see
            `da2k.metrics.agreement.agreement_with_the_rest`); None in review mode, where answers are not blind.
        upheld: in review mode, the checks that confirm a first answer of this person; else None.
        confirms: in review mode, this person's checks that confirm the first answer; else None. Near 1 is what
            somebody does who looks well at good answers, and also who does not look.
        stands_out: in which of "gold", "agreement" and "upheld" the person is worse than all others together, by more
            than chance explains (see `da2k.metrics.agreement.below_the_others`).
    """

    person: str
    answers: int
    skipped: int
    speed: Speed
    cannot_tell: Share
    bad_sample: Share
    gold: GoldScore
    agreement: Share | None
    upheld: Share | None
    confirms: Share | None
    stands_out: tuple[str, ...] = ()


def people_status(
    answers: ByPair, *, queued: set[str], gold: Mapping[str, str], skips: Mapping[str, int], mode: Mode
) -> list[PersonStatus]:
    """What each person did, by name.

    Args:
        answers: people's answers by pair; no known depths.
        queued: the pairs of the benchmark.
        gold: pair → "point1" or "point2", the closer one.
        skips: person → tasks skipped.
        mode: how people are asked.
    """
    of_person: dict[str, list[Answer]] = {person: [] for person in skips}
    for each in answers.values():
        for answer in each:
            of_person.setdefault(answer.person, []).append(answer)
    asked = {key: each for key, each in answers.items() if key in queued}
    with_the_rest = agreement_with_the_rest(by_person(asked.values())) if mode == "independent" else {}
    reviews = [order for each in asked.values() if (order := first_one_first(each))] if mode == "review" else []
    found = []
    for person, given in sorted(of_person.items()):
        benchmark = [answer for answer in given if answer.pair in queued]
        says = [answer.says for answer in benchmark]
        found.append(
            PersonStatus(
                person=person,
                answers=len(given),
                skipped=skips.get(person, 0),
                speed=_speed(given),
                cannot_tell=Share.of(says.count("cannot_tell"), len(says)),
                bad_sample=Share.of(says.count("bad_sample"), len(says)),
                gold=_gold(given, gold),
                agreement=with_the_rest.get(person, Share.of(0, 0)) if mode == "independent" else None,
                upheld=_upheld(person, reviews) if mode == "review" else None,
                confirms=_confirms(person, reviews) if mode == "review" else None,
            )
        )
    return _compared(found)


def _speed(answers: Iterable[Answer]) -> Speed:
    seconds = [a.seconds for a in answers if a.seconds is not None and isfinite(a.seconds) and a.seconds > 0]
    if not seconds:
        return Speed(0, None, None, None)
    middle = median(seconds)
    return Speed(len(seconds), middle, fmean(seconds), 3600 / middle)


def _gold(answers: Iterable[Answer], gold: Mapping[str, str]) -> GoldScore:
    said = [(answer.says, gold[answer.pair]) for answer in answers if answer.pair in gold]
    right = sum(says == closer for says, closer in said)
    refused = sum(says in ("cannot_tell", "bad_sample") for says, _ in said)
    return GoldScore(Share.of(right, len(said)), len(said) - right - refused, refused)


def _upheld(person: str, reviews: Iterable[Sequence[Answer]]) -> Share:
    return confirmed([answer.says for answer in each] for each in reviews if each[0].person == person)


def _confirms(person: str, reviews: Iterable[Sequence[Answer]]) -> Share:
    return confirmed([each[0].says, a.says] for each in reviews for a in each[1:] if a.person == person)


def _compared(people: Sequence[PersonStatus]) -> list[PersonStatus]:
    """The same people, each with that in which the person stands out."""
    figures: dict[str, dict[str, Share]] = {
        "gold": {each.person: each.gold.right for each in people},
        "agreement": {each.person: each.agreement for each in people if each.agreement},
        "upheld": {each.person: each.upheld for each in people if each.upheld},
    }
    worse = {name: below_the_others(shares) for name, shares in figures.items()}
    return [
        replace(each, stands_out=tuple(name for name, people in worse.items() if each.person in people))
        for each in people
    ]
