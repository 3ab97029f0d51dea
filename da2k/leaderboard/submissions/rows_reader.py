"""Reading a stranger's Parquet file in a process of its own.

A damaged file makes Arrow's reader end its process, not raise, in some versions: then this process ends, and the
one that asked is told. What the file says of itself is looked at before anything is unpacked from it: its
compression (only what da2k writes, which grows 20 times at most), its columns and their types, the number of rows.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import da2k
from da2k.evaluation.rows import COLUMNS
from da2k.leaderboard.submissions.problems import Problem, capped

AGAIN = "evaluate the model again, and hand in the files as da2k evaluate writes them"
SECONDS = 120
MEMORY = 4 << 30
"""What the process may take, where the system can say so."""
_LONGEST = 4096

RowList = list[dict[str, Any]]


def read_apart(path: Path, pairs: int) -> tuple[RowList | None, list[Problem]]:
    """The rows, one mapping a row, in the file's order; or None and why they cannot be read.

    Args:
        path: of the file.
        pairs: of the benchmark; a file with another number of rows is not read.
    """
    code = Path(da2k.__file__).resolve().parents[1]
    # -P: the folder that the check is run in may be the submission's, and its files are not to be imported.
    command = [sys.executable, "-P", "-m", __name__, str(path.absolute()), str(pairs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))}
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return None, [Problem(path.name, "", f"could not be read in {SECONDS} seconds", AGAIN)]
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return None, [Problem(path.name, "", f"is damaged: reading it ended the reader ({last[-200:]})", AGAIN)]
    answer = json.loads(done.stdout)
    return answer["rows"], [Problem(**problem) for problem in answer["problems"]]


def _read(path: Path, pairs: int) -> tuple[RowList | None, list[Problem]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [column for column, kind in COLUMNS.items() if kind == "string"]
    try:
        problems = list(_header_problems(pq.read_metadata(path), pairs, path.name))
        if problems:
            return None, problems
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read()
        # A text that stands once in the file may be meant by every row.
        long = [column for column in texts if _longest(table[column]) > _LONGEST]
        if long:
            what = f"holds text of more than {_LONGEST:,} characters"
            return None, [Problem(path.name, column, what, AGAIN) for column in long]
        rows: RowList = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as e:
        return None, [Problem(path.name, "", f"cannot be read as Parquet ({' '.join(str(e).split())[:200]})", AGAIN)]
    holes = [column for column in COLUMNS if column != "kind" and table[column].null_count]
    return None if holes else rows, [Problem(path.name, each, "has rows without a value", AGAIN) for each in holes]


def _longest(column: Any) -> int:
    values = (value for chunk in column.chunks for value in chunk.dictionary.to_pylist())
    return max((len(value) for value in values if value is not None), default=0)


def _header_problems(header: Any, pairs: int, name: str) -> Iterator[Problem]:
    import pyarrow as pa

    if header.num_rows != pairs:
        yield Problem(name, "", f"has {header.num_rows:,} rows, and the benchmark {pairs:,} pairs", AGAIN)
    schema = header.schema.to_arrow_schema()
    for column in [column for column in COLUMNS if column not in schema.names]:
        yield Problem(name, column, "is missing", AGAIN)
    unknown = (Problem(name, c, "is an unknown column", "leave it out") for c in schema.names if c not in COLUMNS)
    yield from capped(unknown, name, "unknown columns")
    for column, kind in COLUMNS.items():
        if schema.names.count(column) > 1:
            yield Problem(name, column, "stands twice", AGAIN)
        elif column in schema.names and schema.field(column).type != getattr(pa, kind)():
            yield Problem(name, column, f"is {schema.field(column).type}, not {kind}", AGAIN)
    groups = (header.row_group(number) for number in range(header.num_row_groups))
    methods = {group.column(number).compression for group in groups for number in range(group.num_columns)}
    if not methods <= {"SNAPPY", "UNCOMPRESSED"}:
        yield Problem(name, "", f"is compressed by {', '.join(sorted(methods))}, and only SNAPPY is read", AGAIN)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if sys.platform == "linux" and (hard == resource.RLIM_INFINITY or hard > MEMORY):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


def _answer(path: Path, pairs: int) -> str:
    from dataclasses import asdict

    rows, problems = _read(path, pairs)
    return json.dumps({"rows": rows, "problems": [asdict(problem) for problem in problems]})


if __name__ == "__main__":
    _limit_memory()
    sys.stdout.write(_answer(Path(sys.argv[1]), int(sys.argv[2])))
