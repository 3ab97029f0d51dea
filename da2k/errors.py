"""The errors da2k raises on purpose.

Da2kError                     anything a user can mend; the message says what, where, and what to do
├── BadInput                  a file, a field or a value is not what it has to be
│   └── MissingPrediction     the predictions folder holds no map for an image
├── BadModel                  a model cannot be named, loaded or trusted
├── MissingExtra              an optional package is not installed
└── Unreachable               the network is needed and cannot be had

The command line prints the message of a `Da2kError` on one line and exits with 1. Wrong usage exits with 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class Da2kError(Exception):
    """Anything a user can mend."""


class BadInput(Da2kError):
    """A file, a field or a value is not what it has to be."""


class MissingPrediction(BadInput):
    """The predictions folder holds no map for an image."""


class BadModel(Da2kError):
    """A model cannot be named, loaded or trusted."""


class MissingExtra(Da2kError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'da2k[{extra}]'")


class Unreachable(Da2kError):
    """The network is needed and cannot be had."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error message about an unknown name: the nearest known one, and all of them.

    >>> did_you_mean("indor", ["indoor", "outdoor"])
    'did you mean "indoor"? Known: indoor, outdoor'
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    return f"{guess}Known: {', '.join(names)}" if names else "there is none"
