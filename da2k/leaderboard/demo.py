"""The end of the demo: its results on a board, the board's pages, and one model's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import TemporaryDirectory

from da2k.datasets.da2k import read_benchmark
from da2k.files import write_text
from da2k.leaderboard.report import write_report
from da2k.leaderboard.site import build_site
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import check_submission
from da2k.results import read_result


@dataclass(frozen=True)
class DemoPages:
    """What there is to open.

    Attributes:
        site: the first page of the leaderboard.
        report: one model's report.
    """

    site: Path
    report: Path


def show_results(folder: Path, results: Sequence[Path], reported: Path) -> DemoPages:
    """Put results of the demo on a board, build its pages, and write one report.

    The pages say nothing of when and how fast the demo ran, so that the next one makes the same.

    Args:
        folder: the demo's; `benchmark/` in it was scored. Receives `leaderboard/`, `site/` and `report.html`.
        results: the result files.
        reported: the one of them that the report is of.
    """
    board, labels = folder / "leaderboard", read_benchmark(folder / "benchmark", name="da2k-demo")
    rmtree(board, ignore_errors=True)
    with TemporaryDirectory(prefix="da2k-demo-") as temporary:
        timeless = {result: _timeless(result, Path(temporary)) for result in (*results, reported)}
        for result in results:
            add_submission(check_submission(timeless[result], labels), board)
        build_site(board, folder / "site")
        write_report(timeless[reported], folder / "report.html", benchmark=folder / "benchmark")
    return DemoPages(folder / "site" / "index.html", folder / "report.html")


def _timeless(path: Path, folder: Path) -> Path:
    """A copy of a result and its rows without what the clock said."""
    result = read_result(path)
    run = result.run.model_copy(update={"started": "", "seconds": 0.0, "images_per_second": None})
    write_text(folder / path.name, result.model_copy(update={"run": run}).model_dump_json())
    if result.rows is not None:
        copyfile(path.with_name(result.rows.file), folder / result.rows.file)
    return folder / path.name
