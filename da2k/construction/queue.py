"""The pairs that go to people, and what people answer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from da2k.construction.decisions import SAYS, SOURCES, Answer, Decision, State, decide
from da2k.construction.settings import Settings
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput
from da2k.pairs import Point, pair_id, read_pair_id, scenario_of, scenario_order

Origin = Literal["python", "label-studio"]
"""Where an answer came in."""
Outcome = Literal["unanimous", "disputed", "too_close", "manual"]


@dataclass(frozen=True, slots=True)
class DrawnPair:
    """A pair that was drawn, or chosen by a person; nobody says here which point is closer.

    Attributes:
        id: `da2k.pairs.Pair.id`.
        image: `images/<scenario>/<file>`.
        point1, point2: the pixels, point1 the smaller tuple, so that the order says nothing.
        outcome: of the experts' vote; "manual" for a pair that a person chose.
        votes: what each expert says, in the order of the settings: 1 or 2, the closer point; 0, no vote. Empty for a
            manual pair.
        ratio: the predicted depth ratio that the ratio rule compared; None for a manual pair.
        audited: a unanimous pair that goes to people all the same.
        queued: whether it goes to people.
    """

    id: str
    image: str
    point1: Point
    point2: Point
    outcome: Outcome
    votes: tuple[int, ...] = ()
    ratio: float | None = None
    audited: bool = False
    queued: bool = False

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return scenario_of(self.image)

    def naming(self, closer: Point) -> Literal["point1", "point2"]:
        """What an answer says that calls this pixel of the pair the closer one.

        Raises:
            BadInput: it is neither of the two.
        """
        if closer not in (self.point1, self.point2):
            raise BadInput(f"{self.id}: {tuple(closer)} is neither of its points")
        return "point1" if closer == self.point1 else "point2"


_COLUMNS = "id, image, row1, col1, row2, col2, outcome, votes, ratio, audited, queued"


def write_pairs(workspace: Workspace, pairs: Iterable[DrawnPair]) -> None:
    """Store pairs; inside a transaction of the caller."""
    as_text = cache(json.dumps)  # few different votes, many pairs
    workspace.db.run_many(
        f"INSERT OR REPLACE INTO pairs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (p.id, p.image, *p.point1, *p.point2, p.outcome, as_text(p.votes), p.ratio, p.audited, p.queued)
            for p in pairs
        ),
    )


def read_pairs(workspace: Workspace, *, queued_only: bool = False) -> list[DrawnPair]:
    """The pairs of the workspace: scenarios in the paper's order, then by image, then by points."""
    where = " WHERE queued" if queued_only else ""
    pairs = [
        DrawnPair(
            key,
            image,
            Point(row1, col1),
            Point(row2, col2),
            outcome,
            tuple(json.loads(votes)),
            ratio,
            bool(audited),
            bool(queued),
        )
        for key, image, row1, col1, row2, col2, outcome, votes, ratio, audited, queued in workspace.db.run(
            f"SELECT {_COLUMNS} FROM pairs{where}"
        )
    ]
    return sorted(pairs, key=lambda p: (scenario_order(p.scenario), p.image, p.point1, p.point2))


def add_manual_pairs(workspace: Workspace, chosen: Iterable[tuple[str, Point, Point]]) -> list[DrawnPair]:
    """Queue pairs that a person chose: an image and two of its pixels, in any order.

    Which of them is closer is an answer, given separately. A pair that was drawn before, whatever its outcome, becomes
    a chosen one; one that was chosen before stays.

    Returns:
        The pairs as they are queued, each once; `DrawnPair.naming` tells how an answer names a pixel.

    Raises:
        BadInput: an image was not taken in, a point is outside it, or the points are equal; nothing is stored then.
    """
    sizes = {image.image: image.size for image in workspace.images()}
    pairs = {}
    for image, one, other in chosen:
        _require_inside(sizes, image, one, other)
        point1, point2 = sorted((Point(*one), Point(*other)))
        if point1 == point2:
            raise BadInput(f"{image}: both points are {tuple(one)}; a pair needs two different pixels")
        key = pair_id(image, point1, point2)
        pairs[key] = DrawnPair(key, image, point1, point2, "manual", queued=True)
    with workspace.db.transaction():
        write_pairs(workspace, pairs.values())
    return list(pairs.values())


