"""Text out of a result's file, made fit to be shown: a result may come from anybody."""

from collections.abc import Iterable

from da2k.leaderboard.text import NAME_LENGTH, NOTE_LENGTH, unseen

MOST_LINES = 20


def seen(text: object, most: int = NAME_LENGTH) -> str:
    """Text on one line, at most so long, in which every character is seen as itself.

    >>> seen("a\\u202eb"), seen("abcdef", 4)
    ('a�b', 'abc…')
    """
    whole = str(text)
    cut = whole if len(whole) <= most else f"{whole[: most - 1]}…"
    return cut if unseen(cut) is None else "".join("�" if unseen(c) else c for c in cut)


def lines(texts: Iterable[str]) -> list[str]:
    """The first few remarks, and how many more there are."""
    everything = list(texts)
    shown = [seen(text, NOTE_LENGTH) for text in everything[:MOST_LINES]]
    left = len(everything) - len(shown)
    return [*shown, f"and {left} more"] if left else shown
