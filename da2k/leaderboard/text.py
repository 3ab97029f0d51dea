"""Text that other people wrote, before it goes into a file, a table or a page of ours."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

NAME_LENGTH = 120
NOTE_LENGTH = 500
LINE_LENGTH = 1000
"""Of what is no name and no remark: a warning, a reason, an option, a model string."""
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories of what is not seen or turns what is seen round: control, format (with all marks of direction),
surrogates, private, unassigned, separators of lines."""


def unseen(text: str) -> str | None:
    """The first character that is not seen as itself, as U+XXXX; None if all are."""
    if text.isprintable():  # true of no text with such a character, and fast
        return None
    return next((f"U+{ord(c):04X}" for c in text if unicodedata.category(c) in _HIDDEN), None)


def shown(text: str, longest: int = 300) -> str:
    """Text of a stranger as a terminal may print it: on one line, no hidden characters, not too long.

    >>> shown("a\u202eb"), shown("x" * 9, longest=4)
    ('a<U+202E>b', 'xxxx…')
    """
    cut = f"{text[:longest]}…" if len(text) > longest else text
    return "".join(f"<{hidden}>" if (hidden := unseen(c)) else c for c in cut)


def _plain(text: str) -> str:
    if hidden := unseen(text):
        raise ValueError(f"holds the character {hidden}, which cannot be seen or turns the text round; leave it out")
    if not text.strip():
        raise ValueError("is empty")
    return text


def _web_address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or not text.isascii() or any(c in text for c in " \"'<>\\^`{|}"):
        raise ValueError("must be a web address that begins with https:// or http://, percent-encoded")
    return _plain(text)


Name = Annotated[str, Field(max_length=NAME_LENGTH), AfterValidator(_plain)]
"""A name on one line."""
Note = Annotated[str, Field(max_length=NOTE_LENGTH), AfterValidator(_plain)]
"""A remark on one line."""
WebAddress = Annotated[str, Field(max_length=NOTE_LENGTH), AfterValidator(_web_address)]
"""An address that a page may link to."""


def slug(text: str) -> str:
    """A folder or file name for a name: lower-case letters of ASCII, digits, `-`, `_` and `.`; never empty or hidden.

    >>> slug("Depth Anything V2 (S)"), slug("../x"), slug("模型")
    ('depth-anything-v2-s', 'x', 'unnamed')
    """
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in ascii_only)
    while "--" in kept or ".." in kept:
        kept = kept.replace("--", "-").replace("..", ".")
    return kept.strip("-._")[:80].strip("-._") or "unnamed"
