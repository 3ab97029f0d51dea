"""A result on disk: a JSON file, and a Parquet file of its rows whose name and digest it states."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from da2k.errors import BadInput
from da2k.files import sha256_file, write_atomically
from da2k.results import DenseResult, ModelRecord, ProtocolRecord, Result, Rows, read_any_result

if TYPE_CHECKING:
    import pandas as pd

ResultT = TypeVar("ResultT", Result, DenseResult)


def require_free(
    path: Path, model: ModelRecord, digest: str, protocol: ProtocolRecord | None = None, *, partial: bool = False
) -> None:
    """Check that a result of this model on this benchmark may be written here.

    Args:
        path: the result file.
        model: the model.
        digest: of the benchmark.
        protocol: the protocol, where a benchmark can be scored by more than one.
        partial: whether frames are absent now.

    Raises:
        BadInput: the path is no place for a file, or holds something else than an earlier result of the same
            model, options, benchmark and protocol.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise BadInput(f"{path}: is no regular file; --out names the result's file, such as results/model.json")
    try:
        earlier = read_any_result(path)
    except BadInput:
        raise BadInput(f"{path}: is there already and is no result; choose another --out") from None
    if earlier.benchmark.digest != digest:
        content = "frames" if isinstance(earlier, DenseResult) else "labels"
        what = f"benchmark {earlier.benchmark.name} with other {content}"
    elif protocol is not None and earlier.protocol.digest != protocol.digest:
        choices = " with other choices" if earlier.protocol.name == protocol.name else ""
        what = f"protocol {earlier.protocol.name}{choices}"
    elif partial and isinstance(earlier, DenseResult) and not earlier.images.absent:
        what = "the whole dataset, and frames are absent now"
    elif earlier.model.spec != model.spec:
        what = f"{earlier.model.spec}, and this is {model.spec}"
    elif _identity(earlier.model) != _identity(model):
        what = f"{earlier.model.spec} with other options or weights"
    else:
        return
    raise BadInput(f"{path}: holds the result of {what}; choose another --out, or replace it with --replace")


def _identity(model: ModelRecord) -> tuple[object, ...]:
    return model.spec, model.options, model.revision, model.weights_digest


def save_result(result: ResultT, rows: list[dict[str, Any]], columns: Mapping[str, str], path: Path) -> ResultT:
    """Write the rows, then the result that names them and their digest.

    The rows' file carries its digest in its name: an older result at `path` keeps its own rows until the new
    one has replaced it, so a kill at any moment leaves a whole result.

    Args:
        result: the result.
        rows: one mapping a row.
        columns: their names and types, as pyarrow's functions are called.
        path: of the JSON file.

    Raises:
        BadInput: the folder cannot be written to.
    """
    data = _parquet(rows, columns)
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


def read_table(result: Result | DenseResult, path: Path, columns: Mapping[str, str]) -> "pd.DataFrame":
    """The rows of the result at `path`.

    Raises:
        BadInput: the result has no rows, their file is missing or is not the one the result names, or a column is
            missing.
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
    lacking = [name for name in columns if name not in rows.columns]
    if lacking:
        raise BadInput(f"{file}: has no column {lacking[0]}; evaluate the model again")
    return rows


def _rows_named_by(path: Path) -> Path | None:
    """The rows of the result that is at `path` now, if there is one."""
    try:
        rows = read_any_result(path).rows
    except BadInput:
        return None
    return None if rows is None else path.with_name(rows.file)


def _parquet(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()
