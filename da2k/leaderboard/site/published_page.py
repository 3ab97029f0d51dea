"""Published numbers on measured depth: a table a source, as printed."""

from typing import Any

import da2k
from da2k.leaderboard.pages import page
from da2k.leaderboard.published import Published, PublishedDense
from da2k.metrics.dense import METRICS


def published_page(published: Published) -> str:
    """The page's text."""
    sources: dict[tuple[str, str, str], list[PublishedDense]] = {}
    for number in published.dense:
        sources.setdefault((number.tier, number.source, number.protocol), []).append(number)
    return page("published.html.j2", version=da2k.__version__, tables=[_table(numbers) for numbers in sources.values()])


def _table(numbers: list[PublishedDense]) -> dict[str, Any]:
    first = numbers[0]
    columns = list(dict.fromkeys((number.benchmark, number.metric) for number in numbers))
    digits = {column: max(_digits(n.value) for n in numbers if (n.benchmark, n.metric) == column) for column in columns}
    values = {(n.model, n.benchmark, n.metric): f"{n.value:.{digits[n.benchmark, n.metric]}f}" for n in numbers}
    notes = {number.note for number in numbers}
    return {
        "tier": first.tier,
        "source": first.source,
        "url": first.source_url,
        "protocol": first.protocol,
        "note": first.note if len(notes) == 1 else None,
        "columns": [(benchmark, metric, _direction(metric)) for benchmark, metric in columns],
        "lines": [
            (model, [values.get((model, *column)) for column in columns])
            for model in dict.fromkeys(number.model for number in numbers)
        ],
    }


def _direction(metric: str) -> str:
    return {"lower": "↓", "higher": "↑"}[METRICS[metric].better] if metric in METRICS else ""


def _digits(value: float) -> int:
    """Decimals of a number as it was printed."""
    return len(f"{value:g}".partition(".")[2])
