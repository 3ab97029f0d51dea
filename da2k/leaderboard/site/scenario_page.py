"""One page a scenario of a release."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import da2k
from da2k.leaderboard.board import Placed
from da2k.leaderboard.pages import page
from da2k.leaderboard.published import Published
from da2k.leaderboard.site.figures import Estimate, forest, lowest
from da2k.leaderboard.site.standing import Standing
from da2k.leaderboard.site.views import FOREST, Axis, Bar, Line
from da2k.results import Counts


@dataclass(frozen=True)
class ScenarioLine:
    """One model on one scenario."""

    name: str
    page: str | None
    share: float
    interval: tuple[float, float]
    bar: Bar
    counts: Counts
    overall: float


def scenario_pages(standing: Standing, published: Published) -> Iterator[tuple[str, str]]:
    """One page a scenario: its path in the site, and its text."""
    release = standing.release
    for name, total in release.scenarios.items():
        lines = [*standing.models, *(line for line in standing.floors if line.placed)]
        axis = _scenario_axis([line.placed for line in standing.models or lines if line.placed], name)
        shown = [_on(line, name, axis) for line in lines]
        models, below = shown[: len(standing.models)], shown[len(standing.models) :]
        models.sort(key=lambda line: -line.share)
        rows = [Estimate(m.name, m.share, m.interval) for m in models[:FOREST]]
        rows += [Estimate(f.name, f.share, f.interval, floor=True) for f in below]
        text = page(
            "scenario.html.j2",
            version=da2k.__version__,
            release=release,
            root="../" + standing.root,
            name=name,
            pairs=total,
            all_pairs=sum(release.scenarios.values()),
            widest=f"{100 * max((m.interval[1] - m.interval[0] for m in [*models, *below]), default=0):.1f}",
            axis=axis,
            models=models,
            floors=below,
            forest=forest(rows, f"Accuracy on {name}") if rows else "",
            forest_of=min(len(models), FOREST),
            published=[row for row in published.on(release.name) if name in row.scenarios],
        )
        yield f"{standing.place}scenarios/{standing.pages[name]}.html", text


def _on(line: Line, scenario: str, axis: Axis) -> ScenarioLine:
    placed: Placed | None = line.placed
    if placed is None:
        raise ValueError(f"{line.name} was not measured")
    found = placed.row.result.scenarios[scenario]
    bar = axis.bar(found.accuracy, found.interval)
    return ScenarioLine(line.name, line.page, found.accuracy, found.interval, bar, found, line.share)


def _scenario_axis(models: Sequence[Placed], scenario: str) -> Axis:
    """An axis on which the intervals of all models on a scenario have their place."""
    return Axis(lowest([placed.row.result.scenarios[scenario].interval[0] for placed in models]))
