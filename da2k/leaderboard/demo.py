"""The end of the demo: its results on a board, the board's pages, and one model's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from da2k.datasets.da2k import read_benchmark
from da2k.leaderboard.report import write_report
from da2k.leaderboard.site import build_site
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import check_submission


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

    Args:
        folder: the demo's; `benchmark/` in it was scored. Receives `leaderboard/`, `site/` and `report.html`.
        results: the result files.
        reported: the one of them that the report is of.
    """
    board, labels = folder / "leaderboard", read_benchmark(folder / "benchmark", name="da2k-demo")
    rmtree(board, ignore_errors=True)
    for result in results:
        add_submission(check_submission(result, labels), board)
    build_site(board, folder / "site")
    write_report(reported, folder / "report.html", benchmark=folder / "benchmark")
    return DemoPages(folder / "site" / "index.html", folder / "report.html")
