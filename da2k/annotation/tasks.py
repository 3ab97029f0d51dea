"""What one Label Studio task asks: which of two points is closer, or which two points of a photograph to compare."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from da2k.construction.decisions import Says
from da2k.construction.queue import image_of
from da2k.errors import BadInput
from da2k.pairs import Point, read_pair_id, scenario_of

Kind = Literal["pairs", "photos"]
KINDS: tuple[Kind, ...] = ("pairs", "photos")
"""The two questions, a project each: the order of a pair, and which pairs of a photograph to choose by hand."""

CLOSER = "closer"
"""The control of the interface "pairs" that holds the answer."""
A, B, TIE, BAD = "A", "B", "tie", "bad"
"""What it can hold."""
GIVEN = "da2k-given"
"""The id of the result in an annotation that da2k put into a task: an answer that its person gave elsewhere."""

_PHOTO_DIGITS = 12
_TASK = re.compile(rf"(?P<what>.+)@(?P<photo>[0-9a-f]{{{_PHOTO_DIGITS}}})(/(?P<number>[1-9]\d{{0,3}}))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PairTask:
    """Which of the two points of a pair is closer.

    Attributes:
        pair: the pair's id; its smaller point is point1.
        photo: SHA-256 of the photograph that is shown.
        swapped: whether the letter A stands at point2.
    """

    pair: str
    photo: str
    swapped: bool

    @property
    def external_id(self) -> str:
        """Names the task; it tells annotators neither votes nor whether the answer is known."""
        return f"{self.pair}@{self.photo[:_PHOTO_DIGITS]}"

    @property
    def image(self) -> str:
        """`images/<scenario>/<file>`."""
        return read_pair_id(self.pair)[0]

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return scenario_of(self.image)

    @property
    def points(self) -> tuple[Point, Point]:
        """The points that A and B stand at."""
        _, point1, point2 = read_pair_id(self.pair)
        return (point2, point1) if self.swapped else (point1, point2)

    def says(self, choice: str) -> Says | None:
        """What a choice says about the pair; None for an unknown choice."""
        known: dict[str, Says] = {
            A: "point2" if self.swapped else "point1",
            B: "point1" if self.swapped else "point2",
            TIE: "cannot_tell",
            BAD: "bad_sample",
        }
        return known.get(choice)

    def choice(self, says: Says) -> str:
        """The choice that says this; `says` turned round."""
        return next(choice for choice in (A, B, TIE, BAD) if self.says(choice) == says)


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """Choose two points of a photograph, the nearer and the farther.

    Attributes:
        image: `images/<scenario>/<file>`.
        photo: SHA-256 of the photograph.
        number: from 1; one task for each pair wanted of the photograph.
    """

    image: str
    photo: str
    number: int

    @property
    def external_id(self) -> str:
        """Names the task."""
        return f"{self.image}@{self.photo[:_PHOTO_DIGITS]}/{self.number}"

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return scenario_of(self.image)


def is_swapped(seed: int, pair: str, photo: str) -> bool:
    """Whether A stands at point2: by chance, the same for the same seed, pair and photograph."""
    return hashlib.sha256(f"{seed}\n{pair}\n{photo}".encode()).digest()[0] % 2 == 1


def shuffled_key(seed: int, external_id: str) -> bytes:
    """A sort key that puts tasks in an order by chance: nothing shows which are gold, and scenarios mix."""
    return hashlib.sha256(f"order\n{seed}\n{external_id}".encode()).digest()


def what_is_asked(external_id: str) -> tuple[Kind, str]:
    """The kind of a task, and the pair or the image that it asks about.

    Raises:
        BadInput: it is no task of da2k's.

    >>> what_is_asked("images/indoor/a.jpg#2,3-9,1@0123456789ab")
    ('pairs', 'images/indoor/a.jpg#2,3-9,1')
    """
    found = _TASK.fullmatch(external_id)
    if found is None:
        raise BadInput(f'"{external_id}" names no task of da2k')
    if found["number"]:
        scenario_of(found["what"])
        return "photos", found["what"]
    read_pair_id(found["what"])
    return "pairs", found["what"]


def kind_asked(external_id: str) -> Kind | None:
    """The kind of a task; None for one that is not da2k's."""
    try:
        return what_is_asked(external_id)[0]
    except BadInput:
        return None


def image_asked(external_id: str) -> str | None:
    """The image that a task is about; None for one that is not da2k's."""
    try:
        kind, what = what_is_asked(external_id)
    except BadInput:
        return None
    return image_of(what) if kind == "pairs" else what
