"""The report's figures, as SVG that takes its colours from the page."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from da2k.leaderboard.report.ordering import Slice
from da2k.leaderboard.svg import drawing, element, even_ticks, floor_to

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH = 440
_LABELS, _COUNTS = 148, 72
_ROW = 25
_LETTERS = 22
_MOST_POINTS = 600


def accuracy_rows(slices: Sequence[Slice], overall: float, title: str, what: str) -> "Markup":
    """Accuracy with its interval, a row a slice; a dashed line at one half, and one at the overall accuracy.

    Args:
        slices: at least one.
        overall: accuracy over all pairs.
        title: of the figure, read out.
        what: heads the column of labels.
    """
    left, right = _LABELS, _WIDTH - _COUNTS
    low = floor_to(min(0.5, *(each.interval[0] for each in slices)), 0.1)
    top, bottom = 24, 24 + _ROW * len(slices)

    def x(share: float) -> float:
        return left + (right - left) * (share - low) / (1 - low)

    parts = [_text(0, 14, what, "r-quiet"), _text(_WIDTH, 14, "correct / pairs", "r-quiet", "end")]
    parts += [
        element("line", x1=x(tick), x2=x(tick), y1=top, y2=bottom, class_="r-grid") for tick in even_ticks(low, 1, 5)
    ]
    parts.append(element("line", x1=x(0.5), x2=x(0.5), y1=top, y2=bottom, class_="r-chance"))
    parts.append(element("line", x1=x(overall), x2=x(overall), y1=top, y2=bottom, class_="r-mean"))
    for n, each in enumerate(slices):
        y = top + _ROW * (n + 0.5)
        begin, end = (x(share) for share in each.interval)
        parts += [
            _text(0, y + 4.5, _cut(each.label)),
            element("line", x1=begin, x2=end, y1=y, y2=y, class_="r-interval"),
            *(element("line", x1=at, x2=at, y1=y - 4, y2=y + 4, class_="r-interval") for at in (begin, end)),
            element("circle", cx=x(each.accuracy), cy=y, r=4.5, class_="r-dot"),
            _text(_WIDTH, y + 4.5, f"{each.correct} / {each.total}", None, "end"),
        ]
    parts += [_text(x(tick), bottom + 17, f"{100 * tick:.0f}", None, "middle") for tick in even_ticks(low, 1, 5)]
    parts.append(_text((left + right) / 2, bottom + 36, "accuracy (%), higher is better →", "r-quiet", "middle"))
    spoken = "; ".join(f"{each.label}: {100 * each.accuracy:.1f} %" for each in slices[:30])
    return drawing(_WIDTH, bottom + 44, title, f"Accuracy with intervals. {spoken}", *parts)


def histogram(values: NDArray[np.float64], title: str, label: str, mean: float) -> "Markup":
    """How many images have which value; a line at the mean."""
    left, right, top, bottom = 44, _WIDTH - 12, 12, 200
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5 * max(abs(low), 1e-6), high + 0.5 * max(abs(high), 1e-6)
    bins = int(min(max(np.ceil(2 * len(values) ** (1 / 3)), 4), 40))
    counts, edges = np.histogram(values, bins, (low, high))
    most = int(counts.max())

    def x(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    def y(count: float) -> float:
        return bottom - (bottom - top) * count / (1.06 * most)

    parts = []
    for tick in (tick for tick in even_ticks(0, most, 5) if tick == round(tick)):
        parts.append(element("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="r-grid"))
        parts.append(_text(left - 6, y(tick) + 4.5, f"{tick:.0f}", None, "end"))
    for count, begin, end in zip(counts.tolist(), edges, edges[1:], strict=False):
        box = {
            "x": x(begin) + 0.5,
            "width": max(x(end) - x(begin) - 1, 0.5),
            "y": y(count),
            "height": bottom - y(count),
        }
        parts.append(element("rect", **box, class_="r-bar"))
    parts.append(element("line", x1=x(mean), x2=x(mean), y1=top, y2=bottom, class_="r-mean"))
    parts += _bottom_axis(low, high, x, bottom, label)
    parts.append(_text(left - 32, top + 2, "images", "r-quiet", "start", turned=True))
    return drawing(_WIDTH, bottom + 44, title, f"{len(values)} images, mean {mean:.4g}", *parts)


def sorted_curve(values: NDArray[np.float64], title: str, label: str, low: float, high: float) -> "Markup":
    """The values of all images, sorted, against the share of images; of many images, evenly spread ones."""
    left, right, top, bottom = 44, _WIDTH - 12, 12, 200
    ordered = np.sort(values)
    kept = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), _MOST_POINTS)).round().astype(int))

    def x(percent: float) -> float:
        return left + (right - left) * percent / 100

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    places = [(x(100 * (at + 0.5) / len(ordered)), y(float(ordered[at]))) for at in kept]
    parts = []
    for tick in even_ticks(low, high, 6):
        parts.append(element("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="r-grid"))
        parts.append(_text(left - 6, y(tick) + 4.5, f"{tick:g}", None, "end"))
    parts.append(element("polyline", points=" ".join(f"{px:.1f},{py:.1f}" for px, py in places), class_="r-curve"))
    if len(places) <= 60:
        parts += [element("circle", cx=px, cy=py, r=3, class_="r-dot") for px, py in places]
    parts += _bottom_axis(0, 100, x, bottom, "images, from the worst to the best (%)")
    parts.append(_text(left - 32, top + 2, label, "r-quiet", "start", turned=True))
    ends = f"from {ordered[0]:.4g} to {ordered[-1]:.4g}, median {np.median(ordered):.4g}"
    return drawing(_WIDTH, bottom + 44, title, ends, *parts)


def _bottom_axis(low: float, high: float, x: Callable[[float], float], bottom: float, label: str) -> "list[Markup]":
    ticks = even_ticks(low, high, 6)
    parts = [element("line", x1=x(low), x2=x(high), y1=bottom, y2=bottom, class_="r-axis")]
    parts += [_text(x(tick), bottom + 17, f"{tick:g}", None, "middle") for tick in ticks]
    parts.append(_text((x(low) + x(high)) / 2, bottom + 36, label, "r-quiet", "middle"))
    return parts


def _text(
    x: float, y: float, text: str, kind: str | None = None, anchor: str | None = None, *, turned: bool = False
) -> "Markup":
    classes = "r-text" if kind is None else f"r-text {kind}"
    turn = f"rotate(-90 {x:.1f} {y:.1f})" if turned else None
    return element("text", text, x=x, y=y, class_=classes, text_anchor="end" if turned else anchor, transform=turn)


def _cut(label: str) -> str:
    words = label.replace("_", " ")
    return words if len(words) <= _LETTERS else f"{words[: _LETTERS - 1]}…"
