"""Is a submission fit for the board? Everything that is not is told at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from da2k.datasets.da2k import Benchmark
from da2k.evaluation.evaluate import Progress
from da2k.leaderboard.rows import ROW_VERSION, Row
from da2k.leaderboard.submissions.causes import failure_problems
from da2k.leaderboard.submissions.handed_result import check_result
from da2k.leaderboard.submissions.keeping import kept_result, kept_rows, rows_name
from da2k.leaderboard.submissions.layout import misplaced_maps, misplaced_problems, stray_files
from da2k.leaderboard.submissions.maps import absent_maps, read_submitted_declaration, score_maps
from da2k.leaderboard.submissions.opening import Submission, open_submission
from da2k.leaderboard.submissions.problems import Problem, capped, field_problems, text_problems
from da2k.leaderboard.text import Name, Note, WebAddress
from da2k.protocols import OrderingProtocol, ordering_protocol
from da2k.results import Result, Rows

_TOLD = {"licence": Name, "url": WebAddress, "note": Note}


@dataclass(frozen=True, eq=False)
class Checked:
    """What a check found.

    Attributes:
        name: of the file or folder that was handed in.
        problems: everything that is wrong.
        row: the row that the board would hold; None if there is a problem.
        pairs: the bytes of the Parquet file beside it; empty without a row.
    """

    name: str
    problems: tuple[Problem, ...]
    row: Row | None = None
    pairs: bytes = field(default=b"", repr=False)


def check_submission(
    path: str | Path,
    benchmark: Benchmark,
    *,
    licence: str | None = None,
    url: str | None = None,
    note: str | None = None,
    allow_failures: bool = False,
    protocol: str = "da2k",
    progress: Progress | None = None,
) -> Checked:
    """Check a submission, and score its predictions.

    Predictions are scored here. A result cannot be: its rows are held against the labels, each outcome against its
    two values, and every count and share against the rows. So is the result in a row of a board, which anyone may
    check where it lies; what it says of having been scored cannot be. An image without a map, or with one that cannot
    be judged, counts as not correct either way; as it is mostly a mistake of the submitter, it is a problem unless
    failures are allowed. Maps are not judged if no `predictions.yaml` tells how to read them. A text is refused if it
    is hidden, too long or turns the reading direction; `<script>` is a name like any other, as pages escape all names.
    An address must be of the web.

    Args:
        path: a folder of predictions, a zip of one, or a result file or a row of a board with its rows beside it.
        benchmark: the release that the board is of, whole.
        licence, url: of the weights and of the model's page; by default as `predictions.yaml`, or the row, has them.
        note: one line.
        allow_failures: take a submission in which images are missing or cannot be judged.
        protocol: the rules.
        progress: called after each image that was scored.

    Raises:
        BadInput: there is nothing at the path, or it is the benchmark that cannot be used.
    """
    rules = ordering_protocol(protocol)
    told = {"licence": licence, "url": url, "note": note}
    problems = [
        problem for name, kind in _TOLD.items() for problem in text_problems(kind, {name: told[name]}, "options")
    ]
    with open_submission(Path(path)) as submission:
        problems += submission.problems
        if benchmark.partial:
            what = f"{benchmark.name} is not whole here"
            problems.append(Problem("options", "benchmark", what, "fetch the whole benchmark, then check again"))
        result, pairs = None, b""
        if submission.maps is not None:
            result, pairs, found = _scored(submission, benchmark, rules, told, allow_failures, progress)
            problems += found
        elif submission.result is not None:
            handed = check_result(submission.result, benchmark, rules)
            problems += handed.problems
            told = {name: told[name] or handed.told.get(name) for name in told}
            if handed.result is not None and not allow_failures:
                problems += failure_problems(handed.result.failures, len(benchmark.images), submission.name)
            if handed.result is not None and not problems:
                result = kept_result(handed.result, benchmark, rescored=False)
                pairs = kept_rows(result, handed.rows)
    if problems or result is None:
        return Checked(submission.name, tuple(problems))
    return _as_row(submission, result, pairs, told)


def _scored(
    submission: Submission,
    benchmark: Benchmark,
    rules: OrderingProtocol,
    told: dict[str, str | None],
    allow_failures: bool,
    progress: Progress | None,
) -> tuple[Result | None, bytes, list[Problem]]:
    """The maps' result and rows; what `predictions.yaml` tells of the weights is added to what was told."""
    declaration, stand_in, problems = read_submitted_declaration(submission)
    misplaced = misplaced_maps(submission, benchmark)
    problems += misplaced_problems(misplaced, benchmark, submission.name)
    strays = stray_files(submission, benchmark, misplaced)
    problems += capped(strays, submission.name, "files that do not belong here")
    result, pairs = None, b""
    if stand_in is None:
        failures = absent_maps(submission, benchmark)
    else:
        result, pairs = score_maps(submission, stand_in, benchmark, rules.name, progress)
        failures = result.failures
    if not allow_failures:
        elsewhere = set(misplaced.values())
        failures = [each for each in failures if each.image not in elsewhere]
        problems += failure_problems(failures, len(benchmark.images), submission.name)
    if declaration is None or result is None:
        return None, b"", problems
    for name in ("licence", "url"):
        told[name] = told[name] or getattr(declaration, name)
    return kept_result(result, benchmark, rescored=True), pairs, problems


def _as_row(submission: Submission, result: Result, pairs: bytes, told: dict[str, Any]) -> Checked:
    content = {"schema_version": ROW_VERSION, "rescored": submission.maps is not None, **told}
    try:
        draft = Row(result=result.model_copy(update={"rows": Rows(file="row.parquet", sha256="0" * 64)}), **content)
        file, digest = rows_name(draft.place[2], pairs)
        row = Row(result=result.model_copy(update={"rows": Rows(file=file, sha256=digest)}), **content)
    except ValidationError as e:
        return Checked(submission.name, tuple(field_problems(e, Row, submission.name)))
    return Checked(submission.name, (), row, pairs)
