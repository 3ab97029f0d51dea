"""The baselines on the same pairs: what a model adds to cues that need no learning."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from da2k.datasets.da2k import Benchmark
from da2k.evaluation.evaluate import evaluate
from da2k.leaderboard.report.judged import JudgedPairs
from da2k.metrics.intervals import holm, mcnemar_exact
from da2k.metrics.ordering import Outcome
from da2k.models.baseline import CUES
from da2k.results import Counts

Progress = Callable[[int, int], None]

_ANSWERED = (Outcome.CORRECT, Outcome.WRONG, Outcome.TIED)


@dataclass(frozen=True)
class AgainstBaseline:
    """A model and a baseline on the same pairs.

    Attributes:
        name: of the baseline.
        cue: one line about it.
        counts: of the baseline, over all pairs.
        accuracy, interval: of the baseline, over all pairs.
        both: pairs that both answered; the rest is over these.
        only_model: pairs that only the model has right.
        only_baseline: pairs that only the baseline has right.
        p: two-sided exact McNemar p-value.
        p_holm: p corrected for testing against every baseline (Holm).
    """

    name: str
    cue: str
    counts: Counts
    accuracy: float
    interval: tuple[float, float]
    both: int
    only_model: int
    only_baseline: int
    p: float
    p_holm: float

    @property
    def verdict(self) -> str:
        """What the test says at 5 %."""
        if self.p_holm >= 0.05:
            return "not separable"
        return "the model is better" if self.only_model > self.only_baseline else "the baseline is better"


def against_baselines(
    pairs: JudgedPairs, benchmark: Benchmark, spec: str, progress: Progress | None = None
) -> tuple[AgainstBaseline, ...]:
    """Score every baseline on the benchmark, and test the model against each.

    Args:
        pairs: the model's, of this benchmark.
        benchmark: with its photographs.
        spec: the model's; it is not compared with itself.
        progress: told (images done, images in all), over all baselines.
    """
    names = [f"baseline:{cue}" for cue in CUES if f"baseline:{cue}" != spec]
    images = len(benchmark.images)

    def show(begin: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(begin + done, images * len(names))

    found = [evaluate(name, benchmark, progress=show(images * n)) for n, name in enumerate(names)]
    compared = []
    for name, each in zip(names, found, strict=True):
        theirs = {
            (pair, row, col): outcome
            for pair, row, col, outcome in zip(
                each.rows["pair"], each.rows["closer_row"], each.rows["closer_col"], each.rows["outcome"], strict=True
            )
        }
        keys = zip(pairs.pair, *pairs.closer.T.tolist(), strict=True)
        outcomes = np.array([theirs[key] for key in keys], dtype=object)
        both = pairs.answered & np.isin(outcomes, _ANSWERED)
        right = outcomes == Outcome.CORRECT
        only_model = int((both & pairs.correct & ~right).sum())
        only_baseline = int((both & right & ~pairs.correct).sum())
        compared.append((name, each.result, int(both.sum()), only_model, only_baseline))
    p = [mcnemar_exact(only_model, only_baseline) for *_, only_model, only_baseline in compared]
    return tuple(
        AgainstBaseline(
            name=name,
            cue=CUES[name.removeprefix("baseline:")].preprocessing,
            counts=result.counts,
            accuracy=result.accuracy.micro,
            interval=result.accuracy.interval,
            both=both,
            only_model=only_model,
            only_baseline=only_baseline,
            p=p[n],
            p_holm=corrected,
        )
        for n, ((name, result, both, only_model, only_baseline), corrected) in enumerate(
            zip(compared, holm(p), strict=True)
        )
    )
