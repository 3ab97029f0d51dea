"""How far a benchmark is, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from da2k.construction.funnel import Funnel, ScenarioFunnel
from da2k.files import write_atomically

_HIGHEST = 300.0
"""Inches; matplotlib draws no more than 2 ** 16 pixels."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Parts = Sequence[tuple[str, str, Sequence[int]]]
"""Stacked parts of bars: what it is, its colour, and how many in each scenario."""


def write_funnel(funnel: Funnel, title: str, path: Path) -> None:
    """Write the funnel of every scenario as PNG.

    Raises:
        BadInput: the file cannot be written.
    """
    from matplotlib import style

    with style.context("default"):
        figure = draw_funnel(funnel, title)
    write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=120, metadata={"Software": None}))


def draw_funnel(funnel: Funnel, title: str) -> "Figure":
    """Three panels with a bar a scenario: photographs, pairs by outcome, and pairs that go to people by progress."""
    from matplotlib.figure import Figure

    names, counts = list(funnel.scenarios), list(funnel.scenarios.values())
    figure = Figure(figsize=(12, min(1.9 + 0.36 * len(names), _HIGHEST)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, heading, parts in zip(
        panels, ("photographs", "pairs drawn", "pairs for people"), _panels(counts), strict=True
    ):
        _bars(axes, heading, parts)
    panels[0].set_yticks(range(len(names)), names, parse_math=False)
    panels[0].invert_yaxis()
    return figure


def _panels(counts: Sequence[ScenarioFunnel]) -> tuple[Parts, Parts, Parts]:
    return (
        (
            ("read by all experts", "#56b4e9", [c.read for c in counts]),
            ("not read", "#d9d9d9", [c.to_read - c.read for c in counts]),
            ("pairs are chosen by people", "#e69f00", [c.images - c.to_read for c in counts]),
        ),
        (
            ("disputed", "#0072b2", [c.disputed for c in counts]),
            ("chosen by people", "#e69f00", [c.manual for c in counts]),
            ("too close", "#d9d9d9", [c.too_close for c in counts]),
            ("unanimous", "#999999", [c.unanimous for c in counts]),
        ),
        (
            ("to be released", "#009e73", [c.released for c in counts]),
            ("left out", "#555555", [c.checked - c.released for c in counts]),
            ("lack checks", "#f0e442", [c.decided - c.checked for c in counts]),
            ("no answer", "#d9d9d9", [c.queued - c.decided for c in counts]),
        ),
    )


def _bars(axes: "Axes", heading: str, parts: Parts) -> None:
    from matplotlib.ticker import MaxNLocator

    totals = [sum(numbers) for numbers in zip(*(numbers for _, _, numbers in parts), strict=True)]
    begins = [0] * len(totals)
    for label, colour, numbers in parts:
        axes.barh(range(len(numbers)), numbers, left=begins, color=colour, label=label, height=0.7)
        begins = [begin + number for begin, number in zip(begins, numbers, strict=True)]
    for place, total in enumerate(totals):
        axes.annotate(str(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_title(heading, fontsize=10)
    axes.set_xlim(0, 1.12 * max([*totals, 1]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
