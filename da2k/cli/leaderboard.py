"""`da2k leaderboard check`, `add` and `build`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from da2k.cli.score import Root, warn

if TYPE_CHECKING:
    from da2k.leaderboard.submissions.check import Checked

app = typer.Typer(help="Submissions, and the pages made of them.", no_args_is_help=True, rich_markup_mode=None)

Submission = Annotated[
    Path,
    typer.Argument(
        help="A predictions folder, a zip of one, a result file with its rows beside it, or a row file of a board.",
        show_default=False,
    ),
]
Benchmark = Annotated[str, typer.Option(help="The benchmark of the board: a name from `da2k data list`, or a folder.")]
Board = Annotated[Path, typer.Option(help="The folder of the board, with results/ and published.yaml.")]
Licence = Annotated[str | None, typer.Option(help="Of the weights; default: as predictions.yaml has it.")]
Url = Annotated[str | None, typer.Option(help="Of the model's page; default: as predictions.yaml has it.")]
Note = Annotated[str | None, typer.Option(help="One line that is shown with the row.")]
AllowFailures = Annotated[
    bool,
    typer.Option(
        "--allow-failures",
        help="Take a submission in which maps are missing or cannot be judged; they are not correct.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def check(
    submission: Submission,
    benchmark: Benchmark = "da2k",
    root: Root = None,
    licence: Licence = None,
    url: Url = None,
    note: Note = None,
    allow_failures: AllowFailures = False,
    json: Json = False,
) -> None:
    """Check a submission, and score its predictions. Exit code 1 if anything is wrong; all of it is told at once.

    Example: da2k leaderboard check maps/
    """
    checked = _checked(submission, benchmark, root, licence, url, note, allow_failures)
    if json:
        _print_json(checked)
    elif checked.row is not None:
        typer.echo(_fit(checked))
    if not json:
        _tell(checked)
    if checked.problems:
        raise typer.Exit(1)


@app.command()
def add(
    submission: Submission,
    benchmark: Benchmark = "da2k",
    board: Board = Path("leaderboard"),
    root: Root = None,
    licence: Licence = None,
    url: Url = None,
    note: Note = None,
    allow_failures: AllowFailures = False,
) -> None:
    """Check a submission and put it on the board: one row file, and its pairs beside it. No row is ever replaced.

    Example: da2k leaderboard add maps/
    """
    from da2k.leaderboard.submissions.add import add_submission

    checked = _checked(submission, benchmark, root, licence, url, note, allow_failures)
    if checked.problems:
        _tell(checked)
        raise typer.Exit(1)
    if not board.is_dir():
        warn(f"{board} was not there; a new board begins")
    path = add_submission(checked, board)
    typer.echo(_fit(checked))
    _tell(checked)
    typer.echo(f"row: {path}")


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="The folder of the site; what an earlier build left there is replaced.")],
    board: Board = Path("leaderboard"),
    release: Annotated[
        str | None,
        typer.Option(help="The release of the first page, by revision or start of its digest; default: most rows."),
    ] = None,
) -> None:
    """Make the site of a board: static pages that open from disk, and the same tables for programs and papers.

    Example: da2k leaderboard build --out site/
    """
    from da2k.cli.progress import progress
    from da2k.errors import BadInput
    from da2k.leaderboard.site import build_site

    if not board.is_dir():
        raise BadInput(f"{board}: no such folder; --board names the board, with results/ and published.yaml in it")
    with progress("leaderboard") as show:
        report = build_site(board, out, show, first=release)
    for warning in report.warnings:
        warn(warning)
    typer.echo(f"{report.pages} page{'s'[: report.pages != 1]} of {report.rows} row{'s'[: report.rows != 1]}")
    typer.echo(f"open: {out / 'index.html'}")


def _checked(
    submission: Path,
    benchmark: str,
    root: Path | None,
    licence: str | None,
    url: str | None,
    note: str | None,
    allow_failures: bool,
) -> "Checked":
    from da2k.cli.progress import progress
    from da2k.datasets.benchmarks import open_benchmark
    from da2k.leaderboard.submissions.check import check_submission

    labels = open_benchmark(benchmark, root=root)
    with progress(submission.name) as show:
        return check_submission(
            submission,
            labels,
            licence=licence,
            url=url,
            note=note,
            allow_failures=allow_failures,
            progress=show,
        )


def _fit(checked: "Checked") -> str:
    assert checked.row is not None
    result = checked.row.result
    how = "scored here" if checked.row.rescored else "recomputed from its rows, not scored here"
    counts = result.counts.model_dump()
    others = ", ".join(f"{counts[name]} {name}" for name in ("wrong", "tied", "invalid", "missing") if counts[name])
    return (
        f"{result.model.name} [{result.model.kind}] on {result.benchmark.name}: {counts['correct']} of "
        f"{counts['total']} correct{f', {others}' if others else ''}; {100 * result.accuracy.micro:.2f} %, {how}"
    )


def _tell(checked: "Checked") -> None:
    if checked.row is not None:
        for warning in checked.row.result.warnings:
            warn(warning)
    for problem in checked.problems:
        typer.echo(f"problem: {problem}", err=True)


def _print_json(checked: "Checked") -> None:
    from dataclasses import asdict
    from json import dumps

    row = None if checked.row is None else checked.row.model_dump(mode="json")
    problems = [asdict(problem) for problem in checked.problems]
    typer.echo(dumps({"submission": checked.name, "problems": problems, "row": row}, indent=1, ensure_ascii=False))
