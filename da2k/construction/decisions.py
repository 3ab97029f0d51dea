"""When people have decided a pair: one answer, and checks by others (Depth Anything V2, appendix C.3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Says = Literal["point1", "point2", "cannot_tell", "bad_sample"]
Source = Literal["person", "exact"]
Dissent = Literal["fourth", "majority", "drop"]
SOURCES: tuple[Source, ...] = ("person", "exact")
SAYS: tuple[Says, ...] = ("point1", "point2", "cannot_tell", "bad_sample")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person says about one pair.

    Attributes:
        pair: the pair's id.
        person: who; a person counts once a pair.
        says: which point is closer, or why the pair is no good. point1 is the first of the pair's id.
        source: "person", or "exact" for a depth that is known, which needs no checks.
        seconds: the time it took, where known.
        given: when, ISO 8601, where known.
        photo: SHA-256 of the photograph that was shown; None stands for the one the workspace holds now.
    """

    pair: str
    person: str
    says: Says
    source: Source = "person"
    seconds: float | None = None
    given: str | None = None
    photo: str | None = None


class State(StrEnum):
    """How far a pair is."""

    OPEN = "open"
    """Nobody has answered."""
    UNCHECKED = "unchecked"
    """Answered, but not by enough people."""
    DISSENT = "dissent"
    """People differ; one more has to answer."""
    KEPT = "kept"
    """Decided and checked."""
    DROPPED = "dropped"
    """Not usable; the reason is kept."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the answers to a pair amount to.

    Attributes:
        state: how far it is.
        closer: "point1" or "point2" once it is kept, else None.
        answers: people who answered.
        agree: of those, who say what was decided.
        reason: why it was dropped, else None.
    """

    state: State
    closer: Literal["point1", "point2"] | None = None
    answers: int = 0
    agree: int = 0
    reason: str | None = None


def decide(answers: Sequence[Answer], checks: int = 2, dissent: Dissent = "fourth") -> Decision:
    """What the answers to one pair amount to; their order does not matter.

    A known depth decides alone. Otherwise the pair is dropped as soon as somebody cannot tell or calls it a bad
    sample, and kept when `1 + checks` people say the same. If they differ, one more is asked and a strict majority
    decides; with `dissent="majority"` it decides at once. With `dissent="drop"`, or without a majority, the pair is
    dropped.

    Raises:
        ValueError: answers to different pairs, or two of one person.

    >>> decide([Answer("p", name, "point1") for name in "abc"]).state
    <State.KEPT: 'kept'>
    """
    if len({answer.pair for answer in answers}) > 1:
        raise ValueError("answers to different pairs")
    if len({answer.person for answer in answers}) < len(answers):
        raise ValueError("a person answers a pair once")
    exact = [answer for answer in answers if answer.source == "exact"]
    counted = exact or list(answers)
    wanted = len(exact) or 1 + checks
    said = Counter(answer.says for answer in counted)
    total = len(counted)
    for refusal in ("bad_sample", "cannot_tell"):
        if said[refusal]:
            return Decision(State.DROPPED, None, total, said[refusal], refusal.replace("_", " "))
    if not total:
        return Decision(State.OPEN)
    if total < wanted:
        return Decision(State.UNCHECKED, None, total)
    winner: Literal["point1", "point2"] = "point1" if said["point1"] > said["point2"] else "point2"
    if said[winner] == total:
        return Decision(State.KEPT, winner, total, total)
    if dissent == "fourth" and total == wanted:
        return Decision(State.DISSENT, None, total)
    if dissent == "drop" or 2 * said[winner] <= total:
        return Decision(State.DROPPED, None, total, 0, "people disagree")
    return Decision(State.KEPT, winner, total, said[winner])
