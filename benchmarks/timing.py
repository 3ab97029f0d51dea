"""Timing two ways of doing one thing, in turn, so that a drifting machine slows both."""

import time
import tracemalloc
from collections.abc import Callable
from statistics import median


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def side_by_side(
    plain: Callable[[], object], ours: Callable[[], object], rounds: int = 7
) -> tuple[float, float, float]:
    """Median seconds of each way, and the median of the round-by-round ratios plain / ours, after a warm-up."""
    plain()
    ours()
    timed = [(seconds(plain), seconds(ours)) for _ in range(rounds)]
    return median(p for p, _ in timed), median(o for _, o in timed), median(p / o for p, o in timed)


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory that Python and numpy held at once during a call, above what they held before."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
