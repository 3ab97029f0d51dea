"""How far the people agree whose answers a benchmark rests on: numbers, and what the dataset card says of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from da2k.construction.decisions import Answer
from da2k.construction.settings import Mode
from da2k.construction.workspace import Workspace
from da2k.metrics.agreement import NOTHING_TWICE, Answers, Share, confirmed, krippendorff_alpha

SAME_TIME = "it is not known whose answer was first"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people agree, over pairs that at least two of them answered, whatever became of the pairs.

    Known depths are no answers of people. All four things that one can say count. Either `alpha` or `checks` is None.

    Attributes:
        pairs: pairs that at least two people answered; in review mode, of which it is known whose answer was first.
        answers: to those pairs.
        people: who gave those answers.
        alpha: Krippendorff's, nominal, of answers that were given blind. What is said is point1, the upper one of the
            two, or point2: that people always take the lower point for the closer is no agreement. A pair sent to one
            more person since people differ weighs a little more, so that alpha is rather too low than too high.
        checks: in review mode, the answers after the first that confirm it. They are not blind.
        unknown: why `alpha`, or the share of `checks`, has no value; None where it has one.
        unordered: in review mode, pairs that two people answered and of which that is not known.
    """

    pairs: int
    answers: int
    people: int
    alpha: float | None
    checks: Share | None
    unknown: str | None
    unordered: int = 0


def mode_of(workspace: Workspace) -> Mode:
    """How people were asked about pairs; before a push, the settings'.

    "review" as soon as the project shows its tasks so, or a project did of which answers are held. Where an export does
    not tell its server, a project of the same number counts.
    """
    rows = workspace.db.run(
        "SELECT mode FROM campaigns WHERE kind = 'pairs' AND mode IS NOT NULL UNION "
        "SELECT mode FROM modes AS shown WHERE EXISTS (SELECT 1 FROM annotations AS held "
        "WHERE held.project = shown.project AND (held.url = shown.url OR held.url LIKE 'file %'))"
    )
    modes = {mode for (mode,) in rows}
    return ("review" if "review" in modes else "independent") if modes else workspace.settings.annotation.mode


def measure_agreement(answers: Iterable[Sequence[Answer]], mode: Mode) -> Agreement:
    """How far people agree.

    Args:
        answers: the answers to each pair.
        mode: how people were asked.
    """
    said = [given for each in answers if len(given := of_people(each)) > 1]
    if mode == "independent":
        alpha = krippendorff_alpha(by_person(said))
        return Agreement(alpha.units, alpha.answers, alpha.people, alpha.value, None, alpha.undefined)
    ordered = [order for each in said if (order := first_one_first(each))]
    unknown = None if ordered else SAME_TIME if said else NOTHING_TWICE
    return Agreement(
        pairs=len(ordered),
        answers=sum(map(len, ordered)),
        people=len({answer.person for each in ordered for answer in each}),
        alpha=None,
        checks=confirmed([answer.says for answer in each] for each in ordered),
        unknown=unknown,
        unordered=len(said) - len(ordered),
    )


def of_people(answers: Iterable[Answer]) -> list[Answer]:
    """The answers that a person gave: all but known depths."""
    return [answer for answer in answers if answer.source == "person"]


def by_person(answers: Iterable[Sequence[Answer]]) -> Answers:
    """What each person says about each pair."""
    return {each[0].pair: {answer.person: answer.says for answer in each} for each in answers if each}


def first_one_first(answers: Sequence[Answer]) -> list[Answer] | None:
    """The answers to one pair, the earliest first; None if it is not known which that is."""
    times = [_time(answer.given) for answer in answers]
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times) or known.count(min(known)) > 1:
        return None
    first = known.index(min(known))
    return [answers[first], *answers[:first], *answers[first + 1 :]]


def _time(given: str | None) -> datetime | None:
    """The time; one that names no zone is taken for UTC."""
    try:
        time = datetime.fromisoformat(given or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def how_far_people_agree(agreement: Agreement) -> Iterator[str]:
    """Sentences for the card."""
    if agreement.checks is None:
        yield from _of_blind_answers(agreement)
    else:
        yield from _of_checks(agreement, agreement.checks)


def told_alpha(agreement: Agreement) -> str:
    """Alpha with three digits; "" where there is none."""
    return "" if agreement.alpha is None else f"{round(agreement.alpha, 3) + 0:.3f}"  # + 0: no "-0.000"


def _of_blind_answers(agreement: Agreement) -> Iterator[str]:
    if agreement.unknown:
        yield f"Krippendorff's alpha of their answers is not known: {agreement.unknown}."
        return
    yield (
        f"Krippendorff's alpha (nominal; 1 if all agree, 0 if as by chance) is {told_alpha(agreement)}, over "
        f"{_rests_on(agreement)}. Dropped pairs are in it, and all four things that one can say."
    )
    yield "By the settings of this benchmark, nobody was shown another's answer."


def _of_checks(agreement: Agreement, checks: Share) -> Iterator[str]:
    if checks.value is None or checks.interval is None:
        yield f"How many checks confirmed the first answer is not known: {agreement.unknown}."
    else:
        low, high = checks.interval
        yield (
            f"{checks.count} of {checks.total} checks confirmed the first answer: {100 * checks.value:.1f} % (95 % "
            f"Wilson interval {100 * low:.1f} to {100 * high:.1f} %, which takes checks for independent), over "
            f"{_rests_on(agreement)}."
        )
    if agreement.unordered and not agreement.unknown:
        yield f"{_counted(agreement.unordered, 'pair')} more: {SAME_TIME}."
    yield (
        "Those who checked saw the first answer, so their answers are not blind: this does not tell how far people "
        "agree by themselves, and no alpha is given."
    )


def _rests_on(agreement: Agreement) -> str:
    people = "1 person" if agreement.people == 1 else f"{agreement.people} people"
    return f"{agreement.answers} answers of {people} to {_counted(agreement.pairs, 'pair')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
