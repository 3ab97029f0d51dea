"""The pairs that go to people, and what people answer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from da2k.construction.decisions import SAYS, Answer, Decision, decide
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput
from da2k.pairs import Pair, Point, scenario_of, scenario_order

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


def add_manual_pairs(workspace: Workspace, chosen: Iterable[Pair]) -> int:
    """Queue pairs that a person chose; what the person says about their order is an answer, given separately.

    A pair that was drawn before, whatever its outcome, becomes a chosen one.

    Returns:
        How many were not chosen before.

    Raises:
        BadInput: an image was not taken in, or a point is outside it; nothing is stored then.
    """
    sizes = {image.image: image.size for image in workspace.images()}
    pairs = {}
    for pair in chosen:
        if pair.image not in sizes:
            raise BadInput(f"{pair.image}: not an image of this workspace")
        height, width = sizes[pair.image]
        for point in (pair.point1, pair.point2):
            if point.row >= height or point.col >= width:
                raise BadInput(f"{pair.image}: {tuple(point)} is outside the image of {height} rows x {width} columns")
        first, second = sorted((pair.point1, pair.point2))
        pairs[pair.id] = DrawnPair(pair.id, pair.image, first, second, "manual", queued=True)
    with workspace.db.transaction():
        known = {key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE outcome = 'manual'")}
        write_pairs(workspace, (pair for key, pair in pairs.items() if key not in known))
    return len(pairs.keys() - known)


def record_answers(workspace: Workspace, answers: Iterable[Answer]) -> None:
    """Store answers; a person's later answer to a pair replaces the earlier one.

    Answers stay when their pair is not drawn any more, and count again when it is. They belong to the photograph
    that was shown: an answer to another file of the same name does not count.

    Raises:
        BadInput: an answer says something else than the four things it can say, or its image is not known.
    """
    rows = []
    photos = {image.image: image.sha256 for image in workspace.images()}
    for answer in answers:
        if answer.says not in SAYS:
            raise BadInput(f'answer of {answer.person} to {answer.pair}: "{answer.says}" is none of {", ".join(SAYS)}')
        photo = answer.photo or photos.get(image_of(answer.pair))
        if photo is None:
            raise BadInput(f"answer of {answer.person} to {answer.pair}: that image is not in this workspace")
        rows.append((answer.pair, answer.person, photo, answer.says, answer.source, answer.seconds, answer.given))
    with workspace.db.transaction():
        workspace.db.run_many("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def read_answers(workspace: Workspace) -> dict[str, list[Answer]]:
    """All answers to photographs as they are now, by pair, in the order of persons."""
    photos = {image.image: image.sha256 for image in workspace.images()}
    found: dict[str, list[Answer]] = {}
    for pair, person, photo, says, source, seconds, given in workspace.db.run(
        "SELECT pair, person, photo, says, source, seconds, given FROM answers ORDER BY pair, person"
    ):
        if photos.get(image_of(pair)) == photo:
            found.setdefault(pair, []).append(Answer(pair, person, says, source, seconds, given, photo))
    return found


def image_of(pair: str) -> str:
    """The image of a pair's id."""
    return pair.rpartition("#")[0]


def read_decisions(workspace: Workspace) -> Mapping[str, Decision]:
    """What people decided about each queued pair."""
    answers, rule = read_answers(workspace), workspace.settings.checks
    queued = (key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE queued ORDER BY id"))
    return {key: decide(answers.get(key, []), rule.checks, rule.dissent) for key in queued}
