"""The index of a release: its table, its figures, and published numbers apart from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import da2k
from da2k.leaderboard.pages import page
from da2k.leaderboard.published import Published, PublishedRow
from da2k.leaderboard.ranking import ALPHA, rank_published
from da2k.leaderboard.site.figures import forest, matrix
from da2k.leaderboard.site.scatter import PARAMETERS, SPEED, against
from da2k.leaderboard.site.standing import Standing
from da2k.leaderboard.site.views import (
    FOREST,
    SIZES,
    Line,
    estimates,
    published_axis,
    published_lines,
    size_spots,
    speed_spots,
)

if TYPE_CHECKING:
    from markupsafe import Markup

FEWEST = 3
"""Models that a plot of accuracy against something needs."""
MATRIX = 20
"""How many models the matrix shows at most; each model's page says what it cannot be told apart from."""


def index_page(
    standing: Standing | None, standings: Sequence[Standing], published: Published, downloads: Mapping[str, str]
) -> str:
    """The index of a release; of published numbers alone where nothing was measured."""
    shown: dict[str, Any] = {"release": None, "figures": None, "root": "", "others": [], "beaten_by": None}
    if standing is not None:
        release, models = standing.release, standing.models
        present = {line.size for line in models}
        shown = {
            "release": release,
            "root": standing.root,
            "pairs": sum(release.scenarios.values()),
            "models": models,
            "floors": standing.floors,
            "axis": standing.axis,
            "beaten_by": _beaten_by(standing),
            "kinds": sorted({line.kind for line in models}),
            "licences": sorted({line.licence for line in models}),
            "sizes": [(k, text) for k, text, _ in SIZES if k in present]
            + ([("unknown", "not stated")] if "unknown" in present else []),
            "figures": _figures(standing),
            "scenario_pages": standing.pages,
            "downloads": downloads.items(),
            "others": [
                {
                    "address": f"{standing.root}{other.place}index.html",
                    "title": other.release.title,
                    "protocol": other.release.protocol,
                    "many": len(other.release.rows),
                }
                for other in standings
                if other is not standing
            ],
        }
    return page(
        "index.html.j2",
        script="site.js" if standing is not None else None,
        version=da2k.__version__,
        published_groups=_published_groups(published) if standing is None or not standing.place else [],
        dense_page=bool(published.dense) and (standing is None or not standing.place),
        **shown,
    )


def _beaten_by(standing: Standing) -> Line | None:
    """The best floor, where no model is more accurate."""
    if not standing.models:
        return None
    floor = max(standing.floors, key=lambda line: line.share)
    return floor if floor.share >= max(line.share for line in standing.models) else None


def _figures(standing: Standing) -> dict[str, Any] | None:
    models = standing.models
    if not models:
        return None
    sizes, speeds = size_spots(models), speed_spots(models)
    first = min(len(models), MATRIX)
    return {
        "forest": forest(estimates(models, [f for f in standing.floors if f.placed], FOREST), "Accuracy and interval"),
        "forest_of": min(len(models), FOREST),
        "matrix": _matrix(standing, first) if first > 1 else None,
        "matrix_of": first,
        "comparisons": _comparisons(standing, first),
        "size": against(sizes, PARAMETERS, "Accuracy against parameters") if len(sizes) >= FEWEST else None,
        "size_of": len(sizes),
        "size_left": len(models) - len(sizes),
        "speed": against(speeds, SPEED, "Accuracy against speed") if len(speeds) >= FEWEST else None,
        "speed_of": len(speeds),
        "fewest": FEWEST,
        "speed_left": len(models) - len(speeds),
    }


def _matrix(standing: Standing, first: int) -> "Markup":
    compared = standing.compared
    names = [standing.names[key] for key in compared.keys[:first]]
    p, difference = compared.p_holm[:first, :first].tolist(), compared.difference[:first, :first].tolist()
    return matrix(names, p, difference, "Which models the pairs tell apart")


def _comparisons(standing: Standing, first: int) -> list[tuple[str, list[str], list[str]]]:
    """For each model: those that come after it and are told apart, and those that are not."""
    compared = standing.compared
    names = [standing.names[key] for key in compared.keys[:first]]
    found = []
    for i in range(first - 1):
        later = range(i + 1, first)
        apart = [names[j] for j in later if compared.p_holm[i, j] < ALPHA]
        found.append((names[i], apart, [names[j] for j in later if compared.p_holm[i, j] >= ALPHA]))
    return found


def _published_groups(published: Published) -> list[dict[str, Any]]:
    groups = []
    for benchmark in dict.fromkeys(row.benchmark for row in published.rows):
        rows = published.on(benchmark)
        scenarios = list(dict.fromkeys(name for row in rows for name in row.scenarios))
        axis = published_axis(rows)
        sources: dict[tuple[str, str], list[Any]] = {}
        for each in rank_published(rows):
            sources.setdefault((each.row.tier, each.row.source), []).append(each)
        groups.append(
            {
                "benchmark": benchmark,
                "scenarios": scenarios,
                "axis": axis,
                "sources": [
                    _source(ranked[0].row, published_lines(ranked, scenarios, axis)) for ranked in sources.values()
                ],
            }
        )
    return groups


def _source(first: PublishedRow, lines: list[Line]) -> dict[str, Any]:
    """A source with its lines; what every line remarks is said once."""
    notes = [(line.note or "").split("; ") for line in lines]
    common = [part for part in notes[0] if part and all(part in note for note in notes)] if len(notes) > 1 else []
    own = ["; ".join(part for part in note if part not in common) or None for note in notes]
    return {
        "tier": first.tier,
        "text": first.source,
        "url": first.source_url,
        "note": "; ".join(common),
        "lines": [replace(line, note=note) for line, note in zip(lines, own, strict=True)],
    }
