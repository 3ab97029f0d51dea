"""One row an image: the table behind a result on measured depth, in Parquet."""

from collections.abc import Iterable, Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da2k.errors import BadInput
from da2k.evaluation.dense.loop import ScoredImage
from da2k.evaluation.saving import read_table
from da2k.results import DenseResult

if TYPE_CHECKING:
    import pandas as pd

OWN_COLUMNS = {
    "image": "string",
    "kind": "string",
    "pixels": "int64",
    "scale": "float64",
    "shift": "float64",
    "degenerate": "bool_",
    "clamped": "float64",
    "nonpositive": "float64",
    "failure": "string",
}
"""The columns that stand before those of the metrics, which are float64 each. `pixels` that count; `scale` and
`shift` of the fit, in the space that was fitted, and whether it was `degenerate`; the shares of pixels that were
`clamped`, and whose aligned value was not positive; `failure`, why an image has no numbers (they are NaN then)."""


def columns(metrics: Iterable[str]) -> dict[str, str]:
    """The columns of a table with these metrics."""
    return OWN_COLUMNS | dict.fromkeys(metrics, "float64")


def make_rows(scored: Iterable[ScoredImage], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Rows sorted by image, so that the order of a list changes nothing."""
    return sorted((_row(image, metrics) for image in scored), key=lambda row: str(row["image"]))


def _row(image: ScoredImage, metrics: Sequence[str]) -> dict[str, Any]:
    score = image.score
    numbers = (
        (score.fit.scale, score.fit.shift, score.fit.degenerate, score.compared.clamped, score.compared.nonpositive)
        if score
        else (nan, nan, False, nan, nan)
    )
    own = (image.image, image.kind, score.pixels if score else 0, *numbers, image.failure)
    values = score.compared.values if score else dict.fromkeys(metrics, nan)
    return dict(zip(OWN_COLUMNS, own, strict=True)) | {name: values[name] for name in metrics}


def read_rows(result: DenseResult, path: Path) -> "pd.DataFrame":
    """The rows of the result at `path`.

    Raises:
        BadInput: the result has no rows, or their file is missing, is not the one the result names, or names an
            image twice.
    """
    rows = read_table(result, path, columns(result.metrics))
    if rows["image"].duplicated().any():
        raise BadInput(f"{path}: its rows name an image twice; evaluate the model again")
    return rows
