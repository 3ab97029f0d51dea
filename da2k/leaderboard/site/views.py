"""What the pages of a release show, before it is HTML: one value a line of a table, with its text and its bar."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from da2k.leaderboard.board import Placed, Release
from da2k.leaderboard.pages import bounded, words
from da2k.leaderboard.site.figures import Estimate, lowest
from da2k.leaderboard.site.scatter import Spot

if TYPE_CHECKING:
    from da2k.leaderboard.published import PublishedRow
    from da2k.leaderboard.ranking import Floor, Ranked, RankedPublished

STEPS = 16
"""Colours of the heat map; `style.css` has one class each, `h0` the lowest."""
FOREST = 40
"""How many models a forest plot shows at most; the table and the data have all."""
SIZES = (
    ("small", "up to 30 M", 30e6),
    ("medium", "30 M to 100 M", 100e6),
    ("large", "100 M to 500 M", 500e6),
    ("huge", "more than 500 M", float("inf")),
)
"""Classes of size, by number of parameters; the upper end belongs to a class."""
UNSTATED = "not stated"
_NARROWEST = 0.2
"""Share of the bars' axis that models keep at least; baselines that would take more are said to lie below it."""
_SLOWEST, _FASTEST = 1e-6, 1e6
"""Images per second that a figure draws; no machine is slower or faster."""


@dataclass(frozen=True)
class Bar:
    """Where an interval stands on its axis, in percent of the axis' length.

    Attributes:
        left, width: of the interval.
        at: of the accuracy.
        below: where the axis begins, in [0, 1], if the accuracy lies below that and is not drawn; None if it is.
        cut: whether the interval goes on below the axis.
    """

    left: float
    width: float
    at: float
    below: float | None = None
    cut: bool = False


@dataclass(frozen=True)
class Cell:
    """One square of the heat map: accuracy in [0, 1], and its colour's step."""

    share: float
    step: int


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: of the model.
        page: its page's file name without ending; None if it has none.
        rank: shared by what cannot be told apart; None for floors.
        share, interval, bar: overall accuracy.
        macro: mean of the scenarios' accuracies; None where it is not known.
        cells: by scenario; None where a number is not known.
        placed: the row on the board; None for what has none.
        note: one line more.
        unanswered: pairs for which there is no prediction, or none that is finite.
        alike: names of other models that became right, wrong, tied, … on exactly the same pairs.
        published: where the number was read; None if it was measured.
    """

    name: str
    page: str | None
    rank: int | None
    share: float
    interval: tuple[float, float]
    bar: Bar
    cells: tuple[Cell | None, ...]
    placed: Placed | None = None
    note: str | None = None
    unanswered: int = 0
    macro: float | None = None
    alike: tuple[str, ...] = ()
    published: "PublishedRow | None" = None

    @property
    def kind(self) -> str:
        """What its maps mean."""
        found = self.placed.row.result.model.kind if self.placed else None
        return words(found) if found else UNSTATED

    @property
    def licence(self) -> str:
        """Of its weights."""
        return (self.placed.row.licence if self.placed else None) or UNSTATED

    @property
    def parameters(self) -> int | None:
        """Number of weights."""
        return self.placed.row.result.model.parameters if self.placed else None

    @property
    def size(self) -> str:
        """Class of size, one of SIZES, or "unknown"."""
        many = self.parameters
        return "unknown" if many is None else next(key for key, _, most in SIZES if many <= most)

    @property
    def device(self) -> str:
        """What its speed was measured on."""
        device = self.placed.row.result.run.device if self.placed else ""
        return "device not stated" if device in ("", "none") else bounded(device, 40)

    @property
    def speed(self) -> float | None:
        """Images per second."""
        return self.placed.row.result.run.images_per_second if self.placed else None


@dataclass(frozen=True)
class Axis:
    """Axes from a low to 1.

    Attributes:
        low: of the colours of the heat map.
        least: of the bars; None if it is `low`.
    """

    low: float
    least: float | None = None

    @property
    def start(self) -> float:
        """Where the bars' axis begins."""
        return self.low if self.least is None else self.least

    def bar(self, share: float, interval: tuple[float, float]) -> Bar:
        """Where an interval stands, or that it lies below the axis."""
        start = self.start
        left, right, at = (100 * max(0.0, (v - start) / (1 - start)) for v in (*interval, share))
        return Bar(left, max(right - left, 0.0), at, start if share < start else None, interval[0] < start)

    def cell(self, share: float) -> Cell:
        """A square of the heat map."""
        step = int((share - self.low) / (1 - self.low) * STEPS)
        return Cell(share, min(max(step, 0), STEPS - 1))