def record_answers(workspace: Workspace, answers: Iterable[Answer], origin: Origin = "python") -> int:
    """Store answers; a person's later answer to a pair replaces the earlier one of the same origin.

    Answers stay when their pair is not drawn any more, and count again when it is. They belong to the photograph
    that was shown: an answer to another file of the same name does not count. Answers of origin "label-studio"
    are all that has been pulled: they replace all earlier ones of that origin.

    Returns:
        How many of them are to pairs that are not queued now, so that they count for nothing yet.

    Raises:
        BadInput: an answer says something else than the four things it can say, names nobody or no pair of pixels of
            an image that was taken in; nothing is stored then.
    """
    taken = {image.image: image for image in workspace.images()}
    sizes = {name: image.size for name, image in taken.items()}
    queued = {key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE queued")}
    rows = []
    for answer in answers:
        if answer.says not in SAYS:
            raise BadInput(f'answer of {answer.person} to {answer.pair}: "{answer.says}" is none of {", ".join(SAYS)}')
        if answer.source not in SOURCES:
            raise BadInput(f'answer of {answer.person} to {answer.pair}: source "{answer.source}" is no {SOURCES}')
        if not answer.person.strip():
            raise BadInput(f"answer to {answer.pair}: it does not say whose it is")
        image, point1, point2 = read_pair_id(answer.pair)
        _require_inside(sizes, image, point1, point2)
        photo = answer.photo or taken[image].sha256
        rows.append(
            (answer.pair, answer.person, photo, answer.says, answer.source, answer.seconds, answer.given, origin)
        )
    with workspace.db.transaction():
        if origin == "label-studio":
            workspace.db.run("DELETE FROM answers WHERE origin = ?", origin)
        workspace.db.run_many("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return sum(pair not in queued for pair, *_ in rows)


def _require_inside(sizes: Mapping[str, tuple[int, int]], image: str, *points: Point) -> None:
    if image not in sizes:
        raise BadInput(f"{image}: not an image of this workspace")
    height, width = sizes[image]
    for row, col in points:
        if not (0 <= row < height and 0 <= col < width):
            raise BadInput(f"{image}: ({row}, {col}) is outside the image of {height} rows x {width} columns")


def read_answers(workspace: Workspace) -> dict[str, list[Answer]]:
    """All answers to photographs as they are now, by pair, in the order of persons.

    Of a person's answers of different origin to a pair, the one that was given last counts.
    """
    photos = {image.image: image.sha256 for image in workspace.images()}
    found: dict[str, dict[str, Answer]] = {}
    for pair, person, photo, says, source, seconds, given in workspace.db.run(
        "SELECT pair, person, photo, says, source, seconds, given FROM answers"
        " ORDER BY pair, person, coalesce(given, ''), origin"
    ):
        if photos.get(image_of(pair)) == photo:
            found.setdefault(pair, {})[person] = Answer(pair, person, says, source, seconds, given, photo)
    return {pair: list(answers.values()) for pair, answers in found.items()}


def image_of(pair: str) -> str:
    """The image of a pair's id."""
    return pair.rpartition("#")[0]


def read_decisions(workspace: Workspace) -> Mapping[str, Decision]:
    """What people decided about each queued pair."""
    answers, rule = read_answers(workspace), workspace.settings.checks
    queued = (key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE queued ORDER BY id"))
    return {key: decide(answers.get(key, []), rule.checks, rule.dissent) for key in queued}


def left_out(pair: DrawnPair, decision: Decision, settings: Settings) -> str | None:
    """Why a release leaves out a pair that needs no further answer; None, if it holds it."""
    if decision.state is State.KEPT and pair.outcome == "unanimous" and not settings.release.audited:
        return "audited"
    return decision.reason
