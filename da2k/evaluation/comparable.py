"""What results must have in common to be compared, and what each must keep to itself."""

from collections.abc import Iterable, Sequence
from math import isclose
from pathlib import Path
from typing import TypeVar

from da2k.errors import BadInput
from da2k.results import DenseResult, Result, read_any_result

ResultT = TypeVar("ResultT", Result, DenseResult)

_SORTS = {Result: "pairs of points", DenseResult: "measured depth"}


def read_comparable(paths: Sequence[str | Path], sort: type[ResultT]) -> dict[Path, ResultT]:
    """Read results that were scored on the same benchmark by the same protocol.

    Args:
        paths: two or more result files.
        sort: `Result` for pairs of points, or `DenseResult` for measured depth.

    Returns:
        The results by file, in the order given.

    Raises:
        BadInput: fewer than two files, a file given twice, one that is no result or of another sort, or results of
            different benchmarks or protocols.
    """
    if len(paths) < 2:
        raise BadInput("a comparison needs two results or more")
    files = [Path(path) for path in paths]
    if len({file.resolve() for file in files}) < len(files):
        raise BadInput("a result is given twice; a model cannot be compared with itself")
    results = {file: _read(file, sort) for file in files}
    for file in files[1:]:
        _require_same_work(files[0], results[files[0]], file, results[file])
    return results


def _read(file: Path, sort: type[ResultT]) -> ResultT:
    result = read_any_result(file)
    if not isinstance(result, sort):
        found, wanted = _SORTS[type(result)], _SORTS[sort]
        raise BadInput(
            f"{file}: is a result on {found} ({result.benchmark.name}), and is compared here with results on {wanted}; "
            "give results of one sort"
        )
    return result


def _require_same_work(first_file: Path, first: ResultT, file: Path, result: ResultT) -> None:
    for what, ours, theirs in (
        ("benchmark", first.benchmark, result.benchmark),
        ("protocol", first.protocol, result.protocol),
    ):
        if ours.digest != theirs.digest:
            if ours.name != theirs.name:
                why = f"was scored on {what} {theirs.name}, and {first_file} on {ours.name}"
            else:
                why = f"was scored on other content of {what} {ours.name} than {first_file} (another list or release?)"
            raise BadInput(f"{file}: {why}; only results on the same {what} can be compared (field {what}.digest)")


def name_models(results: Iterable[ResultT], files: Iterable[Path]) -> list[str]:
    """The models' names; the files' where two models have the same."""
    names = [result.model.name for result in results]
    return names if len(set(names)) == len(names) else [str(file.with_suffix("")) for file in files]


def require_from_rows(file: Path, fields: Iterable[tuple[str, object, object]]) -> None:
    """Check that a result says what its rows say.

    Args:
        file: the result's.
        fields: of the result: name, stated value, and the value that follows from the rows. Floats, also in tuples,
            may differ by 1e-9 of their size.

    Raises:
        BadInput: a field does not follow; the message names it.
    """
    for field, stated, found in fields:
        if not _agree(stated, found):
            raise BadInput(f"{file}: field {field} does not follow from its rows; evaluate the model again")


def _agree(stated: object, found: object) -> bool:
    if isinstance(stated, tuple) and isinstance(found, tuple):
        return len(stated) == len(found) and all(map(_agree, stated, found))
    if isinstance(stated, float) and isinstance(found, float):
        return isclose(stated, found, rel_tol=1e-9, abs_tol=1e-12)
    return stated == found
