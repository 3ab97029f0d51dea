"""What a result on measured depth says image by image. Numbers only."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from da2k.evaluation.dense.compare import read_checked_values
from da2k.evaluation.dense.rows import read_rows
from da2k.metrics.dense import METRICS, Metric
from da2k.results import DenseResult

_CLAMPED_MUCH = 0.01


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """The images that were scored; N of each, sorted by name.

    Attributes:
        image: the frames' names.
        values: by metric, float64 [N].
        scale, shift: of each image's fit, float64 [N], in the space that was fitted.
        clamped: float64 [N], shares of pixels in [0, 1].
    """

    image: NDArray[np.object_]
    values: dict[str, NDArray[np.float64]]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    clamped: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def error(self) -> Metric:
        """What images are ranked by: the first metric of which lower is better, or else the first."""
        named = [METRICS[name] for name in self.values]
        return next((metric for metric in named if metric.better == "lower"), named[0])

    @property
    def best_first(self) -> list[int]:
        """The images by `error`, the best first."""
        values = self.values[self.error.name]
        return [int(i) for i in np.argsort(values if self.error.better == "lower" else -values, kind="stable")]

    @property
    def delta1(self) -> NDArray[np.float64] | None:
        """float64 [N], the share of pixels within a factor of 1.25, in [0, 1]; None if it was not taken."""
        if "delta1" in self.values:
            return self.values["delta1"]
        exceeded = self.values.get("delta1_exceeded_percent")
        return None if exceeded is None else 1 - exceeded / 100

    @property
    def much_clamped(self) -> int:
        """How many images have more than 1 % of their pixels clamped."""
        return int((self.clamped > _CLAMPED_MUCH).sum())


def read_images(result: DenseResult, path: Path) -> ScoredImages:
    """The scored images of the result at `path`.

    Raises:
        BadInput: its rows are missing or damaged, or the result does not follow from them.
    """
    values = read_checked_values(result, path)
    rows = read_rows(result, path)
    scored = rows[rows["failure"].isna()]
    return ScoredImages(
        image=np.array([str(name) for name in scored["image"]], dtype=object),
        values={name: values[name].to_numpy(np.float64) for name in result.metrics},
        scale=scored["scale"].to_numpy(np.float64),
        shift=scored["shift"].to_numpy(np.float64),
        clamped=scored["clamped"].to_numpy(np.float64),
    )
