"""Figures as SVG text that stands inside a page: its fonts and colours are the page's."""

import unicodedata
from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

LABEL = 30
"""Letters of a name that a figure shows; the whole name is in the table."""


def element(name: str, *children: "str | Markup", **attributes: "str | float | None") -> "Markup":
    """An element of SVG; text in it is escaped. `class_` is class, `text_anchor` text-anchor, `viewBox` stays.

    >>> str(element("text", "a < b", x=1.25, class_="t"))
    '<text x="1.2" class="t">a &lt; b</text>'
    """
    from markupsafe import Markup, escape

    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    inside = "".join(f' {key}="{escape(_plain(value))}"' for key, value in given)
    content = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{inside}>{content}</{name}>" if children else f"<{name}{inside}/>")


def drawing(width: float, height: float, title: str, description: str, *children: "Markup") -> "Markup":
    """A whole figure, `width` x `height` pixels at most and narrower where the page is; read out as its title and
    description.
    """
    # The label is an attribute, and no <title>, which would show as a tooltip over the whole figure.
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=f"{title}. {description}",
    )


def even_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers between two, at most `most`; steps of 1, 2 or 5.

    >>> even_ticks(0.72, 1.0)
    [0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
    """
    power = 10 ** floor(log10((high - low) / most))
    step = next(s * power for s in (1, 2, 5, 10, 20) if floor(high / (s * power)) - ceil(low / (s * power)) < most)
    first, last = ceil(round(low / step, 9)), floor(round(high / step, 9))
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two positive numbers; only powers of ten over more than three decades.

    >>> log_ticks(1.5e6, 4e7)
    [2000000.0, 5000000.0, 10000000.0, 20000000.0]
    """
    decades = log10(high / low)
    steps = (1,) if decades > 3 else (1, 2, 5)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks = [s * 10.0**power for power in powers for s in steps]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def outline(which: int, x: float, y: float, r: float) -> str:
    """A disc, square, triangle, diamond, hourglass or upturned triangle: colour alone tells nothing apart."""
    if which == 0:
        return f"M{x - r:.1f} {y:.1f}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z"
    outlines = {
        1: ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
        2: ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
        3: ((0, -1.15), (1.15, 0), (0, 1.15), (-1.15, 0)),
        4: ((-1, -1), (1, -1), (-1, 1), (1, 1)),
        5: ((0, 1.1), (1.05, -0.8), (-1.05, -0.8)),
    }
    points = [f"{x + dx * r:.1f} {y + dy * r:.1f}" for dx, dy in outlines[which]]
    return f"M{'L'.join(points)}z"


def floor_to(value: float, step: float) -> float:
    """The multiple of `step` at or below.

    >>> floor_to(0.937, 0.05)
    0.9
    """
    return round(floor(round(value / step, 9)) * step, 12)


def columns(text: str) -> int:
    """How wide a text is, in narrow letters; those of East Asia take two.

    >>> columns("depth"), columns("深度")
    (5, 4)
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shortened(name: str, longest: int = LABEL) -> str:
    """A name with its middle left out where it is wider than so many narrow letters.

    >>> shortened("a-rather-long-name-of-a-network", 15)
    'a-rathe…network'
    """
    if columns(name) <= longest:
        return name
    kept = len(name)
    while columns(f"{name[:kept]}…{name[-kept:]}") > longest:
        kept -= 1
    return f"{name[:kept]}…{name[-kept:]}"


def _plain(value: "str | float") -> str:
    if isinstance(value, str):
        return value
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"
