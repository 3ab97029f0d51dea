"""What sending has in common: as much as fits into one request, and things that are to be there once."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from da2k.annotation.server import Patience, Unsure

ItemT = TypeVar("ItemT")


def batches(
    items: Iterable[ItemT], most: int, most_bytes: int, length: Callable[[ItemT], int]
) -> Iterator[list[ItemT]]:
    """Items by as many as go into one request; one that is larger than that goes alone.

    Args:
        items: in order.
        most: items a batch.
        most_bytes: of a batch.
        length: the bytes of an item.
    """
    batch: list[ItemT] = []
    size = 0
    for item in items:
        of_it = length(item)
        if batch and (len(batch) == most or size + of_it > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += of_it
    if batch:
        yield batch


def found_or_made(look: Callable[[], ItemT | None], make: Callable[[], ItemT], patience: Patience) -> ItemT:
    """What is there, or else is made: looked for again whenever it is not known whether it was made.

    Raises:
        Unsure: again and again it is neither there nor made.
    """
    failure: Unsure | None = None
    for attempt in range(patience.attempts):
        found = look()
        if found is not None:
            return found
        try:
            return make()
        except Unsure as e:
            failure = e
        patience.pause(attempt, failure.after)
    assert failure is not None
    raise failure
