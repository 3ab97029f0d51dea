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


@dataclass(frozen=True)
class Bar:
    """Where an interval stands on its axis, in percent of the axis' length."""

    left: float
    width: float
    at: float


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
        cells: by scenario; None where a number is not known.
        placed: the row on the board; None for what has none.
        note: one line more.
        unanswered: pairs for which there is no prediction, or none that is finite.
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
        return bounded(self.placed.row.result.run.device, 40) if self.placed else ""

    @property
    def speed(self) -> float | None:
        """Images per second."""
        return self.placed.row.result.run.images_per_second if self.placed else None


@dataclass(frozen=True)
class Axis:
    """The common axis of a page's bars and of its heat map: from `low` to 1."""

    low: float

    def bar(self, share: float, interval: tuple[float, float]) -> Bar:
        """Where an interval stands; what lies below the axis is drawn at its beginning."""
        left, right, at = (100 * max(0.0, (v - self.low) / (1 - self.low)) for v in (*interval, share))
        return Bar(left, max(right - left, 0.0), at)

    def cell(self, share: float) -> Cell:
        """A square of the heat map."""
        step = int((share - self.low) / (1 - self.low) * STEPS)
        return Cell(share, min(max(step, 0), STEPS - 1))


def axis_of(releases: Iterable[Release]) -> Axis:
    """An axis on which every model that is no baseline has its place, overall and by scenario."""
    results = [placed.row.result for release in releases for placed in release.rows]
    models = [result for result in results if not result.model.spec.startswith("baseline:")] or results
    shares = [scenario.accuracy for result in models for scenario in result.scenarios.values()]
    return Axis(lowest([*shares, *(result.accuracy.interval[0] for result in models)]))


def published_axis(rows: "Iterable[PublishedRow]") -> Axis:
    """An axis on which every published accuracy of a benchmark has its place."""
    shares = [share for row in rows for share in (row.interval[0], *row.scenarios.values())]
    return Axis(lowest(shares))


def ranked_lines(ranked: "Iterable[Ranked]", axis: Axis) -> list[Line]:
    """The lines of models, best first."""
    return [_measured(each.placed, each.rank, axis) for each in ranked]


def floor_lines(floors: "Iterable[Floor]", release: Release, axis: Axis) -> list[Line]:
    """The lines of the floors; one that was not measured has the same accuracy in every scenario."""
    lines = []
    for each in floors:
        if each.placed is not None:
            lines.append(_measured(each.placed, None, axis, each.note))
            continue
        cells = tuple(axis.cell(each.accuracy) for _ in release.scenarios)
        bar = axis.bar(each.accuracy, each.interval)
        lines.append(Line(each.name, None, None, each.accuracy, each.interval, bar, cells, note=each.note))
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
    """Models whose speed is known, by the device it was measured on."""
    return [Spot(m.name, m.speed, m.share, m.interval, m.device) for m in models if m.speed]


def _measured(placed: Placed, rank: int | None, axis: Axis, note: str | None = None) -> Line:
    result = placed.row.result
    accuracy = result.accuracy
    return Line(
        name=result.model.name,
        page=placed.key,
        rank=rank,
        share=accuracy.micro,
        interval=accuracy.interval,
        bar=axis.bar(accuracy.micro, accuracy.interval),
        cells=tuple(axis.cell(scenario.accuracy) for scenario in result.scenarios.values()),
        placed=placed,
        note=note or placed.row.note,
        unanswered=result.counts.invalid + result.counts.missing,
    )
