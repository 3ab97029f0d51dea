"""The lines of a release's table: one list behind every format."""

from dataclasses import dataclass
from typing import Any

from da2k.leaderboard.board import Placed, Release
from da2k.leaderboard.paired import Answers
from da2k.leaderboard.published import Published
from da2k.leaderboard.ranking import Floor, Ranked, RankedPublished, floors, rank, rank_published

MEASURED, FLOOR = "measured", "floor"


@dataclass(frozen=True)
class Line:
    """One line of the table, the same for every format.

    Attributes:
        section: "measured", "floor", "paper" or "third party". Ranks hold within measured lines, and within those of
            one source.
        rank, tier: None for a floor.
        key: names a measured row on the board and in addresses of pages.
        url: where the model is described, or the source's address.
        accuracy, interval_low, interval_high, macro: in [0, 1]; higher is better.
        counts: pairs by outcome; of a published line what is known.
        p, p_holm: of the test against the leader of the tier; see `da2k.leaderboard.ranking.Ranked`.
        by_interval: whether rank and tier follow from intervals alone, for want of per-pair rows.
        approximate: whether the interval follows from a rounded share.
        images_per_second: of the run that made the predictions, where it was measured.
        rescored: whether the predictions themselves were scored for the board; None for what was published.
        source: where a published number is printed.
        scenarios: accuracy by scenario, in [0, 1].
    """

    section: str
    model: str
    accuracy: float
    interval_low: float
    interval_high: float
    counts: dict[str, int]
    scenarios: dict[str, float]
    rank: int | None = None
    tier: int | None = None
    revision: str | None = None
    key: str | None = None
    kind: str | None = None
    parameters: int | None = None
    licence: str | None = None
    url: str | None = None
    macro: float | None = None
    p: float | None = None
    p_holm: float | None = None
    by_interval: bool = False
    approximate: bool = False
    images_per_second: float | None = None
    rescored: bool | None = None
    source: str | None = None
    note: str | None = None


def lines(release: Release, published: Published, answers: Answers | None = None) -> tuple[Line, ...]:
    """The lines of a release's table: measured models by rank, floors, then published numbers by source.

    Raises:
        BadInput: as for `da2k.leaderboard.ranking.rank`.
    """
    return (
        *(_measured(each) for each in rank(release, answers)),
        *(_floor(each, release) for each in floors(release)),
        *(_published(each) for each in rank_published(published.on(release.name))),
    )


def _measured(each: Ranked) -> Line:
    placed = each.placed
    return _of_row(placed, MEASURED, rank=each.rank, tier=each.tier, p=each.p, p_holm=each.p_holm, note=placed.row.note)


def _floor(each: Floor, release: Release) -> Line:
    if each.placed is not None:
        return _of_row(each.placed, FLOOR, note=each.note)
    low, high = each.interval
    return Line(
        section=FLOOR,
        model=each.name,
        accuracy=each.accuracy,
        interval_low=low,
        interval_high=high,
        counts=each.counts.model_dump(),
        scenarios=dict.fromkeys(release.scenarios, 0.0),
        macro=0.0,
        note=each.note,
    )


def _of_row(placed: Placed, section: str, **more: Any) -> Line:
    row, result = placed.row, placed.row.result
    low, high = result.accuracy.interval
    return Line(
        section=section,
        model=result.model.name,
        accuracy=result.accuracy.micro,
        interval_low=low,
        interval_high=high,
        counts=result.counts.model_dump(),
        scenarios={name: scenario.accuracy for name, scenario in result.scenarios.items()},
        revision=result.model.revision,
        key=placed.key,
        kind=result.model.kind,
        parameters=result.model.parameters,
        licence=row.licence,
        url=row.url,
        macro=result.accuracy.macro,
        images_per_second=result.run.images_per_second,
        rescored=row.rescored,
        **more,
    )


def _published(each: RankedPublished) -> Line:
    row = each.row
    low, high = row.interval
    return Line(
        section=row.tier,
        model=row.model,
        accuracy=row.accuracy,
        interval_low=low,
        interval_high=high,
        counts={"total": row.total} | ({} if row.correct is None else {"correct": row.correct}),
        scenarios=dict(row.scenarios),
        rank=each.rank,
        tier=each.tier,
        kind=row.kind,
        parameters=row.parameters,
        url=row.source_url,
        by_interval=each.by_interval,
        approximate=row.approximate,
        source=row.source,
        note=row.note,
    )
