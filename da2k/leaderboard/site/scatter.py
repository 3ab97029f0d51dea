"""Accuracy beside what it costs: a scatter plot on a log axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

from da2k.leaderboard.pages import percent
from da2k.leaderboard.site.figures import HIGHER, lowest
from da2k.leaderboard.svg import columns, drawing, element, even_ticks, log_ticks, outline, shortened

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Spot:
    """A model's accuracy beside what it costs.

    Attributes:
        name: of the model.
        x: what it costs or yields, positive.
        share: correct / total, in [0, 1].
        interval: of the share.
        group: what decides colour and shape.
    """

    name: str
    x: float
    share: float
    interval: tuple[float, float]
    group: str


@dataclass(frozen=True)
class Across:
    """The horizontal axis of a scatter plot.

    Attributes:
        label: with unit and direction.
        text: how a tick is written.
        more_is_better: whether good models stand to the right.
    """

    label: str
    units: tuple[tuple[float, str], ...]
    more_is_better: bool

    def text(self, value: float) -> str:
        """A tick's value with its unit."""
        size, unit = next(((s, u) for s, u in self.units if value >= s), (1.0, ""))
        return f"{value / size:g}{unit}"


PARAMETERS = Across(
    "parameters, log scale (fewer is cheaper)", ((1e9, " B"), (1e6, " M"), (1e3, " k")), more_is_better=False
)
SPEED = Across("images per second, log scale (more is faster)", (), more_is_better=True)


def against(spots: Sequence[Spot], across: Across, title: str) -> "Markup":
    """Accuracy over something on a log axis; the dashed line joins what nothing beats on both axes."""
    width, height, left, right, top, bottom = 500, 370, 46, 18, 34, 52
    low, xs = lowest([s.interval[0] for s in spots]), [s.x for s in spots]
    x_low, x_high = min(xs) / 1.6, max(xs) * 1.6
    if x_high / x_low < 12:  # a decade at least, or ticks are rare
        middle = (x_low * x_high) ** 0.5
        x_low, x_high = middle / 12**0.5, middle * 12**0.5

    def x(value: float) -> float:
        return left + log10(value / x_low) / log10(x_high / x_low) * (width - left - right)

    def y(share: float) -> float:
        return top + (1 - share) / (1 - low) * (height - top - bottom)

    parts: list[Markup] = []
    for tick in even_ticks(low, 1.0):
        parts.append(element("line", class_="grid", x1=left, x2=width - right, y1=y(tick), y2=y(tick)))
        parts.append(element("text", percent(tick, 0), class_="tick", x=left - 8, y=y(tick) + 4, text_anchor="end"))
    floor_y = height - bottom
    parts.append(element("line", class_="base", x1=left, x2=width - right, y1=floor_y, y2=floor_y))
    for tick in log_ticks(x_low, x_high):
        parts.append(element("line", class_="base", x1=x(tick), x2=x(tick), y1=floor_y, y2=floor_y + 4))
        label = element("text", across.text(tick), class_="tick", x=x(tick), y=floor_y + 18, text_anchor="middle")
        parts.append(label)
    middle = (left + width - right) / 2
    parts.append(element("text", across.label, class_="axis", x=middle, y=height - 12, text_anchor="middle"))
    upright = f"rotate(-90 12 {(top + floor_y) / 2:g})"
    parts.append(
        element("text", HIGHER, class_="axis", x=12, y=(top + floor_y) / 2, transform=upright, text_anchor="middle")
    )
    front = unbeaten(spots, across.more_is_better)
    if len(front) > 1:
        line = " ".join(f"{'L' if i else 'M'}{x(s.x):.1f} {y(s.share):.1f}" for i, s in enumerate(front))
        parts.append(element("path", class_="front", d=line))
    groups = list(dict.fromkeys(s.group for s in sorted(spots, key=lambda s: s.group)))
    for each in spots:
        group = min(groups.index(each.group), 5)
        told = f"{each.name}: {percent(each.share)} %, {across.text(float(f'{each.x:.3g}'))}, {each.group}"
        bar = element(
            "line", class_="whisker", x1=x(each.x), x2=x(each.x), y1=y(each.interval[0]), y2=y(each.interval[1])
        )
        mark = element("path", element("title", told), class_="mark", d=outline(group, x(each.x), y(each.share), 5))
        parts.append(element("g", bar, mark, class_=f"g{group}"))
    named = spots if len(spots) <= 14 else front
    frame = (left, top, width - right, floor_y)
    marks = [(x(s.x), y(s.share)) for s in spots]
    for text, at, anchor in _labels([(s.name, x(s.x), y(s.share)) for s in named], marks, frame):
        parts.append(element("text", text, class_="name small", x=at[0], y=at[1], text_anchor=anchor))
    parts += _legend(groups, left)
    numbers = "The numbers are in the table of this page."
    return drawing(width, height, title, numbers, *parts)


def unbeaten(spots: Sequence[Spot], more_is_better: bool) -> list[Spot]:
    """The models that no other beats: from the cheapest on, each more accurate than all that are cheaper."""
    cheapest_first = sorted(spots, key=lambda s: (-s.x if more_is_better else s.x, -s.share, s.name))
    front: list[Spot] = []
    for each in cheapest_first:
        if not front or each.share > front[-1].share:
            front.append(each)
    return front


_Box = tuple[float, float, float, float]


def _labels(
    named: Sequence[tuple[str, float, float]], marks: Sequence[tuple[float, float]], frame: _Box
) -> list[tuple[str, tuple[float, float], str]]:
    """Where names can stand without covering a mark or each other; a name without room is left out."""
    placed: list[tuple[str, tuple[float, float], str]] = []
    taken: list[_Box] = [(mx - 6, my - 6, mx + 6, my + 6) for mx, my in marks]
    for name, x, y in named:
        text = shortened(name, 26)
        long = 6.3 * columns(text)
        choices = (
            ("start", x + 10, y + 4, x + 10),
            ("end", x - 10, y + 4, x - 10 - long),
            ("start", x + 8, y - 9, x + 8),
            ("start", x + 8, y + 17, x + 8),
            ("end", x - 8, y - 9, x - 8 - long),
            ("end", x - 8, y + 17, x - 8 - long),
            ("start", x + 8, y - 23, x + 8),
            ("start", x + 8, y + 31, x + 8),
        )
        for anchor, at_x, at_y, begins in choices:
            box = (begins, at_y - 10, begins + long, at_y + 3)
            inside = frame[0] <= box[0] and box[2] <= frame[2] and frame[1] <= box[1] and box[3] <= frame[3]
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                placed.append((text, (at_x, at_y), anchor))
                break
    return placed


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend(groups: Sequence[str], left: float) -> "list[Markup]":
    shown = list(groups[:5]) + (["other"] if len(groups) > 5 else [])
    parts, x = [], left + 6.0
    for i, group in enumerate(shown):
        text = shortened(group, 20)
        mark = element("path", class_="mark", d=outline(i, x, 12, 5))
        parts.append(element("g", mark, element("text", text, class_="name small", x=x + 10, y=16), class_=f"g{i}"))
        x += 30 + 6.3 * columns(text)
    return parts
