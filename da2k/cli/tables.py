"""Tables on stdout."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from da2k.evaluation.compare import PairedTest
    from da2k.results import Result


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 1, last_apart: int = 0) -> None:
    """Print rows under their column titles.

    Args:
        columns: the titles.
        rows: the cells.
        text: how many columns at the start are text and align left; the others align right.
        last_apart: how many rows at the end are set apart by a line, such as totals.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
    for index, title in enumerate(columns):
        table.add_column(title, justify="left" if index < text else "right", no_wrap=True)
    for index, row in enumerate(rows):
        table.add_row(*(Text(cell) for cell in row), end_section=index == len(rows) - last_apart - 1)
    # As wide as it needs: a narrow terminal may wrap a line, but no figure is cut.
    Console(width=Console(width=1000).measure(table).maximum, highlight=False).print(table)


def percent(share: float) -> str:
    """A share as per cent with two decimals."""
    return f"{100 * share:.2f}"


def interval(bounds: tuple[float, float]) -> str:
    """Two bounds as per cent."""
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}"


def p_value(p: float) -> str:
    """A p-value with three decimals.

    >>> p_value(0.0137), p_value(0.0002)
    ('0.014', '<.001')
    """
    return f"{p:.3f}" if p >= 0.0005 else "<.001"


def print_result(result: "Result") -> None:
    """The per-scenario table of a result."""
    outcomes = ("total", "correct", "wrong", "tied", "invalid", "missing")
    rows = [
        [name, *(str(getattr(s, outcome)) for outcome in outcomes), percent(s.accuracy), interval(s.interval)]
        for name, s in result.scenarios.items()
    ]
    accuracy = result.accuracy
    rows += [
        [
            "overall",
            *(str(getattr(result.counts, outcome)) for outcome in outcomes),
            percent(accuracy.micro),
            interval(accuracy.interval),
        ],
        ["mean of scenarios", *[""] * len(outcomes), percent(accuracy.macro), ""],
    ]
    level = f"{100 * accuracy.level:g} % int."
    print_table(["scenario", "pairs", *outcomes[1:], "acc. %", level], rows, last_apart=2)


def print_comparison(tests: "Sequence[PairedTest]") -> None:
    """The paired tests, one table for each two models."""
    couples = list(dict.fromkeys((test.a, test.b) for test in tests))
    for a, b in couples:
        overall, *scenarios = (test for test in tests if (test.a, test.b) == (a, b))
        for letter, name, unjudged in (("A", a, overall.unjudged_a), ("B", b, overall.unjudged_b)):
            remark = f"   ({unjudged} of {overall.pairs} pairs invalid or missing)" if unjudged else ""
            typer.echo(f"{letter} = {name}{remark}")
        rows = [[*_compared(test), p_value(test.p_holm), _better(test)] for test in scenarios]
        rows.append([*_compared(overall), "", _better(overall)])
        titles = ["scenario", "pairs", "A %", "B %", "A − B", "only A", "only B", "p", "Holm", "better"]
        print_table(titles, rows, last_apart=1)
    typer.echo("better: –, not separable at 5 %. Holm: p corrected for testing all scenarios")


def _compared(test: "PairedTest") -> list[str]:
    return [
        test.scenario,
        str(test.pairs),
        percent(test.accuracy_a),
        percent(test.accuracy_b),
        f"{100 * (test.accuracy_a - test.accuracy_b):+.2f}",
        str(test.only_a),
        str(test.only_b),
        p_value(test.p),
    ]


def _better(test: "PairedTest") -> str:
    if not test.separable:
        return "–"
    return "A" if test.only_a > test.only_b else "B"
