"""The counts of a release as a figure."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from da2k.construction.release.contents import ScenarioCount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PARTS = {"disputed": "#0072b2", "manual": "#e69f00", "unanimous": "#999999"}
"""How pairs were found, in the colours of Okabe and Ito, which the colour-blind tell apart."""
_HIGHEST = 300.0
"""Inches; matplotlib draws no more than 2 ** 16 pixels."""


def draw_counts(counts: Mapping[str, ScenarioCount], title: str) -> bytes:
    """A PNG with a bar a scenario, split by how its pairs were found; the same counts give the same bytes.

    The user's matplotlib settings have no say in it.
    """
    from matplotlib import style

    with style.context("default"):
        buffer = io.BytesIO()
        _draw(counts, title).savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _draw(counts: Mapping[str, ScenarioCount], title: str) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8.0, min(1.2 + 0.34 * len(counts), _HIGHEST)), layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(counts))
    drawn = [0] * len(counts)
    for part, colour in _PARTS.items():
        lengths = [getattr(count, part) for count in counts.values()]
        if any(lengths):
            axes.barh(rows, lengths, left=drawn, height=0.68, color=colour, label=part)
            drawn = [have + more for have, more in zip(drawn, lengths, strict=True)]
    for row, count in enumerate(counts.values()):
        text = f"{count.pairs:,} on {count.images:,} photograph{'' if count.images == 1 else 's'}"
        axes.annotate(text, (count.pairs, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(rows, [_shortened(name, 40) for name in counts], fontsize=8)
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xlim(0, 1.55 * max(drawn))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("pairs", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_shortened(title, 90), x=0.01, ha="left", fontsize=10, parse_math=False)
    figure.legend(loc="outside lower right", ncols=len(_PARTS), fontsize=8, frameon=False)
    return figure


def _shortened(text: str, longest: int) -> str:
    half = longest // 2 - 1
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
