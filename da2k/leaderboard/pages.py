"""HTML pages of one file each: style and script are inside, and nothing is asked from anywhere."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da2k.leaderboard.text import unseen

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> "Environment":
    """The Jinja environment of all pages: every value is escaped, and a name that is not given is an error.

    Filters: `percent` (0.9521 -> 95.2), `count` (25000000 -> 25.0 M), `words` (affine_disparity -> affine disparity),
    `breakable` (a name that may go on in the next line behind its signs), `bounded` (a text that no rule bounds).
    Test: `web`, true of an address that may be linked to.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # a name-based choice would leave *.html.j2 unescaped
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(percent=percent, count=count, words=words, breakable=breakable, bounded=bounded)
    made.tests["web"] = is_web
    return made


def page(template: str, *, script: str | None = None, **values: Any) -> str:
    """A whole page.

    Args:
        template: file name in `templates/`; it extends `base.html.j2`.
        script: file name in `templates/` of the page's only script. The page allows no other: the policy in its head
            names this one by its SHA-256.
        values: what the template shows; text in them is escaped.
    """
    from markupsafe import Markup

    code = _own(script) if script else None
    policy = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "base-uri 'none'"]
    policy += ["form-action 'none'", f"script-src {_source(code)}"]
    return (
        environment()
        .get_template(template)
        .render(
            policy="; ".join(policy),
            style=Markup(_own("style.css")),
            script=Markup(code) if code else None,
            **values,
        )
    )


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 as percent, without the sign.

    >>> percent(0.95261), percent(1.0)
    ('95.3', '100.0')
    """
    return f"{100 * share:.{digits}f}"


def count(number: int | None) -> str:
    """A number of weights, to three digits.

    >>> count(24_785_089), count(335_315_649), count(1_300_000_000), count(812), count(None)
    ('24.8 M', '335 M', '1.30 B', '812', '–')
    """
    if number is None:
        return "–"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        value = number / size
        if value >= 0.9995:  # 999 600 reads 1.00 M, not 1000 k
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return str(number)


def words(name: str) -> str:
    """A name with underscores, as people write it."""
    return name.replace("_", " ")


def bounded(text: str, most: int = 300) -> str:
    r"""A text of a result that no rule bounds: its beginning, with a sign for each character that cannot be seen.

    >>> bounded("cpu"), bounded("a\u202eb"), bounded("x" * 1000, 5)
    ('cpu', 'a�b', 'xxxx…')
    """
    begins = text if len(text) <= most else f"{text[: most - 1]}…"
    return begins if unseen(begins) is None else "".join("\ufffd" if unseen(c) else c for c in begins)


def breakable(name: str) -> "Markup":
    """A name, escaped, that a browser may break behind its signs rather than anywhere.

    >>> str(breakable("net_448x640<b>"))
    'net_<wbr>448x640&lt;b&gt;'
    """
    from markupsafe import Markup, escape

    return Markup("").join(escape(c) + Markup("<wbr>") if c in "_-/.:@" else escape(c) for c in name)


def is_web(address: object) -> bool:
    """Whether this is text that begins as a web address does; anything else is shown, but not linked to."""
    return isinstance(address, str) and address.startswith(("https://", "http://"))


@cache
def _own(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _source(code: str | None) -> str:
    if code is None:
        return "'none'"
    return f"'sha256-{b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
