"""A workspace in which people have decided pairs, one of every sort, and what a release of it has to say."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from da2k.construction.decisions import Answer, Says
from da2k.construction.pipeline import build
from da2k.construction.queue import DrawnPair, record_answers, write_pairs
from da2k.construction.workspace import Workspace
from da2k.pairs import Pair, Point

INDOOR, FOG, OBJECT, PLAIN = (
    "images/indoor/a room.png",
    "images/adverse_style/b é#1.png",
    "images/object/c.png",
    "images/indoor/z.png",
)
PEOPLE = ("Ann Lee", "bob@lab.org", "Cy", "Dee")

FULL = {
    "name": "fog-2k",
    "version": "1.2.0",
    "description": "Photographs of fog.",
    "licence": "CC-BY-4.0",
    "creators": ("The fog group", "Ann Lee's lab"),
    "url": "https://example.org/fog",
    "date": "2026-03-04",
    "citation": "@misc{fog2k, title={Fog}}",
}


def drawn(image: str, one: tuple[int, int], other: tuple[int, int], **more: object) -> DrawnPair:
    """A queued pair; `one` comes before `other`."""
    key = Pair(image, Point(*one), Point(*other), 1).id
    fields = {"outcome": "disputed", "votes": (1, 2, 0, 1), "ratio": 3.5, "queued": True, **more}
    return DrawnPair(key, image, Point(*one), Point(*other), **fields)  # type: ignore[arg-type]


KEPT_1 = drawn(INDOOR, (1, 9), (7, 2))  # three say point 1
KEPT_2 = drawn(INDOOR, (0, 4), (30, 1), votes=(0, 1, 1, 2), ratio=float("inf"))  # three of four say point 2
BAD = drawn(INDOOR, (2, 2), (3, 3), votes=(2, 2, 1, 0))
UNSURE = drawn(FOG, (2, 2), (3, 3), votes=(2, 1, 1, 1))
FOGGY = drawn(FOG, (5, 5), (9, 1), votes=(2, 2, 0, 2))  # three say point 1, which no expert does
SPLIT = drawn(FOG, (0, 0), (9, 2), votes=(2, 1, 0, 0))  # two against two
AUDIT_RIGHT = drawn(INDOOR, (4, 4), (5, 6), outcome="unanimous", votes=(1, 1, 1, 1), audited=True)
AUDIT_WRONG = drawn(PLAIN, (4, 4), (5, 6), outcome="unanimous", votes=(2, 2, 2, 2), audited=True)
MANUAL = drawn(OBJECT, (0, 1), (0, 3), outcome="manual", votes=(), ratio=None)  # the exact depth says point 2
UNQUEUED = drawn(INDOOR, (11, 11), (12, 12), outcome="too_close", queued=False)
PAIRS = (KEPT_1, KEPT_2, BAD, UNSURE, FOGGY, SPLIT, AUDIT_RIGHT, AUDIT_WRONG, MANUAL, UNQUEUED)


def say(pair: DrawnPair, *says: Says) -> list[Answer]:
    """Answers of as many people, in turn."""
    return [
        Answer(pair.id, person, word, seconds=1.5 + number, given=f"2026-01-0{number + 1}T08:00:00Z")
        for number, (person, word) in enumerate(zip(PEOPLE, says, strict=False))
    ]


ANSWERS = (
    *say(KEPT_1, "point1", "point1", "point1"),
    *say(KEPT_2, "point2", "point2", "point1", "point2"),
    *say(BAD, "point1", "bad_sample"),
    *say(UNSURE, "cannot_tell"),
    *say(FOGGY, "point1", "point1", "point1"),
    *say(SPLIT, "point1", "point1", "point2", "point2"),
    *say(AUDIT_RIGHT, "point1", "point1", "point1"),
    *say(AUDIT_WRONG, "point1", "point1", "point1"),
    Answer(MANUAL.id, "renderer of /home/ann", "point2", source="exact"),
)
"""Kept: KEPT_1, KEPT_2, FOGGY, MANUAL; dropped: BAD, UNSURE, SPLIT; only measured: the two audited."""

RELEASED = {
    INDOOR: [((30, 1), (0, 4)), ((1, 9), (7, 2))],
    FOG: [((5, 5), (9, 1))],
    OBJECT: [((0, 3), (0, 1))],
}
"""What of them is released: image → (closer, farther)."""


def decided_workspace(
    make_workspace: Callable[..., Workspace],
    *,
    pairs: Sequence[DrawnPair] = PAIRS,
    answers: Sequence[Answer] = ANSWERS,
    shuffle: int | None = None,
    **settings: object,
) -> Workspace:
    """A workspace that is up to date, with these pairs and answers, entered in this order or in another one.

    All stages are run; their pairs then give way to these, whose votes are known.
    """
    sizes = {INDOOR: (48, 64), FOG: (40, 40), OBJECT: (32, 60), PLAIN: (20, 20)}
    images = list(sizes)
    pairs, answers = list(pairs), list(answers)
    if shuffle is not None:
        for entered in (images, pairs, answers):
            Random(shuffle).shuffle(entered)
    workspace = make_workspace({image: sizes[image] for image in images}, **{"release": FULL, **settings})
    for report in build(workspace):
        assert not report.failures
    workspace.db.run("DELETE FROM pairs")
    for pair in pairs:
        with workspace.db.transaction():
            write_pairs(workspace, [pair])
    for answer in answers:
        record_answers(workspace, [answer])
    return workspace


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
