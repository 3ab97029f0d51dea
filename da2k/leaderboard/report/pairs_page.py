"""The report on pairs: from checked rows to a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from da2k.datasets.benchmarks import open_benchmark, open_photos
from da2k.datasets.da2k import Benchmark
from da2k.errors import BadInput
from da2k.images import Photo
from da2k.leaderboard.pages import page
from da2k.leaderboard.report import figures, ordering
from da2k.leaderboard.report.about import about, direction
from da2k.leaderboard.report.baselines import Progress, against_baselines
from da2k.leaderboard.report.judged import JudgedPairs, read_judged, require_benchmark
from da2k.leaderboard.report.shown import lines, seen
from da2k.leaderboard.report.wrong_pairs import Chosen, choose_pairs, draw_pairs
from da2k.metrics.ordering import Outcome
from da2k.results import Result

MOST_SCENARIOS = 60
_TABLED = 40
"""Wrong pairs that are listed where there are no photographs."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A benchmark whose labels are those of the result.

    Attributes:
        benchmark: the labels.
        photos: of each image, or why it has none.
    """

    benchmark: Benchmark
    photos: Mapping[str, Photo | BadInput]

    @property
    def unreadable(self) -> list[BadInput]:
        """Why photographs could not be opened."""
        return [photo for photo in self.photos.values() if isinstance(photo, BadInput)]


def write_pairs_page(
    result: Result, path: Path, where: str | Path | None, root: Path | None, most: int, progress: Progress | None
) -> tuple[str, list[str]]:
    """The page, and what its reader should be told on the command line too.

    Raises:
        BadInput: rows or labels are damaged, or do not belong to the result.
    """
    pairs = read_judged(result, path)
    opened = None if where is None else _open(pairs, result, where, root, path)
    notes = _without_photos(opened)
    seeing = opened is not None and len(opened.unreadable) < len(opened.photos)
    baselines = against_baselines(pairs, opened.benchmark, result.model.spec, progress) if opened and seeing else ()
    chosen = choose_pairs(pairs, most if seeing else 0)
    drawn = draw_pairs(pairs, chosen, opened.photos) if opened and seeing else None
    return page(
        "report_pairs.html.j2",
        **_headline(result),
        **_analysis(pairs, result),
        baselines=baselines,
        baselines_why=None if baselines else _no_baselines(opened, seeing),
        drawn=drawn,
        tabled=None if drawn else _tabled(pairs),
        lists=_lists(pairs, chosen),
        notes=notes,
        warnings=lines(result.warnings),
        failures=lines(f"{failure.image}: {failure.reason}" for failure in result.failures),
        about=about(result),
    ), notes


def _open(pairs: JudgedPairs, result: Result, where: str | Path, root: Path | None, path: Path) -> Opened:
    # Incomplete copies are taken: the digest tells whether the labels are those of the result.
    benchmark = open_benchmark(where, root=root, partial=True)
    require_benchmark(pairs, result, benchmark, path)
    return Opened(benchmark, open_photos(benchmark))


def _without_photos(opened: Opened | None) -> list[str]:
    if opened is None:
        return ["no --benchmark was given: there are no photographs and no baselines"]
    lost = opened.unreadable
    if not lost:
        return []
    return [f"{len(lost)} of {len(opened.photos)} photographs cannot be opened, the first: {seen(lost[0], 300)}"]


def _no_baselines(opened: Opened | None, seeing: bool) -> str:
    if opened is None:
        return "They need the photographs: give the benchmark with --benchmark."
    return "None of the photographs can be opened." if not seeing else "There is none to compare with."


def _headline(result: Result) -> dict[str, Any]:
    accuracy, shown = result.accuracy, list(result.scenarios.items())[:MOST_SCENARIOS]
    scenarios = [(seen(name), counts) for name, counts in shown]
    rows = [
        ordering.Slice(name, counts.total, counts.correct, counts.accuracy, counts.interval)
        for name, counts in scenarios
    ]
    return {
        "model": seen(result.model.name),
        "benchmark": seen(result.benchmark.name),
        "revision": None if result.benchmark.revision is None else seen(result.benchmark.revision),
        "partial": result.benchmark.partial,
        "images": result.benchmark.images,
        "protocol": seen(result.protocol.name),
        "level": f"{100 * accuracy.level:g} %",
        "counts": result.counts,
        "accuracy": accuracy,
        "scenarios": scenarios,
        "scenarios_left": len(result.scenarios) - len(scenarios),
        "by_scenario": figures.accuracy_rows(rows, accuracy.micro, "Accuracy by scenario", "scenario"),
    }


def _analysis(pairs: JudgedPairs, result: Result) -> dict[str, Any]:
    level, overall = result.accuracy.level, result.accuracy.micro
    margin = ordering.by_margin(pairs, level) if pairs.kind is not None else None
    distance, height = ordering.by_distance(pairs, level), ordering.by_height(pairs, level)
    unit = {"ratio": "larger ÷ smaller depth", "difference": "difference"}

    def figure(slices: Sequence[ordering.Slice], title: str, what: str) -> Any:
        return figures.accuracy_rows(slices, overall, title, what) if slices else None

    return {
        "kind": pairs.kind,
        "direction": direction(pairs.kind),
        "answered": int(pairs.answered.sum()),
        "margin": margin,
        "by_margin": margin and figure(margin.slices, "Accuracy by margin", unit[margin.measure]),
        "distance": distance,
        "by_distance": figure(distance, "Accuracy by distance of the two points", "pixels apart"),
        "height": height,
        "by_height": figure(height.slices, "Accuracy by row difference", "rows lower (+)"),
        "leaning": _leaning(height),
    }


def _leaning(height: ordering.ByHeight) -> str:
    if height.lower is None or height.higher is None or height.interval is None or height.difference is None:
        return "All pairs lie the same way, so this benchmark cannot tell."
    low, high = height.interval
    if low > 0 and height.higher.interval[1] < 0.5:
        return "Below chance where the closer point is higher: it decides by the place in the picture."
    if low > 0:
        return "It does better where lower happens to be nearer: it leans on the place in the picture."
    if high < 0:
        return "It does better where the closer point is higher: it does not lean on “lower is nearer”."
    return "No leaning on “lower is nearer” can be seen: the interval of the difference holds 0."


def _lists(pairs: JudgedPairs, chosen: Chosen) -> dict[str, int]:
    counts = {str(outcome): int((pairs.outcome == outcome).sum()) for outcome in (Outcome.WRONG, Outcome.TIED)}
    return {"wrong": counts["wrong"], "tied": counts["tied"], "asked": len(chosen.wrong) + len(chosen.tied)}


def _tabled(pairs: JudgedPairs) -> list[dict[str, Any]]:
    hardest = [*ordering.hardest(pairs, Outcome.WRONG), *ordering.hardest(pairs, Outcome.TIED)][:_TABLED]
    return [
        {
            "image": seen(pairs.image[i]),
            "outcome": str(pairs.outcome[i]),
            "closer": tuple(pairs.closer[i].tolist()),
            "farther": tuple(pairs.farther[i].tolist()),
            "value_closer": f"{pairs.value_closer[i]:.4g}",
            "value_farther": f"{pairs.value_farther[i]:.4g}",
        }
        for i in hardest
    ]
