"""How far long work is: a bar on a terminal, plain lines elsewhere, always on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress while the block runs; call what it gives with (done, in all)."""
    if sys.stderr.isatty():
        yield from _bar(label)
    else:
        yield _lines(label)


def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    rate_of = _Rate()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, rate="")

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, rate=f"{rate_of(done):.1f}/s")

        yield show


def _lines(label: str) -> Callable[[int, int], None]:
    rate_of = _Rate()
    begun = last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        rate, now = rate_of(done), time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or (done == total and last != begun):
            last = now
            left = f", {(total - done) / rate:.0f} s left" if rate else ""
            print(f"{label}: {done}/{total}, {rate:.1f}/s{left}", file=sys.stderr, flush=True)  # noqa: T201

    return show


class _Rate:
    """Items a second since the first call, so that what an earlier run had finished does not count."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int) -> float:
        now = time.monotonic()
        if self._first is None:
            self._first = done, now
        first, since = self._first
        return (done - first) / (now - since) if now > since else 0.0
