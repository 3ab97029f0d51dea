"""How often all experts are wrong together: the unanimous pairs that people decided all the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from da2k.construction.decisions import Decision, State
from da2k.construction.queue import DrawnPair
from da2k.metrics.intervals import wilson


@dataclass(frozen=True, slots=True)
class Audit:
    """What people say about audited pairs; `decided + dropped + waiting == audited`.

    Attributes:
        audited: unanimous pairs that went to people.
        decided: of those, pairs on which people said which point is closer.
        wrong: of the decided ones, pairs on which it is not the point that all experts had said.
        dropped: pairs that people could not decide, called bad, or disagreed about; they are in no rate.
        waiting: pairs that still lack answers or checks.
        rate: wrong / decided; None while nothing is decided.
        interval: Wilson's of that rate; None while nothing is decided. It takes pairs for independent.
        level: the interval's confidence.
    """

    audited: int
    decided: int
    wrong: int
    dropped: int
    waiting: int
    rate: float | None
    interval: tuple[float, float] | None
    level: float


def estimate_errors(pairs: Iterable[DrawnPair], decisions: Mapping[str, Decision], level: float = 0.95) -> Audit:
    """Estimate the share of the unanimous pairs drawn on which the experts are wrong together.

    Of the pairs drawn, not of all pairs there are: drawing that stops at a quota of disputed pairs takes most
    unanimous ones from photographs that are easy.

    Args:
        pairs: any pairs; only the audited ones count.
        decisions: by the pair's id; a pair without one is waiting.
        level: the interval's confidence, in (0, 1).
    """
    audited = [(pair, decisions.get(pair.id, Decision(State.OPEN))) for pair in pairs if pair.audited]
    kept = [(pair, decision) for pair, decision in audited if decision.state is State.KEPT]
    wrong = sum(decision.closer != f"point{pair.votes[0]}" for pair, decision in kept)
    dropped = sum(decision.state is State.DROPPED for _, decision in audited)
    return Audit(
        audited=len(audited),
        decided=len(kept),
        wrong=wrong,
        dropped=dropped,
        waiting=len(audited) - len(kept) - dropped,
        rate=wrong / len(kept) if kept else None,
        interval=wilson(wrong, len(kept), level) if kept else None,
        level=level,
    )
