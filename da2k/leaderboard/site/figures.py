"""The figures of a leaderboard, as SVG text: higher is better in all of them, and every axis says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from da2k.leaderboard.pages import percent
from da2k.leaderboard.svg import columns, drawing, element, even_ticks, floor_to, outline, shortened

if TYPE_CHECKING:
    from markupsafe import Markup

HIGHER = "accuracy, % (higher is better)"
_DIGIT = 7.2
"""Width of a digit in a figure, in pixels, with something to spare for wide fonts."""

_COLUMNS = "model, by the number at its row"


@dataclass(frozen=True)
class Estimate:
    """A model's accuracy as a figure shows it.

    Attributes:
        name: of the model.
        share: correct / total, in [0, 1].
        interval: of the share.
        best: whether it cannot be separated from the best.
        floor: whether it is what no depth at all gives.
    """

    name: str
    share: float
    interval: tuple[float, float]
    best: bool = False
    floor: bool = False


def forest(estimates: Sequence[Estimate], title: str) -> "Markup":
    """One model under the other, in the order given: its name above its accuracy and interval. Floors stand below a
    rule.
    """
    width, left, row, top = 460, 4, 34, 6
    numbers = [_in_words(each) for each in estimates]
    right = 22 + _DIGIT * max((len(number) for number in numbers), default=0)
    low = lowest([e.interval[0] for e in estimates])
    rule = next((i for i, e in enumerate(estimates) if e.floor and i), None)
    gap = 12 if rule is not None else 0
    bottom = top + len(estimates) * row + gap

    def x(share: float) -> float:
        return left + 6 + (share - low) / (1 - low) * (width - left - 6 - right)

    parts: list[Markup] = []
    for tick in even_ticks(low, 1.0, 6):
        parts.append(element("line", class_="grid", x1=x(tick), x2=x(tick), y1=top, y2=bottom))
        parts.append(element("text", percent(tick, 0), class_="tick", x=x(tick), y=bottom + 16, text_anchor="middle"))
    parts.append(element("text", HIGHER, class_="axis", x=(x(low) + x(1)) / 2, y=bottom + 36, text_anchor="middle"))
    for i, (each, number) in enumerate(zip(estimates, numbers, strict=True)):
        y = top + i * row + 24 + (gap if rule is not None and i >= rule else 0)
        if i == rule:
            y_rule = y - 24 - gap / 2
            parts.append(element("line", class_="rule", x1=0, x2=width, y1=y_rule, y2=y_rule))
        kind = "floor" if each.floor else "best" if each.best else "other"
        a, b = (x(share) for share in each.interval)
        name = element("text", shortened(each.name, 60), class_="name small", x=left, y=y - 10)
        whisker = element("line", class_="whisker", x1=a, x2=b, y1=y, y2=y)
        ends = (element("line", class_="whisker", x1=end, x2=end, y1=y - 4, y2=y + 4) for end in (a, b))
        mark = element("path", class_="mark", d=outline(0 if not each.floor else 3, x(each.share), y, 4.5))
        text = element("text", number, class_="number", x=width - right + 14, y=y + 4)
        parts.append(element("g", name, whisker, *ends, mark, text, class_=kind))
    return drawing(width, bottom + 44, title, "The numbers are in the table of this page.", *parts)


def _in_words(each: Estimate) -> str:
    return f"{percent(each.share)}  [{percent(each.interval[0])}, {percent(each.interval[1])}]"


def matrix(
    names: Sequence[str], p_holm: Sequence[Sequence[float]], difference: Sequence[Sequence[float]], title: str
) -> "Markup":
    """Which models the pairs can tell apart: a square for every two, the better one's column, the other one's row.

    Args:
        names: of n models, the best first.
        p_holm: corrected p-values, [n][n].
        difference: accuracy of the row's model less the column's, [n][n], shares of 1.
        title: what it is read out as.
    """
    n = len(names)
    cell = 38 if n <= 12 else 26
    left, top = 36 + _longest(names), 8
    width, bottom = max(left + n * cell + 8, left + n * cell / 2 + 3.5 * len(_COLUMNS)), top + n * cell
    parts: list[Markup] = []
    for i, name in enumerate(names):
        y = top + i * cell
        line = y + cell / 2 + 4
        parts.append(element("text", shortened(name), class_="name", x=left - 30, y=line, text_anchor="end"))
        parts.append(element("text", str(i + 1), class_="tick", x=left - 10, y=line, text_anchor="end"))
        column = left + (i + 0.5) * cell
        parts.append(element("text", str(i + 1), class_="tick", x=column, y=bottom + 16, text_anchor="middle"))
        for j in range(i):
            # + 0.0: a difference of nothing has no sign.
            p, points = float(p_holm[i][j]), round(-100 * float(difference[i][j]), 1) + 0.0
            told = element("title", f"{names[j]} less {name}: {points:+.1f} points, p = {p:.2g}")
            level = evidence(p)
            square = element(
                "rect", told, x=left + j * cell + 1, y=y + 1, width=cell - 2, height=cell - 2, rx=3, class_="cell"
            )
            inside = [square]
            if n <= 12:
                text = f"{points:.1f}".replace("-", "−")
                middle = left + (j + 0.5) * cell
                inside.append(element("text", text, class_="points", x=middle, y=line, text_anchor="middle"))
            parts.append(element("g", *inside, class_=f"p{level}"))
        parts.append(element("circle", class_="self", cx=column, cy=y + cell / 2, r=2))
    parts.append(element("text", _COLUMNS, class_="axis", x=left + n * cell / 2, y=bottom + 36, text_anchor="middle"))
    numbers = "The list below the figure says it in words."
    return drawing(width, bottom + 44, title, numbers, *parts)


def evidence(p: float) -> int:
    """How sure a difference is: 0 not separable (p >= 0.05), 1 below 0.05, 2 below 0.01, 3 below 0.001.

    >>> [evidence(p) for p in (1.0, 0.05, 0.049, 0.009, 0.0009)]
    [0, 0, 1, 2, 3]
    """
    return sum(p < level for level in (0.05, 0.01, 0.001))


def _longest(names: Sequence[str]) -> float:
    """Room for the longest of some names, in pixels."""
    return 7.7 * max((columns(shortened(name)) for name in names), default=0)


def lowest(lows: Sequence[float]) -> float:
    """Where an axis of accuracy begins: five points' steps, and never above 0.9; its end is always 1.

    >>> lowest([0.962, 0.977]), lowest([0.437])
    (0.9, 0.4)
    """
    return min(0.9, max(0.0, floor_to(min(lows, default=0.0), 0.05)))
