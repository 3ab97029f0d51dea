"""Tables on stdout, of results on measured depth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from da2k.cli.tables import p_value, print_table

if TYPE_CHECKING:
    from da2k.evaluation.dense.compare import PairedMeans
    from da2k.results import DenseResult

_ARROWS = {"lower": "↓", "higher": "↑"}


def print_dense_result(result: "DenseResult") -> None:
    """The metrics of a result, their intervals, and the share of clamped pixels; nothing if no image was scored."""
    from da2k.metrics.dense import METRICS

    if not result.metrics:
        return
    rows = [
        [
            name,
            f"{found.mean:.4f}",
            f"{found.interval[0]:.4f}–{found.interval[1]:.4f}",
            METRICS[name].unit or "–",
            f"{_ARROWS[METRICS[name].better]} {METRICS[name].better}",
        ]
        for name, found in result.metrics.items()
    ]
    print_table(["metric", "mean", f"{100 * result.level:g} % int.", "unit", "better"], rows)
    typer.echo(f"clamped: {100 * result.clamped:.1f} % of pixels")


def print_dense_comparison(tests: "Sequence[PairedMeans]") -> None:
    """The paired tests, one table for each two models."""
    couples = list(dict.fromkeys((test.a, test.b) for test in tests))
    for a, b in couples:
        chosen = [test for test in tests if (test.a, test.b) == (a, b)]
        first = chosen[0]
        for letter, name, unscored, other in (("A", a, first.unscored_a, "B"), ("B", b, first.unscored_b, "A")):
            remark = f"   ({_images(unscored)} scored by {other} only, and left out)" if unscored else ""
            typer.echo(f"{letter} = {name}{remark}")
        typer.echo(f"{_images(first.images)} scored by both")
        titles = ["metric", "A", "B", "A − B", "95 % int.", "A better on", "B better on", "p", "Holm", "better"]
        print_table(titles, [_compared(test) for test in chosen])
    typer.echo(
        "better: –, not separable at 5 %. ↓ lower is better, ↑ higher. Holm: p corrected for testing all metrics"
    )


def _compared(test: "PairedMeans") -> list[str]:
    from da2k.metrics.dense import METRICS

    low, high = test.interval
    return [
        f"{test.metric} {_ARROWS[METRICS[test.metric].better]}",
        f"{test.mean_a:.4f}",
        f"{test.mean_b:.4f}",
        f"{test.difference:+.4f}",
        f"{low:+.4f} to {high:+.4f}",
        str(test.better_a),
        str(test.better_b),
        p_value(test.p),
        p_value(test.p_holm),
        (test.better or "–").upper(),
    ]


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