def axis_of(releases: Iterable[Release]) -> Axis:
    """Axes on which every row has its place, baselines too where they do not press the models into the last fifth.

    The colours are for the models alone, overall and by scenario.
    """
    results = [placed.row.result for release in releases for placed in release.rows]
    models = [result for result in results if not result.model.spec.startswith("baseline:")] or results
    shares = [scenario.accuracy for result in models for scenario in result.scenarios.values()]
    overall = lowest([result.accuracy.interval[0] for result in models])
    everything = lowest([result.accuracy.interval[0] for result in results])
    least = everything if 1 - overall >= _NARROWEST * (1 - everything) else overall
    return Axis(lowest([*shares, overall]), least)


def published_axis(rows: "Iterable[PublishedRow]") -> Axis:
    """An axis on which every published accuracy of a benchmark has its place."""
    shares = [share for row in rows for share in (row.interval[0], *row.scenarios.values())]
    return Axis(lowest(shares))


def ranked_lines(ranked: "Iterable[Ranked]", scenarios: Iterable[str], axis: Axis) -> list[Line]:
    """The lines of models, best first; their cells are in the order of `scenarios`."""
    names = tuple(scenarios)
    return [_measured(each.placed, each.rank, names, axis) for each in ranked]


def floor_lines(floors: "Iterable[Floor]", release: Release, axis: Axis) -> list[Line]:
    """The lines of the floors; one that was not measured has the same accuracy in every scenario."""
    lines = []
    for each in floors:
        if each.placed is not None:
            lines.append(_measured(each.placed, None, tuple(release.scenarios), axis, each.note))
            continue
        cells = tuple(axis.cell(each.accuracy) for _ in release.scenarios)
        bar = axis.bar(each.accuracy, each.interval)
        lines.append(
            Line(each.name, None, None, each.accuracy, each.interval, bar, cells, note=each.note, macro=each.accuracy)
        )
    return lines


def published_lines(ranked: "Iterable[RankedPublished]", scenarios: Sequence[str], axis: Axis) -> list[Line]:
    """The lines of published numbers."""
    lines = []
    for each in ranked:
        row = each.row
        shares = (row.scenarios.get(name) for name in scenarios)
        cells = tuple(None if share is None else axis.cell(share) for share in shares)
        bar = axis.bar(row.accuracy, row.interval)
        lines.append(
            Line(row.model, None, each.rank, row.accuracy, row.interval, bar, cells, note=row.note, published=row)
        )
    return lines


def estimates(models: Sequence[Line], floors: Sequence[Line], most: int) -> list[Estimate]:
    """What the forest plot shows: the first `most` models, and the floors."""
    first = [Estimate(each.name, each.share, each.interval, best=each.rank == 1) for each in models[:most]]
    return first + [Estimate(each.name, each.share, each.interval, floor=True) for each in floors]


def size_spots(models: Iterable[Line]) -> list[Spot]:
    """Models whose number of parameters is known."""
    return [Spot(m.name, m.parameters, m.share, m.interval, m.kind) for m in models if m.parameters]


def speed_spots(models: Iterable[Line]) -> list[Spot]:
    """Models whose speed is known and can be, by the device it was measured on."""
    spots = (Spot(m.name, m.speed, m.share, m.interval, m.device) for m in models if m.speed)
    return [spot for spot in spots if _SLOWEST < spot.x < _FASTEST]


def _measured(placed: Placed, rank: int | None, scenarios: Sequence[str], axis: Axis, note: str | None = None) -> Line:
    result = placed.row.result
    accuracy = result.accuracy
    return Line(
        name=result.model.name,
        page=placed.key,
        rank=rank,
        share=accuracy.micro,
        interval=accuracy.interval,
        bar=axis.bar(accuracy.micro, accuracy.interval),
        # By name: the files of rows may list their scenarios in any order.
        cells=tuple(axis.cell(result.scenarios[name].accuracy) for name in scenarios),
        placed=placed,
        note=note or placed.row.note,
        unanswered=result.counts.invalid + result.counts.missing,
        macro=accuracy.macro,
    )
