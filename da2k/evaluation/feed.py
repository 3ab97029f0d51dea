"""Reading ahead: the next images are loaded in threads while the network works on this one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
LoadedT = TypeVar("LoadedT")


def read_ahead(
    items: Iterable[ItemT], load: Callable[[ItemT], LoadedT], *, depth: int = 4, threads: int = 2
) -> Iterator[tuple[ItemT, LoadedT | Exception]]:
    """Load items in order, up to `depth` of them before they are asked for.

    Yields:
        Each item with what `load` returned, or the exception it raised, which is not raised here. Memory holds
        at most `depth` loaded items that were not taken yet.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    waiting: deque[tuple[ItemT, Future[LoadedT]]] = deque()

    def take() -> tuple[ItemT, LoadedT | Exception]:
        item, loading = waiting.popleft()
        error = loading.exception()
        if error is None:
            return item, loading.result()
        if isinstance(error, Exception):
            return item, error
        raise error

    try:
        for item in items:
            waiting.append((item, pool.submit(load, item)))
            if len(waiting) > depth:
                yield take()
        while waiting:
            yield take()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
