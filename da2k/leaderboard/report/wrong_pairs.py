"""The pairs that a model has wrong, or tied, drawn on their photographs: the hardest first, as many as a page holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import dist

from da2k.errors import BadInput
from da2k.images import Photo
from da2k.leaderboard.report.crops import Picture, draw_tied, draw_wrong
from da2k.leaderboard.report.judged import JudgedPairs
from da2k.leaderboard.report.ordering import Measure, hardest, margins
from da2k.leaderboard.report.shown import seen
from da2k.metrics.ordering import Outcome
from da2k.pairs import Point

BUDGET = 8_000_000
"""Characters of a page for its pictures; what else is on it stays far below two million."""


@dataclass(frozen=True)
class Chosen:
    """Indices of the pairs to be drawn, the hardest first."""

    wrong: tuple[int, ...]
    tied: tuple[int, ...]


@dataclass(frozen=True)
class DrawnPair:
    """One pair, as the page shows it; all text is fit to be shown.

    Attributes:
        scenario, image: where it is.
        closer, farther: (row, col) in the photo.
        picture: None if the photo cannot be read, and `problem` says why.
        problem: or None.
        values: what the model says at the closer point and at the other.
        margin: how far apart these are.
        place: how far apart the points are, and which is lower.
    """

    scenario: str
    image: str
    closer: Point
    farther: Point
    picture: Picture | None
    problem: str | None
    values: tuple[str, str]
    margin: str
    place: str


@dataclass(frozen=True)
class DrawnPairs:
    """What is drawn, and how many pairs more would have been but for the page's size."""

    wrong: tuple[DrawnPair, ...]
    tied: tuple[DrawnPair, ...]
    over: int

    @property
    def pictures(self) -> int:
        """How many photographs there are."""
        return sum(pair.picture is not None for pair in (*self.wrong, *self.tied))


def choose_pairs(pairs: JudgedPairs, most: int) -> Chosen:
    """At most `most` pairs; a quarter of them are for tied ones, if there are so many."""
    wrong, tied = hardest(pairs, Outcome.WRONG), hardest(pairs, Outcome.TIED)
    for_tied = min(len(tied), max(most // 4, most - len(wrong)))
    return Chosen(tuple(wrong[: most - for_tied]), tuple(tied[:for_tied]))


def draw_pairs(
    pairs: JudgedPairs, chosen: Chosen, photos: Mapping[str, Photo | BadInput], budget: int = BUDGET
) -> DrawnPairs:
    """Draw pairs on crops of their photographs, each photograph being decoded once.

    Args:
        pairs: all.
        chosen: which.
        photos: of each image, or why there is none.
        budget: characters for the pictures; the pairs at the end of each list are left out first.
    """
    measure, margin = margins(pairs)
    drawn: dict[int, DrawnPair] = {}
    by_image: dict[str, list[int]] = {}
    for index in (*chosen.wrong, *chosen.tied):
        by_image.setdefault(str(pairs.image[index]), []).append(index)
    for image, indices in by_image.items():
        opened = photos[image]
        # A photo of its own: the pixels go when its pairs are drawn.
        photo = opened if isinstance(opened, BadInput) else Photo(opened.name, opened.size, opened.path)
        for index in indices:
            drawn[index] = _draw(pairs, index, photo, _apart(measure, margin[index]))
    # The two lists are filled side by side, so that neither takes all the room.
    turns = sorted(
        (place / len(indices), n, index)
        for n, indices in enumerate((chosen.wrong, chosen.tied))
        for place, index in enumerate(indices)
    )
    kept, size = set(), 0
    for _, _, index in turns:
        picture = drawn[index].picture
        size += len(picture.source) if picture else 0
        if size > budget:
            break
        kept.add(index)
    wrong, tied = (tuple(drawn[i] for i in indices if i in kept) for indices in (chosen.wrong, chosen.tied))
    return DrawnPairs(wrong, tied, len(turns) - len(kept))


def _draw(pairs: JudgedPairs, index: int, photo: Photo | BadInput, margin: str) -> DrawnPair:
    closer, farther = (Point(*points[index].tolist()) for points in (pairs.closer, pairs.farther))
    wrong = pairs.outcome[index] == Outcome.WRONG
    picture, problem = None, None
    try:
        if isinstance(photo, BadInput):
            raise photo
        picture = (draw_wrong if wrong else draw_tied)(photo.pixels, closer, farther)
    except BadInput as e:
        problem = seen(e, 300)
    values = pairs.value_closer[index], pairs.value_farther[index]
    return DrawnPair(
        scenario=seen(pairs.scenario[index]),
        image=seen(str(pairs.image[index]).rpartition("/")[2], 60),
        closer=closer,
        farther=farther,
        picture=picture,
        problem=problem,
        values=(f"{values[0]:.4g}", f"{values[1]:.4g}"),
        margin=margin,
        place=_place(closer, farther),
    )


def _apart(measure: Measure, margin: float) -> str:
    return f"{margin:.3g} times as far" if measure == "ratio" else f"{margin:.3g} apart"


def _place(closer: Point, farther: Point) -> str:
    lower = closer.row - farther.row
    where = "in the same row" if lower == 0 else f"{abs(lower)} rows {'lower' if lower > 0 else 'higher'}"
    return f"{dist(closer, farther):.0f} px apart, closer point {where}"
