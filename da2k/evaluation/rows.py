"""One row a pair: the table behind a result, in Parquet."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from da2k.datasets.da2k import Benchmark
from da2k.errors import BadInput
from da2k.evaluation.readings import ImageReading
from da2k.files import sha256_file, write_atomically
from da2k.metrics.ordering import Outcome, order_outcomes
from da2k.pairs import Pair
from da2k.results import ModelRecord, Result, Rows, read_result

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "pair": "string",
    "image": "string",
    "scenario": "string",
    "closer_row": "int32",
    "closer_col": "int32",
    "farther_row": "int32",
    "farther_col": "int32",
    "value_closer": "float64",
    "value_farther": "float64",
    "kind": "string",
    "outcome": "string",
}
"""The columns. `value_closer` and `value_farther` are the map's values, raw, at the two points; NaN where the image
failed; `outcome` is one of `da2k.metrics.ordering.Outcome`."""


class JudgedImage(NamedTuple):
    """What was read for one image, its pairs, and their outcomes in the same order."""

    reading: ImageReading
    pairs: tuple[Pair, ...]
    outcomes: list[Outcome]


def judge(reading: ImageReading) -> list[Outcome]:
    """The outcomes of one image's pairs."""
    if reading.kind is None:
        return [Outcome.MISSING if reading.missing else Outcome.INVALID] * len(reading.closer)
    return order_outcomes(reading.closer, reading.farther, reading.kind)


def make_rows(judged: Iterable[JudgedImage]) -> list[dict[str, Any]]:
    """Rows sorted by pair, so that the order of a label file, or of its points, changes nothing."""
    rows = [
        {
            "pair": pair.id,
            "image": pair.image,
            "scenario": pair.scenario,
            "closer_row": pair.closer_point.row,
            "closer_col": pair.closer_point.col,
            "farther_row": pair.farther_point.row,
            "farther_col": pair.farther_point.col,
            "value_closer": float(reading.closer[i]),
            "value_farther": float(reading.farther[i]),
            "kind": reading.kind,
            "outcome": str(outcomes[i]),
        }
        for reading, pairs, outcomes in judged
        for i, pair in enumerate(pairs)
    ]
    return sorted(rows, key=lambda row: (row["pair"], row["closer_row"], row["closer_col"]))


def require_free(path: Path, model: ModelRecord, benchmark: Benchmark) -> None:
    """Check that a result of this model on this benchmark may be written here.

    Raises:
        BadInput: the path is no place for a file, or holds something else than an earlier result of the same
            model, options and labels.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise BadInput(f"{path}: is no regular file; --out names the result's file, such as results/model.json")
    try:
        earlier = read_result(path)
    except BadInput:
        raise BadInput(f"{path}: is there already and is no result; choose another --out") from None
    if earlier.benchmark.digest != benchmark.digest:
        what = f"benchmark {earlier.benchmark.name} with other labels"
    elif _identity(earlier.model) != _identity(model):
        what = f"{earlier.model.spec} with other options or weights"
    else:
        return
    raise BadInput(f"{path}: holds the result of {what}; choose another --out, or replace it with --replace")


def _identity(model: ModelRecord) -> tuple[object, ...]:
    return model.spec, model.options, model.revision, model.weights_digest


def save_result(result: Result, rows: list[dict[str, Any]], path: Path) -> Result:
    """Write the rows, then the result that names them and their digest.

    The rows' file carries its digest in its name: an older result at `path` keeps its own rows until the new
    one has replaced it, so a kill at any moment leaves a whole result.

    Raises:
        BadInput: the folder cannot be written to.
    """
    data = _parquet(rows)
    digest = hashlib.sha256(data).hexdigest()
    name = path.stem if path.suffix == ".json" else f"{path.name}.rows"
    file = path.with_name(f"{name}.{digest[:12]}.parquet")
    earlier = _rows_named_by(path)
    write_atomically(file, lambda f: f.write(data))
    saved = result.model_copy(update={"rows": Rows(file=file.name, sha256=digest)})
    write_atomically(path, lambda f: f.write((saved.model_dump_json(indent=1) + "\n").encode()))
    if earlier is not None and earlier != file:
        earlier.unlink(missing_ok=True)
    return saved


def read_rows(result: Result, path: Path) -> "pd.DataFrame":
    """The rows of the result at `path`.

    Raises:
        BadInput: the result has no rows, or their file is missing or is not the one the result names.
    """
    import pandas as pd

    if result.rows is None:
        raise BadInput(f"{path}: names no file of rows")
    file = path.with_name(result.rows.file)
    if sha256_file(file) != result.rows.sha256:
        raise BadInput(f"{file}: is not the file that {path.name} was written with (its SHA-256 differs)")
    try:
        rows = pd.read_parquet(file)
    except Exception as e:  # pyarrow raises many types on files that are no Parquet
        raise BadInput(f"{file}: cannot be read as Parquet ({' '.join(str(e).split())[:200]})") from None
    lacking = [name for name in COLUMNS if name not in rows.columns]
    unknown = set() if lacking else set(rows["outcome"]) - set(Outcome)
    if lacking or unknown:
        fault = f"has no column {lacking[0]}" if lacking else f"has an outcome {min(map(str, unknown))}"
        raise BadInput(f"{file}: {fault}; evaluate the model again")
    return rows


def _rows_named_by(path: Path) -> Path | None:
    """The rows of the result that is at `path` now, if there is one."""
    try:
        rows = read_result(path).rows
    except BadInput:
        return None
    return None if rows is None else path.with_name(rows.file)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()
