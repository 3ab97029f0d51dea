"""Is one model really nearer to measured depth than another? Paired tests on the images that both scored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadInput
from da2k.evaluation.comparable import name_models, read_comparable, require_from_rows
from da2k.evaluation.dense.rows import read_rows
from da2k.metrics.dense import METRICS
from da2k.metrics.intervals import holm
from da2k.metrics.resampling import bootstrap_means, sign_flip_p
from da2k.results import DenseResult

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class PairedMeans:
    """Two models, one metric, on the images that both scored.

    Attributes:
        a, b: the models' names.
        metric: a name of `da2k.metrics.dense.METRICS`.
        images: how many both scored; all below is over these.
        unscored_a: images that only b scored: they failed for a, or are absent from its copy.
        unscored_b: images that only a scored.
        mean_a, mean_b: means over the images, in the metric's unit; those of the results where both scored all.
        difference: mean_a - mean_b.
        interval: of the difference; 95 % percentile bootstrap by image, both models on the same draws.
        better_a: images on which a is strictly better; whether lower or higher is better is the metric's.
        better_b: images on which b is strictly better.
        p: two-sided, that the difference is none: random sign flips of the images' differences; see
            `da2k.metrics.resampling.sign_flip_p`. Exact of few images.
        p_holm: p corrected for testing all metrics of these two models (Holm).
    """

    a: str
    b: str
    metric: str
    images: int
    unscored_a: int
    unscored_b: int
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float]
    better_a: int
    better_b: int
    p: float
    p_holm: float

    @property
    def separable(self) -> bool:
        """Whether the difference is significant at 5 %."""
        return self.p_holm < 0.05

    @property
    def better(self) -> Literal["a", "b"] | None:
        """The model with the better mean, by the metric's direction; None where the two are not separable."""
        if not self.separable:
            return None
        return "a" if (self.difference < 0) is (METRICS[self.metric].better == "lower") else "b"


def compare_dense(paths: Sequence[str | Path]) -> list[PairedMeans]:
    """Test every two of some results on measured depth against each other, metric by metric.

    Args:
        paths: two or more result files, with their rows beside them.

    Returns:
        For each two results, in the order given: one test a metric that both have, in the first one's order.

    Raises:
        BadInput: fewer than two results, one given twice, a damaged one, one on pairs of points, results of different
            frames or protocols, or two that have no scored image in common.
    """
    results = read_comparable(paths, DenseResult)
    tables = [read_checked_values(result, file) for file, result in results.items()]
    names = name_models(results.values(), results)
    couples = combinations(range(len(tables)), 2)
    return [test for i, j in couples for test in _test(names[i], names[j], tables[i], tables[j])]


def read_checked_values(result: DenseResult, file: Path) -> "pd.DataFrame":
    """The metrics of the scored images, float64, by image.

    Raises:
        BadInput: the rows are damaged, or the result does not follow from them.
    """
    rows = read_rows(result, file)
    if rows["image"].isna().any():
        raise BadInput(f"{file}: its rows have one without an image; evaluate the model again")
    failed = rows["failure"].notna()
    values = rows[~failed].set_index("image")[["clamped", *result.metrics]]
    for name in values:
        values[name] = _finite(values[name], file)
    kinds = set(rows["kind"].dropna())
    reasons: dict[object, object] = dict(zip(rows["image"][failed], rows["failure"][failed], strict=True))
    require_from_rows(
        file,
        (
            ("images.scored", result.images.scored, len(values)),
            ("failures", {failure.image: failure.reason for failure in result.failures}, reasons),
            ("images.failed", result.images.failed, len(reasons)),
            ("model.kind", {result.model.kind} if result.model.kind and kinds else kinds, kinds),
            ("clamped", result.clamped, float(values["clamped"].mean()) if len(values) else 0.0),
            *_means(result, values, file),
        ),
    )
    return values[[*result.metrics]]


def _finite(column: "pd.Series[Any]", file: Path) -> NDArray[np.float64]:
    try:
        numbers = column.to_numpy(np.float64)
    except (TypeError, ValueError):
        numbers = np.full(len(column), np.nan)
    if not np.isfinite(numbers).all():
        image = column.index[~np.isfinite(numbers)][0]
        raise BadInput(f"{file}: its rows have no finite {column.name} for {image}; evaluate the model again")
    return numbers


def _means(result: DenseResult, values: "pd.DataFrame", file: Path) -> Iterator[tuple[str, object, object]]:
    """Each metric's mean and interval, as stated and as they follow from the rows."""
    if values.empty:
        return
    unknown = [name for name in result.metrics if name not in METRICS]
    if unknown:
        raise BadInput(f"{file}: field metrics.{unknown[0]}: there is no such metric; evaluate the model again")
    table = values[[*result.metrics]].to_numpy()
    intervals = bootstrap_means(table, level=result.level, resamples=result.resamples)
    for name, mean, (low, high) in zip(result.metrics, table.mean(axis=0), intervals, strict=True):
        yield f"metrics.{name}.mean", result.metrics[name].mean, float(mean)
        yield f"metrics.{name}.interval", result.metrics[name].interval, (float(low), float(high))


def _test(a: str, b: str, values_a: "pd.DataFrame", values_b: "pd.DataFrame") -> list[PairedMeans]:
    metrics = [str(name) for name in values_a if name in values_b]
    shared = values_a.index.intersection(values_b.index).sort_values()
    if shared.empty:
        raise BadInput(f"{a} and {b} have no scored image in common; there is nothing to compare")
    ours, theirs = values_a.loc[shared, metrics].to_numpy(), values_b.loc[shared, metrics].to_numpy()
    differences = ours - theirs
    intervals = bootstrap_means(differences, level=LEVEL, resamples=RESAMPLES)
    p = [sign_flip_p(column, resamples=RESAMPLES) for column in differences.T]
    sign = np.array([-1 if METRICS[name].better == "lower" else 1 for name in metrics])
    gains = differences * sign
    return [
        PairedMeans(
            a=a,
            b=b,
            metric=name,
            images=len(shared),
            unscored_a=len(values_b) - len(shared),
            unscored_b=len(values_a) - len(shared),
            mean_a=float(ours[:, i].mean()),
            mean_b=float(theirs[:, i].mean()),
            difference=float(differences[:, i].mean()),
            interval=(float(intervals[i, 0]), float(intervals[i, 1])),
            better_a=int((gains[:, i] > 0).sum()),
            better_b=int((gains[:, i] < 0).sum()),
            p=p[i],
            p_holm=corrected,
        )
        for i, (name, corrected) in enumerate(zip(metrics, holm(p), strict=True))
    ]
